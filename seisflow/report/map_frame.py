"""What the map shows: the box around stations and events, and the sizes of its panels on the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["Frame", "prepared"]

KM_PER_DEGREE = 111.195
WIDTH_IN = 10.6
LEFT_IN, RIGHT_IN, TOP_IN, BOTTOM_IN, GAP_IN = 0.72, 0.18, 0.06, 0.32, 0.14


@dataclass(frozen=True)
class Frame:
    """What the map shows and how large each panel is (inches)."""

    west: float
    east: float
    south: float
    north: float
    top_km: float
    bottom_km: float
    width_in: float
    height_in: float
    depth_in: float

    @property
    def shrink(self) -> float:
        """Length of a degree of longitude over one of latitude in the middle of the map."""
        return max(float(np.cos(np.radians(0.5 * (self.south + self.north)))), 0.05)

    @property
    def inches_per_km(self) -> float:
        """Scale of the map."""
        return self.height_in / ((self.north - self.south) * KM_PER_DEGREE)

    @property
    def exaggeration(self) -> float:
        """Scale of depth over scale of the map."""
        return self.depth_in / ((self.bottom_km - self.top_km) * self.inches_per_km)

    def holds(self, latitude: NDArray[Any], longitude: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which points lie on the map."""
        inside: NDArray[np.bool_] = (latitude >= self.south) & (latitude <= self.north)
        return inside & (longitude >= self.west) & (longitude <= self.east)


def prepared(stations: pd.DataFrame, events: pd.DataFrame) -> tuple[Frame, pd.DataFrame, pd.DataFrame]:
    """Return the frame and both tables with longitudes counted the shorter way from one meridian."""
    sites = stations.drop_duplicates(["network", "station", "latitude", "longitude"])
    reference = float((sites if len(sites) else events)["longitude"].iloc[0])
    sites, quakes = (
        table.assign(longitude=reference + (table["longitude"] - reference + 180.0) % 360.0 - 180.0)
        for table in (sites, events)
    )
    return _frame(sites, quakes), sites, quakes


def _frame(sites: pd.DataFrame, quakes: pd.DataFrame) -> Frame:
    bounds = []
    for name in ("latitude", "longitude"):
        low, high = _span(sites[name].to_numpy(), quakes[name].to_numpy())
        bounds.append((low, high))
    (south, north), (west, east) = bounds
    shrink = max(float(np.cos(np.radians(0.5 * (south + north)))), 0.05)
    tall, wide = max(north - south, 0.02) * 1.14, max((east - west) * shrink, 0.02) * 1.14
    tall, wide = max(tall, 0.55 * wide), max(wide, tall / 0.76)  # neither a strip nor a tower
    top_km, bottom_km = _depth_range(sites, quakes)
    usable_in = WIDTH_IN - LEFT_IN - RIGHT_IN - GAP_IN
    depth_in = 2.0
    for _ in range(8):  # the sections share what width there is with the map, at its scale where that fits
        scale = (usable_in - depth_in) / (wide * KM_PER_DEGREE)
        depth_in = float(np.clip((bottom_km - top_km) * scale, 1.75, 2.7))
    width_in = usable_in - depth_in
    middle, centre = 0.5 * (south + north), 0.5 * (west + east)
    return Frame(
        west=centre - 0.5 * wide / shrink,
        east=centre + 0.5 * wide / shrink,
        south=middle - 0.5 * tall,
        north=middle + 0.5 * tall,
        top_km=top_km,
        bottom_km=bottom_km,
        width_in=width_in,
        height_in=width_in * tall / wide,
        depth_in=depth_in,
    )


def _span(sites: NDArray[Any], quakes: NDArray[Any]) -> tuple[float, float]:
    """Return the range of the stations and of all events but the outermost one in two hundred."""
    values = np.concatenate([sites, np.percentile(quakes, [0.25, 99.75]) if len(quakes) else []])
    return float(values.min()), float(values.max())


def _depth_range(sites: pd.DataFrame, quakes: pd.DataFrame) -> tuple[float, float]:
    top_km = min(0.0, -float(sites["elevation_m"].max()) / 1000.0) if len(sites) else 0.0
    if not len(quakes):
        return top_km - 0.5, 10.0
    shallow_km, deep_km = np.percentile(quakes["depth_km"], [0.25, 99.75])
    bottom_km = max(1.06 * float(deep_km), 2.0)
    return min(top_km, float(shallow_km)) - 0.03 * bottom_km, bottom_km
