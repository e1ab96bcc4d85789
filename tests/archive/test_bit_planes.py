"""The end of decoding in one pass: what Blosc and NumPy make of the same bytes, and nothing of others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numcodecs.blosc import Blosc
from numpy.typing import NDArray

from seisflow.archive import shards
from seisflow.archive.codecs import bit_planes
from seisflow.archive.codecs.bit_planes import HEADER, fill_samples

BLOSC = Blosc(cname="zstd", clevel=3, shuffle=Blosc.BITSHUFFLE)


def noise(n: int, n_bits: int, seed: int, dtype: str) -> NDArray[np.generic]:
    """Return signed differences that take so many bits; they compress by those left over."""
    return (np.random.default_rng(seed).integers(-(2 ** (n_bits - 1)), 2 ** (n_bits - 1), n)).astype(dtype)


@given(
    st.sampled_from(["int16", "int32"]),
    st.sampled_from([8192, 16384, 32768]),
    st.integers(1, 32),
    st.integers(0, 2**32),
)
@settings(max_examples=80, deadline=None)
def test_samples_are_those_of_blosc_and_numpy(dtype: str, n: int, n_bits: int, seed: int) -> None:
    n_bits = min(n_bits, 8 * np.dtype(dtype).itemsize)
    differences = noise(n, n_bits, seed, dtype)
    encoded = BLOSC.encode(differences)
    out = np.full(n, 77, dtype=np.int32)
    is_done = fill_samples(encoded, differences.dtype, out)
    if n_bits <= 4 * differences.itemsize:  # else it may not be worth compressing
        assert is_done
    if is_done:
        np.testing.assert_array_equal(out, np.cumsum(differences, dtype=np.int32))
    else:
        assert set(out.tolist()) == {77}


@pytest.mark.parametrize("n_bits", [10, 24, 32])
def test_a_long_shard_comes_back(n_bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "TASK_SAMPLES", 2 * shards.CHUNK_SAMPLES)
    samples = np.cumsum(noise(150_000, n_bits, 1, "int64")).astype(np.int32)  # wraps around
    content, shard = shards.encode_samples(samples)
    assert shard.chunk_samples == shards.CHUNK_SAMPLES
    found = shards.decode_samples(shard, [(0, len(samples))], lambda low, high: content[low:high], "a")
    np.testing.assert_array_equal(found, samples)


@pytest.mark.parametrize("n_bits", [12, 20])
def test_every_chunk_of_a_long_read_takes_this_way(n_bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []

    def fill(encoded: bytes, stored: np.dtype[np.generic], out: NDArray[np.int32]) -> bool:
        taken.append(fill_samples(encoded, stored, out))
        return taken[-1]

    monkeypatch.setattr(bit_planes, "fill_samples", fill)
    samples = noise(20 * shards.CHUNK_SAMPLES, n_bits, 2, "int32")
    content, shard = shards.encode_samples(samples)
    assert shard.stored == ("int16" if n_bits < 16 else "int32")
    found = shards.decode_samples(shard, [(0, len(samples))], lambda low, high: content[low:high], "a")
    np.testing.assert_array_equal(found, samples)
    assert taken == [True] * 20


def test_what_blosc_lays_out_otherwise_is_left_to_it() -> None:
    differences = noise(32768, 12, 3, "int32")
    out = np.full(32768, 77, dtype=np.int32)
    others = [
        BLOSC.encode(noise(32768, 32, 4, "int32")),  # not worth compressing
        Blosc(cname="lz4", shuffle=Blosc.BITSHUFFLE).encode(differences),
        Blosc(cname="zstd", shuffle=Blosc.SHUFFLE).encode(differences),
        Blosc(cname="zstd", shuffle=Blosc.BITSHUFFLE, blocksize=65536).encode(differences),
        BLOSC.encode(differences.astype("int16")),
        BLOSC.encode(differences[:16384]),
        b"",
    ]
    assert [fill_samples(encoded, differences.dtype, out) for encoded in others] == [False] * len(others)
    assert set(out.tolist()) == {77}


def test_no_byte_of_the_header_may_differ() -> None:
    differences = noise(8192, 12, 5, "int32")
    encoded = BLOSC.encode(differences)
    out = np.empty(8192, dtype=np.int32)
    assert fill_samples(encoded, differences.dtype, out)
    for position in range(HEADER.size):
        damaged = bytearray(encoded)
        damaged[position] ^= 1
        assert not fill_samples(bytes(damaged), differences.dtype, out), position
    assert not fill_samples(encoded[:-1], differences.dtype, out)
