"""The filter that some weights want before everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["filtered"]


def filtered(
    data: NDArray[np.float32],
    runs: Sequence[NDArray[np.int64]],
    components: Sequence[str],
    rate_hz: float,
    arguments: Any,
    keywords: Any,
) -> NDArray[np.float32]:
    """Return traces filtered by obspy, run of samples by run of samples, as SeisBench does.

    Parameters
    ----------
    data : ndarray of float32, shape (component, sample)
        Missing samples NaN.
    runs : sequence of ndarray of int64, shape (run, 2)
        The runs of each component.
    components : sequence of str
        Letter of each component.
    rate_hz : float
    arguments, keywords : sequence and mapping, or mappings of them by channel pattern such as ``"??Z"``
        Arguments of `obspy.Trace.filter`.
    """
    from obspy import Trace

    result = data.copy()
    for row, letter in enumerate(components):
        for chosen, options in _chosen(letter, arguments, keywords):
            for first, stop in runs[row].tolist():
                trace = Trace(result[row, first:stop].astype(np.float64), {"sampling_rate": rate_hz})
                result[row, first:stop] = trace.filter(*chosen, **options).data
    return result


def _chosen(letter: str, arguments: Any, keywords: Any) -> list[tuple[Sequence[Any], Mapping[str, Any]]]:
    """Return the filters that a component goes through."""
    if not isinstance(arguments, Mapping):
        return [(arguments or (), keywords or {})]
    return [
        (arguments[pattern] or (), (keywords or {}).get(pattern) or {})
        for pattern in arguments
        if fnmatchcase(f"HH{letter}", pattern)
    ]
