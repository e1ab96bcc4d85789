"""Executors: who runs the tasks. One runs them here, one hands them to Dask; both look the same."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from seisflow.run.stages import Stage
from seisflow.run.store import Store
from seisflow.run.task import Result, run_task
from seisflow.run.units import Job

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["DaskExecutor", "Done", "Executor", "SerialExecutor"]


@dataclass(frozen=True)
class Done:
    """A task that ended: what it reported, or the error that ended it."""

    stage: Stage
    jobs: Sequence[Job]
    result: Result | None = None
    error: BaseException | None = None


class Executor(Protocol):
    """Runs tasks, several at once, and gives them back as they end."""

    @property
    def capacity(self) -> int:
        """Tasks to keep in flight, so that no worker waits and the scheduler stays small."""

    def submit(self, stage: Stage, store: Store, jobs: Sequence[Job]) -> None:
        """Start a task."""

    def next_done(self) -> Done:
        """Wait for the next task that ends."""


@dataclass
class SerialExecutor:
    """Runs tasks one after another in this process: for debugging."""

    capacity: int = 1
    _waiting: list[tuple[Stage, Store, Sequence[Job]]] = field(default_factory=list)

    def submit(self, stage: Stage, store: Store, jobs: Sequence[Job]) -> None:
        """Keep a task until `next_done` asks for it."""
        self._waiting.append((stage, store, jobs))

    def next_done(self) -> Done:
        """Run the oldest task that waits."""
        stage, store, jobs = self._waiting.pop(0)
        try:
            return Done(stage, jobs, run_task(stage, store, jobs))
        except Exception as error:
            return Done(stage, jobs, error=error)


class DaskExecutor:
    """Runs tasks on the workers of a Dask client; keys and spans name stage and unit.

    Parameters
    ----------
    client : distributed.Client
    name : str
        Name of the run: the outermost span on the dashboard.
    task : callable, optional
        Replaces `run_task`, in tests of the engine.
    """

    def __init__(self, client: Client, name: str, task: Callable[..., Result] = run_task) -> None:
        from distributed import as_completed

        self._client = client
        self._name = name
        self._token = uuid.uuid4().hex[:6]  # several runs may share a scheduler
        self._task = task
        self._running: dict[Future[Any], tuple[Stage, Sequence[Job]]] = {}
        self._completed = as_completed([])

    @property
    def capacity(self) -> int:
        """Twice the threads of the workers: each has the next task at hand."""
        return max(2, 2 * int(sum(self._client.nthreads().values())))

    def submit(self, stage: Stage, store: Store, jobs: Sequence[Job]) -> None:
        """Hand a task to the scheduler; the key reads ``picking-Z7.DYJN.2014-08-24``."""
        from distributed import span

        label = jobs[0].unit.name if len(jobs) == 1 else f"{jobs[0].unit.name}+{len(jobs) - 1}"
        attempt = "" if jobs[0].attempt == 1 else f"#{jobs[0].attempt}"
        key = f"{stage.name}-{label}{attempt}-{self._token}"
        with span(f"seisflow {self._name}", stage.name):
            future = self._client.submit(self._task, stage, store, list(jobs), key=key, pure=False)
        self._running[future] = (stage, jobs)
        self._completed.add(future)

    def next_done(self) -> Done:
        """Wait for the next future; a lost worker's task was already run again by the scheduler."""
        future = next(self._completed)
        stage, jobs = self._running.pop(future)
        error = future.exception()
        result = None if error is not None else future.result()
        future.release()
        return Done(stage, jobs, result, error)
