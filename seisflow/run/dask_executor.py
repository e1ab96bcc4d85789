"""Tasks on the workers of a Dask client, watched: nothing that happens to a worker makes a run wait for ever.

Lost workers are the scheduler's affair: it gives their tasks to others. This file sees to what the
scheduler does not: a unit that never ends, one that takes more memory than there is, a scheduler that
is gone, and a cluster without a worker.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import count
from typing import TYPE_CHECKING, Any

from seisflow.deploy.base import Deployment
from seisflow.errors import OutOfMemoryError, UnitTimeoutError
from seisflow.run import notice
from seisflow.run.connection import Connection
from seisflow.run.executor import Done
from seisflow.run.packing import pack_jobs, pack_result, unpack_jobs, unpack_result
from seisflow.run.stages import Stage
from seisflow.run.store import Store
from seisflow.run.task import Result, run_task
from seisflow.run.units import Job
from seisflow.run.workers import Needs

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["DaskExecutor"]

POLL_S = 0.25
RESULT_S = 20.0
"""How long the result of a task that ended may take: longer, if its worker went with it and it is redone."""
UNITS_NAMED = 32
"""Units of a task that its annotations name: the scheduler keeps those of all tasks in flight."""
MEMORY_TOPIC = "worker-restart-memory"
"""Where a nanny tells that it ended its worker for its memory."""

_log = logging.getLogger(__name__)


@dataclass
class _Task:
    """A task in flight; `worker` and `heard` are known once a worker has begun it.

    It has no future where the connection broke as it was handed over: the next scheduler gets it.
    """

    stage: Stage
    store: Store
    jobs: Sequence[Job]
    needs: Needs
    future: Future[Any] | None = None
    worker: str = ""
    heard: float = 0.0


class DaskExecutor:
    """Runs tasks on the workers of a Dask client; keys and spans name stage and unit.

    Parameters
    ----------
    client : distributed.Client
    name : str
        Name of the run: the outermost span on the dashboard.
    deployment : Deployment
        Its limits: of a unit's time, and of patience.
    """

    def __init__(self, client: Client, name: str, deployment: Deployment) -> None:
        self._name = name
        self._deployment = deployment
        self._running: dict[str, _Task] = {}
        self._spans: dict[str, Any] = {}
        self._packed: dict[str, bytes] = {}
        self._given_up: deque[Done] = deque()
        self._ended: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        self._heard: queue.SimpleQueue[tuple[str, dict[str, Any]]] = queue.SimpleQueue()
        self._too_big: set[str] = set()
        self._stuck: set[str] = set()
        self._lonely_since: dict[frozenset[str], float] = {}
        self._numbers = count()
        self._stopping = self._stopped = False
        self._connection = Connection(client)
        self.workers = self._connection.workers
        self._listen()

    @property
    def client(self) -> Client:
        """The client it has now, another one after it lost a scheduler."""
        return self._connection.client

    def _listen(self) -> None:
        """Listen to the workers of the client."""
        self._run = uuid.uuid4().hex[:6]  # several runs may share a scheduler
        for topic in (self._topic, MEMORY_TOPIC):
            with self._connection.using():
                self.client.subscribe_topic(
                    topic, lambda event, topic=topic: self._heard.put((topic, event[1]))
                )

    @property
    def _topic(self) -> str:
        return f"seisflow-tasks-{self._run}"

    def check(self, stages: Sequence[Stage]) -> None:
        """Raise a `DeploymentError` if no worker can run one of the stages."""
        self._connection.look(at_once=True)
        while self._connection.lost:
            self._renew()
            self._connection.look(at_once=True)
        self.workers.check(stages)

    def memory_mb(self, stage: Stage) -> float | None:
        """Memory that the least of the workers for a stage has for one task, MB."""
        self._connection.look()
        return self.workers.memory_mb(self.workers.needs(stage))

    def free(self, stage: Stage) -> int:
        """Twice the slots of the workers: each has the next task at hand; fewer those in flight."""
        if self._stopping:
            return 0
        self._connection.look()
        needs = self.workers.needs(stage)
        in_flight = sum(task.needs == needs for task in self._running.values())
        return max(2, 2 * self.workers.slots(needs)) - in_flight

    def submit(self, stage: Stage, store: Store, jobs: Sequence[Job]) -> None:
        """Hand a task to the scheduler; the key reads ``picking-Z7.DYJN.2014-08-24``."""
        from dask.base import annotate
        from distributed.protocol import pickle

        needs = self.workers.needs(stage)
        attempt = "" if jobs[0].attempt == 1 else f"#{jobs[0].attempt}"
        key = f"{stage.name}-{_label(jobs)}{attempt}-{self._run}-{next(self._numbers)}"
        if stage.name not in self._packed:
            self._packed[stage.name] = pickle.dumps((stage, store))
        work = partial(_work, run_task, self._run, self._topic, key, self._beat_s)
        what = self._packed[stage.name], pack_jobs(jobs)
        units = [job.unit.name for job in jobs[:UNITS_NAMED]]
        about = {"stage": stage.name, "units": units, "n_units": len(jobs)}
        task = self._running[key] = _Task(stage, store, jobs, needs)
        with self._connection.using(), annotate(span=self._span(stage.name), **about):
            task.future = self.client.submit(work, *what, key=key, pure=False, resources=dict(needs) or None)
            task.future.add_done_callback(self._ended.put)

    def _span(self, stage: str) -> Any:
        """Return the span of a stage, within that of the run; made once, as the scheduler forgets none."""
        from dask.base import annotate, get_annotations
        from distributed import span

        if "" not in self._spans:
            with span(f"seisflow {self._name}"):
                self._spans[""] = get_annotations()["span"]
        if stage not in self._spans:
            with annotate(span=self._spans[""]), span(stage):
                self._spans[stage] = get_annotations()["span"]
        return self._spans[stage]

    def next_done(self, timeout_s: float | None = None) -> Done | None:
        """Wait for the next task that ends; a lost worker's task was already run again by the scheduler.

        Raises
        ------
        SchedulerError
            If the scheduler, or every worker for a task, is gone and does not come back.
        """
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            self._look_after()
            if self._given_up:
                return self._given_up.popleft()
            if not self._running:
                return None
            left_s = POLL_S if until is None else min(POLL_S, until - time.monotonic())
            if left_s <= 0:
                return None
            try:
                done = self._take(self._ended.get(timeout=left_s))
            except queue.Empty:
                continue
            if done is not None:
                return done

    def stop(self) -> None:
        """Begin nothing more: only notes it, `next_done` acts on it (this may be a signal handler)."""
        self._stopping = True

    def _take(self, future: Future[Any]) -> Done | None:
        """Return what a future gave; None if nobody asks for it any more, or its scheduler is gone."""
        from distributed import KilledWorker

        key = str(future.key)
        task = self._running.get(key)
        if task is None or task.future is not future:
            return None
        result = error = None
        with self._connection.using():
            try:
                if future.status == "error":
                    error = future.exception(timeout=RESULT_S)
                else:  # if it was cancelled, then not by us: this raises, as the connection broke
                    result = unpack_result(future.result(timeout=RESULT_S))
            except TimeoutError:
                _log.debug("the result of %s is not there any more; it is computed again", key)
            if result is None and error is None:
                future.add_done_callback(self._ended.put)
        if result is None and error is None:
            return None
        if isinstance(error, KilledWorker) and error.last_worker.address in self._too_big:
            error = self._out_of_memory(task)
        del self._running[key]
        future.release()
        self._connection.proved()
        return Done(task.stage, task.jobs, result, error)

    def _look_after(self) -> None:
        """See to all that no future tells."""
        if self._stopping and not self._stopped:
            self._stop()
        if self._running and self._connection.lost:
            self._renew()
        self._hear()
        now = time.monotonic()
        for key, task in list(self._running.items()):
            if task.worker and now - task.heard > self._deployment.unit_limit_s + self._beat_s:
                self._give_up(key, self._timed_out(task))
                self._stuck.add(task.worker)
        for worker in list(self._stuck):
            self._restart(worker)
        self._connection.look()
        self._check_lonely(now)

    def _restart(self, worker: str) -> None:
        """Start a worker anew that is stuck; one without a nanny takes at least no further task."""
        if self._connection.lost:
            return  # the next scheduler is asked: it may have the same workers
        with self._connection.using():
            try:
                self.client.restart_workers([worker], timeout=30.0, raise_for_error=False)
            except ValueError:
                self.client.retire_workers([worker], close_workers=True)
            except KeyError:
                _log.warning("worker %s could not be started anew: it is gone", worker)
            self._stuck.discard(worker)

    def _hear(self) -> None:
        """Take in what workers and nannies told."""
        while not self._heard.empty():
            topic, message = self._heard.get()
            worker = message["worker"]
            if topic == MEMORY_TOPIC:
                self._too_big.add(worker)
            elif message["key"] in self._running:
                task = self._running[message["key"]]
                task.worker, task.heard = worker, time.monotonic()
        for key, task in list(self._running.items()):
            if task.worker in self._too_big:
                self._give_up(key, self._out_of_memory(task))

    @property
    def _beat_s(self) -> float:
        """Seconds between two signs that a task gets on."""
        return min(60.0, self._deployment.unit_limit_s / 10.0)

    def _timed_out(self, task: _Task) -> Exception:
        return UnitTimeoutError(
            f"timed out: {_label(task.jobs)} did not end within {self._deployment.unit_limit_s:g} s; "
            "its worker was started anew. Raise deployment.unit_limit_s if units take this long"
        )

    def _out_of_memory(self, task: _Task) -> Exception:
        limit_mb = self.workers.memory_mb(task.needs)
        limit = "its worker has" if limit_mb is None else f"the {limit_mb:.0f} MB its worker has"
        return OutOfMemoryError(
            f"out of memory: {_label(task.jobs)} took more than {limit}; give the workers more memory"
        )

    def _give_up(self, key: str, error: Exception) -> None:
        """End a task here; its worker may still be at it, what it then writes does no harm."""
        task = self._running[key]
        self._forget(key)
        self._given_up.append(Done(task.stage, task.jobs, error=error))

    def _forget(self, key: str) -> None:
        """Ask no more for a task."""
        future = self._running.pop(key).future
        if future is not None:
            with self._connection.using():
                future.cancel()

    def _check_lonely(self, now: float) -> None:
        """Have patience with a cluster that has no worker for some task, but not for ever."""
        waiting = {frozenset(task.needs): task.needs for task in self._running.values()}
        lonely = {kind for kind, needs in waiting.items() if not self.workers.slots(needs)}
        self._lonely_since = {kind: self._lonely_since.get(kind, now) for kind in lonely}
        for kind, since in self._lonely_since.items():
            if now - since > self._deployment.patience_s:
                which = f" with {' and '.join(sorted(kind))}" if kind else ""
                self._connection.give_up(f"no worker{which} for {self._deployment.patience_s:g} s")

    def _renew(self) -> None:
        """Connect again and hand over all tasks in flight; a run that stops asks no more for them."""
        tasks = list(self._running.values())
        self._running.clear()
        self._lonely_since = {}
        if self._stopping:
            return
        self._connection.renew()
        self._listen()
        for task in tasks:
            self.submit(task.stage, task.store, task.jobs)

    def _stop(self) -> None:
        """Forget what no worker has begun; tell the others to end after their present unit."""
        self._stopped = True
        self._hear()
        for key in [key for key, task in self._running.items() if not task.worker]:
            self._forget(key)
        threading.Thread(target=self._tell_to_stop, name="seisflow-stop", daemon=True).start()

    def _tell_to_stop(self) -> None:
        """Reach what workers can be reached; they may be slow to answer, and the run may end meanwhile."""
        with contextlib.suppress(Exception):  # of a client that is lost, or closed at the end of the run
            self.client.run(notice.give, self._run, on_error="ignore")


def _label(jobs: Sequence[Job]) -> str:
    """Return the name of the first unit, and how many more there are."""
    more = f"+{len(jobs) - 1}" if len(jobs) > 1 else ""
    return f"{jobs[0].unit.name}{more}"


def _work(
    task: Callable[..., Result],
    run: str,
    topic: str,
    key: str,
    every_s: float,
    shared: bytes,
    jobs: bytes,
) -> bytes:
    """Compute a task on a worker, and tell the driver at its start and between units that it gets on.

    What all tasks of a stage share (stage and store), the jobs, and the result, are packed by the
    driver and here: the scheduler, which would unpack and pack them as well, sees bytes.
    """
    from distributed import get_worker

    worker = get_worker()
    told = float("-inf")

    def getting_on() -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= every_s:
            told = now
            worker.log_event(topic, {"key": key, "worker": worker.address})

    getting_on()
    with notice.listening(run, getting_on):
        return pack_result(task(*_unpacked(shared), unpack_jobs(jobs)))


@lru_cache(maxsize=8)
def _unpacked(shared: bytes) -> tuple[Stage, Store]:
    """Return stage and store: once a process, as they are the same for thousands of tasks."""
    from distributed.protocol import pickle

    found: tuple[Stage, Store] = pickle.loads(shared)
    return found
