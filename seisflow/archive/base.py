"""What an archive is: a place that says which station-days it holds and reads their traces."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pydantic import Field

from seisflow.keys import Period, Window
from seisflow.method import Method
from seisflow.traces import Traces

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Archive", "Scan", "Traces", "read_traces", "scan_archive"]


class Scan(NamedTuple):
    """What a scan found.

    Attributes
    ----------
    holdings : HOLDINGS table
        A row for each file, channel group (network, station, location, band) and UTC day.
    rejected : REJECTED table
        A row for each file that could not be read, or not wholly. A damaged file whose readable
        part is used stands in both tables.
    """

    holdings: pd.DataFrame
    rejected: pd.DataFrame


class Archive(Method):
    """Base of every archive layout."""

    room: ClassVar[str] = "archive"
    neutral: ClassVar[frozenset[str]] = frozenset({"root", "storage_options"})

    root: str
    """Folder, or any URL that fsspec opens (s3://bucket/prefix)."""

    storage_options: dict[str, Any] = Field(default_factory=dict)
    """What fsspec needs to open the URL, e.g. ``{anon: true}`` for public S3 buckets."""

    @abstractmethod
    def scan(self, period: Period, stations: Sequence[str] | None) -> Scan:
        """Return what lies in `period`; `stations` are patterns such as ``Z7.*``, None means all."""

    @abstractmethod
    def read(
        self,
        uris: Sequence[str],
        window: Window,
        contents: Mapping[str, bytes] | None = None,
        bands: Sequence[str] | None = None,
    ) -> Traces:
        """Return the traces of the files `uris` (from HOLDINGS) that lie in `window`.

        Parameters
        ----------
        uris : sequence of str
        window : Window
        contents : mapping of str to bytes, optional
            Bytes of files that are here already, by URI.
        bands : sequence of str, optional
            Band and instrument codes, best first: of each station those behind the first that has
            data in the middle of the window are left out. None means everything.
        """


def scan_archive(archive: Archive, period: Period, stations: Sequence[str] | None = None) -> Scan:
    """Return what an archive holds in a period.

    Parameters
    ----------
    archive : Archive
    period : Period
    stations : sequence of str, optional
        Patterns ``NETWORK.STATION`` with ``*`` and ``?``; None means all.

    Returns
    -------
    Scan
        HOLDINGS and REJECTED tables, sorted.

    Raises
    ------
    ArchiveError
        If the root does not exist or can not be listed.
    """
    return archive.scan(period, stations)


def read_traces(
    archive: Archive,
    uris: Sequence[str],
    window: Window,
    contents: Mapping[str, bytes] | None = None,
    bands: Sequence[str] | None = None,
) -> Traces:
    """Return the traces of files of an archive that lie in a window, and what was noticed.

    A file that is damaged gives what can be read of it and lines in `problems`; only when the
    storage itself fails is an `ArchiveError` raised. The parameters are those of `Archive.read`.
    """
    return archive.read(uris, window, contents, bands)
