"""A Dask preload that lets a worker leave in order when its machine is about to be taken away.

``dask worker --preload seisflow.run.preload --preload-nanny seisflow.run.preload ...``: on SIGTERM the
worker takes no new task, finishes the unit it has begun, hands the rest of its task back and ends with
status 0; its nanny does not start it again. The configuration value ``seisflow.notice-s`` (environment:
``DASK_SEISFLOW__NOTICE_S``, default 100) is how long it may take: machines on Spot have 120 s.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

from seisflow.run import notice

if TYPE_CHECKING:
    from distributed import Nanny, Worker

__all__ = ["dask_setup"]

NOTICE_S = 100.0
POLL_S = 0.05


def dask_setup(server: Worker | Nanny) -> None:
    """Listen to SIGTERM in the process of a worker or of its nanny; Dask calls this."""
    from distributed import Nanny

    if threading.current_thread() is not threading.main_thread():
        return  # the signals of this process belong to somebody else, such as the driver
    if isinstance(server, Nanny):
        _listen_nanny(server)
    else:
        import seisflow.run.task  # noqa: F401  (now, while the driver scans, not in the first task)

        _listen_worker(server)


def notice_s() -> float:
    """Return how long a worker may take to leave."""
    import dask

    return float(dask.config.get("seisflow.notice-s", NOTICE_S))


def _listen_worker(worker: Worker) -> None:
    leaving: list[Any] = []

    def leave() -> None:
        if _has_too_much(worker):  # this SIGTERM is the nanny's, which starts a new worker: no notice
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
        if not leaving:
            leaving.append(True)
            worker.loop.add_callback(_leave, worker)

    notice.install(leave)


def _has_too_much(worker: Worker) -> bool:
    """Return whether the worker takes so much memory that its nanny ends it."""
    import dask
    import psutil

    limit = worker.memory_manager.memory_limit
    part = dask.config.get("distributed.worker.memory.terminate")
    return bool(limit and part and psutil.Process().memory_info().rss > 0.95 * part * limit)


async def _leave(worker: Worker) -> None:
    """Take no new task, let those at work end, see their results off, then close worker and nanny."""
    until = time.monotonic() + notice_s()
    await _retire(worker, remove=False)
    while (worker.state.executing or worker.state.long_running) and time.monotonic() < until:
        await asyncio.sleep(POLL_S)
    await _retire(worker, remove=True)  # results that the driver has not fetched move to another worker
    await worker.close(nanny=True, executor_wait=False, timeout=5, reason="seisflow-notice")


async def _retire(worker: Worker, remove: bool) -> None:
    with contextlib.suppress(OSError, TimeoutError):
        asked = worker.scheduler.retire_workers(
            workers=[worker.address], close_workers=False, remove=remove, stimulus_id="seisflow-notice"
        )
        await asyncio.wait_for(asked, timeout=10.0)


def _listen_nanny(nanny: Nanny) -> None:
    """Pass a SIGTERM on to the worker, which `dask worker` would end after ten seconds."""
    _nannies.append(nanny)
    loop = asyncio.get_running_loop()

    def on_sigterm(number: int, frame: object) -> None:
        for each in _nannies:
            each.close_gracefully(reason="seisflow-notice")  # it does not start its worker again
            if each.pid:
                os.kill(each.pid, signal.SIGTERM)
            loop.call_soon_threadsafe(loop.call_later, notice_s() + 5.0, each.loop.add_callback, each.close)

    signal.signal(signal.SIGTERM, on_sigterm)


_nannies: list[Nanny] = []
