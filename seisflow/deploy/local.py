"""Run on the processes of this machine: a Dask LocalCluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from seisflow.deploy.base import Deployment, serving_page

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Local"]


class Local(Deployment):
    """One worker process a core; dashboard and scheduler listen on loopback only."""

    name: ClassVar[str] = "local"

    workers: Annotated[int, Field(ge=1)] | None = None
    """Worker processes; by default one for each core this process may use."""
    threads_per_worker: Annotated[int, Field(ge=1)] = 1
    """Tasks that a worker runs at once, in threads."""
    memory_gb: Annotated[float, Field(gt=0)] | None = None
    """Memory a worker may use before it is restarted, GB; by default its share of the machine."""
    dashboard_port: Annotated[int, Field(ge=0, le=65535)] = 8787
    """Port of the dashboard; another free one is taken where it is in use, 0 takes any."""

    def connect(self) -> AbstractContextManager[Client]:
        """Return a context that gives a client of a LocalCluster and closes both at its end."""
        return self._cluster()

    @contextmanager
    def _cluster(self) -> Iterator[Client]:
        from dask.system import CPU_COUNT
        from distributed import Client, LocalCluster

        with (
            serving_page(),
            LocalCluster(
                n_workers=self.workers or CPU_COUNT,
                threads_per_worker=self.threads_per_worker,
                memory_limit="auto" if self.memory_gb is None else f"{self.memory_gb}GB",
                dashboard_address=f"127.0.0.1:{self._free_port()}",
                host="127.0.0.1",
                silence_logs=40,
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client

    def _free_port(self) -> int:
        """Return the dashboard port, or 0 (any) where it is in use: Dask would only warn, in a trace."""
        import socket

        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self.dashboard_port))
            except OSError:
                return 0
        return self.dashboard_port
