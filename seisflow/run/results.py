"""The result of a run: the rows of all units, gathered into one table each, and its ledger.

What the months of the ledger name is read and written piece by piece, sorted, so that memory stays
flat and equal rows give equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    concatenate,
    empty,
    to_arrow,
    validate,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    import pyarrow as pa

    from seisflow.run.plan import Plan, StagePlan

__all__ = ["read_catalog", "write_ledger", "write_tables"]

ORDER = {
    "picks": ["time", "network", "station", "location", "phase", "pick_id"],
    "availability": ["day", "network", "station"],
    "events": ["time", "event_id"],
    "assignments": ["event_id", "pick_id"],
}
ROWS_AT_ONCE = 500_000


def write_tables(plan: Plan, order: int) -> str:
    """Write the tables of a run and return path or URL of their folder.

    Of tables that two stages give (events before and after location) the later stage's stands,
    except for picks: all picks stand, assigned or not.

    Raises
    ------
    CorruptPartError
        If a part is damaged or a row of the ledger gone; what it held is void, `order` being that of
        the run, and the plan must be executed again.
    """
    store = plan.store
    owners: dict[str, StagePlan] = {}
    for stage in plan.stages:
        for table in stage.stage.schemas:
            if table != "picks" or "picks" not in owners:
                owners[table] = stage
    for table, stage in owners.items():
        schema = stage.stage.schemas[table]
        with (
            store.appearing(f"{store.tables}/{table}.parquet") as temporary,
            pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
        ):
            for rows in _pieces(table, schema, stage, plan, order):
                writer.write_table(to_arrow(rows, schema))
    store.write_table(f"{store.tables}/stations.parquet", plan.stations, STATIONS)
    for gone in set(ORDER) - set(owners):
        store.delete(f"{store.tables}/{gone}.parquet")
    return store.uri(store.tables)


def _pieces(
    table: str, schema: pa.Schema, stage: StagePlan, plan: Plan, order: int
) -> Iterator[pd.DataFrame]:
    """Yield the rows of a table, some windows at a time, in the order of time."""
    parts = Parts(plan.store, plan.store.stage(stage.stage.name, stage.stage.fingerprint))
    for month in plan.months:
        for sources in _sources(_outcomes(stage, plan, month), stage, plan.months[month]):
            try:
                rows = parts.read(table, schema, sources)
            except CorruptPartError as error:
                void_part(stage.ledger, month, error.part, order)
                raise
            if len(rows):
                yield rows.sort_values(ORDER[table], ignore_index=True)


def _outcomes(stage: StagePlan, plan: Plan, month: str) -> pd.DataFrame:
    """Return the LEDGER rows of the planned units of a month, sorted by unit.

    Raises
    ------
    CorruptPartError
        If the ledger has no row of a unit.
    """
    rows = stage.ledger.table(month)
    planned = {name for number in plan.months[month] for name in stage.names(number)}
    rows = rows[rows["unit"].isin(planned)]
    if len(rows) < len(planned):
        raise CorruptPartError(
            f"the ledger of {stage.stage.name} has lost the rows of {len(planned) - len(rows)} units of "
            f"{month}; they are computed again"
        )
    return validate(rows, LEDGER)


def _sources(rows: pd.DataFrame, stage: StagePlan, numbers: range) -> Iterator[list[Source]]:
    """Yield the sources of consecutive windows, so many as have `ROWS_AT_ONCE` rows together."""
    found = dict(zip(rows["unit"], zip(rows["part"], rows["n_rows"], strict=True), strict=True))
    sources: list[Source] = []
    n_rows = 0
    for number in numbers:
        for name in stage.names(number):
            part, n = found[name]
            if part:
                sources.append(Source(name, part))
                n_rows += n
        if n_rows >= ROWS_AT_ONCE:
            yield sources
            sources, n_rows = [], 0
    if sources:
        yield sources


def write_ledger(plan: Plan) -> pd.DataFrame:
    """Write the ledger of a run as one table and return its rows of failures, those of the scan first."""
    store = plan.store
    scanned = ledger_table(plan.rejected, ())
    months = (_outcomes(stage, plan, month) for stage in plan.stages for month in plan.months)
    failed = []
    with (
        store.appearing("ledger.parquet") as temporary,
        pq.ParquetWriter(temporary, LEDGER, compression="zstd") as writer,
    ):
        for rows in chain([scanned], months):
            failed.append(rows[rows["status"] == "failed"])
            writer.write_table(to_arrow(rows, LEDGER))
    return concatenate(failed, LEDGER)


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
        return store.read_table(key, schema) if store.exists(key) else empty(schema)

    return Catalog(
        read("events.parquet", EVENTS),
        read("assignments.parquet", ASSIGNMENTS),
        store.read_table("picks.parquet", PICKS),
    )
