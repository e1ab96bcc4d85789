"""Put the segments of one channel together: overlaps once, contradictions out, gaps open."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import obspy
    from numpy.typing import NDArray

    from seisflow.keys import Window

__all__ = ["Merged", "Segment", "merge_segments", "segments_of"]

_SECOND = 10**9
_CONTIGUOUS = 0.75
"""Samples. A segment that starts this close to the end of the one before it continues it. It is
more than half a sample, so that a start time which wanders about the half neither tears nor
doubles the sample between them."""


class Segment(NamedTuple):
    """Samples without a gap.

    Attributes
    ----------
    start_ns : int
        Time of the first sample, nanoseconds since 1970.
    rate_hz : Fraction
    data : numpy.ndarray, shape (n,), any integer or float type
    """

    start_ns: int
    rate_hz: Fraction
    data: NDArray[Any]


class Merged(NamedTuple):
    """All samples of one channel and rate on its own grid.

    Attributes
    ----------
    start_ns : Fraction
        Time of the first sample, nanoseconds since 1970.
    rate_hz : Fraction
    values : numpy.ndarray, shape (n,)
        In the type of the data; meaningless where nothing is held.
    is_held : numpy.ndarray of bool, shape (n,)
    is_conflict : numpy.ndarray of bool, shape (n,)
        Where overlapping segments contradict each other; these samples are not held.
    """

    start_ns: Fraction
    rate_hz: Fraction
    values: NDArray[Any]
    is_held: NDArray[np.bool_]
    is_conflict: NDArray[np.bool_]

    def runs(self) -> NDArray[np.int64]:
        """Return first index and end index of each run of held samples, shape (runs, 2)."""
        edges = np.flatnonzero(np.diff(self.is_held.astype(np.int8), prepend=0, append=0))
        return edges.reshape(-1, 2).astype(np.int64)


def segments_of(trace: obspy.Trace, rate_hz: Fraction, extent: Window) -> list[Segment]:
    """Return the parts of a trace in `extent` that have no masked, infinite or NaN sample."""
    start_ns = int(trace.stats.starttime.ns)
    begin, end = (int(time.astype("int64")) for time in (extent.start, extent.end))
    first = max(0, -int((start_ns - begin) * rate_hz // _SECOND))
    stop = min(len(trace.data), -int((start_ns - end) * rate_hz // _SECOND))
    if stop <= first:
        return []
    data = trace.data[first:stop]
    values = np.ma.getdata(data)
    is_bad = np.ma.getmaskarray(data) if np.ma.isMaskedArray(data) else np.zeros(0, bool)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        is_bad = ~np.isfinite(values) | (is_bad if is_bad.size else False)
    if not is_bad.any():
        return [Segment(start_ns + round(first * _SECOND / rate_hz), rate_hz, values)]
    spans = np.flatnonzero(np.diff((~is_bad).astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    return [
        Segment(start_ns + round((first + int(a)) * _SECOND / rate_hz), rate_hz, values[a:b])
        for a, b in spans
    ]


def merge_segments(segments: Sequence[Segment]) -> Merged:
    """Put segments of one channel and one rate on one grid.

    The grid is that of the longest segment; others are put on its nearest sample, so no sample
    moves by more than half a sampling interval (three quarters where that closes a run). Samples
    that several segments hold are kept once if they are equal and left out if they are not.

    Parameters
    ----------
    segments : sequence of Segment
        At least one, in any order.
    """
    ordered = sorted(segments, key=lambda segment: (segment.start_ns, -len(segment.data)))
    anchor = max(ordered, key=lambda segment: len(segment.data))
    firsts = _first_indices(ordered, anchor)
    lowest = min(firsts)
    n = max(first + len(segment.data) for first, segment in zip(firsts, ordered, strict=True)) - lowest
    values = np.zeros(n, dtype=np.result_type(*{segment.data.dtype for segment in ordered}).newbyteorder("="))
    is_held, is_conflict = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    for first, segment in zip(firsts, ordered, strict=True):
        span = slice(first - lowest, first - lowest + len(segment.data))
        is_twice = is_held[span]
        if is_twice.any():
            is_conflict[span] |= is_twice & (values[span] != segment.data)
            values[span] = np.where(is_twice, values[span], segment.data)
        else:
            values[span] = segment.data
        is_held[span] = True
    is_held &= ~is_conflict
    start_ns = anchor.start_ns + lowest * _SECOND / anchor.rate_hz
    return Merged(start_ns, anchor.rate_hz, values, is_held, is_conflict)


def _first_indices(ordered: Sequence[Segment], anchor: Segment) -> list[int]:
    """Return the index of each segment's first sample on the grid of `anchor`."""
    firsts: list[int] = []
    reached: int | None = None
    for segment in ordered:
        own = float((segment.start_ns - anchor.start_ns) * segment.rate_hz / _SECOND)
        first = reached if reached is not None and abs(own - reached) <= _CONTIGUOUS else round(own)
        firsts.append(first)
        reached = max(first + len(segment.data), reached if reached is not None else first)
    return firsts
