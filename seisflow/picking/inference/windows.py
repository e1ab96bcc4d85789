"""Where the windows of a network lie: stretches of samples between gaps, and window starts within them.

A stretch is a run of samples without a gap in all components at once: between each two neighbouring
samples of it at least one component runs on. Components that are absent in a part of a stretch are
zeros there. Stretches shorter than a window have no windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Grid",
    "Runs",
    "Windows",
    "as_seisbench_cuts",
    "finite_runs",
    "lay_windows",
    "near_edges",
    "stretches",
]

Grid = Literal["absolute", "segment"]
Runs = NDArray[np.int64]
"""First sample of each run and one past its last, shape (run, 2)."""


@dataclass(frozen=True)
class Windows:
    """The windows of a record, in order.

    Attributes
    ----------
    starts : ndarray of int64, shape (window,)
        First sample of each window.
    stretch : ndarray of int64, shape (window,)
        Number of the stretch that a window lies in.
    bounds : ndarray of int64, shape (stretch, 2)
        First sample of each stretch, and one past its last.
    """

    starts: NDArray[np.int64]
    stretch: NDArray[np.int64]
    bounds: Runs


def finite_runs(trace: NDArray[np.float32]) -> Runs:
    """Return the runs of samples that are not NaN, shape (run, 2): first sample and one past the last.

    Examples
    --------
    >>> finite_runs(np.array([np.nan, 1, 2, np.nan, 3], np.float32)).tolist()
    [[1, 3], [4, 5]]
    """
    found = np.empty((16, 2), np.int64)
    n_found, at = 0, 0
    while True:
        n_new, at = _runs_from(trace, at, found[n_found:])
        n_found += n_new
        if n_found < len(found):
            return found[:n_found].copy()
        found = np.concatenate([found, np.empty_like(found)])


@numba.njit(cache=True, nogil=True)
def _runs_from(trace: NDArray[np.float32], at: int, out: Runs) -> tuple[int, int]:
    """Fill `out` with the runs from sample `at` on; return how many, and where to go on."""
    n, n_found = len(trace), 0
    while n_found < len(out):
        while at < n and np.isnan(trace[at]):
            at += 1
        if at >= n:
            break
        out[n_found, 0] = at
        while at < n and not np.isnan(trace[at]):
            at += 1
        out[n_found, 1] = at
        n_found += 1
    return n_found, at


def stretches(runs: list[Runs]) -> Runs:
    """Return the stretches that the runs of several components make together, shape (stretch, 2).

    Runs of one sample are left out: nothing runs on there.

    Examples
    --------
    >>> stretches([np.array([[0, 5], [9, 20]]), np.array([[4, 8], [8, 9]])]).tolist()
    [[0, 8], [9, 20]]
    """
    joined = np.concatenate([np.empty((0, 2), np.int64), *runs])
    joined = joined[joined[:, 1] - joined[:, 0] > 1]
    joined = joined[np.argsort(joined[:, 0], kind="stable")]
    reach = np.maximum.accumulate(joined[:, 1])
    is_first = np.ones(len(joined), np.bool_)
    is_first[1:] = joined[1:, 0] >= reach[:-1]
    firsts = np.flatnonzero(is_first)
    if not len(firsts):
        return np.empty((0, 2), np.int64)
    return np.column_stack([joined[firsts, 0], np.maximum.reduceat(joined[:, 1], firsts)])


def lay_windows(
    bounds: Runs, n_window: int, n_hop: int, grid: Grid, first_sample: int, *, ends: bool = True
) -> Windows:
    """Lay windows over stretches.

    Parameters
    ----------
    bounds : ndarray of int64, shape (stretch, 2)
    n_window, n_hop : int
        Samples in a window, and between neighbouring windows.
    grid : {"absolute", "segment"}
        ``"segment"`` counts hops from the start of each stretch, ``"absolute"`` from 1970, so that the
        same data meet the same windows wherever a record is cut.
    first_sample : int
        Number of the record's first sample, counted from 1970.
    ends : bool
        Add a window that ends with the stretch, and on the absolute grid one that begins with it, so
        that every sample lies in a window.
    """
    bounds = bounds[bounds[:, 1] - bounds[:, 0] >= n_window]
    starts: list[NDArray[Any]] = []
    for first, stop in bounds.tolist():
        onto_grid = -(first + first_sample) % n_hop if grid == "absolute" else 0
        last = stop - n_window
        inner = np.arange(first + onto_grid, last + 1, n_hop)
        if ends:
            inner = np.unique(np.concatenate([[first], inner, [last]]))
        starts.append(inner)
    counts = np.array([len(inner) for inner in starts], np.int64)
    joined = np.concatenate([np.empty(0, np.int64), *starts]).astype(np.int64)
    return Windows(joined, np.repeat(np.arange(len(bounds)), counts), bounds)


def as_seisbench_cuts(
    data: NDArray[np.float32], runs: list[Runs], bounds: Runs, rate_hz: float
) -> tuple[NDArray[np.float32], Runs]:
    """Return data and stretches as SeisBench 0.12 has them.

    It finds the place of a run within its stretch as ``int(seconds * rate)``, which for some
    times is one sample early, and so may lose the last sample of a stretch. It leaves out runs of one sample.

    Parameters
    ----------
    data : ndarray of float32, shape (component, sample)
        Copied only where a run moves.
    runs : list of ndarray of int64, shape (run, 2)
        The runs of each component.
    bounds : ndarray of int64, shape (stretch, 2)
    rate_hz : float
    """
    if not len(bounds):
        return data, bounds
    moved = data
    for row, found in enumerate(runs):
        inside = bounds[np.searchsorted(bounds[:, 0], found[:, 0], side="right") - 1, 0]
        early = (found[:, 0] - inside) - _truncated(found[:, 0] - inside, rate_hz)
        single = found[:, 1] - found[:, 0] == 1
        for which in np.flatnonzero((early > 0) | single).tolist():
            if moved is data:
                moved = data.copy()
            first, stop = found[which].tolist()
            moved[row, first:stop] = np.nan
            if not single[which]:
                moved[row, first - early[which] : stop - early[which]] = data[row, first:stop]
    lengths = _truncated(bounds[:, 1] - 1 - bounds[:, 0], rate_hz) + 1
    return moved, np.column_stack([bounds[:, 0], bounds[:, 0] + lengths])


def _truncated(samples: NDArray[np.int64], rate_hz: float) -> NDArray[np.int64]:
    seconds = np.round(samples / rate_hz, 6)
    truncated: NDArray[np.int64] = (seconds * rate_hz).astype(np.int64)
    return truncated


def near_edges(traces: list[NDArray[np.int64]], n: int, n_guard: int) -> NDArray[np.bool_]:
    """Return which of `n` samples are missing in all traces, or nearer than `n_guard` to an edge of one.

    Parameters
    ----------
    traces : list of ndarray of int64, shape (run, 2)
        The runs of samples of each trace; the two ends of a trace are edges as well.
    n, n_guard : int
    """
    blocked = np.ones(n, np.bool_)
    for found in traces:
        _mark(blocked, found, 0, value=False)
    for found in traces:
        _mark(blocked, found, n_guard, value=True)
    return blocked


@numba.njit(cache=True, nogil=True)
def _mark(mask: NDArray[np.bool_], found: NDArray[np.int64], n_guard: int, value: bool) -> None:
    """Set a mask in runs, or where there is a guard around their edges."""
    for i in range(len(found)):
        if n_guard == 0:
            mask[found[i, 0] : found[i, 1]] = value
        else:
            for edge in found[i]:
                mask[max(edge - n_guard, 0) : edge + n_guard] = value
