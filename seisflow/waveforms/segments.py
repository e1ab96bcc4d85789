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

    def _parts(
        self, first: NDArray[np.int64], stop: NDArray[np.int64], is_in: NDArray[np.bool_]
    ) -> Segments:
        """Return samples ``[first, stop)`` of the segments that are in."""
        first, stop = first[is_in], stop[is_in]
        starts_ns = self.starts_ns[is_in] + _duration_ns(first, self.rate_hz)
        return self._replace(starts_ns=starts_ns, offsets=self.offsets[is_in] + first, lengths=stop - first)

    def finite(self) -> Segments:
        """Return the same without infinite and NaN samples; they are gaps."""
        if self.samples.dtype.kind != "f" or np.isfinite(self.samples).all():
            return self
        edges = np.flatnonzero(np.diff(np.isfinite(self.samples).astype(np.int8), prepend=0, append=0))
        # A run ends where its samples or its segment end: cut runs at the segments' borders.
        pieces = [self._parts(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(len(self.lengths), bool))]
        for low, high in edges.reshape(-1, 2):
            first = np.maximum(low - self.offsets, 0)
            stop = np.minimum(high - self.offsets, self.lengths)
            pieces.append(self._parts(first, stop, stop > first))
        starts_ns, offsets, lengths = (
            np.concatenate([getattr(piece, name) for piece in pieces])
            for name in ("starts_ns", "offsets", "lengths")
        )
        return self._replace(starts_ns=starts_ns, offsets=offsets, lengths=lengths)


def segments_of(channel: ChannelTraces, rate_hz: Fraction) -> Segments:
    """Return the segments of a channel; every sample of its traces that is a number."""
    samples = channel.samples
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
    if not n.any():
        return n
    return np.array([round(int(k) * _SECOND / rate_hz) for k in n], dtype=np.int64)
