"""What a run left, read from its store alone: nobody's memory of it is asked."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from seisflow.run.ledger import Ledger
from seisflow.run.store import Store
from seisflow.storage.sealed import unseal


def n_records(output: Path) -> int:
    """Return how many tasks of picking are in the ledger."""
    return len(list(output.glob("stages/picking-*/ledger/*/*.parquet")))


def ledger_rows(store: Store) -> pd.DataFrame:
    """Return the newest row of each unit of each stage that the ledger has."""
    ledgers = [Ledger(store, f"stages/{name}") for name in store.names("stages")]
    rows = [ledger.table(month) for ledger in ledgers for month in ledger.months()]
    return pd.concat(rows, ignore_index=True)


def stray_parts(store: Store) -> set[str]:
    """Return the parts that no row of the ledger names: what was written twice, or in vain."""
    written = {key.rsplit("/", 1)[-1].partition(".")[0] for key in store.keys("stages") if "/parts/" in key}
    return written - set(ledger_rows(store)["part"])


def check_that_all_is_whole(store: Store) -> None:
    """Read every part and every record that can be seen; a damaged one raises."""
    keys = [key for key in store.keys("stages") if key.endswith(".parquet")]
    assert keys
    for key in keys:
        unseal(store.read_bytes(key), key)
