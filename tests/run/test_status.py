"""Status and watching: true counts from the driver's word or the ledger, also after the driver died."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from seisflow.cli import app
from seisflow.errors import SeisflowError, StoreError
from seisflow.run import run_workflow
from seisflow.run import status as status_module
from seisflow.run import watch as watch_module
from seisflow.run.feed import PROGRESS, Feed
from seisflow.run.lease import Lease
from seisflow.run.ledger import Ledger
from seisflow.run.progress import ProgressDisplay, printable, rate, span
from seisflow.run.snapshot import Failure, Snapshot, StageProgress, StationCost
from seisflow.run.status import Status, read_ledger, read_status
from seisflow.run.store import Store
from seisflow.run.tally import StageTally
from seisflow.run.watch import follow, remark
from tests.run.conftest import SmallArchive, make_small_archive


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> SmallArchive:
    """Return a small archive of two days, with a station that has no metadata on the second."""
    import obspy

    archive = make_small_archive(tmp_path_factory.mktemp("status"), days=2)
    source = next((archive.folder / "sds").rglob("*BBB..HHZ*.002"))
    trace = obspy.read(str(source))[0]
    trace.stats.station = "NEW"
    target = Path(str(source).replace("BBB", "NEW"))
    target.parent.mkdir(parents=True)
    trace.write(str(target), format="MSEED")
    return archive


@pytest.fixture(scope="module")
def finished(archive: SmallArchive) -> Store:
    """Return the store of a run that is through, with one failure."""
    return run_workflow(archive.load(archive.folder / "finished")).store


@pytest.fixture
def orphan(finished: Store) -> Any:
    """Return the store as a driver leaves it that was killed before it could say that it is done."""
    said = finished.read_json(PROGRESS)
    finished.write_json(PROGRESS, said | {"phase": "computing", "stages": [], "failures": []})
    yield finished
    finished.write_json(PROGRESS, said)


def counts(status: Status) -> dict[str, tuple[int, int, int, int]]:
    """Return total, done, failed and left of each stage."""
    return {s.name: (s.total, s.ok + s.empty, s.failed, s.left) for s in status.progress.stages}


TRUE_COUNTS = {"picking": (9, 8, 1, 0), "association": (2, 2, 0, 0), "location": (2, 2, 0, 0)}


def test_a_finished_run_is_read_from_the_word_of_its_driver(
    finished: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object) -> None:
        pytest.fail("the ledger was read, which takes long at a million units")

    monkeypatch.setattr(Ledger, "table", read)
    monkeypatch.setattr(Ledger, "entries", read)
    found = read_status(finished)
    assert counts(found) == TRUE_COUNTS
    assert (found.progress.phase, found.driver, found.at_work, found.all_done) == ("done", {}, False, False)
    assert [(f.stage, f.reason, f.units) for f in found.progress.failures] == [
        ("picking", "MetadataError", 1)
    ]
    assert remark(found) == ""


def test_a_run_whose_driver_died_is_read_from_the_ledger(orphan: Store) -> None:
    found = read_status(orphan)
    assert counts(found) == TRUE_COUNTS
    assert found.progress.phase == "stopped"
    assert "without a word" in found.progress.error
    assert {cost.station for cost in found.progress.slowest} == {
        f"XX.{c}" for c in ("AAA", "BBB", "CCC", "DDD", "NEW")
    }
    assert [(f.stage, f.reason, f.units) for f in found.progress.failures] == [
        ("picking", "MetadataError", 1)
    ]
    ledger = read_ledger(orphan)
    last = ledger["finished"].max()
    assert found.progress.moved[:19] == last.isoformat()[:19]
    assert f"nothing has moved since {last:%Y-%m-%d %H:%M:%S} UTC" in remark(found)
    assert sum(cost.units for cost in found.progress.slowest) == 9
    spent = ledger.loc[ledger["stage"] == "picking", "seconds"].sum()
    assert found.progress.stages[0].core_seconds == pytest.approx(spent, abs=0.01)


def test_a_store_whose_driver_never_spoke_is_read_from_the_ledger(orphan: Store) -> None:
    said = orphan.read_bytes(PROGRESS)
    for content in (None, b"{", b'{"name": "half"}'):
        orphan.delete(PROGRESS) if content is None else orphan.write_bytes(PROGRESS, content)
        assert counts(read_status(orphan)) == TRUE_COUNTS
    orphan.write_bytes(PROGRESS, said)


def test_units_that_the_last_plan_does_not_have_do_not_count(archive: SmallArchive, tmp_path: Path) -> None:
    run_workflow(archive.load(tmp_path / "run"))
    first_day = {"start": "2020-01-01", "end": "2020-01-02"}
    store = run_workflow(archive.load(tmp_path / "run", period=first_day)).store
    store.delete(PROGRESS)
    assert counts(read_status(store)) == {
        "picking": (4, 4, 0, 0),
        "association": (1, 1, 0, 0),
        "location": (1, 1, 0, 0),
    }
    assert set(read_ledger(store)["unit"].str[-10:]) == {"2020-01-01"}


def test_a_living_driver_is_taken_at_its_word(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with Lease(store), Feed("study", store) as feed:
        feed.enter("computing")
        feed.update([StageTally("picking", total=10, ok=4, failed=1)])
        deadline = time.monotonic() + 20.0
        while not counts(read_status_when_there(store)) and time.monotonic() < deadline:
            time.sleep(0.02)
        found = read_status(store)
        assert counts(found) == {"picking": (10, 4, 1, 5)}
        assert found.driver["pid"] == os.getpid()
        assert found.at_work and remark(found) == ""
    assert read_status(store).progress.phase == "stopped"


def test_a_driver_that_has_not_spoken_yet_is_no_error(tmp_path: Path, finished: Store) -> None:
    store = Store(str(tmp_path))
    with pytest.raises(SeisflowError, match="there is no run"):
        read_status(store)
    with Lease(store):
        found = read_status(store)
        assert found.at_work
        assert (found.progress.phase, counts(found)) == ("scanning", {})
    said = finished.read_bytes(PROGRESS)
    finished.delete(PROGRESS)
    with Lease(finished):
        found = read_status(finished)
        assert (found.progress.phase, found.progress.error) == ("computing", "")
        assert counts(found) == TRUE_COUNTS
    finished.write_bytes(PROGRESS, said)


def read_status_when_there(store: Store) -> Status:
    """Return the status; before the driver's first word an empty one."""
    try:
        return read_status(store)
    except SeisflowError:
        return Status(snapshot(0), {}, 0)


def snapshot(done: int, phase: Any = "computing", **more: Any) -> Snapshot:
    """Return a snapshot of one stage of ten units, or of none at all."""
    stage = StageProgress("picking", 10, done, 0, 0, left=10 - done, rate_per_s=0.5, eta_s=2.0 * (10 - done))
    now = "2026-01-02T03:04:05.000Z"
    return Snapshot("0", "study", phase, now, now, now, stages=(stage,) if done else (), **more)


def follow_states(
    monkeypatch: pytest.MonkeyPatch, states: list[Status | Exception]
) -> list[tuple[Status, str]]:
    """Follow a run through some states and return what was shown."""
    left = list(states)

    def read(_: Store) -> Status:
        state = left.pop(0)
        if isinstance(state, Exception):
            raise state
        return state

    monkeypatch.setattr(watch_module, "read_status", read)
    shown: list[tuple[Status, str]] = []
    last = follow(Store("/nowhere"), lambda status, note: shown.append((status, note)), lambda seconds: None)
    assert left == []
    assert last == shown[-1][0]
    return shown


def test_watching_goes_on_until_no_driver_is_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = {"host": "here", "pid": 1}
    states = [Status(snapshot(n), driver, 0) for n in (1, 2, 3)]
    end = Status(snapshot(10, "done"), {}, 0)
    assert [status for status, _ in follow_states(monkeypatch, [*states, end])] == [*states, end]


def test_watching_says_that_the_driver_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    states = [Status(snapshot(1), {"pid": 1}, 0), Status(snapshot(1, "stopped"), {}, 0)]
    notes = [note for _, note in follow_states(monkeypatch, states)]
    assert notes[0] == ""
    assert notes[1].startswith("no driver at work; nothing has moved since 2026-01-02 03:04:05 UTC (")


def test_watching_bears_with_a_store_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    at_work = Status(snapshot(1), {"pid": 1}, 0)
    end = Status(snapshot(10, "done"), {}, 0)
    shown = follow_states(monkeypatch, [at_work, StoreError("503"), StoreError("503"), end])
    assert "the store does not answer (503)" in shown[1][1]
    assert shown[-1] == (end, "")
    monkeypatch.setattr(watch_module, "PATIENCE_S", -1.0)
    with pytest.raises(StoreError):
        follow_states(monkeypatch, [at_work, StoreError("gone for good")])


def invoke(*arguments: str | Path) -> Any:
    """Run a command in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_commands_say_how_a_run_ended(archive: SmallArchive, finished: Store) -> None:
    path = archive.workflow(Path(finished.root))
    plain = invoke("status", path)
    assert "small: done, no driver at work" in plain.stdout
    assert "picking      8/9 done, 1 failed, 0 left" in plain.stdout
    watched = invoke("status", path, "--watch")
    assert watched.exit_code == 1, "one unit failed"
    assert re.fullmatch(r"\S+Z done \| picking 9/9 \(1 failed\) · association 2/2 .*\n", watched.stdout)
    as_json = json.loads(invoke("status", path, "--watch", "--json").stdout)
    assert as_json["stages"][0]["failed"] == 1
    assert as_json["driver"] == {}


def test_a_killed_driver_is_watched_to_its_end(archive: SmallArchive, tmp_path: Path) -> None:
    path = archive.workflow(tmp_path / "killed")
    driver = subprocess.Popen(
        [sys.executable, "-m", "seisflow.cli", "run", str(path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    store = Store(str(tmp_path / "killed"))
    deadline = time.monotonic() + 120.0
    while not any(s.ok for s in read_status_when_there(store).progress.stages):
        assert time.monotonic() < deadline and driver.poll() is None, "the first unit"
        time.sleep(0.05)
    watcher = subprocess.Popen(
        [sys.executable, "-m", "seisflow.cli", "status", str(path), "--watch", "--json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert watcher.stdout is not None
    first = json.loads(watcher.stdout.readline())
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    lines = [json.loads(line) for line in watcher.stdout]
    assert watcher.wait(60) == 1
    assert first["driver"]["pid"] == driver.pid
    assert lines[-1]["driver"] == {}
    assert "without a word" in lines[-1]["error"]
    done = sum(stage["ok"] + stage["empty"] + stage["failed"] for stage in lines[-1]["stages"])
    assert done == len(read_ledger(store)), "what the ledger has"
    said = invoke("status", path).stdout
    assert "no driver at work; nothing has moved since" in said


def test_failures_are_one_line_each_whatever_the_reason_holds(
    archive: SmallArchive, finished: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Ledger.table

    def evil(self: Ledger, month: str) -> Any:
        rows = table(self, month)
        rows.loc[rows["status"] == "failed", "reason"] = "line\none\x1b[2Jtwo\tthree"
        return rows

    monkeypatch.setattr(Ledger, "table", evil)
    listed = invoke("failures", archive.workflow(Path(finished.root)))
    assert listed.stdout == "picking\tXX.NEW.2020-01-02\tfailed\tline one [2Jtwo three\n"
    assert "1 failed" in listed.stderr


def test_a_terminal_shows_counts_failures_and_what_is_left() -> None:
    evil = Failure("picking", "[red]not markup[/]\x1b[2J", 3)
    shown = snapshot(4, failures=(evil,), slowest=(StationCost("XX.AAA", 4, 12.5),), workers=3)
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=110, color_system=None)
    with ProgressDisplay(console) as display:
        display.show(shown)
        display.show(snapshot(10, "done"), "a note")
    text = screen.getvalue()
    assert "4/10" in text
    assert "30.0/min" in text
    assert "12 s left" in text
    assert "3 picking: [red]not markup[/] [2J" in text
    assert "XX.AAA 12.5 s" in text
    assert "3 workers" in text
    assert "10/10" in text
    assert "a note" in text


def test_a_run_in_which_nothing_ends_is_pointed_out() -> None:
    screen = io.StringIO()
    stalled = replace(snapshot(4), moved="2026-01-02T02:00:00Z")
    with ProgressDisplay(Console(file=screen, force_terminal=True, width=110, color_system=None)) as display:
        display.show(snapshot(4))
        assert "no unit has ended" not in screen.getvalue()
        display.show(stalled)
    assert "no unit has ended for 64 min" in screen.getvalue()


def test_elsewhere_a_line_a_minute_and_the_last_one_always(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [0.0]
    monkeypatch.setattr("seisflow.run.progress.time.monotonic", lambda: now_s[0])
    log = io.StringIO()
    with ProgressDisplay(Console(file=log, width=40)) as display:
        for second in range(200):
            now_s[0] = float(second)
            display.show(snapshot(1 + second // 30))
        display.show(snapshot(10, "done"))
    lines = log.getvalue().splitlines()
    assert [re.search(r"picking (\d+)/10", line)[1] for line in lines] == ["3", "5", "7", "10"]  # type: ignore[index]
    assert lines[0].startswith("2026-01-02T03:04:05Z computing | picking 3/10 30.0/min, 14 s left")


def test_a_watcher_prints_a_line_a_change() -> None:
    log = io.StringIO()
    with ProgressDisplay(Console(file=log, width=40), line_every_s=0.0) as display:
        for done in (1, 1, 1, 2, 2):
            display.show(snapshot(done))
        display.show(snapshot(2), "the store does not answer")
        display.show(snapshot(2), "the store does not answer")
    assert len(log.getvalue().splitlines()) == 3


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (89, "89 s"), (600, "10 min"), (7200, "2 h 0 min"), (300_000, "3 d 11 h")],
)
def test_spans_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_rates_have_a_handy_unit() -> None:
    assert [rate(value) for value in (12.34, 0.5, 0.001)] == ["12.3/s", "30.0/min", "3.6/h"]
    assert printable("a\x00b\x7fc\u2028d é") == "a b c d é"


def test_status_knows_a_run_in_a_bucket(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seisflow.run.feed.REMOTE_EVERY_S", 0.01)
    store = Store(f"{s3.bucket()}/run", s3.storage_options)
    with Lease(store), Feed("far", store) as feed:
        feed.update([StageTally("picking", total=10, ok=4)])
        steps: list[Status] = []
        until_s = time.monotonic() + 60.0

        def pause(_: float) -> None:
            assert time.monotonic() < until_s, "both counts"
            time.sleep(0.1)
            if counts(steps[-1]) == {"picking": (10, 4, 0, 6)}:
                feed.update([StageTally("picking", total=10, ok=9)])
            if counts(steps[-1]) == {"picking": (10, 9, 0, 1)}:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            follow(store, lambda status, note: steps.append(status), pause)
    assert read_status(store).progress.phase == "stopped"
    assert status_module.read_progress(store) is not None
