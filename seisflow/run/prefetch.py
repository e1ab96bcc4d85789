"""Prefetch: the files of the next unit come over the network while the present one computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from seisflow.run.stages import Stage
    from seisflow.run.units import Job

__all__ = ["Prefetch"]

Contents = Mapping[str, bytes]


class Prefetch:
    """Fetches the files of jobs in their order, never more than one unit ahead.

    Parameters
    ----------
    stage : Stage
        Its `fetch` returns the files of a job; its errors are raised where the files are asked for.
    jobs : sequence of Job
    """

    def __init__(self, stage: Stage, jobs: Sequence[Job]) -> None:
        self._stage = stage
        self._jobs = jobs
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="seisflow-prefetch")
        self._next: Future[Contents] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def contents(self, number: int) -> Contents:
        """Return the files of a job, and start to fetch those of the job after it."""
        present, self._next = self._next, None
        try:
            return self._stage.fetch(self._jobs[number]) if present is None else present.result()
        finally:
            following = self._jobs[number + 1 : number + 2]
            if following and self._stage.is_remote(following[0]):
                self._next = self._pool.submit(self._stage.fetch, following[0])
