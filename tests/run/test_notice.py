"""Notice: a worker or a driver that is told to end finishes its unit, hands the rest back and leaves."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from seisflow.deploy.dask import Dask
from seisflow.run import notice, run_workflow
from seisflow.run.store import Store
from tests.run import faulty
from tests.run.clusters import cluster, start_driver, wait_for
from tests.run.conftest import SmallArchive
from tests.run.counting import ledger_rows
from tests.run.test_resume import counts, tables


@pytest.fixture(autouse=True)
def calm() -> Iterator[None]:
    """Take back what notice a test gave."""
    yield
    notice.withdraw()
    notice.withdraw("mine")


def test_notice_is_for_one_run_or_for_all() -> None:
    heard: list[str] = []
    assert not notice.given()
    with notice.listening("mine", lambda: heard.append("mine")):
        assert not notice.given()
        notice.give("other")
        assert not notice.given(), "another run stops"
        notice.give("mine")
        assert notice.given()
    assert heard == ["mine"] * 3, "whoever listens hears that the task gets on"
    assert not notice.given(), "no run is named outside of a task"
    notice.give()
    with notice.listening("third", lambda: None):
        assert notice.given(), "the process itself ends"


def test_sigterm_gives_notice_and_ends_nothing() -> None:
    code = (
        "import os, signal\nfrom seisflow.run import notice\nsaid = []\n"
        "notice.install(lambda: said.append(1))\nos.kill(os.getpid(), signal.SIGTERM)\n"
        "assert notice.given() and said == [1]"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_worker_that_is_told_to_leave_ends_its_unit_and_hands_the_rest_back(
    small_archive: SmallArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Spot: SIGTERM goes to `dask worker`, which has a nanny."""
    gate = {"SEISFLOW_TEST_GATE": str(tmp_path), "SEISFLOW_TEST_WORKER": "leaves"}
    monkeypatch.setattr("seisflow.run.dask_executor.run_task", faulty.told)
    with cluster(tmp_path / "cluster", **gate) as made:
        made.scheduler()
        leaves = made.worker("leaves")
        deployment = Dask(address=made.address, units_per_task=4)
        workflow = small_archive.load(
            tmp_path / "run", deployment={"method": "dask", **deployment.model_dump()}
        )

        def tell_to_leave() -> None:
            wait_for((tmp_path / "begun").exists, "the first unit")
            made.worker("stays")
            leaves.send_signal(signal.SIGTERM)

        with deployment.connect() as client:
            teller = threading.Thread(target=tell_to_leave, daemon=True)
            teller.start()
            report = run_workflow(workflow, client)
            teller.join()
            assert leaves.wait(60) == 0, made.log("leaves")
            assert len(client.scheduler_info()["workers"]) == 1, "the nanny started no new worker"
    assert counts(report) == {"picking": (8, 0), "association": (2, 0), "location": (2, 0)}
    ledger = ledger_rows(report.store)
    assert ledger["attempts"].tolist() == [1] * 12, "nothing was tried twice"
    task = (tmp_path / "begun").read_text().split()
    picked = ledger[ledger["stage"] == "picking"].set_index("unit")
    assert len(task) == 2
    assert picked.loc[task[0], "part"] != picked.loc[task[1], "part"], "one is finished, one handed back"
    assert tables(report) == small_archive.undisturbed()


def test_a_driver_that_is_told_to_stop_keeps_the_units_at_work(
    small_archive: SmallArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task of two station-days: the first is finished and recorded, the other handed back."""
    monkeypatch.setenv("SEISFLOW_TEST_GATE", str(tmp_path))
    monkeypatch.setenv("SEISFLOW_TEST_WORKER", "cpu-0")
    deployment = {"method": "local", "workers": 1, "dashboard_port": 0, "units_per_task": 4}
    path = small_archive.workflow(tmp_path / "run", deployment=deployment)
    driver = start_driver(path, "told")
    wait_for((tmp_path / "begun").exists, "the first unit")
    driver.terminate()
    _, said = driver.communicate(timeout=120)
    assert driver.returncode == 130, said
    assert "the same command goes on where it stopped" in said
    ledger = ledger_rows(Store(str(tmp_path / "run")))
    task = (tmp_path / "begun").read_text().split()
    assert len(task) == 2
    assert task[0] in set(ledger["unit"]), "the unit at work was finished"
    assert task[1] not in set(ledger["unit"]), "no other was begun"
    again = run_workflow(small_archive.load(tmp_path / "run"))
    assert sum(counts(again)["picking"]) == 8
    assert counts(again)["picking"][1] == len(ledger)
    assert tables(again) == small_archive.undisturbed()
