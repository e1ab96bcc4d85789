"""An archive that is away: a run waits for it, or ends with a word; no unit is marked as failed for it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from seisflow.errors import UnreachableError
from seisflow.run import run_workflow
from seisflow.run.plan import make_plan
from seisflow.run.status import read_ledger
from seisflow.run.store import Store
from seisflow.run.task import run_task
from seisflow.run.units import Job
from tests.run.conftest import SmallArchive
from tests.run.results import COUNTS, assert_same, counts, results
from tests.services.storms import Fault, Storm

SINGLY = {"method": "serial", "units_per_task": 1}


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for the archive more often than a run does."""
    monkeypatch.setattr("seisflow.run.outage.ASK_EVERY_S", 0.05)


class Breaking:
    """Takes the archive away once some units of picking are done; told of the progress of a run."""

    def __init__(self, storm: Storm, after: int, back_after_s: float | None = None) -> None:
        self.storm, self.after, self.back_after_s = storm, after, back_after_s
        self.broken = False

    def __call__(self, tally: Any) -> None:
        """Break it, once; let it come back later."""
        if not self.broken and tally[0].computed >= self.after:
            self.broken = True
            self.storm.faults = [Fault()]
            if self.back_after_s is not None:
                threading.Timer(self.back_after_s, self.storm.calm).start()


@pytest.mark.parametrize("after", [0, 3], ids=["from the start", "in the middle"])
def test_a_run_waits_until_the_archive_answers_again(
    storm: Storm,
    small_archive: SmallArchive,
    in_bucket: dict[str, Any],
    quiet: dict[str, pd.DataFrame],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    after: int,
) -> None:
    in_bucket["archive"]["patience_s"] = 1.5
    breaking = Breaking(storm, after, back_after_s=2.0)  # longer than a unit waits, less than twice that
    workflow = small_archive.load(tmp_path / "bucket", deployment=SINGLY, **in_bucket)
    report = run_workflow(workflow, on_progress=breaking)
    assert breaking.broken
    assert "the run waits until the archive answers" in caplog.text
    assert counts(report) == COUNTS
    assert_same(results(report), quiet)
    ledger = read_ledger(Store(str(tmp_path / "bucket")))
    assert set(ledger["attempts"]) == {1}, "an attempt in an outage is none"


def test_an_archive_that_stays_away_ends_the_run_and_the_next_goes_on(
    storm: Storm,
    small_archive: SmallArchive,
    in_bucket: dict[str, Any],
    quiet: dict[str, pd.DataFrame],
    tmp_path: Path,
) -> None:
    in_bucket["archive"]["patience_s"] = 0.5
    workflow = small_archive.load(tmp_path / "bucket", deployment=SINGLY, **in_bucket)
    with pytest.raises(UnreachableError, match=r"has not answered.*503.*the same command: it goes on"):
        run_workflow(workflow, on_progress=Breaking(storm, 3))
    ledger = read_ledger(Store(str(tmp_path / "bucket")))
    assert set(ledger["status"]) == {"ok"}, "no unit takes the blame"
    done = (ledger["stage"] == "picking").sum()
    assert 3 <= done < 8
    storm.calm()
    again = run_workflow(workflow)
    assert counts(again)["picking"] == (8 - done, 0)
    assert_same(results(again), quiet)


def test_a_task_hands_back_what_it_has_not_begun_when_the_archive_is_away(
    storm: Storm, small_archive: SmallArchive, in_bucket: dict[str, Any], tmp_path: Path
) -> None:
    """A worker waits for one unit, whatever the number of units it was given."""
    in_bucket["archive"]["patience_s"] = 0.3
    plan = make_plan(small_archive.load(tmp_path / "bucket", **in_bucket))
    plan.save()
    stage = plan.stages[0]
    jobs = [Job(unit) for unit in stage.units(0)]
    storm.faults = [Fault()]
    storm.forget()
    result = run_task(stage.stage, plan.store, jobs)
    assert [job for job, _ in result.unreachable] == jobs[:1]
    assert result.again == jobs[1:], "as they came: no attempt was made"
    assert result.entries == []
    asked = {path.split("/")[-1].split(".")[1] for path in storm.requests if ".D.2020" in path}
    assert asked <= {"AAA", "BBB"}, "the unit, and the one after it that is fetched meanwhile"
