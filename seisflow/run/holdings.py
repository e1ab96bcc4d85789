"""HOLDINGS on disk, sorted by day: what an archive holds, of which no more than some days is read at once."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from seisflow.errors import ArchiveError
from seisflow.tables import HOLDINGS, PLAN, REJECTED, empty, to_arrow, validate

if TYPE_CHECKING:
    from seisflow.archive.base import Scan
    from seisflow.keys import Period
    from seisflow.run.store import Store

__all__ = ["Holdings", "collect", "count_days"]

ORDER = ["day", "network", "station", "location", "band", "uri"]
ROWS_PER_GROUP = 50_000
"""Rows of the file that are read together: some days of a large network, not its decades."""


@dataclass(frozen=True)
class Holdings:
    """A HOLDINGS table in a Parquet file, sorted by day.

    Parameters
    ----------
    path : Path
    keep : object, optional
        What must live as long as the table is read: the temporary file behind `path`.
    """

    path: Path
    keep: Any = None

    @classmethod
    def copy_of(cls, store: Store, key: str) -> Holdings:
        """Return a table of a store, copied to this machine."""
        temporary = _temporary()
        with store.local(key) as path:
            shutil.copyfile(path, temporary.name)
        return cls(Path(temporary.name), keep=temporary)

    def blocks(self, columns: list[str]) -> Iterator[pa.Table]:
        """Yield some columns of the table, whole days at a time, in the order of the days."""
        carried = None
        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(ROWS_PER_GROUP, columns=columns):
                rows = pa.Table.from_batches([batch])
                rows = rows if carried is None else pa.concat_tables([carried, rows])
                days = rows.column("day").cast(pa.int32()).to_numpy()
                last = int(np.searchsorted(days, days[-1]))
                carried = rows.slice(last)
                if last:
                    yield rows.slice(0, last)
        if carried is not None:
            yield carried

    def between(
        self, first: np.datetime64, last: np.datetime64, columns: list[str] | None = None
    ) -> pa.Table:
        """Return the rows of some days, both ends included; nothing else is read."""
        low, high = (int(day.astype("datetime64[D]").astype(int)) for day in (first, last))
        _, starts, ends = self._groups
        groups = range(np.searchsorted(ends, low), np.searchsorted(starts, high, side="right"))
        wanted = tuple(columns or HOLDINGS.names)
        pieces = [self._group(number, wanted) for number in groups]
        rows = pa.concat_tables(pieces) if pieces else HOLDINGS.empty_table().select(list(wanted))
        days = rows.column("day").cast(pa.int32()).to_numpy()
        start, stop = np.searchsorted(days, [low, high + 1])
        return rows.slice(int(start), int(stop - start))

    @cached_property
    def _group(self) -> Callable[[int, tuple[str, ...]], pa.Table]:
        """Reads a row group; the last two stay at hand, as neighbouring days lie in them too."""

        @lru_cache(maxsize=2)
        def read(number: int, columns: tuple[str, ...]) -> pa.Table:
            with pq.ParquetFile(self.path, metadata=self._groups[0]) as file:
                return file.read_row_group(number, columns=columns)

        return read

    @cached_property
    def _groups(self) -> tuple[pq.FileMetaData, list[int], list[int]]:
        """The metadata of the file, and first and last day of each of its row groups."""
        metadata = pq.read_metadata(self.path)
        column = metadata.schema.to_arrow_schema().get_field_index("day")
        extents = [metadata.row_group(n).column(column).statistics for n in range(metadata.num_row_groups)]
        return metadata, [_as_day(e.min) for e in extents], [_as_day(e.max) for e in extents]


def _temporary() -> Any:
    """Return a file that goes when nothing refers to it any more."""
    return tempfile.NamedTemporaryFile(prefix="seisflow-holdings-", suffix=".parquet")


def _as_day(value: Any) -> int:
    """Return a statistic of the column `day` as days since 1970."""
    return int(np.datetime64(value, "D").astype(int))


def collect(scans: Iterable[Scan]) -> tuple[Holdings, pd.DataFrame]:
    """Write what scans find, sorted by day, to a temporary file; return it and the REJECTED table.

    Parameters
    ----------
    scans : iterable of Scan
        Each of days after those of the scan before, so that no more than one is in memory.

    Raises
    ------
    ArchiveError
        If the scans overlap in time.
    """
    temporary = _temporary()
    rejected, latest = [empty(REJECTED)], None
    with pq.ParquetWriter(temporary.name, HOLDINGS, compression="zstd") as writer:
        for scan in scans:
            rejected.append(scan.rejected)
            if scan.holdings.empty:
                continue
            table = to_arrow(scan.holdings, HOLDINGS).sort_by([(name, "ascending") for name in ORDER])
            extent = pc.min_max(table.column("day"))
            if latest is not None and extent["min"].as_py() <= latest:
                raise ArchiveError(f"the scans of the archive overlap at {extent['min']}; report this")
            latest = extent["max"].as_py()
            writer.write_table(table, row_group_size=ROWS_PER_GROUP)
    table = pd.concat(rejected).drop_duplicates("uri").sort_values("uri")
    return Holdings(Path(temporary.name), keep=temporary), validate(table, REJECTED)


def count_days(holdings: Holdings, period: Period) -> tuple[pd.DataFrame, set[tuple[str, str]]]:
    """Count the station-days and bytes of each day of a period.

    The bytes of a file that spans several days count on the first of them.

    Returns
    -------
    days : PLAN table
    stations : set of (network, station)
        Those that have any data in the period.
    """
    rows: list[tuple[np.datetime64, int, int]] = []
    stations: set[tuple[str, str]] = set()
    spanning: set[str] = set()
    inside = {int(day.astype(int)) for day in period.days()}
    low, high = min(inside), max(inside)
    for block in holdings.blocks(["day", "network", "station", "uri", "n_bytes"]):
        numbers = block.column("day").cast(pa.int32())
        block = block.set_column(0, "day", numbers)
        block = block.filter(pc.and_(pc.greater_equal(numbers, low), pc.less_equal(numbers, high)))
        if not len(block):
            continue
        groups = block.group_by(["day", "network", "station"]).aggregate([])
        stations.update(_pairs(groups))
        files = block.group_by("uri").aggregate([("day", "min"), ("day", "max"), ("n_bytes", "max")])
        if spanning:
            known = pc.is_in(files.column("uri"), value_set=pa.array(sorted(spanning)))
            files = files.filter(pc.invert(known))
        last = pc.max(block.column("day"))
        spanning = set(block.filter(pc.equal(block.column("day"), last)).column("uri").to_pylist())
        sizes = files.group_by("day_min").aggregate([("n_bytes_max", "sum")])
        n_bytes = dict(zip(*(column.to_pylist() for column in sizes.columns), strict=True))
        counts = groups.group_by("day").aggregate([([], "count_all")])
        for day, count in sorted(zip(*(column.to_pylist() for column in counts.columns), strict=True)):
            rows.append((np.datetime64(day, "D"), count, n_bytes.get(day, 0)))
    windows = [period.window_of(day) for day, _, _ in rows]
    table = {
        "start": np.array([window.start for window in windows], "datetime64[ns]"),
        "end": np.array([window.end for window in windows], "datetime64[ns]"),
        "station_days": [count for _, count, _ in rows],
        "n_bytes": [size for _, _, size in rows],
    }
    return validate(pd.DataFrame(table), PLAN), stations


def _pairs(groups: pa.Table) -> set[tuple[str, str]]:
    distinct = groups.group_by(["network", "station"]).aggregate([])
    return set(
        zip(distinct.column("network").to_pylist(), distinct.column("station").to_pylist(), strict=True)
    )
