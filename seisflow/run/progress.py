"""Snapshots on a terminal: a view that is drawn anew in a terminal, lines elsewhere. Workers never print."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from seisflow.run.snapshot import Phase, Snapshot, StageProgress

__all__ = ["ProgressDisplay", "changes", "printable", "span"]

LINE_EVERY_S = 60.0
STALLED_AFTER_S = 900.0
SHOWN_REASONS = 5
SHOWN_STATIONS = 4
COLOURS: dict[Phase, str] = {"done": "green", "stopped": "yellow", "failed": "red"}


class ProgressDisplay:
    """Shows how far a run is, while its ``with`` block lasts.

    Parameters
    ----------
    console : rich.console.Console
    line_every_s : float
        Where the console is no terminal: print a line at most this often, and only when something changed.
    """

    def __init__(self, console: Console, line_every_s: float = LINE_EVERY_S) -> None:
        self._console = console
        self._line_every_s = line_every_s
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._printed_s = time.monotonic() if line_every_s else -line_every_s
        self._printed: tuple[object, ...] = ()
        self._newest: Snapshot | None = None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, snapshot: Snapshot, note: str = "") -> None:
        """Show a snapshot, and a note below it."""
        if self._live:
            self._live.update(view(snapshot, note), refresh=True)
            return
        counts = changes(snapshot, note)
        due = time.monotonic() - self._printed_s >= self._line_every_s or snapshot.ended
        if due and counts != self._printed:
            self._printed, self._printed_s = counts, time.monotonic()
            self._console.print(line(snapshot, note), markup=False, highlight=False, soft_wrap=True)


def view(snapshot: Snapshot, note: str = "") -> RenderableType:
    """Return the picture of a snapshot for a terminal."""
    head = Text.assemble(
        (printable(snapshot.name), "bold"),
        "  ",
        (snapshot.phase, COLOURS.get(snapshot.phase, "cyan")),
        (f"  {_times(snapshot)}", "dim"),
    )
    rows = Table.grid(padding=(0, 2))
    rows.add_column(no_wrap=True)
    rows.add_column(ratio=1, min_width=10, max_width=40)
    for _ in range(5):
        rows.add_column(justify="right", no_wrap=True)
    for stage in snapshot.stages:
        rows.add_row(*_cells(stage, snapshot.ended))
    return Group(head, rows, *_reasons(snapshot), *_slowest(snapshot), *_remarks(snapshot, note))


def line(snapshot: Snapshot, note: str = "") -> str:
    """Return a snapshot in one line, for a log."""
    stages = " · ".join(_summary(stage, snapshot.ended) for stage in snapshot.stages)
    failures = ", ".join(f"{f.units} {printable(f.reason) or 'others'}" for f in snapshot.failures[:2])
    parts = [
        snapshot.phase,
        stages,
        f"failed: {failures}" if failures else "",
        printable(snapshot.error),
        note,
    ]
    return f"{snapshot.updated[:19]}Z {' | '.join(part for part in parts if part)}"


def printable(text: str) -> str:
    """Return a text without characters that could steer a terminal or break a line."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def span(seconds: float) -> str:
    """Return a span of time as people say it."""
    s = max(0, round(seconds))
    if s < 90:
        return f"{s} s"
    if s < 5400:
        return f"{s / 60:.0f} min"
    if s < 48 * 3600:
        return f"{s // 3600} h {s % 3600 // 60} min"
    return f"{s // 86400} d {s % 86400 // 3600} h"


def rate(per_s: float) -> str:
    """Return a rate per second, minute or hour, whichever is a handy number."""
    for factor, unit in ((1.0, "s"), (60.0, "min")):
        if per_s * factor >= 1.0:
            return f"{per_s * factor:.1f}/{unit}"
    return f"{per_s * 3600.0:.1f}/h"


def changes(snapshot: Snapshot, note: str) -> tuple[object, ...]:
    """Return what has to differ for another line to be worth printing."""
    stages = ((s.name, s.total, s.ok, s.empty, s.failed) for s in snapshot.stages)
    return (snapshot.phase, snapshot.error, note, *stages)


def _times(snapshot: Snapshot) -> str:
    """Return how long the run goes or went, and how long it will."""
    took = span(_between_s(snapshot.started, snapshot.updated))
    if snapshot.ended:
        return f"after {took}"
    left = "" if snapshot.eta_s is None else f", {span(snapshot.eta_s)} left"
    workers = "" if snapshot.workers is None else f", {snapshot.workers} workers"
    return f"for {took}{left}{workers}"


def _between_s(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def _cells(stage: StageProgress, ended: bool) -> Iterator[RenderableType]:
    done = stage.total - stage.left
    yield Text(stage.name)
    yield ProgressBar(total=max(stage.total, 1), completed=done)
    yield Text(f"{done:,}/{stage.total:,}")
    yield Text(f"{stage.failed:,} failed", style="red") if stage.failed else Text("")
    yield Text("" if ended or not stage.in_flight else f"{stage.in_flight:,} in flight", style="dim")
    yield Text("" if ended or not stage.left or not stage.rate_per_s else rate(stage.rate_per_s))
    yield Text("" if ended or stage.eta_s is None else f"{span(stage.eta_s)} left")


def _summary(stage: StageProgress, ended: bool) -> str:
    text = f"{stage.name} {stage.total - stage.left}/{stage.total}"
    if stage.failed:
        text += f" ({stage.failed} failed)"
    if not ended and stage.left and stage.rate_per_s:
        text += f" {rate(stage.rate_per_s)}"
    return text if ended or stage.eta_s is None else f"{text}, {span(stage.eta_s)} left"


def _reasons(snapshot: Snapshot) -> Iterator[RenderableType]:
    shown = snapshot.failures[:SHOWN_REASONS]
    for failure in shown:
        reason = printable(failure.reason) or "other reasons"
        yield Text(
            f"{failure.units:>8,} {failure.stage}: {reason}", style="red", no_wrap=True, overflow="ellipsis"
        )
    rest = sum(failure.units for failure in snapshot.failures[SHOWN_REASONS:])
    if rest:
        yield Text(f"{rest:>8,} for other reasons", style="red")


def _slowest(snapshot: Snapshot) -> Iterator[RenderableType]:
    costs = [f"{printable(c.station)} {c.mean_s:.1f} s" for c in snapshot.slowest[:SHOWN_STATIONS]]
    if costs:
        yield Text(f"slowest stations: {', '.join(costs)}", style="dim", no_wrap=True, overflow="ellipsis")


def _remarks(snapshot: Snapshot, note: str) -> Iterator[RenderableType]:
    stalled_s = _between_s(snapshot.moved, snapshot.updated)
    if not snapshot.ended and stalled_s > STALLED_AFTER_S:
        yield Text(f"no unit has ended for {span(stalled_s)}", style="yellow")
    if snapshot.error:
        yield Text(printable(snapshot.error), style="yellow" if snapshot.phase == "stopped" else "red")
    if note:
        yield Text(note, style="yellow")
