"""Run on the processes of this machine: a Dask cluster of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from seisflow.deploy.base import Deployment, offer_renewal, serving_page

if TYPE_CHECKING:
    from distributed import Client, SpecCluster

__all__ = ["Local"]

MESSAGES_KEPT = 50
"""Messages that Dask keeps of each connection, for debugging: each has the jobs of a task in it, and
Dask's own 1000 would let the memory of the driver grow by 100 MB for each worker."""


class Local(Deployment):
    """One worker process a core; dashboard and scheduler listen on loopback unless told otherwise."""

    name: ClassVar[str] = "local"

    workers: Annotated[int, Field(ge=1)] | None = None
    """Worker processes; by default one for each core this process may use."""
    threads_per_worker: Annotated[int, Field(ge=1)] = 1
    """Tasks that a worker runs at once, in threads."""
    gpu_workers: Annotated[int, Field(ge=0)] = 0
    """Worker processes beside these that have a GPU each, for stages that ask for one (device: cuda);
    where there are fewer GPUs, they take turns."""
    memory_gb: Annotated[float, Field(gt=0)] | None = None
    """Memory a worker may use before it is restarted, GB; by default its share of the machine."""
    host: str = "127.0.0.1"
    """Address that scheduler, workers and dashboard listen on; anybody who reaches it can run code."""
    dashboard_port: Annotated[int, Field(ge=0, le=65535)] = 8787
    """Port of the dashboard; another free one is taken where it is in use, 0 takes any."""
    patience_s: Annotated[float, Field(gt=0)] = 60.0
    """Seconds that a run waits without any worker before it starts new ones."""

    def connect(self) -> AbstractContextManager[Client]:
        """Return a context that gives a client of a new cluster and closes both at its end."""
        return self._cluster()

    @contextmanager
    def _cluster(self) -> Iterator[Client]:
        import dask
        from distributed import Client

        kept = {"distributed.admin.low-level-log-length": MESSAGES_KEPT}
        with serving_page(), dask.config.set(kept), ExitStack() as running:

            def start() -> Client:
                with dask.config.set({"distributed.comm.timeouts.connect": "2s"}):
                    running.close()  # what ran before; its scheduler may not answer any more
                client: Client = running.enter_context(Client(running.enter_context(self._start())))
                offer_renewal(client, start)
                return client

            yield start()

    def _start(self) -> SpecCluster:
        from distributed import Scheduler, SpecCluster

        scheduler = {
            "host": self.host,
            "dashboard": True,
            "dashboard_address": f"{self.host}:{self._free_port()}",
        }
        return SpecCluster(
            scheduler={"cls": Scheduler, "options": scheduler}, workers=self._spec(), silence_logs=40
        )

    def _spec(self) -> dict[str, Any]:
        """Return the workers by name; labelled only where there are two kinds."""
        from dask.system import CPU_COUNT

        n_cpu = self.workers or CPU_COUNT
        spec = {}
        for number in range(n_cpu):
            label = {"CPU": float(self.threads_per_worker)} if self.gpu_workers else {}
            hidden = {"CUDA_VISIBLE_DEVICES": ""} if self.gpu_workers else {}
            spec[f"cpu-{number}"] = self._worker(self.threads_per_worker, label, hidden)
        devices = _devices() or [str(number) for number in range(self.gpu_workers)]
        for number in range(self.gpu_workers):
            device = {"CUDA_VISIBLE_DEVICES": devices[number % len(devices)]}
            spec[f"gpu-{number}"] = self._worker(1, {"GPU": 1.0}, device)
        return spec

    def _worker(
        self, threads: int, resources: dict[str, float], environment: dict[str, str]
    ) -> dict[str, Any]:
        from dask.system import CPU_COUNT
        from distributed import Nanny
        from distributed.system import MEMORY_LIMIT

        share = MEMORY_LIMIT / ((self.workers or CPU_COUNT) + self.gpu_workers)
        options = {
            "host": self.host,
            "nthreads": threads,
            "memory_limit": int(share if self.memory_gb is None else self.memory_gb * 1e9),
            "resources": resources,
            "env": environment,
            "dashboard": False,
            "preload": ["seisflow.run.preload"],
            "silence_logs": 40,
        }
        return {"cls": Nanny, "options": options}

    def _free_port(self) -> int:
        """Return the dashboard port, or 0 (any) where it is in use: Dask would only warn, in a trace."""
        import socket

        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.host, self.dashboard_port))
            except OSError:
                return 0
        return self.dashboard_port


def _devices() -> list[str]:
    """Return the GPUs of this machine that the environment shows; [] where it can not be told."""
    from distributed.diagnostics import nvml

    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    if shown is not None:
        return [device for device in shown.split(",") if device]
    return [str(number) for number in range(nvml.device_get_count())]
