"""Progress: a bar for each stage in a terminal, a line a minute elsewhere. Workers never print."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

from seisflow.run.tally import StageTally

__all__ = ["ProgressDisplay"]

LINE_EVERY_S = 60.0


class ProgressDisplay:
    """Shows how far the stages are, their rate, time left, and failures by reason.

    Parameters
    ----------
    console : rich.console.Console
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.started = self.last_line = time.monotonic()
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description:<12}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeRemainingColumn(),
        )
        self.bars = Progress(*columns, console=console) if console.is_terminal else None
        self.tasks: dict[str, int] = {}

    def __enter__(self) -> Self:
        if self.bars:
            self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bars:
            self.bars.stop()

    def update(self, states: Sequence[StageTally]) -> None:
        """Show the present state of the stages."""
        if self.bars:
            self._move_bars(self.bars, states)
        elif time.monotonic() - self.last_line >= LINE_EVERY_S:
            self.last_line = time.monotonic()
            line = " · ".join(self._line(state) for state in states)
            self.console.print(line, markup=False, highlight=False)

    def _move_bars(self, bars: Progress, states: Sequence[StageTally]) -> None:
        for state in states:
            name = state.name
            if name not in self.tasks:
                self.tasks[name] = bars.add_task(name, total=state.total, note="")
            bars.update(self.tasks[name], completed=state.settled, note=self._note(state))  # type: ignore[arg-type]

    def _line(self, state: StageTally) -> str:
        rate = state.computed / (time.monotonic() - self.started)
        left = state.total - state.settled
        eta = f", {left / rate / 60.0:.0f} min left" if rate > 0 and left else ""
        return f"{state.name} {state.settled}/{state.total}{eta} {self._note(state)}".rstrip()

    def _note(self, state: StageTally) -> str:
        rate = state.computed / max(time.monotonic() - self.started, 1e-3)
        failures = ", ".join(f"{count} {reason}" for reason, count in state.reasons.most_common(2))
        return f"{rate:.1f}/s" + (f" (failed: {failures})" if failures else "")
