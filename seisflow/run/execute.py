"""The driver: keeps the workers busy with what is left to do, until nothing is.

The number of tasks in flight is bounded; a unit starts as soon as the windows it needs are settled;
an outcome is in the ledger before the driver hears of it, so a driver may die at any time.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from seisflow.run.batching import BatchSize
from seisflow.run.executor import Done, Executor
from seisflow.run.ledger import Entry, month_of, now
from seisflow.run.mending import Mending
from seisflow.run.outage import Held, Outage
from seisflow.run.stopping import stopping
from seisflow.run.task import MAX_ATTEMPTS, task_name
from seisflow.run.units import Job
from seisflow.run.walk import StageWalk, Walk

if TYPE_CHECKING:
    from seisflow.run.plan import Plan
    from seisflow.run.tally import Tally

__all__ = ["execute"]

LOOK_EVERY_S = 1.0
PAUSE_S = 0.25
"""Between two looks whether the archive is back, or the run told to stop, while nothing is in flight."""
FULL_BATCHES_WAITING = 3
"""Batches that may wait for a worker at a stage; no further window is opened beyond."""


def execute(
    plan: Plan,
    executor: Executor,
    on_progress: Callable[[Tally], None],
    *,
    order: int = 1,
    task_s: float = 60.0,
    units_per_task: int | None = None,
    grace_s: float = 60.0,
) -> Tally:
    """Compute what is left of a plan.

    Parameters
    ----------
    plan : Plan
    executor : Executor
    on_progress : callable
        Told the tally after every task.
    order : int
        `order` of the ledger rows of this run (`Lease.order`).
    task_s : float
        Seconds that a task should take: as many units share a part and a ledger record.
    units_per_task : int, optional
        Units that share a task at most.
    grace_s : float
        Seconds that tasks have to end when the run is told to stop.

    Returns
    -------
    list of StageTally
        One a stage, every unit with an outcome.

    Raises
    ------
    UnreachableError
        If the archive is away, and stays so.
    KeyboardInterrupt
        After SIGINT or SIGTERM, once the tasks at work have ended or handed back what they had not begun.
    """
    driver = _Driver(plan, executor, order, task_s, units_per_task)
    on_progress(driver.tally)
    with stopping(executor.stop) as stopped:
        while not stopped.is_set() and driver.fill():
            done = executor.next_done(LOOK_EVERY_S)
            if done is not None:
                driver.settle(done)
                on_progress(driver.tally)
        if stopped.is_set():
            driver.drain(grace_s)
            raise KeyboardInterrupt
    return driver.tally


class _Driver:
    """What is in flight, and what comes next."""

    def __init__(
        self, plan: Plan, executor: Executor, order: int, task_s: float, units_per_task: int | None
    ) -> None:
        self.plan = plan
        self.executor = executor
        self.walk = Walk(plan, order)
        self.mending = Mending(self.walk)
        self.outage = Outage(plan.workflow.archive)
        self.tally = [stage.tally for stage in self.walk.stages]
        most = units_per_task or sys.maxsize
        self.sizes = [BatchSize(task_s, min(most, p.stage.most_units)) for p in plan.stages]
        self.tasks = [0] * len(plan.stages)
        self.suspects: deque[tuple[int, Job]] = deque()
        self.isolating = False

    def fill(self) -> bool:
        """Submit what may run now; return whether any task is in flight.

        Ready jobs go up to the capacity, deepest stage first. Suspects, whose task died with its
        worker, wait until nothing else is in flight and then run one by one, so that a unit that
        kills its worker takes the blame alone. Nothing is submitted while the archive is away.
        """
        if not self.outage.check():
            if not sum(self.tasks):
                time.sleep(PAUSE_S)
            return True
        self._retry_held()
        if self.suspects and not sum(self.tasks):
            level, job = self.suspects.popleft()
            self.isolating = True
            self._submit(level, [job])
        while not self.suspects and not self.isolating and self._submit_next():
            pass
        return sum(self.tasks) > 0

    def _submit_next(self) -> bool:
        """Submit the next batch; return False if there is none, or nobody to take it.

        A stage waits for a full batch as long as a stage above gives its workers something to do.
        """
        free = [max(0, self.executor.free(stage.plan.stage)) for stage in self.walk.stages]
        while any(free):
            sizes = [
                size.size(stage.tally.left - stage.tally.in_flight, tasks + slots)
                for size, stage, tasks, slots in zip(
                    self.sizes, self.walk.stages, self.tasks, free, strict=True
                )
            ]
            levels = [n for n in reversed(range(len(free))) if free[n] and self.walk.stages[n].ready]
            full = next((n for n in levels if _is_full(self.walk.stages[n].ready, sizes[n])), None)
            if full is None and self._may_open(sizes):
                self.walk.open_next()
                continue
            if full is None and not levels:
                return False
            level = levels[0] if full is None else full
            self._submit(level, _take(self.walk.stages[level].ready, sizes[level]))
            return True
        return False

    def _may_open(self, sizes: Sequence[int]) -> bool:
        """Return whether to open another window: not where jobs already wait for a worker in numbers."""
        return not self.walk.ended and all(
            len(stage.ready) < FULL_BATCHES_WAITING * size
            for stage, size in zip(self.walk.stages, sizes, strict=True)
        )

    def _submit(self, level: int, jobs: Sequence[Job]) -> None:
        self.tasks[level] += 1
        self.tally[level].in_flight += len(jobs)
        self.executor.submit(self.plan.stages[level].stage, self.plan.store, jobs)

    def settle(self, done: Done) -> None:
        """Take in a task that ended."""
        level = next(n for n, stage in enumerate(self.plan.stages) if stage.stage is done.stage)
        stage = self.walk.stages[level]
        self.tasks[level] -= 1
        stage.tally.in_flight -= len(done.jobs)
        was_alone, self.isolating = self.isolating, False
        if done.result is None:
            self._suspect(level, done, was_alone)
            return
        jobs = {job.unit.name: job for job in done.jobs}
        if done.result.entries:
            seconds = sum(entry.seconds for entry in done.result.entries)
            self.sizes[level].note(len(done.result.entries), seconds)
            self._note_answers(done.result.entries, jobs)
        self.walk.finish(level, ((jobs[entry.unit], entry) for entry in done.result.entries))
        stage.ready.extendleft(reversed(done.result.again))
        for job, reason in done.result.unreachable:
            self.outage.hold(Held(level, job, reason))
        for job, parts, error in done.result.corrupt:
            if self.mending.can(level, job):
                self.mending.mend(level, job, parts)
            else:
                self._bury(level, stage, job, error)

    def _note_answers(self, entries: Sequence[Entry], jobs: Mapping[str, Job]) -> None:
        """Note a file that was read: it is asked for when the archive seems to be away."""
        for entry in entries:
            if entry.status == "ok" and jobs[entry.unit].unit.uris:
                self.outage.answered(jobs[entry.unit].unit.uris[0])
                return

    def _retry_held(self) -> None:
        """Make units ready again whose files did not come; no attempt counts while the archive was away."""
        held, was_away = self.outage.release()
        for level, job, reason in held:
            if not was_away and job.attempt >= MAX_ATTEMPTS:
                self._bury(level, self.walk.stages[level], job, reason)
                continue
            attempt = job.attempt if was_away else job.attempt + 1
            again = job._replace(attempt=attempt, order=job.order + 1)
            self.walk.stages[level].ready.appendleft(again)

    def _suspect(self, level: int, done: Done, was_alone: bool) -> None:
        """Take in a task that died: try its units one by one, and bury one that was alone."""
        if was_alone:
            reason = f"{type(done.error).__name__}: {done.error}"
            self._bury(level, self.walk.stages[level], done.jobs[0], reason)
        else:
            self.suspects.extend(
                (level, job._replace(attempt=job.attempt + 1, order=job.order + 1)) for job in done.jobs
            )

    def _bury(self, level: int, stage: StageWalk, job: Job, reason: str) -> None:
        """Record a unit that can not be computed, in the name of the worker that could not say so."""
        entry = Entry(
            stage=stage.plan.stage.name,
            unit=job.unit.name,
            status="failed",
            reason=reason,
            inputs=job.inputs,
            attempts=job.attempt,
            order=job.order,
            finished=now(),
        )
        name = f"{task_name(stage.plan.stage, [job])}-died"
        stage.plan.ledger.record(month_of(job.unit.window), name, [entry])
        self.walk.finish(level, [(job, entry)])

    def drain(self, grace_s: float) -> None:
        """Wait for the tasks at work to end, but not for ever: what they did is in the ledger."""
        until_s = time.monotonic() + grace_s
        while sum(self.tasks):
            done = self.executor.next_done(max(0.0, until_s - time.monotonic()))
            if done is None:
                return
            if done.result is not None:
                self.settle(done)


def _is_full(ready: Sequence[Job], size: int) -> bool:
    """Return whether the first jobs make a whole batch, or one that the last job can not join."""
    first, last = ready[0], ready[-1]
    return (
        len(ready) >= size or first.attempt > 1 or month_of(first.unit.window) != month_of(last.unit.window)
    )


def _take(ready: deque[Job], size: int) -> list[Job]:
    """Take the next jobs of a task: of one month; a job that is tried again goes alone."""
    return [ready.popleft() for _ in range(_batch_length(ready, size))]


def _batch_length(ready: Sequence[Job], size: int) -> int:
    first = ready[0]
    if first.attempt > 1:
        return 1
    window = first.unit.window
    month = month_of(window)
    n = 0
    for job in islice(ready, size):
        if job.attempt > 1:
            break
        if job.unit.key.window is not window:
            window = job.unit.key.window
            if month_of(window) != month:
                break
        n += 1
    return n
