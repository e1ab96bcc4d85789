"""How large the ground moves after an onset, and how much that stands out of the noise before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["NOISE_S", "Motion", "Size", "measured", "with_amplitudes"]

NOISE_S = (2.5, 0.5)
"""The noise of a pick is that from 2.5 to 0.5 s before it: onsets are not known better than some tenths."""

Motion = Callable[[NDArray[np.int64]], "xr.Dataset"]
"""Gives the ground motion of spans of samples, shape (span, 2), on the samples of the waveforms."""


class Size(NamedTuple):
    """How large some picks are.

    Attributes
    ----------
    amplitude : ndarray of float32, shape (pick,)
        NaN where no component has samples before and after the onset.
    snr : ndarray of float32, shape (pick,)
        NaN also where there is no noise at all.
    n_measured : ndarray of int64, shape (pick,)
        Components that were measured.
    """

    amplitude: NDArray[np.float32]
    snr: NDArray[np.float32]
    n_measured: NDArray[np.int64]


def measured(traces: NDArray[np.float32], onsets: NDArray[np.int64], rate_hz: float, window_s: float) -> Size:
    """Return peak and signal-to-noise ratio of each onset.

    The amplitude is the largest absolute value over components in `window_s` after the onset, counted
    from the mean of the noise, so that an offset of the recorder does not enter. The ratio divides it by
    the root mean square of the noise, less its mean, of the component that has it. A component counts
    if it has half of the samples of the noise, and one after the onset.

    Parameters
    ----------
    traces : ndarray of float32, shape (component, sample)
        Gaps NaN.
    onsets : ndarray of int, shape (pick,)
        Sample of each onset.
    rate_hz : float
    window_s : float
    """
    from seisflow.picking.kernels.amplitudes import measure

    early, late = _noise_samples(rate_hz)
    peaks, noises = np.full((2, len(onsets)), np.nan)
    n_measured = np.zeros(len(onsets), np.int64)
    measure(traces, onsets, (early, late), _after(window_s, rate_hz), peaks, noises, n_measured)
    snr = peaks / np.where(noises > 0, noises, np.nan)
    return Size(peaks.astype(np.float32), snr.astype(np.float32), n_measured)


def with_amplitudes(
    picks: pd.DataFrame, waveforms: xr.Dataset, window_s: float, motion: Motion | None = None
) -> pd.DataFrame:
    """Return picks with the columns amplitude, amplitude_unit and snr.

    With `motion`, a pick is measured in what it gives if that has every component that the waveforms
    have there; else in the waveforms.
    """
    rate_hz = float(waveforms.attrs["sampling_rate_hz"])
    onsets = samples_of(picks["time"].to_numpy(dtype="datetime64[ns]"), waveforms)
    size = measured(_traces(waveforms), onsets, rate_hz, window_s)
    unit = np.full(len(picks), str(waveforms.attrs.get("units", "count")), object)
    if motion is not None and len(picks):
        spans = np.stack([onsets - _noise_samples(rate_hz)[0], onsets + _after(window_s, rate_hz)], axis=1)
        restored = motion(np.clip(spans, 0, waveforms.sizes["time"]))
        physical = measured(_traces(restored), onsets, rate_hz, window_s)
        is_whole = physical.n_measured >= size.n_measured
        size.amplitude[is_whole] = physical.amplitude[is_whole]
        size.snr[is_whole] = physical.snr[is_whole]
        unit[is_whole] = str(restored.attrs["units"])
    unit[size.n_measured == 0] = None
    return picks.assign(amplitude=size.amplitude, amplitude_unit=unit, snr=size.snr)


def samples_of(times: NDArray[np.datetime64], waveforms: xr.Dataset) -> NDArray[np.int64]:
    """Return the sample of the waveforms that is nearest to each time."""
    if not len(times):
        return np.zeros(0, np.int64)
    half = np.timedelta64(round(0.5e9 / float(waveforms.attrs["sampling_rate_hz"])), "ns")
    nearest: NDArray[np.int64] = np.searchsorted(waveforms["time"].to_numpy(), times - half)
    return np.minimum(nearest, waveforms.sizes["time"] - 1)


def _traces(waveforms: xr.Dataset) -> NDArray[np.float32]:
    return np.asarray(waveforms["waveform"].to_numpy(), np.float32)


def _noise_samples(rate_hz: float) -> tuple[int, int]:
    """Return how many samples before an onset its noise begins and ends."""
    late = round(NOISE_S[1] * rate_hz)
    return max(round(NOISE_S[0] * rate_hz), late + 2), late


def _after(window_s: float, rate_hz: float) -> int:
    return max(round(window_s * rate_hz), 1)
