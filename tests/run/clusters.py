"""Clusters to break: scheduler and workers as processes of their own, started by Dask's command line."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

PRELOAD = ("--preload", "seisflow.run.preload", "--preload-nanny", "seisflow.run.preload")


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 120.0) -> None:
    """Wait until something holds."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            pytest.fail(f"waited {seconds} s for {what}")
        time.sleep(0.01)


_DRIVER = """
import sys
from seisflow.run import dask_executor
from tests.run import faulty
dask_executor.run_task = getattr(faulty, sys.argv[2])
from seisflow.cli import main
sys.argv = ["seisflow", "run", sys.argv[1]]
main()
"""


def start_driver(
    workflow: Path, fault: str, inside: Sequence[str] = (), **environment: str
) -> subprocess.Popen[str]:
    """Start `seisflow run` in a process of its own, its tasks with a fault of `tests.run.faulty`."""
    return subprocess.Popen(
        [*inside, sys.executable, "-c", _DRIVER, str(workflow), fault],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )


@dataclass
class Cluster:
    """Processes of a cluster; `inside` runs a command in a network namespace."""

    folder: Path
    host: str = "127.0.0.1"
    environment: dict[str, str] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    port: int = 0

    @property
    def address(self) -> str:
        """Address of the scheduler."""
        return f"tcp://{self.host}:{self.port}"

    def start(self, name: str, *arguments: str, inside: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start `dask ARGUMENTS`; what it says goes to a file in the folder."""
        command = [*inside, sys.executable, "-m", "dask", *arguments]
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                command, stdout=log, stderr=log, env=os.environ | self.environment, start_new_session=True
            )
        return self.processes[name]

    def scheduler(self, port: int = 0) -> None:
        """Start the scheduler and wait until it listens."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((self.host, port))
            self.port = probe.getsockname()[1]
        self.start(
            "scheduler",
            *("scheduler", "--host", self.host, "--port", str(self.port)),
            *("--dashboard-address", "127.0.0.1:0"),
        )
        wait_for(self._listens, "the scheduler")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self.host, self.port)) == 0

    def worker(self, name: str, *arguments: str, inside: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start a worker of one thread with the preload and wait until it is registered."""
        process = self.start(
            name,
            *("worker", self.address, "--name", name, "--nthreads", "1", *PRELOAD),
            *("--host", self.host, "--dashboard-address", "127.0.0.1:0"),
            *("--local-directory", str(self.folder / name), *arguments),
            inside=inside,
        )
        wait_for(lambda: "Registered to" in self.log(name), f"worker {name}")
        return process

    def log(self, name: str) -> str:
        """Return what a process said."""
        return (self.folder / f"{name}.log").read_text()

    def family(self, name: str) -> list[psutil.Process]:
        """Return a process and its children, those that live."""
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.processes[name].pid)
            both = [process, *process.children(recursive=True)]
            return [each for each in both if each.status() != psutil.STATUS_ZOMBIE]
        return []

    def close(self) -> None:
        """End all that is left."""
        for process in self.processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def cluster(folder: Path, host: str = "127.0.0.1", **environment: str) -> Iterator[Cluster]:
    """Give a cluster without processes, and end those that were started in it."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Cluster(folder, host, environment)
    try:
        yield made
    finally:
        made.close()
