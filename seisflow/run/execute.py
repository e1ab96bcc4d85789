"""The driver: keeps the workers busy with what is left to do, until nothing is.

The number of tasks in flight is bounded; a unit starts as soon as the units it needs have an
outcome; an outcome is in the ledger before the driver hears of it, so a driver may die at any time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from seisflow.run.executor import Done, Executor
from seisflow.run.ledger import Entry, month_of, now
from seisflow.run.plan import Plan, StagePlan
from seisflow.run.task import task_name
from seisflow.run.units import Job, Source, Unit, digest

if TYPE_CHECKING:
    from seisflow.run.stages import Stage

__all__ = ["StageState", "execute"]


@dataclass
class StageState:
    """How far a stage is.

    Attributes
    ----------
    entries : dict
        Newest ledger entry of each unit of the plan that has an outcome in this run or before.
    computed : int
        Units computed in this run.
    kept : int
        Units found done in the ledger.
    """

    plan: StagePlan
    entries: dict[str, Entry] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)
    ready: deque[Job] = field(default_factory=deque)
    computed: int = 0
    kept: int = 0

    @property
    def total(self) -> int:
        """Units of the plan."""
        return len(self.plan.units)

    @property
    def failed(self) -> list[Entry]:
        """Entries of units that failed."""
        return [entry for entry in self.entries.values() if entry.status == "failed"]


def execute(
    plan: Plan,
    executor: Executor,
    units_per_task: int,
    on_progress: Callable[[Sequence[StageState]], None],
    order: int = 1,
) -> list[StageState]:
    """Compute what is left of a plan.

    Parameters
    ----------
    plan : Plan
    executor : Executor
    units_per_task : int
        Units that share a part and a ledger record.
    on_progress : callable
        Told the states after every task.
    order : int
        `order` of the ledger rows of a first attempt (`Lease.order`).

    Returns
    -------
    list of StageState
        One a stage, every unit with an outcome.
    """
    driver = _Driver(plan, executor, units_per_task, order)
    driver.start()
    on_progress(driver.states)
    while driver.fill():
        driver.settle(executor.next_done())
        on_progress(driver.states)
    return driver.states


class _Driver:
    """Which units are ready, in flight and done."""

    def __init__(self, plan: Plan, executor: Executor, units_per_task: int, order: int) -> None:
        self.plan = plan
        self.executor = executor
        self.units_per_task = units_per_task
        self.order = order
        self.states = [StageState(stage_plan) for stage_plan in plan.stages]
        self.below: list[dict[str, list[Unit]]] = [{} for _ in self.states]
        self.in_flight = 0
        self.suspects: deque[tuple[int, Job]] = deque()
        self.isolating = False

    def start(self) -> None:
        """Find what waits for what, and release the units that wait for nothing."""
        for level, state in enumerate(self.states):
            for unit in state.plan.units:
                state.missing[unit.name] = len(unit.needs)
                for need in unit.needs:
                    self.below[level - 1].setdefault(need, []).append(unit)
        for level, state in enumerate(self.states):
            for unit in state.plan.units:
                if not unit.needs:
                    self._release(level, unit)

    def fill(self) -> bool:
        """Submit what may run now; return whether any task is in flight.

        Ready jobs go up to the capacity, deepest stage first. Suspects, whose task died with its
        worker, wait until nothing else is in flight and then run one by one, so that a unit that
        kills its worker takes the blame alone.
        """
        if self.suspects and not self.in_flight:
            level, job = self.suspects.popleft()
            self.isolating = True
            self._submit(self.states[level].plan.stage, [job])
        while not self.suspects and not self.isolating and self.in_flight < self.executor.capacity:
            state = next((state for state in reversed(self.states) if state.ready), None)
            if state is None:
                break
            self._submit(state.plan.stage, self._batch(state))
        return self.in_flight > 0

    def _batch(self, state: StageState) -> list[Job]:
        """Take the next jobs of a task; a job that is tried again goes alone."""
        jobs = [state.ready.popleft()]
        while jobs[0].attempt == 1 and state.ready and len(jobs) < self.units_per_task:
            if state.ready[0].attempt > 1:
                break
            jobs.append(state.ready.popleft())
        return jobs

    def _submit(self, stage: Stage, jobs: Sequence[Job]) -> None:
        self.executor.submit(stage, self.plan.store, jobs)
        self.in_flight += 1

    def settle(self, done: Done) -> None:
        """Take in a task that ended."""
        self.in_flight -= 1
        was_alone, self.isolating = self.isolating, False
        level = next(n for n, state in enumerate(self.states) if state.plan.stage is done.stage)
        if done.result is not None:
            self.states[level].ready.extendleft(done.result.again)
            for entry in done.result.entries:
                self._finish(level, entry)
        elif was_alone:
            self._bury(level, done)
        else:
            self.suspects.extend(
                (level, replace(job, attempt=job.attempt + 1, order=job.order + 1)) for job in done.jobs
            )

    def _bury(self, level: int, done: Done) -> None:
        """Record the unit of a task that died though nothing else was running."""
        job = done.jobs[0]
        reason = f"{type(done.error).__name__}: {done.error}"
        entry = Entry(
            stage=done.stage.name,
            unit=job.unit.name,
            status="failed",
            reason=reason,
            inputs=job.inputs,
            attempts=job.attempt,
            order=job.order,
            finished=now(),
        )
        self.states[level].plan.ledger.record(
            month_of(job.unit.window), f"{task_name(done.stage, done.jobs)}-died", [entry]
        )
        self._finish(level, entry)

    def _finish(self, level: int, entry: Entry) -> None:
        self.states[level].computed += 1
        self._announce(level, entry)

    def _announce(self, level: int, entry: Entry) -> None:
        """Note the outcome of a unit and release the units that waited for it alone."""
        self.states[level].entries[entry.unit] = entry
        for unit in self.below[level].get(entry.unit, ()):
            below = self.states[level + 1]
            below.missing[unit.name] -= 1
            if below.missing[unit.name] == 0:
                self._release(level + 1, unit)

    def _release(self, level: int, unit: Unit) -> None:
        """Make a unit's job ready, unless the ledger has it done from the same inputs."""
        state = self.states[level]
        job = self._job(level, unit)
        known = state.plan.entries.get(unit.name)
        if known is not None and known.done and known.inputs == job.inputs:
            state.kept += 1
            self._announce(level, known)
        else:
            state.ready.append(job)

    def _job(self, level: int, unit: Unit) -> Job:
        if not unit.needs:
            return Job(unit, inputs=unit.inputs, order=self.order)
        entries = [self.states[level - 1].entries[need] for need in unit.needs]
        sources = tuple(Source(entry.unit, entry.part) for entry in entries if entry.part)
        return Job(unit, sources, digest(self._content(entries)), order=self.order)

    def _content(self, entries: Iterable[Entry]) -> Iterable[object]:
        """Yield what a unit below depends on: the rows of the units above, and where stations stand."""
        yield self.plan.sites
        for entry in entries:
            yield entry.unit, entry.checksum if entry.done else entry.status
