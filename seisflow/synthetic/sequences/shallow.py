"""Shallow seismicity below a regular network: after a test of PyOcto."""

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
from seisflow.synthetic.sequences.sites import Sites
from seisflow.synthetic.sequences.velocities import IASP91

__all__ = ["Shallow"]

DAY_S = 86400.0
CENTRE = (-21.0, -69.5)
SIDE_KM = 215.0
"""Two degrees."""
N_SIDE = 10


class Shallow(SequenceScenario):
    """A day of earthquakes at 0 to 30 km below 10 by 10 stations over two by two degrees.

    References
    ----------
    Münchmeyer (2024), PyOcto: A high-throughput seismic phase associator, Seismica 3 (1),
    doi:10.26443/seismica.v3i1.1130.
    """

    name: ClassVar[str] = "shallow"

    n_events: Annotated[int, Field(ge=1)] = 500
    """Earthquakes in the day."""
    false_factor: Annotated[float, Field(ge=0)] = 0.3
    """False picks for each true one."""

    def make(self, seed: int) -> PickSequence:
        """Return the sequence of a seed."""
        stream = random_stream(seed, self.name)
        sites = shallow_sites()
        sources, seen = detectable_sources(stream, self.n_events, DAY_S, _places, sites)
        onsets = picked_onsets(stream, seen, sources, sites, IASP91)
        onsets = with_false_onsets(stream, onsets, self.false_factor, len(sites), (0.0, DAY_S))
        return sequence_of(sources, sites, onsets, IASP91, self.start)


def _places(stream: np.random.Generator, n: int) -> tuple[NDArray[np.float64], ...]:
    east_km, north_km = stream.uniform(-0.5, 0.5, (2, n)) * SIDE_KM
    return east_km, north_km, stream.uniform(0.0, 30.0, n)


@lru_cache(maxsize=1)
def shallow_sites() -> Sites:
    """Return the stations, at sea level."""
    line = np.linspace(-0.5, 0.5, N_SIDE) * SIDE_KM
    east_km, north_km = (axis.ravel() for axis in np.meshgrid(line, line))
    return Sites(Projection(*CENTRE), "SH", east_km, north_km, np.zeros(N_SIDE**2))
