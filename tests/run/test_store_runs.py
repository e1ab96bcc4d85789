"""Whole runs: on a disk and in a bucket alike; storms, damaged parts and full disks lose nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from seisflow.errors import MetadataError
from seisflow.run import RunReport, run_workflow
from seisflow.run.ledger import Ledger
from seisflow.run.reporting import report_run
from seisflow.run.results import read_catalog
from seisflow.run.stages import Picking, stages_of
from seisflow.run.status import read_ledger
from seisflow.run.store import Store
from seisflow.run.units import Job
from seisflow.workflow import load_workflow
from tests.run.conftest import SmallArchive, make_small_archive
from tests.run.stores import on_s3
from tests.services.s3 import S3Server
from tests.services.storms import Fault, Storm

BATCHED = {"method": "serial", "units_per_task": 3}


def tables_of(store: Store) -> dict[str, bytes]:
    """Return the bytes of every table of a run."""
    return {key: store.read_bytes(key) for key in store.keys("tables")}


def workflow_in(archive: SmallArchive, store: Store, folder: Path, **changes: Any) -> Path:
    """Write the workflow of an archive with its output in a store."""
    path = archive.workflow(folder / "workflow", deployment=BATCHED)
    content = yaml.safe_load(path.read_text())
    content |= {"output": store.root, "storage_options": dict(store.storage_options)}
    path.write_text(yaml.safe_dump(content | changes))
    return path


def run_in(archive: SmallArchive, store: Store, folder: Path) -> RunReport:
    """Run the workflow of an archive into a store."""
    return run_workflow(load_workflow(workflow_in(archive, store, folder)))


def counts(report: RunReport) -> dict[str, tuple[int, int, int]]:
    """Return units computed, kept and failed by stage."""
    return {stage.name: (stage.computed, stage.kept, stage.failed) for stage in report.stages}


@pytest.fixture(scope="module")
def finished(small_archive: SmallArchive, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Return a run on a disk that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    store = Store(str(folder / "run"))
    assert counts(run_in(small_archive, store, folder))["picking"] == (8, 0, 0)
    return store


@pytest.fixture
def undisturbed(finished: Store) -> dict[str, bytes]:
    """Return the tables of a run on a disk that nothing disturbed."""
    return tables_of(finished)


@pytest.fixture
def to_damage(finished: Store, tmp_path: Path) -> Store:
    """Return a run that is done, for one test to damage."""
    shutil.copytree(finished.root, tmp_path / "run")
    return Store(str(tmp_path / "run"))


def test_a_run_in_a_bucket_gives_the_bytes_of_a_run_on_a_disk(
    s3: S3Server, small_archive: SmallArchive, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    store = on_s3(s3)
    first = run_in(small_archive, store, tmp_path)
    assert counts(first) == {"picking": (8, 0, 0), "association": (2, 0, 0), "location": (2, 0, 0)}
    assert first.tables == f"{store.root}/tables"
    assert tables_of(store) == undisturbed
    assert len(read_catalog(first.tables, store.storage_options).events) == 2
    again = run_in(small_archive, store, tmp_path)
    assert counts(again) == {"picking": (0, 8, 0), "association": (0, 2, 0), "location": (0, 2, 0)}
    assert tables_of(store) == undisturbed
    assert (
        report_run(load_workflow(workflow_in(small_archive, store, tmp_path))) == f"{store.root}/report.html"
    )
    assert b"</html>" in store.read_bytes("report.html")


def test_the_command_line_runs_into_a_bucket(
    s3: S3Server, small_archive: SmallArchive, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    """By workers of a cluster; who may see it, sees how far it is; no secret is left in the bucket."""
    store = on_s3(s3)
    options = {**store.storage_options, "key": "${S3_KEY}", "secret": "${S3_SECRET}"}
    local = {"method": "local", "workers": 1, "dashboard_port": 0}
    path = workflow_in(small_archive, store, tmp_path, storage_options=options, deployment=local)

    def seisflow(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "seisflow.cli", *arguments, str(path)],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"S3_KEY": s3.key, "S3_SECRET": s3.secret},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert f"tables: {store.root}/tables" in seisflow("run")
    assert tables_of(store) == undisturbed
    assert json.loads(seisflow("status", "--json"))["driver"] == {}
    assert not [key for key in store.keys("") if s3.secret.encode() in store.read_bytes(key)]


def test_what_the_storage_needs_has_no_influence_on_the_result(
    small_archive: SmallArchive, tmp_path: Path
) -> None:
    plain = load_workflow(workflow_in(small_archive, Store("one"), tmp_path))
    bucket = Store("s3://bucket/run", {"key": "secret-key"})
    other = load_workflow(workflow_in(small_archive, bucket, tmp_path))
    assert other.output == "s3://bucket/run"
    assert [s.fingerprint for s in stages_of(plain)] == [s.fingerprint for s in stages_of(other)]
    assert "secret-key" not in repr(other)
    assert "secret-key" not in str(other.parameters())


def test_a_storm_over_the_bucket_of_a_run_loses_nothing(
    storm: Storm,
    small_archive: SmallArchive,
    undisturbed: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("seisflow.storage.retry._FIRST_WAIT_S", 0.01)
    store = on_s3(storm.server)
    storm.faults = [
        Fault("status", status=500, code="InternalError", share=0.1),
        Fault("status", share=0.1),
        Fault("lost", share=0.05),
        Fault("truncate", share=0.05, methods=("GET",)),
    ]
    report = run_in(small_archive, store, tmp_path)
    assert all(fault.struck for fault in storm.faults)
    storm.calm()
    assert counts(report) == {"picking": (8, 0, 0), "association": (2, 0, 0), "location": (2, 0, 0)}
    assert tables_of(store) == undisturbed
    ledger = read_ledger(store)
    assert len(ledger) == ledger["unit"].add(ledger["stage"]).nunique() == 12
    assert counts(run_in(small_archive, store, tmp_path))["picking"] == (0, 8, 0)


def flip(content: bytes) -> bytes:
    """Change one bit in the midst."""
    damaged = bytearray(content)
    damaged[len(damaged) // 2] ^= 16
    return bytes(damaged)


def cut(content: bytes) -> bytes:
    """Lose the second half."""
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    ("stage", "damage"), [("picking", flip), ("picking", cut), ("picking", None), ("location", flip)]
)
def test_what_a_damaged_part_held_is_computed_again(
    small_archive: SmallArchive,
    to_damage: Store,
    undisturbed: dict[str, bytes],
    tmp_path: Path,
    stage: str,
    damage: Callable[[bytes], bytes] | None,
) -> None:
    """A flipped bit, a missing file, half a file: nothing else is computed again."""
    store = to_damage
    folder = next(f"stages/{name}" for name in store.names("stages") if name.startswith(stage))
    key = store.keys(f"{folder}/parts")[0]
    part = key.rsplit("/", 1)[-1].split(".")[0]
    held = sum(entry.part == part for entry in Ledger(store, folder).entries("2020-01").values())
    assert 0 < held <= 3
    if damage is None:
        store.delete(key)
    else:
        store.write_bytes(key, damage(store.read_bytes(key)))
    report = run_in(small_archive, store, tmp_path)
    assert counts(report)[stage][0] == held
    assert sum(computed for computed, _, _ in counts(report).values()) == held, "the same rows: no more to do"
    assert report.exit_status == 0
    assert tables_of(store) == undisturbed


@pytest.mark.parametrize(("stage", "table", "units"), [("picking", "picks", 8), ("association", "events", 2)])
def test_damage_that_a_unit_below_meets_is_mended_in_the_same_run(
    small_archive: SmallArchive,
    to_damage: Store,
    undisturbed: dict[str, bytes],
    tmp_path: Path,
    stage: str,
    table: str,
    units: int,
) -> None:
    store = to_damage
    below = {"picking": "association", "association": "location"}[stage]
    for key in store.keys("stages"):
        if key.startswith(f"stages/{below}-"):
            store.delete(key)
        elif key.startswith(f"stages/{stage}-") and key.endswith(f".{table}.parquet"):
            store.write_bytes(key, flip(store.read_bytes(key)))
    report = run_in(small_archive, store, tmp_path)
    assert report.exit_status == 0
    assert counts(report)[stage][0] == units
    assert counts(report)[below][0] == 2
    assert tables_of(store) == undisturbed


def test_clocks_that_disagree_do_not_hide_what_is_newer(
    small_archive: SmallArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A unit fails on a host whose clock is years ahead, and is done later on one that is years behind."""
    store = Store(str(tmp_path / "run"))
    compute = Picking.compute

    def fails(self: Picking, job: Job, *arguments: Any) -> Any:
        if job.unit.name == "XX.BBB.2020-01-02":
            raise MetadataError("none yet")
        return compute(self, job, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Picking, "compute", fails)
        patch.setattr("seisflow.run.task.now", lambda: 2_208_988_800_000_000_000)
        assert counts(run_in(small_archive, store, tmp_path))["picking"] == (8, 0, 1)
    with monkeypatch.context() as patch:
        patch.setattr("seisflow.run.task.now", lambda: 978_307_200_000_000_000)
        assert counts(run_in(small_archive, store, tmp_path))["picking"] == (1, 7, 0)
    assert counts(run_in(small_archive, store, tmp_path))["picking"] == (0, 8, 0)
    ledger = read_ledger(store).set_index("unit")
    assert ledger.loc["XX.BBB.2020-01-02", "status"] == "ok"
    assert ledger.loc["XX.BBB.2020-01-02", "finished"].year == 2001


ROOM_KB = 60


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_run_that_filled_its_disk_goes_on_when_there_is_room(tmp_path: Path) -> None:
    archive = make_small_archive(tmp_path / "archive", days=3)
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM_KB}k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        path = archive.workflow(disk / "run")
        run = [sys.executable, "-m", "seisflow.cli", "run", str(path)]
        full = subprocess.run(run, capture_output=True, text=True, check=False, timeout=300)
        assert full.returncode == 2, full.stderr
        assert "No space left on device; make room and start the same command again" in full.stderr
        assert "Traceback" not in full.stderr
        store = Store(str(disk / "run"))
        assert not list((disk / "run").rglob(".*")), "nothing half written is left"
        done = sum(
            entry.done
            for name in store.names("stages")
            for entry in Ledger(store, f"stages/{name}").entries("2020-01").values()
        )
        assert done > 0
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        report = run_workflow(archive.load(disk / "run"))
        assert report.exit_status == 0
        assert sum(kept for _, kept, _ in counts(report).values()) == done
        assert counts(report)["picking"][0] + counts(report)["picking"][1] == 12
        whole = run_workflow(archive.load(tmp_path / "whole"))
        assert tables_of(store) == tables_of(whole.store)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
