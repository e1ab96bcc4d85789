"""Decode waveform files and record everything that is wrong with them.

miniSEED is read record by record (`seisflow.archive.miniseed`), all other formats by obspy.
"""

from __future__ import annotations

import glob
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seisflow.errors import ArchiveError
from seisflow.storage import open_place
from seisflow.traces import ChannelTraces, Traces

if TYPE_CHECKING:
    from seisflow.archive.miniseed.reading import Block, Codes
    from seisflow.keys import Window

__all__ = ["decode_file", "preferred_bands", "read_files"]

_BLOCK = 64 << 20
"""Bytes that are read at once: a file of many gigabytes never lies in memory as a whole."""

_THREADS = 4


def decode_file(
    uri: str,
    window: Window | None = None,
    *,
    headers_only: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    content: bytes | None = None,
    is_wanted: Callable[[Codes], bool] = lambda _: True,
) -> Traces:
    """Return the traces of one file, and a line for each thing that is wrong with it.

    Parameters
    ----------
    uri : str
        Path on a disk, or URL.
    window : Window, optional
        Keep only samples in ``[start, end)``. Records outside are not decoded.
    headers_only : bool
        Leave `samples` empty; `lengths` say how many there are. Nothing is decoded.
    storage_options : mapping, optional
        What fsspec needs to open the URL.
    content : bytes, optional
        The bytes of the file, if they are here already.
    is_wanted : callable, optional
        Says by (network, station, location, channel) what is decoded.

    Returns
    -------
    Traces
        Log channels and traces without samples are left out. A file of which nothing can be read
        gives no channel and its reason.

    Raises
    ------
    ArchiveError
        If the storage fails, or the file is gone.
    """
    from seisflow.archive.miniseed.reading import read_miniseed

    place = open_place(uri, storage_options)
    if content is None and not place.is_local:
        content = place.read_bytes()
    source = place.path if content is None else content
    blocks = _blocks(source)
    first = next(blocks)
    if not len(first.bytes):
        return Traces([], [f"{uri}: the file is empty (0 bytes)"])
    channels, problems, is_miniseed = read_miniseed(_chained(first, blocks), window, headers_only, is_wanted)
    if not is_miniseed:
        channels, problems = _read_other(source, first.bytes, window, headers_only)
        channels = [c for c in channels if is_wanted((c.network, c.station, c.location, c.channel))]
    return Traces(channels, [f"{uri}: {problem}" for problem in problems])


def read_files(
    uris: Sequence[str],
    window: Window,
    storage_options: Mapping[str, Any] | None = None,
    contents: Mapping[str, bytes] | None = None,
    bands: Sequence[str] | None = None,
) -> Traces:
    """Return the traces of several files that lie in a window; a file named twice is read once.

    Parameters
    ----------
    uris : sequence of str
    window : Window
    storage_options : mapping, optional
    contents : mapping of str to bytes, optional
        Bytes of files that are here already, by URI.
    bands : sequence of str, optional
        Band and instrument codes, best first: of each station they are decoded down to the first that
        has data in the middle of the window, and no others. None means everything.

    Raises
    ------
    ArchiveError
        As `decode_file`.
    """
    read = partial(_read_all, list(dict.fromkeys(uris)), window, storage_options, contents or {})
    if bands is None:
        return read()
    middle_ns = int((window.start + (window.end - window.start) // 2).astype("int64"))
    chosen = preferred_bands(read(headers_only=True).channels, bands, middle_ns)
    traces = read(is_wanted=lambda codes: codes[3][:-1] in chosen.get(codes[:2], {codes[3][:-1]}))
    if preferred_bands(traces.channels, bands, middle_ns) == chosen:
        return traces
    return read()  # what the headers promised is damaged: other bands may be better


def preferred_bands(
    channels: Sequence[ChannelTraces], bands: Sequence[str], middle_ns: int
) -> dict[tuple[str, str], set[str]]:
    """Return the bands to decode of each station (network, station) that has data in the middle."""
    best: dict[tuple[str, str], int] = {}
    for channel in channels:
        is_there = ((channel.starts_ns <= middle_ns) & (middle_ns < channel.ends_ns)).any()
        if is_there and channel.channel[:-1] in bands:
            station, rank = (channel.network, channel.station), bands.index(channel.channel[:-1])
            best[station] = min(best.get(station, rank), rank)
    return {station: set(bands[: rank + 1]) for station, rank in best.items()}


def _read_all(
    uris: Sequence[str],
    window: Window,
    storage_options: Mapping[str, Any] | None,
    contents: Mapping[str, bytes],
    **how: Any,
) -> Traces:
    """Decode files side by side: the work is done without the interpreter's lock."""

    def decode(uri: str) -> Traces:
        return decode_file(uri, window, storage_options=storage_options, content=contents.get(uri), **how)

    with ThreadPoolExecutor(min(_THREADS, len(uris), len(os.sched_getaffinity(0))) or 1) as pool:
        parts = list(pool.map(decode, uris))
    return Traces(
        [channel for part in parts for channel in part.channels],
        [line for part in parts for line in part.problems],
    )


def _blocks(source: str | bytes) -> Iterator[Block]:
    """Yield a file in blocks; at least one, which is empty for an empty file."""
    from seisflow.archive.miniseed.reading import Block

    if isinstance(source, bytes):
        yield Block(np.frombuffer(source, np.uint8), 0, True)
        return
    try:
        with Path(source).open("rb") as file:
            n_bytes, offset = os.fstat(file.fileno()).st_size, 0
            while True:
                block = np.fromfile(file, np.uint8, _BLOCK)
                is_last = len(block) == 0 or offset + len(block) >= n_bytes
                yield Block(block, offset, is_last)
                offset += len(block)
                if is_last:
                    return
    except OSError as error:
        raise ArchiveError(f"{source} can not be read: {error}") from error


def _chained(first: Block, rest: Iterator[Block]) -> Iterator[Block]:
    yield first
    yield from rest


def _read_other(
    source: str | bytes, head: np.ndarray[Any, Any], window: Window | None, headers_only: bool
) -> tuple[list[ChannelTraces], list[str]]:
    """Read any other format; obspy recognises it from a file on disk only."""
    import obspy

    from seisflow.archive.miniseed.assembly import cut

    if b"obspy.core.stream" in head[:256].tobytes():
        return [], ["it is a Python pickle, which can run code when it is opened; convert it to miniSEED"]
    try:
        if isinstance(source, str):
            stream = obspy.read(glob.escape(source), headonly=headers_only)
        else:
            with tempfile.NamedTemporaryFile() as copy:
                copy.write(source)
                copy.flush()
                stream = obspy.read(copy.name, headonly=headers_only)
    except Exception as error:  # obspy raises bare Exception among others
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if "Unknown format" in reason:
            reason = "obspy recognises no waveform format in it"
        return [], [reason]
    stream.traces = [t for t in stream if t.stats.npts > 0 and t.stats.sampling_rate > 0]
    if headers_only:
        return [_header_of(trace) for trace in stream], []
    stream.traces = [trace for trace in stream if trace.data.dtype.kind in "iuf"]
    channels = Traces.of_stream(stream).channels
    if window is not None:
        channels = [part for channel in channels if (part := cut(channel, window)) is not None]
    return channels, []


def _header_of(trace: Any) -> ChannelTraces:
    stats = trace.stats
    return ChannelTraces(
        stats.network,
        stats.station,
        stats.location,
        stats.channel,
        stats.sampling_rate,
        np.array([stats.starttime.ns]),
        np.array([stats.npts]),
        np.zeros(0, np.int32),
    )
