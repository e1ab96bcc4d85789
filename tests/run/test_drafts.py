"""Drafts that a killed writer left: the next run removes them, and none of a writer that lives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from seisflow.run import run_workflow
from seisflow.run.ingest import ingest_archive
from seisflow.run.store import Store
from tests.run.clusters import wait_for
from tests.run.conftest import SmallArchive

WRITER = """
import sys, time
from seisflow.run.store import Store
with Store(sys.argv[1]).appearing(sys.argv[2]) as draft:
    draft.write_bytes(b"half")
    time.sleep(600)
"""


def hidden(folder: Path) -> list[Path]:
    """Return the hidden files below a folder."""
    return sorted(path for path in folder.rglob(".*") if path.is_file())


def kill_a_writer(root: Path, key: str) -> Path:
    """Kill a process in the middle of a write; return what it left, as old as after two minutes."""
    before = set(hidden(root))
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(root), key])
    wait_for(lambda: any(path.stat().st_size for path in set(hidden(root)) - before), "a draft")
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    (left,) = set(hidden(root)) - before
    os.utime(left, times=(time.time() - 120.0,) * 2)
    return left


def test_the_next_run_sweeps_what_a_killed_writer_left(small_archive: SmallArchive, tmp_path: Path) -> None:
    root = tmp_path / "run"
    run_workflow(small_archive.load(root))
    for key in ("tables/picks.parquet", "stages/picking-0/parts/a.picks.parquet", "lease.json"):
        kill_a_writer(root, key)
    assert len(hidden(root)) == 3
    with Store(str(root)).appearing("tables/a-writer-that-lives") as draft:
        run_workflow(small_archive.load(root))
        assert hidden(root) == [draft]
        draft.write_bytes(b"whole")
    assert Store(str(root)).read_bytes("tables/a-writer-that-lives") == b"whole"


def test_a_day_that_is_ingested_again_has_nothing_hidden_beside_it(
    small_archive: SmallArchive, tmp_path: Path
) -> None:
    root = tmp_path / "store"
    left = kill_a_writer(root, "XX/AAA/2020/001/HHZ/c/0")
    ingest_archive(small_archive.load(tmp_path / "run"), str(root))
    assert (left.parent / "0").is_file()
    assert hidden(root) == []
