"""From the bytes of records to samples, and whether they can be trusted: compiled, without the GIL.

A Steim record carries its first and its last sample beside the differences. A record is sound if the
differences are as many as the header says and lead from the one to the other.

References
----------
FDSN (2012). SEED Reference Manual v2.4, appendix B (Steim compression).
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

__all__ = ["COUNT", "EXTRA", "SOUND", "decode_steim", "gather_words"]

SOUND, COUNT, EXTRA, UNSOUND, ILLEGAL = 0, 1, 2, 3, 4
"""What is found in a Steim record: all is well; the frames hold another number of samples than the
header says, and their check value agrees; zero differences beyond the last sample; a check value that
does not agree; a frame that no encoder writes."""


@numba.njit(cache=True, nogil=True, inline="always")
def _word(b: Any, at: Any, is_little: bool) -> Any:
    one, two = np.uint32(b[at]), np.uint32(b[at + np.uint64(1)])
    three, four = np.uint32(b[at + np.uint64(2)]), np.uint32(b[at + np.uint64(3)])
    if is_little:
        return (four << np.uint32(24)) | (three << np.uint32(16)) | (two << np.uint32(8)) | one
    return (one << np.uint32(24)) | (two << np.uint32(16)) | (three << np.uint32(8)) | four


@numba.njit(cache=True, nogil=True, inline="always")
def _shape(word: Any, nibble: Any, level: int) -> tuple[int, int]:
    """Return how many differences a word holds, and the bits of each; (0, 0) where that is illegal."""
    if nibble == 1:
        return 4, 8
    if level == 1:
        return (2, 16) if nibble == 2 else (1, 32)
    kind = word >> np.uint32(30)
    if nibble == 2:
        return (1, 30) if kind == 1 else (2, 15) if kind == 2 else (3, 10) if kind == 3 else (0, 0)
    return (5, 6) if kind == 0 else (6, 5) if kind == 1 else (7, 4) if kind == 2 else (0, 0)


@numba.njit(cache=True, nogil=True, inline="always")
def _sum_up(word: Any, many: int, bits: int, x: Any, out: Any, k: Any) -> Any:
    """Add the differences of a word one by one; called with constants, so that the loop is unrolled."""
    for i in range(many):
        x += np.int32(word << np.uint32(32 - bits * (many - i))) >> np.uint32(32 - bits)
        out[k + np.uint64(i)] = x
    return x


@numba.njit(cache=True, nogil=True, inline="always")
def _unpack(word: Any, many: int, x: Any, out: Any, k: Any) -> Any:
    """Write the samples of a word of version 2 and return the last; the commonest shapes come first."""
    if many == 4:
        return _sum_up(word, 4, 8, x, out, k)
    if many == 3:
        return _sum_up(word, 3, 10, x, out, k)
    if many == 5:
        return _sum_up(word, 5, 6, x, out, k)
    if many == 6:
        return _sum_up(word, 6, 5, x, out, k)
    if many == 7:
        return _sum_up(word, 7, 4, x, out, k)
    if many == 2:
        return _sum_up(word, 2, 15, x, out, k)
    return _sum_up(word, 1, 30, x, out, k)


@numba.njit(cache=True, nogil=True)
def _steim(
    b: Any, begin: Any, n_frames: int, n: int, level: int, is_little: bool, out: Any
) -> tuple[int, int]:
    """Decode one record into `out`, shape (n,); return what was found and the differences there are."""
    first = np.int32(_word(b, begin + np.uint64(4), is_little))
    check = np.int32(_word(b, begin + np.uint64(8), is_little))
    x, at_end, k = np.int32(0), np.int32(0), 0
    for frame in range(n_frames):
        place = begin + np.uint64(64 * frame)
        control = _word(b, place, is_little)
        for j in range(3 if frame == 0 else 1, 16):
            nibble = (control >> np.uint32(30 - 2 * j)) & np.uint32(3)
            if nibble == 0:
                continue
            # Differences of one byte stand in their order in either byte order, those of two in pairs.
            word = _word(b, place + np.uint64(4 * j), is_little and nibble != 1)
            if is_little and level == 1 and nibble == 2:
                word = (word << np.uint32(16)) | (word >> np.uint32(16))
            many, bits = _shape(word, nibble, level)
            if many == 0:
                return ILLEGAL, k
            drop = np.uint32(32 - bits)
            if k == 0:  # the first difference leads to the first sample from the record before
                x = first - (np.int32(word << np.uint32(32 - bits * many)) >> drop)
            if level == 2 and k + many <= n:
                x = _unpack(word, many, x, out, np.uint64(k))
                at_end = x
                k += many
                continue
            for i in range(many):
                x += np.int32(word << np.uint32(32 - bits * (many - i))) >> drop
                if k < n:
                    out[k] = x
                    at_end = x
                k += 1
    if k == n:
        return (SOUND if x == check else UNSOUND), k
    if k == 0 or x != check:
        return UNSOUND, k
    return (EXTRA if k > n and at_end == check else COUNT), k


@numba.njit(cache=True, nogil=True)
def decode_steim(
    b: Any,
    begins: Any,
    n_frames: Any,
    counts: Any,
    firsts: Any,
    level: int,
    is_little: Any,
    out: Any,
    verdicts: Any,
    found: Any,
) -> None:
    """Decode records of Steim 1 or 2.

    Parameters
    ----------
    b : numpy.ndarray of uint8
    begins, n_frames, counts, firsts : numpy.ndarray of int64, shape (records,)
        First byte of the frames and their number; samples by the header, and where in `out` they go.
    level : int
        1 or 2.
    is_little : numpy.ndarray of bool, shape (records,)
        Whether the frames are little-endian.
    out : numpy.ndarray of int32
    verdicts, found : numpy.ndarray, shape (records,)
        Filled: what each record is like, and how many differences it holds.
    """
    for r in range(len(begins)):
        part = out[firsts[r] : firsts[r] + counts[r]]
        verdicts[r], found[r] = _steim(
            b, np.uint64(begins[r]), n_frames[r], counts[r], level, is_little[r], part
        )


@numba.njit(cache=True, nogil=True)
def gather_words(b: Any, begins: Any, counts: Any, firsts: Any, width: int, is_little: Any, out: Any) -> None:
    """Copy samples that are not compressed, of `width` bytes, into unsigned words of this machine.

    `begins`, `counts`, `firsts` and `is_little` are as in `decode_steim`; `out` is uint64 or uint32.
    Integers of two bytes are widened with their sign.
    """
    for r in range(len(begins)):
        for k in range(counts[r]):
            at = begins[r] + k * width
            word = np.uint64(0)
            for i in range(width):
                byte = b[at + width - 1 - i] if is_little[r] else b[at + i]
                word = (word << np.uint64(8)) | np.uint64(byte)
            if width == 2 and word >= np.uint64(32768):
                word |= np.uint64(0xFFFF0000)
            out[firsts[r] + k] = word
