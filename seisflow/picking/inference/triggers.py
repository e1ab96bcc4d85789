"""Picks from curves of probability, piece by piece: triggers as obspy's, or maxima that stand alone."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from seisflow.picking.inference.stacking import Piece

__all__ = ["Onsets", "PeakFinder", "Trigger"]


class Onsets(NamedTuple):
    """Picks of one phase.

    Attributes
    ----------
    start, peak, end : ndarray of int64, shape (pick,)
        Sample where the trigger begins, where the curve is largest, and the last of the trigger.
    probability : ndarray of float32, shape (pick,)
        Value of the curve at its largest.
    """

    start: NDArray[np.int64]
    peak: NDArray[np.int64]
    end: NDArray[np.int64]
    probability: NDArray[np.float32]

    @classmethod
    def joined(cls, parts: list[Onsets]) -> Onsets:
        """Return the picks of several parts in one."""
        if not parts:
            nothing = np.empty(0, np.int64)
            return cls(nothing, nothing, nothing, np.empty(0, np.float32))
        return cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class Trigger:
    """A trigger starts where a curve reaches `on` and ends before it falls below `off`.

    Its pick is the largest value; of equal ones the first. As `obspy.signal.trigger.trigger_onset`, but a
    record may come in pieces. A trigger ends with its stretch.
    """

    def __init__(self, on: float, off: float) -> None:
        self._on, self._off = np.float32(on), np.float32(off)
        self._open = np.full(4, -1, np.int64)
        self._largest = np.zeros(1, np.float32)

    def feed(self, curve: NDArray[np.float32], piece: Piece) -> Onsets:
        """Return the triggers that end in a piece of a curve."""
        room = len(curve) // 2 + 2
        found, probability = np.empty((3, room), np.int64), np.empty(room, np.float32)
        n_found = _scan(
            curve,
            piece.first,
            piece.step,
            piece.is_last,
            self._on,
            self._off,
            self._open,
            self._largest,
            found,
            probability,
        )
        start, peak, end = found[:, :n_found].copy()
        return Onsets(start, peak, end, probability[:n_found].copy())


@numba.njit(cache=True, nogil=True)
def _scan(
    curve: NDArray[np.float32],
    first: int,
    step: int,
    is_last: bool,
    on: np.float32,
    off: np.float32,
    state: NDArray[np.int64],
    largest: NDArray[np.float32],
    found: NDArray[np.int64],
    probability: NDArray[np.float32],
) -> int:
    """Follow a curve; `state` is start, peak and end of the open trigger, -1 where none is open."""
    start, peak, end = state[0], state[1], state[2]
    top = largest[0]
    n_found = 0
    for j in range(len(curve)):
        value = curve[j]
        if start < 0 and value < on:
            continue
        sample = first + j * step
        if start < 0:
            start, peak, end, top = sample, sample, sample, value
        elif value >= off:
            end = sample
            if value > top:
                peak, top = sample, value
        else:
            found[0, n_found], found[1, n_found], found[2, n_found] = start, peak, end
            probability[n_found] = top
            n_found += 1
            start = -1
    if is_last and start >= 0:
        found[0, n_found], found[1, n_found], found[2, n_found] = start, peak, end
        probability[n_found] = top
        n_found += 1
        start = -1
    state[0], state[1], state[2] = start, peak, end
    largest[0] = top
    return n_found


class PeakFinder:
    """A pick is where a curve is at least `on` and largest within `n_apart` samples on both sides.

    Whether a sample is a pick depends on that neighbourhood only, so a record may be cut anywhere. Of
    equal values the first counts. Start and end of the trigger are where the curve around the pick
    falls below `off`, at most `n_apart` samples away.
    """

    def __init__(self, on: float, off: float, n_apart: int) -> None:
        self._on, self._off, self._n_apart = np.float32(on), np.float32(off), n_apart
        self._kept = np.empty(0, np.float32)
        self._n_done = 0

    def feed(self, curve: NDArray[np.float32], piece: Piece) -> Onsets:
        """Return the picks that a piece of a curve decides."""
        n_kept = len(self._kept)
        whole = np.concatenate([self._kept, curve])
        stop = len(whole) if piece.is_last else max(len(whole) - self._n_apart, self._n_done)
        found, probability = _peaks(whole, self._n_done, stop, self._on, self._off, self._n_apart)
        found += piece.first - n_kept
        first_kept = 0 if piece.is_last else max(stop - self._n_apart, 0)
        self._kept = np.empty(0, np.float32) if piece.is_last else whole[first_kept:].copy()
        self._n_done = 0 if piece.is_last else stop - first_kept
        start, peak, end = found
        return Onsets(start, peak, end, probability)


@numba.njit(cache=True, nogil=True)
def _peaks(
    curve: NDArray[np.float32], first: int, stop: int, on: np.float32, off: np.float32, n_apart: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return start, peak and end of the picks in ``curve[first:stop]``, shape (3, pick), and their values."""
    room = (stop - first) // (n_apart + 1) + 1
    found, probability = np.empty((3, room), np.int64), np.empty(room, np.float32)
    n, n_found = len(curve), 0
    for j in range(first, stop):
        value = curve[j]
        if value < on or (j > 0 and curve[j - 1] >= value) or (j + 1 < n and curve[j + 1] > value):
            continue
        low, high = max(j - n_apart, 0), min(j + n_apart, n - 1)
        is_largest = True
        for k in range(low, high + 1):
            if curve[k] > value or (k < j and curve[k] == value):
                is_largest = False
                break
        if not is_largest:
            continue
        start, end = j, j
        while start > low and curve[start - 1] >= off:
            start -= 1
        while end < high and curve[end + 1] >= off:
            end += 1
        found[0, n_found], found[1, n_found], found[2, n_found] = start, j, end
        probability[n_found] = value
        n_found += 1
    return found[:, :n_found], probability[:n_found]
