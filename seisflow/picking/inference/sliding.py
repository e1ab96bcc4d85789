"""Sliding normalisation of long records: mean and deviation of overlapping windows, interpolated.

A knot lies at every multiple of a cell, counted from 1970; it has the mean and standard deviation of the
samples there are in the window around it. Between knots both are interpolated linearly. With cells of half a
window that is PhaseNet's own. It hides a small earthquake that a large one follows within half a
window. So the deviation may be limited to some times that of the window of the past, which ends
one cell behind the knot, in order that an onset lies in it.

References
----------
Zhu, W. & Beroza, G. C. (2019), doi:10.1093/gji/ggy423; ``normalize_long`` of its code.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["Knots", "Sliding", "knots_of", "normalise_into"]

FEWEST = 0.25
"""A window with less than this part of its samples is taken together with its neighbours."""


class Sliding(NamedTuple):
    """How a record is normalised.

    Attributes
    ----------
    n_window : int
        Samples in a window: an even number of cells.
    n_cell : int
        Samples in a cell.
    rise_limit : float
        Largest ratio of the deviation to that of the past; infinite for none.
    """

    n_window: int
    n_cell: int
    rise_limit: float = np.inf


class Knots(NamedTuple):
    """Scale of one component along a record.

    Attributes
    ----------
    mean, deviation : ndarray of float64, shape (cell, 2)
        At both ends of each cell; zero where there are no samples, or none that move.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]


def knots_of(trace: NDArray[np.float32], runs: NDArray[np.int64], lead: int, sliding: Sliding) -> Knots:
    """Return the knots of a trace.

    Parameters
    ----------
    trace : ndarray of float32, shape (sample,)
    runs : ndarray of int64, shape (run, 2)
        The samples to count.
    lead : int
        Samples between the start of the first cell and that of the trace, less than a cell.
    sliding : Sliding
    """
    n_wide = sliding.n_window // sliding.n_cell
    n_cells = -(-(lead + len(trace)) // sliding.n_cell)
    cells = np.zeros((3, n_cells + 2 * n_wide))  # a window of nothing before, and one behind
    _sum_cells(trace, runs, lead, sliding.n_cell, cells[:, n_wide : n_wide + n_cells])
    windows = _neighbours(cells, n_wide)  # by the first of their cells
    knots = np.arange(n_cells + 1)
    around = windows[:, knots + n_wide // 2]
    sparse = around[0] < FEWEST * sliding.n_window
    count, mean, square = np.where(sparse, _joined(windows[:, knots], windows[:, knots + n_wide]), around)
    deviation = np.sqrt(square / np.maximum(count, 1))
    n_past, past_mean, past_square = windows[:, knots + 1]
    past = np.sqrt(past_square / np.maximum(n_past, 1))
    known = (n_past >= FEWEST * sliding.n_window) & (past > 0)
    most = np.where(known, sliding.rise_limit * np.where(known, past, 1), np.inf)
    mean, deviation = np.where(deviation > most, past_mean, mean), np.minimum(deviation, most)
    ends = np.column_stack([deviation[:-1], deviation[1:]])
    ends = np.where(ends > 0, ends, ends[:, ::-1])  # no scale at one end: that of the other
    return Knots(np.column_stack([mean[:-1], mean[1:]]), ends)


def _neighbours(cells: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Return count, mean and sum of squares of each `n` neighbouring cells together."""
    if n == 1:
        return cells
    half = n // 2
    few = _neighbours(cells, half)
    both = _joined(few[:, :-half], few[:, half:])
    return both if n % 2 == 0 else _joined(both[:, :-1], cells[:, n - 1 :])


def _joined(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return count, mean and sum of squares about the mean of two groups of samples together."""
    count = a[0] + b[0]
    share = b[0] / np.maximum(count, 1)
    step = b[1] - a[1]
    joined: NDArray[np.float64] = np.stack([count, a[1] + step * share, a[2] + b[2] + step**2 * a[0] * share])
    return joined


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _sum_cells(
    trace: NDArray[np.float32], runs: NDArray[np.int64], lead: int, n_cell: int, cells: NDArray[np.float64]
) -> None:
    """Fill count, mean and sum of squares about the mean of each cell."""
    for r in range(len(runs)):
        at = runs[r, 0]
        while at < runs[r, 1]:
            cell = (at + lead) // n_cell
            stop = min(runs[r, 1], (cell + 1) * n_cell - lead)
            part = trace[at:stop]
            n = len(part)
            total, square = 0.0, 0.0
            for j in range(n):
                total += part[j]
            mean = total / n
            for j in range(n):
                square += (part[j] - mean) ** 2
            before = cells[0, cell]
            share, step = n / (before + n), mean - cells[1, cell]
            cells[0, cell] += n
            cells[1, cell] += step * share
            cells[2, cell] += square + step * step * before * share
            at = stop


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def normalise_into(
    out: NDArray[np.float32],
    first: int,
    trace: NDArray[np.float32],
    runs: NDArray[np.int64],
    mean: NDArray[np.float64],
    deviation: NDArray[np.float64],
    lead: int,
    n_cell: int,
) -> None:
    """Fill `out` with the normalised samples from `first` on; zeros outside runs and the record.

    Parameters
    ----------
    out : ndarray of float32, shape (sample,)
    first : int
        Sample of the trace that ``out[0]`` is; may be negative.
    trace : ndarray of float32
    runs : ndarray of int64, shape (run, 2)
    mean, deviation : ndarray of float64, shape (cell, 2)
        See `Knots`.
    lead, n_cell : int
        See `knots_of` and `Sliding`.
    """
    out[:] = 0
    after = first + len(out)
    for r in range(np.searchsorted(runs[:, 1], first, side="right"), len(runs)):
        at = max(runs[r, 0], first)
        if at >= after:
            break
        until = min(runs[r, 1], after)
        while at < until:
            cell = (at + lead) // n_cell
            stop = min(until, (cell + 1) * n_cell - lead)
            if deviation[cell, 0] > 0:
                level, scale = mean[cell, 0], deviation[cell, 0]
                rise = (mean[cell, 1] - level) / n_cell
                growth = (deviation[cell, 1] - scale) / n_cell
                into = at + lead - cell * n_cell
                part, result = trace[at:stop], out[at - first : stop - first]
                for j in range(len(part)):
                    clock = np.float64(into + j)
                    moved = np.float32(part[j] - (level + rise * clock))
                    result[j] = moved / np.float32(scale + growth * clock)
            at = stop
