"""Sample times: where a regular grid stands, exactly."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seisflow.keys import Window

__all__ = ["Grid", "exact_rate", "is_same_rate"]

_SECOND = 10**9
_SAME_RATE = 1e-8
"""Relative difference of rates that is no difference: a tenth of a sample over a day of 100 Hz."""


class Grid(NamedTuple):
    """A run of equally spaced samples.

    Attributes
    ----------
    start_ns : Fraction
        Time of the first sample, nanoseconds since 1970.
    rate_hz : Fraction
    n : int
        Number of samples.
    """

    start_ns: Fraction
    rate_hz: Fraction
    n: int

    @classmethod
    def over(cls, window: Window, rate_hz: Fraction, anchor_ns: int = 0) -> Self:
        """Return the samples in ``[start, end)`` of the endless grid that has one at `anchor_ns`.

        With the anchor 0 the grid is absolute: it does not depend on the window.
        """
        first, end = (
            math.ceil((int(time.astype("int64")) - anchor_ns) * rate_hz / _SECOND)
            for time in (window.start, window.end)
        )
        return cls(anchor_ns + first * _SECOND / rate_hz, rate_hz, end - first)

    def index_of(self, time_ns: int | Fraction) -> float:
        """Return where a time stands on the grid, in samples from the first."""
        return float((time_ns - self.start_ns) * self.rate_hz / _SECOND)

    def times(self) -> NDArray[np.datetime64]:
        """Return the times of all samples, datetime64[ns], to the nearest nanosecond."""
        whole = math.floor(self.start_ns)
        period = _SECOND / self.rate_hz
        if period.denominator == 1:
            first, step = round(self.start_ns), int(period)
            since_1970 = np.arange(first, first + self.n * step, step, dtype=np.int64)
        else:
            exact = np.arange(self.n) * float(period)
            exact += float(self.start_ns - whole)
            since_1970 = np.rint(exact, out=exact).astype(np.int64)
            since_1970 += whole
        times: NDArray[np.datetime64] = since_1970.view("datetime64[ns]")
        return times


def exact_rate(rate_hz: float) -> Fraction:
    """Return a sampling rate as the fraction it was meant to be (99.99 is 9999/100)."""
    return Fraction(rate_hz).limit_denominator(10**6)


def is_same_rate(one: Fraction, other: Fraction) -> bool:
    """Return whether samples of two rates stay together for a day."""
    return abs(one / other - 1) <= _SAME_RATE
