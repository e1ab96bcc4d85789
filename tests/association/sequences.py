"""Sequences of picks with known events, made and real, and how a catalogue is scored against them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from seisflow.association import Associator
from seisflow.earth import Projection, TravelTimes, VelocityModel
from seisflow.tables import PICKS, STATIONS, Catalog, pick_ids, validate

CRUST = VelocityModel(
    depth_km=(0.0, 4.0, 16.0, 32.0), vp_km_s=(5.0, 6.0, 6.7, 8.0), vs_km_s=(2.9, 3.46, 3.87, 4.6)
)
START = pd.Timestamp("2020-01-01T00:10", tz="UTC")


class Sequence(NamedTuple):
    """Picks of known events, and what is known of them.

    Attributes
    ----------
    picks : PICKS table
    source : Series of int, by pick_id
        Row of `truth` each pick comes from, -1 for a false pick.
    stations : STATIONS table
    velocity : VelocityModel
    truth : DataFrame with time, latitude, longitude, depth_km
    """

    picks: pd.DataFrame
    source: pd.Series
    stations: pd.DataFrame
    velocity: VelocityModel
    truth: pd.DataFrame


def made_sequence(
    seed: int,
    n_events: int = 40,
    gap_s: float = 60.0,
    n_stations: int = 20,
    size_km: float = 100.0,
    error_s: float = 0.1,
    false_share: float = 0.2,
    missing_share: float = 0.3,
    centre: tuple[float, float] = (45.0, 10.0),
    start: pd.Timestamp = START,
    network_seed: int | None = None,
) -> Sequence:
    """Return picks of events at random in a square network on a layered crust, false picks among them.

    Picks fade out beyond a distance that differs from event to event, and are missing at random. With
    `network_seed` all seeds have the same stations.
    """
    rng = np.random.default_rng(seed)
    sites = rng if network_seed is None else np.random.default_rng(network_seed)
    projection = Projection(*centre)
    x, y = sites.uniform(-0.5, 0.5, (2, n_stations)) * size_km
    latitude, longitude = projection.to_degrees(x, y)
    elevation_m = sites.uniform(0.0, 1500.0, n_stations)
    names = np.array([f"S{i:02d}" for i in range(n_stations)])
    stations = pd.DataFrame({"network": "XX", "station": names, "location": ""})
    stations = stations.assign(
        latitude=latitude, longitude=longitude, elevation_m=elevation_m, start=pd.NaT, end=pd.NaT
    )
    origin_s = np.cumsum(rng.exponential(gap_s, n_events))
    east, north = rng.uniform(-0.45, 0.45, (2, n_events)) * size_km
    depth_km = rng.uniform(2.0, 18.0, n_events)
    rows = []
    for i in range(n_events):
        distance = np.hypot(x - east[i], y - north[i])
        reach = rng.uniform(0.4, 1.1) * size_km
        seen = (1.0 - missing_share) / (1.0 + np.exp((distance - reach) / (0.1 * reach)))
        for phase in ("P", "S"):
            travel = TravelTimes(CRUST).first_arrival(phase, distance, depth_km[i], -elevation_m / 1000.0)
            arrival = origin_s[i] + travel + rng.normal(0.0, error_s, n_stations)
            rows += [(names[k], phase, arrival[k], i) for k in np.flatnonzero(rng.random(n_stations) < seen)]
    for _ in range(round(false_share * len(rows))):
        false = rng.uniform(0.0, origin_s[-1] + 30.0)
        rows.append((rng.choice(names), rng.choice(["P", "S"]), false, -1))
    frame = pd.DataFrame(rows, columns=["station", "phase", "time_s", "source"])
    frame["time"] = start + pd.to_timedelta(frame["time_s"], unit="s")
    truth = pd.DataFrame({"time": start + pd.to_timedelta(origin_s, unit="s"), "depth_km": depth_km})
    truth["latitude"], truth["longitude"] = projection.to_degrees(east, north)
    picks, source = _picks(frame.assign(network="XX"))
    return Sequence(picks, source, validate(stations, STATIONS), CRUST, truth)


def iceland_dike(shared: Path) -> Sequence:
    """Return the reference picks of 27 earthquakes in nine minutes of the 2014 dike intrusion."""
    folder = shared / "data" / "iceland_dike_2014"
    sites = pd.read_csv(folder / "iceland_stations.txt")
    stations = pd.DataFrame({"network": "Z7", "station": sites["Name"], "location": ""})
    stations = stations.assign(
        latitude=sites["Latitude"],
        longitude=sites["Longitude"],
        elevation_m=1000.0 * sites["Elevation"],
        start=pd.NaT,
        end=pd.NaT,
    )
    files = sorted((folder / "reference").glob("*.picks"))
    events = pd.concat([pd.read_csv(file.with_suffix(".event")) for file in files], ignore_index=True)
    truth = pd.DataFrame({"time": pd.to_datetime(events["DT"]), "latitude": events["Y"]})
    truth = truth.assign(longitude=events["X"], depth_km=events["Z"])
    frame = pd.concat([pd.read_csv(file).assign(source=i) for i, file in enumerate(files)])
    frame = frame[frame["PickTime"] != "-1"].rename(columns={"Station": "station", "Phase": "phase"})
    picks, source = _picks(frame.assign(network="Z7", time=pd.to_datetime(frame["PickTime"])))
    velocity = VelocityModel.read(folder / "iceland_vmodel.txt", "linear")
    return Sequence(picks, source, validate(stations, STATIONS), velocity, truth)


def amatrice(shared: Path) -> Sequence:
    """Return the PhaseNet picks of 2016-10-14 in central Italy; the events are not known."""
    folder = shared / "data" / "amatrice_2016"
    frame = pd.read_csv(folder / "picks" / "phasenet_picks_20161014_from0050.csv.gz")
    frame = frame.assign(time=pd.to_datetime(frame["time"], format="ISO8601"), source=-1)
    names = ["longitude", "latitude", "network", "station", "channel", "elevation_km"]
    sites = pd.read_csv(folder / "station.dat", sep=r"\s+", names=names)
    sites = sites.drop_duplicates(["network", "station"])
    stations = sites.assign(location="", elevation_m=1000.0 * sites["elevation_km"], start=pd.NaT, end=pd.NaT)
    velocity = VelocityModel(
        depth_km=(0.0, 1.0, 5.0, 21.0, 31.0),
        vp_km_s=(5.3, 5.65, 6.2, 6.21, 7.5),
        vs_km_s=(2.75, 2.8, 3.4, 3.5, 4.0),
    )
    picks, source = _picks(frame)
    return Sequence(picks, source, validate(stations, STATIONS), velocity, pd.DataFrame())


def _picks(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    frame = frame.assign(location="", band="HH", probability=1.0, polarity="", method="truth")
    frame["pick_id"] = pick_ids(frame)
    frame = frame.drop_duplicates("pick_id")
    return validate(frame, PICKS), frame.set_index("pick_id")["source"]


def enough(sequence: Sequence, associator: Associator) -> set[int]:
    """Return the events with as many picks as the associator wants."""
    picks = sequence.picks.assign(source=sequence.source.reindex(sequence.picks["pick_id"]).to_numpy())
    found = set()
    for row, own in picks[picks["source"] >= 0].groupby("source"):
        with_p, with_s = (set("XX." + own["station"][own["phase"] == phase]) for phase in ("P", "S"))
        if associator.suffices(with_p, with_s, len(own)):
            found.add(int(row))
    return found


def scores(catalog: Catalog, sequence: Sequence, associator: Associator) -> tuple[float, float]:
    """Return recall and precision; an event is right if it shares 60% of its picks and of the true ones."""
    whole = sequence.source[sequence.source >= 0].value_counts()
    source = catalog.assignments["pick_id"].map(sequence.source)
    right = set()
    n_right = 0
    for _, own in source.groupby(catalog.assignments["event_id"]):
        counts = own[own >= 0].value_counts()
        if len(counts) and counts.iloc[0] >= 0.6 * max(len(own), whole[counts.index[0]]):
            right.add(int(counts.index[0]))
            n_right += 1
    wanted = enough(sequence, associator)
    return len(right & wanted) / len(wanted), n_right / max(1, len(catalog.events))


def recovered(catalog: Catalog, sequence: Sequence, within_s: float, within_km: float) -> list[int]:
    """Return the true events that have an event near them in time and epicentre."""
    events = catalog.events
    projection = Projection.of_stations(sequence.stations)
    east, north = projection.to_km(events["latitude"], events["longitude"])
    found = []
    for row, event in sequence.truth.iterrows():
        x, y = projection.to_km(event["latitude"], event["longitude"])
        late = (events["time"] - event["time"]).dt.total_seconds().abs().to_numpy()
        if ((late < within_s) & (np.hypot(east - x, north - y) < within_km)).any():
            found.append(int(row))
    return found
