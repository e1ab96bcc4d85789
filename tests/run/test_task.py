"""What a worker does with a batch: hands back on notice, fetches ahead, measures, keeps within its memory."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from seisflow.keys import NetworkDay, Window
from seisflow.run import notice
from seisflow.run.ledger import Ledger
from seisflow.run.memory import PeakMemory
from seisflow.run.prefetch import Prefetch
from seisflow.run.stages import Outcome, Stage
from seisflow.run.store import Store
from seisflow.run.task import run_task
from seisflow.run.units import Job, Unit
from seisflow.tables import EVENTS, STATIONS, empty


@dataclass(frozen=True)
class Counted(Stage):
    """A stage that notes what is asked of it."""

    name: ClassVar[str] = "counted"
    schemas: ClassVar = {"events": EVENTS}
    seen: list[str] = field(default_factory=list)
    then: Any = None
    needs_mb: float = 100.0

    @property
    def identity(self) -> list[Any]:
        return []

    def memory_mb(self, unit: Unit) -> float:
        return self.needs_mb

    def is_remote(self, job: Job) -> bool:
        return True

    def fetch(self, job: Job) -> Mapping[str, bytes]:
        self.seen.append(f"fetch {day_of(job)}")
        return {"a": job.unit.name.encode()}

    def compute(self, job: Job, stations: Any, parts: Any, contents: Mapping[str, bytes]) -> Outcome:
        assert contents == {"a": job.unit.name.encode()}
        self.seen.append(f"compute {day_of(job)}")
        if self.then:
            self.then(job)
        return Outcome({"events": empty(EVENTS)})


def day_of(job: Job) -> int:
    """Return the day of the month of a job."""
    return int(str(job.unit.window.start)[8:10])


def jobs(n: int) -> list[Job]:
    """Return jobs of the first days of a month."""
    keys = [NetworkDay(Window.of_day(f"2020-01-{day + 1:02d}")) for day in range(n)]
    return [Job(Unit(key, str(key)), inputs="x") for key in keys]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store with stations."""
    store = Store(str(tmp_path))
    store.write_table(f"{store.archive}/stations.parquet", empty(STATIONS), STATIONS)
    return store


def stage_of(**changes: Any) -> Counted:
    """Return a stage."""
    return Counted(workflow=None, **changes)  # type: ignore[arg-type]


def test_on_notice_the_rest_is_handed_back_and_counts_as_no_attempt(store: Store) -> None:
    batch = jobs(5)
    stage = stage_of(then=lambda job: notice.give() if job is batch[1] else None)
    try:
        result = run_task(stage, store, batch)
    finally:
        notice.withdraw()
    assert [entry.unit for entry in result.entries] == [job.unit.name for job in batch[:2]]
    assert result.again == batch[2:], "the same jobs, attempt and order untouched"
    assert set(Ledger(store, store.stage("counted", stage.fingerprint)).entries("2020-01")) == {
        job.unit.name for job in batch[:2]
    }


def test_a_task_that_gets_notice_before_it_begins_leaves_no_trace(store: Store) -> None:
    notice.give()
    try:
        result = run_task(stage_of(), store, jobs(2))
    finally:
        notice.withdraw()
    assert not result.entries
    assert result.again == jobs(2)
    assert store.keys("stages") == []


def test_files_of_the_next_unit_come_while_the_present_one_computes_and_no_others(store: Store) -> None:
    stage: Counted
    late: list[int] = []

    def wait(job: Job) -> None:
        day = day_of(job)
        until = time.monotonic() + 20.0
        while day < 4 and f"fetch {day + 1}" not in stage.seen and not late:
            if time.monotonic() > until:
                late.append(day)
            time.sleep(0.001)
        assert f"fetch {day + 2}" not in stage.seen, "one unit ahead, not two"

    stage = stage_of(then=wait)
    result = run_task(stage, store, jobs(4))
    assert not late, "the next files come meanwhile"
    assert [entry.status for entry in result.entries] == ["empty"] * 4
    for day in (1, 2, 3):
        assert stage.seen.index(f"fetch {day + 1}") < stage.seen.index(f"compute {day + 1}")
    both = [f"{what} {day}" for what in ("compute", "fetch") for day in (1, 2, 3, 4)]
    assert sorted(stage.seen) == both


def test_a_fetch_that_fails_is_the_failure_of_its_own_unit() -> None:
    def fetch(job: Job) -> Mapping[str, bytes]:
        if day_of(job) == 2:
            raise ConnectionError("gone")
        return {}

    stage = stage_of()
    object.__setattr__(stage, "fetch", fetch)
    with Prefetch(stage, jobs(3)) as files:
        assert files.contents(0) == {}
        with pytest.raises(ConnectionError, match="gone"):
            files.contents(1)
        assert files.contents(2) == {}


def test_a_unit_that_can_not_fit_is_recorded_and_the_others_go_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seisflow.run.task.available_mb", lambda: 2000.0)
    fits = run_task(stage_of(needs_mb=1999.0), store, jobs(1))
    assert [entry.status for entry in fits.entries] == ["empty"]
    stage = stage_of(needs_mb=2500.0)
    too_big = run_task(stage, store, jobs(2))
    assert [entry.status for entry in too_big.entries] == ["failed"] * 2
    assert not stage.seen, "nothing was begun"
    assert not too_big.again, "another try would not help"
    for text in ("needs about 2500 MB", "workers have 2000 MB", "deployment.memory_gb"):
        assert text in too_big.entries[0].reason


def test_the_peak_of_a_unit_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seisflow.run.memory.EVERY_S", 0.0)
    peak = PeakMemory()
    before = peak.of_unit()
    large = np.ones(40_000_000)
    with_large = peak.of_unit()
    del large
    peak.of_unit()
    after = peak.of_unit()
    assert with_large > before + 300.0
    assert after < with_large - 200.0, "the peak of a unit does not stay with those after it"
