"""Which records a run of bytes holds: every byte belongs to a record or is accounted for as none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np

from seisflow.archive.miniseed import layout

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DATA", "JUNK", "ROW", "TRUNCATED", "UNSOUND", "Streams", "walk_records"]

DATA, JUNK, TRUNCATED, UNSOUND = 0, 1, 2, 3
"""State of a row: a record; bytes that are none; a record that the file ends in; a wrong checksum."""

ROW = np.dtype(
    [
        ("offset", "i8"),  # first byte in the file
        ("at", "i8"),  # first byte in the buffer that holds it
        ("length", "i8"),
        ("start_ns", "i8"),
        ("jump_ns", "i8"),  # from the end of the record before of the same stream
        ("n", "i8"),
        ("data_at", "i8"),
        ("data_bytes", "i8"),
        ("stream", "i4"),
        ("encoding", "u1"),
        ("is_little", "u1"),
        ("state", "u1"),
    ],
    align=True,
)
_SHORTEST = 48


class Streams(NamedTuple):
    """What the records of a file have in common: codes, rate and encoding; a row for each combination.

    Attributes
    ----------
    codes : numpy.ndarray of uint8, shape (capacity, 64)
        Station, location, channel, network as version 2 has them (12 bytes), or a source identifier.
    sizes : numpy.ndarray of int64, shape (capacity,)
        Bytes of each code.
    rates_hz : numpy.ndarray of float64, shape (capacity,)
    encodings : numpy.ndarray of int64, shape (capacity,)
    reached_ns : numpy.ndarray of int64, shape (capacity,)
        End of the last record seen.
    """

    codes: NDArray[np.uint8]
    sizes: NDArray[np.int64]
    rates_hz: NDArray[np.float64]
    encodings: NDArray[np.int64]
    reached_ns: NDArray[np.int64]

    @classmethod
    def empty(cls, capacity: int = 256) -> Streams:
        """Return room for some streams."""
        return cls(
            np.zeros((capacity, layout.CODES_WIDTH), np.uint8),
            np.zeros(capacity, np.int64),
            np.zeros(capacity),
            np.zeros(capacity, np.int64),
            np.zeros(capacity, np.int64),
        )

    def grown(self) -> Streams:
        """Return the same with twice the room."""
        return Streams(*(np.concatenate([array, np.zeros_like(array)]) for array in self))


def walk_records(
    buffer: NDArray[np.uint8], offset: int, is_last: bool, streams: Streams, n_streams: int
) -> tuple[NDArray[Any], int, Streams, int]:
    """Return a row for each record and for each stretch of bytes that is none.

    Parameters
    ----------
    buffer : numpy.ndarray of uint8
        Part of a file, `offset` bytes from its beginning.
    is_last : bool
        Whether the file ends with the buffer; else what begins in it and does not end is left.
    streams, n_streams
        What was seen in the file so far.

    Returns
    -------
    rows : numpy.ndarray of `ROW`
        In the order of the file; together they cover the bytes up to `used` without a hole.
    used : int
        Bytes that were understood; the rest waits for more.
    streams, n_streams
        With those that were new.
    """
    parts, used = [], 0
    while True:
        rows = np.empty(2 * ((len(buffer) - used) // _SHORTEST) + 2, dtype=ROW)
        n_rows, used, n_streams, is_full = _walk(buffer, used, offset, is_last, rows, *streams, n_streams)
        parts.append(rows[:n_rows])
        if not is_full:
            break
        streams = streams.grown()
    rows = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return rows, int(used), streams, int(n_streams)


@numba.njit(cache=True, nogil=True)
def _walk(
    b: Any,
    at: int,
    offset: int,
    is_last: bool,
    rows: Any,
    codes: Any,
    sizes: Any,
    rates_hz: Any,
    encodings: Any,
    reached_ns: Any,
    n_streams: int,
) -> tuple[int, int, int, bool]:
    """Fill rows from `at` on; stop at the end, at an unfinished record, or when the streams are full."""
    fields, rate_hz = np.zeros(layout.FIELDS, np.int64), np.zeros(1)
    n_rows, stream, end = 0, 0, len(b)
    while at < end:
        found = layout.parse(b, at, end, is_last, fields, rate_hz)
        if found == layout.MORE and not is_last:
            break
        row = rows[n_rows]
        row.offset, row.at, row.state, row.n, row.stream = offset + at, at, JUNK, 0, -1
        if found == layout.RECORD:
            stream = _stream_of(b, fields, rate_hz[0], codes, sizes, rates_hz, encodings, n_streams, stream)
            if stream == len(sizes):
                return n_rows, at, n_streams, True
            _fill(row, fields, stream, rate_hz[0], reached_ns, stream == n_streams)
            n_streams = max(n_streams, stream + 1)
        elif found == layout.MORE:
            row.length, row.state = end - at, TRUNCATED
        elif found == layout.WRONG_CHECKSUM and _continues(b, at + fields[layout.LENGTH], end):
            row.length, row.state = fields[layout.LENGTH], UNSOUND
        else:
            row.length = _next_record(b, at + 1, end, is_last, fields, rate_hz) - at
        at += row.length
        n_rows += 1
    return n_rows, at, n_streams, False


@numba.njit(cache=True, nogil=True)
def _next_record(b: Any, at: int, end: int, is_last: bool, fields: Any, rate_hz: Any) -> int:
    """Return where the next record begins, or may begin when there are more bytes."""
    for i in range(at, end - 47):
        quality = b[i + 6]
        is_2 = (quality == 68 or quality == 82 or quality == 81 or quality == 77) and (
            b[i + 7] == 32 or b[i + 7] == 0
        )
        is_3 = b[i] == 77 and b[i + 1] == 83 and b[i + 2] == 3
        if (is_2 or is_3) and layout.parse(b, i, end, is_last, fields, rate_hz) in (
            layout.RECORD,
            layout.MORE,
            layout.WRONG_CHECKSUM,
        ):
            return i
    return end if is_last else max(at, end - 47)


@numba.njit(cache=True, nogil=True)
def _continues(b: Any, at: int, end: int) -> bool:
    """Return whether a record of version 3, or the end of the file, stands here."""
    return at == end or (at + 3 <= end and b[at] == 77 and b[at + 1] == 83 and b[at + 2] == 3)


@numba.njit(cache=True, nogil=True)
def _stream_of(
    b: Any,
    fields: Any,
    rate_hz: float,
    codes: Any,
    sizes: Any,
    rates_hz: Any,
    encodings: Any,
    n_streams: int,
    latest: int,
) -> int:
    """Return the number of the stream of a record, looked for from the latest on; a new one is noted."""
    at, size = fields[layout.CODES_AT], fields[layout.CODES_SIZE]
    for step in range(n_streams):
        i = (latest + step) % n_streams
        if rates_hz[i] != rate_hz or encodings[i] != fields[layout.ENCODING] or sizes[i] != size:
            continue
        is_same = True
        for j in range(size):
            if codes[i, j] != b[at + j]:
                is_same = False
                break
        if is_same:
            return i
    if n_streams < len(sizes):
        rates_hz[n_streams], encodings[n_streams] = rate_hz, fields[layout.ENCODING]
        sizes[n_streams] = size
        codes[n_streams, :size] = b[at : at + size]
    return n_streams


@numba.njit(cache=True, nogil=True)
def _fill(row: Any, fields: Any, stream: int, rate_hz: float, reached_ns: Any, is_new: bool) -> None:
    row.length, row.start_ns, row.n = fields[layout.LENGTH], fields[layout.START], fields[layout.N]
    row.data_at, row.data_bytes = fields[layout.DATA_AT], fields[layout.DATA_BYTES]
    row.encoding, row.is_little = fields[layout.ENCODING], fields[layout.LITTLE]
    row.stream, row.state, row.jump_ns = stream, DATA, 0
    if not is_new:
        row.jump_ns = row.start_ns - reached_ns[stream]
    span_ns = np.int64(np.rint(row.n * 1e9 / rate_hz)) if rate_hz > 0.0 else 0
    reached_ns[stream] = row.start_ns + span_ns
