"""Arrivals of sources as every associator hands them over: timed exactly, impossible ones left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from seisflow.earth import TravelTimes, VelocityModel, sites_of
from seisflow.tables import ASSIGNMENTS, EVENTS, Catalog, empty, event_id, validate

if TYPE_CHECKING:
    from seisflow.association.base import Associator
    from seisflow.association.network import Network

__all__ = ["arrivals_of", "events_of", "timed_arrivals"]


def arrivals_of(picks: pd.DataFrame, stations: pd.DataFrame) -> pd.DataFrame:
    """Return the P and S picks of a window, sorted by time, none of them in an event yet.

    Returns
    -------
    DataFrame
        pick_id, site (row of `stations`), station (network and code), phase, time_s (since the first
        pick), event (-1).
    """
    start = _start(picks)
    picks = picks[picks["phase"].isin(["P", "S"])].sort_values(["time", "pick_id"], ignore_index=True)
    times = picks["time"].to_numpy(dtype="datetime64[ns]")
    return pd.DataFrame(
        {
            "pick_id": picks["pick_id"],
            "site": sites_of(picks, stations),
            "station": picks["network"] + "." + picks["station"],
            "phase": picks["phase"],
            "time_s": (times - start) / np.timedelta64(1, "ns") * 1e-9,
            "event": -1,
        }
    )


def timed_arrivals(
    arrivals: pd.DataFrame,
    sources: pd.DataFrame,
    network: Network,
    velocity: VelocityModel,
    max_distance_km: float,
) -> pd.DataFrame:
    """Return arrivals with distance and delay (pick time less exact travel time), impossible ones not.

    Impossible are arrivals before the origin, S not after P at the same site, and those from beyond
    `max_distance_km`. Of several picks of one phase at a site the first is kept.

    Parameters
    ----------
    arrivals : DataFrame
        Of `arrivals_of`, those that have an event.
    sources : DataFrame
        east_km, north_km, depth_km, time_s (since the first pick), row by row the events.
    network : Network
    velocity : VelocityModel
    max_distance_km : float
    """
    own = arrivals.sort_values(["event", "site", "phase", "time_s"]).drop_duplicates(
        ["event", "site", "phase"]
    )
    source = sources.loc[own["event"]].reset_index(drop=True)
    sites = own["site"].to_numpy()
    distance = np.hypot(
        source["east_km"].to_numpy() - network.east_km[sites],
        source["north_km"].to_numpy() - network.north_km[sites],
    )
    travel, phases = np.zeros(len(own)), own["phase"].to_numpy()
    for phase in ("P", "S"):
        of = phases == phase
        travel[of] = TravelTimes(velocity).first_arrival(
            phase, distance[of], source["depth_km"].to_numpy()[of], -network.elevation_km[sites[of]]
        )
    own = own.assign(distance_km=distance, delay_s=own["time_s"].to_numpy() - travel)
    first_p = own["time_s"].where(own["phase"] == "P").groupby([own["event"], own["site"]]).transform("min")
    late = (own["phase"] == "S") & (own["time_s"] <= first_p)
    early = own["time_s"].to_numpy() < source["time_s"].to_numpy()
    return own[~late & ~early & (own["distance_km"] <= max_distance_km)]


def events_of(
    arrivals: pd.DataFrame,
    sources: pd.DataFrame,
    network: Network,
    associator: Associator,
    picks: pd.DataFrame,
) -> Catalog:
    """Return the events that timed arrivals suffice for, origin times at the mean delay of their picks."""
    events, assignments = [], []
    start = _start(picks)
    latitude, longitude = network.projection.to_degrees(sources["east_km"], sources["north_km"])
    for _, own in arrivals.groupby("event"):
        number = int(own["event"].iloc[0])
        with_p, with_s = (set(own["station"][own["phase"] == phase]) for phase in ("P", "S"))
        if not associator.suffices(with_p, with_s, len(own)):
            continue
        time_s = own["delay_s"].mean()
        residual_s = own["delay_s"] - time_s
        name = event_id(own["pick_id"].tolist())
        events.append(
            {
                "event_id": name,
                "time": start + np.timedelta64(round(time_s * 1e6), "us"),
                "latitude": latitude[number],
                "longitude": longitude[number],
                "depth_km": sources["depth_km"].to_numpy()[number],
                "n_p": int((own["phase"] == "P").sum()),
                "n_s": int((own["phase"] == "S").sum()),
                "rms_s": float(np.sqrt(np.mean(residual_s**2))),
                "magnitude_type": "",
                "method": associator.name,
                "status": "associated",
            }
        )
        assignments.append(own.assign(event_id=name, residual_s=residual_s))
    if not events:
        return Catalog(empty(EVENTS), empty(ASSIGNMENTS), picks)
    return Catalog(
        validate(pd.DataFrame(events), EVENTS), validate(pd.concat(assignments), ASSIGNMENTS), picks
    )


def _start(picks: pd.DataFrame) -> np.datetime64:
    """Return the time that `time_s` counts from: that of the first pick of any phase."""
    times = picks["time"].to_numpy(dtype="datetime64[ns]")
    return times.min() if len(times) else np.datetime64(0, "ns")
