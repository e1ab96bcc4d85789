"""Notice: this process is about to end, or its run is stopping, so that no further unit is begun.

A machine may be taken away at two minutes' notice (Spot, a queue's time limit): its worker gets a
SIGTERM, finishes the unit it has begun, hands the others of its task back and leaves. A task asks
`given` between two units; that also tells whoever listens that the task gets on.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

__all__ = ["give", "given", "install", "listening", "withdraw"]

EVERY_RUN = ""

_stopping: set[str] = set()


@dataclass(frozen=True)
class _Listener:
    """The run a task belongs to, and whom to tell that the task gets on."""

    run: str
    getting_on: Callable[[], None]


_listener: ContextVar[_Listener | None] = ContextVar("seisflow_listener", default=None)


def given() -> bool:
    """Return whether to hand the rest of a task back; to be asked between its units."""
    listener = _listener.get()
    if listener is None:
        return EVERY_RUN in _stopping
    listener.getting_on()
    return not _stopping.isdisjoint((EVERY_RUN, listener.run))


def give(run: str = EVERY_RUN) -> None:
    """Give notice to the tasks of a run in this process; without a name, to all that ever start here."""
    _stopping.add(run)


def withdraw(run: str = EVERY_RUN) -> None:
    """Take a notice back."""
    _stopping.discard(run)


def install(then: Callable[[], None]) -> None:
    """Give notice to all runs on SIGTERM, then call `then`; for the main thread of a worker process."""

    def on_sigterm(number: int, frame: object) -> None:
        """Give notice and go on with what the process does then."""
        give()
        then()

    signal.signal(signal.SIGTERM, on_sigterm)


@contextmanager
def listening(run: str, getting_on: Callable[[], None]) -> Iterator[None]:
    """Name the run of the task that the block computes, and hear `getting_on` whenever it asks `given`."""
    token = _listener.set(_Listener(run, getting_on))
    try:
        yield
    finally:
        _listener.reset(token)
