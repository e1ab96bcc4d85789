"""Units that harm their worker: each is isolated and recorded with its reason, all others are done."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import dask
import pytest

from seisflow.deploy.local import Local
from seisflow.run import RunReport, run_workflow
from tests.run import faulty
from tests.run.conftest import SmallArchive
from tests.run.test_resume import counts, tables


def run_with(
    archive: SmallArchive,
    output: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[..., object],
    **limits: float,
) -> RunReport:
    """Run with a fault on two workers, four station-days a task."""
    deployment = Local(workers=2, dashboard_port=0, units_per_task=4, **limits)
    with monkeypatch.context() as patch:
        patch.setattr("seisflow.run.dask_executor.run_task", fault)
        workflow = archive.load(output, deployment={"method": "local", **deployment.model_dump()})
        with deployment.connect() as client:
            return run_workflow(workflow, client)


def check_that_only_the_victim_failed(report: RunReport, archive: SmallArchive, reason: str) -> None:
    """Check the counts, then that the same command without the fault gives the undisturbed tables."""
    assert report.failures["unit"].tolist() == [faulty.VICTIM]
    assert reason in report.failures["reason"][0]
    assert counts(report) == {"picking": (8, 0), "association": (2, 0), "location": (2, 0)}
    output = Path(report.tables).parent
    repaired = run_workflow(archive.load(output))
    assert repaired.exit_status == 0
    assert counts(repaired)["picking"] == (1, 7), "nothing but the victim is computed again"
    assert tables(repaired) == archive.undisturbed()


def test_a_unit_that_takes_too_much_memory_is_recorded(
    small_archive: SmallArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = run_with(small_archive, tmp_path / "run", monkeypatch, faulty.greedy, memory_gb=0.8)
    check_that_only_the_victim_failed(report, small_archive, "out of memory: XX.BBB.2020-01-02 took")


def test_a_unit_that_hangs_is_recorded(
    small_archive: SmallArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver's clock leaps three hours while a unit hangs: nobody waits in this test."""
    monkeypatch.setenv("SEISFLOW_TEST_GATE", str(tmp_path))

    def clock() -> float:
        return time.monotonic() + 10_000.0 * len(list(tmp_path.glob("hangs-*")))

    monkeypatch.setattr("seisflow.run.dask_executor.time", SimpleNamespace(monotonic=clock))
    report = run_with(small_archive, tmp_path / "run", monkeypatch, faulty.hanging)
    check_that_only_the_victim_failed(
        report, small_archive, "timed out: XX.BBB.2020-01-02 did not end within"
    )


def test_a_unit_that_kills_every_worker_is_recorded(
    small_archive: SmallArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        report = run_with(small_archive, tmp_path / "run", monkeypatch, faulty.deadly)
    check_that_only_the_victim_failed(report, small_archive, "KilledWorker")
