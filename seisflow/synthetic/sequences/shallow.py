"""Shallow seismicity below a regular network: after a test of PyOcto."""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from seisflow.earth import Projection
from seisflow.synthetic.sequences.detection import DetectionScenario
from seisflow.synthetic.sequences.sites import Sites

__all__ = ["Shallow"]

CENTRE = (-21.0, -69.5)
SIDE_KM = 215.0
"""Two degrees."""
N_SIDE = 10


class Shallow(DetectionScenario):
    """A day of earthquakes at 0 to 30 km below 10 by 10 stations over two by two degrees.

    References
    ----------
    Münchmeyer (2024), PyOcto: A high-throughput seismic phase associator, Seismica 3 (1),
    doi:10.26443/seismica.v3i1.1130.
    """

    name: ClassVar[str] = "shallow"

    def sites(self) -> Sites:
        """Return the stations."""
        return shallow_sites()

    def places(self, stream: np.random.Generator, n: int) -> tuple[NDArray[np.float64], ...]:
        """Draw n places of earthquakes: east, north and depth, km, shape (n,) each."""
        east_km, north_km = stream.uniform(-0.5, 0.5, (2, n)) * SIDE_KM
        return east_km, north_km, stream.uniform(0.0, 30.0, n)


@lru_cache(maxsize=1)
def shallow_sites() -> Sites:
    """Return the stations, at sea level."""
    line = np.linspace(-0.5, 0.5, N_SIDE) * SIDE_KM
    east_km, north_km = (axis.ravel() for axis in np.meshgrid(line, line))
    return Sites(Projection(*CENTRE), "SH", east_km, north_km, np.zeros(N_SIDE**2))
