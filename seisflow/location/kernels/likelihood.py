"""How likely the arrival times of one event are for a trial hypocentre.

All functions are compiled. Kilometres east and north are those of a local projection, depths are km
below sea level, times are seconds after the first arrival of the event.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["Arrivals", "Earth", "Noise", "dispersion", "log_likelihood", "relative_weights", "travel_times"]

Array = NDArray[np.float64]

ORIGIN_ITERATIONS = 5
DISPERSION_ITERATIONS = 40
PRIOR_PICKS = 4.0
"""The stated picking errors count as much as this many residuals when their scale is judged."""
N_UNKNOWN = 4
GAUSSIAN_BOUNDED = 0.34432
"""Mean of ``u**2 / (1 + u**2)`` for a standard Gaussian u."""
HUGE = 1e200


class Earth(NamedTuple):
    """Travel-time tables: travel time over straight distance, which varies slowly, at the nodes."""

    slowness: NDArray[np.float32]
    """Shape (n_table, n_distance, n_depth), s/km."""
    depth_km: Array
    """Depth nodes, shape (n_depth,)."""
    spacing_km: float
    """Distance node k lies at ``spacing * k + growth * k**2``."""
    growth_km: float


class Arrivals(NamedTuple):
    """The arrivals of one event; every array has shape (n,)."""

    east_km: Array
    north_km: Array
    depth_km: Array
    """Depth of the station, negative above sea level."""
    table: NDArray[np.int64]
    """Row of `Earth.slowness`."""
    time_s: Array
    error_s: Array
    """Picking error, one standard deviation."""


class Noise(NamedTuple):
    """What errors of arrival times are believed to look like."""

    student: bool
    """Student's t, else Laplace (L1)."""
    freedom: float
    """Degrees of freedom of Student's t."""
    fraction: float
    """Travel-time error of the model as a fraction of the travel time."""
    scale: float
    """Factor on all errors."""


@njit(cache=True, nogil=True)
def travel_times(
    east: float, north: float, depth: float, arrivals: Arrivals, earth: Earth, times: Array
) -> None:
    """Fill `times` (s) with the travel times from a point to every arrival's station."""
    nodes = earth.depth_km
    j = min(max(int(np.searchsorted(nodes, depth, side="right")) - 1, 0), nodes.size - 2)
    g = (depth - nodes[j]) / (nodes[j + 1] - nodes[j])
    half = 0.5 * earth.spacing_km / earth.growth_km
    last = earth.slowness.shape[1] - 2
    for i in range(arrivals.time_s.size):
        distance2 = (east - arrivals.east_km[i]) ** 2 + (north - arrivals.north_km[i]) ** 2
        u = np.sqrt(half * half + np.sqrt(distance2) / earth.growth_km) - half
        k = min(int(u), last)
        f = u - k
        table = earth.slowness[arrivals.table[i]]
        near = table[k, j] + g * (table[k, j + 1] - table[k, j])
        far = table[k + 1, j] + g * (table[k + 1, j + 1] - table[k + 1, j])
        times[i] = (near + f * (far - near)) * np.sqrt(distance2 + (depth - arrivals.depth_km[i]) ** 2)


@njit(cache=True, nogil=True)
def log_likelihood(
    east: float,
    north: float,
    depth: float,
    cell_km: float,
    arrivals: Arrivals,
    earth: Earth,
    noise: Noise,
    order: NDArray[np.int64],
    work: Array,
) -> tuple[float, float]:
    """Return the logarithm of the likelihood at a point, largest over origin time, and that origin time (s).

    `cell_km` widens the errors by what travel times vary over a cell of the search. `order` is a
    permutation of the arrivals, kept from call to call since it hardly changes; `work` (3, n)
    comes back with travel times, emission times and variances.
    """
    times, emission, variance = work[0], work[1], work[2]
    travel_times(east, north, depth, arrivals, earth, times)
    for i in range(times.size):
        emission[i] = arrivals.time_s[i] - times[i]
        spread = noise.fraction * times[i]
        straight = (east - arrivals.east_km[i]) ** 2 + (north - arrivals.north_km[i]) ** 2
        straight += (depth - arrivals.depth_km[i]) ** 2
        variance[i] = noise.scale**2 * (arrivals.error_s[i] ** 2 + spread * spread)
        variance[i] += (cell_km * times[i]) ** 2 / max(straight, cell_km * cell_km + 1e-12)
    origin = _weighted_median(emission, variance, order)
    if noise.student:
        for _ in range(ORIGIN_ITERATIONS):
            top, bottom = 0.0, 0.0
            for i in range(times.size):
                residual = emission[i] - origin
                weight = 1.0 / (noise.freedom * variance[i] + residual * residual)
                top += weight * residual
                bottom += weight
            origin += top / bottom
    return _log_density(emission, variance, origin, noise), origin


@njit(cache=True, nogil=True)
def _log_density(emission: Array, variance: Array, origin: float, noise: Noise) -> float:
    """Return the sum of log densities of the residuals; products spare most logarithms."""
    total, spread, tail = 0.0, 1.0, 1.0
    for i in range(emission.size):
        residual = emission[i] - origin
        spread *= variance[i]
        if noise.student:
            tail *= 1.0 + residual * residual / (noise.freedom * variance[i])
        else:
            total -= np.sqrt(2.0 / variance[i]) * abs(residual)
        if tail > HUGE or spread > HUGE or spread < 1.0 / HUGE:
            total -= 0.5 * np.log(spread) + 0.5 * (noise.freedom + 1.0) * np.log(tail)
            spread, tail = 1.0, 1.0
    return float(total - 0.5 * np.log(spread) - 0.5 * (noise.freedom + 1.0) * np.log(tail))


@njit(cache=True, nogil=True)
def _weighted_median(values: Array, variance: Array, order: NDArray[np.int64]) -> float:
    """Return the weighted median; weights are reciprocal standard deviations. Sorts `order`."""
    for i in range(1, order.size):
        item = order[i]
        j = i
        while j > 0 and values[order[j - 1]] > values[item]:
            order[j] = order[j - 1]
            j -= 1
        order[j] = item
    total = 0.0
    for i in range(values.size):
        total += 1.0 / np.sqrt(variance[i])
    passed = 0.0
    for i in range(order.size):
        passed += 1.0 / np.sqrt(variance[order[i]])
        if passed >= 0.5 * total:
            return float(values[order[i]])
    return float(values[order[order.size - 1]])


@njit(cache=True, nogil=True)
def relative_weights(emission: Array, variance: Array, origin: float, noise: Noise, weights: Array) -> None:
    """Fill `weights` (0 to 1): how much less a residual counts than it would under Gaussian errors."""
    for i in range(emission.size):
        squared = (emission[i] - origin) ** 2 / variance[i]
        weights[i] = (
            noise.freedom / (noise.freedom + squared) if noise.student else 1.0 / max(1.0, np.sqrt(squared))
        )


@njit(cache=True, nogil=True)
def dispersion(emission: Array, variance: Array, origin: float) -> float:
    """Return the factor, 1 at least, by which residuals spread wider than the errors stated.

    An M-estimate of scale: the factor s at which the mean of ``u**2 / (s**2 + u**2)``, u being the residual
    over its error, is what Gaussian residuals give; an outlier adds 1 to the sum, however large.
    Four unknowns were fitted, and the stated errors count as `PRIOR_PICKS` residuals.
    """
    n = emission.size
    low, high = 1.0, 1000.0
    for _ in range(DISPERSION_ITERATIONS):
        scale2 = low * high
        total = PRIOR_PICKS * GAUSSIAN_BOUNDED / (GAUSSIAN_BOUNDED + (1.0 - GAUSSIAN_BOUNDED) * scale2)
        for i in range(n):
            squared = (emission[i] - origin) ** 2 / variance[i]
            total += squared / (scale2 + squared)
        if total > GAUSSIAN_BOUNDED * (max(n - N_UNKNOWN, 0) + PRIOR_PICKS):
            low = np.sqrt(scale2)
        else:
            high = np.sqrt(scale2)
    return low
