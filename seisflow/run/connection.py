"""The driver's connection to a scheduler: it may break at any moment, which is noted, and another one made.

A client that loses its scheduler does not say so in one way: results are cancelled, calls are refused
or time out, attributes are gone; it may also connect again by itself, and only the tasks are forgotten.
Whatever uses the client does so `using` the connection; the executor looks at `lost` in one place.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from seisflow.deploy.base import renewal_of
from seisflow.errors import SchedulerError
from seisflow.run.workers import Workers

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Connection"]

MAX_RENEWALS = 3

_log = logging.getLogger(__name__)


class Connection:
    """A client, the workers it has, and how to get another one where its scheduler is lost.

    Parameters
    ----------
    client : distributed.Client

    Attributes
    ----------
    client : distributed.Client
    workers : Workers
    """

    def __init__(self, client: Client) -> None:
        self.workers = Workers(client)
        self._renewals = 0
        self._hold(client)

    def _hold(self, client: Client) -> None:
        self.client = client
        self._stream: Any = client.scheduler_comm
        self._place = getattr(client.scheduler, "address", "an address that is forgotten")
        self._found = ""

    @property
    def lost(self) -> str:
        """What was found that says it is lost; '' while it holds."""
        if not self._found and self.client.status != "running":
            self._found = f"the scheduler at {self._place} is gone"
        if not self._found and not self._is_open():
            # The client may be back by itself; the scheduler forgot its tasks and what it listens to.
            self._found = f"the connection to the scheduler at {self._place} broke"
        return self._found

    def _is_open(self) -> bool:
        stream = self._stream
        return stream is not None and not stream.closed() and stream is self.client.scheduler_comm

    def give_up(self, found: str) -> None:
        """Take it for lost, for a reason that no call of the client would find."""
        self._found = self._found or found

    @contextmanager
    def using(self) -> Iterator[None]:
        """Return a context to use the client in: an error that comes from a loss is noted, not raised."""
        try:
            yield
        except Exception as error:
            if not isinstance(error, OSError | CancelledError) and not self.lost:
                raise
            self.give_up(f"the connection to the scheduler at {self._place} broke ({error!r})")

    def look(self, at_once: bool = False) -> None:
        """Look at the workers, now and then; a scheduler that does not answer is lost."""
        if not self.lost:
            with self.using():
                self.workers.look(at_once)

    def proved(self) -> None:
        """Say that a task ended: losses are counted anew."""
        self._renewals = 0

    def renew(self) -> None:
        """Take a new client, where the deployment gives one.

        Raises
        ------
        SchedulerError
            If it gives none, or too many were lost.
        """
        found = self.lost
        renewal = renewal_of(self.client)
        advice = (
            "what was done is in the ledger. "
            "See to the cluster, then run the same command: it goes on where it stopped"
        )
        if renewal is None or self._renewals >= MAX_RENEWALS:
            raise SchedulerError(f"{found}; {advice}")
        self._renewals += 1
        _log.warning("%s; connecting again (%d of %d)", found, self._renewals, MAX_RENEWALS)
        try:
            client = renewal()
        except Exception as error:  # a client that is lost while it connects raises anything
            raise SchedulerError(f"{found}: {error}; {advice}") from error
        self.workers.follow(client)
        self._hold(client)
