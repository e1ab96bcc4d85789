"""One miniSEED file: from its bytes to the traces of a window, and all that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from seisflow.archive.miniseed.assembly import PLAIN, SAMPLE_TYPES, STEIM, cut, decode, trace_heads, traces_of
from seisflow.archive.miniseed.checks import drop_duplicates, drop_misplaced, report_jumps, report_leaps
from seisflow.archive.miniseed.damage import Damage, data_rows
from seisflow.archive.miniseed.foreign import FOREIGN, decode_foreign
from seisflow.archive.miniseed.records import JUNK, ROW, Streams, walk_records

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seisflow.keys import Window
    from seisflow.traces import ChannelTraces

__all__ = ["Block", "Codes", "read_miniseed"]

Codes = tuple[str, str, str, str]
"""Network, station, location, channel."""

_TEXT = 0
_NO_SAMPLES: NDArray[np.int32] = np.zeros(0, np.int32)


class Block(NamedTuple):
    """Part of a file.

    Attributes
    ----------
    bytes : numpy.ndarray of uint8
    offset : int
        Where in the file it begins.
    is_last : bool
        Whether the file ends with it.
    """

    bytes: NDArray[np.uint8]
    offset: int
    is_last: bool


class _File(NamedTuple):
    """The records that are wanted of a file, the bytes they stand in, and what they have in common."""

    rows: NDArray[Any]
    buffer: NDArray[np.uint8]
    codes: list[Codes]
    streams: Streams


def read_miniseed(
    blocks: Iterable[Block],
    window: Window | None,
    headers_only: bool,
    is_wanted: Callable[[Codes], bool] = lambda _: True,
) -> tuple[list[ChannelTraces], list[str], bool]:
    """Return the traces of a miniSEED file in a window.

    Parameters
    ----------
    blocks : iterable of Block
        The file in order; records may stand across two of them. Only the records of the window are kept.
    window : Window or None
        None means everything.
    headers_only : bool
        Leave the samples out; `lengths` say how many there are.
    is_wanted : callable
        Which codes are decoded.

    Returns
    -------
    channels : list of ChannelTraces
    problems : list of str
    is_miniseed : bool
        Whether there was any record at all.
    """
    damage = Damage()
    file, is_miniseed = _survey(blocks, window, headers_only, is_wanted, damage)
    channels: list[ChannelTraces] = []
    for codes, rate_hz, rows in _groups(file):
        if headers_only:
            samples = _NO_SAMPLES
        elif int(rows["encoding"][0]) in FOREIGN:
            channels += decode_foreign(rows, file.buffer, damage)
            continue
        else:
            rows, samples = decode(rows, rate_hz, file.buffer, damage)
        if len(rows):
            report_jumps(rows, np.full(int(rows["stream"].max()) + 1, rate_hz), damage)
            channels.append(traces_of(rows, rate_hz, codes, samples))
    _report_changes(channels, damage)
    if window is not None:
        channels = [part for channel in channels if (part := cut(channel, window)) is not None]
    return channels, damage.lines(), is_miniseed


def _survey(
    blocks: Iterable[Block],
    window: Window | None,
    headers_only: bool,
    is_wanted: Callable[[Codes], bool],
    damage: Damage,
) -> tuple[_File, bool]:
    """Read all headers, check them against each other and keep the records of the window."""
    streams, n_streams, is_miniseed = Streams.empty(), 0, False
    parts: list[tuple[NDArray[Any], NDArray[np.uint8]]] = []
    whole: NDArray[np.uint8] | None = None
    for buffer, offset, is_last, used in _joined(blocks):
        rows, used[0], streams, n_streams = walk_records(buffer, offset, is_last, streams, n_streams)
        is_miniseed |= bool((rows["state"] != JUNK).any())
        damage.add_bytes(rows, buffer)
        rows = _usable(data_rows(rows), streams, damage)
        report_leaps(rows, damage)
        rows = drop_duplicates(rows, buffer, damage)
        rows = drop_misplaced(rows, streams.rates_hz, offset == 0, is_last, damage)
        rows = rows[rows["encoding"] != _TEXT]  # logs; one that fits into a gap of numbers was named
        wanted = np.array([is_wanted(_codes(streams, i)) for i in range(n_streams)], dtype=bool)
        rows = rows[_is_in(rows, streams.rates_hz, window) & wanted[rows["stream"]]]
        whole = buffer if offset == 0 and is_last else None
        if whole is not None:
            parts.append((rows, buffer))
        elif headers_only:
            parts.append((_condensed(rows, streams.rates_hz), _NO_SAMPLES.view(np.uint8)))
        else:
            parts.append(_gathered(rows, buffer))
    codes = [_codes(streams, i) for i in range(n_streams)]
    if whole is not None:
        return _File(parts[0][0], whole, codes, streams), is_miniseed
    return _File(*_concatenated(parts), codes, streams), is_miniseed


def _joined(
    blocks: Iterable[Block],
) -> Iterator[tuple[NDArray[np.uint8], int, bool, list[int]]]:
    """Yield each block behind the unused end of the one before; the taker says how much it used."""
    rest = np.zeros(0, np.uint8)
    for block in blocks:
        buffer = np.concatenate([rest, block.bytes]) if len(rest) else block.bytes
        used = [len(buffer)]
        yield buffer, block.offset - len(rest), block.is_last, used
        rest = buffer[used[0] :]


def _usable(rows: NDArray[Any], streams: Streams, damage: Damage) -> NDArray[Any]:
    """Return the rows that have a rate and an encoding that is known; name the others, but for texts."""
    has_rate = streams.rates_hz[rows["stream"]] > 0.0
    is_text = rows["encoding"] == _TEXT
    is_known = is_text | np.isin(rows["encoding"], [*PLAIN, *STEIM, *FOREIGN])
    if has_rate.all() and is_known.all():
        return rows
    for encoding in np.unique(rows["encoding"][~is_known]).tolist():
        damage.add(
            f"have the encoding {encoding}, which can not be decoded, and are left out",
            rows[rows["encoding"] == encoding],
        )
    damage.add("name no sampling rate and are left out", rows[is_known & ~has_rate & ~is_text])
    usable: NDArray[Any] = rows[is_known & has_rate]
    return usable


def _is_in(rows: NDArray[Any], rates_hz: NDArray[np.float64], window: Window | None) -> NDArray[np.bool_]:
    if window is None:
        return np.ones(len(rows), dtype=bool)
    begin, end = (int(time.astype("int64")) for time in (window.start, window.end))
    span_ns = (rows["n"] * 1e9 / rates_hz[rows["stream"]]).astype(np.int64)
    is_in: NDArray[np.bool_] = (rows["start_ns"] < end) & (rows["start_ns"] + span_ns >= begin)
    return is_in


def _condensed(rows: NDArray[Any], rates_hz: NDArray[np.float64]) -> NDArray[Any]:
    """Return a row for each run of records that continue each other: headers of a large file are many."""
    parts = [rows[:0]]
    for stream in np.unique(rows["stream"]).tolist():
        own = rows[rows["stream"] == stream]
        heads = trace_heads(own["start_ns"].copy(), own["n"].copy(), rates_hz[stream])
        part = own[heads]
        part["n"] = np.add.reduceat(own["n"], heads)
        parts.append(part)
    return np.concatenate(parts)


def _gathered(rows: NDArray[Any], buffer: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Return rows and a copy of their bytes alone, so that the block can be forgotten."""
    rows = rows.copy()
    pieces = [buffer[at : at + n] for at, n in zip(rows["at"], rows["length"], strict=True)]
    rows["at"] = np.cumsum(rows["length"]) - rows["length"]
    return rows, np.concatenate([*pieces, _NO_SAMPLES.view(np.uint8)])


def _concatenated(
    parts: list[tuple[NDArray[Any], NDArray[np.uint8]]],
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    before = 0
    for rows, buffer in parts:
        rows["at"] += before
        before += len(buffer)
    rows = np.concatenate([np.zeros(0, ROW), *(rows for rows, _ in parts)])
    return rows, np.concatenate([_NO_SAMPLES.view(np.uint8), *(buffer for _, buffer in parts)])


def _groups(file: _File) -> Iterator[tuple[Codes, float, NDArray[Any]]]:
    """Yield the records of each channel, rate and type of sample, in the order of the file."""
    present = np.unique(file.rows["stream"])
    members: dict[tuple[Codes, float, str], list[int]] = {}
    for stream in present.tolist():
        kind = SAMPLE_TYPES.get(int(file.streams.encodings[stream]), "foreign")
        rate_hz = float(file.streams.rates_hz[stream])
        members.setdefault((file.codes[stream], rate_hz, kind), []).append(stream)
    for (codes, rate_hz, _), streams in members.items():
        rows = file.rows if len(members) == 1 else file.rows[np.isin(file.rows["stream"], streams)]
        yield codes, rate_hz, rows


def _report_changes(channels: list[ChannelTraces], damage: Damage) -> None:
    """Name channels that change their rate or their type of sample."""
    rates: dict[str, set[float]] = {}
    types: dict[str, set[str]] = {}
    for channel in channels:
        rates.setdefault(channel.id, set()).add(channel.rate_hz)
        types.setdefault(channel.id, set()).add(channel.samples.dtype.name)
    for name, found in rates.items():
        if len(found) > 1:
            listed = ", ".join(f"{rate_hz:.10g}" for rate_hz in sorted(found))
            damage.add_line(f"{name} has {len(found)} sampling rates: {listed} Hz; they are kept apart")
    for name, kinds in types.items():
        if len(kinds) > 1:
            damage.add_line(f"{name} has samples of several types: {', '.join(sorted(kinds))}")


def _codes(streams: Streams, stream: int) -> Codes:
    """Return network, station, location and channel of a stream."""
    raw = streams.codes[stream, : streams.sizes[stream]].tobytes()
    text = raw.decode("ascii", "replace").replace("\0", " ")
    if not text.startswith("FDSN:"):
        station, location, channel, network = text[:5], text[5:7], text[7:10], text[10:12]
        return network.strip(), station.strip(), location.strip(), channel.strip()
    network, station, location, *channel_parts = (*text[5:].strip().split("_"), "", "", "")
    return network, station, location, "".join(channel_parts)
