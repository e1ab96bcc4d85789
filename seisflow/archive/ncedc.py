"""The public bucket of the Northern California Earthquake Data Center."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from fnmatch import fnmatchcase
from typing import Any, ClassVar

from seisflow.archive.keys_by_day import (
    ChannelDay,
    DayFolder,
    KeysByDay,
    day_of,
    literal_start,
    shortest_starts,
)
from seisflow.storage import Place

__all__ = ["Ncedc"]

_NAME = re.compile(
    r"(?P<station>\w{1,5})\.(?P<network>\w{1,2})\.(?P<channel>\w{3})\.(?P<location>[\w-]{0,2})"
    r"\.D\.(?P<year>\d{4})\.(?P<day>\d{3})"
)


class Ncedc(KeysByDay):
    """Northern California, s3://ncedc-pds: ``continuous_waveforms/NET/YEAR/YEAR.DAY/...``.

    The files are called ``STA.NET.CHA.LOC.D.YEAR.DAY``. The location stands between its dots as it
    is, empty where blank; ``__`` and ``--`` are understood.
    The StationXML files lie in ``FDSNstationXML/NET/NET.STA.xml``.

    References
    ----------
    https://ncedc.org/db/cloud.html
    """

    name: ClassVar[str] = "ncedc"
    public: ClassVar[dict[str, Any]] = {"anon": True, "client_kwargs": {"region_name": "us-east-2"}}

    root: str = "s3://ncedc-pds"
    """Bucket or folder with ``continuous_waveforms/``; any URL that fsspec opens."""

    @classmethod
    def key_of(cls, of: ChannelDay) -> str:
        """Return the key below the root of the file of a channel and day."""
        folder = f"continuous_waveforms/{of.network}/{of.day:%Y}/{of.day:%Y.%j}"
        return f"{folder}/{of.station}.{of.network}.{of.channel}.{of.location}.D.{of.day:%Y.%j}"

    @classmethod
    def parse_name(cls, name: str) -> ChannelDay:
        """Return what the name of a file says it holds; ValueError says what is wrong with it."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise ValueError(f"'{name}' is no NCEDC name, STA.NET.CHA.LOC.D.YEAR.DAY")
        location = match["location"].strip("_-")
        day = day_of(match["year"], match["day"], name)
        return ChannelDay(match["network"], match["station"], location, match["channel"], day)

    def _day_folders(
        self, root: Place, days: Sequence[date], stations: Sequence[str] | None, pool: ThreadPoolExecutor
    ) -> Iterable[DayFolder]:
        """Return the days there are of each network that is asked for; networks and years are listed."""
        patterns = [_codes(pattern) for pattern in stations or ["*.*"]]
        networks = {}
        for network in root.folders():
            wanted = [station for code, station in patterns if fnmatchcase(network.name, code)]
            if wanted:
                networks[network] = shortest_starts(map(_start, wanted))
        years = {f"{day:%Y}" for day in days}
        there = [
            (year, starts)
            for network, inside in zip(networks, pool.map(Place.folders, networks), strict=True)
            for year in inside
            if year.name in years
            for starts in [networks[network]]
        ]
        by_name = {f"{day:%Y.%j}": day for day in days}
        listed = pool.map(Place.folders, [year for year, _ in there])
        return [
            DayFolder(folder, by_name[folder.name], starts)
            for (_, starts), folders in zip(there, listed, strict=True)
            for folder in folders
            if folder.name in by_name
        ]


def _codes(pattern: str) -> tuple[str, str]:
    """Return the network and the station of a pattern ``NET.STA``; all where it is none of this form."""
    network, dot, station = pattern.partition(".")
    return (network, station) if dot and "[" not in network else ("*", "*")


def _start(station: str) -> str:
    """Return how the names of the files of a station pattern begin."""
    known = literal_start(station)
    return known if known != station else f"{station}."
