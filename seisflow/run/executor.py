"""Executors: who runs the tasks. One runs them here, one hands them to Dask; both look the same."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from seisflow.deploy.base import Deployment
from seisflow.errors import DeploymentError
from seisflow.run import notice
from seisflow.run.stages import Stage
from seisflow.run.store import Store
from seisflow.run.task import Result, run_task
from seisflow.run.units import Job

if TYPE_CHECKING:
    from distributed import Client

    from seisflow.workflow import Workflow

__all__ = ["Done", "Executor", "SerialExecutor", "executor_for"]


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
    def client(self) -> Client | None:
        """The client it has now, another one after it lost a scheduler; None where there is no cluster."""

    def check(self, stages: Sequence[Stage]) -> None:
        """Raise a `DeploymentError` if no worker can run one of the stages: before anything runs."""

    def memory_mb(self, stage: Stage) -> float | None:
        """Memory that every worker for a stage has for one task, MB; None where it is not limited."""

    def free(self, stage: Stage) -> int:
        """Tasks of a stage to submit now, so that no worker waits and the scheduler stays small."""

    def submit(self, stage: Stage, store: Store, jobs: Sequence[Job]) -> None:
        """Start a task."""

    def next_done(self, timeout_s: float | None = None) -> Done | None:
        """Wait for the next task that ends; None if none did in time, or none is left to wait for."""

    def stop(self) -> None:
        """Begin nothing more; may be called from a signal handler.

        Tasks that no worker has begun are forgotten; those at work end after their present unit and
        hand the rest of their jobs back. `next_done` gives them, then None.
        """


@dataclass
class SerialExecutor:
    """Runs tasks one after another in this process: for debugging."""

    client: None = None
    _waiting: deque[tuple[Stage, Store, Sequence[Job]]] = field(default_factory=deque)
    _stopped: bool = False

    def check(self, stages: Sequence[Stage]) -> None:
        """Do nothing: this process takes what the machine has."""

    def memory_mb(self, stage: Stage) -> float | None:
        """Return None: nobody watches the memory of this process."""
        return None

    def free(self, stage: Stage) -> int:
        """One task at a time."""
        return 0 if self._stopped else max(0, 1 - len(self._waiting))

    def submit(self, stage: Stage, store: Store, jobs: Sequence[Job]) -> None:
        """Keep a task until `next_done` asks for it."""
        self._waiting.append((stage, store, jobs))

    def next_done(self, timeout_s: float | None = None) -> Done | None:
        """Run the oldest task that waits."""
        if self._stopped or not self._waiting:
            return None
        stage, store, jobs = self._waiting.popleft()
        try:
            with notice.listening(str(id(self)), lambda: None):
                return Done(stage, jobs, run_task(stage, store, jobs))
        except Exception as error:
            return Done(stage, jobs, error=error)

    def stop(self) -> None:
        """Forget the task that waits; the one at work ends after its present unit."""
        self._stopped = True
        notice.give(str(id(self)))


def executor_for(workflow: Workflow, client: Client | None) -> Executor:
    """Return the executor of a run: on the workers of a client, or in this process without one.

    Raises
    ------
    DeploymentError
        If `workflow.deployment` is no deployment.
    """
    if client is None:
        return SerialExecutor()
    from seisflow.run.dask_executor import DaskExecutor

    if not isinstance(workflow.deployment, Deployment):
        raise DeploymentError(f"{type(workflow.deployment).__name__} is no deployment")
    return DaskExecutor(client, workflow.name, workflow.deployment)
