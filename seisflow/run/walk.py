"""The walk along the windows: which units are known, which are ready, which windows are settled.

Windows of the first stage are opened in order; a window of a stage below opens when the stage above
has settled all windows it needs. A window is settled when all its units have an outcome. Outcomes
are forgotten when no window below needs them any more, so memory holds the days in between.
"""

from __future__ import annotations

import sys
from collections import Counter, deque
from itertools import chain, groupby
from typing import TYPE_CHECKING

from seisflow.keys import StationDay
from seisflow.run.ledger import Entry, Ledger, month_of
from seisflow.run.tally import StageTally
from seisflow.run.units import Job, Source, Unit, digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seisflow.run.plan import Plan, StagePlan

__all__ = ["StageWalk", "Walk"]

MONTHS_AT_HAND = 2


class History:
    """What the ledger has of a stage from before, read month by month as the walk gets there."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._months = set(ledger.months())
        self._read: dict[str, dict[str, Entry]] = {}

    def entries(self, month: str) -> dict[str, Entry]:
        """Return the newest entry of each unit of a month."""
        if month not in self._months:
            return {}
        if month not in self._read:
            while len(self._read) >= MONTHS_AT_HAND:
                del self._read[min(self._read)]
            self._read[month] = self._ledger.entries(month)
        return self._read[month]

    def refresh(self, month: str) -> None:
        """Read a month again when it is next asked for."""
        self._months.add(month)
        self._read.pop(month, None)


class StageWalk:
    """One stage on the walk.

    Attributes
    ----------
    plan : StagePlan
    tally : StageTally
    ready : deque of Job
        Units that may be computed now, in the order of the walk.
    opened, settled : bytearray
        By window.
    waiting : dict
        Units without an outcome, by window; of windows that are open.
    entries : dict
        Outcomes by window and unit; of windows that the stage below still needs.
    """

    def __init__(self, plan: StagePlan) -> None:
        self.plan = plan
        self.tally = StageTally(plan.stage.name, total=plan.total)
        self.ready: deque[Job] = deque()
        self.opened = bytearray(len(plan.windows))
        self.settled = bytearray(len(plan.windows))
        self.waiting: dict[int, int] = {}
        self.entries: dict[int, dict[str, Entry]] = {}
        self.given: dict[int, tuple[tuple[Source, ...], str]] = {}
        self.history = History(plan.ledger)
        self.computed_in: set[str] = set()
        self.months = [sys.intern(month_of(window)) for window in plan.windows]
        self.unsettled = Counter(self.months)

    def month(self, number: int) -> str:
        """Return the month of the ledger that a window belongs to."""
        return self.months[number]

    def recorded(self, number: int) -> list[Entry]:
        """Return the outcomes of a window: those at hand, or what the ledger has."""
        if number not in self.entries:
            month = self.plan.ledger.entries(self.month(number))
            return [month[name] for name in sorted(self.plan.names(number)) if name in month]
        found = self.entries[number]
        return [found[name] for name in sorted(found)]

    def gives(self, number: int) -> tuple[tuple[Source, ...], str]:
        """Return where the rows of a settled window are, and a hash of them."""
        if number not in self.given:
            outcomes = self.recorded(number)
            sources = tuple(Source(entry.unit, entry.part) for entry in outcomes if entry.part)
            rows = (f"{e.unit} {e.checksum if e.done else e.status}" for e in outcomes)
            self.given[number] = sources, digest(rows)
        return self.given[number]


class Walk:
    """All stages on the walk.

    Parameters
    ----------
    plan : Plan
    order : int
        `order` of the ledger rows of this run (`Lease.order`).
    """

    def __init__(self, plan: Plan, order: int) -> None:
        self.plan = plan
        self.order = order
        self.stages = [StageWalk(stage_plan) for stage_plan in plan.stages]
        self.following = 0
        self._numbers = {window: number for number, window in enumerate(plan.windows)}

    @property
    def ended(self) -> bool:
        """Whether the first stage has opened all windows."""
        return self.following == len(self.plan.windows)

    def open_next(self) -> None:
        """Open the next window of the first stage."""
        self.following += 1
        self._open(0, self.following - 1)

    def number(self, unit: Unit) -> int:
        """Return the number of a unit's window."""
        return self._numbers[unit.window]

    def finish(self, level: int, outcomes: Iterable[tuple[Job, Entry]]) -> None:
        """Take in the outcomes of some units."""
        stage = self.stages[level]
        for window, together in groupby(outcomes, lambda outcome: outcome[0].unit.key.window):
            number = self._numbers[window]
            kept = stage.entries.get(number)
            for job, entry in together:
                key = job.unit.key
                stage.tally.take(entry, f"{key.network}.{key.station}" if isinstance(key, StationDay) else "")
                if kept is not None:
                    kept[entry.unit] = entry
                stage.waiting[number] -= 1
            stage.computed_in.add(stage.month(number))
            if not stage.waiting[number]:
                self._settle(level, number)

    def reopen(self, level: int, number: int, dropped: dict[str, Entry]) -> None:
        """Make units of a window ready again, whose outcome of before is void.

        Units that have no outcome yet, as they are ready or with a worker, are left alone.
        """
        stage = self.stages[level]
        stage.history.refresh(stage.month(number))
        if not stage.opened[number]:
            return
        if not stage.settled[number]:
            dropped = {name: dropped[name] for name in dropped if name in stage.entries.get(number, {})}
        units = [unit for unit in stage.plan.units(number) if unit.name in dropped]
        for unit in units:
            old = dropped[unit.name]
            stage.tally.drop(old, kept=old.order < self.order)
            stage.entries.get(number, {}).pop(old.unit, None)
            stage.ready.append(self._job(level, unit, max(old.order, self.order) + 2))
        if units and stage.settled[number]:
            stage.settled[number] = 0
            stage.unsettled[stage.month(number)] += 1
        if units:
            stage.waiting[number] = stage.waiting.get(number, 0) + len(units)
            stage.given.pop(number, None)

    def close(self, level: int, job: Job) -> None:
        """Take back the one unit of a window, to open it again when what it needs is settled again."""
        stage, number = self.stages[level], self.number(job.unit)
        stage.opened[number] = 0
        del stage.waiting[number]
        stage.entries.pop(number, None)
        self._open_if_settled_above(level, number)

    def _open(self, level: int, number: int) -> None:
        """Make the units of a window ready, but those that the ledger has done from the same inputs."""
        stage = self.stages[level]
        stage.opened[number] = 1
        known = stage.history.entries(stage.month(number))
        stage.waiting[number] = 0
        kept: dict[str, Entry] = {}
        if level + 1 < len(self.stages):
            stage.entries[number] = kept
        for unit in stage.plan.units(number):
            entry = known.get(unit.name)
            job = self._job(level, unit, self.order if entry is None else max(self.order, entry.order + 1))
            if entry is not None and entry.done and entry.inputs == job.inputs:
                stage.tally.keep(entry)
                kept[entry.unit] = entry
            else:
                stage.ready.append(job)
                stage.waiting[number] += 1
        if not stage.waiting[number]:
            self._settle(level, number)

    def _job(self, level: int, unit: Unit, order: int) -> Job:
        """Return the job of a unit; below the first stage its inputs are rows, and where stations stand."""
        if level == 0:
            return Job(unit, inputs=unit.inputs, order=order)
        above = self.stages[level - 1]
        near = self.stages[level].plan.near(self.number(unit))
        sources, digests = zip(*map(above.gives, near), strict=True)
        inputs = digest([self.plan.sites, *digests])
        return Job(unit, tuple(chain.from_iterable(sources)), inputs, order=order)

    def _settle(self, level: int, number: int) -> None:
        stage = self.stages[level]
        del stage.waiting[number]
        stage.settled[number] = 1
        month = stage.month(number)
        stage.unsettled[month] -= 1
        if not stage.unsettled[month] and month in stage.computed_in:
            stage.plan.ledger.compact(month)
            stage.computed_in.discard(month)
        if level:
            self._forget_above(level, number)
        if level + 1 < len(self.stages):
            for below in self.stages[level + 1].plan.near(number):
                self._open_if_settled_above(level + 1, below)

    def _open_if_settled_above(self, level: int, number: int) -> None:
        stage, above = self.stages[level], self.stages[level - 1]
        if not stage.opened[number] and all(above.settled[near] for near in stage.plan.near(number)):
            self._open(level, number)

    def _forget_above(self, level: int, number: int) -> None:
        """Forget outcomes of the stage above that no window of this stage needs any more."""
        stage, above = self.stages[level], self.stages[level - 1]
        for near in stage.plan.near(number):
            if near in above.entries and all(stage.settled[user] for user in stage.plan.near(near)):
                del above.entries[near]
                above.given.pop(near, None)
