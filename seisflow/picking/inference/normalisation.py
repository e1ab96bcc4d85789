"""How windows are brought to one scale before a network sees them: compiled, one pass, no copies between.

Sums are in float64, so that the offset of a recorder does not eat the digits of the signal; the mean is
rounded to float32 as the samples are. A component that does not move within a window is zero in it.
"""

from __future__ import annotations

from typing import Any, Literal

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["SCALES", "TAPER", "Scale", "gather_windows"]

Scale = Literal["none", "std", "peak", "std of all", "peak of all"]
SCALES: tuple[Scale, ...] = ("none", "std", "peak", "std of all", "peak of all")
EPSILON = 1e-10
"""Added to the scale, as SeisBench does."""
TAPER = np.float32(0.5) * (1 + np.cos(np.linspace(np.pi, 2 * np.pi, 6, dtype=np.float32)).astype(np.float32))
"""Rise of the cosine taper that EQTransformer puts on both ends of a window."""


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def gather_windows(
    memory: NDArray[np.float32],
    offsets: NDArray[np.int64],
    starts: NDArray[np.int64],
    out: NDArray[np.float32],
    demean: bool,
    detrend: bool,
    scale: int,
    taper: NDArray[np.float32],
    live: NDArray[np.bool_],
) -> None:
    """Copy windows out of a record and normalise them.

    Parameters
    ----------
    memory : ndarray of float32
        The traces, each in one piece. Missing samples NaN: zeros in the windows before their mean is removed.
    offsets : ndarray of int64, shape (channel,)
        Where in `memory` the trace for each channel of the network begins; -1 for a channel of zeros.
    starts : ndarray of int64, shape (window,)
    out : ndarray of float32, shape (window, channel, sample)
    demean, detrend : bool
        Remove the mean, and a straight line.
    scale : int
        Index into `SCALES`: nothing, each channel by its standard deviation or its peak, or all
        channels of a window by one.
    taper : ndarray of float32
        Factors on the first samples, and reversed on the last; may be empty.
    live : ndarray of bool, shape (window,)
        Set to whether any component moves within the window.
    """
    n = out.shape[2]
    for i in range(len(starts)):
        start = starts[i]
        square_of_all, peak_of_all = 0.0, np.float32(0)
        live[i] = False
        for c in range(len(offsets)):
            x = out[i, c]
            if offsets[c] < 0:
                x[:] = 0
                continue
            _copy(memory[offsets[c] + start : offsets[c] + start + n], x, demean)
            if detrend:
                _remove_line(x)
            square = _sum_of_squares(x)
            live[i] |= square > 0
            if scale == 1 or scale == 2:
                factor = _inverse(np.sqrt(square / (n - 1)) if scale == 1 else _peak(x))
                for j in range(n):
                    x[j] *= factor
            square_of_all += square
            if scale == 4:
                peak_of_all = max(peak_of_all, _peak(x))
        factor = np.float32(1)
        if scale == 3:
            factor = _inverse(np.sqrt(square_of_all / (n * len(offsets) - 1)))
        elif scale == 4:
            factor = _inverse(peak_of_all)
        if scale >= 3 or len(taper) > 0:
            for c in range(len(offsets)):
                x = out[i, c]
                for j in range(n):
                    x[j] *= factor
                for j in range(len(taper)):
                    x[j] *= taper[j]
                    x[n - 1 - j] *= taper[j]


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _copy(raw: NDArray[np.float32], x: NDArray[np.float32], demean: bool) -> None:
    """Copy samples, zeros for missing ones, and remove their mean if wished."""
    n = len(raw)
    total: Any = 0.0
    for j in range(n):
        value = raw[j] if raw[j] == raw[j] else np.float32(0)
        x[j] = value
        total += value
    if demean:
        mean = np.float32(total / n)
        for j in range(n):
            x[j] -= mean


@numba.njit(cache=True, nogil=True)
def _inverse(scale: Any) -> np.float32:
    return np.float32(1 / (np.float32(scale) + EPSILON)) if scale > 0 else np.float32(0)


@numba.njit(cache=True, nogil=True)
def _peak(x: NDArray[np.float32]) -> Any:
    peak = np.float32(0)
    for value in x:
        peak = max(peak, abs(value))
    return peak


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _sum_of_squares(x: NDArray[np.float32]) -> float:
    """Return the sum of squares about the mean; what rounding left of the mean is taken out."""
    n = len(x)
    total, square = 0.0, 0.0
    for j in range(n):
        value = np.float64(x[j])
        total += value
        square += value * value
    return max(square - total * total / n, 0.0)


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _remove_line(x: NDArray[np.float32]) -> None:
    n = len(x)
    total, slope, square = 0.0, 0.0, 0.0
    step = 2.0 / (n - 1)
    for j in range(n):
        total += x[j]
    mean = np.float32(total / n)
    for j in range(n):
        clock = j * step - 1.0
        slope += (x[j] - mean) * clock
        square += clock * clock
    slope /= square
    for j in range(n):
        x[j] = np.float32(x[j] - mean - slope * (j * step - 1.0))
