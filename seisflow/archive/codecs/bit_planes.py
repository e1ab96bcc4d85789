"""Samples out of the bit planes of their differences: the end of decoding a chunk, in one pass in the cache.

Blosc's bitshuffle lays bit 0 of all differences before bit 1 of all. The wheels of numcodecs put them
together again with SSE2, and NumPy then adds them up one by one; the two take three times as long as zstd
before them. Here words of 32 bits, one of each plane, become 32 differences as a matrix is transposed
(Hacker's Delight, 7-3), many matrices side by side, and are added up while they are near.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numcodecs.zstd import decompress

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["fill_samples"]

HEADER = struct.Struct("<4B5i")
"""Versions, flags, type size; bytes of all, of a block, encoded; start and bytes of the only block."""
VERSIONS = (2, 1)
FLAGS = 0x94
"""Zstd, bit-shuffled, not split."""
WORD = 32
LANES = 256
"""Matrices side by side: enough to fill vectors, few enough to stay near."""
PAD = 16
"""Words between rows, lest all rows compete for the same lines of the cache."""


def fill_samples(encoded: bytes, stored: np.dtype[Any], out: NDArray[np.int32]) -> bool:
    """Fill `out` with the running sum of the differences in a chunk; return False where this can not do it.

    Parameters
    ----------
    encoded : bytes
        What Blosc made of the differences; its checksum has been verified.
    stored : numpy.dtype
        Of the differences: int16 or int32.
    out : numpy.ndarray of int32, shape (n,)
        Left as it is where the chunk is small, has several blocks or was not worth compressing.
    """
    n_bytes = len(out) * stored.itemsize
    if len(out) % (WORD * LANES) or len(encoded) < HEADER.size:
        return False
    n_content = len(encoded) - HEADER.size
    sizes = (n_bytes, n_bytes, len(encoded), HEADER.size - 4, n_content)
    known = (*VERSIONS, FLAGS, stored.itemsize, *sizes)
    if HEADER.unpack_from(encoded) != known or n_content >= n_bytes:
        return False
    planes = np.empty((8 * stored.itemsize, len(out) // WORD), dtype=np.uint32)
    decompress(memoryview(encoded)[HEADER.size :], planes)
    _sum_up(planes, out)
    return True


@njit(cache=True, nogil=True)
def _sum_up(planes: NDArray[np.uint32], out: NDArray[np.int32]) -> None:
    """Fill `out` with the running sum, modulo 2**32, of what the planes hold."""
    near = np.empty((WORD, LANES + PAD), dtype=np.uint32)
    far = np.empty((WORD, LANES + PAD), dtype=np.uint32)
    total = np.int32(0)
    for first in range(0, planes.shape[1], LANES):
        _transpose(planes, first, near, far)
        part = out[WORD * first :]
        for lane in range(LANES):
            for row in range(WORD):
                total = np.int32(total + np.int32(near[row, lane]))
                part[WORD * lane + row] = total


def _exchanger(wide: int, wide_mask: int, narrow: int, narrow_mask: int) -> Callable[..., None]:
    """Return what exchanges bits of rows: a with c and b with d at the wide step, then a with b and c with d.

    Shifts and masks are constants to the compiler, and no row is changed in place: only so it uses vectors.
    """
    u4 = np.uint32

    @njit(cache=True, nogil=True)
    def exchange(
        a: NDArray[np.uint32],
        b: NDArray[np.uint32],
        c: NDArray[np.uint32],
        d: NDArray[np.uint32],
        to_a: NDArray[np.uint32],
        to_b: NDArray[np.uint32],
        to_c: NDArray[np.uint32],
        to_d: NDArray[np.uint32],
    ) -> None:
        for i in range(LANES):
            ac = u4(u4(u4(a[i] >> u4(wide)) ^ c[i]) & u4(wide_mask))
            bd = u4(u4(u4(b[i] >> u4(wide)) ^ d[i]) & u4(wide_mask))
            upper_a, upper_c = u4(a[i] ^ u4(ac << u4(wide))), u4(c[i] ^ ac)
            upper_b, upper_d = u4(b[i] ^ u4(bd << u4(wide))), u4(d[i] ^ bd)
            ab = u4(u4(u4(upper_a >> u4(narrow)) ^ upper_b) & u4(narrow_mask))
            cd = u4(u4(u4(upper_c >> u4(narrow)) ^ upper_d) & u4(narrow_mask))
            to_a[i], to_b[i] = u4(upper_a ^ u4(ab << u4(narrow))), u4(upper_b ^ ab)
            to_c[i], to_d[i] = u4(upper_c ^ u4(cd << u4(narrow))), u4(upper_d ^ cd)

    exchange_rows: Callable[..., None] = exchange
    return exchange_rows


_exchange_16_8 = _exchanger(16, 0x0000FFFF, 8, 0x00FF00FF)
_exchange_4_2 = _exchanger(4, 0x0F0F0F0F, 2, 0x33333333)
_exchange_1 = _exchanger(1, 0x55555555, 1, 0)


@njit(cache=True, nogil=True)
def _transpose(
    planes: NDArray[np.uint32], first: int, near: NDArray[np.uint32], far: NDArray[np.uint32]
) -> None:
    """Fill `near` with the transposed matrices of some words; planes above the sign are as the sign."""
    sign, last = planes.shape[0] - 1, first + LANES
    for k in range(8):
        _exchange_16_8(
            planes[k, first:last],
            planes[k + 8, first:last],
            planes[min(k + 16, sign), first:last],
            planes[min(k + 24, sign), first:last],
            near[k],
            near[k + 8],
            near[k + 16],
            near[k + 24],
        )
    for k in (0, 1, 8, 9, 16, 17, 24, 25):
        _exchange_4_2(
            near[k], near[k + 2], near[k + 4], near[k + 6], far[k], far[k + 2], far[k + 4], far[k + 6]
        )
    for k in range(0, WORD, 4):
        _exchange_1(
            far[k], far[k + 2], far[k + 1], far[k + 3], near[k], near[k + 2], near[k + 1], near[k + 3]
        )
