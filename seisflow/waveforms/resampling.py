"""Band-limited resampling between any two rates, onto times given beforehand.

One Kaiser-windowed sinc serves as anti-alias filter and interpolator (Smith & Gossett 1984): its
stop band begins at the lower of the two Nyquist frequencies. Each output sample is computed from
the input around its own time, so the result neither depends on where a record was cut nor shifts
it, whatever the ratio of the rates and the offset between the two grids.

References
----------
Smith, J. O. & Gossett, P. (1984). A flexible sampling-rate conversion method. Proc. IEEE ICASSP 9,
112-115, doi:10.1109/ICASSP.1984.1172555.
Kaiser, J. F. & Schafer, R. W. (1980). On the use of the I0-sinh window for spectrum analysis. IEEE
Trans. ASSP 28, 105-107, doi:10.1109/TASSP.1980.1163349.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seisflow.waveforms.grid import Grid
    from seisflow.waveforms.merging import Merged

__all__ = ["HALF_WIDTH", "filter_table", "resample_onto"]

HALF_WIDTH = 32
"""Half the length of the filter, in samples of the lower rate."""

_CUTOFF = 0.46
"""-6 dB point, as a part of the lower rate; the band is flat to 0.42 and closed at 0.5."""

_BETA = 7.857
"""Kaiser's parameter for 80 dB in the stop band."""

_PHASES = 256
"""Positions of the filter to a sample of the lower rate."""


def resample_onto(merged: Merged, grid: Grid, out: NDArray[np.float32]) -> None:
    """Fill `out` at the times of `grid` from the runs of a channel; the rest of `out` is left as it is.

    At the ends of a run the signal is continued by its mirror image, so the half-width of the
    filter beside a gap is an estimate. No sample outside a run is filled.

    Parameters
    ----------
    merged : Merged
    grid : Grid
    out : numpy.ndarray of float32, shape (grid.n,)
    """
    ratio = float(merged.rate_hz / grid.rate_hz)  # input samples per output sample
    origin = float((grid.start_ns - merged.start_ns) * merged.rate_hz / 10**9)
    table = filter_table(max(1.0, ratio))
    _interpolate(merged.values, merged.runs, origin, ratio, table, out)


@lru_cache(maxsize=8)
def filter_table(stretch: float) -> NDArray[np.float64]:
    """Return the filter for positions between two input samples, the last one again.

    They are 256 to a sample of the lower rate, so that the size of the table does not grow with `stretch`.

    Parameters
    ----------
    stretch : float
        Input samples per sample of the lower rate: 1 when the rate goes up.

    Returns
    -------
    numpy.ndarray of float64, shape (positions + 1, 2 * half)
        Row r weighs the input samples ``-half + 1 ... half`` for a time ``r / positions`` after sample 0;
        every row sums to one.
    """
    half = int(np.ceil(HALF_WIDTH * stretch))
    phases = int(np.ceil(_PHASES / stretch))
    distance = np.arange(-half + 1, half + 1)[None, :] - np.arange(phases + 1)[:, None] / phases
    window = np.i0(_BETA * np.sqrt(np.maximum(0.0, 1.0 - (distance / half) ** 2)))
    taps = window * np.sinc(2.0 * _CUTOFF / stretch * distance)
    table: NDArray[np.float64] = taps / taps.sum(axis=1, keepdims=True)
    return table


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _interpolate(
    values: NDArray[Any],
    runs: NDArray[np.int64],
    origin: float,
    ratio: float,
    table: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:
    """Evaluate the filter at ``origin + k * ratio`` (input samples) for every k inside a run."""
    width = table.shape[1]
    half = width // 2
    phases = table.shape[0] - 1
    slack = 1e-6
    for r in range(runs.shape[0]):
        start, end = runs[r, 0], runs[r, 1]
        first = max(0, int(np.ceil((start - origin - slack) / ratio)))
        last = min(out.shape[0] - 1, int(np.floor((end - 1 - origin + slack) / ratio)))
        for k in range(first, last + 1):
            position = origin + k * ratio
            whole = int(np.floor(position))
            phase = (position - whole) * phases
            row = min(int(phase), phases - 1)
            part = phase - row
            lower, upper = table[row], table[row + 1]
            left = whole - half + 1
            before, after = 0.0, 0.0
            if left >= start and left + width <= end:
                near = values[left : left + width]
                for j in range(width):
                    before += near[j] * lower[j]
                    after += near[j] * upper[j]
            else:
                for j in range(width):
                    value = values[_mirrored(left + j, start, end)]
                    before += value * lower[j]
                    after += value * upper[j]
            out[k] = before + part * (after - before)


@numba.njit(cache=True, nogil=True)
def _mirrored(i: int, start: int, end: int) -> int:
    """Return the index in ``[start, end)`` that mirrors `i` at the ends, as often as needed."""
    period = 2 * (end - start - 1)
    if period == 0:
        return start
    offset = (i - start) % period
    return start + min(offset, period - offset)
