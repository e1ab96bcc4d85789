"""The lease: one driver at a time holds a run.

The lease is an object that only one process can create and that is replaced only by who has seen its
last content. Its holder renews it. Nobody compares the clocks of two machines: a driver that finds
the lease held from elsewhere watches it, and takes it over once nothing has changed for `EXPIRY_S` of
its own clock. On the same machine it sees whether the holder's process lives. Every holder has a
number one above that of the holder before; it orders the rows of the ledger, so that what a driver
writes after it lost the run counts for nothing.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from seisflow.errors import LeaseError, SeisflowError
from seisflow.run.store import Store
from seisflow.storage.objects import Stamped

__all__ = ["Lease", "holder"]

KEY = "lease.json"
EXPIRY_S = 60.0
RENEWAL_S = 15.0
LOOK_S = 1.0
ATTEMPTS = 1000

_here: set[str] = set()
"""Tokens of the leases that drivers in this process hold; a full disk keeps them from saying otherwise."""


def _say(message: str) -> None:
    logging.getLogger("seisflow").warning("%s", message)


@dataclass
class Lease:
    """Holds a run while the ``with`` block lasts.

    Parameters
    ----------
    store : Store
    say : callable, optional
        Told why the driver waits, and what stands in the way of renewals; logs it unless given.

    Attributes
    ----------
    generation : int
        Number of this holder, one above that of the holder before.

    Raises
    ------
    LeaseError
        On entering, if another living driver holds the run; it names host, process and age.
    """

    store: Store
    say: Callable[[str], None] = _say
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    generation: int = 0
    _stamp: str = ""
    _renewals: int = 0
    _renewed: float = 0.0
    _lost: bool = False
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        _here.add(self.token)
        try:
            while not self._try():
                pass
        except BaseException:
            _here.discard(self.token)
            raise
        threading.Thread(target=self._keep, name="seisflow-lease", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        with self._lock:
            if not self._lost:
                self._swap(released=True)
        _here.discard(self.token)

    def order(self, attempt: int) -> int:
        """Return the `order` of a ledger row: rows of a later driver, then of a later attempt, are newer."""
        return self.generation * ATTEMPTS + min(attempt, ATTEMPTS - 1)

    def check(self) -> None:
        """Raise a `LeaseError` if another driver has taken the run over: two must never write."""
        with self._lock:
            if not self._lost and _clock() - self._renewed > EXPIRY_S:
                self._swap()  # slept: others may have taken it over, or may be about to
            if self._lost:
                raise LeaseError(
                    f"another driver took over {self.store.root} while this one slept or was cut off "
                    f"for more than {EXPIRY_S:.0f} s; what was done is kept"
                )

    def _try(self) -> bool:
        """Try once to get the lease; return False if others were quicker at what was tried."""
        found = _look(self.store)
        if found is None:
            self.generation = 1
            return self._own(self.store.create(KEY, self._content()))
        content = _parsed(found)
        self.generation = int(content.get("generation", 0)) + 1
        if not content.get("released"):
            if _is_alive(content):
                raise LeaseError(self._held(content))
            if _is_alive(content) is None:
                self._watch(found, content)
        return self._own(self.store.replace(KEY, self._content(), found.stamp))

    def _own(self, won: bool) -> bool:
        """Note a lease that was just written."""
        if won:
            self._renewed = _clock()
            found = self.store.read_stamped(KEY)
            won = _parsed(found).get("token") == self.token
            self._stamp = found.stamp
        return won

    def _watch(self, found: Stamped, content: dict[str, Any]) -> None:
        """Wait until a lease has not changed for `EXPIRY_S`.

        Raises
        ------
        LeaseError
            If it is renewed meanwhile.
        """
        self.say(
            f"{self.store.root} is or was held by process {content.get('pid')} on {content.get('host')}: "
            f"waiting {EXPIRY_S:.0f} s for a sign of life"
        )
        since = _clock()
        while _clock() - since < EXPIRY_S:
            time.sleep(min(LOOK_S, EXPIRY_S / 10))
            now = _look(self.store)
            if now is None or _parsed(now).get("released"):
                return
            if now.stamp != found.stamp:
                raise LeaseError(self._held(_parsed(now)))

    def _held(self, content: dict[str, Any]) -> str:
        return (
            f"{self.store.root} is held by process {content.get('pid')} on {content.get('host')} "
            f"(renewed {self.store.objects.age_s(KEY):.0f} s ago); wait for it or stop it"
        )

    def _content(self, *, released: bool = False) -> bytes:
        """Return what the lease says; no two are the same."""
        return json.dumps(
            {
                "token": self.token,
                "generation": self.generation,
                "renewals": self._renewals,
                "released": released,
                "host": socket.gethostname(),
                "machine": _machine(),
                "pid": os.getpid(),
                "started_ticks": _start_ticks(os.getpid()),
            }
        ).encode()

    def _keep(self) -> None:
        """Renew the lease until it is given up; what can not be reached is tried again until the expiry."""
        while not self._stop.wait(RENEWAL_S):
            with self._lock:
                if self._lost or self._stop.is_set():
                    return
                self._swap()

    def _swap(self, *, released: bool = False) -> None:
        """Replace the lease that we wrote last by a newer one, or note that it is lost."""
        started = _clock()
        self._renewals += 1
        try:
            self._lost = not self._replaced(self._content(released=released))
        except (SeisflowError, FileNotFoundError) as error:
            self.say(f"the lease could not be renewed: {error}")
            self._lost = started - self._renewed > EXPIRY_S
        else:
            self._renewed = started

    def _replaced(self, content: bytes) -> bool:
        """Replace our lease; also if its last renewal took place though we were told that it failed."""
        if not self.store.replace(KEY, content, self._stamp):
            found = self.store.read_stamped(KEY)
            ours = _parsed(found).get("token") == self.token
            if not (ours and self.store.replace(KEY, content, found.stamp)):
                return False
        return self._own(True)


def holder(store: Store) -> dict[str, Any]:
    """Return who holds a run now, {} where nobody does: host, pid, age_s and what the lease says."""
    found = _look(store)
    if found is None:
        return {}
    content, age_s = _parsed(found), store.objects.age_s(KEY)
    alive = _is_alive(content)
    if content.get("released") or not (age_s < EXPIRY_S if alive is None else alive):
        return {}
    return content | {"age_s": age_s}


def _look(store: Store) -> Stamped | None:
    try:
        return store.read_stamped(KEY)
    except FileNotFoundError:
        return None


def _parsed(found: Stamped) -> dict[str, Any]:
    """Return what a lease says, {} where it can not be read."""
    try:
        content = json.loads(found.content)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _is_alive(content: dict[str, Any]) -> bool | None:
    """Return whether the driver of a lease is at work; None where that can not be seen from here."""
    import psutil

    if content.get("machine") != _machine():
        return None
    try:
        process = psutil.Process(int(content["pid"]))
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return False
        if f"{process.create_time():.2f}" != content.get("started_ticks"):  # a number used again
            return False
        if process.pid == os.getpid():
            return content.get("token") in _here
        return None if process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP) else True
    except psutil.Error:
        return False


def _start_ticks(pid: int) -> str:
    """Return when a process of this machine started."""
    import psutil

    return f"{psutil.Process(pid).create_time():.2f}"


def _machine() -> str:
    """Return what is the same for processes that see each other; a host name may be that of many."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return f"{socket.gethostname()}:{uuid.getnode():x}"


def _clock() -> float:
    """Return seconds that go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
