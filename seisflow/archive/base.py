"""What an archive is: a place that says which station-days it holds and reads their traces."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

from pydantic import Field

from seisflow.keys import Period, Window
from seisflow.method import Method
from seisflow.storage import PATIENCE_S, fetch
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
    neutral: ClassVar[frozenset[str]] = frozenset({"root", "storage_options", "patience_s"})

    root: str
    """Folder, or any URL that fsspec opens (s3://bucket/prefix)."""

    storage_options: dict[str, Any] = Field(default_factory=dict)
    """What fsspec needs to open the URL, e.g. ``{anon: true}`` for public S3 buckets."""

    patience_s: Annotated[float, Field(ge=0)] = PATIENCE_S
    """How long storage that fails for a while (503, resets, stalls) is tried again."""

    def inventory(self) -> str:
        """Return where the metadata of the stations lie in the archive; '' where it keeps none."""
        return ""

    def acquire(
        self, period: Period, stations: Sequence[str] | None, say: Callable[[str], None] = lambda line: None
    ) -> None:
        """Fetch what must be there before a scan; nothing, unless the archive is filled by downloads.

        Parameters
        ----------
        period : Period
        stations : sequence of str or None
            Patterns ``NETWORK.STATION``; None means all.
        say : callable
            Takes a line about the progress.
        """

    @abstractmethod
    def scan(self, period: Period, stations: Sequence[str] | None) -> Scan:
        """Return what lies in `period`; `stations` are patterns such as ``Z7.*``, None means all."""

    def scans(self, period: Period, stations: Sequence[str] | None) -> Iterator[Scan]:
        """Yield what lies in `period` piece by piece, in the order of time, no day in two pieces.

        An archive of decades is never in memory as a whole, where its layout allows that.
        """
        yield self.scan(period, stations)

    def fetch(self, uris: Sequence[str]) -> dict[str, bytes]:
        """Return the content of the files `uris` (from HOLDINGS) that are remote, fetched side by side.

        Made for fetching the files of the next unit while one is computed.

        Raises
        ------
        ArchiveError
            As `seisflow.storage.fetch`.
        """
        return fetch(uris, self.storage_options, self.patience_s)

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
            What `fetch` gave for these files, if that was done before.
        bands : sequence of str, optional
            Band and instrument codes, best first: of each station those behind the first that has
            data in the middle of the window are left out. None means everything.
        """
        from seisflow.archive.decode import read_files

        contents = self.fetch(uris) if contents is None else contents
        return read_files(uris, window, self.storage_options, contents, bands)


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
