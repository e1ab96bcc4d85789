"""The store of a run: the same promises on a disk and in a bucket."""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seisflow.errors import AccessError, MissingFileError, StoreError, TableError
from seisflow.run.store import Store
from seisflow.storage import objects_s3
from seisflow.tables import LEDGER, PLAN
from tests.run.stores import each_store, on_s3
from tests.services.s3 import S3Server
from tests.services.storms import Fault, Storm

__all__ = ["each_store"]


def test_what_is_written_is_read_and_listed(each_store: Store) -> None:
    store = each_store
    assert store.keys("stages") == store.names("") == []
    store.write_bytes("stages/a/part", b"rows")
    store.write_json("run.json", {"name": "study", "n": 1})
    store.write_bytes("stages/b", b"")
    store.write_bytes("stages-other", b"no part of it")
    assert store.read_bytes("stages/a/part") == b"rows"
    assert store.read_json("run.json") == {"name": "study", "n": 1}
    assert store.keys("stages") == ["stages/a/part", "stages/b"]
    assert store.keys("") == ["run.json", "stages-other", "stages/a/part", "stages/b"]
    assert store.names("stages") == ["a", "b"]
    assert store.names("") == ["run.json", "stages", "stages-other"]
    assert store.exists("stages/b") and not store.exists("stages/c") and not store.exists("stages")
    store.delete("stages/b")
    store.delete("stages/b")
    assert store.keys("stages") == ["stages/a/part"]
    with pytest.raises(FileNotFoundError):
        store.read_bytes("stages/b")


def test_a_store_travels_to_workers_without_showing_its_secrets(s3: S3Server) -> None:
    store = on_s3(s3)
    store.write_bytes("here", b"1")
    twin = pickle.loads(pickle.dumps(store))
    assert twin == store
    assert twin.read_bytes("here") == b"1"
    assert s3.secret not in repr(store)


def test_only_one_creates(each_store: Store) -> None:
    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(lambda n: each_store.create("claim", b"%d" % n), range(16)))
    assert won.count(True) == 1
    assert each_store.read_bytes("claim") == b"%d" % won.index(True)


def test_only_who_saw_the_last_content_replaces_it(each_store: Store) -> None:
    each_store.write_bytes("claim", b"first")
    stamp = each_store.stamp("claim")
    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(lambda n: each_store.replace("claim", b"next %d" % n, stamp), range(16)))
    assert won.count(True) == 1
    assert each_store.read_bytes("claim") == b"next %d" % won.index(True)
    assert not each_store.replace("claim", b"late", stamp)
    assert each_store.stamp("claim") != stamp
    assert not each_store.replace("nothing", b"here", stamp)
    assert not each_store.exists("nothing")


def test_a_table_appears_whole_or_not_at_all(each_store: Store) -> None:
    plan = pd.DataFrame({"stage": ["picking"] * 3, "unit": ["a", "b", "c"]})
    each_store.write_table("archive/plan.parquet", plan, PLAN)
    with contextlib.suppress(RuntimeError), each_store.appearing("archive/plan.parquet") as half:
        half.write_bytes(b"half a ta")
        raise RuntimeError("the writer dies")
    assert each_store.keys("") == ["archive/plan.parquet"]
    pd.testing.assert_frame_equal(each_store.read_table("archive/plan.parquet", PLAN), plan)
    some = each_store.read_table("archive/plan.parquet", PLAN, filters=[("unit", ">=", "b")])
    assert some["unit"].tolist() == ["b", "c"]
    with each_store.local("archive/plan.parquet") as path:
        assert path.read_bytes() == each_store.read_bytes("archive/plan.parquet")
    with pytest.raises(TableError, match="there is no table"):
        each_store.read_table("archive/other.parquet", PLAN)
    with pytest.raises(TableError, match="LEDGER: column 'status' is missing"):
        each_store.read_table("archive/plan.parquet", LEDGER)


def test_ages_are_told_by_the_clock_of_the_storage(
    each_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    each_store.write_bytes("lease", b"")
    if "://" in each_store.root:
        monkeypatch.setattr(time, "time", lambda: 4e9)  # of the year 2096
    assert 0.0 <= each_store.objects.age_s("lease") < 60.0


def test_large_files_go_up_in_parts_that_appear_together(
    storm: Storm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each request of the upload, the last one too, loses an answer or meets a 503."""
    monkeypatch.setattr(objects_s3, "PIECE", 5 * 2**20)
    store = on_s3(storm.server)
    content = np.random.default_rng(0).bytes(12 * 2**20)
    storm.faults = [
        Fault("status", first=2, methods=("PUT",)),
        Fault("lost", first=1, methods=("PUT",)),
        Fault("lost", first=1, methods=("POST",), pattern="*uploadId*"),
    ]
    with store.appearing("large") as path:
        path.write_bytes(content)
    assert [fault.struck for fault in storm.faults] == [2, 1, 1]
    storm.faults = [Fault("truncate", after_bytes=1000, first=2, methods=("GET",))]
    with store.local("large") as copy:
        assert copy.read_bytes() == content
    assert storm.faults[0].struck == 2


@pytest.mark.parametrize("kind", ["lost", "status"])
def test_a_claim_whose_answer_was_lost_is_still_ours(storm: Storm, kind: str) -> None:
    store = on_s3(storm.server)

    def strike(fault: Fault) -> Fault:
        storm.faults = [fault]
        return fault

    created = strike(Fault(kind, first=1, methods=("PUT",)))  # type: ignore[arg-type]
    assert store.create("lease.json", b"mine, 1")
    assert created.struck == 1
    stamp = store.stamp("lease.json")
    replaced = strike(Fault(kind, first=1, methods=("PUT",)))  # type: ignore[arg-type]
    assert store.replace("lease.json", b"mine, 2", stamp)
    assert replaced.struck == 1
    strike(Fault(kind, first=1, methods=("PUT",)))  # type: ignore[arg-type]
    assert not store.create("lease.json", b"of another")
    strike(Fault(kind, first=1, methods=("PUT",)))  # type: ignore[arg-type]
    assert not store.replace("lease.json", b"of another", stamp)
    assert store.read_bytes("lease.json") == b"mine, 2"


def test_a_storm_of_refusals_loses_nothing(storm: Storm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seisflow.storage.retry._FIRST_WAIT_S", 0.01)
    store = on_s3(storm.server)
    storm.faults = [
        Fault("status", status=500, code="InternalError", share=0.2),
        Fault("status", status=503, share=0.2),
        Fault("reset", share=0.05),
        Fault("lost", share=0.05),
        Fault("truncate", share=0.05, methods=("GET",)),
    ]
    contents = {f"parts/{n:03d}": b"%d" % n * 1000 for n in range(60)}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(store.write_bytes, contents, contents.values()))
        assert store.keys("parts") == sorted(contents)
        assert dict(zip(contents, pool.map(store.read_bytes, contents), strict=True)) == contents
    assert all(fault.struck for fault in storm.faults)


def test_wrong_credentials_and_buckets_end_at_once(s3: S3Server) -> None:
    url = s3.bucket()
    with pytest.raises(AccessError, match="secret key is wrong"):
        Store(url, s3._replace(secret="wrong").storage_options).write_bytes("a", b"")
    with pytest.raises(MissingFileError, match="check the name of the bucket"):
        Store("s3://seisflow-nowhere", s3.storage_options).create("lease.json", b"")


def test_storages_without_conditional_writes_are_refused() -> None:
    with pytest.raises(StoreError, match="memory:// lacks conditional writes"):
        Store("memory://run").exists("lease.json")


def names_in(folder: str | Path) -> list[str]:
    """Return the names of all files in a folder, hidden ones, too."""
    return [path.name for path in Path(folder).iterdir()]


def limited_to(n_bytes: int) -> None:
    """Let no file of this process grow beyond a size: as on a full disk, a write fails half way."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))


FULL_DISK = """
import sys, pandas as pd
from seisflow.errors import StoreError
from seisflow.run.store import Store
from seisflow.tables import PLAN
store = Store(sys.argv[1])
frame = pd.DataFrame({"stage": [str(n) for n in range(50_000)], "unit": [str(n * 7) for n in range(50_000)]})
for write in (
    lambda: store.write_bytes("bytes", b"0" * 100_000),
    lambda: store.write_table("table", frame, PLAN),
    lambda: store.create("claim", b"0" * 100_000),
    lambda: store.replace("small", b"0" * 100_000, store.stamp("small")),
):
    try:
        write()
    except StoreError as error:
        print(error)
"""


def test_a_full_disk_leaves_no_half_file(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "run"))
    store.write_bytes("small", b"content")
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, store.root],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: limited_to(50_000),
    )
    said = done.stdout.splitlines()
    assert len(said) == 4, done.stdout + done.stderr
    assert all("make room and start the same command again" in line for line in said), said
    assert names_in(store.root) == ["small"], "nothing is left behind, hidden or not"
    assert store.read_bytes("small") == b"content"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mount.returncode:
        pytest.skip(f"mounting is not allowed here: {mount.stderr.decode()}")
    try:
        store = Store(str(disk / "run"))
        written = 6
        for number in range(written):
            store.write_bytes(f"parts/{number:03d}", b"0" * 20_000)
        with pytest.raises(StoreError, match=os.strerror(errno.ENOSPC)):
            store.write_bytes("parts/too-large", b"0" * 200_000)
        assert store.keys("parts") == [f"parts/{n:03d}" for n in range(written)]
        assert len(names_in(disk / "run" / "parts")) == written
        store.delete("parts/000")
        store.write_bytes("parts/999", b"0" * 20_000)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
