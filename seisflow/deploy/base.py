"""What a deployment is: where a run gets its Dask workers from. It has no influence on the result."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated, ClassVar
from weakref import WeakKeyDictionary

from pydantic import Field

from seisflow.method import Method

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Deployment", "offer_renewal", "renewal_of", "serving_page"]


PAGE = "seisflow.run.dashboard"
"""Module with the routes of the page ``/seisflow``; by name, since nothing here may know `run`."""


class Deployment(Method):
    """Base of every deployment."""

    room: ClassVar[str] = "deploy"

    units_per_task: Annotated[int, Field(ge=1)] | None = None
    """Most units of work that share a task, a part and a ledger record; by default as many as take
    `task_s`."""
    task_s: Annotated[float, Field(gt=0)] = 60.0
    """Seconds that a task should take, by the seconds measured in the run; a lost worker loses as much."""
    unit_limit_s: Annotated[float, Field(gt=0)] = 7200.0
    """Seconds after which a unit that does not end is given up: its worker is started anew, the unit
    tried once more alone, then recorded as failed."""
    grace_s: Annotated[float, Field(ge=0)] = 60.0
    """Seconds that a run which is told to stop waits for the units at work to end."""
    patience_s: Annotated[float, Field(gt=0)] = 600.0
    """Seconds that a run waits without any worker before it ends with an error."""

    @abstractmethod
    def connect(self) -> AbstractContextManager[Client | None]:
        """Return a context that gives a Dask client, or None to run in this process."""


_renewals: WeakKeyDictionary[Client, Callable[[], Client]] = WeakKeyDictionary()


def offer_renewal(client: Client, renew: Callable[[], Client]) -> None:
    """Say how to get a new client for one that lost its scheduler; `renew` also closes the old one."""
    _renewals[client] = renew


def renewal_of(client: Client) -> Callable[[], Client] | None:
    """Return how to get a new client for one that lost its scheduler, None where nobody can."""
    return _renewals.get(client)


def serving_page() -> AbstractContextManager[object]:
    """Return a context in which schedulers that start in this process serve the page ``/seisflow``."""
    import dask
    import distributed  # noqa: F401  (its defaults must be there to be added to)

    setting = "distributed.scheduler.http.routes"
    modules = [module for module in dask.config.get(setting) if module != PAGE]
    served: AbstractContextManager[object] = dask.config.set({setting: [*modules, PAGE]})
    return served
