"""Overlapping windows put together again: their average or largest value, finished piece by piece."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["Overlay", "Piece", "Points", "Stack", "Stacking"]

Stacking = Literal["avg", "max"]


class Piece(NamedTuple):
    """Part of the finished curves of a stretch; the pieces of a stretch follow each other.

    Attributes
    ----------
    first : int
        Sample that the first value stands for.
    step : int
        Samples between neighbouring values.
    curves : ndarray of float32, shape (class, value)
    is_last : bool
        Whether the stretch ends with it.
    """

    first: int
    step: int
    curves: NDArray[np.float32]
    is_last: bool


class Overlay(ABC):
    """Takes the outputs of windows in order, and gives the curves that no later window can change."""

    def add(
        self,
        outputs: NDArray[np.float32],
        starts: NDArray[np.int64],
        stretches: NDArray[np.int64],
        following: tuple[int, int] | None,
    ) -> Iterator[Piece]:
        """Add a batch of windows; yield what is finished.

        Parameters
        ----------
        outputs : ndarray of float32, shape (window, class, value)
            NaN where a network says nothing.
        starts, stretches : ndarray of int64, shape (window,)
            First sample and stretch of each window.
        following : tuple of int, optional
            First sample and stretch of the window after the batch; None after the last.
        """
        edges = np.flatnonzero(np.diff(stretches)) + 1
        for low, high in zip([0, *edges.tolist()], [*edges.tolist(), len(starts)], strict=True):
            goes_on = high == len(starts) and following is not None and following[1] == stretches[low]
            yield self._add(
                outputs[low:high], starts[low:high], following[0] if goes_on and following else None
            )

    @abstractmethod
    def _add(self, outputs: NDArray[np.float32], starts: NDArray[np.int64], following: int | None) -> Piece:
        """Add windows of one stretch; `following` is where its next window starts, None after its last."""


class Stack(Overlay):
    """Windows with a value for each sample: their average, or the largest value, where they overlap.

    Parameters
    ----------
    n_window : int
        Values a window has.
    n_hop : int
        Most samples between the starts of neighbouring windows of a stretch.
    batch_size : int
        Most windows in a call of `add`.
    classes : ndarray of int64
        Which classes of the outputs are wanted.
    blinding : tuple of int
        Values at the beginning and the end of a window that do not count.
    method : {"avg", "max"}
    """

    def __init__(
        self,
        n_window: int,
        n_hop: int,
        batch_size: int,
        classes: NDArray[np.int64],
        blinding: tuple[int, int] = (0, 0),
        method: Stacking = "avg",
    ) -> None:
        capacity = batch_size * n_hop + n_window
        self._total = np.zeros((len(classes), capacity), np.float32)
        self._count = np.zeros(capacity, np.int32)
        self._first: int | None = None
        self._n_window, self._blinding = n_window, blinding
        self._classes, self._take_largest = classes, method == "max"

    def _add(self, outputs: NDArray[np.float32], starts: NDArray[np.int64], following: int | None) -> Piece:
        end = int(starts[-1]) + self._n_window
        stop = end if following is None else following
        first = int(starts[0]) if self._first is None else self._first
        curves = np.empty((len(self._total), stop - first), np.float32)
        _add_windows(
            outputs,
            starts - first,
            self._classes,
            self._blinding[0],
            self._blinding[1],
            self._take_largest,
            self._total,
            self._count,
        )
        _finish(self._total, self._count, self._take_largest, end - stop, curves)
        self._first = following
        return Piece(first, 1, curves, following is None)


@numba.njit(inline="always")
def _blind_as_zero(value: np.float32) -> np.float32:
    """Return a value, or zero for NaN: what a network does not say counts for nothing."""
    return value if value == value else np.float32(0)


@numba.njit(cache=True, nogil=True)
def _add_windows(
    outputs: NDArray[np.float32],
    offsets: NDArray[np.int64],
    classes: NDArray[np.int64],
    n_before: int,
    n_after: int,
    take_largest: bool,
    total: NDArray[np.float32],
    count: NDArray[np.int32],
) -> None:
    """Add the wanted values of windows to the totals, and count them."""
    n = outputs.shape[2]
    for i in range(len(offsets)):
        low = offsets[i] + n_before
        high = offsets[i] + n - n_after
        for k in range(len(classes)):
            values = outputs[i, classes[k], n_before : n - n_after]
            into = total[k, low:high]
            if take_largest:
                for j in range(len(into)):
                    into[j] = max(into[j], _blind_as_zero(values[j]))
            else:
                for j in range(len(into)):
                    into[j] += _blind_as_zero(values[j])
        seen = outputs[i, classes[0], n_before : n - n_after]
        counted = count[low:high]
        for j in range(len(counted)):
            counted[j] += not np.isnan(seen[j])


@numba.njit(cache=True, nogil=True)
def _finish(
    total: NDArray[np.float32],
    count: NDArray[np.int32],
    take_largest: bool,
    n_left: int,
    curves: NDArray[np.float32],
) -> None:
    """Move the first values into `curves`, and the `n_left` after them to the front."""
    n = curves.shape[1]
    for k in range(len(total)):
        for j in range(n):
            curves[k, j] = total[k, j] if take_largest else total[k, j] / np.float32(max(count[j], 1))
        for j in range(n_left):
            total[k, j] = total[k, n + j]
        for j in range(n_left, n + n_left):
            total[k, j] = 0
    for j in range(n_left):
        count[j] = count[n + j]
    for j in range(n_left, n + n_left):
        count[j] = 0


class Points(Overlay):
    """Windows with one value, valid at one of their samples: nothing overlaps.

    Parameters
    ----------
    n_hop : int
        Samples between neighbouring windows.
    classes : ndarray of int64
        Which classes of the outputs are wanted.
    at : int
        Sample of a window that its output is valid for.
    """

    def __init__(self, n_hop: int, classes: NDArray[np.int64], at: int) -> None:
        self._n_hop, self._classes, self._at = n_hop, classes, at

    def _add(self, outputs: NDArray[np.float32], starts: NDArray[np.int64], following: int | None) -> Piece:
        curves = np.ascontiguousarray(outputs[:, self._classes, 0].T)
        return Piece(int(starts[0]) + self._at, self._n_hop, curves, following is None)
