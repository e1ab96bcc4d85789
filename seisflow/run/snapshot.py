"""The snapshot: what is known of a run at one moment, small enough to send every second.

The driver's feed makes it, ``progress.json`` holds it, and the terminal, ``seisflow status`` and the
page on the dashboard show it. It names no host, and its size does not grow with the run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from heapq import nlargest
from typing import TYPE_CHECKING, Any, Literal, Self

from seisflow.errors import SeisflowError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from seisflow.run.tally import StageTally

__all__ = [
    "ENDED",
    "Failure",
    "Phase",
    "Snapshot",
    "StageProgress",
    "StationCost",
    "failures_of",
    "slowest_of",
    "utc_now",
]

Phase = Literal["scanning", "computing", "writing tables", "done", "stopped", "failed"]
"""What a driver does now, or how it ended."""

ENDED: frozenset[Phase] = frozenset({"done", "stopped", "failed"})
"""Phases after which nothing more comes."""

MOST_REASONS = 20
MOST_STATIONS = 10
LONGEST_REASON = 200
LONGEST_ERROR = 2000


@dataclass(frozen=True)
class StageProgress:
    """How far one stage is: the counts of `StageTally`, what is left, and how fast it goes.

    Attributes
    ----------
    name : str
    total, ok, empty, failed, kept, computed, in_flight, left, rows : int
        Units, but for `rows`: rows of the stage's first table. `left` includes those in flight.
    core_seconds : float
        Worker seconds of the units computed in this run.
    rate_per_s : float or None
        Units computed per second over the last minutes; None where nothing was.
    eta_s : float or None
        Seconds until nothing is left at that rate.
    """

    name: str
    total: int
    ok: int
    empty: int
    failed: int
    kept: int = 0
    computed: int = 0
    in_flight: int = 0
    left: int = 0
    rows: int = 0
    core_seconds: float = 0.0
    rate_per_s: float | None = None
    eta_s: float | None = None

    @classmethod
    def of_tally(cls, tally: StageTally, rate_per_s: float | None) -> Self:
        """Return the progress of a stage that computes `rate_per_s` units per second."""
        left = max(tally.left, 0)
        return cls(
            name=tally.name,
            total=tally.total,
            ok=tally.ok,
            empty=tally.empty,
            failed=tally.failed,
            kept=tally.kept,
            computed=tally.computed,
            in_flight=tally.in_flight,
            left=left,
            rows=tally.rows,
            core_seconds=round(tally.seconds, 3),
            rate_per_s=rate_per_s,
            eta_s=round(left / rate_per_s, 1) if rate_per_s and left else None,
        )


@dataclass(frozen=True)
class Failure:
    """How many units of a stage failed for one reason; '' stands for all rarer ones."""

    stage: str
    reason: str
    units: int


@dataclass(frozen=True)
class StationCost:
    """How long the units of a station took, in the mean."""

    station: str
    units: int
    mean_s: float


@dataclass(frozen=True)
class Snapshot:
    """What is known of a run at one moment.

    Attributes
    ----------
    run : str
        Which run: the same for every driver that worked on one store.
    name : str
        Name of the workflow.
    phase : str
        ``scanning``, ``computing``, ``writing tables``, ``done``, ``stopped`` or ``failed``.
    started, updated, moved : str
        UTC, ISO 8601: when the driver started, when this was written, when a unit last had an outcome.
    error : str
        Why the driver failed or stopped; '' where it did not.
    stages : tuple of StageProgress
    failures : tuple of Failure
        Most frequent first.
    slowest : tuple of StationCost
        The stations whose units take longest in the mean, slowest first.
    workers, threads : int or None
        None where the run has no cluster.
    """

    run: str
    name: str
    phase: Phase
    started: str
    updated: str
    moved: str
    error: str = ""
    stages: tuple[StageProgress, ...] = ()
    failures: tuple[Failure, ...] = ()
    slowest: tuple[StationCost, ...] = ()
    workers: int | None = None
    threads: int | None = None

    @property
    def ended(self) -> bool:
        """Whether the driver said that nothing more comes."""
        return self.phase in ENDED

    @property
    def failed(self) -> int:
        """Units that failed, of all stages."""
        return sum(stage.failed for stage in self.stages)

    @property
    def eta_s(self) -> float | None:
        """Seconds until the last stage is through; None where no stage knows."""
        known = [stage.eta_s for stage in self.stages if stage.eta_s is not None]
        return max(known, default=None)

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def of_json(cls, content: object) -> Snapshot:
        """Return the snapshot that `as_json` gave; keys of a later version are left out.

        Raises
        ------
        SeisflowError
            If a key is missing or of another type.
        """
        try:
            return _adapter().validate_python(content)
        except ValueError as error:
            raise SeisflowError(f"progress.json is not the progress of a run: {error}") from error


def failures_of(reasons: Mapping[str, Mapping[str, int]]) -> tuple[Failure, ...]:
    """Return the most frequent reasons, given the counts by stage and reason; the rest is one row a stage."""
    counts = Counter(
        {(stage, reason): units for stage, found in reasons.items() for reason, units in found.items()}
    )
    most = counts.most_common(MOST_REASONS)
    rest: Counter[str] = Counter()
    for (stage, _), units in (counts - Counter(dict(most))).items():
        rest[stage] += units
    rows = [Failure(stage, reason[:LONGEST_REASON], units) for (stage, reason), units in most]
    return (*rows, *(Failure(stage, "", units) for stage, units in rest.most_common()))


def slowest_of(stations: Iterable[tuple[str, int, float]]) -> tuple[StationCost, ...]:
    """Return the slowest stations, given name, units and seconds of each."""
    costs = (
        StationCost(name, units, round(total_s / units, 3)) for name, units, total_s in stations if units
    )
    return tuple(nlargest(MOST_STATIONS, costs, key=lambda cost: cost.mean_s))


def utc_now() -> str:
    """Return the present time, UTC, ISO 8601 to the millisecond."""
    return datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


@cache
def _adapter() -> TypeAdapter[Snapshot]:
    from pydantic import TypeAdapter

    return TypeAdapter(Snapshot)
