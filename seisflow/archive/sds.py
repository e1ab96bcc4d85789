"""The SeisComP Data Structure: a file for each channel and day, found by its name alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import ClassVar

import pandas as pd

from seisflow.archive.base import Archive, Scan
from seisflow.archive.headers import Contents
from seisflow.archive.selection import is_wanted, scan_of
from seisflow.errors import ArchiveError
from seisflow.keys import Period
from seisflow.storage import File, Place, open_place

__all__ = ["Sds"]

_LISTERS = 16
_NAME = re.compile(
    r"(?P<network>[^.]*)\.(?P<station>[^.]+)\.(?P<location>[^.]*)\.(?P<channel>[^.]+)"
    r"\.(?P<kind>[A-Z])\.(?P<year>\d{4})\.(?P<day>\d{3})"
)


class Sds(Archive):
    """SeisComP Data Structure, ``YEAR/NET/STA/CHAN.D/NET.STA.LOC.CHAN.D.YEAR.DAY``.

    A scan lists folders and opens no file: the name of a file says which day it holds. Only
    waveform files (kind D) are listed; logs, timing and calibration are left alone.

    References
    ----------
    https://www.seiscomp.de/seiscomp3/doc/applications/slarchive/SDS.html
    """

    name: ClassVar[str] = "sds"

    def scan(self, period: Period, stations: Sequence[str] | None) -> Scan:
        """Return what lies in `period`; `stations` are patterns such as ``Z7.*``, None means all."""
        days = {str(day) for day in period.days()}
        folders = list(self._station_folders({day[:4] for day in days}, stations))
        with ThreadPoolExecutor(_LISTERS) as pool:
            listings = list(pool.map(Place.files, folders))
        rows = []
        for file in (file for listing in listings for file in listing):
            row = _contents(file)
            if row is not None and (
                not row.day or (row.day in days and is_wanted(row.network, row.station, stations))
            ):
                rows.append(_without_empty(row))
        return scan_of(pd.DataFrame(rows, columns=list(Contents._fields)), period, stations)

    def scans(self, period: Period, stations: Sequence[str] | None) -> Iterator[Scan]:
        """Yield what lies in `period` year by year."""
        start, end = period.start, period.end
        while start < end:
            following = (start.astype("datetime64[Y]") + 1).astype("datetime64[ns]")
            yield self.scan(Period(start, min(following, end)), stations)
            start = following

    def _station_folders(self, years: set[str], stations: Sequence[str] | None) -> Iterator[Place]:
        """Yield ``YEAR/NET/STA`` folders of the years and stations that are asked for.

        Raises
        ------
        ArchiveError
            If there is no such root, or it holds no folder named by a year.
        """
        root = open_place(self.root, self.storage_options, self.patience_s)
        if not root.is_folder():
            raise ArchiveError(f"there is no folder {root.uri}")
        inside = root.folders()
        if not any(re.fullmatch(r"\d{4}", place.name) for place in inside):
            found = ", ".join(place.name for place in inside[:5]) or "no folder"
            raise ArchiveError(
                f"{root.uri} is no SDS archive: it should hold folders named by years, found {found}; "
                "for any other tree of files use the method 'folder'"
            )
        for year in inside:
            for network in year.folders() if year.name in years else []:
                for station in network.folders():
                    if is_wanted(network.name, station.name, stations):
                        yield station


def _contents(file: File) -> Contents | None:
    """Return what the name of a file says it holds; None for kinds of files that are no waveforms."""
    name = file.relative.rsplit("/", 1)[-1]
    match = _NAME.fullmatch(name)
    if match is None:
        return Contents(
            file.uri, file.n_bytes, file.stamp, f"'{name}' is no SDS name, NET.STA.LOC.CHAN.D.YEAR.DAY"
        )
    if match["kind"] != "D":
        return None
    first = date(int(match["year"]), 1, 1)
    day = first + timedelta(days=int(match["day"]) - 1)
    if day.year != first.year:
        fault = f"'{name}' names day {match['day']}, which the year {match['year']} does not have"
        return Contents(file.uri, file.n_bytes, file.stamp, fault)
    location = match["location"].replace("--", "")
    codes = (match["network"], match["station"], location, match["channel"][:-1])
    return Contents(file.uri, file.n_bytes, file.stamp, "", *codes, str(day))


def _without_empty(row: Contents) -> Contents:
    """Return an empty file as one that holds nothing."""
    if row.n_bytes or row.fault:
        return row
    return Contents(row.uri, 0, row.stamp, "the file is empty (0 bytes)")
