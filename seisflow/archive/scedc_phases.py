"""What analysts of SCEDC picked and located: phase files beside the waveforms, something to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pandas as pd

from seisflow.archive.selection import is_wanted
from seisflow.errors import ArchiveError, MissingFileError
from seisflow.storage import File, open_place
from seisflow.tables import ASSIGNMENTS, EVENTS, PICKS, Catalog, pick_ids, validate

if TYPE_CHECKING:
    from seisflow.archive.scedc import Scedc
    from seisflow.keys import Period

__all__ = ["parse_phases", "read_scedc_phases"]

_READERS = 16
_MAGNITUDES = {
    "l": "ML",
    "lr": "MLr",
    "w": "Mw",
    "b": "Mb",
    "s": "Ms",
    "e": "Me",
    "c": "Mc",
    "d": "Md",
    "h": "Mh",
}
_MOTION = {"c": "up", "u": "up", "d": "down"}


def read_scedc_phases(archive: Scedc, period: Period, stations: Sequence[str] | None = None) -> Catalog:
    """Return the events of a period that SCEDC located, with the picks of its analysts.

    Parameters
    ----------
    archive : Scedc
        The files lie below its root, ``event_phases/YEAR/YEAR_DAY/EVENT.phase``.
    period : Period
        Of the origin times.
    stations : sequence of str, optional
        Patterns ``NETWORK.STATION`` of the picks; None means all.

    Returns
    -------
    Catalog
        EVENTS (named ``ci`` and the number of SCEDC), ASSIGNMENTS and PICKS; the probability of a pick
        is its quality, 0 to 1.

    Raises
    ------
    ArchiveError
        If a file can not be read, or is none of this format; the message names it.
    """
    folder = open_place(
        f"{archive.root.rstrip('/')}/event_phases", archive.storage_options, archive.patience_s
    )
    days = [day.astype("datetime64[D]").item() for day in period.days()]
    with ThreadPoolExecutor(_READERS) as pool:
        places = [folder.below(f"{day:%Y}/{day:%Y_%j}") for day in days]
        files = [file for found in pool.map(_files, places) for file in found]
        contents = pool.map(lambda file: open_place(file.uri, archive.storage_options).read_bytes(), files)
        parsed = [
            parse_phases(content.decode("ascii", "replace"), file.uri)
            for file, content in zip(files, contents, strict=True)
        ]
    events = [event for event, _ in parsed if period.holds(event["time"].to_datetime64())]
    ids = {event["event_id"] for event in events}
    picks = [
        pick
        for _, rows in parsed
        for pick in rows
        if pick["event_id"] in ids and is_wanted(pick["network"], pick["station"], stations)
    ]
    table = pd.DataFrame(picks, columns=[*PICKS.names[1:], "event_id", "distance_km"])
    table["pick_id"] = pick_ids(table) if len(table) else pd.Series(dtype=str)
    frame = pd.DataFrame(events, columns=EVENTS.names)
    for phase, column in (("P", "n_p"), ("S", "n_s")):
        counts = table[table["phase"] == phase].groupby("event_id").size()
        frame[column] = frame["event_id"].map(counts).fillna(0).astype(int)
    unique = table.drop_duplicates("pick_id")
    return Catalog(validate(frame, EVENTS), validate(table, ASSIGNMENTS), validate(unique, PICKS))


def parse_phases(text: str, name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the row of EVENTS and the picks of one phase file.

    The first line gives event, type, region, origin time, latitude, longitude, depth (km), magnitude and
    its type; each further one network, station, channel, location, latitude, longitude, elevation,
    phase, first motion, onset, quality, distance (km) and seconds after the origin.

    Raises
    ------
    ArchiveError
        Naming the file and the line.
    """
    lines = [line.split() for line in text.splitlines() if line.strip()]
    try:
        event = _event(lines[0])
    except (IndexError, ValueError) as error:
        raise ArchiveError(f"{name}: line 1 is no event of an SCEDC phase file: {error}") from error
    picks = []
    for number, columns in enumerate(lines[1:], start=2):
        try:
            picks.append(_pick(columns, event))
        except (IndexError, ValueError) as error:
            raise ArchiveError(
                f"{name}: line {number} is no phase of an SCEDC phase file: {error}"
            ) from error
    return event, picks


def _event(columns: list[str]) -> dict[str, Any]:
    number, _, _, time, latitude, longitude, depth, magnitude, kind, *_ = columns
    return {
        "event_id": f"ci{number}",
        "time": pd.to_datetime(time, format="%Y/%m/%d,%H:%M:%S.%f"),
        "latitude": float(latitude),
        "longitude": float(longitude),
        "depth_km": float(depth),
        "magnitude": None if kind == "n" else float(magnitude),
        "magnitude_type": _MAGNITUDES.get(kind, ""),
        "method": "scedc",
        "status": "located",
    }


def _pick(columns: list[str], event: dict[str, Any]) -> dict[str, Any]:
    network, station, channel, location = columns[:4]
    phase, motion, _, quality, distance, after = columns[7:13]
    letters = motion.replace(".", "")[:1]
    return {
        "event_id": event["event_id"],
        "network": network,
        "station": station,
        "location": location.replace("--", ""),
        "band": channel[:-1],
        "phase": phase[:1].upper(),
        "time": event["time"] + pd.to_timedelta(float(after), unit="s"),
        "probability": float(quality),
        "polarity": _MOTION.get(letters, ""),
        "method": "scedc",
        "distance_km": float(distance),
    }


def _files(place: Any) -> list[File]:
    """Return the phase files of a day; a day without events has no folder."""
    try:
        return [file for file in place.files() if file.relative.endswith(".phase")]
    except MissingFileError:
        return []
