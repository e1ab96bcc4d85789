"""Public buckets that keep a folder for each day and a miniSEED file for each channel in it.

What a bucket holds is read off the names of its keys, day by day: a scan of one day of twenty years
lists that day and no other, and opens no file.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

import pandas as pd
from pydantic import Field, model_validator

from seisflow.archive.base import Archive, Scan, Traces
from seisflow.archive.decode import read_files
from seisflow.archive.headers import Contents
from seisflow.archive.selection import is_wanted, scan_of
from seisflow.errors import ArchiveError
from seisflow.storage import Place, open_place

if TYPE_CHECKING:
    from seisflow.keys import Period, Window

__all__ = ["ChannelDay", "DayFolder", "KeysByDay", "day_of", "literal_start", "shortest_starts"]

_LISTERS = 16
_SEISMIC = "[BCDEFGHS][HLNP]?"
_OWN_CREDENTIALS = frozenset({"anon", "key", "secret", "token", "profile", "session"})


class ChannelDay(NamedTuple):
    """What the name of a file says it holds; location '' where blank."""

    network: str
    station: str
    location: str
    channel: str
    day: date


class DayFolder(NamedTuple):
    """A folder that holds one day; `starts` are beginnings of the names of the files to list there."""

    place: Place
    day: date
    starts: tuple[str, ...]


class KeysByDay(Archive):
    """Base of the buckets of data centres: a folder for each day, a file for each channel.

    Subclasses say how folders and files are named, and what opens the public bucket.
    """

    neutral: ClassVar[frozenset[str]] = Archive.neutral
    public: ClassVar[Mapping[str, Any]] = {}
    """What s3fs needs for the public bucket, unless `storage_options` say something else."""
    metadata: ClassVar[str] = "FDSNstationXML"
    """Folder of StationXML files below the root."""

    channels: Annotated[tuple[str, ...], Field(min_length=1)] = (_SEISMIC,)
    """Patterns of channel codes that are read; the default is every seismometer and accelerometer
    of 10 Hz and more. The buckets also keep slow channels, state of health and logs."""

    @model_validator(mode="before")
    @classmethod
    def _public_by_default(cls, values: Any) -> Any:
        """Open an s3:// root without credentials and in its region, unless it is said how to open it."""
        if not isinstance(values, Mapping):
            return values
        root = str(values.get("root", cls.model_fields["root"].default))
        given = values.get("storage_options") or {}
        if not root.startswith("s3://") or not isinstance(given, Mapping):
            return values
        defaults = dict(cls.public)
        if _OWN_CREDENTIALS & set(given):
            defaults.pop("anon", None)
        region = dict(defaults.pop("client_kwargs", {})) | dict(given.get("client_kwargs") or {})
        return {**values, "storage_options": defaults | dict(given) | {"client_kwargs": region}}

    def inventory(self) -> str:
        """Return where the StationXML files of the stations lie, for ``stations: {inventory: archive}``."""
        return f"{self.root.rstrip('/')}/{self.metadata}"

    def scan(self, period: Period, stations: Sequence[str] | None) -> Scan:
        """Return what lies in `period`; `stations` are patterns such as ``CI.*``, None means all."""
        root = open_place(f"{self.root.rstrip('/')}/continuous_waveforms", self.storage_options)
        if not root.is_folder():
            raise ArchiveError(f"there is no folder {root.uri}; check archive.root, which should hold it")
        days = [date.fromisoformat(str(day)) for day in period.days()]
        with ThreadPoolExecutor(_LISTERS) as pool:
            found = pool.map(_files, self._day_folders(root, days, stations, pool))
            rows = [row for folder, files in found for row in self._rows(folder, files, stations)]
        return scan_of(pd.DataFrame(rows, columns=list(Contents._fields)), period, stations)

    def read(self, uris: Sequence[str], window: Window) -> Traces:
        """Return the traces of the files `uris` (from HOLDINGS) that lie in `window`."""
        return read_files(uris, window, self.storage_options)

    @classmethod
    @abstractmethod
    def key_of(cls, of: ChannelDay) -> str:
        """Return the key below the root of the file of a channel and day."""

    @classmethod
    @abstractmethod
    def parse_name(cls, name: str) -> ChannelDay:
        """Return what the name of a file (the last part of its key) says it holds.

        Raises
        ------
        ValueError
            Saying what is wrong with the name.
        """

    @abstractmethod
    def _day_folders(
        self, root: Place, days: Sequence[date], stations: Sequence[str] | None, pool: ThreadPoolExecutor
    ) -> Iterable[DayFolder]:
        """Return the folders of some days that there may be files in."""

    def _rows(
        self, folder: DayFolder, files: Mapping[str, Mapping[str, Any]], stations: Sequence[str] | None
    ) -> Iterable[Contents]:
        """Yield what each file of a listing holds, or why it is not used."""
        for path, info in files.items():
            name = path.rsplit("/", 1)[-1]
            uri, n_bytes = Place(folder.place.fs, path).uri, int(info.get("size") or 0)
            try:
                held = self.parse_name(name)
            except ValueError as error:
                yield Contents(uri, n_bytes, "", str(error))
                continue
            if held.day != folder.day:
                yield Contents(uri, n_bytes, "", f"'{name}' names another day than its folder, {folder.day}")
            elif any(fnmatchcase(held.channel, pattern) for pattern in self.channels) and is_wanted(
                held.network, held.station, stations
            ):
                codes = (held.network, held.station, held.location, held.channel[:-1])
                fault = "" if n_bytes else "the file is empty (0 bytes)"
                yield Contents(uri, n_bytes, "", fault, *codes, str(held.day) if n_bytes else "")


def day_of(year: str, day_of_year: str, name: str) -> date:
    """Return a day from its four and three digits.

    Raises
    ------
    ValueError
        If the year does not have that day.
    """
    first = date(int(year), 1, 1)
    day = first + timedelta(days=int(day_of_year) - 1)
    if day.year != first.year:
        raise ValueError(f"'{name}' names day {day_of_year}, which the year {year} does not have")
    return day


def literal_start(pattern: str) -> str:
    """Return what stands before the first wildcard of a pattern."""
    return pattern[: min((pattern.find(c) for c in "*?[" if c in pattern), default=len(pattern))]


def shortest_starts(starts: Iterable[str], most: int = 8) -> tuple[str, ...]:
    """Return the starts that are not covered by another one; all names ('') if there are too many."""
    kept: list[str] = []
    for start in sorted(set(starts)):
        if not any(start.startswith(other) for other in kept):
            kept.append(start)
    return tuple(kept) if len(kept) <= most else ("",)


def _files(folder: DayFolder) -> tuple[DayFolder, dict[str, Mapping[str, Any]]]:
    """List the files of a day; a folder that is not there holds none."""
    fs, path = folder.place.fs, folder.place.path.rstrip("/")
    found: dict[str, Mapping[str, Any]] = {}
    try:
        for start in folder.starts:
            # Object stores choose by prefix themselves; others list all, and are chosen from below.
            options = {"prefix": start} if "s3" in fs.protocol else {}
            found |= fs.find(path, detail=True, maxdepth=1, **options)
    except FileNotFoundError:
        return folder, {}
    except Exception as error:  # botocore and others have families of their own
        raise ArchiveError(
            f"{folder.place.uri} can not be listed: {type(error).__name__}: {error}"
        ) from error
    wanted = {
        name: info
        for name, info in found.items()
        if info["type"] == "file" and name.rsplit("/", 1)[-1].startswith(folder.starts)
    }
    return folder, dict(sorted(wanted.items()))
