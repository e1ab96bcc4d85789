"""Where samples are: runs of finite samples, and how far each sample is from missing ones."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["near_edges", "runs", "without_flat_runs"]


def runs(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the runs of True in a mask, shape (run, 2): first index and one past the last.

    Examples
    --------
    >>> runs(np.array([False, True, True, False, True])).tolist()
    [[1, 3], [4, 5]]
    """
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return edges.reshape(-1, 2).astype(np.int64)


def near_edges(traces: list[NDArray[np.int64]], n: int, n_guard: int) -> NDArray[np.bool_]:
    """Return which of `n` samples are missing in all traces, or nearer than `n_guard` to an edge of one.

    Parameters
    ----------
    traces : list of ndarray of int64, shape (run, 2)
        The runs of samples of each trace; the two ends of a trace are edges as well.
    n, n_guard : int
    """
    blocked = np.ones(n, np.bool_)
    for found in traces:
        _mark(blocked, found, 0, value=False)
    for found in traces:
        _mark(blocked, found, n_guard, value=True)
    return blocked


@numba.njit(cache=True, nogil=True)
def _mark(mask: NDArray[np.bool_], found: NDArray[np.int64], n_guard: int, value: bool) -> None:
    """Set a mask in runs, or where there is a guard around their edges."""
    for i in range(len(found)):
        if n_guard == 0:
            mask[found[i, 0] : found[i, 1]] = value
        else:
            for edge in found[i]:
                mask[max(edge - n_guard, 0) : edge + n_guard] = value


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
