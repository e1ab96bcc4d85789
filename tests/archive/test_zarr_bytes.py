"""A channel-day as bytes: nothing is lost, plain Zarr reads it, and no flipped byte goes unnoticed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from seisflow.archive import channel_days, shards
from seisflow.archive.channel_days import FILL, ChannelDay, Document, encode_channel
from seisflow.errors import ArchiveError
from seisflow.keys import Window
from seisflow.traces import ChannelTraces

DAY = Window.of_day("2024-03-01")
START_NS = int(DAY.start.astype("int64"))
SECOND_NS = 1_000_000_000


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "CHUNK_SAMPLES", 1000)


def channel(
    samples: NDArray[np.generic], starts_ns: list[int] | None = None, lengths: list[int] | None = None
) -> ChannelTraces:
    """Return traces at 100 Hz; one that begins at midnight where nothing else is said."""
    return ChannelTraces(
        "XX",
        "AAA",
        "00",
        "HHZ",
        100.0,
        np.array(starts_ns or [START_NS], dtype=np.int64),
        np.array(lengths or [len(samples)], dtype=np.int64),
        samples,
    )


def noise(n: int) -> NDArray[np.int32]:
    return np.cumsum(np.random.default_rng(1).normal(0.0, 30.0, n)).astype(np.int32)


def reader(shard: bytes) -> Callable[[int, int], bytes]:
    return lambda first, last: shard[first:last]


def decoded(stored: ChannelDay, window: Window = DAY) -> ChannelTraces | None:
    return Document(stored.document, "XX/AAA").traces(window, reader(stored.shard))


def write(folder: Path, stored: ChannelDay) -> str:
    (folder / "c").mkdir(parents=True)
    (folder / "zarr.json").write_bytes(stored.document)
    (folder / "c" / "0").write_bytes(stored.shard)
    return str(folder)


@st.composite
def many_traces(draw: st.DrawFn) -> ChannelTraces:
    """Draw traces with gaps and overlaps, in any order, of any values of one of the three types."""
    lengths = draw(st.lists(st.integers(1, 1500), min_size=1, max_size=6))
    starts = draw(st.lists(st.integers(0, 80_000 * 10**6), min_size=len(lengths), max_size=len(lengths)))
    dtype = np.dtype(draw(st.sampled_from(["int32", "float32", "float64"])))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    # Any pattern of bits: the extremes of int32, whose differences overflow, and NaN with a payload.
    samples = np.frombuffer(rng.bytes(sum(lengths) * dtype.itemsize), dtype=dtype)
    if draw(st.booleans()):
        samples = rng.integers(-500, 500, sum(lengths)).astype(dtype)
    return channel(samples, [START_NS + 1000 * start for start in starts], lengths)


@given(many_traces())
@settings(max_examples=60, deadline=None)
def test_every_bit_comes_back(tmp_path_factory: pytest.TempPathFactory, given: ChannelTraces) -> None:
    stored = encode_channel(given)
    found = decoded(stored, Window(DAY.start, DAY.start + np.timedelta64(2, "D")))
    assert found is not None
    assert found.samples.dtype == given.samples.dtype
    assert found.samples.tobytes() == given.samples.tobytes()
    assert found._replace(samples=given.samples).id == given.id
    np.testing.assert_array_equal(found.starts_ns, given.starts_ns)
    np.testing.assert_array_equal(found.lengths, given.lengths)
    plain = zarr.open_array(write(tmp_path_factory.mktemp("z") / "a", stored), mode="r")
    assert plain[:].tobytes() == given.samples.tobytes()


@given(many_traces(), st.integers(0, 90_000 * 10**6), st.integers(1, 90_000 * 10**6))
@settings(max_examples=100, deadline=None)
def test_a_window_holds_its_samples_and_no_others(given: ChannelTraces, start: int, length: int) -> None:
    begin = DAY.start + np.timedelta64(start, "us")
    window = Window(begin, begin + np.timedelta64(length, "us"))
    found = decoded(encode_channel(given), window)
    assert sorted(timed(found)) == sorted(
        item for item in timed(given) if window.holds(np.datetime64(item[0], "ns"))
    )


def timed(traces: ChannelTraces | None) -> list[tuple[int, bytes]]:
    """Return time and value of every sample; at 100 Hz a sample is a whole number of nanoseconds."""
    if traces is None:
        return []
    times = [s + 10_000_000 * np.arange(n) for s, n in zip(traces.starts_ns, traces.lengths, strict=True)]
    return list(zip(np.concatenate(times).tolist(), [v.tobytes() for v in traces.samples], strict=True))


def test_neighbouring_windows_share_no_sample_and_leave_none_out() -> None:
    stored = encode_channel(channel(noise(8640)))
    borders = DAY.start + np.sort(np.random.default_rng(2).integers(0, 86 * SECOND_NS, 40)).astype("m8[ns]")
    windows = [Window(a, b) for a, b in zip([DAY.start, *borders], [*borders, DAY.end], strict=True)]
    found = [part.samples for window in windows if (part := decoded(stored, window)) is not None]
    np.testing.assert_array_equal(np.concatenate(found), noise(8640))


def test_only_chunks_that_a_window_touches_are_read() -> None:
    stored = encode_channel(channel(noise(8640)))
    asked = []

    def read(first: int, last: int) -> bytes:
        asked.append(stored.shard[first:last])
        return asked[-1]

    document = Document(stored.document, "XX/AAA")
    sizes = document.shard.chunk_bytes
    start = DAY.start + np.timedelta64(25, "s")
    document.traces(Window(start, start + np.timedelta64(10, "s")), read)  # samples 2500 to 3500
    assert [len(content) for content in asked] == [sizes[2] + sizes[3]]
    asked.clear()
    assert document.traces(Window("2024-03-01T12:00", "2024-03-01T13:00"), read) is None
    assert asked == []


def test_overlapping_traces_of_a_short_window_are_read_where_they_lie() -> None:
    first, second = noise(5000), -noise(5000)
    stored = encode_channel(channel(np.concatenate([first, second]), [START_NS, START_NS], [5000, 5000]))
    asked: list[int] = []

    def read(low: int, high: int) -> bytes:
        asked.append(high - low)
        return stored.shard[low:high]

    document = Document(stored.document, "XX/AAA")
    found = document.traces(Window(DAY.start, DAY.start + np.timedelta64(1, "s")), read)
    assert found is not None
    np.testing.assert_array_equal(found.samples, np.concatenate([first[:100], second[:100]]))
    assert asked == [document.shard.chunk_bytes[0], document.shard.chunk_bytes[5]]


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_a_flipped_bit_anywhere_in_a_shard_is_an_error(dtype: str) -> None:
    stored = encode_channel(channel(noise(3500).astype(dtype)))
    rng = np.random.default_rng(3)
    for position in range(len(stored.shard)):
        damaged = bytearray(stored.shard)
        damaged[position] ^= 1 << int(rng.integers(8))
        with pytest.raises(ArchiveError, match="damaged"):
            decoded(stored._replace(shard=bytes(damaged)))


@pytest.mark.parametrize("dtype", ["int32", "float64"])
def test_threads_that_share_an_array_read_it_whole_and_notice_damage(
    monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    monkeypatch.setattr(shards, "TASK_SAMPLES", 2000)
    samples = noise(8640).astype(dtype)
    stored = encode_channel(channel(samples))
    document = Document(stored.document, "XX/AAA")
    ends = np.cumsum(document.shard.chunk_bytes)
    with ThreadPoolExecutor(3) as pool:
        found = document.traces(DAY, reader(stored.shard), pool.map)
        assert found is not None
        np.testing.assert_array_equal(found.samples, samples)
        for number, end in enumerate(ends):
            damaged = bytearray(stored.shard)
            damaged[end - 20] ^= 1
            with pytest.raises(ArchiveError, match=f"chunk {number} of .* is damaged"):
                document.traces(DAY, reader(bytes(damaged)), pool.map)


def test_a_flipped_bit_anywhere_in_a_document_is_an_error() -> None:
    stored = encode_channel(channel(noise(1500)), sources=["a.mseed"], problems=["b"])
    for position in range(len(stored.document)):
        damaged = bytearray(stored.document)
        damaged[position] ^= 1 << (position % 7)
        with pytest.raises(ArchiveError, match="damaged"):
            Document(bytes(damaged), "XX/AAA")


def test_a_short_or_missing_or_foreign_shard_is_an_error() -> None:
    one, other = (encode_channel(channel(np.full(2500, value, dtype=np.int32))) for value in (5, 7))
    assert len(one.shard) == len(other.shard)
    for shard in (one.shard[:-1], one.shard[: len(one.shard) // 2], b"", other.shard):
        with pytest.raises(ArchiveError, match="ingest with --verify again"):
            decoded(one._replace(shard=shard))


def test_plain_zarr_shows_no_samples_where_the_shard_is_missing(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", encode_channel(channel(noise(1500))))
    (tmp_path / "a" / "c" / "0").unlink()
    assert set(zarr.open_array(folder, mode="r")[:].tolist()) == {FILL["int32"]}


def test_plain_zarr_notices_a_flipped_byte(tmp_path: Path) -> None:
    stored = encode_channel(channel(noise(1500)))
    damaged = bytearray(stored.shard)
    damaged[100] ^= 1
    folder = write(tmp_path / "a", stored._replace(shard=bytes(damaged)))
    with pytest.raises(ValueError, match="checksum"):
        zarr.open_array(folder, mode="r")[:]


def test_what_plain_zarr_writes_has_the_same_bytes(tmp_path: Path) -> None:
    stored = encode_channel(channel(noise(2000)))
    folder = write(tmp_path / "a", stored)
    array = zarr.open_array(folder, mode="r+")
    array[:] = noise(2000)
    assert (tmp_path / "a" / "c" / "0").read_bytes() == stored.shard


def test_a_document_of_others_or_of_the_future_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zarr.create_array(str(tmp_path / "a"), shape=(3,), dtype="int32")
    with pytest.raises(ArchiveError, match="not as seisflow ingest wrote it"):
        Document((tmp_path / "a" / "zarr.json").read_bytes(), "a")
    monkeypatch.setattr(channel_days, "FORMAT", 2)
    newer = encode_channel(channel(noise(100))).document
    monkeypatch.undo()
    with pytest.raises(ArchiveError, match=r"format 2.*update seisflow"):
        Document(newer, "a")


@pytest.mark.parametrize(("step", "stored"), [(32767, "int16"), (-32768, "int32"), (2**31 - 1, "int32")])
def test_small_differences_take_two_bytes(tmp_path: Path, step: int, stored: str) -> None:
    samples = np.zeros(1500, dtype=np.int32)
    samples[700:] = step
    samples[1100:] = 0
    made = encode_channel(channel(samples))
    assert Document(made.document, "a").shard.stored == stored
    found = decoded(made)
    assert found is not None
    np.testing.assert_array_equal(found.samples, samples)
    np.testing.assert_array_equal(zarr.open_array(write(tmp_path / "a", made), mode="r")[:], samples)
