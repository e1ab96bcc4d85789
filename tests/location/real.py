"""Readers of published locations, to compare with: no more than the tests need."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from seisflow.earth import VelocityModel
from seisflow.tables import ASSIGNMENTS, EVENTS, PICKS, STATIONS, Catalog, pick_ids, validate


def catalog_of_rows(rows: pd.DataFrame, events: pd.DataFrame) -> Catalog:
    """Return the catalogue of rows (event, station, phase, time) and published hypocentres (index event)."""
    picks = rows.assign(network="XX", location="", band="", probability=1.0, polarity="", method="published")
    picks["pick_id"] = pick_ids(picks)
    picks["pick_id"] += picks["event"].astype(str)
    events = events.assign(
        event_id=events.index.astype(str),
        n_p=0,
        n_s=0,
        magnitude_type="",
        method="published",
        status="associated",
    )
    assignments = pd.DataFrame({"event_id": picks["event"].astype(str), "pick_id": picks["pick_id"]})
    return Catalog(validate(events, EVENTS), validate(assignments, ASSIGNMENTS), validate(picks, PICKS))


def stations_of(rows: list[tuple[str, float, float, float]]) -> pd.DataFrame:
    """Return STATIONS of (code, latitude, longitude, elevation in m)."""
    frame = pd.DataFrame(rows, columns=["station", "latitude", "longitude", "elevation_m"])
    return validate(frame.assign(network="XX", location=""), STATIONS)


def iceland(folder: Path) -> tuple[Catalog, pd.DataFrame]:
    """Return QuakeMigrate's picks and hypocentres of the Bardarbunga dike, and the stations."""
    table = pd.read_csv(folder / "iceland_stations.txt")
    stations = stations_of(
        list(zip(table.Name, table.Latitude, table.Longitude, table.Elevation * 1e3, strict=True))
    )
    rows, events = [], {}
    for path in sorted((folder / "reference").glob("*.picks")):
        picks = pd.read_csv(path)
        picks = picks[picks["PickTime"].astype(str) != "-1"]
        times = pd.to_datetime(picks["PickTime"], utc=True)
        rows.append(
            pd.DataFrame(
                {"event": path.stem, "station": picks["Station"], "phase": picks["Phase"], "time": times}
            )
        )
        event = pd.read_csv(path.with_suffix(".event")).iloc[0]
        events[path.stem] = (pd.Timestamp(event.DT), event.Y, event.X, event.Z)
    return catalog_of_rows(pd.concat(rows, ignore_index=True), _events(events)), stations


def alaska(folder: Path) -> tuple[Catalog, pd.DataFrame, VelocityModel]:
    """Return the picks that NonLinLoc used and its hypocentres, the stations and the layered model."""
    stations = []
    for line in (folder / "station_coordinates.txt").read_text().splitlines():
        if line.startswith("GTSRCE"):
            _, code, _, latitude, longitude, _, elevation_km = line.split()
            stations.append((code, float(latitude), float(longitude), float(elevation_km) * 1e3))
    known = {row[0] for row in stations}
    rows, events, number = [], {}, -1
    for line in (folder / "alaska.hyp").read_text().splitlines():
        words = line.split()
        if line.startswith("NLLOC "):
            number += 1
        elif line.startswith("GEOGRAPHIC"):
            year, month, day, hour, minute = (int(word) for word in words[2:7])
            origin = pd.Timestamp(year, month, day, hour, minute, tz="UTC") + pd.Timedelta(
                float(words[7]), "s"
            )
            events[number] = (origin, float(words[9]), float(words[11]), float(words[13]))
        elif len(words) > 20 and words[4] in ("P", "S") and words[0] in known and float(words[18]) > 0.0:
            time = pd.Timestamp(f"{words[6]}T{int(words[7]):04d}", tz="UTC") + pd.Timedelta(
                float(words[8]), "s"
            )
            rows.append((number, words[0], words[4], time))
    layers = [
        line.split()[1:]
        for line in (folder / "nlloc_sample.in").read_text().splitlines()
        if line.startswith("LAYER")
    ]
    depth, vp, _, vs = np.array(layers, dtype=float).T[:4]
    model = VelocityModel(depth_km=tuple(depth), vp_km_s=tuple(vp), vs_km_s=tuple(vs))
    frame = pd.DataFrame(rows, columns=["event", "station", "phase", "time"])
    return catalog_of_rows(frame, _events(events)), stations_of(stations), model


def calaveras(folder: Path, n_events: int) -> tuple[Catalog, pd.DataFrame, VelocityModel]:
    """Return NCSN picks and hypocentres of the first events, the stations and HypoDD's layered model."""
    stations = {}
    for line in (folder / "station.dat").read_text().splitlines():
        code, latitude, longitude = line.split()[:3]
        stations[code] = (code, float(latitude), float(longitude), 0.0)
    rows, events, number = [], {}, -1
    for line in (folder / "Calaveras.pha").read_text().splitlines():
        words = line.split()
        if words[0] == "#":
            number += 1
            origin = pd.Timestamp(*(int(word) for word in words[1:6]), tz="UTC") + pd.Timedelta(
                float(words[6]), "s"
            )
            if number == n_events:
                break
            events[number] = (origin, float(words[7]), float(words[8]), float(words[9]))
        elif words[0] in stations:
            rows.append(
                (
                    number,
                    words[0],
                    words[3],
                    origin + pd.Timedelta(float(words[1]), "s"),
                    abs(float(words[2])),
                )
            )
    frame = pd.DataFrame(rows, columns=["event", "station", "phase", "time", "weight"])
    text = [line.split() for line in (folder / "hypoDD.inp").read_text().splitlines()]
    row = next(i for i, words in enumerate(text) if words[:1] == ["*CONCORD-CALAVERAS"])
    vp = tuple(float(word) for word in text[row + 2])
    model = VelocityModel(
        depth_km=tuple(float(word) for word in text[row + 1]), vp_km_s=vp, vs_km_s=tuple(v / 1.73 for v in vp)
    )
    return (
        catalog_of_rows(frame[frame["weight"] > 0], _events(events)),
        stations_of(list(stations.values())),
        model,
    )


def _events(events: dict[object, tuple[pd.Timestamp, float, float, float]]) -> pd.DataFrame:
    return pd.DataFrame.from_dict(
        events, orient="index", columns=["time", "latitude", "longitude", "depth_km"]
    )
