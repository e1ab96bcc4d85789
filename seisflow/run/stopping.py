"""Stopping: a signal asks the driver to end, and does not tear it out of what it is doing."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["stopping"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[threading.Event]:
    """Call `stop` at the first SIGINT or SIGTERM and set the event that is given; the second interrupts.

    Signals reach the main thread alone; elsewhere (a notebook's worker thread) nothing changes.
    """
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return

    def on_signal(number: int, frame: object) -> None:
        """Stop; at the second signal, at once."""
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()
        stop()

    before = {number: signal.signal(number, on_signal) for number in SIGNALS}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
