"""Damaged parts: what they held is void, is said so in the ledger, and is computed again."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from seisflow.run.units import digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seisflow.run.ledger import Entry, Ledger
    from seisflow.run.units import Job
    from seisflow.run.walk import Walk

__all__ = ["Mending", "void_part"]

MOST = 2
"""How often a unit may find parts damaged; after that the disk is to blame, and the unit fails."""


def void_part(ledger: Ledger, month: str, part: str, order: int) -> dict[str, Entry]:
    """Write into the ledger that the rows of a part are lost; return the entries it had, by unit.

    A run that is killed before they are computed again leaves that to the next.
    """
    lost = {name: entry for name, entry in ledger.entries(month).items() if entry.part == part}
    if lost:
        reason = f"CorruptPartError: part {part} is damaged or gone; its rows are computed again"
        void = {"status": "failed", "reason": reason, "part": "", "n_rows": 0, "checksum": ""}
        entries = [entry._replace(**void, order=max(entry.order, order) + 1) for entry in lost.values()]  # type: ignore[arg-type]
        ledger.record(month, digest(["void", part, order]), entries)
    return lost


class Mending:
    """Computes again what a unit found damaged, then that unit."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._times: Counter[tuple[int, int]] = Counter()

    def can(self, level: int, job: Job) -> bool:
        """Return whether it is worth another try."""
        self._times[level, self._walk.number(job.unit)] += 1
        return self._times[level, self._walk.number(job.unit)] <= MOST

    def mend(self, level: int, job: Job, parts: Iterable[str]) -> None:
        """Make ready again what some parts of the stage above held, then the unit that read them."""
        above = self._walk.stages[level - 1]
        near = self._walk.stages[level].plan.near(self._walk.number(job.unit))
        months = sorted({above.month(number) for number in near})
        for part in parts:
            for month in months:
                lost = void_part(above.plan.ledger, month, part, self._walk.order)
                for number in self._walk.plan.months[month] if lost else ():
                    own = {name: lost[name] for name in above.plan.names(number) if name in lost}
                    if own:
                        self._walk.reopen(level - 1, number, own)
        self._walk.close(level, job)
