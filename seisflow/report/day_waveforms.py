"""Waveforms as figures show them: band-passed piece by piece, and their envelope by columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from seisflow.keys import Window, seconds
from seisflow.picking.characteristic import bandpassed
from seisflow.report.day_curves import largest

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["band_of", "envelope", "filtered_piece", "overview_component"]

LEAD_S = 30.0
"""Waveform before a piece that the filter sees first."""


def band_of(rate_hz: float) -> tuple[float, float]:
    """Return the band in which waveforms are drawn, Hz: that of local earthquakes, if the rate holds it."""
    high_hz = min(16.0, 0.4 * rate_hz)
    return min(1.5, 0.1 * high_hz), high_hz


def filtered_piece(
    waveforms: xr.Dataset, component: int, span: Window, band: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return one component in a span, band-passed: seconds after the start of the span, and samples."""
    rate_hz = float(waveforms.attrs["sampling_rate_hz"])
    times = waveforms["time"].to_numpy()
    first, low, high = np.searchsorted(times, [span.start - seconds(LEAD_S), span.start, span.end])
    piece = np.asarray(waveforms["waveform"][component, first:high].to_numpy(), np.float32)
    time_s = (times[low:high] - span.start) / np.timedelta64(1, "ns") * 1e-9
    return time_s, bandpassed(piece, rate_hz, *band)[low - first :]


def overview_component(waveforms: xr.Dataset) -> int:
    """Return the component of the overview: the vertical where it has samples, or the first that has."""
    letters = [str(letter) for letter in waveforms["component"].to_numpy()]
    present = [bool(np.isfinite(waveforms["waveform"][i].to_numpy()).any()) for i in range(len(letters))]
    ranked = sorted(range(len(letters)), key=lambda i: (not present[i], letters[i] != "Z", i))
    return ranked[0]


def envelope(
    time_s: NDArray[np.float64], samples: NDArray[np.float32], n: int, length_s: float
) -> NDArray[np.float32]:
    """Return the least and the largest sample of each of `n` columns, shape (2, column); NaN in gaps."""
    both = np.full((2, n), np.nan, np.float32)
    largest(both, time_s * (n / length_s), np.stack([-samples, samples]))
    both[0] *= -1
    return both
