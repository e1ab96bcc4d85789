"""The plan: what a workflow has to compute, window by window; units are made when they are asked for.

The archive is scanned into HOLDINGS on disk; counted by day they give the network-days, in order.
A network-day holds station-days, the units of the first stage, and is itself the one unit of each
stage below. Nothing here grows with the number of station-days but a file.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from seisflow.errors import ArchiveError
from seisflow.keys import NetworkDay, Period, Window, seconds
from seisflow.run.holdings import Holdings, collect, count_days
from seisflow.run.ledger import Ledger, month_of
from seisflow.run.stages import Stage, stages_of
from seisflow.run.station_days import StationDays
from seisflow.run.store import Store
from seisflow.run.units import Unit, digest
from seisflow.tables import PLAN, REJECTED, STATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from seisflow.workflow import Workflow

__all__ = ["Plan", "StagePlan", "make_plan"]


@dataclass
class StagePlan:
    """The units of one stage, by the number of their window.

    Attributes
    ----------
    stage : Stage
    ledger : Ledger
    windows : sequence of Window
        The network-days there are data of, in order.
    total : int
        Units of all windows.
    station_days : StationDays, optional
        Of the first stage; None where each window is one unit.
    """

    stage: Stage
    ledger: Ledger
    windows: Sequence[Window]
    total: int
    station_days: StationDays | None = None

    def units(self, number: int) -> list[Unit]:
        """Return the units of a window."""
        window = self.windows[number]
        if self.station_days:
            return self.station_days.units(window)
        key = NetworkDay(window)
        return [Unit(key, str(key))]

    def names(self, number: int) -> list[str]:
        """Return the names of the units of a window; quicker than making them."""
        window = self.windows[number]
        return self.station_days.names(window) if self.station_days else [str(NetworkDay(window))]

    def near(self, number: int) -> range:
        """Return the windows of the stage above that a window needs.

        As margins are the same on both sides, these are also the windows that need it of the stage above.
        """
        first, last = self._reach
        return range(first[number], last[number])

    @cached_property
    def _reach(self) -> tuple[list[int], list[int]]:
        starts = np.array([window.start for window in self.windows], "datetime64[ns]")
        ends = np.array([window.end for window in self.windows], "datetime64[ns]")
        margin = seconds(self.stage.margin_s)
        first = np.searchsorted(ends, starts - margin, side="right")
        last = np.searchsorted(starts, ends + margin, side="left")
        return first.tolist(), last.tolist()


@dataclass
class Plan:
    """Everything a workflow has to compute.

    Attributes
    ----------
    workflow : Workflow
    store : Store
    stations : STATIONS table
    holdings : Holdings
        What the archive holds in the period and on the days beside it.
    rejected : REJECTED table
        Files that could not be read, or not wholly.
    days : PLAN table
        The network-days there are data of, with the count of their station-days and their bytes.
    codes : set of (network, station)
        Stations that have data.
    stages : list of StagePlan
    """

    workflow: Workflow
    store: Store
    stations: pd.DataFrame
    holdings: Holdings
    rejected: pd.DataFrame
    days: pd.DataFrame
    codes: set[tuple[str, str]]
    stages: list[StagePlan] = field(default_factory=list)

    @cached_property
    def windows(self) -> list[Window]:
        """The network-days, in order."""
        starts, ends = (
            self.days[name].dt.tz_localize(None).to_numpy("datetime64[ns]") for name in ("start", "end")
        )
        return [Window(start, end) for start, end in zip(starts, ends, strict=True)]

    @cached_property
    def months(self) -> dict[str, range]:
        """The numbers of the windows of each month of the ledger, in order."""
        numbers: dict[str, list[int]] = {}
        for number, window in enumerate(self.windows):
            numbers.setdefault(month_of(window), []).append(number)
        return {month: range(found[0], found[-1] + 1) for month, found in numbers.items()}

    @property
    def n_bytes(self) -> int:
        """Bytes of the files of the period; the files beside it, read for margins, do not count."""
        return int(self.days["n_bytes"].sum())

    @cached_property
    def sites(self) -> str:
        """Hash of the station coordinates: what is below the picks depends on them."""
        import pandas as pd

        return digest([pd.util.hash_pandas_object(self.stations, index=False).to_numpy().tobytes().hex()])

    def save(self) -> None:
        """Write holdings, rejected files, stations and windows into the store, for workers and `status`."""
        store = self.store
        with store.appearing(f"{store.archive}/holdings.parquet") as temporary:
            shutil.copyfile(self.holdings.path, temporary)
        store.write_table(f"{store.archive}/rejected.parquet", self.rejected, REJECTED)
        store.write_table(f"{store.archive}/stations.parquet", self.stations, STATIONS)
        store.write_table(f"{store.archive}/plan.parquet", self.days, PLAN)
        stages = [
            {"name": p.stage.name, "fingerprint": p.stage.fingerprint, "total": p.total} for p in self.stages
        ]
        about = {"name": self.workflow.name, "stages": stages, "n_bytes": self.n_bytes}
        about["scan"] = _scan_key(self.workflow)
        store.write_json("run.json", about | {"parameters": self.workflow.parameters()})


def make_plan(workflow: Workflow, stages: Sequence[Stage] | None = None, *, rescan: bool = True) -> Plan:
    """Scan the archive and return the plan; nothing is written to the store.

    Parameters
    ----------
    workflow : Workflow
    stages : sequence of Stage, optional
        None means those that the workflow asks for.
    rescan : bool
        Whether to look at the archive though the last run did, for the same period and stations.

    Raises
    ------
    ArchiveError
        If the archive can not be listed, or holds nothing at all for the period and stations.
    MetadataError
        If the inventory can not be read.
    """
    stations = workflow.stations.read()
    store = Store(workflow.output, workflow.storage_options)
    found = None if rescan else _last_scan(workflow, store)
    if found is None:
        period = _with_neighbours(workflow.period)
        found = collect(workflow.archive.scans(period, workflow.stations.select))
    holdings, rejected = found
    days, codes = count_days(holdings, workflow.period)
    if days.empty and rejected.empty:
        raise ArchiveError(
            f"{workflow.archive.root} holds no waveforms of {', '.join(workflow.stations.select)} in "
            f"{workflow.period}; check archive.root, period and stations.select"
        )
    plan = Plan(workflow, store, stations, holdings, rejected, days, codes)
    for stage in stages_of(workflow) if stages is None else stages:
        ledger = Ledger(store, store.stage(stage.name, stage.fingerprint))
        if stage.above is None:
            total = int(days["station_days"].sum())
            station_days = StationDays(workflow, holdings, stage.reach_s)
            units = StagePlan(stage, ledger, plan.windows, total, station_days)
        else:
            units = StagePlan(stage, ledger, plan.windows, len(plan.windows))
        plan.stages.append(units)
    return plan


def _last_scan(workflow: Workflow, store: Store) -> tuple[Holdings, pd.DataFrame] | None:
    """Return what the last run found in the archive, None if it looked for anything else."""
    try:
        known = store.read_json("run.json").get("scan")
    except FileNotFoundError:
        return None
    if known != _scan_key(workflow):
        return None
    rejected = store.read_table(f"{store.archive}/rejected.parquet", REJECTED)
    return Holdings.copy_of(store, f"{store.archive}/holdings.parquet"), rejected


def _scan_key(workflow: Workflow) -> str:
    """Return a hash of all that decides what a scan finds, but the archive's content."""
    archive = workflow.archive
    return digest([archive.identity(), archive.root, workflow.period, workflow.stations.select])


def _with_neighbours(period: Period) -> Period:
    """Widen a period by a day: margins are read from the days beside it."""
    day = np.timedelta64(1, "D")
    return Period(period.start - day, period.end + day)
