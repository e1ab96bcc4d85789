"""What a worker does: compute a batch of units, write one part, then one ledger record.

A task gets names and reads its own input; it returns ledger entries, never arrays.
"""

from __future__ import annotations

import functools
import resource
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from seisflow import __version__
from seisflow.errors import SeisflowError, WaveformError
from seisflow.run.ledger import Entry, Ledger, month_of, now
from seisflow.run.parts import Parts
from seisflow.run.stages import Outcome, Stage
from seisflow.run.store import Store
from seisflow.run.units import Job, digest
from seisflow.tables import STATIONS, to_arrow

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Result", "run_task", "task_name"]

MAX_ATTEMPTS = 2


@dataclass
class Result:
    """What a task reports to the driver: entries that are in the ledger, and jobs to try again alone."""

    entries: list[Entry] = field(default_factory=list)
    again: list[Job] = field(default_factory=list)


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
    """Compute a batch of units of one stage.

    A unit that fails for a passing reason is handed back to be tried alone; one that fails for
    good, or for the last time, gets its ledger row with the reason.
    """
    name = task_name(stage, jobs)
    folder = store.stage(stage.name, stage.fingerprint)
    stations = _stations(store)
    above = Parts(store, store.stage(stage.above.name, stage.above.fingerprint)) if stage.above else None
    result = Result()
    tables: dict[str, dict[str, pd.DataFrame]] = {table: {} for table in stage.schemas}
    for job in jobs:
        started = time.perf_counter()
        entry = _blank(stage, job)
        try:
            outcome = stage.compute(job, stations, above)
        except Exception as error:
            entry = _failure(entry, error)
            if entry.status == "failed" and job.attempt < MAX_ATTEMPTS and not _is_permanent(error):
                result.again.append(replace(job, attempt=job.attempt + 1, order=job.order + 1))
                continue
        else:
            entry = _success(entry, outcome, stage, name)
            for table in stage.schemas:
                tables[table][job.unit.name] = outcome.tables[table]
        result.entries.append(replace(entry, seconds=round(time.perf_counter() - started, 4), finished=now()))
    for table, frames in tables.items():
        if frames:
            Parts(store, folder).write(name, table, frames, stage.schemas[table])
    if result.entries:
        Ledger(store, folder).record(month_of(jobs[0].unit.window), name, result.entries)
    return result


def _stations(store: Store) -> pd.DataFrame:
    key = f"{store.archive}/stations.parquet"
    return _read_stations(store, store.stamp(key))


@functools.lru_cache(maxsize=4)
def _read_stations(store: Store, stamp: str) -> pd.DataFrame:
    """Read the stations once a process, and again when the file has changed."""
    return store.read_table(f"{store.archive}/stations.parquet", STATIONS)


def _blank(stage: Stage, job: Job) -> Entry:
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    return Entry(
        stage=stage.name,
        unit=job.unit.name,
        status="failed",
        inputs=job.inputs,
        attempts=job.attempt,
        order=job.order,
        peak_memory_mb=round(peak_mb, 1),
        versions=f"seisflow {__version__}",
    )


def _success(entry: Entry, outcome: Outcome, stage: Stage, part: str) -> Entry:
    """Return the ledger row of a computed unit; `n_rows` counts those of the stage's first table."""
    first = next(iter(stage.schemas))
    n_rows = len(outcome.tables[first])
    return replace(
        entry,
        status="ok" if n_rows else "empty",
        reason=outcome.note,
        part=part,
        n_rows=n_rows,
        checksum=_checksum(outcome, stage),
    )


def _failure(entry: Entry, error: Exception) -> Entry:
    if isinstance(error, WaveformError):
        return replace(entry, status="empty", reason=str(error))
    if isinstance(error, SeisflowError):
        return replace(entry, reason=f"{type(error).__name__}: {error}")
    where = traceback.extract_tb(error.__traceback__)[-1]
    return replace(
        entry, reason=f"{type(error).__name__}: {error} ({where.filename.rsplit('/', 1)[-1]}:{where.lineno})"
    )


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
