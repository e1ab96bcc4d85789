"""Faults: killed drivers, killed workers, tasks that kill, and messy archives. Results are counted after."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seisflow.deploy.local import Local
from seisflow.errors import LeaseError
from seisflow.run import run_workflow
from seisflow.run.lease import Lease, holder
from seisflow.run.status import read_ledger, read_status
from seisflow.run.store import Store
from tests.run import faulty
from tests.run.clusters import wait_for
from tests.run.conftest import SmallArchive
from tests.run.counting import n_records
from tests.run.test_resume import counts, tables


def seisflow(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        [sys.executable, "-m", "seisflow.cli", *arguments], capture_output=True, text=True, check=False
    )


def test_a_killed_driver_loses_nothing(make_archive: Callable[[int], SmallArchive], tmp_path: Path) -> None:
    archive = make_archive(6)
    output = tmp_path / "killed"
    deployment = {"method": "local", "workers": 1, "dashboard_port": 0, "units_per_task": 1}
    path = archive.workflow(output, deployment=deployment)
    driver = subprocess.Popen(
        [sys.executable, "-m", "seisflow.cli", "run", str(path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for(lambda: n_records(output) >= 5, "the first records")
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    done = n_records(output)
    assert 5 <= done < 24, "the run must be killed in its middle"
    assert read_status(Store(str(output))).driver == {}

    again = seisflow("run", str(path), "--json")
    assert again.returncode == 0, again.stderr
    stages = json.loads(again.stdout.splitlines()[-1])["stages"]
    assert stages["picking"]["computed"] == 24 - done
    assert stages["picking"]["kept"] == done
    done_at_last = {p.name: p.read_bytes() for p in sorted((output / "tables").glob("*.parquet"))}
    assert done_at_last == archive.undisturbed()


def test_a_killed_worker_loses_nothing(make_archive: Callable[[int], SmallArchive], tmp_path: Path) -> None:
    archive = make_archive(5)
    workflow = archive.load(tmp_path / "killed")
    victims: list[int] = []

    with Local(workers=2, dashboard_port=0).connect() as client:

        def kill_once(states: object) -> None:
            if not victims and n_records(tmp_path / "killed") >= 4:
                victims.append(next(iter(client.run(os.getpid).values())))
                os.kill(victims[0], signal.SIGKILL)

        report = run_workflow(workflow, client, kill_once)
    assert victims
    assert report.exit_status == 0
    assert counts(report)["picking"] == (20, 0)
    assert tables(report) == archive.undisturbed()


def test_a_task_that_kills_workers_is_isolated(
    small_archive: SmallArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dask

    monkeypatch.setattr("seisflow.run.dask_executor.run_task", faulty.deadly)
    workflow = small_archive.load(tmp_path / "run", deployment={"method": "serial", "units_per_task": 4})
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        Local(workers=1, dashboard_port=0).connect() as client,
    ):
        report = run_workflow(workflow, client)
    assert list(report.failures["unit"]) == ["XX.BBB.2020-01-02"]
    assert "KilledWorker" in report.failures["reason"][0]
    assert counts(report)["picking"] == (8, 0)
    assert counts(report)["location"] == (2, 0)


def test_an_error_that_passes_is_tried_again_alone(
    small_archive: SmallArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import seisflow.run.stages as stages

    compute, seen = stages.Picking.compute, []

    def flaky(self, job, *rest):  # type: ignore[no-untyped-def]
        if job.unit.name == "XX.CCC.2020-01-01":
            seen.append(job.attempt)
            if job.attempt == 1:
                raise OSError("the disk hiccups")
        return compute(self, job, *rest)

    monkeypatch.setattr(stages.Picking, "compute", flaky)
    report = run_workflow(small_archive.load(tmp_path / "run"))
    assert seen == [1, 2]
    assert report.exit_status == 0
    ledger = read_ledger(report.store)
    assert ledger.loc[ledger["unit"] == "XX.CCC.2020-01-01", "attempts"].tolist() == [2]


def test_an_error_that_stays_is_recorded_and_the_run_goes_on(
    small_archive: SmallArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import seisflow.run.stages as stages

    compute = stages.Picking.compute

    def broken(self, job, *rest):  # type: ignore[no-untyped-def]
        if job.unit.name == "XX.CCC.2020-01-01":
            raise RuntimeError("no good")
        return compute(self, job, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(stages.Picking, "compute", broken)
        report = run_workflow(small_archive.load(tmp_path / "run"))
    assert report.exit_status == 1
    assert report.failures["unit"].tolist() == ["XX.CCC.2020-01-01"]
    assert "no good" in report.failures["reason"][0]
    repaired = run_workflow(small_archive.load(tmp_path / "run"))
    assert repaired.exit_status == 0
    assert counts(repaired)["picking"] == (1, 7)
    assert tables(repaired) == small_archive.undisturbed()


def make_messy(archive: SmallArchive) -> None:
    """Damage a folder of files: truncated, empty, text, no metadata, thousands of gaps."""
    import obspy

    files = sorted((archive.folder / "sds").rglob("*.D.2020.*"))
    truncated = next(path for path in files if "AAA..HHN" in path.name)
    truncated.write_bytes(truncated.read_bytes()[:-300])
    (archive.folder / "sds" / "empty.mseed").write_bytes(b"")
    (archive.folder / "sds" / "notes.mseed").write_text("these are my notes\n" * 100)
    trace = obspy.read(str(next(path for path in files if "BBB..HHZ" in path.name)))[0]
    trace.stats.station = "NEW"
    trace.write(str(archive.folder / "sds" / "new.mseed"), format="MSEED")
    gappy = next(path for path in files if "DDD..HHZ" in path.name)
    day = obspy.read(str(gappy))[0]
    start = day.stats.starttime - 6 * 3600
    codes = {name: day.stats[name] for name in ("network", "station", "channel", "sampling_rate")}
    pieces = [obspy.Trace(np.arange(40, dtype=np.int32) % 7, codes) for _ in range(5000)]
    for number, piece in enumerate(pieces):
        piece.stats.starttime = start + 8.0 * 3600 + 2.0 * number
    obspy.Stream([day, *pieces]).write(str(gappy), format="MSEED", reclen=512, encoding="INT32")


def test_a_messy_folder_loses_nothing(make_archive: Callable[[int], SmallArchive], tmp_path: Path) -> None:
    archive = make_archive(1)
    make_messy(archive)
    root = {"method": "folder", "root": str(archive.folder / "sds")}
    path = archive.workflow(tmp_path / "run", archive=root)
    done = seisflow("run", str(path), "--json")
    assert done.returncode == 1, done.stderr
    listed = seisflow("failures", str(path)).stdout
    reasons = {line.split("\t")[1].rsplit("/", 1)[-1]: line.split("\t")[3] for line in listed.splitlines()}
    assert set(reasons) == {"empty.mseed", "notes.mseed", "XX.AAA..HHN.D.2020.001", "XX.NEW.2020-01-01"}
    assert "empty" in reasons["empty.mseed"]
    assert "metadata" in reasons["XX.NEW.2020-01-01"]
    assert "truncated" in reasons["XX.AAA..HHN.D.2020.001"]
    stages = json.loads(done.stdout.splitlines()[-1])["stages"]
    assert stages["picking"] == {"computed": 5, "kept": 0, "failed": 1, "rows": stages["picking"]["rows"]}
    assert stages["location"]["rows"] == 1, "the event is found from what is left"
    ledger = read_ledger(Store(str(tmp_path / "run")))
    assert ledger.loc[ledger["unit"] == "XX.DDD.2020-01-01", "status"].tolist() == ["ok"]


def test_two_drivers_never_share_a_run(small_archive: SmallArchive, tmp_path: Path) -> None:
    workflow = small_archive.load(tmp_path / "run")
    with Lease(Store(workflow.output)), pytest.raises(LeaseError, match="is held by process"):
        run_workflow(workflow)
    assert run_workflow(workflow).exit_status == 0


def test_the_lease_of_a_dead_driver_is_taken_over(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    code = (
        "import os\nfrom seisflow.run.store import Store\nfrom seisflow.run.lease import Lease\n"
        f"with Lease(Store({store.root!r})): os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert store.read_json("lease.json")["generation"] == 1
    with Lease(store) as lease:
        assert store.read_json("lease.json")["token"] == lease.token
        assert lease.generation == 2
    assert holder(store) == {}


def test_a_terminated_driver_ends_cleanly_and_goes_on(
    make_archive: Callable[[int], SmallArchive], tmp_path: Path
) -> None:
    archive = make_archive(4)
    output = tmp_path / "stopped"
    path = archive.workflow(output, deployment={"method": "local", "workers": 1, "dashboard_port": 0})
    driver = subprocess.Popen(
        [sys.executable, "-m", "seisflow.cli", "run", str(path)], stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: n_records(output) >= 2, "the first records")
    driver.terminate()
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 130
    assert "the same command goes on where it stopped" in said
    assert holder(Store(str(output))) == {}, "it gave the lease back"
    done = n_records(output)
    assert done < 16, "the run must be stopped in its middle"
    again = run_workflow(archive.load(output))
    assert counts(again)["picking"] == (16 - done, done)


def test_a_driver_that_lost_its_lease_stops(
    small_archive: SmallArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seisflow.run.lease.RENEWAL_S", 0.05)
    lease = tmp_path / "run" / "lease.json"

    def steal(states: object) -> None:
        lease.write_text(
            json.dumps({"token": "thief", "host": "elsewhere", "pid": 1, "renewed": time.time()})
        )
        time.sleep(0.2)

    with pytest.raises(LeaseError, match="took over"):
        run_workflow(small_archive.load(tmp_path / "run"), None, steal)
    assert json.loads(lease.read_text())["token"] == "thief", "the thief keeps its lease"
