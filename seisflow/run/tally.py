"""The tally: how far a stage is, in numbers alone, so that a run of millions of units stays small."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seisflow.run.ledger import Entry

__all__ = ["StageTally", "Tally"]


@dataclass
class StageTally:
    """How far one stage is.

    Attributes
    ----------
    name : str
    total : int
        Units of the plan.
    ok, empty, failed : int
        Units with an outcome, in this run or before.
    kept : int
        Those of them that were found done in the ledger.
    computed : int
        Those of them that this run computed.
    in_flight : int
        Units that are with the workers now.
    rows : int
        Rows of the stage's first table (picks, events).
    seconds : float
        Worker seconds of the units computed in this run.
    reasons : Counter
        Failed units by reason (the text before the first colon).
    stations : dict
        Units computed in this run and their seconds, by ``NETWORK.STATION``; empty for stages of
        network-days.
    """

    name: str
    total: int = 0
    ok: int = 0
    empty: int = 0
    failed: int = 0
    kept: int = 0
    computed: int = 0
    in_flight: int = 0
    rows: int = 0
    seconds: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)
    stations: dict[str, tuple[int, float]] = field(default_factory=dict)

    @property
    def settled(self) -> int:
        """Units with an outcome."""
        return self.ok + self.empty + self.failed

    @property
    def left(self) -> int:
        """Units without an outcome."""
        return self.total - self.settled

    def keep(self, entry: Entry) -> None:
        """Count a unit that was found done in the ledger."""
        self.kept += 1
        self._count(entry, 1)

    def take(self, entry: Entry, station: str = "") -> None:
        """Count a unit that this run computed."""
        self.computed += 1
        self.seconds += entry.seconds
        if station:
            units, seconds = self.stations.get(station, (0, 0.0))
            self.stations[station] = (units + 1, seconds + entry.seconds)
        self._count(entry, 1)

    def drop(self, entry: Entry, *, kept: bool) -> None:
        """Take a unit back that must be computed again; what was computed stays counted as work done."""
        self.kept -= kept
        self._count(entry, -1)

    def _count(self, entry: Entry, n: int) -> None:
        self.rows += n * entry.n_rows
        if entry.status == "ok":
            self.ok += n
        elif entry.status == "empty":
            self.empty += n
        else:
            self.failed += n
            self.reasons[entry.reason.split(":")[0]] += n


Tally = Sequence[StageTally]
"""One `StageTally` for each stage, in the order of the stages."""
