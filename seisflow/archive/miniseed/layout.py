"""The headers of miniSEED records, versions 2 and 3, and the way from one to the next: compiled.

All of it stands in one file, as what numba keeps compiled is made anew only when its own file changes.

References
----------
FDSN (2012). SEED Reference Manual v2.4, chapter 8. https://www.fdsn.org/pdf/SEEDManual_V2.4.pdf
FDSN (2023). miniSEED 3. https://docs.fdsn.org/projects/miniseed3
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

__all__ = ["CODES_WIDTH", "DATA", "FIXED", "JUNK", "TRUNCATED", "UNSOUND", "walk"]

DATA, JUNK, TRUNCATED, UNSOUND = 0, 1, 2, 3
"""State of a row: a record; bytes that are none; a record that the file ends in; a wrong checksum."""

NO_RECORD, RECORD, MORE, WRONG_CHECKSUM = 0, 1, 2, 3
"""What `_parse` finds: nothing, a record, the beginning of one, or one whose bytes were changed."""

LENGTH, START, N, DATA_AT, DATA_BYTES, ENCODING, LITTLE, CODES_AT, CODES_SIZE = range(9)
FIELDS = 9
"""Numbers that `_parse` fills in, in the order of the names above."""

CODES_WIDTH = 64
"""Most bytes of a source identifier."""

FIXED = 48
_FIXED_3 = 40
_NO_ENCODING = 10  # Steim 1, which was meant before blockette 1000 existed
_LONGEST = 1 << 24
_SECOND = 1_000_000_000
_jit = numba.njit(cache=True, nogil=True, inline="never")


def _crc32c_table() -> np.ndarray[Any, Any]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(0x82F63B78), table >> 1).astype(np.uint32)
    return table


_CRC = _crc32c_table()


@_jit
def _u16(b: Any, at: int, little: bool) -> int:
    return int(b[at] | (b[at + 1] << 8) if little else (b[at] << 8) | b[at + 1])


@_jit
def _i16(b: Any, at: int, little: bool) -> int:
    value = _u16(b, at, little)
    return value - 65536 if value >= 32768 else value


@_jit
def _u32(b: Any, at: int, little: bool) -> int:
    high, low = (at + 2, at) if little else (at, at + 2)
    return (_u16(b, high, little) << 16) | _u16(b, low, little)


@_jit
def _f32(b: Any, at: int, little: bool) -> float:
    word = np.empty(1, np.uint32)
    word[0] = _u32(b, at, little)
    return float(word.view(np.float32)[0])


@_jit
def _f64(b: Any, at: int) -> float:
    word = np.empty(1, np.uint64)
    word[0] = (np.uint64(_u32(b, at + 4, True)) << np.uint64(32)) | np.uint64(_u32(b, at, True))
    return float(word.view(np.float64)[0])


@_jit
def _is_date(year: int, day: int) -> bool:
    return 1900 <= year <= 2100 and 1 <= day <= 366


@_jit
def _since_1970(year: int, day: int, hour: int, minute: int, second: int) -> int:
    """Return seconds since 1970 of a day of a year."""
    before = year - 1
    days = before * 365 + before // 4 - before // 100 + before // 400 - 719162 + day - 1
    return ((days * 24 + hour) * 60 + minute) * 60 + second


@_jit
def _is_header(b: Any, at: int) -> bool:
    """Return whether the 48 bytes from `at` can begin a data record of miniSEED 2."""
    quality = b[at + 6]
    if quality != 68 and quality != 82 and quality != 81 and quality != 77:  # D R Q M
        return False
    if b[at + 7] != 32 and b[at + 7] != 0:
        return False
    for i in range(at, at + 6):
        if b[i] != 32 and b[i] != 0 and not 48 <= b[i] <= 57:
            return False
    for i in range(at + 8, at + 20):
        if b[i] != 0 and not 32 <= b[i] <= 126:
            return False
    if b[at + 24] > 23 or b[at + 25] > 59 or b[at + 26] > 60:
        return False
    for little in (False, True):
        if _is_date(_u16(b, at + 20, little), _u16(b, at + 22, little)):
            return _u16(b, at + 28, little) <= 9999
    return False


@_jit
def _parse(b: Any, at: int, end: int, is_last: bool, fields: Any, rate_hz: Any) -> int:
    """Read the header at `at`; fill `fields` and ``rate_hz[0]`` and return what was found.

    `end` is how far the bytes go, `is_last` whether the file ends there.
    """
    if end - at < FIXED:
        return NO_RECORD if is_last else MORE
    if b[at] == 77 and b[at + 1] == 83 and b[at + 2] == 3:  # MS 3
        return _parse_3(b, at, end, is_last, fields, rate_hz)
    if not _is_header(b, at):
        return NO_RECORD
    little = not _is_date(_u16(b, at + 20, False), _u16(b, at + 22, False))
    fields[N] = _u16(b, at + 30, little)
    fields[DATA_AT] = _u16(b, at + 44, little)
    fields[ENCODING], fields[LITTLE], fields[LENGTH] = _NO_ENCODING, little, 0
    fields[CODES_AT], fields[CODES_SIZE] = at + 8, 12
    seconds = _since_1970(
        _u16(b, at + 20, little), _u16(b, at + 22, little), b[at + 24], b[at + 25], b[at + 26]
    )
    fields[START] = seconds * _SECOND + _u16(b, at + 28, little) * 100_000
    if b[at + 36] & 2 == 0:  # the time correction is not applied yet
        correction = _u32(b, at + 40, little)
        fields[START] += (correction - ((correction >> 31) << 32)) * 100_000
    rate_hz[0] = _nominal_rate(_i16(b, at + 32, little), _i16(b, at + 34, little))
    found = _blockettes(b, at, end, little, fields, rate_hz)
    if found == NO_RECORD or (found == MORE and not is_last):
        return found
    return _length_2(b, at, end, is_last, fields)


@_jit
def _nominal_rate(factor: int, multiplier: int) -> float:
    if factor == 0 or multiplier == 0:
        return 0.0
    rate = float(factor) if factor > 0 else -1.0 / factor
    return rate * multiplier if multiplier > 0 else -rate / multiplier


@_jit
def _blockettes(b: Any, at: int, end: int, little: bool, fields: Any, rate_hz: Any) -> int:
    """Follow the chain of blockettes; a chain that turns back or leaves the record is no record."""
    place, before = _u16(b, at + 46, little), FIXED - 1
    while place != 0:
        if place <= before or (fields[LENGTH] and place + 4 > fields[LENGTH]):
            return NO_RECORD
        if at + place + 8 > end:
            return MORE
        kind = _u16(b, at + place, little)
        if kind == 1000:
            fields[ENCODING] = b[at + place + 4]
            fields[LITTLE] = b[at + place + 5] == 0
            exponent = b[at + place + 6]
            if exponent < 7 or exponent > 20:
                return NO_RECORD
            fields[LENGTH] = 1 << exponent
        elif kind == 1001:
            micro = int(b[at + place + 5])
            fields[START] += (micro - 256 if micro > 127 else micro) * 1000
        elif kind == 100:
            actual = _f32(b, at + place + 4, little)
            if actual > 0.0 and np.isfinite(actual):
                rate_hz[0] = actual
        before, place = place, _u16(b, at + place + 2, little)
    return RECORD


@_jit
def _length_2(b: Any, at: int, end: int, is_last: bool, fields: Any) -> int:
    """Settle the length of a record of version 2: where the next one begins, if that is sooner.

    A length that was changed into a longer one would swallow the records behind in silence.
    """
    for exponent in range(7, 21):
        length = 1 << exponent
        if fields[LENGTH] and length >= fields[LENGTH]:
            break
        after = at + length
        is_end = is_last and after == end and not fields[LENGTH]
        if is_end or (after + FIXED <= end and _is_header(b, after)):
            fields[LENGTH] = length
            break
    data_at = fields[DATA_AT]
    if not fields[LENGTH] or (fields[N] and not FIXED <= data_at < fields[LENGTH]):
        return NO_RECORD
    fields[DATA_BYTES] = fields[LENGTH] - data_at
    return RECORD if at + fields[LENGTH] <= end else MORE


@_jit
def _parse_3(b: Any, at: int, end: int, is_last: bool, fields: Any, rate_hz: Any) -> int:
    year, day, nano = _u16(b, at + 8, True), _u16(b, at + 10, True), _u32(b, at + 4, True)
    n_codes, n_extra, n_data = b[at + 33], _u16(b, at + 34, True), _u32(b, at + 36, True)
    if not _is_date(year, day) or b[at + 12] > 23 or b[at + 13] > 59 or b[at + 14] > 60:
        return NO_RECORD
    if nano >= _SECOND or n_codes > CODES_WIDTH or n_data > _LONGEST:
        return NO_RECORD
    rate_hz[0] = _f64(b, at + 16)
    if rate_hz[0] < 0.0:
        rate_hz[0] = -1.0 / rate_hz[0]
    fields[START] = _since_1970(year, day, b[at + 12], b[at + 13], b[at + 14]) * _SECOND + nano
    fields[N], fields[ENCODING] = _u32(b, at + 24, True), b[at + 15]
    fields[LITTLE] = not 10 <= fields[ENCODING] <= 19  # Steim is big-endian here too
    fields[CODES_AT], fields[CODES_SIZE] = at + _FIXED_3, n_codes
    fields[DATA_AT], fields[DATA_BYTES] = _FIXED_3 + n_codes + n_extra, n_data
    fields[LENGTH] = fields[DATA_AT] + n_data
    if at + fields[LENGTH] > end:
        return MORE
    crc = np.uint32(0xFFFFFFFF)
    for i in range(at, at + fields[LENGTH]):
        byte = np.uint8(0) if at + 28 <= i < at + 32 else b[i]
        crc = _CRC[(crc ^ byte) & np.uint32(0xFF)] ^ (crc >> np.uint32(8))
    return RECORD if (crc ^ np.uint32(0xFFFFFFFF)) == _u32(b, at + 28, True) else WRONG_CHECKSUM


@_jit
def walk(
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
    fields, rate_hz = np.zeros(FIELDS, np.int64), np.zeros(1)
    n_rows, stream, end = 0, 0, len(b)
    while at < end:
        found = _parse(b, at, end, is_last, fields, rate_hz)
        if found == MORE and not is_last:
            break
        row = rows[n_rows]
        row.offset, row.at, row.state, row.n, row.stream = offset + at, at, JUNK, 0, -1
        if found == RECORD:
            stream = _stream_of(b, fields, rate_hz[0], codes, sizes, rates_hz, encodings, n_streams, stream)
            if stream == len(sizes):
                return n_rows, at, n_streams, True
            _fill(row, fields, stream, rate_hz[0], reached_ns, stream == n_streams)
            n_streams = max(n_streams, stream + 1)
        elif found == MORE:
            row.length, row.state = end - at, TRUNCATED
        elif found == WRONG_CHECKSUM and _continues(b, at + fields[LENGTH], end):
            row.length, row.state = fields[LENGTH], UNSOUND
        else:
            row.length = _next_record(b, at + 1, end, is_last, fields, rate_hz) - at
        at += row.length
        n_rows += 1
    return n_rows, at, n_streams, False


@_jit
def _next_record(b: Any, at: int, end: int, is_last: bool, fields: Any, rate_hz: Any) -> int:
    """Return where the next record begins, or may begin when there are more bytes."""
    for i in range(at, end - FIXED + 1):
        quality = b[i + 6]
        is_2 = (quality == 68 or quality == 82 or quality == 81 or quality == 77) and (
            b[i + 7] == 32 or b[i + 7] == 0
        )
        is_3 = b[i] == 77 and b[i + 1] == 83 and b[i + 2] == 3
        if (is_2 or is_3) and _parse(b, i, end, is_last, fields, rate_hz) in (
            RECORD,
            MORE,
            WRONG_CHECKSUM,
        ):
            return i
    return end if is_last else max(at, end - FIXED + 1)


@_jit
def _continues(b: Any, at: int, end: int) -> bool:
    """Return whether a record of version 3, or the end of the file, stands here."""
    return at == end or (at + 3 <= end and b[at] == 77 and b[at + 1] == 83 and b[at + 2] == 3)


@_jit
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
    at, size = fields[CODES_AT], fields[CODES_SIZE]
    for step in range(n_streams):
        i = (latest + step) % n_streams
        if rates_hz[i] != rate_hz or encodings[i] != fields[ENCODING] or sizes[i] != size:
            continue
        is_same = True
        for j in range(size):
            if codes[i, j] != b[at + j]:
                is_same = False
                break
        if is_same:
            return i
    if n_streams < len(sizes):
        rates_hz[n_streams], encodings[n_streams] = rate_hz, fields[ENCODING]
        sizes[n_streams] = size
        codes[n_streams, :size] = b[at : at + size]
    return n_streams


@_jit
def _fill(row: Any, fields: Any, stream: int, rate_hz: float, reached_ns: Any, is_new: bool) -> None:
    row.length, row.start_ns, row.n = fields[LENGTH], fields[START], fields[N]
    row.data_at, row.data_bytes = fields[DATA_AT], fields[DATA_BYTES]
    row.encoding, row.is_little = fields[ENCODING], fields[LITTLE]
    row.stream, row.state, row.jump_ns = stream, DATA, 0
    if not is_new:
        row.jump_ns = row.start_ns - reached_ns[stream]
    span_ns = np.int64(np.rint(row.n * 1e9 / rate_hz)) if rate_hz > 0.0 else 0
    reached_ns[stream] = row.start_ns + span_ns
