"""The sub-sequences of picks that a network sees, and how they are padded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["PADDING_STEP", "padded_length", "window_ends"]

PADDING_STEP = 16
"""Windows are padded to multiples of this, so that those of about one length go together."""


def window_ends(time_s: NDArray[np.float64], span_s: float, n_picks: int) -> NDArray[np.int64]:
    """Return for each pick, as the root of a window, the first pick after that window.

    A window holds the root and the picks up to `span_s` after it, at most `n_picks` in all.

    Parameters
    ----------
    time_s : array of float64, shape (n,)
        Sorted.
    """
    ends = np.searchsorted(time_s, time_s + span_s, side="right")
    return np.minimum(ends, np.arange(len(time_s)) + n_picks)


def padded_length(n: NDArray[np.int64] | int) -> NDArray[np.int64]:
    """Return the length that a window of `n` picks is padded to.

    It follows from the window alone: what a network says of a window never depends on other windows.
    """
    return -(-np.asarray(n, dtype=np.int64) // PADDING_STEP) * PADDING_STEP
