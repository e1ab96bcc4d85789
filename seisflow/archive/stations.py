"""Metadata of stations: coordinates and epochs from StationXML or CSV, responses from StationXML."""

from __future__ import annotations

import io
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from seisflow.archive.selection import is_wanted
from seisflow.archive.stationxml import read_stationxml
from seisflow.errors import ArchiveError, MetadataError, WorkflowError
from seisflow.keys import as_time
from seisflow.storage import Place, open_place
from seisflow.tables import STATIONS, validate

if TYPE_CHECKING:
    import obspy

__all__ = ["holds_responses", "read_inventory", "read_stations"]

_OPEN_YEAR = 2200
"""Epochs that end in this year or later are still running: people write 2500, 2599, 2999, 9999."""
_EVER = np.datetime64("1700-01-01", "ns")
_NEVER = np.datetime64("2200-01-01", "ns")
_SAME_SITE_M = 1000.0
_KEY = ["network", "station", "location"]
_PLACE = ["latitude", "longitude", "elevation_m"]
_ALIASES = {
    "net": "network",
    "sta": "station",
    "name": "station",
    "loc": "location",
    "lat": "latitude",
    "lon": "longitude",
    "starttime": "start",
    "endtime": "end",
}


def read_stations(
    path: str | Path,
    *,
    network: str | None = None,
    elevation_unit: Literal["m", "km"] = "m",
    select: Sequence[str] | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Read where instruments stand, and when.

    Parameters
    ----------
    path : str or Path
        A StationXML file, a folder with such files, or a CSV file, on a disk or any fsspec URL. The
        CSV has the columns network, station, latitude, longitude, elevation_m or elevation_km, and
        may have location, start and end; capitals do not matter, and net, sta, loc, lat, lon and
        name (for station) are understood.
    network : str, optional
        Network code of a CSV that has no such column.
    elevation_unit : {"m", "km"}
        Unit of a column that is called just ``elevation``.
    select : sequence of str, optional
        Patterns ``NETWORK.STATION``; None means all. In a folder of files that are named by a station
        (CI_ABC.xml, CI.ABC.xml) only those of these stations are read.
    storage_options : mapping, optional
        What fsspec needs to open the URL.

    Returns
    -------
    pandas.DataFrame
        STATIONS table, sorted: a row for each network, station, location and epoch. Epochs of one
        site that meet or overlap are one row. An end in the far future (2200 or later) is null. The
        elevation is the sensor's, as FDSN StationXML defines it.

    Raises
    ------
    MetadataError
        If the file is missing, is neither format, misses a column, or gives one site two places
        more than 1 km apart at the same time.
    """
    place = open_place(path, storage_options)
    if _is_csv(place):
        rows = _rows_of_csv(place, network, elevation_unit)
    else:
        rows = _rows_of_inventory(read_stationxml(place, "channel", select, storage_options))
    if rows.empty:
        raise MetadataError(f"{place.uri} names no station")
    codes = zip(rows["network"], rows["station"], strict=True)
    n_rows, rows = len(rows), rows[[is_wanted(*code, select) for code in codes]]
    if rows.empty:
        raise MetadataError(
            f"{place.uri} has {n_rows} epochs of stations, none of which fits {', '.join(select or ())}; "
            "check stations.select"
        )
    table: pd.DataFrame = validate(_merged(rows, place.uri), STATIONS)
    return table


def read_inventory(
    path: str | Path,
    *,
    select: Sequence[str] | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> obspy.Inventory:
    """Read instrument responses; a process reads the same unchanged file once.

    Parameters
    ----------
    path : str or Path
        A StationXML file or a folder with such files, on a disk or any fsspec URL.
    select, storage_options
        As in `read_stations`; other stations that share a file with those selected are given too.

    Raises
    ------
    MetadataError
        If there is no such file, or it is no StationXML.
    """
    place = open_place(path, storage_options)
    if _is_csv(place):
        raise MetadataError(f"{place.uri} holds no responses; give a StationXML file or folder")
    return read_stationxml(place, "response", select, storage_options)


def holds_responses(path: str | Path) -> bool:
    """Return whether an inventory is of a kind that may hold responses: all but a CSV; nothing is read."""
    return not _is_csv(PurePosixPath(str(path)))


def _rows_of_inventory(inventory: obspy.Inventory) -> pd.DataFrame:
    """Return a row for each channel and epoch; for each station where channels are not listed."""
    rows = []
    for network in inventory:
        for station in network:
            for site in station.channels or [station]:
                start = site.start_date or station.start_date
                end = site.end_date or station.end_date
                place = (float(site.latitude), float(site.longitude), float(site.elevation))
                location = (getattr(site, "location_code", "") or "").replace("--", "").strip()
                rows.append(
                    (
                        network.code,
                        station.code,
                        location,
                        *place,
                        _instant(start),
                        _instant(end, is_end=True),
                    )
                )
    return pd.DataFrame(rows, columns=[*_KEY, *_PLACE, "start", "end"])


def _rows_of_csv(place: Place, network: str | None, elevation_unit: str) -> pd.DataFrame:
    try:
        text = place.read_bytes().decode("utf-8-sig")
        frame = pd.read_csv(
            io.StringIO(text), dtype=str, keep_default_na=False, skipinitialspace=True, comment="#"
        )
    except (ArchiveError, ValueError) as error:
        raise MetadataError(f"{place.uri} can not be read as a CSV of stations: {error}") from error
    frame = frame.rename(columns=lambda name: _ALIASES.get(name.strip().lower(), name.strip().lower()))
    frame = frame.apply(lambda column: column.str.strip())
    if network is not None and "network" not in frame:
        frame["network"] = network
    frame = _with_elevation_m(frame, elevation_unit)
    missing = [name for name in ("network", "station", *_PLACE) if name not in frame]
    if missing:
        raise MetadataError(
            f"{place.uri} has no column {', '.join(missing)}; it has {', '.join(frame.columns)}"
        )
    for name in _PLACE:
        numbers = pd.to_numeric(frame[name], errors="coerce")
        if numbers.isna().any():
            row = int(np.flatnonzero(numbers.isna())[0])
            raise MetadataError(
                f"{place.uri}: {name} is no number in row {row + 1}: {frame[name].iloc[row]!r}"
            )
        frame[name] = numbers
    frame["location"] = frame["location"].replace("--", "") if "location" in frame else ""
    for name in ("start", "end"):
        frame[name] = [_instant(t, is_end=name == "end") for t in frame[name]] if name in frame else None
    return frame[[*_KEY, *_PLACE, "start", "end"]]


def _with_elevation_m(frame: pd.DataFrame, unit: str) -> pd.DataFrame:
    if "elevation_m" in frame:
        return frame
    source, factor = (
        ("elevation_km", 1000.0) if "elevation_km" in frame else ("elevation", {"m": 1.0, "km": 1e3}[unit])
    )
    if source not in frame:
        return frame
    return frame.assign(elevation_m=pd.to_numeric(frame[source], errors="coerce") * factor)


def _instant(value: Any, *, is_end: bool = False) -> np.datetime64 | None:
    """Return a time, or None where there is none or it stands for 'still running'."""
    if value is None or str(value).strip().lower() in ("", "nan", "nat", "none", "null"):
        return None
    text = str(value).strip()
    if is_end and text[:4].isdigit() and int(text[:4]) >= _OPEN_YEAR:
        return None
    try:
        return as_time(text)
    except WorkflowError as error:
        raise MetadataError(f"the start or end of a station epoch is no time: {error}") from error


def _merged(rows: pd.DataFrame, source: str) -> pd.DataFrame:
    """Join epochs of a site that meet or overlap in the same place; refuse contradictions."""
    rows = rows.assign(
        first=[_EVER if pd.isna(t) else t for t in rows["start"]],
        last=[_NEVER if pd.isna(t) else t for t in rows["end"]],
    ).sort_values([*_KEY, "first", "last", *_PLACE])
    epochs: list[dict[Hashable, Any]] = []
    for row in rows.to_dict("records"):
        before = epochs[-1] if epochs else None
        if before is None or any(before[name] != row[name] for name in _KEY) or row["first"] > before["last"]:
            epochs.append(row)
            continue
        apart_m = _apart_m(before, row)
        if row["first"] == before["last"] and apart_m > 0.0:  # it moved
            epochs.append(row)
        elif apart_m > _SAME_SITE_M:
            name = ".".join(str(row[key]) for key in _KEY)
            places = " and ".join(str(tuple(epoch[key] for key in _PLACE)) for epoch in (before, row))
            raise MetadataError(
                f"{source}: {name} stands in two places at {row['first']}: {places}, "
                f"{apart_m / 1000:.1f} km apart; correct the coordinates or the epochs"
            )
        else:
            before["last"] = max(before["last"], row["last"])
    table = pd.DataFrame(epochs)
    table["start"] = pd.to_datetime(table["first"].mask(table["first"] == _EVER), utc=True)
    table["end"] = pd.to_datetime(table["last"].mask(table["last"] == _NEVER), utc=True)
    return table


def _apart_m(one: dict[Hashable, Any], other: dict[Hashable, Any]) -> float:
    """Return the distance between two places on a sphere, depth difference included."""
    degree_m = 111_195.0
    north = (one["latitude"] - other["latitude"]) * degree_m
    east = (one["longitude"] - other["longitude"]) * degree_m * np.cos(np.radians(one["latitude"]))
    return float(np.sqrt(north**2 + east**2 + (one["elevation_m"] - other["elevation_m"]) ** 2))


def _is_csv(place: Place | PurePosixPath) -> bool:
    return place.name.lower().endswith((".csv", ".txt"))
