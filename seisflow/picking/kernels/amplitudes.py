"""Peak amplitudes after onsets and the noise before them, compiled."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["measure"]


@numba.njit(cache=True, nogil=True)
def measure(
    traces: NDArray[np.float32],
    onsets: NDArray[np.int64],
    noise: tuple[int, int],
    after: int,
    peaks: NDArray[np.float64],
    noises: NDArray[np.float64],
    n_measured: NDArray[np.int64],
) -> None:
    """Write the largest distance from the mean before each onset, over components.

    Parameters
    ----------
    traces : ndarray of float32, shape (component, sample)
    onsets : ndarray of int64, shape (pick,)
    noise : tuple of int
        The noise is that from the first to the second number of samples before the onset.
    after : int
        Samples after the onset in which the peak lies.
    peaks, noises : ndarray of float64, shape (pick,)
        Peak, and root mean square of the noise of the component that has it. NaN where there is nothing yet.
    n_measured : ndarray of int64, shape (pick,)
        Components that could be measured; zero where there is nothing yet.
    """
    for i in range(len(onsets)):
        onset = onsets[i]
        for c in range(len(traces)):
            before = traces[c, max(onset - noise[0], 0) : max(onset - noise[1], 0)]
            total, n_before = 0.0, 0
            for value in before:
                if not np.isnan(value):
                    total += value
                    n_before += 1
            if 2 * n_before < noise[0] - noise[1]:
                continue
            level, spread = total / n_before, 0.0
            for value in before:
                if not np.isnan(value):
                    spread += (value - level) ** 2
            peak = -1.0
            for value in traces[c, onset : onset + after]:
                if not np.isnan(value):
                    peak = max(peak, abs(value - level))
            if peak < 0.0:
                continue
            n_measured[i] += 1
            if not peaks[i] >= peak:
                peaks[i] = peak
                noises[i] = np.sqrt(spread / n_before)
