"""The local frame an event is located in, and the travel-time tables of all stations."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from seisflow.earth import Projection, TravelTimes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from seisflow.earth import VelocityModel
    from seisflow.location.arrivals import EventArrivals
    from seisflow.location.kernels.likelihood import Arrivals, Earth

__all__ = ["Frame", "TableGrid", "frame_of"]

SPACING_KM = 0.2
GROWTH_KM = 0.0012
"""Distance node k lies at ``SPACING_KM * k + GROWTH_KM * k**2``: 0.2 km apart near, 1 km apart at 200 km."""
DEPTH_SPACING_KM = 0.25
DISTANCE_ROUNDING_KM = 100.0
FIRST_CELLS = 12
"""Cells of the first level of the search along the shorter side of the box, within the two limits below."""
SMALLEST_FIRST_CELL_KM, LARGEST_FIRST_CELL_KM = 5.0, 25.0


class Frame(NamedTuple):
    """An event's arrivals in kilometres of a projection of its own neighbourhood."""

    arrivals: EventArrivals
    projection: Projection
    east_km: NDArray[np.float64]
    """Of the stations, shape (n,)."""
    north_km: NDArray[np.float64]
    box: NDArray[np.float64]
    """Region searched, shape (3, 2): lower and upper limit east, north and in depth, km."""

    @property
    def reference(self) -> int:
        """The first arrival, ns since 1970: zero of the seconds the kernels reckon in."""
        return int(self.arrivals.time[0])

    @property
    def first_cells(self) -> NDArray[np.int64]:
        """How many cells the search begins with along each axis."""
        width = self.box[:, 1] - self.box[:, 0]
        cell_km = np.clip(width[:2].min() / FIRST_CELLS, SMALLEST_FIRST_CELL_KM, LARGEST_FIRST_CELL_KM)
        n_cells: NDArray[np.int64] = np.maximum(np.round(width / cell_km), 1).astype(np.int64)
        return n_cells

    def at_side(self, point: NDArray[np.float64], cell_km: NDArray[np.float64]) -> bool:
        """Return whether a point lies within a cell of a side of the box."""
        return bool((np.abs(self.box[:2] - point[:2, None]) < cell_km[:2, None]).any())


def frame_of(arrivals: EventArrivals, depth_min_km: float, depth_max_km: float, margin_km: float) -> Frame:
    """Return the frame of an event; it depends on the event's own stations alone."""
    turned = (arrivals.longitude - arrivals.longitude[0] + 180.0) % 360.0 - 180.0
    middle = arrivals.longitude[0] + 0.5 * (turned.min() + turned.max())
    projection = _projection(round(0.5 * (arrivals.latitude.min() + arrivals.latitude.max())), round(middle))
    east_km, north_km = projection.to_km(arrivals.latitude, arrivals.longitude)
    top_km = max(depth_min_km, min(-float(arrivals.elevation_km.max()), depth_max_km - 1.0))
    box = np.array(
        [
            (east_km.min() - margin_km, east_km.max() + margin_km),
            (north_km.min() - margin_km, north_km.max() + margin_km),
            (top_km, depth_max_km),
        ]
    )
    return Frame(arrivals, projection, east_km, north_km, box)


@lru_cache(maxsize=256)
def _projection(latitude: int, longitude: int) -> Projection:
    """Return the projection about a whole degree: few, so that they can be kept, yet near every event."""
    return Projection(float(latitude), (longitude + 180.0) % 360.0 - 180.0)


class TableGrid(NamedTuple):
    """Travel-time tables of every station elevation and phase, ready for the kernels."""

    earth: Earth
    row: dict[tuple[bool, float], int]
    """Row of the table of a phase (is it S?) and a receiver depth, km."""

    @classmethod
    def of(cls, frames: Sequence[Frame], velocity: VelocityModel) -> TableGrid:
        """Return the tables that cover the boxes of all frames.

        Nodes lie at the same distances and depths whatever the frames, so no event's hypocentre
        depends on which others are located with it.
        """
        from seisflow.location.kernels.likelihood import Earth

        reach_km = max((float(np.hypot(*np.ptp(frame.box[:2], axis=1))) for frame in frames), default=1.0)
        reach_km = np.ceil(reach_km / DISTANCE_ROUNDING_KM) * DISTANCE_ROUNDING_KM
        k = np.arange(
            np.ceil((np.sqrt(SPACING_KM**2 + 4 * GROWTH_KM * reach_km) - SPACING_KM) / (2 * GROWTH_KM)) + 2
        )
        distance_km = SPACING_KM * k + GROWTH_KM * k**2
        top_km = min((frame.box[2, 0] for frame in frames), default=0.0)
        depth_km = _depth_nodes(top_km, max((frame.box[2, 1] for frame in frames), default=1.0), velocity)
        receivers = sorted(
            {depth for frame in frames for depth in _receiver_depth_km(frame.arrivals).tolist()}
        )
        row: dict[tuple[bool, float], int] = {}
        slowness = np.empty((2 * len(receivers), len(distance_km), len(depth_km)), dtype=np.float32)
        times = TravelTimes(velocity)
        for receiver in receivers:
            for phase in ("P", "S"):
                straight = np.hypot(distance_km[:, None], depth_km - receiver)
                table = times.table(phase, receiver, distance_km, depth_km)
                at_receiver = 1.0 / velocity.speed(phase, receiver)
                row[phase == "S", receiver] = len(row)
                near = straight < 1e-6
                slowness[len(row) - 1] = np.where(near, at_receiver, table / np.where(near, 1.0, straight))
        return cls(Earth(slowness, depth_km, SPACING_KM, GROWTH_KM), row)

    def kernel_arrivals(self, frame: Frame, error_s: NDArray[np.float64]) -> Arrivals:
        """Return the arrivals of an event as the kernels take them."""
        from seisflow.location.kernels.likelihood import Arrivals

        arrivals, depth_km = frame.arrivals, _receiver_depth_km(frame.arrivals)
        rows = [self.row[key] for key in zip(arrivals.is_s.tolist(), depth_km.tolist(), strict=True)]
        seconds = np.asarray((arrivals.time - frame.reference) * 1e-9, dtype=float)
        return Arrivals(
            frame.east_km, frame.north_km, depth_km, np.array(rows, dtype=np.int64), seconds, error_s
        )


def _receiver_depth_km(arrivals: EventArrivals) -> NDArray[Any]:
    """Return the depths of the stations to the metre, so that channels of a site share a table."""
    return np.round(-arrivals.elevation_km, 3) + 0.0


def _depth_nodes(top_km: float, bottom_km: float, velocity: VelocityModel) -> NDArray[np.float64]:
    """Return the depths of the tables: a regular grid, and the interfaces, where travel times have kinks."""
    regular = np.arange(np.floor(top_km / DEPTH_SPACING_KM), np.ceil(bottom_km / DEPTH_SPACING_KM) + 1)
    nodes = np.union1d(regular * DEPTH_SPACING_KM, np.array(velocity.depth_km))
    first, last = regular[[0, -1]] * DEPTH_SPACING_KM
    return np.asarray(nodes[(nodes >= first) & (nodes <= last)])
