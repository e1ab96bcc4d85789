"""The amplitude of a pick: how large the ground moves in the seconds after an onset."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["peak_amplitudes"]

REFERENCE_S = 2.0


def peak_amplitudes(
    traces: NDArray[np.float32], onsets: NDArray[np.int64], rate_hz: float, window_s: float
) -> NDArray[np.float32]:
    """Return the peak absolute amplitude over components in `window_s` after each onset.

    It is counted from the mean of the 2 s before the onset, so that an offset of the recorder does
    not enter.

    Parameters
    ----------
    traces : ndarray of float32, shape (component, sample)
        Gaps NaN.
    onsets : ndarray of int, shape (pick,)
        Sample of each onset.
    rate_hz : float
    window_s : float

    Returns
    -------
    ndarray of float32, shape (pick,)
        In the units of `traces`; NaN where no component has samples before and after the onset.
    """
    from seisflow.picking.kernels.amplitudes import measure

    before, after = round(REFERENCE_S * rate_hz), max(round(window_s * rate_hz), 1)
    peaks = np.full(len(onsets), np.nan, np.float32)
    measure(traces, onsets, before, after, peaks)
    return peaks
