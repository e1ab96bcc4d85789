"""The network falls apart: a worker, or the driver, lives in a network namespace whose link goes down."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from seisflow.deploy.dask import Dask
from seisflow.run import run_workflow
from tests.run import faulty
from tests.run.clusters import Cluster, cluster, start_driver, wait_for
from tests.run.conftest import SmallArchive
from tests.run.counting import ledger_rows, n_records, stray_parts
from tests.run.test_resume import counts, tables

NAME = f"sf{os.getpid() % 100000}"
HERE, THERE = (f"198.18.{os.getpid() % 256}.{os.getpid() // 256 % 64 * 4 + end}" for end in (1, 2))
"""Both ends of the cable, in a range that is kept for tests of networks (RFC 2544); several test runs may
share a machine."""
QUICKLY = {
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "12s",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "8s",
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "8s",
}
"""Dask notices a silent peer after 30 s, and gives a worker up after 5 min: too long for a test."""


def ip(*arguments: str) -> None:
    """Run the tool that makes networks."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Island:
    """A network namespace with a cable to this host."""

    inside = ("ip", "netns", "exec", NAME)

    def cut(self) -> None:
        """Take the link down at its far end: packets vanish, no connection is closed."""
        ip("netns", "exec", NAME, "ip", "link", "set", f"{NAME}b", "down")

    def mend(self) -> None:
        """Bring the link up again."""
        ip("netns", "exec", NAME, "ip", "link", "set", f"{NAME}b", "up")


@pytest.fixture
def island() -> Iterator[Island]:
    """Make a namespace with a link, and remove both."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and the tool ip (Debian: iproute2)")
    try:
        ip("netns", "add", NAME)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr.decode().strip()}")
    try:
        ip("link", "add", f"{NAME}a", "type", "veth", "peer", "name", f"{NAME}b", "netns", NAME)
        ip("addr", "add", f"{HERE}/30", "dev", f"{NAME}a")
        ip("link", "set", f"{NAME}a", "up")
        for device, address in (("lo", None), (f"{NAME}b", f"{THERE}/30")):
            if address:
                ip("netns", "exec", NAME, "ip", "addr", "add", address, "dev", device)
            ip("netns", "exec", NAME, "ip", "link", "set", device, "up")
        yield Island()
    finally:
        subprocess.run(["ip", "link", "del", f"{NAME}a"], check=False)  # with the namespace it would go later
        subprocess.run(["ip", "netns", "del", NAME], check=False)


@pytest.fixture
def apart(island: Island, tmp_path: Path) -> Iterator[Cluster]:
    """Give a cluster whose scheduler listens on this end of the cable."""
    gate = {"SEISFLOW_TEST_GATE": str(tmp_path), "SEISFLOW_TEST_WORKER": "far"}
    with cluster(tmp_path / "cluster", HERE, **QUICKLY, **gate) as made:
        made.scheduler()
        yield made


def test_a_worker_cut_off_amid_a_task_loses_and_doubles_nothing(
    island: Island,
    apart: Cluster,
    small_archive: SmallArchive,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another worker does its task; the one that is cut off does it, too, and writes it to the same store."""
    monkeypatch.setattr("seisflow.run.dask_executor.run_task", faulty.gated)
    apart.worker("far", "--host", THERE, inside=island.inside)
    deployment = Dask(address=apart.address, units_per_task=1)
    workflow = small_archive.load(tmp_path / "run").model_copy(update={"deployment": deployment})

    def tell(progress: object) -> None:
        """Cut the far worker off once it has begun a task and the near one has done some."""
        if (tmp_path / "begun").exists() and not (tmp_path / "cut").exists():
            (tmp_path / "cut").touch()
            island.cut()
            (tmp_path / "open").touch()

    with deployment.connect() as client:
        apart.worker("near")
        report = run_workflow(workflow, client, tell)
    assert (tmp_path / "cut").exists()
    wait_for((tmp_path / "written").exists, "the worker that is cut off to write its task")
    wait_for(lambda: apart.family("far") == [], "worker and nanny to end by themselves")
    assert report.exit_status == 0
    assert counts(report) == {"picking": (8, 0), "association": (2, 0), "location": (2, 0)}
    assert len(ledger_rows(report.store)) == 12
    assert stray_parts(report.store) == set(), "both wrote the same part"
    undisturbed = tables(run_workflow(small_archive.load(tmp_path / "undisturbed")))
    assert tables(report) == undisturbed
    again = run_workflow(small_archive.load(tmp_path / "run"))
    assert counts(again) == {"picking": (0, 8), "association": (0, 2), "location": (0, 2)}
    assert tables(again) == undisturbed


@pytest.mark.parametrize("mended", [True, False], ids=["for a while", "for good"])
def test_a_driver_cut_off_from_the_scheduler(
    island: Island,
    apart: Cluster,
    make_archive: Callable[[int], SmallArchive],
    tmp_path: Path,
    mended: bool,
) -> None:
    """It connects anew and goes on; where it can not, it ends with a word and the next run goes on."""
    archive = make_archive(4)
    output = tmp_path / "run"
    apart.worker("near")
    deployment = {"method": "dask", "address": apart.address, "connect_s": 60.0 if mended else 10.0}
    path = archive.workflow(output, deployment=deployment | {"units_per_task": 1})
    driver = start_driver(path, "slow", island.inside, **QUICKLY)
    wait_for(lambda: n_records(output) >= 3, "the first records")
    island.cut()
    if mended:
        noticed = "Remove client"
        wait_for(lambda: noticed in apart.log("scheduler"), "the scheduler to miss the driver", 60.0)
        island.mend()
    _, said = driver.communicate(timeout=120)
    if mended:
        assert driver.returncode == 0, said
        assert "connecting again" in said
    else:
        assert driver.returncode == 2, said
        assert "run the same command: it goes on where it stopped" in said
    again = run_workflow(archive.load(output))
    assert sum(counts(again)["picking"]) == 16
    assert counts(again)["picking"][1] >= (16 if mended else 3)
    assert len(ledger_rows(again.store)) == 24
    assert tables(again) == tables(run_workflow(archive.load(tmp_path / "undisturbed")))
