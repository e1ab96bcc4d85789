"""The records of miniSEED as a service sends them: whose they are, on which day they begin."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

__all__ = ["BrokenContentError", "Record", "by_channel_and_day", "records_of"]

_FIXED_2 = 48
_FIXED_3 = 40
_DAY_NS = 86_400_000_000_000


class BrokenContentError(ValueError):
    """What a service sent is no sequence of whole records."""


class Record(NamedTuple):
    """One record: NET.STA.LOC.CHA, the time of its first sample (ns since 1970), and its bytes."""

    channel_id: str
    start_ns: int
    content: bytes


def by_channel_and_day(records: Iterable[Record]) -> dict[tuple[str, np.datetime64], bytes]:
    """Return the records of each channel that begin on each UTC day, in the order they came.

    A record that came twice is kept once: requests that are split in time both get the record at
    the cut.
    """
    found: dict[tuple[str, int], dict[bytes, None]] = {}
    for record in records:
        found.setdefault((record.channel_id, record.start_ns // _DAY_NS), {})[record.content] = None
    return {(name, np.datetime64(day, "D")): b"".join(parts) for (name, day), parts in found.items()}


def records_of(content: bytes) -> Iterator[Record]:
    """Yield the records of miniSEED 2 or 3.

    Raises
    ------
    BrokenContentError
        If something else stands between them, or the last one is not whole.
    """
    at = 0
    while at < len(content):
        read = _record_3 if content.startswith(b"MS\x03", at) else _record_2
        record = read(content, at)
        yield record
        at += len(record.content)


def _record_2(content: bytes, at: int) -> Record:
    head = content[at : at + _FIXED_2]
    if len(head) < _FIXED_2:
        raise BrokenContentError(f"truncated: {len(head)} bytes at the end are no whole record")
    if head[6:7] not in b"DRQM" or not head[:6].replace(b" ", b"0").replace(b"\0", b"0").isdigit():
        raise BrokenContentError(f"no miniSEED record at byte {at}, but {head[:20]!r}")
    order = ">" if 1900 <= struct.unpack(">H", head[20:22])[0] <= 2100 else "<"
    year, day, hour, minute, second, fraction = struct.unpack(f"{order}HHBBBxH", head[20:30])
    flags, (correction, _, first) = head[36], struct.unpack(f"{order}iHH", head[40:48])
    length, microseconds = _blockettes(content, at, first, order)
    tenths_ms = fraction + (0 if flags & 2 else correction)
    start_ns = _instant_ns(year, day, hour, minute, second) + tenths_ms * 100_000 + microseconds * 1000
    station, location, channel, network = (
        part.decode("ascii", "replace").replace("\0", "").strip()
        for part in (head[8:13], head[13:15], head[15:18], head[18:20])
    )
    return Record(f"{network}.{station}.{location}.{channel}", start_ns, _whole(content, at, length))


def _blockettes(content: bytes, at: int, first: int, order: str) -> tuple[int, int]:
    """Return the length of a record (blockette 1000) and the microseconds of its start (1001)."""
    length = microseconds = 0
    offset = first
    while offset and at + offset + 8 <= len(content):
        kind, following = struct.unpack_from(f"{order}HH", content, at + offset)
        if kind == 1000:
            length = 1 << content[at + offset + 6]
        elif kind == 1001:
            microseconds = struct.unpack_from("b", content, at + offset + 5)[0]
        if following <= offset:
            break
        offset = following
    if not 64 <= length <= 1 << 20:
        raise BrokenContentError(f"the record at byte {at} does not say how long it is")
    return length, microseconds


def _record_3(content: bytes, at: int) -> Record:
    head = content[at : at + _FIXED_3]
    if len(head) < _FIXED_3:
        raise BrokenContentError(f"truncated: {len(head)} bytes at the end are no whole record")
    nanoseconds, year, day, hour, minute, second = struct.unpack("<IHHBBB", head[4:15])
    n_name, n_extra, n_data = struct.unpack("<BHI", head[33:40])
    name = content[at + _FIXED_3 : at + _FIXED_3 + n_name].decode("ascii", "replace")
    network, station, location, *channel = f"{name.removeprefix('FDSN:')}___".split("_")[:6]
    return Record(
        f"{network}.{station}.{location}.{''.join(channel)}",
        _instant_ns(year, day, hour, minute, second) + nanoseconds,
        _whole(content, at, _FIXED_3 + n_name + n_extra + n_data),
    )


def _whole(content: bytes, at: int, length: int) -> bytes:
    """Return the bytes of a record, or raise."""
    if at + length > len(content):
        raise BrokenContentError(
            f"truncated: of the record at byte {at} there are {len(content) - at} of {length} bytes"
        )
    return content[at : at + length]


def _instant_ns(year: int, day: int, hour: int, minute: int, second: int) -> int:
    days = int(np.datetime64(f"{year:04d}-01-01", "D").astype("int64")) + day - 1
    return ((days * 24 + hour) * 60 + minute) * 60_000_000_000 + second * 1_000_000_000
