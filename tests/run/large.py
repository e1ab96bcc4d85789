"""An archive of many station-days of which only the names exist, and a driver's view of computing them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from seisflow.archive.base import Archive, Scan
from seisflow.association.pyocto import PyOcto
from seisflow.deploy.serial import Serial
from seisflow.keys import Period
from seisflow.location.nonlinear import Nonlinear
from seisflow.picking.stalta import StaLta
from seisflow.run.executor import Done
from seisflow.run.ledger import Entry, Ledger, month_of, now
from seisflow.run.stages import Stage
from seisflow.run.store import Store
from seisflow.run.task import Result, task_name
from seisflow.run.units import Job
from seisflow.tables import HOLDINGS, REJECTED, empty, validate
from seisflow.waveforms import Preparation
from seisflow.workflow import Stations, Workflow
from tests.run.conftest import VELOCITY

START = np.datetime64("2000-01-01", "D")


class Named(Archive):
    """An archive whose files have names and sizes, and nothing else."""

    name: ClassVar[str] = "named"
    neutral: ClassVar[frozenset[str]] = Archive.neutral | {"n_stations", "files_per_day", "missing"}
    n_stations: int = 10
    files_per_day: int = 3
    missing: tuple[int, ...] = ()
    """Days since `START` of which there is nothing."""

    def scan(self, period: Period, stations: Sequence[str] | None) -> Scan:
        """Return the files of a period."""
        days = np.array([d for d in period.days() if int((d - START).astype(int)) not in self.missing])
        n = self.n_stations * self.files_per_day
        frame = pd.DataFrame({"day": np.repeat(days, n).astype("datetime64[ns]")})
        codes = np.array([f"S{number:04d}" for number in range(self.n_stations)])
        frame["network"], frame["location"], frame["band"], frame["n_bytes"] = "XX", "", "HH", 1000
        frame["station"] = np.tile(np.repeat(codes, self.files_per_day), len(days))
        component = np.tile(np.arange(self.files_per_day).astype(str), self.n_stations * len(days))
        frame["uri"] = "/named/" + frame["station"] + "." + component + "." + np.repeat(days.astype(str), n)
        return Scan(validate(frame, HOLDINGS), empty(REJECTED))

    def scans(self, period: Period, stations: Sequence[str] | None) -> Iterator[Scan]:
        """Yield the files of a period, some weeks at a time."""
        step = np.timedelta64(30, "D")
        for start in np.arange(period.start, period.end, step):
            yield self.scan(Period(start, min(start + step, period.end)), stations)


def large_workflow(folder: Path, days: int, **archive: object) -> Workflow:
    """Return a workflow over an archive of names."""
    made = Named(root="/named", **archive)  # type: ignore[arg-type]
    rows = [f"XX,S{n:04d},,64.5,-17.0,0.0" for n in range(made.n_stations)]
    inventory = folder / "stations.csv"
    inventory.parent.mkdir(parents=True, exist_ok=True)
    inventory.write_text("\n".join(["network,station,location,latitude,longitude,elevation_m", *rows]))
    return Workflow(
        name="large",
        period=Period(START, START + days),
        stations=Stations(inventory=str(inventory)),
        archive=made,
        preparation=Preparation(),
        picking=StaLta(),
        velocity=VELOCITY,
        association=PyOcto(),
        location=Nonlinear(),
        output=str(folder / "run"),
        deployment=Serial(),
    )


@dataclass
class Imagined:
    """An executor that records an outcome for each unit without computing it.

    Attributes
    ----------
    slots : int
        Tasks it takes at once.
    seconds : callable
        What a unit is said to have taken.
    holds_back : callable
        Says of a job whether it stays in flight as long as anything else is there.
    batches : list
        Stage and jobs of each task, as submitted.
    """

    slots: int = 4
    seconds: Callable[[Job], float] = lambda job: 1.0
    holds_back: Callable[[Job], bool] = lambda job: False
    batches: list[tuple[str, list[Job]]] = field(default_factory=list)
    computed: Counter[str] = field(default_factory=Counter)
    _waiting: deque[tuple[Stage, Store, Sequence[Job]]] = field(default_factory=deque)
    stopped: bool = False
    reason: str = ""

    def free(self, stage: Stage) -> int:
        return 0 if self.stopped else self.slots - len(self._waiting)

    def submit(self, stage: Stage, store: Store, jobs: Sequence[Job]) -> None:
        self.batches.append((stage.name, list(jobs)))
        self._waiting.append((stage, store, jobs))

    def next_done(self, timeout_s: float | None = None) -> Done | None:
        if not self._waiting:
            return None
        held = [task for task in self._waiting if any(self.holds_back(job) for job in task[2])]
        task = next((task for task in self._waiting if task not in held), self._waiting[0])
        self._waiting.remove(task)
        stage, store, jobs = task
        entries = [self._entry(stage, job) for job in jobs]
        ledger = Ledger(store, store.stage(stage.name, stage.fingerprint))
        ledger.record(month_of(jobs[0].unit.window), task_name(stage, jobs), entries)
        return Done(stage, jobs, Result(entries))

    def stop(self) -> None:
        self.stopped = True

    def _entry(self, stage: Stage, job: Job) -> Entry:
        self.computed[f"{stage.name} {job.unit.name}"] += 1
        return Entry(
            stage.name,
            job.unit.name,
            "empty",
            reason=self.reason,
            inputs=job.inputs,
            attempts=job.attempt,
            order=job.order,
            seconds=self.seconds(job),
            finished=now(),
        )
