"""Hosts that are not as they should be: a disk that is full, clocks that are hours apart."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from seisflow.deploy.dask import Dask
from seisflow.run import run_workflow
from seisflow.run.store import Store
from seisflow.workflow import load_workflow
from tests.run.clusters import cluster, start_driver, wait_for
from tests.run.conftest import SmallArchive
from tests.run.counting import check_that_all_is_whole, ledger_rows, n_records
from tests.run.test_resume import counts, tables


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 4 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no small disk here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Fill a disk to its last byte and return what fills it."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return ballast


def test_a_full_disk_ends_a_run_with_a_word_and_it_goes_on_when_there_is_room(
    small_archive: SmallArchive, tmp_path: Path, small_disk: Path
) -> None:
    output = small_disk / "run"
    deployment = {"method": "local", "workers": 2, "dashboard_port": 0, "units_per_task": 1}
    path = small_archive.workflow(output, deployment=deployment)
    driver = start_driver(path, "slow")
    wait_for(lambda: n_records(output) >= 3, "the first records")
    ballast = fill(small_disk)
    _, said = driver.communicate(timeout=120)
    assert driver.returncode == 2, said
    assert "No space left on device; make room and start the same command again" in said
    ballast.unlink()
    check_that_all_is_whole(Store(str(output)))
    again = run_workflow(load_workflow(path))
    assert again.exit_status == 0
    picking = counts(again)["picking"]
    assert sum(picking) == 8
    assert picking[1] >= 3, "what was done before is kept"
    assert tables(again) == small_archive.undisturbed()


def test_clocks_that_are_hours_apart_change_nothing(
    make_archive: Callable[[int], SmallArchive], tmp_path: Path
) -> None:
    """Rows by the worker that is seven hours behind are newer than those by the one that is ahead."""
    archive = make_archive(2)
    workflow = archive.load(tmp_path / "run")
    with cluster(tmp_path / "cluster") as made:
        made.scheduler()
        for name, hours in (("ahead", "7"), ("behind", "-7")):
            made.environment["SEISFLOW_TEST_SKEW_H"] = hours
            made.worker(name, "--preload", "tests.run.skewed")
        with Dask(address=made.address, units_per_task=1).connect() as client:
            report = run_workflow(workflow, client)
            finished = pd.to_datetime(ledger_rows(report.store)["finished"], utc=True)
            made.processes["ahead"].terminate()
            made.processes["ahead"].wait()
            for path in (archive.folder / "sds").rglob("*.D.2020.*"):
                path.write_bytes(path.read_bytes()[:-512])  # the last record: each station-day is another
            changed = run_workflow(workflow, client)
            again = run_workflow(workflow, client)
    assert finished.max() - finished.min() > pd.Timedelta(hours=13), "both clocks were at work"
    assert counts(report) == {"picking": (8, 0), "association": (2, 0), "location": (2, 0)}
    assert counts(changed)["picking"] == (8, 0)
    assert counts(again) == {"picking": (0, 8), "association": (0, 2), "location": (0, 2)}
    assert tables(again) == archive.undisturbed()
