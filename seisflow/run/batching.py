"""How many units share a task: as many as take about a minute, by the seconds measured in the run."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["BatchSize"]

FORGETTING = 0.1
SHORTEST_S = 0.1
"""Seconds of a task that it pays to hand to a worker: what tasks cost beside their work is some hundredth."""


@dataclass
class BatchSize:
    """The number of units of a stage that go into the next task.

    Parameters
    ----------
    task_s : float
        Seconds that a task should take.
    most : int
        Units of a task at most: what a dead worker loses, and what waits in memory to be written.
    """

    task_s: float
    most: int
    mean_s: float = 0.0
    """Running mean of the seconds a unit takes; recent tasks count more."""
    largest: int = 0
    """Units of the largest task that ended."""
    tasks: int = 0

    def note(self, n_units: int, seconds: float) -> None:
        """Take in what a task took."""
        self.tasks += 1
        self.mean_s += (seconds / n_units - self.mean_s) * max(FORGETTING, 1.0 / self.tasks)
        self.largest = max(self.largest, n_units)

    def size(self, left: int, slots: int) -> int:
        """Return the number of units for the next task.

        Parameters
        ----------
        left : int
            Units of the stage that are in no task yet.
        slots : int
            Tasks that run or wait at the workers at once: two a thread. What is left is shared among
            them, so that no worker is idle while another has a long task; but a task that would be over
            at once takes more.
        """
        fitting = math.inf if self.mean_s == 0.0 else self.task_s / self.mean_s
        worthwhile = 0.0 if self.mean_s == 0.0 else SHORTEST_S / self.mean_s
        share = max(math.ceil(left / max(slots, 1)), worthwhile)
        return max(1, int(min(fitting, share, self.most, max(1, 2 * self.largest))))
