"""How far a run is and what failed, read from its store alone: also after the driver died."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from seisflow.errors import SeisflowError
from seisflow.run.lease import holder
from seisflow.run.ledger import Entry, Ledger, as_table
from seisflow.run.store import Store
from seisflow.tables import PLAN, REJECTED

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["StageStatus", "Status", "ledger_table", "read_ledger", "read_status"]


@dataclass(frozen=True)
class StageStatus:
    """Counts of one stage; `rows` counts picks or events."""

    name: str
    total: int
    ok: int
    empty: int
    failed: int
    rows: int
    seconds: float

    @property
    def left(self) -> int:
        """Units without an outcome."""
        return self.total - self.ok - self.empty - self.failed


@dataclass(frozen=True)
class Status:
    """How far a run is, and who holds it ({} where nobody does)."""

    name: str
    stages: list[StageStatus]
    rejected_files: int
    driver: dict[str, Any]


def read_status(store: Store) -> Status:
    """Return how far a run is.

    Raises
    ------
    SeisflowError
        If the store holds no run.
    """
    about = read_about(store)
    planned = store.read_table(f"{store.archive}/plan.parquet", PLAN)
    stages = []
    for stage, entries in _entries(store, about, planned).items():
        states = [entry.status for entry in entries]
        stages.append(
            StageStatus(
                name=stage,
                total=int((planned["stage"] == stage).sum()),
                ok=states.count("ok"),
                empty=states.count("empty"),
                failed=states.count("failed"),
                rows=sum(entry.n_rows for entry in entries),
                seconds=sum(entry.seconds for entry in entries),
            )
        )
    rejected = len(store.read_table(f"{store.archive}/rejected.parquet", REJECTED))
    return Status(about["name"], stages, rejected, holder(store))


def read_ledger(store: Store) -> pd.DataFrame:
    """Return the LEDGER table of a run: files the scan rejected, then the newest row of each planned unit."""
    rejected = store.read_table(f"{store.archive}/rejected.parquet", REJECTED)
    planned = store.read_table(f"{store.archive}/plan.parquet", PLAN)
    found = _entries(store, read_about(store), planned)
    return ledger_table(rejected, chain.from_iterable(found.values()))


def ledger_table(rejected: pd.DataFrame, entries: Iterable[Entry]) -> pd.DataFrame:
    """Return a LEDGER table of rejected files, as failures of the scan, and the entries of units."""
    scanned = (
        Entry("scan", uri, "failed", reason, finished="1970-01-01")
        for uri, reason in zip(rejected["uri"], rejected["reason"], strict=True)
    )
    return as_table(chain(scanned, entries))


def read_about(store: Store) -> dict[str, Any]:
    """Return what the run was asked to do: ``run.json``."""
    try:
        about: dict[str, Any] = store.read_json("run.json")
    except FileNotFoundError as error:
        raise SeisflowError(
            f"there is no run in {store.root}; start it with: seisflow run WORKFLOW"
        ) from error
    return about


def _entries(store: Store, about: dict[str, Any], planned: pd.DataFrame) -> dict[str, list[Entry]]:
    """Return by stage the newest entries of the units of the plan."""
    found = {}
    for stage in about["stages"]:
        units = set(planned.loc[planned["stage"] == stage["name"], "unit"])
        ledger = Ledger(store, store.stage(stage["name"], stage["fingerprint"]))
        entries = chain.from_iterable(ledger.entries(month).values() for month in ledger.months())
        found[stage["name"]] = [entry for entry in entries if entry.unit in units]
    return found
