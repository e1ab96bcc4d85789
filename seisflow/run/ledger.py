"""The ledger: what was computed, a row for each unit of work, in records that are never changed.

Each finished task leaves one record in the folder of a month. A record names the part that holds
the rows of its units; a part no record names does not exist for readers. Records of a month are
compacted into one file now and then; the newest row of a unit is the true one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from seisflow.errors import CorruptPartError, StoreError
from seisflow.run.store import Store
from seisflow.run.units import digest
from seisflow.storage.sealed import seal, unseal
from seisflow.tables import LEDGER, validate

if TYPE_CHECKING:
    from seisflow.keys import Window

__all__ = ["Entry", "Ledger", "as_table", "month_of", "now"]

DONE = frozenset({"ok", "empty"})
COMPACT = "compact-"  # records begin with a digit: listed in order, what they become comes after them
READERS = 8
LISTINGS = 20


class Entry(NamedTuple):
    """One row of the LEDGER table.

    `finished` counts nanoseconds since 1970, UTC. `order` says which of two rows of a unit is newer. The
    driver gives it (`Lease.order`), since the clocks of two workers can not be compared.
    """

    stage: str
    unit: str
    status: str
    reason: str = ""
    inputs: str = ""
    part: str = ""
    n_rows: int = 0
    checksum: str = ""
    attempts: int = 1
    seconds: float = 0.0
    peak_memory_mb: float = 0.0
    finished: int = 0
    versions: str = ""
    order: int = 0

    @property
    def done(self) -> bool:
        """Whether the unit needs no more work."""
        return self.status in DONE


def month_of(window: Window) -> str:
    """Return the month of the ledger that a window belongs to, by its start: ``2014-08``."""
    return str(window.start.astype("datetime64[M]"))


@dataclass(frozen=True)
class Ledger:
    """The ledger of one stage.

    Parameters
    ----------
    store : Store
    folder : str
        Key of the stage's folder: ``store.stage(name, fingerprint)``.
    """

    store: Store
    folder: str

    def _month(self, month: str) -> str:
        return f"{self.folder}/ledger/{month}"

    def record(self, month: str, name: str, entries: Sequence[Entry]) -> None:
        """Write the record of one finished task, whose units all belong to the month."""
        order = max(entry.order for entry in entries)
        key = f"{self._month(month)}/{order:010d}-{name}.parquet"
        self.store.write_bytes(key, seal(_as_arrow(entries)))

    def months(self) -> list[str]:
        """Return the months that have rows, sorted."""
        return self.store.names(f"{self.folder}/ledger")

    def entries(self, month: str) -> dict[str, Entry]:
        """Return the newest entry of each unit of a month."""
        rows, _ = self._read(month)
        rows = rows.set_column(
            LEDGER.get_field_index("finished"), "finished", rows.column("finished").cast("int64")
        )
        columns = (rows.column(name).to_pylist() for name in Entry._fields)
        return {entry.unit: entry for entry in map(Entry, *columns)}

    def rows(self, month: str) -> pa.Table:
        """Return the newest row of each unit of a month, an Arrow table of LEDGER sorted by unit."""
        return self._read(month)[0]

    def table(self, month: str) -> pd.DataFrame:
        """Return the newest row of each unit of a month, a LEDGER table sorted by unit."""
        table: pd.DataFrame = self.rows(month).to_pandas()
        return table

    def compact(self, month: str) -> None:
        """Put the rows of a month into one file and delete the records; for the holder of the lease.

        The file is there before the first record goes, and a row that is in both counts once, so
        whoever is killed in between loses and doubles nothing; nor do two that compact at once, as one
        that lost its lease may.
        """
        rows, files = self._read(month)
        if len(files) < 2 and all(file.whole for file in files):
            return
        content = seal(rows)
        target = f"{self._month(month)}/{COMPACT}{digest([content.hex()])}.parquet"
        if target not in {file.key for file in files}:
            self.store.write_bytes(target, content)
        for file in files:
            if file.key != target:
                self.store.delete(file.key)

    def _read(self, month: str) -> tuple[pa.Table, list[_File]]:
        """Return the newest rows of a month and the files that were read.

        Files may be compacted meanwhile, and a listing is no snapshot: it counts only if what it
        showed is still there afterwards, and no other compacted file is.
        """
        for _ in range(LISTINGS):
            listed = self.store.keys(self._month(month))
            files = self._read_files(listed)
            after = self.store.keys(self._month(month))
            if set(listed) <= set(after) and _compacted(listed) == _compacted(after):
                return _newest([file.rows for file in files]), files
        raise StoreError(f"{self.store.uri(self._month(month))} changed {LISTINGS} times while it was read")

    def _read_files(self, keys: Sequence[str]) -> list[_File]:
        if len(keys) < 4:
            found = [self._read_file(key) for key in keys]
        else:
            with ThreadPoolExecutor(READERS) as pool:
                found = list(pool.map(self._read_file, keys))
        return [file for file in found if file is not None]

    def _read_file(self, key: str) -> _File | None:
        """Return the rows of a file; a damaged one has none, and its units are computed again."""
        try:
            return _File(key, unseal(self.store.read_bytes(key), self.store.uri(key)).cast(LEDGER))
        except FileNotFoundError:  # compacted meanwhile
            return None
        except CorruptPartError as error:
            logging.getLogger("seisflow").warning("%s", error)
            return _File(key, LEDGER.empty_table(), whole=False)


@dataclass(frozen=True)
class _File:
    """A file of the ledger as it was read."""

    key: str
    rows: pa.Table
    whole: bool = True


def _compacted(keys: Iterable[str]) -> list[str]:
    return [key for key in keys if key.rsplit("/", 1)[-1].startswith(COMPACT)]


def _newest(tables: Sequence[pa.Table]) -> pa.Table:
    """Return the newest row of each unit, sorted by unit."""
    rows = pa.concat_tables(tables) if tables else LEDGER.empty_table()
    if not len(rows):
        return rows
    keys = [
        ("unit", "ascending"),
        ("order", "ascending"),
        ("attempts", "ascending"),
        ("finished", "ascending"),
    ]
    rows = rows.take(pc.sort_indices(rows, sort_keys=keys)).combine_chunks()
    units = rows.column("unit")
    last = pc.not_equal(units.slice(0, len(rows) - 1), units.slice(1))
    return rows.filter(pa.chunked_array([*last.chunks, pa.array([True])]))


def _as_arrow(entries: Sequence[Entry]) -> pa.Table:
    """Return entries as an Arrow table of LEDGER."""
    columns = zip(*entries, strict=True) if entries else ([] for _ in LEDGER)
    arrays = [pa.array(values, field.type) for field, values in zip(LEDGER, columns, strict=True)]
    return pa.Table.from_arrays(arrays, schema=LEDGER)


def now() -> int:
    """Return the present time as nanoseconds since 1970, UTC."""
    return time.time_ns()


def as_table(entries: Iterable[Entry]) -> pd.DataFrame:
    """Return entries as a LEDGER table, sorted by stage and unit."""
    rows = sorted(entries, key=lambda entry: (entry.stage, entry.unit))
    return validate(_as_arrow(rows).to_pandas(), LEDGER)
