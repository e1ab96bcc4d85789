"""Where the stations of a pick sequence stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from seisflow.earth import Projection
from seisflow.tables import STATIONS, validate

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Sites", "spread"]

CANDIDATES = 12
"""Places tried for each station of a spread network; more make it more regular."""


@dataclass(frozen=True)
class Sites:
    """Stations on a plane.

    Parameters
    ----------
    projection : Projection
    network : str
        Network code.
    east_km, north_km, elevation_m : array of float64, shape (n_site,)
    """

    projection: Projection
    network: str
    east_km: NDArray[np.float64]
    north_km: NDArray[np.float64]
    elevation_m: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.east_km)

    @property
    def names(self) -> NDArray[np.str_]:
        """Station codes."""
        return np.array([f"S{k:03d}" for k in range(len(self))])

    def table(self) -> pd.DataFrame:
        """Return the STATIONS table, row by row."""
        latitude, longitude = self.projection.to_degrees(self.east_km, self.north_km)
        table = pd.DataFrame({"network": self.network, "station": self.names, "location": ""})
        table = table.assign(latitude=latitude, longitude=longitude, elevation_m=self.elevation_m)
        return validate(table, STATIONS)


def spread(
    stream: np.random.Generator, n: int, width_km: float, height_km: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return places at random in a rectangle around 0, no two of them as close as chance would put them.

    Each is the one of `CANDIDATES` random places that is farthest from those there are (Mitchell
    1991, best candidate).

    Returns
    -------
    east_km, north_km : array of float64, shape (n,)
    """
    size = np.array([width_km, height_km])
    places = np.empty((n, 2))
    for k in range(n):
        tried = stream.uniform(-0.5, 0.5, (CANDIDATES, 2)) * size
        apart = np.linalg.norm(tried[:, None] - places[None, :k], axis=2)
        places[k] = tried[np.argmax(apart.min(axis=1)) if k else 0]
    return places[:, 0], places[:, 1]
