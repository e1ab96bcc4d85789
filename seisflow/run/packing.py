"""Jobs and outcomes as bytes, as driver and workers send them to each other: column by column.

Pickle asks every named tuple anew how it is made, which costs more than its content. Here a list of
them travels as its columns, and what many share, as a window or the name of a stage, once.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import Any, TypeVar

from seisflow.keys import NetworkDay, StationDay
from seisflow.run.ledger import Entry
from seisflow.run.task import Result
from seisflow.run.units import Job, Unit

__all__ = ["pack_jobs", "pack_result", "unpack_jobs", "unpack_result"]

Row = TypeVar("Row", Job, Unit, Entry)

_of_station_day = attrgetter("network", "station", "window")
_of_network_day = attrgetter("window")


def pack_jobs(jobs: Sequence[Job]) -> bytes:
    """Return jobs of one stage as bytes."""
    return pickle.dumps(_job_columns(jobs), pickle.HIGHEST_PROTOCOL)


def unpack_jobs(packed: bytes) -> list[Job]:
    """Return the jobs that `pack_jobs` was given."""
    return _jobs(pickle.loads(packed))


def pack_result(result: Result) -> bytes:
    """Return what a task reports as bytes."""
    rest = replace(result, entries=[], again=[])
    many = _columns(result.entries), _job_columns(result.again)
    return pickle.dumps((rest, *many), pickle.HIGHEST_PROTOCOL)


def unpack_result(packed: bytes) -> Result:
    """Return the result that `pack_result` was given."""
    rest: Result
    rest, entries, again = pickle.loads(packed)
    return replace(rest, entries=_rows(Entry, entries), again=_jobs(again))


def _columns(rows: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True))


def _rows(kind: type[Row], columns: Sequence[Sequence[Any]]) -> list[Row]:
    """Return the rows of some columns; a named tuple adds nothing to how a tuple is made."""
    return list(map(partial(tuple.__new__, kind), zip(*columns, strict=True)))


def _job_columns(jobs: Sequence[Job]) -> tuple[type, Any, Any, Any]:
    """Return kind and fields of the keys, the other columns of the units, the other columns of the jobs."""
    units, *of_jobs = _columns(jobs) or [()]
    keys, *of_units = _columns(units) or [()]
    kind = type(keys[0]) if keys else NetworkDay
    fields = list(map(_of_station_day if kind is StationDay else _of_network_day, keys))
    return kind, fields, of_units, of_jobs


def _jobs(packed: tuple[type, Any, Any, Any]) -> list[Job]:
    kind, fields, of_units, of_jobs = packed
    if not fields:
        return []
    keys = (StationDay(*own) for own in fields) if kind is StationDay else map(NetworkDay, fields)
    return _rows(Job, [_rows(Unit, [list(keys), *of_units]), *of_jobs])
