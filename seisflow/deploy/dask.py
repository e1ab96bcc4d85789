"""Run on a Dask cluster that is already there: its scheduler was started by hand or by a site's tools."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from seisflow.deploy.base import Deployment, offer_renewal
from seisflow.errors import DeploymentError

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Dask"]


class Dask(Deployment):
    """The workers of a running scheduler; it and they go on when the run has ended.

    Start them with ``dask scheduler --host 127.0.0.1`` and ``dask worker ADDRESS --preload
    seisflow.run.preload --preload-nanny seisflow.run.preload`` (so that a worker leaves in order on
    SIGTERM); label workers with a GPU ``--resources GPU=1`` and the others ``--resources CPU=threads``.
    An address ``tls://...`` takes certificates from Dask's own configuration.
    """

    name: ClassVar[str] = "dask"

    address: str | None = None
    """Address of the scheduler, such as tcp://10.0.0.5:8786."""
    scheduler_file: str | None = None
    """File that `dask scheduler --scheduler-file` wrote, in place of the address."""
    connect_s: Annotated[float, Field(gt=0)] = 60.0
    """Seconds to wait for the scheduler and its first worker, at the start and after a loss."""

    @model_validator(mode="after")
    def _check_place(self) -> Self:
        if (self.address is None) == (self.scheduler_file is None):
            raise ValueError("give either address or scheduler_file")
        return self

    def connect(self) -> AbstractContextManager[Client]:
        """Return a context that gives a client of the scheduler and closes it, and it alone, at its end.

        Raises
        ------
        DeploymentError
            On entering, if no scheduler answers, or it gets no worker, within `connect_s`.
        """
        return self._connected()

    @contextmanager
    def _connected(self) -> Iterator[Client]:
        clients: list[Client] = []

        def start() -> Client:
            _close(clients)
            clients.append(self._client())
            offer_renewal(clients[-1], start)
            return clients[-1]

        try:
            yield start()
        finally:
            _close(clients)

    def _client(self) -> Client:
        from distributed import Client

        where: dict[str, Any] = (
            {"address": self.address} if self.address else {"scheduler_file": self.scheduler_file}
        )
        place = self.address or self.scheduler_file
        try:
            client = Client(**where, timeout=self.connect_s)
        except (OSError, TimeoutError, ValueError) as error:
            raise DeploymentError(
                f"no Dask scheduler answers at {place} within {self.connect_s:g} s ({error}); start it with "
                "'dask scheduler', or correct the deployment block"
            ) from error
        try:
            client.wait_for_workers(1, timeout=self.connect_s)
        except (OSError, AttributeError) as error:  # the latter, where it lost the scheduler meanwhile
            _close([client])
            raise DeploymentError(
                f"the Dask scheduler at {place} has no worker after {self.connect_s:g} s; "
                f"start some with 'dask worker {place}'"
            ) from error
        return client


def _close(clients: list[Client]) -> None:
    """Close clients, of which one may have lost its scheduler: whatever it then raises, it is done with."""
    while clients:
        client = clients.pop()
        try:
            client.close(timeout=5.0)
        except Exception:
            client.status = "closed"  # or Dask tries it again, for minutes, when it is forgotten
