"""The analysis-ready store that `ingest` writes: a Zarr v3 array for each channel and UTC day."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeVar

import pandas as pd

from seisflow.archive.base import Archive, Scan
from seisflow.archive.channel_days import Document
from seisflow.archive.decode import preferred_bands
from seisflow.archive.manifest import manifests, read_manifest
from seisflow.archive.selection import is_wanted, scan_of
from seisflow.archive.zarr_layout import (
    DOCUMENT,
    SHARD,
    parse_array_name,
    parse_code,
    parse_day,
)
from seisflow.errors import ArchiveError
from seisflow.keys import Period
from seisflow.storage import Place, open_place
from seisflow.traces import Traces

if TYPE_CHECKING:
    from seisflow.archive.shards import Spread
    from seisflow.keys import Window

__all__ = ["Zarr"]

REQUESTS = 16
"""Listings of and requests to a remote store at the same time."""
THREADS = 4
LONG_S = 3600.0
"""A shorter window is read from a disk before threads have started."""
_COLUMNS = ["uri", "n_bytes", "fault", "network", "station", "location", "band", "day"]
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Zarr(Archive):
    """Zarr v3 store of channel-days, as ``seisflow ingest`` writes it.

    A scan reads the manifest of the months it needs, and lists the store for months that have none yet.
    Reading takes only the chunks that the window touches, and checks each; what is damaged or missing
    is an error, never a wrong or invented sample.
    """

    name: ClassVar[str] = "zarr"

    def scan(self, period: Period, stations: Sequence[str] | None) -> Scan:
        """Return what lies in `period`; `stations` are patterns such as ``Z7.*``, None means all."""
        root = self._root()
        return self._scan(root, manifests(root), period, stations)

    def scans(self, period: Period, stations: Sequence[str] | None) -> Iterator[Scan]:
        """Yield what lies in `period` month by month."""
        root = self._root()
        known = manifests(root)
        start = period.start
        while start < period.end:
            following = (start.astype("datetime64[M]") + 1).astype("datetime64[ns]")
            yield self._scan(root, known, Period(start, min(following, period.end)), stations)
            start = following

    def _root(self) -> Place:
        root = open_place(self.root, self.storage_options, self.patience_s)
        if not root.is_folder():
            raise ArchiveError(f"there is no folder {root.uri}")
        return root

    @staticmethod
    def _scan(
        root: Place, known: Mapping[str, Place], period: Period, stations: Sequence[str] | None
    ) -> Scan:
        days = [str(day) for day in period.days()]
        rows = [
            _manifest_rows(root, known[month]) for month in sorted({day[:7] for day in days} & set(known))
        ]
        unlisted = [day for day in days if day[:7] not in known]
        if unlisted:
            rows.append(_listed_rows(root, unlisted, stations))
        return scan_of(pd.concat(rows, ignore_index=True), period, stations)

    def fetch(self, uris: Sequence[str]) -> dict[str, bytes]:
        """Return nothing: which chunks are read depends on the window, and `read` asks for them alone."""
        return {}

    def read(
        self,
        uris: Sequence[str],
        window: Window,
        contents: Mapping[str, bytes] | None = None,
        bands: Sequence[str] | None = None,
    ) -> Traces:
        """Return the traces of the arrays `uris` (from HOLDINGS) that lie in `window`.

        Parameters
        ----------
        uris : sequence of str
        window : Window
        contents : mapping of str to bytes, optional
            Objects that are here already, by URI.
        bands : sequence of str, optional
            Band and instrument codes, best first: of each station those behind the first that has
            data in the middle of the window are left out. None means everything.

        Raises
        ------
        ArchiveError
            If something is damaged, is missing, or can not be read.
        """
        root = open_place(self.root, self.storage_options, self.patience_s)
        arrays = [_Array(uri, root.at(uri), contents or {}) for uri in dict.fromkeys(uris)]
        is_remote = not root.is_local
        n_threads = min(THREADS, len(os.sched_getaffinity(0))) if window.duration_s > LONG_S else 1
        documents = _concurrently(_Array.document, arrays, REQUESTS if is_remote else 1)
        pairs = list(zip(arrays, documents, strict=True))
        if bands is not None:
            pairs = _preferred(pairs, window, bands)
        with _decoders(n_threads) as spread:
            traces = _concurrently(
                lambda pair: pair[1].traces(window, pair[0].shard, spread),
                pairs,
                REQUESTS if is_remote else n_threads,
            )
        found = [(t, d) for t, (_, d) in zip(traces, pairs, strict=True) if t is not None]
        problems = dict.fromkeys(line for _, document in found for line in document.problems)
        return Traces([channel for channel, _ in found], list(problems))


class _Array(NamedTuple):
    """Where an array lies, and objects that are here already."""

    uri: str
    place: Place
    contents: Mapping[str, bytes]

    def document(self) -> Document:
        return Document(self._bytes(DOCUMENT), self.uri)

    def shard(self, first: int, last: int) -> bytes:
        return self._bytes(SHARD, first, last)

    def _bytes(self, name: str, first: int | None = None, last: int | None = None) -> bytes:
        known = self.contents.get(f"{self.uri}/{name}")
        return self.place.below(name).read_bytes(first, last) if known is None else known[first:last]


def _preferred(
    pairs: Sequence[tuple[_Array, Document]], window: Window, bands: Sequence[str]
) -> list[tuple[_Array, Document]]:
    """Leave out bands behind the best of each station that has data in the middle of the window."""
    middle_ns = int((window.start + (window.end - window.start) // 2).astype("int64"))
    headers = [document.header for _, document in pairs]
    chosen = preferred_bands(headers, bands, middle_ns)
    return [
        pair
        for pair, header in zip(pairs, headers, strict=True)
        if header.channel[:-1] in chosen.get((header.network, header.station), {header.channel[:-1]})
    ]


def _manifest_rows(root: Place, manifest: Place) -> pd.DataFrame:
    """Return what a manifest lists, as rows of what the arrays hold."""
    table = read_manifest(manifest)
    rows = table.assign(
        uri=[root.below(key).uri for key in table["array"]],
        fault=table["problems"],
        band=table["channel"].str[:-1],
        day=table["day"].astype(str),
    )
    return rows[_COLUMNS]


def _listed_rows(root: Place, days: Sequence[str], stations: Sequence[str] | None) -> pd.DataFrame:
    """Return what a listing finds: arrays of station-days whose group was finished."""
    years = sorted({day[:4] for day in days})
    folders = [
        station.below(year)
        for network in root.folders()
        if not network.name.startswith("_")
        for station in network.folders()
        if is_wanted(parse_code(network.name), parse_code(station.name), stations)
        for year in years
    ]
    listings = _concurrently(_listed_year, folders, 1 if root.is_local else REQUESTS)
    wanted = set(days)
    rows = [row for listing in listings for row in listing if row[-1] in wanted]
    return pd.DataFrame(rows, columns=_COLUMNS)


def _listed_year(folder: Place) -> list[tuple[str, int, str, str, str, str, str, str]]:
    if not folder.is_folder():
        return []
    sizes = {file.relative: file.n_bytes for file in folder.files()}
    network, station, year = (parse_code(part) for part in folder.path.rstrip("/").split("/")[-3:])
    rows = []
    for relative in sizes:
        day, _, name = relative.removesuffix(f"/{DOCUMENT}").partition("/")
        if not name or "/" in name or not relative.endswith(DOCUMENT) or f"{day}/{DOCUMENT}" not in sizes:
            continue
        codes = parse_array_name(name)
        n_bytes = sizes.get(f"{day}/{name}/{SHARD}", 0)
        when = str(parse_day(year, day))
        uri = folder.below(f"{day}/{name}").uri
        rows.append((uri, n_bytes, "", network, station, codes.location, codes.channel[:-1], when))
    return rows


@contextmanager
def _decoders(n_threads: int) -> Iterator[Spread]:
    """Give what decodes side by side; arrays share the threads, so that none waits for the last of three."""
    if n_threads == 1:
        yield map
    else:
        with ThreadPoolExecutor(n_threads) as pool:
            yield pool.map


def _concurrently(
    function: Callable[[_Item], _Result], items: Sequence[_Item], n_threads: int
) -> list[_Result]:
    """Return the results for all items."""
    if min(n_threads, len(items)) <= 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(min(n_threads, len(items))) as pool:
        return list(pool.map(function, items))
