"""Tasks with a fault: each computes like `run_task`, but something happens to one unit.

They stand in for `run_task` on the workers, which import them by name; what they need to know is in
the environment, so that worker processes see it too.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import psutil

from seisflow.run.stages import Outcome, Stage
from seisflow.run.store import Store
from seisflow.run.task import Result, run_task
from seisflow.run.units import Job

VICTIM = "XX.BBB.2020-01-02"


def _has_victim(jobs: Sequence[Job]) -> bool:
    return any(job.unit.name == VICTIM for job in jobs)


def deadly(stage: Stage, store: Store, jobs: Sequence[Job]) -> Result:
    """Kill the process that touches the victim."""
    if _has_victim(jobs):
        os.kill(os.getpid(), signal.SIGKILL)
    return run_task(stage, store, jobs)


def greedy(stage: Stage, store: Store, jobs: Sequence[Job]) -> Result:
    """Take ever more memory for the victim, until somebody ends it."""
    if _has_victim(jobs):
        taken = []
        for _ in range(200):
            taken.append(bytearray(os.urandom(1 << 20)) * 16)
            time.sleep(0.05)
        raise AssertionError("nobody ended a task of 3 GB")
    return run_task(stage, store, jobs)


def hanging(stage: Stage, store: Store, jobs: Sequence[Job]) -> Result:
    """Hang with the victim, until somebody ends it; leave a mark each second that nobody else works."""
    folder = Path(os.environ["SEISFLOW_TEST_GATE"])
    if _has_victim(jobs):
        for _ in range(60):
            time.sleep(1.0)
            busy = (int(path.suffix[1:]) for path in folder.glob("busy-*"))
            if not any(psutil.pid_exists(pid) for pid in busy):
                (folder / f"hangs-{time.monotonic_ns()}").touch()
        raise AssertionError("nobody ended a task that hangs")
    mark = folder / f"busy-{time.monotonic_ns()}.{os.getpid()}"
    mark.touch()
    try:
        return run_task(stage, store, jobs)
    finally:
        mark.unlink()


def slow(stage: Stage, store: Store, jobs: Sequence[Job]) -> Result:
    """Take a moment before each task."""
    time.sleep(0.15)
    return run_task(stage, store, jobs)


def gated(stage: Stage, store: Store, jobs: Sequence[Job]) -> Result:
    """Tell, on the worker named in the environment, that a task has begun; go on when the gate opens."""
    from distributed import get_worker

    folder = Path(os.environ["SEISFLOW_TEST_GATE"])
    if str(get_worker().name) == os.environ["SEISFLOW_TEST_WORKER"]:
        (folder / "begun").touch()
        while not (folder / "open").exists():
            time.sleep(0.02)
        result = run_task(stage, store, jobs)
        (folder / "written").touch()
        return result
    return run_task(stage, store, jobs)


def told(stage: Stage, store: Store, jobs: Sequence[Job]) -> Result:
    """Stay in the first unit of a task of two, on one worker, until notice is given."""
    from distributed import get_worker

    from seisflow.run import notice

    mark = Path(os.environ["SEISFLOW_TEST_GATE"]) / "begun"
    here = str(get_worker().name) == os.environ["SEISFLOW_TEST_WORKER"]
    if not here or mark.exists() or len(jobs) != 2:
        return run_task(stage, store, jobs)
    compute = type(stage).compute
    begun = mark.with_suffix(".draft")

    def waiting(*arguments: Any) -> Outcome:
        begun.write_text(" ".join(job.unit.name for job in jobs))
        begun.replace(mark)
        while not notice.given():
            time.sleep(0.02)
        return compute(*arguments)

    with mock.patch.object(type(stage), "compute", waiting):
        return run_task(stage, store, jobs)
