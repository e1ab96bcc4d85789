"""Candidate events of one window, and how those that want the same picks are settled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from seisflow.association.base import BORDER_S, Associator
from seisflow.keys import seconds
from seisflow.tables import ASSIGNMENTS, EVENTS, Catalog, event_id, validate

__all__ = ["Arrival", "Candidate", "candidates_of", "catalog_of", "settle"]

MAX_TAKEN = 0.5
"""Share of its picks that an event may lose to events of higher rank and still be one of its own."""


class Arrival(NamedTuple):
    """A pick as part of an event."""

    pick_id: str
    station: str
    phase: str
    residual_s: float
    distance_km: float
    weight: float


@dataclass(frozen=True)
class Candidate:
    """An event of one window.

    Attributes
    ----------
    time : datetime64[ns]
        Origin time.
    origin : tuple
        Latitude and longitude (degrees), depth (km), method.
    arrivals : tuple of Arrival, sorted
    """

    time: np.datetime64
    origin: tuple[float, float, float, str]
    arrivals: tuple[Arrival, ...]

    @cached_property
    def event_id(self) -> str:
        """Name of the event."""
        return event_id([arrival.pick_id for arrival in self.arrivals])

    @property
    def rms_s(self) -> float:
        """Root mean square of the residuals, s; infinite where the associator gives none."""
        rms = float(np.sqrt(np.mean(np.square([arrival.residual_s for arrival in self.arrivals]))))
        return rms if np.isfinite(rms) else float("inf")

    @property
    def rank(self) -> tuple[int, float, np.datetime64, str]:
        """What orders candidates that want the same picks: more picks first, then the better fit."""
        return -len(self.arrivals), self.rms_s, self.time, self.event_id

    def stations(self, phase: str) -> set[str]:
        """Return the stations that have a pick of a phase."""
        return {arrival.station for arrival in self.arrivals if arrival.phase == phase}

    def suffices(self, associator: Associator) -> bool:
        """Return whether its picks make an event."""
        return associator.suffices(self.stations("P"), self.stations("S"), len(self.arrivals))


def candidates_of(catalog: Catalog, associator: Associator) -> list[Candidate]:
    """Return the events of one window, each with those arrivals that an event may have.

    Arrivals before the origin time (less `BORDER_S`) or more than the longest travel time after it
    are left out, and events that are none without them.
    """
    columns = ["pick_id", "network", "station", "phase", "time"]
    arrivals = catalog.assignments.merge(catalog.picks[columns], on="pick_id", validate="many_to_one")
    arrivals["station"] = arrivals["network"] + "." + arrivals["station"]
    times = arrivals["time"].to_numpy(dtype="datetime64[ns]")
    grouped = dict(iter(arrivals.assign(time=times).groupby("event_id", sort=False)))
    found = []
    for row in catalog.events.to_dict("records"):
        time = row["time"].to_datetime64()
        own = grouped.get(row["event_id"])
        if own is None:
            continue
        travel = own["time"].to_numpy() - time
        own = own[(travel >= -seconds(BORDER_S)) & (travel <= seconds(associator.margin_s))]
        fields = own[list(Arrival._fields)].itertuples(index=False, name=None)
        event = Candidate(
            time,
            (row["latitude"], row["longitude"], row["depth_km"], row["method"]),
            tuple(sorted(Arrival(*values) for values in fields)),
        )
        if event.suffices(associator):
            found.append(event)
    return found


def settle(
    candidates: Iterable[Candidate], associator: Associator, taken: Iterable[str] = ()
) -> list[Candidate]:
    """Return the events that remain when each pick goes to the candidate of highest rank that wants it.

    A candidate that finds more than `MAX_TAKEN` of its picks taken, by others or in `taken` from the
    beginning, is dropped, its picks released.
    """
    taken = set(taken)
    kept = []
    for event in sorted(candidates, key=lambda event: event.rank):
        free = tuple(arrival for arrival in event.arrivals if arrival.pick_id not in taken)
        if len(free) < (1.0 - MAX_TAKEN) * len(event.arrivals):
            continue
        rest = event if len(free) == len(event.arrivals) else replace(event, arrivals=free)
        if rest.suffices(associator):
            kept.append(rest)
            taken.update(arrival.pick_id for arrival in free)
    return kept


def catalog_of(events: Iterable[Candidate], picks: pd.DataFrame) -> Catalog:
    """Return events, in order of time, as tables."""
    events = sorted(events, key=lambda event: (event.time, event.event_id))
    rows: list[dict[str, Any]] = []
    assignments: list[dict[str, Any]] = []
    for event in events:
        latitude, longitude, depth_km, method = event.origin
        phases = [arrival.phase for arrival in event.arrivals]
        rows.append(
            {
                "event_id": event.event_id,
                "time": event.time,
                "latitude": latitude,
                "longitude": longitude,
                "depth_km": depth_km,
                "n_p": phases.count("P"),
                "n_s": phases.count("S"),
                "rms_s": event.rms_s if np.isfinite(event.rms_s) else None,
                "magnitude_type": "",
                "method": method,
                "status": "associated",
            }
        )
        assignments += [{"event_id": event.event_id, **arrival._asdict()} for arrival in event.arrivals]
    return Catalog(
        validate(pd.DataFrame(rows, columns=EVENTS.names), EVENTS),
        validate(pd.DataFrame(assignments, columns=ASSIGNMENTS.names), ASSIGNMENTS),
        picks,
    )
