"""A subduction zone seen from one side: slab events to 150 km, many of them offshore."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from seisflow.earth import Projection
from seisflow.synthetic.scenario import random_stream
from seisflow.synthetic.sequences.detection import detectable_sources, picked_onsets
from seisflow.synthetic.sequences.sequence import (
    PickSequence,
    SequenceScenario,
    sequence_of,
    with_false_onsets,
)
from seisflow.synthetic.sequences.sites import Sites, spread
from seisflow.synthetic.sequences.velocities import IASP91

__all__ = ["Subduction"]

DAY_S = 86400.0
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


class Subduction(SequenceScenario):
    """A day of earthquakes on a slab and above it, with stations inland of the coast alone.

    The slab dips east from a trench 90 km off the coast to 150 km depth below the farthest stations.
    Picks and their errors are those of PyOcto's tests.

    References
    ----------
    Münchmeyer (2024), PyOcto: A high-throughput seismic phase associator, Seismica 3 (1),
    doi:10.26443/seismica.v3i1.1130.
    """

    name: ClassVar[str] = "subduction"

    n_events: Annotated[int, Field(ge=1)] = 500
    """Earthquakes in the day."""
    false_factor: Annotated[float, Field(ge=0)] = 0.3
    """False picks for each true one."""

    def make(self, seed: int) -> PickSequence:
        """Return the sequence of a seed."""
        stream = random_stream(seed, self.name)
        sites = subduction_sites()
        sources, seen = detectable_sources(stream, self.n_events, DAY_S, _places, sites)
        onsets = picked_onsets(stream, seen, sources, sites, IASP91)
        onsets = with_false_onsets(stream, onsets, self.false_factor, len(sites), (0.0, DAY_S))
        return sequence_of(sources, sites, onsets, IASP91, self.start)


def _places(stream: np.random.Generator, n: int) -> tuple[NDArray[np.float64], ...]:
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
