"""The feed: tells whoever watches how far the run is, and never gets in its way.

The driver hands over its tally after every task, which costs next to nothing. Each sink (the store,
the scheduler, the terminal) has a thread of its own that takes a snapshot when something changed, not
more often than the sink can bear. A sink that fails or hangs is left alone: the run does not notice.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Self

from seisflow.errors import LeaseError
from seisflow.run.snapshot import (
    LONGEST_ERROR,
    Phase,
    Snapshot,
    StageProgress,
    failures_of,
    slowest_of,
    utc_now,
)

if TYPE_CHECKING:
    from distributed import Client

    from seisflow.run.store import Store
    from seisflow.run.tally import Tally

__all__ = ["PROGRESS", "TOPIC", "Feed", "Pace", "Sink", "run_id"]

PROGRESS = "progress.json"
"""Key of the snapshot in the store."""
TOPIC = "seisflow"
"""Topic of the scheduler's events under which snapshots are logged."""

DISK_EVERY_S = 1.0
REMOTE_EVERY_S = 10.0
SCHEDULER_EVERY_S = 1.0
SCREEN_EVERY_S = 0.5
HEARTBEAT_S = 10.0
"""A snapshot goes out this often also when nothing changed: it says that the driver lives."""
PATIENCE_S = 10.0
"""How long the end of a run waits for the last snapshot to be delivered."""

RATE_OVER_S = 300.0
RATE_OVER_UNITS = 20

log = logging.getLogger("seisflow.feed")


class Pace:
    """Units per second: over the last `RATE_OVER_S`, or `RATE_OVER_UNITS` where these took longer."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int]] = deque()

    def rate_per_s(self, now_s: float, units: int) -> float | None:
        """Return the rate, given that `units` are done at `now_s`; None before the first."""
        marks = self._marks
        if marks and marks[-1][1] > units:  # the plan is executed again, and counted from nothing
            marks.clear()
        if not marks or marks[-1][1] != units:
            marks.append((now_s, units))
        while (
            len(marks) > 2 and now_s - marks[1][0] >= RATE_OVER_S and units - marks[1][1] >= RATE_OVER_UNITS
        ):
            marks.popleft()
        since_s, before = marks[0]
        if units == before or now_s <= since_s:
            return None
        return round((units - before) / (now_s - since_s), 6)


@dataclass
class Sink:
    """Delivers snapshots in a thread of its own: the newest, at most every `every_s`, the last always."""

    name: str
    deliver: Callable[[Snapshot], None]
    every_s: float
    take: Callable[[], Snapshot]
    _changed: threading.Event = field(default_factory=threading.Event)
    _closing: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _failing: bool = False

    def start(self) -> None:
        """Start the thread; it never keeps a process alive."""
        self._thread = threading.Thread(target=self._pump, name=f"seisflow-feed-{self.name}", daemon=True)
        self._thread.start()

    def notify(self) -> None:
        """Say that there is something new."""
        if not self._changed.is_set():
            self._changed.set()

    def close(self) -> None:
        """Ask for the last delivery."""
        self._closing.set()
        self._changed.set()

    def join(self, until_s: float) -> None:
        """Wait for the last delivery, not longer than until a time of the monotonic clock."""
        if self._thread is None:
            return
        self._thread.join(max(0.0, until_s - time.monotonic()))
        if self._thread.is_alive():
            log.warning("progress: the %s does not answer; its last snapshot is not delivered", self.name)

    def _pump(self) -> None:
        while not self._closing.is_set():
            self._changed.wait(HEARTBEAT_S)
            if self._closing.is_set():
                break
            self._changed.clear()
            self._try()
            self._closing.wait(self.every_s)
        self._try()

    def _try(self) -> None:
        """Deliver once; an error is told when it begins and when it ends, and has no other effect."""
        try:
            self.deliver(self.take())
        except Exception as error:
            if not self._failing:
                log.warning("progress: the %s can not be told (%s); the run goes on", self.name, error)
            self._failing = True
        else:
            if self._failing:
                log.warning("progress: the %s is told again", self.name)
            self._failing = False


class Feed:
    """Tells sinks how far a run is, while its ``with`` block lasts.

    Parameters
    ----------
    name : str
        Name of the workflow.
    store : Store
        Gets ``progress.json``.
    client : callable, optional
        Gives the `distributed.Client` there is now, or None; its scheduler gets the snapshots as events
        of the topic ``seisflow``.
    show : callable, optional
        Called with snapshots, from a thread: the terminal.
    check : callable, optional
        Raises a `LeaseError` once the run is another driver's: the store is then left alone.
    """

    def __init__(
        self,
        name: str,
        store: Store,
        client: Callable[[], Client | None] = lambda: None,
        show: Callable[[Snapshot], None] | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._name, self._run = name, run_id(store)
        self._store, self._client, self._check = store, client, check
        self._phase: Phase = "scanning"
        self._error = ""
        self._tally: Tally = ()
        self._started = self._moved = utc_now()
        self._settled = -1
        self._paces: dict[str, Pace] = {}
        self._cluster: tuple[int, int] | None = None
        self._asked_s = -math.inf
        self._lock = threading.Lock()
        remote = "://" in str(store.root)
        self._sinks = [Sink("store", self._write, REMOTE_EVERY_S if remote else DISK_EVERY_S, self.snapshot)]
        if client() is not None:
            self._sinks.append(Sink("scheduler", self._log, SCHEDULER_EVERY_S, self.snapshot))
        if show is not None:
            self._sinks.append(Sink("terminal", show, SCREEN_EVERY_S, self.snapshot))

    def __enter__(self) -> Self:
        for sink in self._sinks:
            sink.start()
        self._notify()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._phase = _end(error, left=any(stage.left > 0 for stage in self._tally))
        self._error = "" if error is None else f"{type(error).__name__}: {error}"[:LONGEST_ERROR]
        until_s = time.monotonic() + PATIENCE_S
        for sink in self._sinks:
            sink.close()
        for sink in self._sinks:
            sink.join(until_s)

    def enter(self, phase: Phase) -> None:
        """Say what the driver does from now on."""
        self._phase = phase
        self._notify()

    def update(self, tally: Tally) -> None:
        """Take the newest numbers; the tally may go on changing."""
        self._tally = tally
        self._notify()

    def snapshot(self) -> Snapshot:
        """Return what is known now."""
        with self._lock:
            now_s, updated = time.monotonic(), utc_now()
            tally = tuple(self._tally)
            settled = sum(stage.settled for stage in tally)
            if settled != self._settled:
                self._settled, self._moved = settled, updated
            stages = [
                StageProgress.of_tally(stage, self._rate(stage.name, now_s, stage.computed))
                for stage in tally
            ]
            workers, threads = self._cluster or (None, None)
            return Snapshot(
                run=self._run,
                name=self._name,
                phase=self._phase,
                started=self._started,
                updated=updated,
                moved=self._moved,
                error=self._error,
                stages=tuple(stages),
                # The driver may be adding to these: `dict.copy` is one step of the interpreter.
                failures=failures_of({stage.name: dict.copy(stage.reasons) for stage in tally}),
                slowest=slowest_of(_stations(tally)),
                workers=workers,
                threads=threads,
            )

    def _rate(self, stage: str, now_s: float, computed: int) -> float | None:
        return self._paces.setdefault(stage, Pace()).rate_per_s(now_s, computed)

    def _notify(self) -> None:
        for sink in self._sinks:
            sink.notify()

    def _write(self, snapshot: Snapshot) -> None:
        """Write the snapshot into the store, unless another driver has taken the run over."""
        try:
            self._check()
        except LeaseError:
            return
        self._store.write_json(PROGRESS, snapshot.as_json())

    def _log(self, snapshot: Snapshot) -> None:
        """Log the snapshot as an event, and now and then ask how many workers there are."""
        client = self._client()
        if client is None:
            return
        head = {"run": snapshot.run, "name": snapshot.name, "phase": snapshot.phase}
        # As text, since the scheduler keeps a thousand events: 2 MB, where as objects they take 9.
        client.log_event(TOPIC, head | {"snapshot": json.dumps(snapshot.as_json())})
        if time.monotonic() - self._asked_s >= HEARTBEAT_S:
            threads = client.nthreads()
            self._cluster = len(threads), sum(threads.values())
            self._asked_s = time.monotonic()


def _end(error: BaseException | None, *, left: bool) -> Phase:
    """Return how a run ended, given what ended it and whether there are units without an outcome."""
    if error is None:
        return "stopped" if left else "done"
    return "stopped" if isinstance(error, KeyboardInterrupt | SystemExit | LeaseError) else "failed"


def _stations(tally: Tally) -> Iterator[tuple[str, int, float]]:
    """Yield name, units and seconds of each station."""
    for stage in tally:
        for name, (units, seconds) in dict.copy(stage.stations).items():
            yield name, units, seconds


def run_id(store: Store) -> str:
    """Return the name of a run on a dashboard that several share: a hash of where its store is."""
    return hashlib.blake2b(str(store.root).encode(), digest_size=8).hexdigest()
