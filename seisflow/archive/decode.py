"""Decode one waveform file with obspy and record everything that is wrong with it.

miniSEED is read by libmseed inside obspy. libmseed keeps its log callbacks in one place for the
whole process, and Python does so with its warnings: a lock lets one thread decode at a time, else
a message would be credited to another file. Truncation is silent in libmseed and is found from the
size; a record that makes it give up a file is cut out by bisection and the rest is kept.
"""

from __future__ import annotations

import glob
import io
import os
import tempfile
import threading
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seisflow.archive.base import Traces
from seisflow.errors import ArchiveError
from seisflow.storage import Place, open_place

if TYPE_CHECKING:
    import obspy

    from seisflow.keys import Window

__all__ = ["decode_file", "read_files"]

_DECODER = threading.Lock()
_MAX_LOST_RECORDS = 64
_HEAD = 256


def decode_file(
    uri: str,
    window: Window | None = None,
    *,
    headers_only: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    content: bytes | None = None,
) -> Traces:
    """Return the traces of one file, and a line for each thing that is wrong with it.

    Parameters
    ----------
    uri : str
        Path on a disk, or URL.
    window : Window, optional
        Keep only samples in ``[start, end)``.
    headers_only : bool
        Give traces without samples; their `stats` are complete.
    storage_options : mapping, optional
        What fsspec needs to open the URL.
    content : bytes, optional
        The bytes of the file, if they are here already.

    Returns
    -------
    Traces
        Log channels and traces without samples are left out. A file of which nothing can be read
        gives an empty stream and its reason.

    Raises
    ------
    ArchiveError
        If the storage fails, or the file is gone.
    """
    import obspy

    place = open_place(uri, storage_options)
    head, n_bytes, source = _peek(place) if content is None else (content[:_HEAD], len(content), content)
    fault = _hopeless(head, n_bytes)
    if fault:
        return Traces(obspy.Stream(), [f"{uri}: {fault}"])
    reader = _read_miniseed if _is_miniseed(head) else _read_other
    stream, faults = reader(source, window, headers_only)
    if _is_miniseed(head):
        faults += _truncation(stream, head, n_bytes)
    stream.traces = [trace for trace in stream if _has_samples(trace, headers_only)]
    if window is not None and not headers_only:
        stream.traces = [part for trace in stream if (part := _cut(trace, window)) is not None]
    return Traces(stream, [f"{uri}: {fault}" for fault in faults])


def read_files(
    uris: Sequence[str],
    window: Window,
    storage_options: Mapping[str, Any] | None = None,
    contents: Mapping[str, bytes] | None = None,
) -> Traces:
    """Return the traces of several files that lie in a window; a file named twice is read once.

    Raises
    ------
    ArchiveError
        As `decode_file`.
    """
    import obspy

    given = contents or {}
    parts = [
        decode_file(uri, window, storage_options=storage_options, content=given.get(uri))
        for uri in dict.fromkeys(uris)
    ]
    traces = [trace for part in parts for trace in part.stream]
    return Traces(obspy.Stream(traces), [line for part in parts for line in part.problems])


def _peek(place: Place) -> tuple[bytes, int, str | bytes]:
    """Return the first bytes, the size, and what to read from: a path, or all bytes of a remote file."""
    if not place.is_local:
        content = place.read_bytes()
        return content[:_HEAD], len(content), content
    try:
        with Path(place.path).open("rb") as file:
            return file.read(_HEAD), os.fstat(file.fileno()).st_size, place.path
    except OSError as error:
        raise ArchiveError(f"{place.path} can not be read: {error}") from error


def _hopeless(head: bytes, n_bytes: int) -> str:
    """Return why a file is not even tried, or ''."""
    if n_bytes == 0:
        return "the file is empty (0 bytes)"
    if head.startswith(b"MS\x03"):
        return "miniSEED 3 is not read by obspy; convert it to miniSEED 2"
    if b"obspy.core.stream" in head:
        return "it is a Python pickle, which can run code when it is opened; convert it to miniSEED"
    if _is_miniseed(head) and n_bytes < _record_length(head):
        return f"truncated: {n_bytes} bytes are less than one record of {_record_length(head)} bytes"
    return ""


def _is_miniseed(head: bytes) -> bool:
    """Return whether a file begins like a miniSEED 2 data record, or like full SEED."""
    return (
        len(head) > 6
        and head[:6].replace(b" ", b"0").replace(b"\0", b"0").isdigit()
        and head[6:7] in b"DRQMVAST"
    )


def _read_miniseed(
    source: str | bytes, window: Window | None, headers_only: bool
) -> tuple[obspy.Stream, list[str]]:
    selection = {} if window is None or headers_only else _time_selection(window)
    try:
        return _read_with_obspy(source, format="MSEED", headonly=headers_only, **selection)
    except Exception as error:  # obspy raises bare Exception among others
        return _read_around_damage(source, _first_line(error), headonly=headers_only, **selection)


def _read_other(
    source: str | bytes, window: Window | None, headers_only: bool
) -> tuple[obspy.Stream, list[str]]:
    """Read any other format; obspy recognises it from a file on disk only."""
    import obspy

    del window  # these formats are read whole, and cut afterwards
    try:
        if isinstance(source, str):
            return _read_with_obspy(source, headonly=headers_only)
        with tempfile.NamedTemporaryFile() as copy:
            copy.write(source)
            copy.flush()
            return _read_with_obspy(copy.name, headonly=headers_only)
    except Exception as error:
        reason = _first_line(error)
        if "Unknown format" in reason:
            reason = "obspy recognises no waveform format in it"
        return obspy.Stream(), [reason]


def _read_with_obspy(source: str | bytes, **keywords: Any) -> tuple[obspy.Stream, list[str]]:
    """Return the stream and the warnings of libmseed, which say what was skipped or is doubtful."""
    import obspy
    from obspy.io.mseed import InternalMSEEDWarning

    given = glob.escape(source) if isinstance(source, str) else io.BytesIO(source)
    with _DECODER, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        stream = obspy.read(given, **keywords)
    lines = [_first_line(item.message) for item in caught if issubclass(item.category, InternalMSEEDWarning)]
    messages = [line for line in lines if "Last record only has" not in line]  # `_truncation` always says it
    if len(messages) > 1:
        messages = [f"{messages[0]} (and {len(messages) - 1} more messages like this)"]
    return stream, messages


def _read_around_damage(source: str | bytes, reason: str, **keywords: Any) -> tuple[obspy.Stream, list[str]]:
    """Halve a file until the records that can not be decoded stand alone; keep all others."""
    import obspy

    content = Path(source).read_bytes() if isinstance(source, str) else source
    length = _record_length(content[:_HEAD])
    stream, faults, n_lost = obspy.Stream(), [], 0
    pieces = [(0, len(content))] if len(content) > length else []
    while pieces and n_lost < _MAX_LOST_RECORDS:
        start, end = pieces.pop()
        try:
            part, messages = _read_with_obspy(content[start:end], format="MSEED", **keywords)
        except Exception:
            if end - start <= length:
                n_lost += 1
                continue
            middle = start + max(1, (end - start) // length // 2) * length
            pieces += [(middle, end), (start, middle)]
        else:
            stream += part
            faults += messages
    if not n_lost or pieces:
        return obspy.Stream(), [f"can not be decoded: {reason}"]
    return stream, [
        f"{n_lost} records of {length} bytes can not be decoded and are left out: {reason}",
        *faults,
    ]


def _truncation(stream: obspy.Stream, head: bytes, n_bytes: int) -> list[str]:
    """Return a line if the file is no whole number of records."""
    lengths = [int(trace.stats.mseed.record_length) for trace in stream if "mseed" in trace.stats]
    length = min(lengths) if lengths else _record_length(head)
    n_records, left_over = divmod(n_bytes, length)
    if not left_over:
        return []
    return [
        f"truncated: {n_bytes} bytes are {n_records} records of {length} bytes and {left_over} bytes more"
    ]


def _record_length(head: bytes) -> int:
    """Return the length of the first record; 512 bytes where its header does not say."""
    from obspy.io.mseed.util import get_record_information

    try:
        return int(get_record_information(io.BytesIO(head)).get("record_length") or 512)
    except Exception:
        return 512


def _time_selection(window: Window) -> dict[str, Any]:
    """Return keywords that let libmseed skip records outside a window; `_cut` does the exact cut."""
    from obspy import UTCDateTime

    start, end = (UTCDateTime(ns=int(time.astype("int64"))) for time in (window.start, window.end))
    return {"starttime": start, "endtime": end}


def _has_samples(trace: obspy.Trace, headers_only: bool) -> bool:
    """Return whether a trace holds numbers; log channels have no rate, or letters for samples."""
    stats = trace.stats
    numeric = (
        stats.get("mseed", {}).get("encoding") != "ASCII" if headers_only else trace.data.dtype.kind in "iuf"
    )
    return bool(numeric and stats.npts > 0 and stats.sampling_rate > 0)


def _cut(trace: obspy.Trace, window: Window) -> obspy.Trace | None:
    """Return the part of a trace in ``[start, end)``, or None; times are whole nanoseconds."""
    from obspy import UTCDateTime

    first, rate = trace.stats.starttime.ns, trace.stats.sampling_rate
    skip = max(0, _ceil((int(window.start.astype("int64")) - first) * rate * 1e-9))
    stop = min(trace.stats.npts, _ceil((int(window.end.astype("int64")) - first) * rate * 1e-9))
    if stop <= skip:
        return None
    trace.data = trace.data[skip:stop]
    trace.stats.starttime = UTCDateTime(ns=first + round(skip * 1e9 / rate))
    return trace


def _ceil(samples: float) -> int:
    """Round up, but not for the rounding error of a whole number."""
    return -int(-(samples - 1e-6) // 1)


def _first_line(error: object) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith("Encountered"):
        lines = lines[1:]
    return lines[0] if lines else type(error).__name__
