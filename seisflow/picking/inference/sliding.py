"""PhaseNet's own normalisation of long records: mean and deviation of half-overlapping windows, interpolated.

A knot lies every half window, counted from 1970; it has the mean and standard deviation of the
samples there are in the window around it. Between knots both are interpolated linearly.

References
----------
Zhu, W. & Beroza, G. C. (2019), doi:10.1093/gji/ggy423; ``normalize_long`` of its code.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["Knots", "knots_of", "normalise_into"]

FEWEST = 0.25
"""A window with less than this part of its samples is taken together with its neighbours."""


class Knots(NamedTuple):
    """Scale of one component along a record.

    Attributes
    ----------
    mean, inverse : ndarray of float64, shape (cell, 2)
        At both ends of each cell of half a window: the mean, and the standard deviation (not its inverse
        yet) of the samples around; zero where there are none.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]


def knots_of(trace: NDArray[np.float32], runs: NDArray[np.int64], lead: int, n_half: int) -> Knots:
    """Return the knots of a trace.

    Parameters
    ----------
    trace : ndarray of float32, shape (sample,)
    runs : ndarray of int64, shape (run, 2)
        The samples to count.
    lead : int
        Samples between the start of the first cell and that of the trace, less than `n_half`.
    n_half : int
        Samples in a cell: half a window.
    """
    n_cells = -(-(lead + len(trace)) // n_half)
    cells = np.zeros((3, n_cells + 6))  # two cells of nothing before, and more behind
    _sum_cells(trace, runs, lead, n_half, cells[:, 3 : 3 + n_cells])
    count, mean, square = _joined(cells[:, :-1], cells[:, 1:])  # around the knot between two cells
    wide = _joined(_joined(cells[:, :-3], cells[:, 1:-2]), _joined(cells[:, 2:-1], cells[:, 3:]))
    sparse = np.flatnonzero(count[1:-1] < FEWEST * 2 * n_half) + 1
    for values, wider in zip((count, mean, square), wide, strict=True):
        values[sparse] = wider[sparse - 1]
    deviation = np.sqrt(square / np.maximum(count, 1))
    first = slice(2, 2 + n_cells)
    last = slice(3, 3 + n_cells)
    ends = np.column_stack([deviation[first], deviation[last]])
    ends = np.where(ends > 0, ends, ends[:, ::-1])  # no scale at one end: that of the other
    return Knots(np.column_stack([mean[first], mean[last]]), ends)


def _joined(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return count, mean and sum of squares about the mean of two groups of samples together."""
    count = a[0] + b[0]
    share = b[0] / np.maximum(count, 1)
    step = b[1] - a[1]
    joined: NDArray[np.float64] = np.stack([count, a[1] + step * share, a[2] + b[2] + step**2 * a[0] * share])
    return joined


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _sum_cells(
    trace: NDArray[np.float32], runs: NDArray[np.int64], lead: int, n_half: int, cells: NDArray[np.float64]
) -> None:
    """Fill count, mean and sum of squares about the mean of each cell."""
    for r in range(len(runs)):
        at = runs[r, 0]
        while at < runs[r, 1]:
            cell = (at + lead) // n_half
            stop = min(runs[r, 1], (cell + 1) * n_half - lead)
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
    n_half: int,
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
    lead, n_half : int
        See `knots_of`.
    """
    out[:] = 0
    after = first + len(out)
    for r in range(np.searchsorted(runs[:, 1], first, side="right"), len(runs)):
        at = max(runs[r, 0], first)
        if at >= after:
            break
        until = min(runs[r, 1], after)
        while at < until:
            cell = (at + lead) // n_half
            stop = min(until, (cell + 1) * n_half - lead)
            if deviation[cell, 0] > 0:
                level, scale = mean[cell, 0], deviation[cell, 0]
                rise = (mean[cell, 1] - level) / n_half
                growth = (deviation[cell, 1] - scale) / n_half
                into = at + lead - cell * n_half
                part, result = trace[at:stop], out[at - first : stop - first]
                for j in range(len(part)):
                    clock = np.float64(into + j)
                    moved = np.float32(part[j] - (level + rise * clock))
                    result[j] = moved / np.float32(scale + growth * clock)
            at = stop
