"""What a deployment is: where a run gets its Dask workers from. It has no influence on the result."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from seisflow.method import Method

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Deployment"]


class Deployment(Method):
    """Base of every deployment."""

    room: ClassVar[str] = "deploy"

    units_per_task: Annotated[int, Field(ge=1)] = 1
    """Units of work that share a task, a part and a ledger record."""

    @abstractmethod
    def connect(self) -> AbstractContextManager[Client | None]:
        """Return a context that gives a Dask client, or None to run in this process."""
