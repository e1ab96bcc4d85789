"""The station-days of a window, with the files that each reads: made from HOLDINGS when asked for."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from seisflow.archive.stations import holds_responses
from seisflow.archive.stationxml import response_digest
from seisflow.keys import StationDay, Window, day_label
from seisflow.run.units import Unit, digest
from seisflow.storage import open_place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from seisflow.run.holdings import Holdings
    from seisflow.workflow import Workflow

__all__ = ["StationDays"]

DAY = np.timedelta64(1, "D")
CODE = ["network", "station"]
BLOCK_DAYS = 10
"""Days whose holdings are in memory together: few, as each station-day has several files."""

Code = tuple[str, str]


class _Files(NamedTuple):
    """The files of a station on one day, and how many channel groups lie in them."""

    uris: tuple[str, ...]
    n_bytes: int
    label: str
    """Name and size of each: what tells whether a file has changed, wherever the archive lies."""
    channel_groups: int


NONE = _Files((), 0, "", 0)
Block = dict[int, dict[Code, _Files]]
"""The files of some days, by day since 1970 and station."""


class StationDays:
    """The station-days of a workflow.

    Parameters
    ----------
    workflow : Workflow
    holdings : Holdings
        Also of the days beside the period, from which margins are read.
    reach_s : float
        Seconds that a station-day reads beyond its window.
    """

    def __init__(self, workflow: Workflow, holdings: Holdings, reach_s: float) -> None:
        self.workflow = workflow
        self.holdings = holdings
        self.reach_s = reach_s
        self._block = lru_cache(maxsize=3)(self._read_block)  # a window reads the days beside it
        self._codes = lru_cache(maxsize=2)(self._read_codes)
        self._responses = lru_cache(maxsize=None)(self._responses_of)

    def names(self, window: Window) -> list[str]:
        """Return the names of the station-days of a window, sorted by network and station."""
        day, label = _number(window.start), day_label(window)
        codes = self._codes(day // BLOCK_DAYS).get(day, ())
        return [f"{network}.{station}.{label}" for network, station in codes]

    def units(self, window: Window) -> list[Unit]:
        """Return the station-days of a window, sorted by network and station."""
        day = _number(window.start)
        touched = set(map(_number, window.widened(self.reach_s).days()))
        before, own, after = (
            self._block(number // BLOCK_DAYS).get(number, {}) if number in touched else {}
            for number in (day - 1, day, day + 1)
        )
        beside = [
            (files, Window.of_day(window.start + step))
            for number, files, step in ((day - 1, before, -DAY), (day + 1, after, DAY))
            if number in touched
        ]
        label = day_label(window)
        units = []
        for code, files in own.items():
            earlier, later = before.get(code, NONE), after.get(code, NONE)
            complete = earlier is not NONE and later is not NONE
            unread = () if complete else tuple(other for there, other in beside if code not in there)
            unit = Unit(
                StationDay(*code, window),
                f"{code[0]}.{code[1]}.{label}",
                tuple(dict.fromkeys(earlier.uris + files.uris + later.uris)),  # one may span midnight
                digest((self._responses(*code), earlier.label, files.label, later.label)),
                earlier.n_bytes + files.n_bytes + later.n_bytes,
                max(len(files.uris), 3 * files.channel_groups),
                unread,
            )
            units.append(unit)
        return units

    def _responses_of(self, network: str, station: str) -> str:
        """Return a hash of the responses of a station where the result depends on them, else ''."""
        workflow = self.workflow
        inventory = workflow.stations.inventory
        wants = workflow.preparation.remove_response != "none" or workflow.wants_responses
        if not (wants and holds_responses(inventory)):
            return ""
        if "://" in inventory:
            return digest([inventory])
        return response_digest(open_place(inventory), network, station)

    def _read_codes(self, number: int) -> dict[int, list[Code]]:
        """Read which stations have data on `BLOCK_DAYS` days, sorted."""
        first = np.datetime64(number * BLOCK_DAYS, "D")
        rows = self.holdings.between(first, first + (BLOCK_DAYS - 1) * DAY, ["day", *CODE])
        codes: dict[int, list[Code]] = {}
        if len(rows):
            days = rows.column("day").cast(pa.int32()).to_numpy()
            starts = _starts(rows, days)
            for day, code in zip(days[starts].tolist(), _codes(rows, starts), strict=True):
                codes.setdefault(day, []).append(code)
        return codes

    def _read_block(self, number: int) -> Block:
        """Read the holdings of `BLOCK_DAYS` days."""
        first = np.datetime64(number * BLOCK_DAYS, "D")
        rows = self.holdings.between(first, first + (BLOCK_DAYS - 1) * DAY)
        if not len(rows):
            return {}
        days = rows.column("day").cast(pa.int32()).to_numpy()
        starts = _starts(rows, days)
        stops = np.append(starts[1:], len(days))
        begins_group = _begins_text(rows, "location") | _begins_text(rows, "band")
        begins_group[starts] = True
        groups = np.add.reduceat(begins_group.astype(np.int64), starts)
        uris, sizes = rows.column("uri").to_pylist(), rows.column("n_bytes").to_pylist()
        labels = [f"{uri[uri.rfind('/') + 1 :]} {size}" for uri, size in zip(uris, sizes, strict=True)]
        columns = (column.tolist() for column in (days[starts], starts, stops, groups))
        block: Block = {}
        for code, day, start, stop, n_groups in zip(_codes(rows, starts), *columns, strict=True):
            files = dict(zip(uris[start:stop], sizes[start:stop], strict=True))
            label = "\n".join(labels[start:stop])
            block.setdefault(day, {})[code] = _Files(tuple(files), sum(files.values()), label, n_groups)
        return block


def _starts(rows: pa.Table, days: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return where the rows of a station-day begin."""
    return np.flatnonzero(_begins(days) | _begins_text(rows, "network") | _begins_text(rows, "station"))


def _codes(rows: pa.Table, starts: NDArray[np.int64]) -> Iterator[Code]:
    """Return network and station of some rows."""
    return zip(*(column.to_pylist() for column in rows.select(CODE).take(starts).columns), strict=True)


def _begins(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where a value differs from the one before it."""
    return np.append(True, values[1:] != values[:-1])


def _begins_text(rows: pa.Table, name: str) -> NDArray[np.bool_]:
    """Return where a text of a column differs from the one before it."""
    return _begins(rows.column(name).combine_chunks().dictionary_encode().indices.to_numpy())


def _number(time: np.datetime64) -> int:
    """Return the UTC day of a time as days since 1970."""
    return int(time.astype("datetime64[D]").astype(int))
