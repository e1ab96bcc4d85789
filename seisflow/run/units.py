"""Units of work and jobs: what a task is asked to do, in names, never in arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from seisflow.keys import NetworkDay, StationDay, Window

__all__ = ["Job", "Source", "Unit", "digest"]


class Source(NamedTuple):
    """Where a unit finds rows of the stage above: a unit there and the part that holds its rows."""

    unit: str
    part: str


class Unit(NamedTuple):
    """One unit of work of a stage.

    Attributes
    ----------
    key : StationDay or NetworkDay
    name : str
        The name of the unit in ledger, dashboard and messages: the text of its key.
    uris : tuple of str
        Files it reads from the archive.
    inputs : str
        Hash of the archive files it reads; '' for a unit that reads none.
    n_bytes : int
        Size of these files.
    n_channels : int
        Channels that lie in them, at most.
    unread : tuple of Window
        Days beside it, within reach, of which the archive names no file of the station: no unit reads
        what lies there.
    """

    key: StationDay | NetworkDay
    name: str
    uris: tuple[str, ...] = ()
    inputs: str = ""
    n_bytes: int = 0
    n_channels: int = 0
    unread: tuple[Window, ...] = ()

    @property
    def window(self) -> Window:
        """The span of time the unit answers for, [start, end)."""
        return self.key.window


class Job(NamedTuple):
    """A unit that is ready: its sources are known.

    Attributes
    ----------
    unit : Unit
    sources : tuple of Source
        Units of the stage above that it reads.
    inputs : str
        Hash of all it is computed from.
    attempt : int
    order : int
        Says of two ledger rows of the unit which is newer; given by the driver.
    """

    unit: Unit
    sources: tuple[Source, ...] = ()
    inputs: str = ""
    attempt: int = 1
    order: int = 0


def digest(items: Iterable[object]) -> str:
    """Return a hash of the text of some items: 16 hexadecimal digits."""
    text = "\0".join(map(str, items)) + "\0"
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
