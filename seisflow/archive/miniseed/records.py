"""Which records a run of bytes holds: every byte belongs to a record or is accounted for as none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from seisflow.archive.miniseed.layout import CODES_WIDTH, DATA, FIXED, JUNK, TRUNCATED, UNSOUND, walk

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DATA", "JUNK", "ROW", "TRUNCATED", "UNSOUND", "Streams", "walk_records"]

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
            np.zeros((capacity, CODES_WIDTH), np.uint8),
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
        rows = np.empty(2 * ((len(buffer) - used) // FIXED) + 2, dtype=ROW)
        n_rows, used, n_streams, is_full = walk(buffer, used, offset, is_last, rows, *streams, n_streams)
        parts.append(rows[:n_rows])
        if not is_full:
            break
        streams = streams.grown()
    rows = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return rows, int(used), streams, int(n_streams)
