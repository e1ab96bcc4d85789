"""A preload that sets the clock of a worker wrong: hours ahead or behind, as the environment says."""

from __future__ import annotations

import os
import time

import numpy as np

from seisflow.run import ledger, task


def dask_setup(worker: object) -> None:
    """Shift what the worker takes for the present time."""
    hours = float(os.environ["SEISFLOW_TEST_SKEW_H"])
    right_now, right_time = ledger.now, time.time

    def now() -> str:
        return str(np.datetime64(right_now(), "us") + np.timedelta64(int(hours * 3600), "s"))

    ledger.now = task.now = now
    time.time = lambda: right_time() + hours * 3600.0
