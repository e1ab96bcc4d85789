"""The connection to the scheduler breaks right before any call of the client: every task is done, once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, Future, LocalCluster

from seisflow.deploy.dask import Dask
from seisflow.errors import SchedulerError, UnitTimeoutError
from seisflow.run import dask_executor, workers
from seisflow.run.dask_executor import DaskExecutor
from seisflow.run.executor import Done
from seisflow.run.plan import make_plan
from seisflow.run.stages import Stage
from seisflow.run.store import Store
from seisflow.run.task import Result
from seisflow.run.units import Job
from tests.run.conftest import SmallArchive

HANGS = threading.Event()
"""Set, it ends the task that hangs."""


def fine(stage: Stage, store: Store, jobs: Sequence[Job]) -> Result:
    """Do a task."""
    return Result(again=list(jobs))


def failing(stage: Stage, store: Store, jobs: Sequence[Job]) -> Result:
    """Fail like a task that can not write to the store."""
    raise OSError(f"no room for {jobs[0].unit.name}")


def hanging(stage: Stage, store: Store, jobs: Sequence[Job]) -> Result:
    """Hang, once."""
    if jobs[0].attempt == 1 and jobs[0].unit.name == "XX.AAA.2020-01-01":
        HANGS.wait(60.0)
    return fine(stage, store, jobs)


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Give a scheduler with two workers, all in this process."""
    options: dict[str, Any] = {"protocol": "tcp://", "dashboard_address": None, "processes": False}
    with LocalCluster(n_workers=2, threads_per_worker=1, **options) as made:
        yield made


@pytest.fixture
def tasks(small_archive: SmallArchive, tmp_path: Path) -> list[tuple[Stage, Store, list[Job]]]:
    """Give eight tasks, one a station-day."""
    plan = make_plan(small_archive.load(tmp_path / "run"))
    stage = plan.stages[0]
    units = [unit for number in range(2) for unit in stage.units(number)]
    assert len(units) == 8
    return [(stage.stage, plan.store, [Job(unit)]) for unit in units]


def abort(client: Client) -> None:
    """Break the connection; the client has not noticed."""
    client.loop.add_callback(client.scheduler_comm.comm.abort)


def blink(client: Client) -> None:
    """Break the connection, and let the client connect again by itself; it may get stuck at that."""
    before = client.scheduler_comm
    abort(client)
    until = time.monotonic() + 2.0
    while client.scheduler_comm in (before, None) or client.status != "running":
        if time.monotonic() > until:
            break
        time.sleep(0.01)


def shut(client: Client) -> None:
    """Close the client, as it does itself when the scheduler does not come back."""
    done = threading.Event()

    async def close() -> None:
        await client._close()
        done.set()

    client.loop.add_callback(close)
    assert done.wait(30.0)


class Breaker:
    """Breaks a connection, once, right before a call of some method."""

    def __init__(self, how: Callable[[Client], None], skip: int) -> None:
        self.how, self.left, self.broken = how, skip, False

    def strike(self, client: Client) -> None:
        """Break what is to be broken, if it is time."""
        self.left -= 1
        if self.left < 0 and not self.broken and client.loop.asyncio_loop is not _running_loop():
            self.broken = True
            self.how(client)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


@pytest.fixture
def break_before(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Breaker]:
    """Return a function that arms a breaker."""

    def arm(owner: type, method: str, how: Callable[[Client], None], skip: int = 0) -> Breaker:
        breaker = Breaker(how, skip)
        real = getattr(owner, method)

        def wrapped(self: Any, *arguments: Any, **options: Any) -> Any:
            driver = threading.current_thread() is threading.main_thread()

            if driver:
                breaker.strike(self if owner is Client else self.client)
            return real(self, *arguments, **options)

        monkeypatch.setattr(owner, method, wrapped)
        return breaker

    return arm


def run_all(executor: DaskExecutor, tasks: Sequence[tuple[Stage, Store, list[Job]]]) -> list[Done]:
    """Submit all tasks and wait for each; nothing may come twice."""
    for stage, store, jobs in tasks:
        executor.free(stage)
        executor.submit(stage, store, jobs)
    until = time.monotonic() + 60.0
    ended: list[Done] = []
    while (done := executor.next_done(5.0)) is not None or executor._running:
        assert time.monotonic() < until, "it hangs"
        if done is not None:
            ended.append(done)
    assert Counter(done.jobs[0].unit.name for done in ended) == Counter(
        jobs[0].unit.name for _, _, jobs in tasks
    )
    return ended


CALLS = [
    *((Client, "submit", skip) for skip in (0, 3)),
    *((Client, "sync", skip) for skip in (0, 1, 5)),
    *((Client, "subscribe_topic", skip) for skip in (0, 1)),
    *((Future, "result", skip) for skip in (0, 4, 7)),
    *((Future, "add_done_callback", skip) for skip in (0, 5)),
    *((Future, "release", skip) for skip in (0, 6)),
]


@pytest.mark.parametrize("how", [abort, blink, shut])
@pytest.mark.parametrize(("owner", "method", "skip"), CALLS, ids=[f"{m}-{n}" for _, m, n in CALLS])
def test_every_task_is_done_once_whenever_the_connection_breaks(
    cluster: LocalCluster,
    tasks: list[tuple[Stage, Store, list[Job]]],
    break_before: Callable[..., Breaker],
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    method: str,
    skip: int,
    how: Callable[[Client], None],
) -> None:
    monkeypatch.setattr(dask_executor, "run_task", fine)
    deployment = Dask(address=cluster.scheduler_address)
    with deployment.connect() as client:
        breaker = break_before(owner, method, how, skip)
        ended = run_all(DaskExecutor(client, "broken", deployment), tasks)
    assert breaker.broken
    assert all(done.result is not None and done.error is None for done in ended)


@pytest.mark.parametrize("how", [abort, blink, shut])
def test_the_error_of_a_task_is_told_though_the_connection_breaks(
    cluster: LocalCluster,
    tasks: list[tuple[Stage, Store, list[Job]]],
    break_before: Callable[..., Breaker],
    monkeypatch: pytest.MonkeyPatch,
    how: Callable[[Client], None],
) -> None:
    """An error of the task is no loss of the connection, nor the other way round."""
    monkeypatch.setattr(dask_executor, "run_task", failing)
    deployment = Dask(address=cluster.scheduler_address)
    with deployment.connect() as client:
        breaker = break_before(Future, "exception", how, 2)
        ended = run_all(DaskExecutor(client, "broken", deployment), tasks)
    assert breaker.broken
    assert {str(done.error) for done in ended} == {f"no room for {done.jobs[0].unit.name}" for done in ended}


@pytest.mark.parametrize("how", [abort, blink, shut])
@pytest.mark.parametrize(("owner", "method"), [(Future, "cancel"), (Client, "restart_workers")])
def test_a_unit_that_hangs_is_given_up_though_the_connection_breaks(
    tasks: list[tuple[Stage, Store, list[Job]]],
    break_before: Callable[..., Breaker],
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    method: str,
    how: Callable[[Client], None],
) -> None:
    monkeypatch.setattr(dask_executor, "run_task", hanging)
    HANGS.clear()
    options: dict[str, Any] = {"protocol": "tcp://", "dashboard_address": None, "processes": False}
    with LocalCluster(n_workers=2, threads_per_worker=1, **options) as cluster:
        deployment = Dask(address=cluster.scheduler_address, unit_limit_s=1.0)
        try:
            with deployment.connect() as client:
                breaker = break_before(owner, method, how)
                ended = run_all(DaskExecutor(client, "broken", deployment), tasks)
        finally:
            HANGS.set()
    assert breaker.broken
    given_up = [done for done in ended if done.error is not None]
    assert [done.jobs[0].unit.name for done in given_up] == ["XX.AAA.2020-01-01"]
    assert isinstance(given_up[0].error, UnitTimeoutError)


@pytest.mark.parametrize("how", [abort, blink, shut])
def test_a_run_that_stops_ends_though_the_connection_breaks(
    cluster: LocalCluster,
    tasks: list[tuple[Stage, Store, list[Job]]],
    break_before: Callable[..., Breaker],
    monkeypatch: pytest.MonkeyPatch,
    how: Callable[[Client], None],
) -> None:
    """It asks no more for what was at work, and does not connect again for it."""
    monkeypatch.setattr(dask_executor, "run_task", fine)
    deployment = Dask(address=cluster.scheduler_address)
    with deployment.connect() as client:
        executor = DaskExecutor(client, "broken", deployment)
        for task in tasks:
            executor.submit(*task)
        breaker = break_before(Future, "cancel", how)
        executor.stop()
        ended = 0
        while executor.next_done(10.0) is not None:
            ended += 1
        assert not executor._running
        assert executor.client is client
    assert breaker.broken
    assert ended < len(tasks)


def test_a_scheduler_that_hangs_ends_a_run_with_a_word(
    tasks: list[tuple[Stage, Store, list[Job]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connections stay open, it answers nothing."""
    monkeypatch.setattr(dask_executor, "run_task", hanging)
    monkeypatch.setattr(workers, "ANSWER_S", 0.5)
    HANGS.clear()
    options: dict[str, Any] = {"protocol": "tcp://", "dashboard_address": None, "processes": False}
    with LocalCluster(n_workers=1, threads_per_worker=1, **options) as cluster:
        deployment = Dask(address=cluster.scheduler_address, connect_s=1.0)
        with deployment.connect() as client:
            executor = DaskExecutor(client, "broken", deployment)
            executor.submit(*tasks[0])

            async def never(**asked: Any) -> None:
                await asyncio.sleep(3600.0)

            cluster.scheduler.handlers["identity"] = never
            with pytest.raises(SchedulerError, match=r"broke.*the same command: it goes on"):
                executor.next_done(60.0)
            HANGS.set()
