"""Memory of a worker process: what a unit took at most, and what there is for one."""

from __future__ import annotations

import os
import re
import resource

from seisflow.errors import OutOfMemoryError
from seisflow.run.stages import Stage
from seisflow.run.units import Unit

__all__ = ["available_mb", "check_fits", "peak_mb", "reset_peak"]

STATUS, CLEAR = "/proc/self/status", "/proc/self/clear_refs"
STATUS_BYTES = 4096
PEAK_KB = re.compile(rb"^VmHWM:\s+(\d+) kB", re.MULTILINE)
RESET_PEAK = b"5"  # proc(5): sets the peak resident set to its present size
USABLE = 0.95  # of its limit; a nanny ends a worker that goes beyond


def reset_peak() -> None:
    """Let `peak_mb` start anew, where the system can do that: on Linux."""
    try:
        file = os.open(CLEAR, os.O_WRONLY)
    except OSError:  # another system, or a container that forbids it: the peak is that of the process
        return
    try:
        os.write(file, RESET_PEAK)
    finally:
        os.close(file)


def peak_mb() -> float:
    """Return the peak resident memory of this process since `reset_peak`, MB; threads share it."""
    try:
        file = os.open(STATUS, os.O_RDONLY)
    except OSError:
        found = None
    else:
        try:
            found = PEAK_KB.search(os.read(file, STATUS_BYTES))
        finally:
            os.close(file)
    kilobytes = int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes * 1024 / 1e6


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
