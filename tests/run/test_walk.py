"""The walk: every unit once, after what it needs, in batches that fit, with few days in memory."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisflow.run.batching import BatchSize
from seisflow.run.execute import execute
from seisflow.run.ledger import Ledger, month_of
from seisflow.run.plan import Plan, make_plan
from seisflow.run.stages import Stage
from seisflow.run.tally import Tally
from seisflow.run.walk import Walk
from tests.run.large import Imagined, large_workflow


def planned(folder: Path, days: int, **archive: object) -> Plan:
    """Return a saved plan over an archive of names."""
    plan = make_plan(large_workflow(folder, days, **archive))
    plan.save()
    return plan


def day_of(name: str) -> str:
    """Return the day of a unit by its name."""
    return name[-10:]


@settings(max_examples=12, deadline=None)
@given(
    days=st.integers(1, 70),
    missing=st.sets(st.integers(0, 69), max_size=30),
    slots=st.integers(1, 7),
    seconds=st.sampled_from([0.001, 5.0, 30.0, 500.0]),
    stop_after=st.integers(0, 60),
    straggler=st.integers(0, 69),
)
def test_every_unit_is_computed_once_after_what_it_needs_wherever_the_driver_dies(
    days: int, missing: set[int], slots: int, seconds: float, stop_after: int, straggler: int
) -> None:
    missing -= {0}
    with TemporaryDirectory() as folder:
        plan = planned(Path(folder), days, n_stations=2, missing=tuple(missing))
        held = str(plan.windows[min(straggler, len(plan.windows) - 1)].start)[:10]
        executor = Imagined(
            slots, seconds=lambda job: seconds, holds_back=lambda job: day_of(job.unit.name) == held
        )
        tasks = 0

        def die(tally: Tally) -> None:
            nonlocal tasks
            tasks += 1
            if tasks == stop_after:
                raise ConnectionError

        try:
            execute(plan, executor, die)
        except ConnectionError:  # tasks that were in flight are lost with the driver
            again = Imagined(slots, seconds=lambda job: seconds)
            again.computed = executor.computed
            tally = execute(make_plan(plan.workflow), again, lambda tally: None, order=2000)
            assert [stage.left for stage in tally] == [0, 0, 0]
            assert tally[0].computed + tally[0].kept == tally[0].total
        expected = {
            f"{stage.stage.name} {name}"
            for stage in plan.stages
            for number in range(len(plan.windows))
            for name in stage.names(number)
        }
        assert executor.computed == Counter(dict.fromkeys(expected, 1))


@pytest.mark.parametrize("held", [None, "2000-02-10"])
def test_a_unit_starts_when_its_days_are_settled_and_not_before(tmp_path: Path, held: str | None) -> None:
    plan = planned(tmp_path, days=100, n_stations=3)
    executor = Imagined(3, holds_back=lambda job: day_of(job.unit.name) == held)
    seen: Counter[str] = Counter()
    submitted = executor.submit

    def check(stage, store, jobs) -> None:  # type: ignore[no-untyped-def]
        done = {name for name, n in executor.computed.items() if n}
        for job in jobs:
            number = plan.windows.index(job.unit.window)
            level = [p.stage.name for p in plan.stages].index(stage.name)
            for near in plan.stages[level].near(number) if level else ():
                above = plan.stages[level - 1]
                assert {f"{above.stage.name} {name}" for name in above.names(near)} <= done
            seen[stage.name] += 1
        submitted(stage, store, jobs)

    executor.submit = check  # type: ignore[method-assign]
    execute(plan, executor, lambda tally: None)
    assert seen == {"picking": 300, "association": 100, "location": 100}
    order = [name for name, _ in executor.batches]
    assert order.index("location") < len(order) - 1 - order[::-1].index("picking"), "stages overlap"


@pytest.mark.parametrize("held", [None, "2000-01-20"])
def test_memory_holds_the_days_in_between_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: str | None
) -> None:
    plan = planned(tmp_path, days=400, n_stations=5)
    walks: list[Walk] = []
    monkeypatch.setattr("seisflow.run.execute.Walk", lambda *args: walks.append(Walk(*args)) or walks[-1])
    most: Counter[str] = Counter()

    def look(tally: Tally) -> None:
        stages = walks[0].stages
        most["entries"] = max(most["entries"], sum(len(d) for s in stages for d in s.entries.values()))
        most["ready"] = max(most["ready"], sum(len(stage.ready) for stage in stages))
        most["digests"] = max(most["digests"], sum(len(stage.given) for stage in stages))

    executor = Imagined(3, seconds=lambda job: 10.0, holds_back=lambda job: day_of(job.unit.name) == held)
    execute(plan, executor, look)
    assert most["entries"] < 120
    assert most["ready"] < 60
    assert most["digests"] < 30
    assert not any(stage.entries or stage.waiting or stage.given for stage in walks[0].stages[:2])


class Apart(Imagined):
    """Each stage has workers of its own, as where picking runs on GPUs and the others do not."""

    def free(self, stage: Stage) -> int:
        return self.slots - sum(task[0].name == stage.name for task in self._waiting)


@pytest.mark.parametrize("behind", ["picking", "association"])
def test_jobs_do_not_pile_up_where_other_workers_are_idle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behind: str
) -> None:
    """One stage has all its workers busy, those of the others want work: that opens no further windows."""
    plan = planned(tmp_path, days=100, n_stations=2)
    workflow, expected = plan.workflow, [(200, 0), (100, 0), (100, 0)]
    if behind == "association":  # picking has nothing to do, as all of it is in the ledger
        execute(plan, Imagined(), lambda tally: None)
        changed = workflow.association.model_copy(update={"n_picks": 9})
        workflow, expected = workflow.model_copy(update={"association": changed}), [(0, 200), *expected[1:]]
    walks: list[Walk] = []
    monkeypatch.setattr("seisflow.run.execute.Walk", lambda *args: walks.append(Walk(*args)) or walks[-1])
    most = 0

    def look(tally: Tally) -> None:
        nonlocal most
        most = max(most, *(len(stage.ready) for stage in walks[0].stages))

    tally = execute(make_plan(workflow), Apart(2, seconds=lambda job: 60.0), look, order=2000)
    assert [(stage.computed, stage.kept) for stage in tally] == expected
    assert 0 < most < 10


def test_batches_grow_to_the_seconds_of_a_task_and_never_span_months(tmp_path: Path) -> None:
    plan = planned(tmp_path, days=75, n_stations=20)
    executor = Imagined(4, seconds=lambda job: 3.0 if "network" not in job.unit.name else 20.0)
    execute(plan, executor, lambda tally: None, task_s=60.0)
    sizes = [len(jobs) for name, jobs in executor.batches if name == "picking"]
    assert sizes[0] == 1
    assert max(sizes) == 20
    assert sizes[-1] < 4, "what is left is shared among the workers"
    assert max(len(jobs) for name, jobs in executor.batches if name == "association") == 3
    for _, jobs in executor.batches:
        assert len({month_of(job.unit.window) for job in jobs}) == 1
        names = [(str(job.unit.window.start), job.unit.name) for job in jobs]
        assert names == sorted(names), "a batch is of neighbours"


@pytest.mark.parametrize(
    ("note", "left", "slots", "size"),
    [
        ((), 10_000, 4, 1),
        ((8, 8.0), 10_000, 4, 16),
        ((64, 64.0), 10_000, 4, 60),
        ((64, 64.0), 80, 8, 10),
        ((64, 64.0), 3, 8, 1),
        ((900, 0.9), 10**6, 4, 500),
        ((900, 0.9), 300, 4, 100),
        ((900, 0.9), 900, 4, 225),
        ((4, 4000.0), 10_000, 4, 1),
    ],
)
def test_a_batch_fits_what_is_measured_and_what_is_left(
    note: tuple[int, float], left: int, slots: int, size: int
) -> None:
    batches = BatchSize(task_s=60.0, most=500)
    if note:
        batches.note(*note)
    assert batches.size(left, slots) == size


def test_months_are_compacted_when_they_are_settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned(tmp_path, days=65, n_stations=4)
    compacted: list[tuple[str, str]] = []
    compact: Callable[[Ledger, str], None] = Ledger.compact

    def note(ledger: Ledger, month: str) -> None:
        compacted.append((ledger.folder.split("/")[1].split("-")[0], month))
        compact(ledger, month)

    monkeypatch.setattr(Ledger, "compact", note)
    execute(plan, Imagined(), lambda tally: None)
    months = ["2000-01", "2000-02", "2000-03"]
    assert sorted(compacted) == sorted(
        (name, m) for name in ("picking", "association", "location") for m in months
    )
    assert len(plan.store.keys(f"{plan.stages[0].ledger.folder}/ledger")) == 3
    compacted.clear()
    execute(make_plan(plan.workflow), Imagined(), lambda tally: None, order=2000)
    assert not compacted, "where nothing was computed nothing is compacted"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_driver_that_is_told_to_stop_takes_in_what_is_in_flight(tmp_path: Path, number: int) -> None:
    plan = planned(tmp_path, days=20, n_stations=3)
    executor = Imagined(4)
    before = signal.getsignal(number)
    told: list[int] = []

    def tell(tally: Tally) -> None:
        told.append(sum(stage.settled for stage in tally))
        if len(told) == 5:
            os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        execute(plan, executor, tell)
    assert executor.stopped
    assert executor.free(plan.stages[0].stage) == 0
    assert signal.getsignal(number) == before
    submitted = sum(len(jobs) for _, jobs in executor.batches)
    assert sum(executor.computed.values()) == submitted < 100, "what was begun has ended"
    again = Imagined(4)
    again.computed = executor.computed
    execute(make_plan(plan.workflow), again, lambda tally: None, order=2000)
    assert len(executor.computed) == 100
    assert set(executor.computed.values()) == {1}
