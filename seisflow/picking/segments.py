"""Where samples are: runs of finite samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["runs", "without_flat_runs"]


def runs(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the runs of True in a mask, shape (run, 2): first index and one past the last.

    Examples
    --------
    >>> runs(np.array([False, True, True, False, True])).tolist()
    [[1, 3], [4, 5]]
    """
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    return edges.reshape(-1, 2).astype(np.int64)


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
