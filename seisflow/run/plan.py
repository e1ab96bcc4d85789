"""The plan: what a workflow has to compute, what is done already, and what is left.

The archive is scanned into HOLDINGS; its station-days are the units of the first stage, the stages
below follow from them; the ledger is subtracted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seisflow.archive import scan_archive
from seisflow.errors import ArchiveError
from seisflow.keys import Period, StationDay
from seisflow.run.ledger import Entry, Ledger
from seisflow.run.stages import Stage, stages_of
from seisflow.run.store import Store
from seisflow.run.units import Unit, digest
from seisflow.tables import HOLDINGS, PLAN, REJECTED, STATIONS

if TYPE_CHECKING:
    import pandas as pd

    from seisflow.workflow import Workflow

__all__ = ["Plan", "StagePlan", "make_plan"]


@dataclass
class StagePlan:
    """The units of one stage and their newest ledger entries."""

    stage: Stage
    ledger: Ledger
    units: list[Unit]
    entries: dict[str, Entry]


@dataclass
class Plan:
    """Everything a workflow has to compute.

    Attributes
    ----------
    workflow : Workflow
    store : Store
    stations : STATIONS table
    holdings : HOLDINGS table
    rejected : REJECTED table
        Files that could not be read, or not wholly.
    stages : list of StagePlan
    """

    workflow: Workflow
    store: Store
    stations: pd.DataFrame
    holdings: pd.DataFrame
    rejected: pd.DataFrame
    stages: list[StagePlan] = field(default_factory=list)

    @property
    def n_bytes(self) -> int:
        """Bytes of the files of the period; the files beside it, read for margins, do not count."""
        days = [day.item() for day in self.workflow.period.days()]
        inside = self.holdings[self.holdings["day"].isin(days)]
        return int(inside.drop_duplicates("uri")["n_bytes"].sum())

    @cached_property
    def sites(self) -> str:
        """Hash of the station coordinates: what is below the picks depends on them."""
        import pandas as pd

        return digest([pd.util.hash_pandas_object(self.stations, index=False).to_numpy().tobytes().hex()])

    def save(self) -> None:
        """Write holdings, rejected files, stations and units into the store, for workers and `status`."""
        import pandas as pd

        store = self.store
        store.write_table(f"{store.archive}/holdings.parquet", self.holdings, HOLDINGS)
        store.write_table(f"{store.archive}/rejected.parquet", self.rejected, REJECTED)
        store.write_table(f"{store.archive}/stations.parquet", self.stations, STATIONS)
        rows = [(p.stage.name, unit.name) for p in self.stages for unit in p.units]
        store.write_table(f"{store.archive}/plan.parquet", pd.DataFrame(rows, columns=PLAN.names), PLAN)
        stages = [{"name": p.stage.name, "fingerprint": p.stage.fingerprint} for p in self.stages]
        about = {"name": self.workflow.name, "stages": stages, "n_bytes": self.n_bytes}
        store.write_json("run.json", about | {"parameters": self.workflow.parameters()})


def make_plan(workflow: Workflow) -> Plan:
    """Scan the archive and the ledger and return the plan; nothing is written.

    Raises
    ------
    ArchiveError
        If the archive can not be listed, or holds nothing at all for the period and stations.
    MetadataError
        If the inventory can not be read.
    """
    stations = workflow.stations.read()
    scan = scan_archive(workflow.archive, _with_neighbours(workflow.period), workflow.stations.select)
    station_days = list(_station_days(scan.holdings, workflow))
    if not station_days and scan.rejected.empty:
        raise ArchiveError(
            f"{workflow.archive.root} holds no waveforms of {', '.join(workflow.stations.select)} in "
            f"{workflow.period}; check archive.root, period and stations.select"
        )
    store = Store(workflow.output, workflow.storage_options)
    plan = Plan(workflow, store, stations, scan.holdings, scan.rejected)
    for stage in stages_of(workflow):
        ledger = Ledger(store, store.stage(stage.name, stage.fingerprint))
        plan.stages.append(StagePlan(stage, ledger, list(stage.units(station_days)), _entries(ledger)))
    return plan


def _entries(ledger: Ledger) -> dict[str, Entry]:
    """Return the newest entries of all months."""
    return {unit: entry for month in ledger.months() for unit, entry in ledger.entries(month).items()}


def _with_neighbours(period: Period) -> Period:
    """Widen a period by a day: margins are read from the days beside it."""
    day = np.timedelta64(1, "D")
    return Period(period.start - day, period.end + day)


def _station_days(holdings: pd.DataFrame, workflow: Workflow) -> Iterator[Unit]:
    """Yield the station-days of the period, day by day, each with the files its margins touch."""
    files: dict[tuple[str, str], dict[np.datetime64, list[tuple[str, int]]]] = {}
    columns = (holdings[name] for name in ("network", "station", "day", "uri", "n_bytes"))
    for network, station, day, uri, n_bytes in zip(*columns, strict=True):
        days = files.setdefault((network, station), {})
        days.setdefault(np.datetime64(day, "D"), []).append((uri, n_bytes))
    one = np.timedelta64(1, "D")
    margin_s = workflow.picking.margin_s + workflow.preparation.margin_s
    responses = _responses(workflow)
    for day in workflow.period.days():
        window = workflow.period.window_of(day)
        near = set(window.widened(margin_s).days())
        for (network, station), days in sorted(files.items()):
            if day not in days:
                continue
            found = sorted(
                {item for d in (day - one, day, day + one) if d in near for item in days.get(d, ())}
            )
            uris = tuple(uri for uri, _ in found)
            inputs = digest([responses, *((uri.rsplit("/", 1)[-1], n_bytes) for uri, n_bytes in found)])
            yield Unit(StationDay(network, station, window), uris=uris, inputs=inputs)


def _responses(workflow: Workflow) -> str:
    """Return a hash of the inventory where the waveforms depend on its responses, else ''."""
    inventory = workflow.stations.inventory
    if workflow.preparation.remove_response == "none":
        return ""
    if "://" in inventory:
        return digest([inventory])
    path = Path(inventory)
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    return digest(hashlib.blake2b(file.read_bytes()).hexdigest() for file in files)
