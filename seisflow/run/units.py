"""Units of work and jobs: what a task is asked to do, in names, never in arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from seisflow.keys import NetworkDay, StationDay, Window

__all__ = ["Job", "Source", "Unit", "digest"]


@dataclass(frozen=True)
class Source:
    """Where a unit finds rows of the stage above: a unit there and the part that holds its rows."""

    unit: str
    part: str


@dataclass(frozen=True)
class Unit:
    """One unit of work of a stage.

    Attributes
    ----------
    key : StationDay or NetworkDay
    uris : tuple of str
        Files it reads from the archive.
    needs : tuple of str
        Units of the stage above that it waits for.
    inputs : str
        Hash of the archive files it reads; '' for a unit that reads none.
    """

    key: StationDay | NetworkDay
    uris: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    inputs: str = ""

    @property
    def name(self) -> str:
        """The name of the unit in ledger, dashboard and messages."""
        return str(self.key)

    @property
    def window(self) -> Window:
        """The span of time the unit answers for, [start, end)."""
        return self.key.window


@dataclass(frozen=True)
class Job:
    """A unit that is ready: its sources are known."""

    unit: Unit
    sources: tuple[Source, ...] = ()
    inputs: str = ""
    attempt: int = 1
    order: int = 0


def digest(items: Iterable[object]) -> str:
    """Return a hash of the text of some items: 16 hexadecimal digits."""
    state = hashlib.blake2b(digest_size=8)
    for item in items:
        state.update(str(item).encode() + b"\0")
    return state.hexdigest()
