"""Damaged files: what can be read is read, and everything else is said."""

from __future__ import annotations

import io
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import obspy
import pytest

from seisflow.archive.decode import decode_file
from seisflow.keys import Window
from tests.archive.contract import day_trace, mseed

RECORD = 512
CONTENT = mseed(day_trace("Z7.AAA..HHZ", "2014-08-24", n=40000))
WHOLE = obspy.read(io.BytesIO(CONTENT))[0].data


def spoiled(at: int, what: bytes) -> bytes:
    """Return the file with bytes replaced."""
    return CONTENT[:at] + what + CONTENT[at + len(what) :]


def samples_of_record(number: int) -> slice:
    """Return which samples of the file record `number` holds."""
    record = obspy.read(io.BytesIO(CONTENT[number * RECORD : (number + 1) * RECORD]))[0]
    return slice(int(record.data[0] - WHOLE[0]), int(record.data[-1] - WHOLE[0]) + 1)  # samples count on


def rest_without(number: int) -> np.ndarray:
    """Return the samples of all other records."""
    return np.delete(WHOLE, samples_of_record(number))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"some text\n" * 100, "no waveform format"),
        (CONTENT[:300], "less than one record"),
        (b"MS\x03" + bytes(200), "miniSEED 3"),
        (b"garbage" + CONTENT, "no waveform format"),
    ],
    ids=["empty", "text", "one-broken-record", "miniseed-3", "leading-garbage"],
)
@pytest.mark.parametrize("headers_only", [False, True])
def test_what_can_not_be_read_says_why(
    tmp_path: Path, content: bytes, reason: str, headers_only: bool
) -> None:
    (tmp_path / "a.mseed").write_bytes(content)
    stream, problems = decode_file(str(tmp_path / "a.mseed"), headers_only=headers_only)
    assert len(stream) == 0
    assert len(problems) == 1
    assert problems[0].startswith(str(tmp_path / "a.mseed"))
    assert reason in problems[0]


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "ran",))  # type: ignore[return-value]

    content = b"obspy.core.stream" + pickle.dumps(Trap(), 0)
    for body in (content, pickle.dumps(Trap(), 0), pickle.dumps(obspy.Stream())):
        (tmp_path / "a.mseed").write_bytes(body)
        stream, problems = decode_file(str(tmp_path / "a.mseed"))
        assert len(stream) == 0
        assert len(problems) == 1
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("where", ["disk", "memory"])
@pytest.mark.parametrize("damage", [bytes(RECORD), bytes(range(256)) * 2], ids=["zeros", "noise"])
def test_a_record_that_is_no_seed_is_skipped_and_recorded(tmp_path: Path, where: str, damage: bytes) -> None:
    import fsspec

    uri = str(tmp_path / "a.m") if where == "disk" else "memory://spoiled/a.m"
    with fsspec.open(uri, "wb", auto_mkdir=True) as file:
        file.write(spoiled(20 * RECORD, damage))
    stream, problems = decode_file(uri)
    np.testing.assert_array_equal(np.concatenate([t.data for t in stream]), rest_without(20))
    assert len(problems) == 1
    assert "Not a SEED record" in problems[0]


@pytest.mark.parametrize("numbers", [[0], [20], [20, 21, 50]])
def test_records_that_stop_libmseed_are_cut_out(tmp_path: Path, numbers: list[int]) -> None:
    content = bytearray(CONTENT)
    for number in numbers:
        content[number * RECORD + 52] = 99  # an encoding that does not exist
    (tmp_path / "a.m").write_bytes(content)
    stream, problems = decode_file(str(tmp_path / "a.m"))
    expected = np.delete(WHOLE, np.concatenate([np.r_[samples_of_record(n)] for n in numbers]))
    stream.sort(["starttime"])
    np.testing.assert_array_equal(np.concatenate([t.data for t in stream]), expected)
    assert len(problems) == 1
    assert f"{len(numbers)} records" in problems[0]


def test_a_flipped_bit_is_recorded(tmp_path: Path) -> None:
    at = 20 * RECORD + 203  # the last difference of a Steim2 word
    (tmp_path / "a.m").write_bytes(spoiled(at, bytes([CONTENT[at] ^ 1])))
    _, problems = decode_file(str(tmp_path / "a.m"))
    assert "integrity check" in problems[0]


def test_log_channels_are_left_out(tmp_path: Path) -> None:
    log = obspy.Trace(np.frombuffer(b"clock locked" * 10, dtype="S1"), {"station": "AAA", "channel": "LOG"})
    log.stats.sampling_rate = 1.0
    stream = obspy.Stream([log, day_trace("Z7.AAA..HHZ", "2014-08-24", n=100)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stream.write(str(tmp_path / "a.m"), format="MSEED")
    for headers_only in (False, True):
        traces, problems = decode_file(str(tmp_path / "a.m"), headers_only=headers_only)
        assert [trace.stats.channel for trace in traces] == ["HHZ"]
        assert problems == []


def test_messages_belong_to_their_file_when_threads_decode(tmp_path: Path) -> None:
    for i in range(40):
        (tmp_path / f"{i}.m").write_bytes(spoiled(20 * RECORD, bytes(RECORD)) if i % 2 else CONTENT)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: decode_file(str(tmp_path / f"{i}.m")), range(40)))
    assert [len(traces.problems) for traces in found] == [i % 2 for i in range(40)]


@pytest.mark.parametrize("rate_hz", [0.01, 1.0, 40.0, 99.99, 128.0])
def test_the_cut_is_half_open_at_any_rate(tmp_path: Path, rate_hz: float) -> None:
    start = obspy.UTCDateTime("2014-08-24T00:00:00.019536")
    trace = obspy.Trace(
        np.arange(2000, dtype=np.int32), {"sampling_rate": rate_hz, "starttime": start, "station": "A"}
    )
    trace.stats.channel = "HHZ"
    trace.write(str(tmp_path / "a.m"), format="MSEED")
    times = (np.int64(start.ns) + np.rint(np.arange(2000) * 1e9 / rate_hz).astype(np.int64)).view(
        "datetime64[ns]"
    )
    window = Window(times[500], times[1500])  # the start is in, the end is not
    (part,), _ = decode_file(str(tmp_path / "a.m"), window)
    assert (part.data[0], part.data[-1]) == (500, 1499)
    assert abs(part.stats.starttime.ns - int(times[500].astype("int64"))) <= 1000
