"""A subduction zone seen from one side: slab events to 150 km, many of them offshore."""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from seisflow.earth import Projection
from seisflow.synthetic.scenario import random_stream
from seisflow.synthetic.sequences.detection import DetectionScenario
from seisflow.synthetic.sequences.sites import Sites, spread

__all__ = ["Subduction"]

CENTRE = (-21.0, -68.8)
COAST_KM = -125.0
"""The coast, east of the centre; distances below count from it."""
LENGTH_KM = 500.0
"""Of the margin, north to south."""
N_STATIONS = 30
INLAND_KM = (5.0, 245.0)
"""Stations stand between these distances east of the coast."""
SLAB_EAST_KM = (-90.0, 0.0, 100.0, 200.0, 260.0)
SLAB_DEPTH_KM = (12.0, 38.0, 75.0, 120.0, 150.0)
"""Top of the slab from the trench eastward."""
OFFSHORE, DEEP = 0.4, 0.4
"""Part of the earthquakes on the slab west of the coast, and on the slab east of it; the others lie in
the crust above."""
CRUST_KM = 30.0


class Subduction(DetectionScenario):
    """A day of earthquakes on a slab and above it, with stations inland of the coast alone.

    The slab dips east from a trench 90 km off the coast to 150 km depth below the farthest stations.
    Picks and their errors are those of PyOcto's tests.

    References
    ----------
    Münchmeyer (2024), PyOcto: A high-throughput seismic phase associator, Seismica 3 (1),
    doi:10.26443/seismica.v3i1.1130.
    """

    name: ClassVar[str] = "subduction"

    def sites(self) -> Sites:
        """Return the stations."""
        return subduction_sites()

    def places(self, stream: np.random.Generator, n: int) -> tuple[NDArray[np.float64], ...]:
        """Draw n places of earthquakes: east, north and depth, km, shape (n,) each."""
        kind = stream.random(n)
        offshore = stream.uniform(SLAB_EAST_KM[0], 0.0, n)
        inland = stream.uniform(0.0, SLAB_EAST_KM[-1], n)
        east_km = np.where(kind < OFFSHORE, offshore, inland)
        slab_km = np.interp(east_km, SLAB_EAST_KM, SLAB_DEPTH_KM) + stream.normal(0.0, 4.0, n)
        depth_km = np.where(
            kind < OFFSHORE + DEEP, np.clip(slab_km, 2.0, 150.0), stream.uniform(0.0, CRUST_KM, n)
        )
        return COAST_KM + east_km, stream.uniform(-0.5, 0.5, n) * LENGTH_KM, depth_km


@lru_cache(maxsize=1)
def subduction_sites() -> Sites:
    """Return the stations; they rise inland."""
    stream = random_stream(0, "subduction", "network")
    west, east = INLAND_KM
    east_km, north_km = spread(stream, N_STATIONS, east - west, 0.9 * LENGTH_KM)
    inland_km = east_km + 0.5 * (west + east)
    elevation_m = np.round(200.0 + 3500.0 * inland_km / east + stream.uniform(-150.0, 150.0, N_STATIONS))
    return Sites(Projection(*CENTRE), "SU", COAST_KM + inland_km, north_km, elevation_m)
