"""Peak amplitudes after onsets, compiled."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["measure"]


@numba.njit(cache=True, nogil=True)
def measure(
    traces: NDArray[np.float32],
    onsets: NDArray[np.int64],
    before: int,
    after: int,
    peaks: NDArray[np.float32],
) -> None:
    """Write the largest distance from the mean before each onset, over components.

    Parameters
    ----------
    traces : ndarray of float32, shape (component, sample)
    onsets : ndarray of int64, shape (pick,)
    before, after : int
        Samples for the mean, and for the peak.
    peaks : ndarray of float32, shape (pick,)
        NaN where there is nothing yet.
    """
    for i in range(len(onsets)):
        onset = onsets[i]
        for c in range(len(traces)):
            total, n_before = 0.0, 0
            for value in traces[c, max(onset - before, 0) : onset]:
                if not np.isnan(value):
                    total += value
                    n_before += 1
            if n_before == 0:
                continue
            level = np.float32(total / n_before)
            for value in traces[c, onset : onset + after]:
                size = abs(value - level)
                if not np.isnan(size) and not peaks[i] >= size:
                    peaks[i] = size
