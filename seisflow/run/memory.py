"""Memory of a worker process: what a unit took at most, and what there is for one."""

from __future__ import annotations

import re
import resource
import time
from pathlib import Path

from seisflow.errors import OutOfMemoryError
from seisflow.run.stages import Stage
from seisflow.run.units import Unit

__all__ = ["PeakMemory", "available_mb", "check_fits"]

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
EVERY_S = 0.01
PEAK_KB = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)
RESET_PEAK = "5"  # proc(5): sets the peak resident set to its present size
USABLE = 0.95  # of its limit; a nanny ends a worker that goes beyond


class PeakMemory:
    """The peak resident memory of this process, unit by unit; threads of one process share it.

    Units that end within `EVERY_S` of each other are measured together.
    """

    def __init__(self) -> None:
        self._mb = self._read()
        self._at = time.perf_counter()

    def of_unit(self) -> float:
        """Return the peak since the unit before, MB."""
        if time.perf_counter() - self._at > EVERY_S:
            self._mb = self._read()
            self._at = time.perf_counter()
        return self._mb

    @staticmethod
    def _read() -> float:
        """Return the peak and let it start anew, where the system can do that: on Linux."""
        try:
            found = PEAK_KB.search(STATUS.read_text())
            CLEAR.write_text(RESET_PEAK)
        except OSError:  # another system, or a container that forbids it: the peak is that of the process
            found = None
        kilobytes = int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return round(kilobytes * 1024 / 1e6, 1)


def available_mb() -> float | None:
    """Return the memory that a Dask worker has for one task, MB; None where nobody limits it."""
    from distributed import get_worker

    try:
        worker = get_worker()
    except ValueError:
        return None
    limit = worker.memory_manager.memory_limit
    return None if not limit else USABLE * limit / 1e6 / worker.state.nthreads


def check_fits(stage: Stage, unit: Unit, limit_mb: float | None) -> None:
    """Raise an `OutOfMemoryError` if a unit needs more memory than there is: before it kills the worker."""
    if limit_mb is None:
        return
    needed_mb = stage.memory_mb(unit)
    if needed_mb > limit_mb:
        raise OutOfMemoryError(
            f"needs about {needed_mb:.0f} MB, workers have {limit_mb:.0f} MB for a unit; "
            "give them more (deployment.memory_gb) or fewer threads"
        )
