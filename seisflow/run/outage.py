"""Outages of the archive: a run pauses until it answers again, and no unit takes the blame.

A unit whose files do not come within their patience is held back. If one of the files that were read
last answers (before the first, the root of the archive), the fault is the unit's own. If not, nothing
more is begun, the archive is asked now and then, and the run ends with an error if patience is over.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from seisflow.errors import ArchiveError, UnreachableError
from seisflow.storage import open_place

if TYPE_CHECKING:
    from seisflow.archive.base import Archive
    from seisflow.run.units import Job

__all__ = ["Held", "Outage"]

ASK_EVERY_S = 5.0
FILES_ASKED_FOR = 3

_log = logging.getLogger(__name__)


class Held(NamedTuple):
    """A unit that is held back: its stage, its job, and what was found."""

    level: int
    job: Job
    reason: str


class Outage:
    """Whether the archive answers, asked only when there is a reason to doubt it.

    Parameters
    ----------
    archive : Archive
        Its `patience_s` is that of the run, too: how long it waits beyond that of the unit.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._held: list[Held] = []
        self._known: deque[str] = deque(maxlen=FILES_ASKED_FOR)
        self._since_s: float | None = None
        self._ask_at_s = 0.0

    def answered(self, uri: str) -> None:
        """Note a file that was read."""
        self._known.append(uri)

    def hold(self, held: Held) -> None:
        """Hold a unit back whose files did not come."""
        self._held.append(held)

    def check(self) -> bool:
        """Return whether units may be begun; the archive is asked at most every `ASK_EVERY_S`.

        Raises
        ------
        UnreachableError
            If it has not answered for as long as its patience.
        """
        if not self._held:
            return True
        now_s = time.monotonic()
        if now_s < self._ask_at_s:
            return False
        found = self._ask()
        if not found:
            self._ask_at_s = 0.0
            return True
        if self._since_s is None:
            self._since_s = now_s
            _log.warning("%s; the run waits until the archive answers", found)
        if now_s - self._since_s >= self._archive.patience_s:
            raise UnreachableError(
                f"the archive {self._archive.root} has not answered for {now_s - self._since_s:.0f} s beyond "
                f"the patience of a unit: {found}. What was done is in the ledger, and no unit is marked as "
                "failed for it; see to network and storage, then run the same command: it goes on where it "
                "stopped"
            )
        self._ask_at_s = now_s + ASK_EVERY_S
        return False

    def release(self) -> tuple[list[Held], bool]:
        """Return the units that were held back, and whether the archive was away, not their files alone."""
        held, self._held = self._held, []
        was_away, self._since_s = self._since_s is not None, None
        return held, was_away

    def _ask(self) -> str:
        """Return why the archive does not answer, '' if it does; that it refuses is an answer, too."""
        found = ""
        for uri in [*self._known] or [""]:
            place = open_place(uri or self._archive.root, self._archive.storage_options, patience_s=0.0)
            try:
                if uri:
                    place.read_bytes(0, 1)
                else:
                    place.is_folder()
            except UnreachableError as error:
                found = str(error)
                continue
            except ArchiveError:
                return ""
            return ""
        return found
