"""The result of a run: the rows of all units, gathered into one table each.

Tables are written day by day, sorted, so that memory stays flat and equal rows give equal bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from seisflow.keys import Window
from seisflow.run.execute import StageState
from seisflow.run.parts import Parts
from seisflow.run.store import Store
from seisflow.run.units import Source
from seisflow.tables import ASSIGNMENTS, EVENTS, PICKS, STATIONS, Catalog, empty, to_arrow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    import pyarrow as pa

__all__ = ["read_catalog", "write_tables"]

ORDER = {
    "picks": ["time", "network", "station", "location", "phase", "pick_id"],
    "availability": ["day", "network", "station"],
    "events": ["time", "event_id"],
    "assignments": ["event_id", "pick_id"],
}


def write_tables(states: Sequence[StageState], store: Store, stations: pd.DataFrame) -> str:
    """Write the tables of a run and return path or URL of their folder.

    Of tables that two stages give (events before and after location) the later stage's stands,
    except for picks: all picks stand, assigned or not.
    """
    owners: dict[str, StageState] = {}
    for state in states:
        for table in state.plan.stage.schemas:
            if table != "picks" or "picks" not in owners:
                owners[table] = state
    for table, state in owners.items():
        _write_table(table, state, store)
    store.write_table(f"{store.tables}/stations.parquet", stations, STATIONS)
    for gone in set(ORDER) - set(owners):
        store.delete(f"{store.tables}/{gone}.parquet")
    return store.uri(store.tables)


def _write_table(table: str, state: StageState, store: Store) -> None:
    stage = state.plan.stage
    schema = stage.schemas[table]
    parts = Parts(store, store.stage(stage.name, stage.fingerprint))
    days: dict[Window, list[Source]] = {}
    for unit in state.plan.units:
        entry = state.entries[unit.name]
        days.setdefault(unit.window, []).append(Source(entry.unit, entry.part))
    with (
        store.appearing(f"{store.tables}/{table}.parquet") as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):
        for window in sorted(days):
            rows = parts.read(table, schema, days[window]).sort_values(ORDER[table], ignore_index=True)
            if len(rows):
                writer.write_table(to_arrow(rows, schema))


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
