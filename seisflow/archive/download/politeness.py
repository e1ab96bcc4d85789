"""How hard a data centre may be asked: so many requests at once, so far apart, and none while it rests."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Gate", "StoppedError"]


class StoppedError(Exception):
    """The download is being stopped; nothing more is asked."""


class Gate:
    """The one door through which requests to a data centre go, from all threads.

    Parameters
    ----------
    connections : int
        Requests under way at once, the reading of their answers included.
    requests_per_second : float
        Requests begin at least ``1 / requests_per_second`` apart.
    """

    def __init__(self, connections: int, requests_per_second: float) -> None:
        self._slots = threading.BoundedSemaphore(connections)
        self._lock = threading.Lock()
        self._apart_s = 1.0 / requests_per_second
        self._next = 0.0
        self._stopped = threading.Event()

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Hold one of the connections from the moment it may be used.

        Raises
        ------
        StoppedError
            If the gate was closed.
        """
        with self._slots:
            while (wait_s := self._turn()) > 0:
                self.sleep(wait_s)
            if self._stopped.is_set():
                raise StoppedError
            yield

    def rest(self, seconds: float) -> None:
        """Let no request begin for some time: the data centre asks for it."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)

    def sleep(self, seconds: float) -> None:
        """Wait, unless the gate is closed meanwhile.

        Raises
        ------
        StoppedError
            If it is.
        """
        if self._stopped.wait(seconds):
            raise StoppedError

    def close(self) -> None:
        """Let nothing through any more, and wake up who waits."""
        self._stopped.set()

    def _turn(self) -> float:
        """Take the next turn and return 0, or return how long to wait for it."""
        with self._lock:
            now = time.monotonic()
            if now < self._next:
                return self._next - now
            self._next = now + self._apart_s
            return 0.0
