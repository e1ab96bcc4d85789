"""Ground motion around a few instants of a day, at a fraction of what it costs for the whole day.

Dividing by a response within a band of frequency is a filter, and its effect dies out within some
periods of the lowest frequency. So it is cut to that length once for each channel, and run over
blocks that hold the samples that are wanted. A restored sample depends on the counts around it
and on nothing else: not on where the record is cut, nor on what else is wanted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from seisflow.errors import MetadataError
from seisflow.method import Method
from seisflow.waveforms.response import band_corners_hz, band_taper, epochs_of, span_of, to_velocity

if TYPE_CHECKING:
    import obspy
    import xarray as xr
    from numpy.typing import NDArray

__all__ = ["Amplitudes", "restore_motion"]

_PERIODS = 8.0
"""Half the length of the filter, in periods of the lowest frequency."""

_BATCH = 64
"""Blocks that are filtered at once."""


class Amplitudes(Method):
    """In which unit the amplitudes of picks are measured."""

    room: ClassVar[str] = "waveforms"
    name: ClassVar[str] = "amplitudes"

    remove_response: Literal["velocity", "none"] = "velocity"
    """`velocity` gives m/s wherever the inventory has the full response of every component, and the unit of
    the waveforms elsewhere; `none` reads no responses, and gives the unit of the waveforms (count)."""

    lowest_frequency_hz: Annotated[float, Field(gt=0)] = 0.5
    """Lowest frequency of the ground velocity, Hz; below half of it nothing is left."""

    @property
    def margin_s(self) -> float:
        """Seconds of waveform that a restored sample depends on, before and after it."""
        return 3.0 * _PERIODS / self.lowest_frequency_hz if self.remove_response == "velocity" else 0.0


def restore_motion(
    waveforms: xr.Dataset,
    spans: NDArray[np.int64],
    inventory: obspy.Inventory,
    lowest_frequency_hz: float,
) -> xr.Dataset:
    """Return the ground velocity of some spans of a record.

    The band has cosine flanks from half the lowest frequency up to it, and from 0.8 to 0.95 of the
    Nyquist frequency of the recording. A sensor of acceleration is integrated. Gaps are bridged
    by straight lines; beside gaps of more than 16 periods of the lowest frequency, and at the ends
    of an epoch, the nearest sample goes on.

    Parameters
    ----------
    waveforms : xarray.Dataset
        `waveform(component, time)` in counts, gaps NaN, with the attribute sampling_rate_hz and the
        scalar coordinates network, station, location and band.
    spans : ndarray of int, shape (span, 2)
        First sample, and one past the last, of what is wanted; in any order, they may overlap.
    inventory : obspy.Inventory
    lowest_frequency_hz : float

    Returns
    -------
    xarray.Dataset
        As `waveforms`, in m/s; NaN outside the spans (blocks may reach beyond them), in gaps, and where
        there is no full response. The attribute `problems` lists the channels without one.
    """
    values = waveforms["waveform"].to_numpy()
    moved = np.full(values.shape, np.nan, np.float32)
    codes = ".".join(str(waveforms.coords[name].item()) for name in ("network", "station", "location"))
    spans, times = _joined(spans), waveforms["time"].to_numpy()
    rate_hz = float(waveforms.attrs["sampling_rate_hz"])
    problems: list[str] = []
    for row, letter in enumerate(waveforms["component"].to_numpy()):
        channel_id = f"{codes}.{waveforms.coords['band'].item()}{letter}"
        wanted = spans
        for epoch in epochs_of(inventory, channel_id):
            extent = span_of(times, epoch)
            inside = np.clip(wanted, extent.start, extent.stop)
            inside = inside[inside[:, 1] > inside[:, 0]]
            wanted = _without(wanted, extent)
            if not len(inside) or not np.isfinite(values[row, extent]).any():
                continue
            try:
                inverse = _inverse(epoch, channel_id, rate_hz, lowest_frequency_hz)
            except MetadataError as error:
                problems.append(str(error))
                continue
            _filter(values[row, extent], inside - extent.start, inverse, moved[row, extent])
        if any(np.isfinite(values[row, first:stop]).any() for first, stop in wanted):
            problems.append(f"{channel_id} has no response at {times[wanted[0, 0]]}")
    restored = waveforms.copy(data={"waveform": moved})
    restored.attrs |= {"units": "m/s", "problems": problems}
    return restored


def _joined(spans: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return spans in order, those that meet or overlap as one."""
    spans = spans[np.argsort(spans[:, 0], kind="stable")].reshape(-1, 2)
    reached = np.maximum.accumulate(spans[:, 1])
    is_first = np.append(True, spans[1:, 0] > reached[:-1])[: len(spans)]
    is_last = np.append(is_first[1:], True)[: len(spans)]
    return np.stack([spans[is_first, 0], reached[is_last]], axis=1)


def _without(spans: NDArray[np.int64], extent: slice) -> NDArray[np.int64]:
    """Return what of some spans lies outside an extent."""
    before = np.minimum(spans, extent.start)
    after = np.maximum(spans, extent.stop)
    outside = np.concatenate([before, after])
    return _joined(outside[outside[:, 1] > outside[:, 0]])


def _inverse(epoch: Any, channel_id: str, rate_hz: float, lowest_hz: float) -> NDArray[np.float64]:
    """Return the filter from counts to velocity: an odd number of coefficients, time zero in the middle.

    Their sum is zero, so that an offset of the recorder has no effect.
    """
    from scipy.fft import irfft, next_fast_len
    from scipy.signal.windows import tukey

    corners = band_corners_hz(lowest_hz, 0.5 * min(rate_hz, epoch.sample_rate or rate_hz))
    if not corners[1] < corners[2]:
        raise MetadataError(f"{channel_id} records nothing above {lowest_hz:g} Hz, the lowest frequency")
    response = epoch.response
    if response is None or not response.response_stages:
        raise MetadataError(f"{channel_id} has no full response from {epoch.start_date}")
    n_half = round(_PERIODS / lowest_hz * rate_hz)
    n_design = next_fast_len(16 * n_half, real=True)
    frequencies = np.arange(n_design // 2 + 1) * (rate_hz / n_design)
    is_in = (frequencies > corners[0]) & (frequencies < corners[3])
    spectrum = np.zeros(len(frequencies), complex)
    try:
        spectrum[is_in] = band_taper(frequencies[is_in], corners) / to_velocity(response, frequencies[is_in])
    except Exception as error:  # obspy and evalresp raise many kinds
        raise MetadataError(f"{channel_id} has a response that can not be evaluated: {error}") from error
    if not np.isfinite(spectrum).all():
        raise MetadataError(f"{channel_id} has a response that is zero within the band")
    long = irfft(spectrum, n_design)
    window = tukey(2 * n_half + 1, 0.5)
    inverse = np.concatenate([long[-n_half:], long[: n_half + 1]]) * window
    inverse -= window * (inverse.sum() / window.sum())
    coefficients: NDArray[np.float64] = inverse
    return coefficients


def _filter(
    values: NDArray[np.float32],
    spans: NDArray[np.int64],
    inverse: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:
    """Write the filtered values of some spans, block by block; gaps stay as they are in `out`."""
    from scipy.fft import irfft, next_fast_len, rfft

    n_half = len(inverse) // 2
    lengths = (n_half // 8 + 1, n_half // 4 + 1, n_half // 2 + 1, n_half)
    n_block = min(lengths, key=lambda n: len(_block_starts(spans, n)) * (n + 2 * n_half))
    n_fft = next_fast_len(n_block + 2 * n_half, real=True)
    transfer = rfft(inverse, n_fft)
    starts = _block_starts(spans, n_block)
    for low in range(0, len(starts), _BATCH):
        batch = starts[low : low + _BATCH]
        windows = _windows(values, batch - n_half, n_block + 2 * n_half, 2 * n_half)
        filtered = irfft(rfft(windows, n_fft) * transfer, n_fft, overwrite_x=True)
        for start, samples in zip(batch, filtered[:, 2 * n_half : 2 * n_half + n_block], strict=True):
            there = out[start : start + n_block]
            is_open = np.isfinite(values[start : start + n_block])
            there[is_open] = samples[: len(there)][is_open]


def _block_starts(spans: NDArray[np.int64], n_block: int) -> NDArray[np.int64]:
    """Return where blocks begin that cover some ordered spans; near spans share blocks."""
    starts: list[int] = []
    reached = 0
    for first, stop in spans.tolist():
        begin = max(first, reached)
        starts += range(begin, stop, n_block)
        reached = max(reached, starts[-1] + n_block) if starts else 0
    return np.array(starts, np.int64)


def _windows(
    values: NDArray[np.float32], starts: NDArray[np.int64], n: int, n_bridged: int
) -> NDArray[np.float64]:
    """Return `n` samples from each start, none missing."""
    index = starts[:, None] + np.arange(n)
    is_outside = (index < 0) | (index >= len(values))
    windows: NDArray[np.float64] = values[np.clip(index, 0, len(values) - 1)].astype(np.float64)
    windows[is_outside] = np.nan
    for k in np.flatnonzero(~np.isfinite(windows).all(axis=1)):
        windows[k] = _bridged(values, int(starts[k]), n, n_bridged)
    return windows


def _bridged(values: NDArray[np.float32], start: int, n: int, n_bridged: int) -> NDArray[np.float64]:
    """Return `n` samples, gaps of at most `n_bridged` filled by straight lines, others by the nearest sample.

    The two sides of a long gap meet in its middle, too far from both to be felt.
    """
    low, high = max(start - n_bridged, 0), min(start + n + n_bridged, len(values))
    held = low + np.flatnonzero(np.isfinite(values[low:high]))
    if not len(held):
        return np.zeros(n)
    height = values[held].astype(np.float64)
    before = np.flatnonzero(np.diff(held) > n_bridged + 1)
    middle = (held[before] + held[before + 1]) // 2
    where = np.concatenate([held, middle, middle + 1])
    heights = np.concatenate([height, height[before], height[before + 1]])
    order = np.argsort(where)
    bridged: NDArray[np.float64] = np.interp(np.arange(start, start + n), where[order], heights[order])
    return bridged
