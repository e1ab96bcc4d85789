"""What a worker does: compute a batch of units, write one part, then one ledger record.

A task gets names and reads its own input; it returns ledger entries, never arrays.
"""

from __future__ import annotations

import functools
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from seisflow import __version__
from seisflow.errors import CorruptPartError, SeisflowError, UnreachableError, WaveformError
from seisflow.run import notice
from seisflow.run.ledger import Entry, Ledger, month_of, now
from seisflow.run.memory import PeakMemory, available_mb, check_fits
from seisflow.run.parts import Parts
from seisflow.run.prefetch import Prefetch
from seisflow.run.stages import Outcome, Stage
from seisflow.run.store import Store
from seisflow.run.units import Job, digest
from seisflow.tables import STATIONS, to_arrow

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MAX_ATTEMPTS", "Corrupt", "Result", "Unreachable", "run_task", "task_name"]

MAX_ATTEMPTS = 2


class Corrupt(NamedTuple):
    """A job that found parts of the stage above damaged, and what was found."""

    job: Job
    parts: tuple[str, ...]
    reason: str


class Unreachable(NamedTuple):
    """A job whose files did not come, and what was found."""

    job: Job
    reason: str


@dataclass
class Result:
    """What a task reports to the driver.

    Attributes
    ----------
    entries : list of Entry
        Outcomes; they are in the ledger.
    again : list of Job
        Jobs to do again: those that failed for a passing reason, as another attempt, and those that
        were not begun, as this worker is about to end.
    corrupt : list of Corrupt
        Jobs that wait until the stage above has computed again what they found damaged.
    unreachable : list of Unreachable
        Jobs whose files did not come within their patience: the driver finds out whose fault it is.
    """

    entries: list[Entry] = field(default_factory=list)
    again: list[Job] = field(default_factory=list)
    corrupt: list[Corrupt] = field(default_factory=list)
    unreachable: list[Unreachable] = field(default_factory=list)


def task_name(stage: Stage, jobs: Sequence[Job]) -> str:
    """Return the name of part and record of a task: the same work has the same name on any host."""
    return digest(
        [
            stage.name,
            stage.fingerprint,
            *((job.unit.name, job.inputs, job.attempt, job.order) for job in jobs),
        ]
    )


def run_task(stage: Stage, store: Store, jobs: Sequence[Job]) -> Result:
    """Compute a batch of units of one stage, all of one month.

    A unit that fails for a passing reason is handed back to be tried alone; one that fails for
    good, or for the last time, gets its ledger row with the reason. Once notice is given that this
    process must end, or files do not come, what has not begun is handed back.
    """
    batch = _Batch(stage, store, task_name(stage, jobs))
    with Prefetch(stage, jobs) as files:
        for number, job in enumerate(jobs):
            if notice.given() or batch.result.unreachable:
                batch.result.again.extend(jobs[number:])
                break
            batch.compute(job, partial(files.contents, number))
    batch.write(month_of(jobs[0].unit.window))
    return batch.result


class _Batch:
    """The units of a task as they are computed, and what is written of them at the end."""

    def __init__(self, stage: Stage, store: Store, name: str) -> None:
        self.stage = stage
        self.store = store
        self.name = name
        self.stations = _stations(store)
        above = stage.above
        self.above = Parts(store, store.stage(above.name, above.fingerprint)) if above else None
        self.limit_mb = available_mb()
        self.peak = PeakMemory()
        self.result = Result()
        self.tables: dict[str, dict[str, pd.DataFrame]] = {table: {} for table in stage.schemas}

    def compute(self, job: Job, contents: Callable[[], Mapping[str, bytes]]) -> None:
        """Compute one unit and note what came of it."""
        started = time.perf_counter()
        try:
            check_fits(self.stage, job.unit, self.limit_mb)
            outcome = self.stage.compute(job, self.stations, self.above, contents())
            found = _success(outcome, self.stage, self.name)
        except CorruptPartError as error:
            self.result.corrupt.append(Corrupt(job, error.parts, f"{type(error).__name__}: {error}"))
            return
        except UnreachableError as error:
            self.result.unreachable.append(Unreachable(job, f"{type(error).__name__}: {error}"))
            return
        except Exception as error:
            found = _failure(error)
            if found["status"] == "failed" and job.attempt < MAX_ATTEMPTS and not _is_permanent(error):
                self.result.again.append(job._replace(attempt=job.attempt + 1, order=job.order + 1))
                return
        else:
            for table in self.tables if found["part"] else ():
                self.tables[table][job.unit.name] = outcome.tables[table]
        entry = Entry(
            stage=self.stage.name,
            unit=job.unit.name,
            inputs=job.inputs,
            attempts=job.attempt,
            order=job.order,
            seconds=round(time.perf_counter() - started, 6),
            peak_memory_mb=self.peak.of_unit(),
            finished=now(),
            versions=f"seisflow {__version__}",
            **found,
        )
        self.result.entries.append(entry)

    def write(self, month: str) -> None:
        """Write the part, all tables of it or, where there is no row, none; then the record."""
        folder = self.store.stage(self.stage.name, self.stage.fingerprint)
        for table, frames in self.tables.items():
            if frames:
                Parts(self.store, folder).write(self.name, table, frames, self.stage.schemas[table])
        if self.result.entries:
            Ledger(self.store, folder).record(month, self.name, self.result.entries)


def _stations(store: Store) -> pd.DataFrame:
    key = f"{store.archive}/stations.parquet"
    return _read_stations(store, store.stamp(key))


@functools.lru_cache(maxsize=4)
def _read_stations(store: Store, stamp: str) -> pd.DataFrame:
    """Read the stations once a process, and again when the file has changed."""
    return store.read_table(f"{store.archive}/stations.parquet", STATIONS)


def _success(outcome: Outcome, stage: Stage, part: str) -> dict[str, Any]:
    """Return what a computed unit puts into its ledger row; `n_rows` are those of the first table."""
    counts = [len(outcome.tables[table]) for table in stage.schemas]
    return {
        "status": "ok" if counts[0] else "empty",
        "reason": outcome.note,
        "part": part if any(counts) else "",
        "n_rows": counts[0],
        "checksum": _checksum(outcome, stage) if any(counts) else "",
    }


def _failure(error: Exception) -> dict[str, Any]:
    """Return what a unit that raised puts into its ledger row."""
    if isinstance(error, WaveformError):
        return {"status": "empty", "reason": str(error), "part": ""}
    reason = f"{type(error).__name__}: {error}"
    if not isinstance(error, SeisflowError):
        where = traceback.extract_tb(error.__traceback__)[-1]
        reason += f" ({where.filename.rsplit('/', 1)[-1]}:{where.lineno})"
    return {"status": "failed", "reason": reason, "part": ""}


def _is_permanent(error: Exception) -> bool:
    return isinstance(error, SeisflowError) and error.permanent


def _checksum(outcome: Outcome, stage: Stage) -> str:
    """Return a hash of a unit's rows: what is below recomputes only when they change."""
    import pandas as pd

    hashes = []
    for table, schema in stage.schemas.items():
        frame = to_arrow(outcome.tables[table], schema).to_pandas()
        hashes.append(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes().hex())
    return digest(hashes)
