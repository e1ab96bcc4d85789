"""Samples as the bytes of a Zarr v3 shard, and back: chunks that are checked before they are decoded.

Any Zarr v3 library with numcodecs reads these shards. This file writes and reads the same bytes
without that machinery, which costs more than the decoding (see docs/ingest.md), and it checks more:
whoever reads brings the size and checksum of every chunk, so that a flipped byte, a short shard, or one
that was written by another hand is an error and never a wrong sample.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from seisflow.errors import ArchiveError

if TYPE_CHECKING:
    from numcodecs.blosc import Blosc
    from numpy.typing import NDArray

__all__ = ["CHUNK_SAMPLES", "Shard", "codecs", "decode_samples", "encode_samples"]

CHUNK_SAMPLES = 65_536
"""Samples of a chunk: 11 min at 100 Hz."""
LEVEL = 3
CRC_BYTES = 4
INDEX_ENTRY = np.dtype([("offset", "<u8"), ("n_bytes", "<u8")])


class Shard(NamedTuple):
    """What has to be known of a shard to read it safely.

    Attributes
    ----------
    dtype : numpy.dtype
        int32, float32 or float64.
    chunk_samples : int
        Samples of each chunk; the last one is filled up with its last sample.
    chunk_bytes : sequence of int
        Encoded size of each chunk, its CRC32C included; they lie one behind the other.
    chunk_crc32c : sequence of int
        CRC32C of each encoded chunk.
    """

    dtype: np.dtype[Any]
    chunk_samples: int
    chunk_bytes: Sequence[int]
    chunk_crc32c: Sequence[int]

    @property
    def n_bytes(self) -> int:
        """Size of the whole shard."""
        return sum(self.chunk_bytes) + len(self.index)

    @property
    def index(self) -> bytes:
        """What stands at the end of the shard: where each chunk lies."""
        index = np.empty(len(self.chunk_bytes), dtype=INDEX_ENTRY)
        index["n_bytes"] = self.chunk_bytes
        index["offset"] = np.cumsum(self.chunk_bytes) - index["n_bytes"]
        content = index.tobytes()
        return content + _crc(content)


def codecs(dtype: np.dtype[Any], chunk_samples: int) -> list[dict[str, Any]]:
    """Return the codecs of a shard as the metadata of a Zarr v3 array name them."""
    name, little = str(dtype), {"name": "bytes", "configuration": {"endian": "little"}}
    delta = {"name": "numcodecs.delta", "configuration": {"dtype": name, "astype": name}}
    blosc = {
        "cname": "zstd",
        "clevel": LEVEL,
        "shuffle": "bitshuffle",
        "typesize": dtype.itemsize,
        "blocksize": 0,
    }
    inner = [little, {"name": "blosc", "configuration": blosc}, {"name": "crc32c"}]
    sharding = {
        "chunk_shape": [chunk_samples],
        "codecs": [delta, *inner] if dtype.kind == "i" else inner,
        "index_codecs": [little, {"name": "crc32c"}],
        "index_location": "end",
    }
    return [{"name": "sharding_indexed", "configuration": sharding}]


def encode_samples(samples: NDArray[Any]) -> tuple[bytes, Shard]:
    """Return the bytes of a shard, and what must be known to read it.

    Parameters
    ----------
    samples : numpy.ndarray of int32, float32 or float64, shape (n,), n > 0
        Integers are stored as differences (of one chunk, modulo 2**32), floats as they are.
    """
    n_chunk = min(CHUNK_SAMPLES, len(samples))
    chunks, sums = [], []
    for first in range(0, len(samples), n_chunk):
        chunk = samples[first : first + n_chunk]
        encoded = _encode(np.pad(chunk, (0, n_chunk - len(chunk)), mode="edge"))
        crc = _crc(encoded)
        chunks.append(encoded + crc)
        sums.append(int.from_bytes(crc, "little"))
    shard = Shard(samples.dtype, n_chunk, [len(chunk) for chunk in chunks], sums)
    return b"".join([*chunks, shard.index]), shard


def decode_samples(
    shard: Shard, spans: Sequence[tuple[int, int]], read: Callable[[int, int], bytes], where: str
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
        samples = _chunks(shard, first, last, read, where)
        parts += [samples[low - first * n_chunk : high - first * n_chunk] for low, high in group]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _chunks(
    shard: Shard, first: int, last: int, read: Callable[[int, int], bytes], where: str
) -> NDArray[Any]:
    """Return the samples of the chunks ``[first, last)``; where these are all, the index is checked too."""
    borders = np.cumsum([0, *shard.chunk_bytes]).tolist()
    index = shard.index if last - first == len(shard.chunk_bytes) else b""
    begin, end = borders[first], borders[last]
    content = read(begin, end + len(index))
    if len(content) != end - begin + len(index) or not content.endswith(index):
        raise ArchiveError(f"the shard of {where} is cut short or its index damaged; ingest this day again")
    samples = np.empty((last - first, shard.chunk_samples), dtype=shard.dtype)
    buffer = np.empty(shard.chunk_samples, dtype=shard.dtype)
    for number in range(first, last):
        low, high = borders[number] - begin, borders[number + 1] - begin - CRC_BYTES
        encoded, crc = content[low:high], content[high : high + CRC_BYTES]
        if crc != _crc(encoded) or int.from_bytes(crc, "little") != shard.chunk_crc32c[number]:
            raise ArchiveError(
                f"chunk {number} of the shard of {where} is damaged: its checksum does not agree; "
                "ingest this day again"
            )
        _decode(encoded, samples[number - first], buffer)
    return samples.reshape(-1)


def _encode(samples: NDArray[Any]) -> bytes:
    if samples.dtype.kind == "i":
        samples = np.concatenate([samples[:1], np.diff(samples)])
    encoded: bytes = _blosc().encode(samples.astype(samples.dtype.newbyteorder("<"), copy=False))
    return encoded


def _decode(encoded: bytes, out: NDArray[Any], buffer: NDArray[Any]) -> None:
    """Fill `out` with the samples of a chunk; `buffer`, as long, stays in the cache of the processor."""
    if out.dtype.kind != "i":
        _blosc().decode(encoded, out)
        return
    _blosc().decode(encoded, buffer)
    np.cumsum(buffer, dtype=out.dtype, out=out)


@functools.cache
def _blosc() -> Blosc:
    from numcodecs.blosc import Blosc

    return Blosc(cname="zstd", clevel=LEVEL, shuffle=Blosc.BITSHUFFLE)


def _crc(content: bytes) -> bytes:
    """Return the CRC32C of some bytes, as Zarr writes it."""
    import google_crc32c

    return int(google_crc32c.value(content)).to_bytes(CRC_BYTES, "little")
