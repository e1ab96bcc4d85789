"""What a run left, read from its store alone: nobody's memory of it is asked."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from seisflow.run.ledger import Ledger
from seisflow.run.store import Store


def n_records(output: Path) -> int:
    """Return how many tasks of picking are in the ledger."""
    return len(list(output.glob("stages/picking-*/ledger/*/*.parquet")))


def ledger_rows(store: Store) -> pd.DataFrame:
    """Return the newest row of each unit of each stage that the ledger has."""
    ledgers = [Ledger(store, f"stages/{name}") for name in store.names("stages")]
    rows = [ledger.table(month) for ledger in ledgers for month in ledger.months()]
    return pd.concat(rows, ignore_index=True)
