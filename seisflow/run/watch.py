"""Watching a run from any machine: reads its store again and again until no driver is at work."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from rich.console import Console

from seisflow.errors import StoreError
from seisflow.run.progress import ProgressDisplay, changes, span
from seisflow.run.status import Status, read_status
from seisflow.run.store import Store

__all__ = ["follow", "remark", "summary", "watch_run"]

DISK_EVERY_S = 1.0
REMOTE_EVERY_S = 10.0
PATIENCE_S = 600.0
"""How long a store that does not answer is asked again."""


def watch_run(store: Store, *, as_json: bool = False, pause: Callable[[float], None] = time.sleep) -> Status:
    """Show how far a run is until no driver is at work: a view in a terminal, a line a change elsewhere.

    Parameters
    ----------
    store : Store
    as_json : bool
        Print a line of JSON a change.
    pause : callable, optional
        Waits some seconds.

    Returns
    -------
    Status
        The last one.
    """
    if as_json:
        lines = _JsonLines()
        return follow(store, lines.show, pause)
    with ProgressDisplay(Console(), line_every_s=0.0) as display:
        return follow(store, lambda status, note: display.show(status.progress, note), pause)


def follow(
    store: Store, show: Callable[[Status, str], None], pause: Callable[[float], None] = time.sleep
) -> Status:
    """Read how far a run is again and again until no driver is at work.

    Raises
    ------
    SeisflowError
        If the store holds no run, or does not answer for `PATIENCE_S`.
    """
    every_s = REMOTE_EVERY_S if "://" in store.root else DISK_EVERY_S
    status, answered_s = read_status(store), time.monotonic()
    while True:
        show(status, remark(status))
        if not status.at_work:
            return status
        pause(every_s)
        try:
            status, answered_s = read_status(store), time.monotonic()
        except StoreError as error:
            if time.monotonic() - answered_s > PATIENCE_S:
                raise
            show(status, f"the store does not answer ({error}); trying again")


class _JsonLines:
    """Prints a status in a line when its counts or its phase are others than before."""

    def __init__(self) -> None:
        self._printed: object = None

    def show(self, status: Status, note: str) -> None:
        """Print a status if it differs."""
        seen = changes(status.progress, note)
        if seen != self._printed:
            self._printed = seen
            print(json.dumps(status.as_json()), flush=True)


def remark(status: Status) -> str:
    """Return what is to say of a run that is not through and that nobody works on; '' else."""
    if status.at_work or status.progress.phase == "done":
        return ""
    moved = datetime.fromisoformat(status.progress.moved)
    ago = span((datetime.now(UTC) - moved).total_seconds())
    return f"no driver at work; nothing has moved since {moved:%Y-%m-%d %H:%M:%S} UTC ({ago} ago)"


def summary(status: Status) -> Iterator[str]:
    """Yield the lines that say how far a run is, once."""
    driver = status.driver
    holder = f"held by process {driver['pid']} on {driver['host']}" if driver else "no driver at work"
    yield f"{status.progress.name}: {status.progress.phase}, {remark(status) or holder}"
    for s in status.progress.stages:
        yield f"{s.name:<12} {s.ok + s.empty}/{s.total} done, {s.failed} failed, {s.left} left, {s.rows} rows"
    if status.rejected_files:
        yield f"{status.rejected_files} files could not be read, or not wholly"
