"""Samples as the bytes of a Zarr v3 shard, and back: chunks that are checked before they are decoded.

Any Zarr v3 library with numcodecs reads these shards. This file writes and reads the same bytes
without that machinery, which costs more than the decoding (see docs/ingest.md), and it checks more:
whoever reads brings the size and checksum of every chunk, so that a flipped byte, a short shard, or one
that was written by another hand is an error and never a wrong sample.
"""

from __future__ import annotations

import functools
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from seisflow.errors import ArchiveError

if TYPE_CHECKING:
    from numcodecs.blosc import Blosc
    from numpy.typing import NDArray

__all__ = ["CHUNK_SAMPLES", "Shard", "Spread", "decode_samples", "encode_samples"]

Spread = Callable[[Callable[[int], None], Iterable[int]], Iterable[None]]
"""What does a task for each of some numbers: `map`, or that of a pool of threads."""

CHUNK_SAMPLES = 32_768
"""Samples of a chunk: 5.5 min at 100 Hz."""
TASK_SAMPLES = 1 << 19
"""Samples that a thread decodes at a time: a ms, long against handing it over, short against a day."""
LEVEL = 3
CRC_BYTES = 4
INDEX_ENTRY = np.dtype([("offset", "<u8"), ("n_bytes", "<u8")])


class Shard(NamedTuple):
    """What has to be known of a shard to read it safely.

    Attributes
    ----------
    dtype : numpy.dtype
        Of the samples: int32, float32 or float64.
    stored : numpy.dtype
        Of what is compressed: int16 or int32 where it is differences, else as the samples.
    chunk_samples : int
        Samples of each chunk; the last one is filled up with its last sample.
    chunk_bytes : sequence of int
        Encoded size of each chunk, its CRC32C included; they lie one behind the other.
    chunk_crc32c : sequence of int
        CRC32C of each encoded chunk.
    """

    dtype: np.dtype[Any]
    stored: np.dtype[Any]
    chunk_samples: int
    chunk_bytes: Sequence[int]
    chunk_crc32c: Sequence[int]

    @property
    def n_bytes(self) -> int:
        """Size of the whole shard."""
        return sum(self.chunk_bytes) + len(self.tail)

    @property
    def tail(self) -> bytes:
        """What stands at the end of the shard: the index, which says where each chunk lies."""
        index = np.empty(len(self.chunk_bytes), dtype=INDEX_ENTRY)
        index["n_bytes"] = self.chunk_bytes
        index["offset"] = np.cumsum(self.chunk_bytes) - index["n_bytes"]
        content = index.tobytes()
        return content + _crc(content)

    @property
    def codecs(self) -> list[dict[str, Any]]:
        """The codecs, as the metadata of a Zarr v3 array name them."""
        little = {"name": "bytes", "configuration": {"endian": "little"}}
        delta = {"dtype": str(self.dtype), "astype": str(self.stored)}
        blosc = {"cname": "zstd", "clevel": LEVEL, "shuffle": "bitshuffle"}
        blosc |= {"typesize": self.stored.itemsize, "blocksize": 0}
        inner = [little, {"name": "blosc", "configuration": blosc}, {"name": "crc32c"}]
        if self.dtype.kind == "i":
            inner.insert(0, {"name": "numcodecs.delta", "configuration": delta})
        sharding = {
            "chunk_shape": [self.chunk_samples],
            "codecs": inner,
            "index_codecs": [little, {"name": "crc32c"}],
            "index_location": "end",
        }
        return [{"name": "sharding_indexed", "configuration": sharding}]

    @property
    def chunks(self) -> str:
        """Sizes of the chunks, then their checksums, in base64: the text that is quickest to read."""
        return b64encode(np.array([self.chunk_bytes, self.chunk_crc32c], dtype="<u4").tobytes()).decode()

    @classmethod
    def of_array(cls, document: Mapping[str, Any], chunks: str) -> Self:
        """Return what the metadata of an array, and the text on its chunks, say of its shard."""
        sharding = document["codecs"][0]["configuration"]
        dtype = np.dtype(document["data_type"])
        stored = np.dtype(sharding["codecs"][0]["configuration"].get("astype", dtype))
        chunk_bytes, chunk_crc32c = np.frombuffer(b64decode(chunks), dtype="<u4").reshape(2, -1).tolist()
        return cls(dtype, stored, sharding["chunk_shape"][0], chunk_bytes, chunk_crc32c)


def encode_samples(samples: NDArray[Any]) -> tuple[bytes, Shard]:
    """Return the bytes of a shard, and what must be known to read it.

    Parameters
    ----------
    samples : numpy.ndarray of int32, float32 or float64, shape (n,), n > 0
        Integers are stored as differences within a chunk, modulo 2**32, in two bytes where all of
        them fit; floats are stored as they are.
    """
    n_chunk = min(CHUNK_SAMPLES, len(samples))
    rows = np.pad(samples, (0, -len(samples) % n_chunk), mode="edge").reshape(-1, n_chunk)
    stored = samples.dtype
    if stored.kind == "i":
        rows[:, 1:] = np.diff(rows)
        stored = np.dtype(np.int16 if np.abs(rows, dtype=np.int64).max() < 2**15 else np.int32)
    chunks, sums = [], []
    for row in rows:
        encoded: bytes = _blosc().encode(row.astype(stored.newbyteorder("<"), copy=False))
        crc = _crc(encoded)
        chunks.append(encoded + crc)
        sums.append(int.from_bytes(crc, "little"))
    shard = Shard(samples.dtype, stored, n_chunk, [len(chunk) for chunk in chunks], sums)
    return b"".join([*chunks, shard.tail]), shard


def decode_samples(
    shard: Shard,
    spans: Sequence[tuple[int, int]],
    read: Callable[[int, int], bytes],
    where: str,
    spread: Spread = map,
) -> NDArray[Any]:
    """Return the samples of some spans, one behind the other.

    Parameters
    ----------
    shard : Shard
    spans : sequence of (int, int)
        Positions ``[first, last)`` in the shard, ascending; none empty.
    read : callable
        Gives the bytes ``[first, last)`` of the shard. Asked once for chunks that lie together.
    where : str
        Name of the array, for messages.
    spread : callable
        Decodes parts of what was read: `map` one behind the other, that of a pool side by side.

    Raises
    ------
    ArchiveError
        If what was read is not what was written.
    """
    n_chunk = shard.chunk_samples
    groups: list[list[tuple[int, int]]] = []
    for span in spans:
        if groups and span[0] // n_chunk <= (groups[-1][-1][1] - 1) // n_chunk:
            groups[-1].append(span)
        else:
            groups.append([span])
    parts = []
    for group in groups:
        first, last = group[0][0] // n_chunk, (group[-1][1] - 1) // n_chunk + 1
        samples = _chunks(shard, first, last, read, where, spread)
        parts += [samples[low - first * n_chunk : high - first * n_chunk] for low, high in group]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _chunks(
    shard: Shard, first: int, last: int, read: Callable[[int, int], bytes], where: str, spread: Spread
) -> NDArray[Any]:
    """Return the samples of the chunks ``[first, last)``; where these are all, the index is checked too."""
    index = shard.tail if last - first == len(shard.chunk_bytes) else b""
    begin = sum(shard.chunk_bytes[:first])
    borders = list(accumulate(shard.chunk_bytes[first:last], initial=0))
    content = read(begin, begin + borders[-1] + len(index))
    if len(content) != borders[-1] + len(index) or not content.endswith(index):
        raise ArchiveError(
            f"the shard of {where} is cut short or its index damaged; ingest with --verify again"
        )
    samples = np.empty((last - first, shard.chunk_samples), dtype=shard.dtype)
    n_rows = max(TASK_SAMPLES // shard.chunk_samples, 1)
    is_long = samples.size > TASK_SAMPLES and shard.dtype.kind == "i"
    if is_long:  # else not worth the import of numba
        from seisflow.archive.codecs.bit_planes import fill_samples

    def decode(begin: int) -> None:
        buffer = np.empty(shard.chunk_samples, dtype=shard.stored)
        for row in range(begin, min(begin + n_rows, last - first)):
            low, high = borders[row], borders[row + 1]
            encoded, crc = content[low : high - CRC_BYTES], content[high - CRC_BYTES : high]
            if crc != _crc(encoded) or int.from_bytes(crc, "little") != shard.chunk_crc32c[first + row]:
                raise ArchiveError(
                    f"chunk {first + row} of the shard of {where} is damaged: its checksum does not agree; "
                    "ingest with --verify again"
                )
            if not (is_long and fill_samples(encoded, shard.stored, samples[row])):
                _decode(encoded, samples[row], buffer)

    deque(spread(decode, range(0, last - first, n_rows)), maxlen=0)
    return samples.reshape(-1)


def _decode(encoded: bytes, out: NDArray[Any], buffer: NDArray[Any]) -> None:
    """Fill `out` with the samples of a chunk; `buffer`, as long, stays in the cache of the processor."""
    stored = out if buffer.dtype == out.dtype else buffer
    _blosc().decode(encoded, stored)
    if out.dtype.kind == "i":
        np.add.accumulate(stored, dtype=out.dtype, out=out)


@functools.cache
def _blosc() -> Blosc:
    from numcodecs.blosc import Blosc

    return Blosc(cname="zstd", clevel=LEVEL, shuffle=Blosc.BITSHUFFLE)


def _crc(content: bytes) -> bytes:
    """Return the CRC32C of some bytes, as Zarr writes it."""
    import google_crc32c

    return int(google_crc32c.value(content)).to_bytes(CRC_BYTES, "little")
