"""Association of a wide network cell by cell: each event by the stations around the cell that holds it.

Cells are absolute: multiples of `cell_deg` in latitude and longitude. A cell is associated from the picks of
the stations within the largest distance that an event's picks may come from (`reach_km`), so every event
is seen whole by the cell that holds its epicentre, and that cell keeps it. Two cells may put one earthquake
each on its own side of their border: what all cells keep is settled together, most picks first. Or
each on the other's side: what a cell finds up to `BORDER_KM` outside it is kept if nobody else has its picks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from seisflow.association.candidates import Candidate, candidates_of, settle
from seisflow.earth import sites_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from seisflow.association.base import Associator
    from seisflow.earth import VelocityModel

__all__ = ["BORDER_KM", "candidates_in_cells"]

BORDER_KM = 50.0
"""Kilometres by which the epicentre of one earthquake may differ between two cells that see it."""
DEGREE_KM = 110.5
"""No degree of latitude is shorter, nor one of longitude at the equator."""


class Cell(NamedTuple):
    """A rectangle of latitude and longitude: its south-west corner and its side, degrees."""

    south: float
    west: float
    side: float

    def distance_km(
        self, latitude: NDArray[np.float64], longitude: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the distance of points from the cell, 0 inside it; too short rather than too long."""
        above = np.maximum(np.maximum(self.south - latitude, latitude - self.south - self.side), 0.0)
        half = 0.5 * self.side
        offset = np.abs((longitude - self.west - half + 180.0) % 360.0 - 180.0)
        beside = np.maximum(offset - half, 0.0)
        # The meridians are closest where the point or the cell is farthest from the equator.
        highest = np.maximum(np.abs(latitude), max(abs(self.south), abs(self.south + self.side)))
        shrink = np.cos(np.radians(np.minimum(highest, 90.0)))
        distance_km: NDArray[np.float64] = DEGREE_KM * np.hypot(above, beside * shrink)
        return distance_km

    def holds(self, latitude: float, longitude: float) -> bool:
        """Return whether a point lies in the cell; its southern and western sides belong to it."""
        return self == _cell_of(latitude, longitude, self.side)


def candidates_in_cells(
    picks: pd.DataFrame, stations: pd.DataFrame, associator: Associator, velocity: VelocityModel
) -> list[Candidate]:
    """Return the events of one window of picks; of a wide network cell by cell."""
    if associator.cell_deg is None:
        catalog = associator.associate(picks, stations, velocity)
        return settle(candidates_of(catalog, associator), associator)
    inside: list[Candidate] = []
    beside: list[Candidate] = []
    reach_km = associator.reach_km + BORDER_KM
    latitude, longitude = (stations[key].to_numpy(dtype=float) for key in ("latitude", "longitude"))
    site = sites_of(picks, stations)
    for cell in _cells_around(latitude, longitude, associator.cell_deg, reach_km):
        near = cell.distance_km(latitude, longitude) <= reach_km
        own = picks[near[site]].reset_index(drop=True)
        if len(own) < associator.n_picks:
            continue
        catalog = associator.associate(own, stations[near].reset_index(drop=True), velocity)
        for event in settle(candidates_of(catalog, associator), associator):
            place = np.array([event.origin[0]]), np.array([event.origin[1]])
            if cell.holds(*event.origin[:2]):
                inside.append(event)
            elif cell.distance_km(*place)[0] <= BORDER_KM:
                beside.append(event)
    kept = settle(inside, associator)
    taken = {arrival.pick_id for event in kept for arrival in event.arrivals}
    return kept + settle(beside, associator, taken)


def _cells_around(
    latitude: NDArray[np.float64], longitude: NDArray[np.float64], side: float, reach_km: float
) -> Iterator[Cell]:
    """Yield the cells that stations are near enough to for an event in them, each once."""
    rows = range(
        int(np.floor((latitude.min() - reach_km / DEGREE_KM) / side)),
        int(np.floor((latitude.max() + reach_km / DEGREE_KM) / side)) + 1,
    )
    for row in rows:
        for column in range(round(360.0 / side)):
            cell = Cell(row * side, column * side - 180.0, side)
            if (cell.distance_km(latitude, longitude) <= reach_km).any():
                yield cell


def _cell_of(latitude: float, longitude: float, side: float) -> Cell:
    return Cell(
        float(np.floor(latitude / side)) * side,
        float(np.floor((longitude + 180.0) % 360.0 / side)) * side - 180.0,
        side,
    )
