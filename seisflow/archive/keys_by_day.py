"""Public buckets that keep a folder for each day and a miniSEED file for each channel in it.

What a bucket holds is read off the names of its keys, day by day: a scan of one day of twenty years
lists that day and no other, and opens no file.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

import pandas as pd
from pydantic import Field, model_validator

from seisflow.archive.base import Archive, Scan
from seisflow.archive.headers import Contents
from seisflow.archive.selection import is_wanted, parts_of, scan_of
from seisflow.errors import ArchiveError, MissingFileError
from seisflow.storage import File, Place, open_place
from seisflow.storage.s3 import list_pages

if TYPE_CHECKING:
    from seisflow.keys import Period

__all__ = ["ChannelDay", "DayFolder", "KeysByDay", "day_of", "literal_start", "shortest_starts"]

_LISTERS = 16
_WAVEFORMS = "continuous_waveforms"
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
        root = open_place(f"{self.root.rstrip('/')}/{_WAVEFORMS}", self.storage_options, self.patience_s)
        if not root.is_folder():
            raise ArchiveError(f"there is no folder {root.uri}; check archive.root, which should hold it")
        days = [date.fromisoformat(str(day)) for day in period.days()]
        with ThreadPoolExecutor(_LISTERS) as pool:
            folders = list(self._day_folders(root, days, stations, pool))
            listings = zip(folders, pool.map(_files, folders), strict=True)
            found = (self._row(folder, file, stations) for folder, files in listings for file in files)
            rows = [row for row in found if row is not None]
        return scan_of(pd.DataFrame(rows, columns=list(Contents._fields)), period, stations)

    def scans(self, period: Period, stations: Sequence[str] | None) -> Iterator[Scan]:
        """Yield what lies in `period` month by month."""
        for part in parts_of(period, "M"):
            yield self.scan(part, stations)

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

    def _row(self, folder: DayFolder, file: File, stations: Sequence[str] | None) -> Contents | None:
        """Return what a file holds, or why it is not used; None where it is not asked for."""
        name = file.relative.rsplit("/", 1)[-1]
        try:
            held = self.parse_name(name)
        except ValueError as error:
            return Contents(file.uri, file.n_bytes, file.stamp, str(error))
        if held.day != folder.day:
            fault = f"'{name}' names another day than its folder, {folder.day}"
            return Contents(file.uri, file.n_bytes, file.stamp, fault)
        if not is_wanted(held.network, held.station, stations) or not any(
            fnmatchcase(held.channel, pattern) for pattern in self.channels
        ):
            return None
        codes = (held.network, held.station, held.location, held.channel[:-1])
        if not file.n_bytes:
            return Contents(file.uri, 0, file.stamp, "the file is empty (0 bytes)")
        return Contents(file.uri, file.n_bytes, file.stamp, "", *codes, str(held.day))


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


def _files(folder: DayFolder) -> list[File]:
    """List the files of a day; a folder that is not there holds none."""
    place = folder.place
    if place.is_s3:  # a bucket chooses by the start of the name itself
        below = place.path.rstrip("/") + "/"
        bucket = below.partition("/")[0]
        listings = [
            listing
            for start in folder.starts
            for listing in list_pages(place.fs, below + start, delimiter="/", patience_s=place.patience_s)
        ]
        found = {f"{bucket}/{o['Key']}": o for listing in listings for o in listing.objects}
        return [
            File(
                place._replace(path=path).uri,
                path.removeprefix(below),
                int(o["Size"]),
                str(o["LastModified"]),
            )
            for path, o in sorted(found.items())
            if not path.endswith("/")
        ]
    try:
        return [file for file in place.files() if file.relative.startswith(folder.starts)]
    except MissingFileError:
        return []
