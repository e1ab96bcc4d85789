"""Any tree of waveform files: what it holds is read from the headers, once."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from seisflow.archive.base import Archive, Scan
from seisflow.archive.headers import HeaderCache, inspect_files
from seisflow.archive.selection import scan_of
from seisflow.storage import File, open_place

if TYPE_CHECKING:
    from seisflow.keys import Period

__all__ = ["Folder"]

_NOT_WAVEFORMS = frozenset(
    {"bib", "cfg", "csv", "gif", "h5", "htm", "html", "ini", "ipynb", "jpeg", "jpg", "json", "log", "md"}
    | {"parquet", "pdf", "png", "ps", "py", "rst", "sh", "stationxml", "svg", "toml", "tsv", "txt", "xlsx"}
    | {"xml", "yaml", "yml"}
)


class Folder(Archive):
    """Any tree of files that obspy reads, in whatever names and folders.

    The first scan reads the headers of every file; what it finds is cached by name, size and time
    of change, so that later scans open only files that are new or changed. Hidden files and files
    whose ending says that they are no waveforms (.txt, .xml, .csv ...) are left alone.
    """

    name: ClassVar[str] = "folder"
    neutral: ClassVar[frozenset[str]] = Archive.neutral | {"cache", "processes"}

    pattern: str = "*"
    """Which files belong to the archive, by their path below the root; ``*`` also stands for slashes."""

    cache: bool = True
    """Whether to remember what the headers of files say (in SEISFLOW_CACHE or the user's cache folder)."""

    processes: Annotated[int, Field(ge=1)] | None = None
    """How many processes (on a disk) or threads (elsewhere) read headers; null means as many as fit."""

    def scan(self, period: Period, stations: Sequence[str] | None) -> Scan:
        """Return what lies in `period`; `stations` are patterns such as ``Z7.*``, None means all."""
        place = open_place(self.root, self.storage_options, self.patience_s)
        contents = inspect_files(
            [file for file in place.files() if self._belongs(file)],
            storage_options=self.storage_options,
            local=place.is_local,
            processes=self.processes,
            cache=HeaderCache(place.uri) if self.cache else None,
        )
        return scan_of(contents, period, stations)

    def _belongs(self, file: File) -> bool:
        name = file.relative.rsplit("/", 1)[-1].lower()
        ending = name.rpartition(".")[2] if "." in name else ""
        return ending not in _NOT_WAVEFORMS and fnmatchcase(file.relative, self.pattern)
