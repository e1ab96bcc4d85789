"""A network as an associator sees it: its geometry, and travel-time tables for PyOcto."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from seisflow.earth import Projection, TravelTimes, VelocityModel

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["Network"]

SAME_SITE_KM = 0.1
"""Instruments closer than this count as one station when the spacing is measured."""
TERM_DEPTH_KM = 20.0
"""Depth below the top of the search that the elevation terms are averaged over."""


@dataclass(frozen=True)
class Network:
    """Stations on a plane in kilometres, with what follows from their geometry.

    Attributes
    ----------
    projection : Projection
    east_km, north_km : array of float64, shape (n_site,)
    elevation_km : array of float64, shape (n_site,)
    """

    projection: Projection
    east_km: NDArray[np.float64]
    north_km: NDArray[np.float64]
    elevation_km: NDArray[np.float64]

    @classmethod
    def of(cls, stations: pd.DataFrame) -> Self:
        """Return the network of a STATIONS table, row by row."""
        projection = Projection.of_stations(stations)
        east_km, north_km = projection.to_km(stations["latitude"], stations["longitude"])
        return cls(projection, east_km, north_km, stations["elevation_m"].to_numpy(dtype=float) / 1000.0)

    @cached_property
    def diagonal_km(self) -> float:
        """Diagonal of the box around the stations."""
        return float(np.hypot(np.ptp(self.east_km), np.ptp(self.north_km)))

    @cached_property
    def spacing_km(self) -> float:
        """Distance between neighbours, were the stations spread evenly over a square with this diagonal."""
        places = np.round(np.column_stack([self.east_km, self.north_km]) / SAME_SITE_KM)
        return self.diagonal_km / float(np.sqrt(2.0 * len(np.unique(places, axis=0))))

    @cached_property
    def datum_km(self) -> float:
        """Depth of the receivers that travel-time tables are made for: the median of the sites."""
        return -float(np.median(self.elevation_km))

    def limits_km(self, edge_km: float) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return the smallest and largest east and north coordinate, `edge_km` beyond the stations."""
        return (
            (float(self.east_km.min()) - edge_km, float(self.east_km.max()) + edge_km),
            (float(self.north_km.min()) - edge_km, float(self.north_km.max()) + edge_km),
        )

    def table(
        self, velocity: VelocityModel, depth_km: tuple[float, float], farthest_km: float, unit_km: float
    ) -> bytes:
        """Return PyOcto's file of 1-D travel times, in units of `unit_km` kilometres and `unit_km` seconds.

        The file holds the number of distances and of depths (int32), the step (float64, here 1), then P and
        S times, float64, distance by distance. Both axes begin at 0, so depth counts from `depth_km[0]`.
        """
        distances = unit_km * np.arange(int(np.ceil(farthest_km / unit_km)) + 3)
        depths = depth_km[0] + unit_km * np.arange(int(np.ceil((depth_km[1] - depth_km[0]) / unit_km)) + 3)
        times = TravelTimes(velocity)
        tables = [times.table(phase, self.datum_km, distances, depths) / unit_km for phase in ("P", "S")]
        return struct.pack("iid", len(distances), len(depths), 1.0) + b"".join(
            table.tobytes() for table in tables
        )

    def elevation_terms_s(self, phase: str, velocity: VelocityModel, top_km: float) -> NDArray[np.float64]:
        """Return for each site how much later a wave comes there than at the datum, s.

        The mean over sources within two station spacings and `TERM_DEPTH_KM` below `top_km`.
        """
        times = TravelTimes(velocity)
        distances = np.linspace(0.0, 2.0 * self.spacing_km, 8)
        depths = np.linspace(top_km, top_km + TERM_DEPTH_KM, 9)
        at_datum = times.table(phase, self.datum_km, distances, depths)
        heights, which = np.unique(self.elevation_km, return_inverse=True)
        terms = [
            float((times.table(phase, -height, distances, depths) - at_datum).mean()) for height in heights
        ]
        return np.array(terms)[which]
