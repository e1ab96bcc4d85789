"""Runs of samples without a gap: what is cut, merged and resampled."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seisflow.keys import Window
    from seisflow.traces import ChannelTraces

__all__ = ["Segments", "segments_of"]

_SECOND = 10**9


class Segments(NamedTuple):
    """Runs of samples of one channel and rate, each without a gap, in any order; they may overlap.

    Attributes
    ----------
    rate_hz : Fraction
    starts_ns : numpy.ndarray of int64, shape (segments,)
        Time of the first sample of each, nanoseconds since 1970.
    offsets, lengths : numpy.ndarray of int64, shape (segments,)
        Where each stands in `samples`, and how many samples it has.
    samples : numpy.ndarray, any integer or float type
        Shared with the traces, never copied.
    """

    rate_hz: Fraction
    starts_ns: NDArray[np.int64]
    offsets: NDArray[np.int64]
    lengths: NDArray[np.int64]
    samples: NDArray[Any]

    @property
    def n_samples(self) -> int:
        """All samples, those that overlap counted as often as they are there."""
        return int(self.lengths.sum())

    def within(self, extent: Window) -> Segments:
        """Return what lies in ``[start, end)``."""
        begin, end = (int(time.astype("int64")) for time in (extent.start, extent.end))
        first = np.maximum(_samples_until(begin, self.starts_ns, self.rate_hz), 0)
        stop = np.minimum(_samples_until(end, self.starts_ns, self.rate_hz), self.lengths)
        return self._parts(first, stop, stop > first)

    def _parts(self, first: NDArray[np.int64], stop: NDArray[np.int64], is_in: NDArray[np.bool_]) -> Segments:
        """Return samples ``[first, stop)`` of the segments that are in."""
        first, stop = first[is_in], stop[is_in]
        starts_ns = self.starts_ns[is_in] + _duration_ns(first, self.rate_hz)
        return self._replace(starts_ns=starts_ns, offsets=self.offsets[is_in] + first, lengths=stop - first)

    def finite(self) -> Segments:
        """Return the same without infinite and NaN samples; they are gaps."""
        if self.samples.dtype.kind != "f" or np.isfinite(self.samples).all():
            return self
        is_open = np.isfinite(self.samples)
        is_head, is_tail = is_open.copy(), is_open.copy()
        is_head[1:] &= ~is_open[:-1]
        is_tail[:-1] &= ~is_open[1:]
        is_head[self.offsets] = is_open[self.offsets]  # a run ends where its segment ends
        is_tail[self.offsets[1:] - 1] = is_open[self.offsets[1:] - 1]
        heads, ends = np.flatnonzero(is_head), np.flatnonzero(is_tail) + 1
        of = np.searchsorted(self.offsets, heads, side="right") - 1
        starts_ns = self.starts_ns[of] + _duration_ns(heads - self.offsets[of], self.rate_hz)
        return self._replace(starts_ns=starts_ns, offsets=heads, lengths=ends - heads)


def segments_of(channel: ChannelTraces, rate_hz: Fraction) -> Segments:
    """Return the segments of a channel; every sample of its traces that is a number."""
    samples: NDArray[Any] = channel.samples
    if not samples.dtype.isnative:
        samples = samples.astype(samples.dtype.newbyteorder("="))
    return Segments(rate_hz, channel.starts_ns, channel.offsets, channel.lengths, samples).finite()


def _samples_until(time_ns: int, starts_ns: NDArray[np.int64], rate_hz: Fraction) -> NDArray[np.int64]:
    """Return how many samples of a segment lie before a time, exactly, below zero where it starts later."""
    numerator, denominator = rate_hz.numerator, rate_hz.denominator * _SECOND
    since_ns = time_ns - starts_ns
    if len(since_ns) and int(np.abs(since_ns).max()) * numerator >= 2**62:
        since_ns = since_ns.astype(object)  # whole numbers of any size
    count: NDArray[np.int64] = (-(-since_ns * numerator // denominator)).astype(np.int64)
    return count


def _duration_ns(n: NDArray[np.int64], rate_hz: Fraction) -> NDArray[np.int64]:
    """Return how long `n` samples last, to the nearest nanosecond."""
    numerator, denominator = rate_hz.numerator, rate_hz.denominator * _SECOND
    whole = n.astype(object) if len(n) and int(n.max()) * 2 * denominator >= 2**62 else n
    duration_ns: NDArray[np.int64] = ((2 * whole * denominator + numerator) // (2 * numerator)).astype(
        np.int64
    )
    return duration_ns
