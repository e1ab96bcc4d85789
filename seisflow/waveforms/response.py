"""From counts to ground motion: divide by the sensitivity, or by the whole response."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from seisflow.errors import MetadataError

if TYPE_CHECKING:
    import obspy
    from numpy.typing import NDArray

__all__ = ["band_corners_hz", "band_taper", "epochs_of", "remove_response", "span_of", "to_velocity"]

_UPPER_TAPER = (0.8, 0.95)
"""Part of the Nyquist frequency where the pass-band ends, and where it is closed."""

_EVALUATING = threading.Lock()
"""obspy's evalresp keeps its state in global variables of C."""

_BLOCK = 1 << 20
"""Values that are worked on at once: a day of 200 Hz need not have several copies of itself."""


def remove_response(
    values: NDArray[np.float32],
    times: NDArray[np.datetime64],
    channel_id: str,
    inventory: obspy.Inventory,
    how: Literal["sensitivity", "velocity"],
    band_hz: tuple[float, float],
) -> tuple[NDArray[np.float32], str]:
    """Return the ground motion of one channel, and its unit.

    Parameters
    ----------
    values : numpy.ndarray of float32, shape (n,)
        Counts; missing samples NaN. They stay missing.
    times : numpy.ndarray of datetime64[ns], shape (n,)
        Equally spaced.
    channel_id : str
        NETWORK.STATION.LOCATION.CHANNEL
    inventory : obspy.Inventory
    how : {"sensitivity", "velocity"}
        Divide by the overall sensitivity, which keeps the kind of motion that the sensor measures;
        or by the full response, in frequency, to ground velocity in m/s.
    band_hz : tuple of float
        Lowest frequency to restore, and the Nyquist frequency of the data; for "velocity" only.

    Raises
    ------
    MetadataError
        If a sample lies in no epoch with a response.
    """
    moved = np.full(len(values), np.nan, dtype=np.float32)
    is_open, units = np.isfinite(values), set()
    for epoch in epochs_of(inventory, channel_id):
        is_in = span_of(times, epoch)
        if not is_open[is_in].any():
            continue
        response = _usable(epoch, channel_id)
        if how == "sensitivity":
            sensitivity = response.instrument_sensitivity
            np.divide(values[is_in], np.float32(sensitivity.value), out=moved[is_in])
            units.add(str(sensitivity.input_units).lower())
        else:
            rate_hz = 1e9 / float((times[-1] - times[0]).astype("int64")) * (len(times) - 1)
            moved[is_in] = _deconvolved(values[is_in], rate_hz, response, band_hz)
            units.add("m/s")
        is_open[is_in] = False
    if is_open.any():
        raise MetadataError(
            f"{channel_id} has no response at {times[is_open][0]}; add its StationXML to the inventory, "
            "or prepare with remove_response: none"
        )
    if len(units) > 1:
        raise MetadataError(f"{channel_id} changes its unit from {' to '.join(sorted(units))} within a day")
    return moved, units.pop() if units else "m/s"


def epochs_of(inventory: obspy.Inventory, channel_id: str) -> list[Any]:
    """Return the channel epochs of `channel_id`; '--' is a blank location code."""
    network, station, location, channel = channel_id.split(".")
    return [
        epoch
        for net in inventory
        if net.code == network
        for sta in net
        if sta.code == station
        for epoch in sta
        if epoch.code == channel and (epoch.location_code or "").replace("--", "").strip() == location
    ]


def span_of(times: NDArray[np.datetime64], epoch: Any) -> slice:
    """Return which samples lie in an epoch."""
    first, stop = 0, len(times)
    if epoch.start_date is not None:
        first = int(np.searchsorted(times, np.datetime64(epoch.start_date.ns, "ns")))
    if epoch.end_date is not None and epoch.end_date.year < 2200:  # later years mean 'still running'
        stop = int(np.searchsorted(times, np.datetime64(epoch.end_date.ns, "ns")))
    return slice(first, max(first, stop))


def _usable(epoch: Any, channel_id: str) -> Any:
    response = epoch.response
    sensitivity = response.instrument_sensitivity if response is not None else None
    if sensitivity is None or not sensitivity.value:
        raise MetadataError(f"{channel_id} has an epoch from {epoch.start_date}, but no response in it")
    return response


def _deconvolved(
    values: NDArray[np.float32], rate_hz: float, response: Any, band_hz: tuple[float, float]
) -> NDArray[np.float32]:
    """Divide by the response in the frequency domain, within a tapered band.

    Gaps are bridged by straight lines, the line between both ends is taken off, and the response is
    evaluated at a few thousand frequencies and interpolated: a day of 100 Hz has millions.
    """
    from scipy.fft import irfft, next_fast_len, rfft

    n, is_missing = len(values), ~np.isfinite(values)
    n_fft = next_fast_len(n + int(2.0 * rate_hz / band_hz[0]), real=True)
    spectrum = rfft(_levelled(values, is_missing), n_fft)
    step_hz = rate_hz / n_fft
    low, nyquist = band_hz
    corners = band_corners_hz(low, nyquist)
    first, stop = int(corners[0] / step_hz) + 1, int(np.ceil(corners[3] / step_hz))
    spectrum[:first] = 0.0
    spectrum[stop:] = 0.0
    knots = np.unique(
        np.concatenate(
            [np.geomspace(corners[0], corners[3], 4096), np.linspace(corners[0], corners[3], 4096)]
        )
    )
    transfer = to_velocity(response, knots)
    for begin in range(first, min(stop, len(spectrum)), _BLOCK):
        part = spectrum[begin : min(begin + _BLOCK, stop)]
        frequencies = np.arange(begin, begin + len(part)) * step_hz
        part *= band_taper(frequencies, corners) / (
            np.interp(frequencies, knots, transfer.real) + 1j * np.interp(frequencies, knots, transfer.imag)
        )
    restored: NDArray[np.float32] = irfft(spectrum, n_fft, overwrite_x=True)[:n].astype(np.float32)
    restored[is_missing] = np.nan
    return restored


def to_velocity(response: Any, frequencies_hz: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Return the counts that a ground velocity of 1 m/s gives at each frequency, by obspy's evalresp.

    It would print where the sensitivity that is stated is not that of the stages; the stages count.
    """
    with _EVALUATING:
        transfer: NDArray[np.complex128] = response.get_evalresp_response_for_frequencies(
            frequencies_hz, output="VEL", hide_sensitivity_mismatch_warning=True
        )
    return transfer


def _levelled(values: NDArray[np.float32], is_missing: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return values with gaps bridged by straight lines, less the line from the first to the last.

    At the ends the nearest sample goes on.
    """
    whole = values.astype(np.float64)
    if is_missing.any():
        # Only the samples beside gaps are needed to bridge them.
        held = np.flatnonzero(~is_missing & _is_beside(is_missing))
        missing = np.flatnonzero(is_missing)
        whole[missing] = np.interp(missing, held, whole[held])
    first, rise = whole[0], (whole[-1] - whole[0]) / max(len(whole) - 1, 1)
    for begin in range(0, len(whole), _BLOCK):
        part = whole[begin : begin + _BLOCK]
        part -= first + rise * np.arange(begin, begin + len(part))
    return whole


def _is_beside(is_missing: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which samples have a missing one before or behind them."""
    is_beside = np.zeros(len(is_missing), dtype=bool)
    is_beside[1:] |= is_missing[:-1]
    is_beside[:-1] |= is_missing[1:]
    return is_beside


def band_corners_hz(lowest_hz: float, nyquist_hz: float) -> tuple[float, float, float, float]:
    """Return where the band of restored motion opens, is open, ends to be, and is closed."""
    return lowest_hz / 2.0, lowest_hz, _UPPER_TAPER[0] * nyquist_hz, _UPPER_TAPER[1] * nyquist_hz


def band_taper(
    frequencies: NDArray[np.float64], corners: tuple[float, float, float, float]
) -> NDArray[np.float64]:
    """Return 1 between the inner corners and cosine flanks down to 0 at the outer ones."""
    rise = np.clip((frequencies - corners[0]) / (corners[1] - corners[0]), 0.0, 1.0)
    fall = np.clip((corners[3] - frequencies) / (corners[3] - corners[2]), 0.0, 1.0)
    taper: NDArray[np.float64] = 0.25 * (1.0 - np.cos(np.pi * rise)) * (1.0 - np.cos(np.pi * fall))
    return taper
