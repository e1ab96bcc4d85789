"""Where things lie in a store that `ingest` writes, as keys below its root.

``NETWORK/STATION/YEAR/DAY-OF-YEAR`` is the group of a station-day, written by one task, its document
last; ``LOCATION.CHANNEL`` in it, or ``CHANNEL`` where the location is blank, is the array of a channel, with
``_2``, ``_3`` behind it where rate or sample type change within the day. The manifest, a file a month, lists
what must be there.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "DOCUMENT",
    "MANIFEST",
    "SHARD",
    "ArrayName",
    "array_name",
    "month_key",
    "parent_groups",
    "parse_array_name",
    "parse_code",
    "parse_day",
    "station_day_key",
    "station_key",
]

DOCUMENT = "zarr.json"
SHARD = "c/0"
RUN = "_seisflow"
"""Folder of the ledger and the manifest; no group is called so."""
MANIFEST = f"{RUN}/manifest"


class ArrayName(NamedTuple):
    """What the name of an array says."""

    location: str
    channel: str
    number: int


def station_key(network: str, station: str) -> str:
    """Return the key of the group of a station.

    Examples
    --------
    >>> station_key("Z7", "AAA")
    'Z7/AAA'
    """
    return f"{_escaped(network)}/{_escaped(station)}"


def station_day_key(network: str, station: str, day: np.datetime64) -> str:
    """Return the key of the group of a station-day.

    Examples
    --------
    >>> import numpy as np
    >>> station_day_key("Z7", "AAA", np.datetime64("2014-08-24"))
    'Z7/AAA/2014/236'
    """
    when: date = day.astype("datetime64[D]").item()
    return f"{station_key(network, station)}/{when.year:04d}/{when.timetuple().tm_yday:03d}"


def array_name(location: str, channel: str, number: int = 1) -> str:
    """Return the name of an array in the group of its station-day.

    Examples
    --------
    >>> array_name("00", "HHZ"), array_name("", "HHZ", 2)
    ('00.HHZ', 'HHZ_2')
    """
    name = f"{_escaped(location)}.{_escaped(channel)}" if location else _escaped(channel)
    return name if number == 1 else f"{name}_{number}"


def parse_array_name(name: str) -> ArrayName:
    """Return what the name of an array says: the inverse of `array_name`."""
    codes, _, number = name.partition("_")
    location, _, channel = codes.rpartition(".")
    return ArrayName(parse_code(location), parse_code(channel), int(number or 1))


def parent_groups(array: str) -> list[str]:
    """Return the keys of the groups above a station-day, given the key of one of its arrays.

    Examples
    --------
    >>> parent_groups("Z7/AAA/2014/236/HHZ")
    ['Z7', 'Z7/AAA', 'Z7/AAA/2014']
    """
    network, station, year = array.split("/")[:3]
    return [network, f"{network}/{station}", f"{network}/{station}/{year}"]


def parse_day(year: str, day_of_year: str) -> date:
    """Return the day of a group of a station-day."""
    return date(int(year), 1, 1) + timedelta(days=int(day_of_year) - 1)


def month_key(month: str) -> str:
    """Return the key of the manifest of a month (``2014-08``)."""
    return f"{MANIFEST}/{datetime.strptime(month, '%Y-%m'):%Y-%m}.parquet"


def parse_code(text: str) -> str:
    """Return the code that a part of a key stands for."""
    return re.sub(r"-([0-9A-F]{2})", lambda match: chr(int(match[1], 16)), text.removeprefix("--"))


def _escaped(code: str) -> str:
    """Return a code as part of a key: letters and digits as they are, all else as ``-`` and its number."""
    return re.sub(r"[^A-Za-z0-9]", lambda match: f"-{ord(match[0]):02X}", code) or "--"
