"""How far a run is and what failed, read from its store alone: from any machine, also after the driver died.

While a driver is at work, and after it ended in order, what it says of itself is true and quickly
read. The ledger is asked only where the driver fell silent: it knows every unit that was done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from seisflow.errors import SeisflowError
from seisflow.keys import NetworkDay, Window
from seisflow.run.feed import PROGRESS, run_id
from seisflow.run.lease import holder
from seisflow.run.ledger import Entry, Ledger, as_table, month_of
from seisflow.run.snapshot import Snapshot, StageProgress, failures_of, slowest_of, utc_now
from seisflow.run.store import Store
from seisflow.run.tally import StageTally
from seisflow.tables import LEDGER, PLAN, REJECTED, concatenate

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Status", "failed_rows", "ledger_table", "read_about", "read_ledger", "read_status"]

READ_ROWS = 100_000
SILENT = "the driver ended without a word: it was killed, or its machine is gone"


@dataclass(frozen=True)
class Status:
    """How far a run is, and who holds it.

    Attributes
    ----------
    progress : Snapshot
    driver : dict
        Host and process of the driver; {} where none is at work.
    rejected_files : int
        Files that could not be read, or not wholly.
    """

    progress: Snapshot
    driver: dict[str, Any]
    rejected_files: int

    @property
    def at_work(self) -> bool:
        """Whether a driver is at work."""
        return bool(self.driver)

    @property
    def all_done(self) -> bool:
        """Whether the run is through and no unit failed."""
        return self.progress.phase == "done" and not self.progress.failed

    def as_json(self) -> dict[str, Any]:
        """Return plain values: those of the snapshot, `driver` and `rejected_files`."""
        return self.progress.as_json() | {"driver": self.driver, "rejected_files": self.rejected_files}


def read_status(store: Store) -> Status:
    """Return how far a run is.

    Raises
    ------
    SeisflowError
        If the store holds no run.
    """
    driver = holder(store)
    said = read_progress(store)
    if driver and said is None and not store.exists("run.json"):
        said = _beginning(store)
    elif said is None or not (driver or said.ended):
        said = _from_ledger(store, said, at_work=bool(driver))
    return Status(said, driver, _count_rejected(store))


def read_progress(store: Store) -> Snapshot | None:
    """Return what the last driver said of itself; None where it said nothing that can be read."""
    try:
        return Snapshot.of_json(store.read_json(PROGRESS))
    except (FileNotFoundError, ValueError, SeisflowError):
        return None


def read_ledger(store: Store) -> pd.DataFrame:
    """Return the LEDGER table of a run: files the scan rejected, then the newest row of each planned unit."""
    return concatenate(list(_rows(store)), LEDGER)


def failed_rows(store: Store, *, notes: bool = False) -> Iterator[pd.DataFrame]:
    """Yield the LEDGER rows of what failed, a month at a time; with `notes` all that have a reason."""
    for rows in _rows(store):
        yield rows[(rows["status"] == "failed") | (notes & (rows["reason"] != ""))]


def ledger_table(rejected: pd.DataFrame, entries: Iterable[Entry]) -> pd.DataFrame:
    """Return a LEDGER table of rejected files, as failures of the scan, and the entries of units."""
    scanned = (
        Entry("scan", uri, "failed", reason, finished=0)
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


def _count_rejected(store: Store) -> int:
    key = f"{store.archive}/rejected.parquet"
    return len(store.read_table(key, REJECTED)) if store.exists(key) else 0


def _beginning(store: Store) -> Snapshot:
    """Return how far a run is whose driver has not said its first word."""
    now = utc_now()
    return Snapshot(run_id(store), store.root, "scanning", started=now, updated=now, moved=now)


def _from_ledger(store: Store, said: Snapshot | None, *, at_work: bool) -> Snapshot:
    """Return how far a run is whose driver fell silent, or could not write how far it is."""
    about = read_about(store)
    tallies = {stage["name"]: StageTally(stage["name"], stage["total"]) for stage in about["stages"]}
    last = np.datetime64("1970-01-01", "ms")
    for name, rows in _planned_rows(store, about):
        _count(tallies[name], rows)
        if name == about["stages"][0]["name"]:
            _count_stations(tallies[name], rows)
        finished = rows["finished"].to_numpy("datetime64[ms]")
        last = np.concatenate([finished, [last]]).max()
    stages = tuple(StageProgress.of_tally(tally, None) for tally in tallies.values())
    moved = f"{last}Z" if last.astype(int) else (said.moved if said else utc_now())
    return Snapshot(
        run=run_id(store),
        name=about["name"],
        phase="computing" if at_work else "stopped",
        started=said.started if said else moved,
        updated=said.updated if said else moved,
        moved=moved,
        error="" if at_work else SILENT,
        stages=stages,
        failures=failures_of({tally.name: tally.reasons for tally in tallies.values()}),
        slowest=slowest_of((name, n, s) for t in tallies.values() for name, (n, s) in t.stations.items()),
    )


def _count(tally: StageTally, rows: pd.DataFrame) -> None:
    """Add rows of the ledger to a tally."""
    states = Counter(rows["status"].tolist())
    tally.ok += states["ok"]
    tally.empty += states["empty"]
    tally.failed += states["failed"]
    tally.rows += int(rows["n_rows"].sum())
    tally.seconds += float(rows["seconds"].sum())
    failed = rows.loc[rows["status"] == "failed", "reason"]
    tally.reasons.update(reason.partition(":")[0] for reason in failed)


def _count_stations(tally: StageTally, rows: pd.DataFrame) -> None:
    """Add the seconds of station-days, by station, to a tally."""
    for unit, seconds in zip(rows["unit"].tolist(), rows["seconds"].tolist(), strict=True):
        station = ".".join(unit.split(".", 2)[:2])
        units, spent_s = tally.stations.get(station, (0, 0.0))
        tally.stations[station] = units + 1, spent_s + seconds


def _rows(store: Store) -> Iterator[pd.DataFrame]:
    """Yield the LEDGER rows of a run: first those of the scan, then a month of a stage at a time."""
    yield ledger_table(store.read_table(f"{store.archive}/rejected.parquet", REJECTED), ())
    for _, rows in _planned_rows(store, read_about(store)):
        yield rows


def _planned_rows(store: Store, about: dict[str, Any]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield stage and newest rows of the units that the last plan has, a month at a time."""
    ledgers = {
        stage["name"]: Ledger(store, store.stage(stage["name"], stage["fingerprint"]))
        for stage in about["stages"]
    }
    for month, units in _planned_units(store):
        for name, ledger in ledgers.items():
            rows = ledger.table(month)
            planned = np.array([unit in units for unit in rows["unit"].tolist()], bool)
            yield name, rows[planned]


def _planned_units(store: Store) -> Iterator[tuple[str, set[str]]]:
    """Yield the months of the last plan and the names of their units: network-days and station-days."""
    labels, months = _days(store)
    month, units = "", set[str]()
    for day, codes in _stations_by_day(store, set(labels)):
        if months[day] != month and units:
            yield month, units
            units = set()
        month = months[day]
        units.add(f"network.{labels[day]}")
        units.update(f"{code}.{labels[day]}" for code in codes)
    if units:
        yield month, units


def _days(store: Store) -> tuple[dict[int, str], dict[int, str]]:
    """Return, by day since 1970, the label of the units of a day, and their month of the ledger."""
    plan = store.read_table(f"{store.archive}/plan.parquet", PLAN)
    starts, ends = (plan[name].to_numpy("datetime64[ns]") for name in ("start", "end"))
    windows = {
        int(s.astype("datetime64[D]").astype(int)): Window(s, e) for s, e in zip(starts, ends, strict=True)
    }
    labels = {day: str(NetworkDay(window)).partition(".")[2] for day, window in windows.items()}
    return labels, {day: month_of(window) for day, window in windows.items()}


def _stations_by_day(store: Store, days: set[int]) -> Iterator[tuple[int, list[str]]]:
    """Yield some days and the stations that the archive has data of, in the order of HOLDINGS."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with store.open(f"{store.archive}/holdings.parquet") as file:
        for batch in pq.ParquetFile(file).iter_batches(READ_ROWS, columns=["day", "network", "station"]):
            rows = pa.Table.from_batches([batch]).group_by(["day", "network", "station"], use_threads=False)
            found: dict[int, list[str]] = {}
            columns = rows.aggregate([]).to_pydict()
            numbers = np.array(columns["day"], "datetime64[D]").astype(int).tolist()
            for day, network, station in zip(numbers, columns["network"], columns["station"], strict=True):
                if day in days:
                    found.setdefault(day, []).append(f"{network}.{station}")
            yield from found.items()
