"""The arrivals of a catalogue, event by event: what every locator starts from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from seisflow.earth import sites_of
from seisflow.errors import TableError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seisflow.tables import Catalog

__all__ = ["EventArrivals", "arrivals_of"]


@dataclass(frozen=True)
class EventArrivals:
    """The arrivals of one event, sorted by time; every array has shape (n,)."""

    event: int
    """Row in EVENTS."""
    assignment: NDArray[np.int64]
    """Rows in ASSIGNMENTS."""
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    elevation_km: NDArray[np.float64]
    station: NDArray[np.int64]
    """A number for each station, the same for all its channels."""
    is_s: NDArray[np.bool_]
    time: NDArray[np.int64]
    """Nanoseconds since 1970, UTC."""
    leading: NDArray[np.bool_]
    """False for a pick that repeats a phase of a station with a lower probability."""

    def __len__(self) -> int:
        return len(self.time)


def arrivals_of(catalog: Catalog, stations: pd.DataFrame) -> Iterator[EventArrivals]:
    """Yield the arrivals of every event that has some, in the order of EVENTS.

    Neither the order of rows nor what other events are there changes what is yielded for an event.

    Raises
    ------
    TableError
        If an assignment names an event or pick that is not in the catalogue.
    MetadataError
        If a station has no coordinates at the time of a pick.
    """
    rows = _joined(catalog)
    site = stations.iloc[sites_of(rows, stations)]
    latitude, longitude = site["latitude"].to_numpy(float), site["longitude"].to_numpy(float)
    elevation_km = site["elevation_m"].to_numpy(float) * 1e-3
    station = pd.factorize(rows["network"].astype(str) + "." + rows["station"].astype(str))[0].astype(
        np.int64
    )
    is_s = (rows["phase"] == "S").to_numpy()
    time = rows["time"].to_numpy(dtype="datetime64[ns]").astype(np.int64)
    leading = (
        ~rows.assign(site=station)
        .sort_values("probability", ascending=False, kind="stable")
        .duplicated(["event", "site", "phase"])
        .sort_index()
        .to_numpy()
    )
    event, assignment = rows["event"].to_numpy(), rows["assignment"].to_numpy()
    borders = np.flatnonzero(np.diff(event, prepend=-1, append=-1)) if len(event) else np.zeros(0, int)
    for first, end in pairwise(borders):
        part = slice(first, end)
        yield EventArrivals(
            int(event[first]),
            assignment[part],
            latitude[part],
            longitude[part],
            elevation_km[part],
            station[part],
            is_s[part],
            time[part],
            leading[part],
        )


def _joined(catalog: Catalog) -> pd.DataFrame:
    """Return a row an assignment with its pick, sorted by event, time and name of the pick."""
    event = pd.Index(catalog.events["event_id"]).get_indexer(catalog.assignments["event_id"])
    pick = pd.Index(catalog.picks["pick_id"]).get_indexer(catalog.assignments["pick_id"])
    for found, name in ((event, "event_id"), (pick, "pick_id")):
        if (found < 0).any():
            lost = catalog.assignments[name].to_numpy()[found < 0]
            raise TableError(
                f"ASSIGNMENTS: {len(lost)} rows name a {name} that the catalogue does not hold, "
                f"first {lost[0]!r}; give the tables of one catalogue"
            )
    rows = catalog.picks.iloc[pick].assign(event=event, assignment=np.arange(len(event)))
    ordered: pd.DataFrame = rows.sort_values(["event", "time", "pick_id"], kind="stable", ignore_index=True)
    return ordered
