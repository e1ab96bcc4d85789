"""The lease: one driver at a time holds a run.

The lease is a file that only one process can create. Its holder renews it; when it has not been
renewed for `EXPIRY_S`, or its process on this host is gone, another driver may take it over.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from seisflow.errors import LeaseError

__all__ = ["Lease"]

EXPIRY_S = 60.0
RENEWAL_S = 15.0


@dataclass
class Lease:
    """Holds a run while the ``with`` block lasts.

    Raises
    ------
    LeaseError
        On entering, if another living driver holds the run; it names host, process and age.
    """

    path: Path
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    lost: bool = False
    """Whether another driver took the lease over, after this one slept past the expiry."""
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self._create():
            self._take_over()
        threading.Thread(target=self._renew, name="seisflow-lease", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if holder(self.path).get("token") == self.token:
            self.path.unlink(missing_ok=True)

    def check(self) -> None:
        """Raise a `LeaseError` if another driver has taken the run over: two must never write."""
        if self.lost:
            raise LeaseError(
                f"another driver took over {self.path.parent} while this one slept for more than "
                f"{EXPIRY_S:.0f} s; what was done is kept"
            )

    def _content(self) -> str:
        me = {"token": self.token, "host": socket.gethostname(), "pid": os.getpid(), "renewed": time.time()}
        return json.dumps(me | {"started_ticks": _start_ticks(os.getpid())})

    def _create(self) -> bool:
        """Create the lease with its content at once: a link is atomic and fails where it exists."""
        draft = self.path.with_name(f".{self.path.name}.{self.token}")
        draft.write_text(self._content())
        try:
            os.link(draft, self.path)
        except FileExistsError:
            return False
        finally:
            draft.unlink()
        return True

    def _take_over(self) -> None:
        """Replace a lease whose holder is gone; of several drivers that try, one succeeds."""
        found = holder(self.path)
        if alive(found):
            age_s = time.time() - found.get("renewed", 0.0)
            raise LeaseError(
                f"{self.path.parent} is held by process {found.get('pid')} on {found.get('host')} "
                f"(renewed {age_s:.0f} s ago); wait for it or stop it"
            )
        stale = self.path.with_name(f".{self.path.name}.stale-{found.get('token', 'unreadable')}")
        try:
            os.link(self.path, stale)  # exclusive: only one driver may bury this holder
        except (FileExistsError, FileNotFoundError):
            pass
        else:
            if holder(stale).get("token") == found.get("token"):  # not yet replaced by another driver
                self.path.unlink(missing_ok=True)
            stale.unlink()
        if not self._create():
            raise LeaseError(f"another driver took over {self.path.parent} a moment ago; wait for it")

    def _renew(self) -> None:
        while not self._stop.wait(RENEWAL_S):
            if holder(self.path).get("token") != self.token:
                self.lost = True
                return
            draft = self.path.with_name(f".{self.path.name}.{self.token}")
            draft.write_text(self._content())
            draft.replace(self.path)


def holder(path: Path) -> dict[str, Any]:
    """Return who holds a lease, {} where nobody does."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found


def alive(found: dict[str, Any]) -> bool:
    """Return whether the holder of a lease is still at work."""
    if not found or time.time() - found.get("renewed", 0.0) > EXPIRY_S:
        return False
    if found.get("host") != socket.gethostname():
        return True
    ticks = _start_ticks(int(found["pid"]))
    return ticks is not None and ticks == found.get("started_ticks")


def _start_ticks(pid: int) -> str | None:
    """Return when a process of this host started, so that a reused process number is not mistaken for it."""
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return f"{process.create_time():.2f}"
    except psutil.Error:
        return None
