"""Put the segments of one channel together: overlaps once, contradictions out, gaps open."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seisflow.waveforms.grid import Grid
    from seisflow.waveforms.segments import Segments

__all__ = ["Layout", "Merged", "lay_out", "place"]

_SECOND = 10**9
_CONTIGUOUS = 0.75
"""Samples. A segment that starts this close to the end of the one before it continues it. It is
more than half a sample, so that a start time which wanders about the half neither tears nor
doubles the sample between them."""


class Merged(NamedTuple):
    """All samples of one channel and rate on its own grid.

    Attributes
    ----------
    start_ns : Fraction
        Time of the first sample, nanoseconds since 1970.
    rate_hz : Fraction
    values : numpy.ndarray, shape (n,)
        In the type of the data; meaningless where nothing is held.
    runs : numpy.ndarray of int64, shape (runs, 2)
        First index and end index of each run of held samples.
    conflicts : numpy.ndarray of int64, shape (conflicts,)
        Where overlapping segments contradict each other; these samples are not held.
    """

    start_ns: Fraction
    rate_hz: Fraction
    values: NDArray[Any]
    runs: NDArray[np.int64]
    conflicts: NDArray[np.int64]


class Layout(NamedTuple):
    """Where the segments of one channel and one rate stand on its grid.

    Attributes
    ----------
    start_ns : Fraction
        Time of the first sample.
    rate_hz : Fraction
    n : int
        Samples from the first to the last.
    parts : sequence of Segments
    firsts : list of numpy.ndarray of int64
        Index of the first sample of each segment of each part.
    is_overlapping : bool
        Whether any sample is held twice.
    """

    start_ns: Fraction
    rate_hz: Fraction
    n: int
    parts: Sequence[Segments]
    firsts: list[NDArray[np.int64]]
    is_overlapping: bool

    def merged(self) -> Merged:
        """Return the samples, each once; those that segments disagree on are left out."""
        dtype = np.result_type(*{part.samples.dtype for part in self.parts})
        is_whole = len(self.parts) == 1 and len(self.firsts[0]) == 1
        if is_whole:  # nothing to put together
            part = self.parts[0]
            values = part.samples[part.offsets[0] : part.offsets[0] + self.n]
            return Merged(self.start_ns, self.rate_hz, values, np.array([[0, self.n]]), np.zeros(0, np.int64))
        values = np.zeros(self.n, dtype)
        if not self.is_overlapping:
            self._copy_onto(values, 0)
            return Merged(self.start_ns, self.rate_hz, values, self._runs(), np.zeros(0, np.int64))
        state = np.zeros(self.n, np.uint8)
        for part, firsts in zip(self.parts, self.firsts, strict=True):
            _lay_checked(part.samples, part.offsets, part.lengths, firsts, values, state)
        edges = np.flatnonzero(np.diff((state == 1).astype(np.int8), prepend=0, append=0))
        return Merged(self.start_ns, self.rate_hz, values, edges.reshape(-1, 2), np.flatnonzero(state > 1))

    def write(self, grid: Grid, out: NDArray[np.float32]) -> None:
        """Fill `out` on a grid of the same rate: segments, which do not overlap, and NaN between them.

        This is `merged` and `place` in one pass, for the many days on which nothing overlaps.
        """
        shift = round(grid.index_of(self.start_ns))
        _open_gaps(self._runs() + shift, out)
        self._copy_onto(out, shift)

    def _copy_onto(self, out: NDArray[Any], shift: int) -> None:
        for part, firsts in zip(self.parts, self.firsts, strict=True):
            _lay(part.samples, part.offsets, part.lengths, firsts + shift, out)

    def _runs(self) -> NDArray[np.int64]:
        firsts = np.concatenate(self.firsts)
        ends = firsts + np.concatenate([part.lengths for part in self.parts])
        order = np.argsort(firsts)
        firsts, ends = firsts[order], ends[order]
        is_head = np.concatenate([[True], firsts[1:] != ends[:-1]])
        return np.stack([firsts[is_head], ends[np.roll(is_head, -1)]], axis=1)


def lay_out(parts: Sequence[Segments]) -> Layout:
    """Put segments of one channel and one rate on one grid.

    The grid is that of the longest segment; others are put on its nearest sample, so no sample
    moves by more than half a sampling interval (three quarters where that closes a run). Samples
    that several segments hold are kept once if they are equal and left out if they are not.

    Parameters
    ----------
    parts : sequence of Segments
        All of one rate, at least one segment in each.
    """
    rate_hz = parts[0].rate_hz
    starts_ns, lengths = (
        np.concatenate([getattr(p, name) for p in parts]) for name in ("starts_ns", "lengths")
    )
    order = np.lexsort((-lengths, starts_ns))
    anchor_ns = int(starts_ns[order[np.argmax(lengths[order])]])
    own = (starts_ns - anchor_ns) * float(rate_hz) / _SECOND
    firsts = np.empty(len(order), np.int64)
    is_overlapping = _first_indices(own, lengths, order, firsts)
    lowest = int(firsts.min())
    firsts -= lowest
    borders = np.cumsum([len(part.lengths) for part in parts])[:-1]
    return Layout(
        anchor_ns + lowest * _SECOND / rate_hz,
        rate_hz,
        int((firsts + lengths).max()),
        parts,
        np.split(firsts, borders),
        bool(is_overlapping),
    )


def place(merged: Merged, grid: Grid, out: NDArray[np.float32]) -> None:
    """Copy the held samples to the nearest ones of a grid of the same rate."""
    shift = round(grid.index_of(merged.start_ns))
    starts, ends = merged.runs[:, 0].copy(), merged.runs[:, 1]
    _lay(merged.values, starts, ends - starts, starts + shift, out)


@numba.njit(cache=True, nogil=True)
def _first_indices(own: Any, lengths: Any, order: Any, firsts: Any) -> bool:
    """Fill in the index of each segment's first sample; return whether any two overlap."""
    reached, is_overlapping = 0, False
    for k in range(len(order)):
        i = order[k]
        if k and abs(own[i] - reached) <= _CONTIGUOUS:
            firsts[i] = reached
        else:
            firsts[i] = int(np.rint(own[i]))
        is_overlapping |= k > 0 and firsts[i] < reached
        reached = max(firsts[i] + lengths[i], reached) if k else firsts[i] + lengths[i]
    return is_overlapping


@numba.njit(cache=True, nogil=True)
def _lay(samples: Any, offsets: Any, lengths: Any, firsts: Any, out: Any) -> None:
    """Copy segments to their places in `out`, as far as they lie in it."""
    for s in range(len(firsts)):
        skip = max(0, -firsts[s])
        stop = min(lengths[s], len(out) - firsts[s])
        if stop > skip:
            source = samples[offsets[s] + skip : offsets[s] + stop]
            target = out[firsts[s] + skip : firsts[s] + stop]
            for i in range(len(target)):
                target[i] = source[i]


@numba.njit(cache=True, nogil=True)
def _open_gaps(runs: Any, out: Any) -> None:
    """Write NaN where no run is; runs are sorted and may reach beyond `out`."""
    reached = 0
    for r in range(len(runs)):
        for i in range(reached, min(runs[r, 0], len(out))):
            out[i] = np.nan
        reached = max(reached, runs[r, 1])
    for i in range(reached, len(out)):
        out[i] = np.nan


@numba.njit(cache=True, nogil=True)
def _lay_checked(samples: Any, offsets: Any, lengths: Any, firsts: Any, values: Any, state: Any) -> None:
    """Copy segments; `state` counts what is held: 0 nothing, 1 one value, 2 values that disagree."""
    for s in range(len(firsts)):
        for i in range(lengths[s]):
            at, value = firsts[s] + i, samples[offsets[s] + i]
            if state[at] == 0:
                values[at], state[at] = value, 1
            elif values[at] != value:
                state[at] = 2
