"""A local map projection: kilometres east and north of a centre."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray
    from pyproj import Transformer

__all__ = ["Projection"]


@dataclass(frozen=True)
class Projection:
    """Transverse Mercator on WGS84, true to scale at its centre.

    Parameters
    ----------
    latitude, longitude : float
        Centre, degrees; it has the coordinates (0, 0) km.
    """

    latitude: float
    longitude: float

    @classmethod
    def of_stations(cls, stations: pd.DataFrame) -> Self:
        """Return the projection centred in the middle of the box around a STATIONS table.

        Longitudes are taken along the shorter way around the globe, so networks may straddle 180 degrees.
        """
        latitude = stations["latitude"].to_numpy(dtype=float)
        longitude = stations["longitude"].to_numpy(dtype=float)
        reference = longitude[0]
        offset = (longitude - reference + 180.0) % 360.0 - 180.0
        middle = reference + 0.5 * (offset.min() + offset.max())
        return cls(
            float(round(0.5 * (latitude.min() + latitude.max()), 6)),
            float(round((middle + 180.0) % 360.0 - 180.0, 6)),
        )

    @cached_property
    def _transformer(self) -> Transformer:
        from pyproj import CRS, Transformer

        local = CRS.from_proj4(
            f"+proj=tmerc +lat_0={self.latitude} +lon_0={self.longitude} +k=1 +datum=WGS84 +units=m"
        )
        return Transformer.from_crs(CRS.from_epsg(4326), local, always_xy=True)

    def to_km(
        self, latitude: ArrayLike, longitude: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return kilometres (east, north) of points given in degrees."""
        east, north = self._transformer.transform(np.asarray(longitude, float), np.asarray(latitude, float))
        return np.asarray(east) / 1000.0, np.asarray(north) / 1000.0

    def to_degrees(
        self, east_km: ArrayLike, north_km: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return degrees (latitude, longitude) of points given in kilometres."""
        longitude, latitude = self._transformer.transform(
            np.asarray(east_km, float) * 1000.0, np.asarray(north_km, float) * 1000.0, direction="INVERSE"
        )
        return np.asarray(latitude), np.asarray(longitude)
