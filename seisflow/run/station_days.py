"""The station-days of a window, with the files that each reads: made from HOLDINGS when asked for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from seisflow.keys import StationDay, Window
from seisflow.run.units import Unit, digest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seisflow.run.holdings import Holdings
    from seisflow.workflow import Workflow

__all__ = ["StationDays"]

DAY = np.timedelta64(1, "D")
BLOCK_DAYS = 10
"""Days whose holdings are in memory together: few, as each station-day has several files."""

Code = tuple[str, str]


@dataclass(frozen=True)
class _Block:
    """The files of some days: `groups` says by day and station which rows are its own."""

    groups: dict[int, dict[Code, tuple[int, int]]]
    uris: list[str]
    n_bytes: list[int]
    channel_groups: NDArray[np.int64]

    def files(self, day: int, code: Code) -> list[tuple[str, int]]:
        start, stop = self.groups.get(day, {}).get(code, (0, 0))
        return list(zip(self.uris[start:stop], self.n_bytes[start:stop], strict=True))


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
        self._block = lru_cache(maxsize=2)(self._read_block)

    def names(self, window: Window) -> list[str]:
        """Return the names of the station-days of a window, sorted by network and station."""
        return [str(StationDay(*code, window)) for code in self._codes(window)]

    def units(self, window: Window) -> list[Unit]:
        """Return the station-days of a window, sorted by network and station."""
        day = _number(window.start)
        block = self._block(day // BLOCK_DAYS)
        wide = window.widened(self.reach_s)
        near = [number for number in (day - 1, day, day + 1) if number in set(map(_number, wide.days()))]
        units = []
        for code in self._codes(window):
            found = sorted({file for number in near for file in block.files(number, code)})
            own = block.groups[day][code]
            units.append(
                Unit(
                    StationDay(*code, window),
                    uris=tuple(uri for uri, _ in found),
                    inputs=self._inputs(found),
                    n_bytes=sum(size for _, size in found),
                    n_channels=max(own[1] - own[0], 3 * int(block.channel_groups[own[0]])),
                )
            )
        return units

    @cached_property
    def responses(self) -> str:
        """Hash of the inventory where the waveforms depend on its responses, else ''."""
        inventory = self.workflow.stations.inventory
        if self.workflow.preparation.remove_response == "none":
            return ""
        if "://" in inventory:
            return digest([inventory])
        path = Path(inventory)
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        return digest(hashlib.blake2b(file.read_bytes()).hexdigest() for file in files)

    def _inputs(self, files: list[tuple[str, int]]) -> str:
        """Return a hash of the files by name and size: an archive that moved is the same archive."""
        return digest([self.responses, *((uri.rsplit("/", 1)[-1], n_bytes) for uri, n_bytes in files)])

    def _codes(self, window: Window) -> list[Code]:
        day = _number(window.start)
        return list(self._block(day // BLOCK_DAYS).groups.get(day, {}))

    def _read_block(self, number: int) -> _Block:
        """Read the holdings of `BLOCK_DAYS` days and of the days beside them."""
        first = np.datetime64(number * BLOCK_DAYS, "D")
        rows = self.holdings.between(first - DAY, first + (BLOCK_DAYS * DAY))
        days = rows.column("day").cast(pa.int32()).to_numpy()
        names = {name: _codes_of(rows.column(name)) for name in ("network", "station", "location", "band")}
        change = np.flatnonzero((np.diff(days) != 0) | _differ(names["network"]) | _differ(names["station"]))
        starts = np.concatenate([[0], change + 1])[: len(days)].astype(np.int64)
        stops = np.concatenate([starts[1:], [len(days)]])[: len(starts)].astype(np.int64)
        channel_groups = np.zeros(len(days), np.int64)
        if len(days):
            new = np.concatenate([[True], _differ(names["location"]) | _differ(names["band"])])
            new[starts] = True
            channel_groups[starts] = np.add.reduceat(new.astype(np.int64), starts)
        groups: dict[int, dict[Code, tuple[int, int]]] = {}
        first_rows = rows.select(["network", "station"]).take(starts)
        codes = zip(*(column.to_pylist() for column in first_rows.columns), strict=True)
        for day, code, start, stop in zip(
            days[starts].tolist(), codes, starts.tolist(), stops.tolist(), strict=True
        ):
            groups.setdefault(day, {})[code] = (start, stop)
        uris, sizes = rows.column("uri").to_pylist(), rows.column("n_bytes").to_pylist()
        return _Block(groups, uris, sizes, channel_groups)


def _number(time: np.datetime64) -> int:
    """Return the UTC day of a time as days since 1970."""
    return int(time.astype("datetime64[D]").astype(int))


def _codes_of(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return a number for each text of a column, the same for equal texts."""
    encoded = column.combine_chunks().dictionary_encode()
    numbers: NDArray[np.int64] = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return numbers


def _differ(values: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return where a value differs from the one before it."""
    differ: NDArray[np.bool_] = np.diff(values) != 0
    return differ
