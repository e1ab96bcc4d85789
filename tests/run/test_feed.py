"""The feed: what it says, how often, and that nothing it meets ever stops the run."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisflow.errors import LeaseError, SeisflowError
from seisflow.run import feed as feed_module
from seisflow.run import run_workflow
from seisflow.run.executor import SerialExecutor
from seisflow.run.feed import PROGRESS, TOPIC, Feed, Pace, run_id
from seisflow.run.snapshot import MOST_REASONS, MOST_STATIONS, Snapshot, failures_of
from seisflow.run.tally import StageTally
from tests.run.conftest import SmallArchive


class MemoryStore:
    """Keeps what is written; `before` is called first."""

    root = "/runs/memory"

    def __init__(self, before: Callable[[], None] = lambda: None) -> None:
        self.before = before
        self.written: list[dict[str, Any]] = []

    def write_json(self, key: str, content: dict[str, Any]) -> None:
        """Keep the content."""
        assert key == PROGRESS
        self.before()
        self.written.append(json.loads(json.dumps(content)))


def counted(done: int, failed: int = 0, total: int = 1000) -> list[StageTally]:
    """Return a tally of one stage."""
    stage = StageTally("picking", total=total, ok=done, failed=failed, computed=done + failed, in_flight=4)
    stage.seconds = 2.0 * (done + failed)
    stage.reasons = Counter({"MetadataError": failed} if failed else {})
    stage.stations = {"XX.AAA": (done, 3.0 * done), "XX.BBB": (failed, 0.5 * failed)}
    return [stage]


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until something holds."""
    until = time.monotonic() + 30.0
    while not condition():
        if time.monotonic() > until:
            pytest.fail(f"waited 30 s for {what}")
        time.sleep(0.005)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deliver at once."""
    for name in ("DISK_EVERY_S", "REMOTE_EVERY_S", "SCHEDULER_EVERY_S", "SCREEN_EVERY_S"):
        monkeypatch.setattr(feed_module, name, 0.001)


def test_a_snapshot_has_the_counts_of_the_tally() -> None:
    feed = Feed("study", MemoryStore())  # type: ignore[arg-type]
    feed.enter("computing")
    feed.update(counted(done=30, failed=12))
    found = feed.snapshot()
    (stage,) = found.stages
    assert (found.name, found.phase, found.failed) == ("study", "computing", 12)
    assert (stage.ok, stage.failed, stage.left, stage.in_flight, stage.computed) == (30, 12, 958, 4, 42)
    assert stage.core_seconds == 84.0
    assert [(f.stage, f.reason, f.units) for f in found.failures] == [("picking", "MetadataError", 12)]
    assert [(c.station, c.units, c.mean_s) for c in found.slowest] == [
        ("XX.AAA", 30, 3.0),
        ("XX.BBB", 12, 0.5),
    ]
    assert Snapshot.of_json(json.loads(json.dumps(found.as_json()))) == found


def test_what_is_sent_does_not_grow_with_the_run() -> None:
    (stage,) = counted(done=500_000, failed=100_000, total=2_000_000)
    stage.reasons = Counter({f"reason {n} " + "x" * 5000: n + 1 for n in range(3000)})
    stage.stations = {f"XX.S{n}": (10, 10.0 * n) for n in range(5000)}
    feed = Feed("study", MemoryStore())  # type: ignore[arg-type]
    feed.update([stage])
    found = feed.snapshot()
    assert len(json.dumps(found.as_json())) < 10_000
    assert len(found.slowest) == MOST_STATIONS
    assert found.slowest[0].station == "XX.S4999"
    assert len(found.failures) == MOST_REASONS + 1
    assert found.failures[0].units == 3000
    assert sum(failure.units for failure in found.failures) == sum(stage.reasons.values()), "none is left out"


@given(
    st.dictionaries(st.text(max_size=3), st.dictionaries(st.text(max_size=2), st.integers(1, 9), max_size=40))
)
def test_failures_by_reason_add_up(reasons: dict[str, dict[str, int]]) -> None:
    rows = failures_of(reasons)
    for stage, found in reasons.items():
        assert sum(row.units for row in rows if row.stage == stage) == sum(found.values())


def test_the_rate_is_that_of_the_last_minutes() -> None:
    pace = Pace()
    assert pace.rate_per_s(0.0, 0) is None
    for second in range(1, 3601):
        fast = pace.rate_per_s(float(second), 10 * second)
    assert fast == pytest.approx(10.0)
    for second in range(3601, 4001):
        slow = pace.rate_per_s(float(second), 36_000 + (second - 3600))
    assert slow == pytest.approx(1.0, rel=0.05), "the hour before does not count"
    halted = [pace.rate_per_s(4000.0 + wait_s, 36_400) for wait_s in (100.0, 300.0, 3000.0)]
    assert halted == sorted(halted, reverse=True)  # type: ignore[type-var]
    assert halted[-1] < 0.15, "a run that hangs has no rate"  # type: ignore[operator]


def test_a_plan_that_is_executed_again_starts_a_new_rate() -> None:
    pace = Pace()
    for second in range(100):
        pace.rate_per_s(float(second), 7 * second)
    assert pace.rate_per_s(100.0, 0) is None
    assert pace.rate_per_s(110.0, 20) == pytest.approx(2.0)


def test_units_that_take_long_have_a_rate_and_take_no_room() -> None:
    pace = Pace()
    for hour in range(2000):
        for _ in range(30):
            rate = pace.rate_per_s(3600.0 * hour, hour)
    assert rate == pytest.approx(1 / 3600.0, rel=1e-3)
    assert len(pace._marks) < 50


def test_a_burst_is_written_once_and_its_end_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "DISK_EVERY_S", 3600.0)
    store = MemoryStore()
    with Feed("study", store) as feed:  # type: ignore[arg-type]
        wait_for(lambda: len(store.written) == 1, "the first")
        for done in range(50):
            feed.update(counted(done))
            time.sleep(0.002)
        feed.update(counted(1000))
    assert len(store.written) == 2
    assert store.written[-1]["phase"] == "done"
    assert store.written[-1]["stages"][0]["ok"] == 1000


def test_the_end_of_a_burst_is_told_while_the_driver_waits(impatient: None) -> None:
    store = MemoryStore()
    with Feed("study", store) as feed:  # type: ignore[arg-type]
        for done in range(500):
            feed.update(counted(done))
        wait_for(
            lambda: store.written[-1:] != [] and store.written[-1]["stages"][0]["ok"] == 499, "the last one"
        )
        assert store.written[-1]["phase"] == "scanning"


def test_a_living_driver_gives_a_sign_also_when_nothing_ends(
    impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "HEARTBEAT_S", 0.01)
    store = MemoryStore()
    with Feed("study", store) as feed:  # type: ignore[arg-type]
        feed.update(counted(7))
        wait_for(lambda: len(store.written) > 0, "the first")
        seen = len(store.written)
        wait_for(lambda: len(store.written) > seen + 3, "heartbeats")
    assert store.written[-1]["updated"] > store.written[-1]["moved"]


@pytest.mark.parametrize(
    ("error", "phase"),
    [
        (None, "done"),
        (KeyboardInterrupt(), "stopped"),
        (SystemExit(), "stopped"),
        (RuntimeError("no good"), "failed"),
    ],
)
def test_how_a_run_ended_is_told(error: BaseException | None, phase: str) -> None:
    store = MemoryStore()
    try:
        with Feed("study", store) as feed:  # type: ignore[arg-type]
            feed.update(counted(1000))
            if error is not None:
                raise error
    except (KeyboardInterrupt, SystemExit, RuntimeError):
        pass
    assert store.written[-1]["phase"] == phase
    assert ("no good" in store.written[-1]["error"]) == (phase == "failed")


def test_a_run_that_ends_with_units_left_is_not_done() -> None:
    store = MemoryStore()
    with Feed("study", store) as feed:  # type: ignore[arg-type]
        feed.update(counted(999))
    assert store.written[-1]["phase"] == "stopped"


def test_a_full_disk_does_not_stop_the_run(impatient: None, caplog: pytest.LogCaptureFixture) -> None:
    full = threading.Event()
    full.set()

    def before() -> None:
        if full.is_set():
            raise OSError(28, "No space left on device")

    store = MemoryStore(before)
    with caplog.at_level(logging.WARNING), Feed("study", store) as feed:  # type: ignore[arg-type]
        for done in range(20):
            feed.update(counted(done))
            time.sleep(0.002)
        wait_for(lambda: "No space left" in caplog.text, "a word about it")
        assert store.written == []
        full.clear()
        feed.update(counted(1000))
    assert store.written[-1]["stages"][0]["ok"] == 1000
    assert caplog.text.count("No space left") == 1, "once, not every second"


def test_a_scheduler_that_is_gone_does_not_stop_the_run(impatient: None) -> None:
    def gone(*_: object) -> None:
        raise OSError("the scheduler is gone")

    store = MemoryStore()
    client = SimpleNamespace(log_event=gone, nthreads=gone)
    with Feed("study", store, lambda: client) as feed:  # type: ignore[arg-type]
        feed.update(counted(1000))
    assert store.written[-1]["stages"][0]["ok"] == 1000


def test_a_scheduler_that_takes_the_place_of_a_lost_one_is_told(impatient: None) -> None:
    def gone(*_: object) -> None:
        raise OSError("the scheduler is gone")

    heard: list[dict[str, Any]] = []
    clients = [
        SimpleNamespace(log_event=gone, nthreads=dict),
        SimpleNamespace(log_event=lambda topic, said: heard.append(said), nthreads=dict),
    ]
    present = [clients[0]]
    with Feed("study", MemoryStore(), lambda: present[0]) as feed:  # type: ignore[arg-type, return-value]
        feed.update(counted(3))
        time.sleep(0.01)
        present[0] = clients[1]
        feed.update(counted(1000))
    assert heard[-1]["phase"] == "done"


def test_a_scheduler_that_hangs_holds_up_neither_run_nor_store(
    impatient: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "PATIENCE_S", 0.2)
    never = threading.Event()
    store = MemoryStore()
    client = SimpleNamespace(log_event=lambda *_: never.wait(60), nthreads=dict)
    with caplog.at_level(logging.WARNING), Feed("study", store, lambda: client) as feed:  # type: ignore[arg-type]
        feed.update(counted(1000))
    assert store.written[-1]["phase"] == "done"
    assert "the scheduler does not answer" in caplog.text
    never.set()


def test_a_driver_that_lost_the_run_writes_nothing_more(impatient: None) -> None:
    lost = threading.Event()

    def check() -> None:
        if lost.is_set():
            raise LeaseError("another driver took over")

    def lose_it(feed: Feed) -> None:
        with feed:
            feed.update(counted(3))
            wait_for(lambda: len(store.written) > 0, "the first")
            lost.set()
            feed.update(counted(4))
            check()

    store = MemoryStore()
    with pytest.raises(LeaseError):
        lose_it(Feed("study", store, check=check))  # type: ignore[arg-type]
    assert all(content["phase"] == "scanning" for content in store.written)
    assert {content["stages"][0]["ok"] for content in store.written if content["stages"]} <= {3}


def test_a_tally_may_change_while_it_is_read(impatient: None) -> None:
    store = MemoryStore()
    tally = counted(0, total=10**9)
    with Feed("study", store) as feed:  # type: ignore[arg-type]
        for number in range(30_000):
            tally[0].reasons[f"reason {number % 5000}"] += 1
            tally[0].stations[f"XX.{number % 7000}"] = (1, 1.0)
            feed.update(tally)
        tally[0].ok = 12
    assert store.written[-1]["stages"][0]["ok"] == 12
    assert sum(failure["units"] for failure in store.written[-1]["failures"]) == 30_000


def test_runs_are_told_apart_by_their_store() -> None:
    assert run_id(SimpleNamespace(root="/a")) != run_id(SimpleNamespace(root="/b"))  # type: ignore[arg-type]
    assert run_id(SimpleNamespace(root="/a")) == run_id(SimpleNamespace(root="/a"))  # type: ignore[arg-type]


def test_a_file_that_is_no_progress_is_refused() -> None:
    with pytest.raises(SeisflowError, match=r"progress.json is not the progress of a run"):
        Snapshot.of_json({"name": "study"})


def test_the_scheduler_has_the_feed_as_events(impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import Client, LocalCluster

    monkeypatch.setattr(feed_module, "HEARTBEAT_S", 0.01)
    heard: list[tuple[float, dict[str, Any]]] = []
    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=3,
            processes=False,
            protocol="tcp://",
            host="127.0.0.1",
            dashboard_address=None,
        ) as cluster,
        Client(cluster) as client,
    ):
        client.subscribe_topic(TOPIC, heard.append)
        with Feed("study", MemoryStore(), lambda: client) as feed:  # type: ignore[arg-type]
            feed.update(counted(10, failed=2))
            wait_for(lambda: len(heard) > 1, "an event")
        wait_for(lambda: heard[-1][1]["phase"] == "stopped", "the last event")
        newest = json.loads(client.get_events(TOPIC)[-1][1]["snapshot"])
    assert newest["stages"][0]["failed"] == 2
    assert newest["workers"] == 1
    assert newest["threads"] == 3
    assert Snapshot.of_json(newest).run == heard[-1][1]["run"]


def test_a_run_gives_its_feed_the_client_that_the_executor_has_now(
    small_archive: SmallArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = SerialExecutor()
    clients: list[Any] = []

    def spy(name: str, store: Any, client: Any, *rest: Any) -> Feed:
        clients.append(client)
        return Feed(name, store, client, *rest)

    monkeypatch.setattr("seisflow.run.workflow.executor_for", lambda workflow, client: executor)
    monkeypatch.setattr("seisflow.run.workflow.Feed", spy)
    run_workflow(small_archive.load(tmp_path / "run"))
    executor.client = object()  # type: ignore[assignment]
    assert clients[0]() is executor.client
