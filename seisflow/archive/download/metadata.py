"""What the station service of a data centre says: which channels there are when, and their responses."""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from obspy import UTCDateTime
from obspy.clients.fdsn.header import FDSNException, FDSNNoDataException

from seisflow.archive.download.client import PoliteClient, RequestFailedError
from seisflow.archive.selection import is_wanted
from seisflow.errors import ArchiveError

if TYPE_CHECKING:
    from seisflow.keys import Period

__all__ = ["Epoch", "download_stationxml", "epochs_of"]

_KEPT_S = 86400.0
_DAY_S = 86400


class Epoch(NamedTuple):
    """A channel and the time (ISO, UTC) it was in operation; an open end is far in the future."""

    network: str
    station: str
    location: str
    channel: str
    start: str
    end: str


def epochs_of(
    client: PoliteClient,
    period: Period,
    stations: Sequence[str],
    locations: Sequence[str],
    channels: Sequence[str],
    folder: Path,
) -> list[Epoch]:
    """Return the channel epochs that touch a period; where there is an availability service, times with data.

    The answer is kept in `folder` for a day, so that a download that goes on asks less.

    Raises
    ------
    ArchiveError
        If the service does not give it.
    """
    start, end = (UTCDateTime(ns=int(t.astype("int64"))) for t in (period.start, period.end))
    lines = [
        (*_codes(pattern), location, channel, start, end)
        for pattern in stations
        for location in locations
        for channel in channels
    ]
    digest = hashlib.blake2b(f"{client.base_url} {lines}".encode(), digest_size=8).hexdigest()
    kept = folder / f"channels-{digest}.json"
    if kept.exists() and time.time() - kept.stat().st_mtime < _KEPT_S:
        return [Epoch(*row) for row in json.loads(kept.read_text())]
    try:
        inventory = client.get_stations_bulk(lines, level="channel")
    except FDSNNoDataException:
        return []
    except FDSNException as error:
        raise ArchiveError(f"{client.base_url} does not say which channels it has: {error}") from error
    found = sorted(
        Epoch(
            net.code, sta.code, cha.location_code, cha.code, _iso(cha.start_date, ""), _iso(cha.end_date, "9")
        )
        for net in inventory
        for sta in net
        for cha in sta
        if is_wanted(net.code, sta.code, stations)
        and any(fnmatchcase(cha.location_code, pattern.replace("--", "")) for pattern in locations)
        and any(fnmatchcase(cha.code, pattern) for pattern in channels)
    )
    found = _available(client, found, start, end)
    _put(kept, json.dumps(found).encode())
    return found


def _available(
    client: PoliteClient, epochs: list[Epoch], start: UTCDateTime, end: UTCDateTime
) -> list[Epoch]:
    """Return the times of the epochs that the availability service has data of; all where it can not say."""
    try:
        client.text("availability", "version")
    except (FDSNException, RequestFailedError):
        return epochs
    found: list[Epoch] = []
    for network, station in sorted({(epoch.network, epoch.station) for epoch in epochs}):
        own = [epoch for epoch in epochs if (epoch.network, epoch.station) == (network, station)]
        about = {"network": network, "station": station, "starttime": start, "endtime": end}
        try:
            text = client.text("availability", "query", about | {"format": "text", "mergegaps": _DAY_S})
        except FDSNNoDataException:
            continue
        except (FDSNException, RequestFailedError):
            found += own
            continue
        wanted = {epoch[:4] for epoch in own}
        found += [span for span in _spans(text) if span[:4] in wanted]
    return sorted(set(found))


def _spans(text: str) -> Iterator[Epoch]:
    """Yield the lines of an availability text: network station [location] channel quality rate start end."""
    for line in text.splitlines():
        columns = line.split()
        if len(columns) < 7 or line.startswith("#"):
            continue
        network, station, *location, channel = columns[:-4]
        code = "".join(location).replace("--", "")
        yield Epoch(network, station, code, channel, *(str(UTCDateTime(t)) for t in columns[-2:]))


def download_stationxml(
    client: PoliteClient,
    epochs: Sequence[Epoch],
    folder: Path,
    ask_again_after: timedelta,
    say: Callable[[str], None],
) -> None:
    """Write a StationXML file with responses, NET.STA.xml, for each station; those that are there stay.

    A station whose metadata can not be had is left out with a word: its waveforms may still be of use
    with another inventory, and a run without metadata says so for each of its days.
    """
    for network, station in sorted({(epoch.network, epoch.station) for epoch in epochs}):
        path = folder / f"{network}.{station}.xml"
        if path.exists() and time.time() - path.stat().st_mtime < ask_again_after.total_seconds():
            continue
        body = io.BytesIO()
        try:
            client.get_stations(network=network, station=station, level="response", filename=body)
        except (FDSNException, RequestFailedError) as error:
            say(f"no metadata of {network}.{station}: {error}")
            continue
        _put(path, body.getvalue())


def _put(path: Path, content: bytes) -> None:
    """Put a file in place as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


def _codes(pattern: str) -> tuple[str, str]:
    """Return a pattern ``NET.STA`` in the wildcards that FDSN services know, ``*`` and ``?``."""
    network, dot, station = pattern.partition(".")
    if not dot or "[" in pattern:
        return "*", "*"
    return network, station


def _iso(instant: UTCDateTime | None, otherwise: str) -> str:
    """Return a time as text that sorts."""
    return otherwise if instant is None else str(instant)
