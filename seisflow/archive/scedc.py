"""The public bucket of the Southern California Earthquake Data Center."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any, ClassVar

from seisflow.archive.keys_by_day import (
    ChannelDay,
    DayFolder,
    KeysByDay,
    day_of,
    literal_start,
    shortest_starts,
)
from seisflow.storage import Place

__all__ = ["Scedc"]

_NAME = re.compile(r"(.{2})(.{5})(.{3})(.{2})_(\d{4})(\d{3})\.ms")


class Scedc(KeysByDay):
    """Southern California, s3://scedc-pds: ``continuous_waveforms/YEAR/YEAR_DAY/NNSSSSSCCCLL_YEARDAY.ms``.

    Network (2), station (5), channel (3) and location (2) stand in fixed columns, filled up with
    ``_``. The StationXML of network CI lies in ``FDSNstationXML/CI/CI_STA.xml``, that of stations of
    other networks in ``FDSNstationXML/unauthoritative-XML/``.

    References
    ----------
    https://scedc.caltech.edu/data/cloud.html
    """

    name: ClassVar[str] = "scedc"
    public: ClassVar[dict[str, Any]] = {"anon": True, "client_kwargs": {"region_name": "us-west-2"}}

    root: str = "s3://scedc-pds"
    """Bucket or folder with ``continuous_waveforms/``; any URL that fsspec opens."""

    @classmethod
    def key_of(cls, of: ChannelDay) -> str:
        """Return the key below the root of the file of a channel and day."""
        codes = f"{of.network:_<2}{of.station:_<5}{of.channel:_<3}{of.location:_<2}"
        return f"continuous_waveforms/{of.day:%Y}/{of.day:%Y_%j}/{codes}_{of.day:%Y%j}.ms"

    @classmethod
    def parse_name(cls, name: str) -> ChannelDay:
        """Return what the name of a file says it holds; ValueError says what is wrong with it."""
        columns = _NAME.fullmatch(name)
        if columns is None:
            raise ValueError(f"'{name}' is no SCEDC name, NNSSSSSCCCLL_YEARDAY.ms")
        network, station, channel, location = (part.rstrip("_") for part in columns.groups()[:4])
        if not all(code.isalnum() for code in (network, station, channel)) or not (location or "0").isalnum():
            raise ValueError(f"'{name}' is no SCEDC name: the codes in it are no SEED codes")
        return ChannelDay(network, station, location, channel, day_of(columns[5], columns[6], name))

    def _day_folders(
        self, root: Place, days: Sequence[date], stations: Sequence[str] | None, pool: ThreadPoolExecutor
    ) -> Iterable[DayFolder]:
        del pool
        starts = shortest_starts(_start(pattern) for pattern in stations or ["*"])
        for day in days:
            yield DayFolder(root.below(f"{day:%Y}/{day:%Y_%j}"), day, starts)


def _start(pattern: str) -> str:
    """Return how the names of the files of a pattern ``NET.STA`` begin."""
    network, _, station = pattern.partition(".")
    start = literal_start(network)
    if start != network or not station:
        return start
    known = literal_start(station)
    return f"{network:_<2}{known if known != station else f'{station:_<5}'}"
