"""The five features of a pick: latitude, longitude, time after the root, phase, and whether it is padding.

References
----------
Ross et al. (2019), PhaseLink: A deep learning approach to seismic phase association, J. Geophys. Res.
124, 856-869, doi:10.1029/2018JB016674, section 4.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numba import njit

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

__all__ = ["N_FEATURES", "Frame", "fill_features"]

N_FEATURES = 5
SMALLEST_DEG = 1e-3
"""A frame is at least so wide: stations on one meridian have a longitude of about zero."""


@dataclass(frozen=True)
class Frame:
    """The box that coordinates are normalised by: 0 to 1 from its south-west to its north-east corner.

    Parameters
    ----------
    south, west : float
        Degrees.
    height_deg, width_deg : float
        Extent in latitude and longitude. A box may straddle 180 degrees.
    """

    south: float
    west: float
    height_deg: float
    width_deg: float

    @classmethod
    def of_stations(cls, stations: pd.DataFrame) -> Self:
        """Return the box around a STATIONS table, along the shorter way around the globe."""
        latitude = stations["latitude"].to_numpy(dtype=float)
        longitude = stations["longitude"].to_numpy(dtype=float)
        offset = (longitude - longitude[0] + 180.0) % 360.0 - 180.0
        west = (longitude[0] + offset.min() + 180.0) % 360.0 - 180.0
        height, width = max(np.ptp(latitude), SMALLEST_DEG), max(np.ptp(offset), SMALLEST_DEG)
        return cls(float(latitude.min()), float(west), float(height), float(width))

    def normalised(
        self, latitude: ArrayLike, longitude: ArrayLike
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return latitudes and longitudes as parts of the box."""
        north = (np.asarray(latitude, float) - self.south) / self.height_deg
        middle = self.west + 0.5 * self.width_deg
        offset = (np.asarray(longitude, float) - middle + 180.0) % 360.0 - 180.0
        return north.astype(np.float32), (offset / self.width_deg + 0.5).astype(np.float32)

    def degrees(self, north: ArrayLike, east: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return latitude and longitude of points given as parts of the box."""
        latitude = self.south + self.height_deg * np.asarray(north, float)
        longitude = self.west + self.width_deg * np.asarray(east, float)
        return latitude, (longitude + 180.0) % 360.0 - 180.0


@njit(cache=True, nogil=True)
def fill_features(
    features: NDArray[np.float32],
    roots: NDArray[np.int64],
    ends: NDArray[np.int64],
    north: NDArray[np.float32],
    east: NDArray[np.float32],
    time_s: NDArray[np.float64],
    is_s: NDArray[np.bool_],
    span_s: float,
) -> None:
    """Fill `features` (window, pick, feature) with the windows rooted at some picks, and with padding.

    `ends` belong to `roots`; the other arrays have a value for each pick, in order of time.
    """
    for row in range(roots.size):
        root, n = roots[row], ends[row] - roots[row]
        for k in range(n):
            pick = root + k
            features[row, k, 0] = north[pick]
            features[row, k, 1] = east[pick]
            features[row, k, 2] = (time_s[pick] - time_s[root]) / span_s
            features[row, k, 3] = 1.0 if is_s[pick] else 0.0
            features[row, k, 4] = 0.0
        for k in range(n, features.shape[1]):
            features[row, k, :4] = 0.0
            features[row, k, 4] = 1.0
