"""A preload that sets the clock of a worker wrong: hours ahead or behind, as the environment says."""

from __future__ import annotations

import os

from seisflow.run import ledger, task


def dask_setup(worker: object) -> None:
    """Shift what the worker takes for the present time."""
    hours = float(os.environ["SEISFLOW_TEST_SKEW_H"])
    right_now = ledger.now

    def now() -> int:
        return right_now() + int(hours * 3600 * 1e9)

    ledger.now = task.now = now  # not time.time, by which the event loop of the worker keeps its deadlines
