"""Patience with storage: what may pass is tried again, for a bounded time; all else ends at once.

The waits grow twofold and are drawn evenly between nothing and the bound ("full jitter"), so that a
thousand workers that were refused in the same moment do not come back in the same moment.

References
----------
Brooker, M. (2015). Exponential backoff and jitter. AWS Architecture Blog.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import Literal, TypeVar

from seisflow.errors import SeisflowError
from seisflow.storage.failures import Meaning, failure_of

__all__ = ["PATIENCE_S", "retrying"]

_LOG = logging.getLogger(__name__)
_Result = TypeVar("_Result")

PATIENCE_S = 300.0
"""How long storage that fails for a while is tried again, unless the caller says otherwise."""
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 20.0
_DOUBLINGS = 10
_CHANCE = random.SystemRandom()  # seeds set for a computation must not make workers wait in step


def retrying(
    operation: Callable[[], _Result],
    uri: str,
    *,
    doing: Literal["read", "listed", "written", "deleted"] = "read",
    patience_s: float = PATIENCE_S,
) -> _Result:
    """Return what an operation on storage returns; try again while it fails for reasons that pass.

    Those are answers 5xx, 408 and 429, SlowDown and throttling, resets, refused connections, stalls that
    the timeouts of the client end, and bodies that end too early.

    Parameters
    ----------
    operation : callable without parameters
        May run several times. A write on a condition (If-None-Match) that is tried again after its
        answer was lost meets its own first success as a conflict: compare the content then.
    uri : str
        What it works on, for the error.
    doing : {"read", "listed", "written", "deleted"}
        For the error.
    patience_s : float
        How long after the first attempt the last one may begin.

    Raises
    ------
    AccessError
        At once, if storage refuses; says what to do.
    MissingFileError
        At once, if there is nothing of that name.
    ConflictError
        At once, if a condition of the request does not hold.
    UnreachableError
        If patience is at its end.
    ArchiveError
        For any other failure. Every `SeisflowError` is passed on.
    """
    start = time.monotonic()
    attempt = 0
    while True:
        try:
            return operation()
        except SeisflowError:
            raise
        except Exception as error:  # each library has a family of its own
            failure = failure_of(error)
            waited_s = time.monotonic() - start
            if failure.meaning is not Meaning.TRANSIENT or waited_s >= patience_s:
                story = f"{uri} can not be {doing}: {failure.reason}"
                if failure.meaning is Meaning.TRANSIENT:
                    story += f"; given up after {attempt + 1} attempts in {waited_s:.0f} s"
                raise failure.error_type("; ".join(filter(None, [story, failure.advice]))) from error
            wait_s = min(wait_bound_s(attempt) * _CHANCE.random(), patience_s - waited_s)
            _LOG.info("%s: %s; attempt %d follows in %.1f s", uri, failure.reason, attempt + 2, wait_s)
        time.sleep(wait_s)
        attempt += 1


def wait_bound_s(attempt: int) -> float:
    """Return the longest wait after an attempt, counted from 0."""
    return min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(attempt, _DOUBLINGS))
