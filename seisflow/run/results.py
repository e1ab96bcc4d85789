"""The result of a run: the rows of all units, gathered into one table each, and its ledger.

What the months of the ledger name is read and written piece by piece, sorted, so that memory stays
flat and equal rows give equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from seisflow.errors import CorruptPartError
from seisflow.run.mending import void_part
from seisflow.run.parts import Parts
from seisflow.run.status import ledger_table
from seisflow.run.store import Store
from seisflow.run.units import Source
from seisflow.tables import (
    ASSIGNMENTS,
    EVENTS,
    LEDGER,
    PICKS,
    STATIONS,
    Catalog,
    empty,
    to_arrow,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from seisflow.run.plan import Plan, StagePlan

__all__ = ["read_catalog", "write_results"]

ORDER = {
    "picks": ["time", "network", "station", "location", "phase", "pick_id"],
    "availability": ["day", "network", "station"],
    "events": ["time", "event_id"],
    "assignments": ["event_id", "pick_id"],
    "ingested": ["day", "network", "station", "array"],
}
ROWS_AT_ONCE = 500_000


def write_results(plan: Plan, order: int) -> tuple[str, pd.DataFrame]:
    """Write the tables and the ledger of a run.

    Of tables that two stages give (events before and after location) the later stage's stands,
    except for picks: all picks stand, assigned or not.

    Returns
    -------
    tables : str
        Path or URL of their folder.
    failures : LEDGER table
        Files that the scan rejected, then units that failed.

    Raises
    ------
    CorruptPartError
        If a part is damaged or a row of the ledger gone; what it held is void, `order` being that of
        the run, and the plan must be executed again.
    """
    store = plan.store
    scanned = ledger_table(plan.rejected, ())
    failed = [to_arrow(scanned, LEDGER)]
    owners: dict[str, StagePlan] = {}
    for stage in plan.stages:
        for table in stage.stage.schemas:
            if table != "picks" or "picks" not in owners:
                owners[table] = stage
    with ExitStack() as files:
        writers = {
            table: files.enter_context(_writer(store, f"{store.tables}/{table}.parquet", schema))
            for table, schema in ((table, stage.stage.schemas[table]) for table, stage in owners.items())
        }
        ledger = files.enter_context(_writer(store, "ledger.parquet", LEDGER))
        ledger.write_table(failed[0])
        for stage in plan.stages:
            own = {table: writer for table, writer in writers.items() if owners[table] is stage}
            for month in plan.months:
                rows = _write_month(stage, plan, month, own, order)
                ledger.write_table(rows)
                failed.append(rows.filter(pc.equal(rows.column("status"), "failed")))
    store.write_table(f"{store.tables}/stations.parquet", plan.stations, STATIONS)
    for gone in set(ORDER) - set(owners):
        store.delete(f"{store.tables}/{gone}.parquet")
    return store.uri(store.tables), pa.concat_tables(failed).to_pandas()


@contextmanager
def _writer(store: Store, key: str, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """Give a writer of a Parquet file that appears when the block ends well."""
    with store.appearing(key) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        yield writer


def _write_month(
    stage: StagePlan, plan: Plan, month: str, writers: Mapping[str, pq.ParquetWriter], order: int
) -> pa.Table:
    """Write the rows of a month of a stage, some windows at a time; return its LEDGER rows."""
    names = [stage.names(number) for number in plan.months[month]]
    rows = _outcomes(stage, month, list(chain.from_iterable(names)))
    parts = Parts(plan.store, plan.store.stage(stage.stage.name, stage.stage.fingerprint))
    for sources in _sources(rows, names):
        for table, writer in writers.items():
            schema = stage.stage.schemas[table]
            try:
                found = parts.read(table, schema, sources)
            except CorruptPartError as error:
                for part in error.parts:
                    void_part(stage.ledger, month, part, order)
                raise
            if len(found):
                writer.write_table(to_arrow(found.sort_values(ORDER[table]), schema))
    return rows


def _outcomes(stage: StagePlan, month: str, planned: list[str]) -> pa.Table:
    """Return the LEDGER rows of the planned units of a month.

    Raises
    ------
    CorruptPartError
        If the ledger has no row of a unit.
    """
    rows = stage.ledger.rows(month)
    rows = rows.filter(pc.is_in(rows.column("unit"), value_set=pa.array(planned, pa.string())))
    if len(rows) < len(planned):
        raise CorruptPartError(
            f"the ledger of {stage.stage.name} has lost the rows of {len(planned) - len(rows)} units of "
            f"{month}; they are computed again"
        )
    return rows


def _sources(rows: pa.Table, names: Sequence[Sequence[str]]) -> Iterator[list[Source]]:
    """Yield the sources of consecutive windows, so many as have `ROWS_AT_ONCE` rows together."""
    rows = rows.filter(pc.not_equal(rows.column("part"), ""))
    units, *of_parts = (rows.column(name).to_pylist() for name in ("unit", "part", "n_rows"))
    found = dict(zip(units, zip(*of_parts, strict=True), strict=True))
    sources: list[Source] = []
    n_rows = 0
    for window in names if found else ():
        for name in window:
            if name in found:
                part, n = found[name]
                sources.append(Source(name, part))
                n_rows += n
        if n_rows >= ROWS_AT_ONCE:
            yield sources
            sources, n_rows = [], 0
    if sources:
        yield sources


def read_catalog(folder: str | Path, storage_options: Mapping[str, Any] | None = None) -> Catalog:
    """Return the catalogue in a folder of tables; events and assignments may be absent.

    Parameters
    ----------
    folder : str or Path
        Path or URL, as `RunReport.tables` gives it.
    storage_options : mapping, optional
        What the storage behind a URL needs: credentials, endpoint.
    """
    store = Store(str(folder), storage_options or {})

    def read(key: str, schema: pa.Schema) -> pd.DataFrame:
        """Return a table that may be absent."""
        return store.read_table(key, schema) if store.exists(key) else empty(schema)

    return Catalog(
        read("events.parquet", EVENTS),
        read("assignments.parquet", ASSIGNMENTS),
        store.read_table("picks.parquet", PICKS),
    )
