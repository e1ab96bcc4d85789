"""Where samples are: runs of finite samples, and how far each sample is from missing ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["near_edges", "runs", "without_flat_runs", "without_short_runs"]


def runs(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the runs of True in a mask, shape (run, 2): first index and one past the last.

    Examples
    --------
    >>> runs(np.array([False, True, True, False, True])).tolist()
    [[1, 3], [4, 5]]
    """
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    return edges.reshape(-1, 2).astype(np.int64)


def without_short_runs(data: NDArray[np.float32], n_min: int) -> NDArray[np.float32]:
    """Return a trace whose runs of finite samples shorter than `n_min` are missing too."""
    finite = runs(np.isfinite(data))
    short = finite[finite[:, 1] - finite[:, 0] < n_min]
    if not len(short):
        return data
    data = data.copy()
    for start, stop in short:
        data[start:stop] = np.nan
    return data


def near_edges(traces: NDArray[Any], n_guard: int) -> NDArray[np.bool_]:
    """Return which samples are missing in all traces, or nearer than `n_guard` to an edge of one.

    Parameters
    ----------
    traces : ndarray, shape (component, sample)
        The two ends of a trace are edges as well.
    """
    blocked: NDArray[np.bool_] = np.all(np.isnan(traces), axis=0)
    for trace in traces:
        for edge in runs(np.isfinite(trace)).ravel():
            blocked[max(edge - n_guard, 0) : edge + n_guard] = True
    return blocked


def without_flat_runs(data: NDArray[np.float32], n_flat: int) -> NDArray[np.float32]:
    """Return a trace that is missing where it is dead: `n_flat` samples or more in a row are equal."""
    same = runs(np.diff(data) == 0)
    flat = same[same[:, 1] - same[:, 0] >= n_flat - 1]
    if not len(flat):
        return data
    data = data.copy()
    for start, stop in flat:
        data[start : stop + 1] = np.nan
    return data
