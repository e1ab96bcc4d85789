"""A quick location of clusters of picks: a coarse grid, then ever finer ones around the best point.

The misfit is the mean absolute residual about the median origin time, so that a few wrong picks do no harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from seisflow.earth import TravelTimes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seisflow.association.network import Network
    from seisflow.earth import VelocityModel

__all__ = ["SearchBox", "Tables", "locate_cluster"]

N_COARSE, N_COARSE_DEPTH = 13, 4
"""Nodes of the first grid along each horizontal side, and in depth."""
N_FINE = 5
"""Nodes of the further grids along each side."""
SHRINK = 0.5
SMALLEST_KM = 0.25
"""The grids are refined until their step is this."""


class SearchBox(NamedTuple):
    """Where sources are searched, km east and north and below sea level."""

    west: float
    east: float
    south: float
    north: float
    top: float
    bottom: float


class Tables(NamedTuple):
    """Travel times of P and S to the datum of a network, and what is added for each site.

    Attributes
    ----------
    travel_s : array of float64, shape (2, n_distance, n_depth)
    step_km : float
        Step in distance and depth.
    top_km : float
        Depth of the first nodes.
    term_s : array of float64, shape (2, n_site)
    """

    travel_s: NDArray[np.float64]
    step_km: float
    top_km: float
    term_s: NDArray[np.float64]

    @classmethod
    def of(cls, network: Network, velocity: VelocityModel, box: SearchBox, step_km: float = 1.0) -> Tables:
        """Return tables that reach from any point of a box to any site."""
        east = max(abs(box.east - network.east_km.min()), abs(network.east_km.max() - box.west))
        north = max(abs(box.north - network.north_km.min()), abs(network.north_km.max() - box.south))
        distances = step_km * np.arange(int(np.ceil(np.hypot(east, north) / step_km)) + 2)
        depths = box.top + step_km * np.arange(int(np.ceil((box.bottom - box.top) / step_km)) + 2)
        times = TravelTimes(velocity)
        travel = [times.table(phase, network.datum_km, distances, depths) for phase in "PS"]
        terms = [network.elevation_terms_s(phase, velocity, box.top) for phase in "PS"]
        return cls(np.stack(travel), step_km, box.top, np.stack(terms))


@njit(cache=True, nogil=True)
def locate_cluster(
    time_s: NDArray[np.float64],
    site: NDArray[np.int64],
    phase: NDArray[np.int64],
    east_km: NDArray[np.float64],
    north_km: NDArray[np.float64],
    box: SearchBox,
    tables: Tables,
) -> tuple[float, float, float, float]:
    """Return east, north and depth (km), and origin time (s), of the best point for some picks.

    Parameters
    ----------
    time_s, site, phase : array, shape (n_pick,)
        Time, row of the site, and 0 for P or 1 for S.
    east_km, north_km : array of float64, shape (n_site,)
    box : SearchBox
    tables : Tables
    """
    low = np.array([box.west, box.south, box.top])
    high = np.array([box.east, box.north, box.bottom])
    counts = np.array([N_COARSE, N_COARSE, N_COARSE_DEPTH])
    step = (high - low) / (counts - 1)
    point, centre, begin = np.empty(3), 0.5 * (low + high), low.copy()
    best, origin = np.inf, 0.0
    work = np.empty(time_s.size)
    while True:
        for i in range(counts[0]):
            for j in range(counts[1]):
                for k in range(counts[2]):
                    point[0] = min(max(begin[0] + i * step[0], low[0]), high[0])
                    point[1] = min(max(begin[1] + j * step[1], low[1]), high[1])
                    point[2] = min(max(begin[2] + k * step[2], low[2]), high[2])
                    misfit, time = _misfit(point, time_s, site, phase, east_km, north_km, tables, work)
                    if misfit < best:
                        best, origin = misfit, time
                        centre[:] = point
        if step.max() <= SMALLEST_KM:
            return centre[0], centre[1], centre[2], origin
        step *= SHRINK
        counts[:] = N_FINE
        begin = centre - 0.5 * (N_FINE - 1) * step


@njit(cache=True, nogil=True)
def _misfit(
    point: NDArray[np.float64],
    time_s: NDArray[np.float64],
    site: NDArray[np.int64],
    phase: NDArray[np.int64],
    east_km: NDArray[np.float64],
    north_km: NDArray[np.float64],
    tables: Tables,
    work: NDArray[np.float64],
) -> tuple[float, float]:
    """Return the mean absolute residual of picks for a point, s, and the median origin time, s."""
    travel = tables.travel_s
    v = (point[2] - tables.top_km) / tables.step_km
    j = min(int(v), travel.shape[2] - 2)
    g = v - j
    for i in range(time_s.size):
        distance = np.sqrt((east_km[site[i]] - point[0]) ** 2 + (north_km[site[i]] - point[1]) ** 2)
        u = distance / tables.step_km
        k = min(int(u), travel.shape[1] - 2)
        table = travel[phase[i]]
        near = table[k, j] + g * (table[k, j + 1] - table[k, j])
        far = table[k + 1, j] + g * (table[k + 1, j + 1] - table[k + 1, j])
        work[i] = time_s[i] - near - (u - k) * (far - near) - tables.term_s[phase[i], site[i]]
    work.sort()
    median = 0.5 * (work[(work.size - 1) // 2] + work[work.size // 2])
    return np.abs(work - median).mean(), median
