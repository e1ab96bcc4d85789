"""Every encoding, both byte orders, both versions, and real files: the samples are obspy's."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import obspy
import pytest

from seisflow.archive.decode import decode_file
from seisflow.traces import Traces
from tests.archive.records import (
    CONTENT,
    N_RECORDS,
    RECORD,
    SIGNAL,
    changed,
    miniseed,
    on_grid,
    record,
    without,
)


@pytest.mark.parametrize("byteorder", [">", "<"])
@pytest.mark.parametrize(
    ("encoding", "kind"),
    [
        ("STEIM1", "int32"),
        ("STEIM2", "int32"),
        ("INT16", "int16"),
        ("INT32", "int32"),
        ("FLOAT32", "float32"),
        ("FLOAT64", "float64"),
    ],
)
def test_every_encoding_in_both_byte_orders(encoding: str, kind: str, byteorder: str) -> None:
    data = (SIGNAL // 8).astype(kind)
    (channel,), problems = decode_file("a.m", content=miniseed(data, encoding=encoding, byteorder=byteorder))
    assert problems == []
    np.testing.assert_array_equal(channel.samples, data)
    assert channel.samples.dtype == ("int32" if kind == "int16" else kind)


@pytest.mark.parametrize("step", [0, 1, 7, 15, 31, 127, 511, 16383, 2**28])
@pytest.mark.parametrize("encoding", ["STEIM1", "STEIM2"])
@pytest.mark.parametrize("byteorder", [">", "<"])
def test_differences_of_every_size(encoding: str, step: int, byteorder: str) -> None:
    rng = np.random.default_rng(step)
    data = np.cumsum(rng.integers(-step, step + 1, 5000)).astype(np.int64)
    data = (data % 2**29).astype(np.int32) if step > 2**20 else data.astype(np.int32)
    if encoding == "STEIM2":
        data = data // 2
    (channel,), problems = decode_file("a.m", content=miniseed(data, encoding=encoding, byteorder=byteorder))
    assert problems == []
    np.testing.assert_array_equal(channel.samples, data)


@pytest.mark.parametrize("rate_hz", [0.01, 0.1, 1.0, 31.25, 99.99, 100.0, 1000 / 3, 4000.0])
def test_sampling_rates(rate_hz: float) -> None:
    content = miniseed(rate_hz=rate_hz)
    (channel,), problems = decode_file("a.m", content=content)
    assert problems == []
    assert channel.rate_hz == obspy.read(io.BytesIO(content))[0].stats.sampling_rate
    assert channel.lengths.tolist() == [len(SIGNAL)]


def test_times_before_1970_and_to_the_microsecond() -> None:
    for start in ("1965-12-31T23:59:59.123456", "2000-02-29T12:00:00.000099", "2016-12-31T23:59:59.9999"):
        content = miniseed(SIGNAL[:1000], start)
        (channel,), _ = decode_file("a.m", content=content)
        assert channel.starts_ns[0] == obspy.UTCDateTime(start).ns


def test_a_time_correction_is_applied_unless_it_was() -> None:
    corrected = b"".join(changed(record(i), 40, struct.pack(">i", -15000)) for i in range(N_RECORDS))
    (channel,), _ = decode_file("a.m", content=corrected)
    assert (
        channel.starts_ns[0] == decode_file("a.m", content=CONTENT).channels[0].starts_ns[0] - 1_500_000_000
    )
    applied = b"".join(changed(record(i, corrected), 36, b"\x02") for i in range(N_RECORDS))
    (channel,), _ = decode_file("a.m", content=applied)
    assert channel.starts_ns[0] == decode_file("a.m", content=CONTENT).channels[0].starts_ns[0]


def test_records_without_blockette_1000_are_steim1_up_to_the_next_record() -> None:
    content = miniseed(encoding="STEIM1")
    parts = [record(i, content) for i in range(len(content) // RECORD)]
    bare = b"".join(changed(changed(part, 39, b"\0"), 46, b"\0\0") for part in parts)
    (channel,), problems = decode_file("a.m", content=bare)
    assert problems == []
    np.testing.assert_array_equal(channel.samples, SIGNAL)


def test_full_seed_has_control_headers_that_are_no_damage() -> None:
    control = b"".join(b"%06dS " % (i + 1) + b"0500123" + b" " * (4096 - 15) for i in range(3))
    (channel,), problems = decode_file("a.m", content=control + CONTENT)
    assert problems == []
    np.testing.assert_array_equal(channel.samples, SIGNAL)


def test_an_encoding_of_old_instruments_is_left_to_obspy() -> None:
    plain = miniseed((SIGNAL[:4000] // 1024).astype(np.int16), encoding="INT16")
    content = bytearray(plain)
    content[52::RECORD] = bytes([32]) * (len(plain) // RECORD)  # DWWSSN, two bytes as well
    expected = obspy.read(io.BytesIO(bytes(content)))[0].data
    (channel,), problems = decode_file("a.m", content=bytes(content))
    assert problems == []
    np.testing.assert_array_equal(channel.samples, expected)
    (header,), _ = decode_file("a.m", content=bytes(content), headers_only=True)
    assert header.lengths.sum() == len(expected)


def miniseed_3(data: np.ndarray, encoding: str, kind: str) -> list[bytes]:
    """Return samples as records of version 3, written by libmseed."""
    pymseed = pytest.importorskip("pymseed")
    template = pymseed.MS3Record()
    template.sourceid, template.samprate, template.formatversion = "FDSN:Z7_AAA_10_H_H_Z", 100.0, 3
    template.set_starttime_str("2014-08-24T00:00:00.123456789Z")
    template.encoding, template.reclen = pymseed.DataEncoding[encoding], 600
    return [bytes(one) for one in template.generate(data_samples=data, sample_type=kind)]


@pytest.mark.parametrize(
    ("encoding", "kind", "dtype"),
    [
        ("STEIM2", "i", "i4"),
        ("STEIM1", "i", "i4"),
        ("INT32", "i", "i4"),
        ("FLOAT32", "f", "f4"),
        ("FLOAT64", "d", "f8"),
    ],
)
def test_miniseed_3(encoding: str, kind: str, dtype: str) -> None:
    data = SIGNAL.astype(dtype)
    records = miniseed_3(data, encoding, kind)
    (channel,), problems = decode_file("a.m", content=b"".join(records))
    assert problems == []
    assert channel.id == "Z7.AAA.10.HHZ"
    assert channel.starts_ns.tolist() == [int(np.datetime64("2014-08-24T00:00:00.123456789").astype("int64"))]
    np.testing.assert_array_equal(channel.samples, data)


@pytest.mark.parametrize("place", [8, 24, 30, 41, 300])
def test_a_changed_byte_of_miniseed_3_costs_its_record(place: int) -> None:
    records = miniseed_3(SIGNAL, "INT32", "i")
    at = sum(map(len, records[:10])) + place
    content = b"".join(records)
    channels, problems = decode_file("a.m", content=changed(content, at, bytes([content[at] ^ 1])))
    sound = [decode_file("a.m", content=one).channels[0].samples for i, one in enumerate(records) if i != 10]
    np.testing.assert_array_equal(np.concatenate([c.samples for c in channels]), np.concatenate(sound))
    begin = sum(map(len, records[:10]))
    assert f"bytes {begin}-{begin + len(records[10])}" in problems[0]
    assert len(problems) == 1


def test_both_versions_in_one_file() -> None:
    content = b"".join(miniseed_3(SIGNAL[:3000], "STEIM2", "i")) + miniseed(location="20")
    channels, problems = decode_file("a.m", content=content)
    assert [channel.id for channel in channels] == ["Z7.AAA.10.HHZ", "Z7.AAA.20.HHZ"]
    assert problems == []


@pytest.mark.parametrize("folder", ["socal_days_2022", "iceland_dike_2014/waveforms"])
def test_real_files_give_obspys_samples(shared: Path, folder: str) -> None:
    files = sorted(p for p in (shared / "data" / folder).iterdir() if p.suffix in (".m", ".ms"))[:8]
    assert files
    for path in files:
        traces = decode_file(str(path))
        assert traces.problems == []
        ours = traces.to_stream().sort().merge()
        theirs = obspy.read(str(path)).sort().merge()
        assert [trace.id for trace in ours] == [trace.id for trace in theirs]
        for one, other in zip(ours, theirs, strict=True):
            assert one.stats.starttime == other.stats.starttime
            np.testing.assert_array_equal(np.ma.filled(one.data, 0), np.ma.filled(other.data, 0))


def test_obspys_streams_come_back_as_they_were() -> None:
    stream = obspy.read(io.BytesIO(CONTENT))
    masked = stream.copy()
    masked[0].data = np.ma.masked_array(masked[0].data, mask=np.isnan(without(20)))
    np.testing.assert_array_equal(on_grid(Traces.of_stream(stream).channels), SIGNAL)
    np.testing.assert_array_equal(on_grid(Traces.of_stream(masked).channels), without(20))
