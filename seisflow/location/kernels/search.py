"""Oct-tree search of a box for the hypocentre of one event and for where else it may lie.

Compiled. The box is cut into cells; the likely ones are cut in eight, again and again, until the
probability is spread over enough cells to be integrated.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from seisflow.location.kernels.likelihood import Array, Arrivals, Earth, Noise, log_likelihood

__all__ = ["climb", "octree"]

MAX_LEVELS = 18
KEEP_BEST = 32
"""Cells cut at every level however unlikely they look, so that the search does not lose its way."""
KEEP_DEPTH = 9.0
"""Cells are cut whose log-likelihood lies within this of the best: all but 0.05% of a Gaussian in 3-D."""
KEEP_MOST = 2000
RESOLVED = 100.0
"""Effective number of cells over which the probability must spread before cutting ends."""
SMALLEST_KM = 0.002
MAX_STEPS = 1000


@njit(cache=True, nogil=True)
def octree(
    box: Array, shape: NDArray[np.int64], arrivals: Arrivals, earth: Earth, noise: Noise, integrate: bool
) -> tuple[Array, Array, Array]:
    """Return the cells that hold the posterior of a hypocentre, or only the best of them.

    Parameters
    ----------
    box : (3, 2) lower and upper limits east, north, depth, km
    shape : (3,) cells of the first level along each axis
    integrate : whether to keep all cells that hold the posterior; else a few lead to its maximum

    Returns
    -------
    centres : (n_cell, 3) km
    log_likelihoods : (n_cell,)
    size : (3,) of all cells, km
    """
    n = arrivals.time_s.size
    order, work = np.arange(n), np.empty((3, n))
    size = (box[:, 1] - box[:, 0]) / shape
    centres = _first_cells(box, shape, size)
    values = np.empty(0)
    for level in range(MAX_LEVELS):
        width = np.sqrt(np.sum(size * size) / 24.0)
        values = _evaluate(centres, width, arrivals, earth, noise, order, work)
        best = np.max(values)
        share = np.exp(values - best)
        spread = np.sum(share) ** 2 / np.sum(share * share)
        n_likely = int(np.sum(values > best - KEEP_DEPTH)) if integrate else 0
        centres = centres[np.argsort(-values)[: min(max(n_likely, KEEP_BEST), KEEP_MOST)]]
        if spread >= RESOLVED or np.max(size) < SMALLEST_KM or level == MAX_LEVELS - 1:
            break
        size = 0.5 * size
        centres = _cut(centres, size)
    return centres, _evaluate(centres, 0.0, arrivals, earth, noise, order, work), size


@njit(cache=True, nogil=True)
def _first_cells(box: Array, shape: NDArray[np.int64], size: Array) -> Array:
    centres = np.empty((shape[0] * shape[1] * shape[2], 3))
    i = 0
    for ix in range(shape[0]):
        for iy in range(shape[1]):
            for iz in range(shape[2]):
                centres[i, 0] = box[0, 0] + (ix + 0.5) * size[0]
                centres[i, 1] = box[1, 0] + (iy + 0.5) * size[1]
                centres[i, 2] = box[2, 0] + (iz + 0.5) * size[2]
                i += 1
    return centres


@njit(cache=True, nogil=True)
def _evaluate(
    centres: Array,
    width: float,
    arrivals: Arrivals,
    earth: Earth,
    noise: Noise,
    order: NDArray[np.int64],
    work: Array,
) -> Array:
    values = np.empty(centres.shape[0])
    for i in range(values.size):
        values[i], _ = log_likelihood(
            centres[i, 0], centres[i, 1], centres[i, 2], width, arrivals, earth, noise, order, work
        )
    return values


@njit(cache=True, nogil=True)
def _cut(centres: Array, size: Array) -> Array:
    """Return the eight parts, of `size`, of every cell."""
    parts = np.empty((8 * centres.shape[0], 3))
    for i in range(centres.shape[0]):
        for j in range(8):
            parts[8 * i + j, 0] = centres[i, 0] + (0.5 if j & 1 else -0.5) * size[0]
            parts[8 * i + j, 1] = centres[i, 1] + (0.5 if j & 2 else -0.5) * size[1]
            parts[8 * i + j, 2] = centres[i, 2] + (0.5 if j & 4 else -0.5) * size[2]
    return parts


@njit(cache=True, nogil=True)
def climb(
    start: Array, size: Array, box: Array, arrivals: Arrivals, earth: Earth, noise: Noise
) -> tuple[Array, float]:
    """Return the likeliest point near `start` in the box, and its origin time (s), by a compass search."""
    n = arrivals.time_s.size
    order, work = np.arange(n), np.empty((3, n))
    point, step = start.copy(), size.copy()
    best, origin = log_likelihood(point[0], point[1], point[2], 0.0, arrivals, earth, noise, order, work)
    for _ in range(MAX_STEPS):
        if np.max(step) < SMALLEST_KM:
            break
        moved = False
        for axis in range(3):
            for sign in (-1.0, 1.0):
                before = point[axis]
                point[axis] = min(max(before + sign * step[axis], box[axis, 0]), box[axis, 1])
                value, time = log_likelihood(
                    point[0], point[1], point[2], 0.0, arrivals, earth, noise, order, work
                )
                if value > best:
                    best, origin, moved = value, time, True
                else:
                    point[axis] = before
        if not moved:
            step = 0.5 * step
    return point, origin
