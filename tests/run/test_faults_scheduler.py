"""The scheduler dies, or every worker does: a run goes on where it can, ends with a word where it can not."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from seisflow.deploy import Deployment
from seisflow.deploy.dask import Dask
from seisflow.deploy.local import Local
from seisflow.errors import SchedulerError
from seisflow.run import RunReport, run_workflow
from tests.run import faulty
from tests.run.clusters import cluster, wait_for
from tests.run.conftest import SmallArchive
from tests.run.counting import ledger_rows, n_records
from tests.run.test_resume import counts, tables


@pytest.fixture(autouse=True)
def slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the tests time to hit the middle of a run."""
    monkeypatch.setattr("seisflow.run.dask_executor.run_task", faulty.slow)


def run_and_break(
    archive: SmallArchive, output: Path, deployment: Deployment, break_it: Callable[[object], None]
) -> RunReport:
    """Run a workflow, one unit a task, and break something once three tasks are recorded."""
    workflow = archive.load(output)
    done: list[object] = []
    with deployment.connect() as client:

        def tell(progress: object) -> None:
            if not done and n_records(output) >= 3:
                done.append(True)
                break_it(client)

        wanted = workflow.model_copy(update={"deployment": deployment})
        report = run_workflow(wanted, client, tell)
    assert done
    return report


def check_that_nothing_is_lost_or_twice(report: RunReport, archive: SmallArchive) -> None:
    assert report.exit_status == 0
    assert {name: sum(pair) for name, pair in counts(report).items()} == {
        "picking": 8,
        "association": 2,
        "location": 2,
    }
    assert len(ledger_rows(report.store)) == 12
    assert tables(report) == archive.undisturbed()


def test_a_run_ends_with_a_word_when_the_scheduler_dies(small_archive: SmallArchive, tmp_path: Path) -> None:
    with cluster(tmp_path / "cluster") as made:
        made.scheduler()
        made.worker("a")
        with pytest.raises(SchedulerError, match=r"(is gone|broke).*the same command: it goes on"):
            run_and_break(
                small_archive,
                tmp_path / "run",
                Dask(address=made.address, connect_s=3.0, units_per_task=1),
                lambda client: made.processes["scheduler"].kill(),
            )
        wait_for(lambda: made.family("a") == [], "worker and nanny to end by themselves", 60.0)
    again = run_workflow(small_archive.load(tmp_path / "run"))
    assert 3 <= counts(again)["picking"][1] < 8, "it was stopped in its middle"
    check_that_nothing_is_lost_or_twice(again, small_archive)


def test_a_run_goes_on_with_a_new_scheduler_at_the_same_place(
    small_archive: SmallArchive, tmp_path: Path
) -> None:
    with cluster(tmp_path / "cluster") as made:
        made.scheduler()
        made.worker("a")

        def replace(client: object) -> None:
            made.processes["scheduler"].kill()
            made.processes["scheduler"].wait()
            made.scheduler(made.port)
            made.worker("b")

        deployment = Dask(address=made.address, units_per_task=1)
        report = run_and_break(small_archive, tmp_path / "run", deployment, replace)
    check_that_nothing_is_lost_or_twice(report, small_archive)


def test_a_local_run_starts_a_new_cluster_when_its_scheduler_ends(
    small_archive: SmallArchive, tmp_path: Path
) -> None:
    before = {child.pid for child in psutil.Process().children(recursive=True)}

    def end(client) -> None:  # type: ignore[no-untyped-def]
        client.cluster.sync(client.cluster.scheduler.close)

    deployment = Local(workers=2, dashboard_port=0, units_per_task=1)
    report = run_and_break(small_archive, tmp_path / "run", deployment, end)
    check_that_nothing_is_lost_or_twice(report, small_archive)
    left = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    assert [p for p in left if p.status() != psutil.STATUS_ZOMBIE and "spawn_main" in p.cmdline()] == []


def test_a_run_ends_with_a_word_when_no_worker_is_left(small_archive: SmallArchive, tmp_path: Path) -> None:
    with cluster(tmp_path / "cluster") as made:
        made.scheduler()
        made.worker("a")
        deployment = Dask(address=made.address, connect_s=2.0, patience_s=1.0, units_per_task=1)
        with pytest.raises(SchedulerError, match=r"no worker.*the same command"):
            run_and_break(
                small_archive,
                tmp_path / "run",
                deployment,
                lambda client: os.killpg(made.processes["a"].pid, signal.SIGKILL),
            )
    again = run_workflow(small_archive.load(tmp_path / "run"))
    assert counts(again)["picking"][1] >= 3
    check_that_nothing_is_lost_or_twice(again, small_archive)
