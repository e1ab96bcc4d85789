"""Which samples a file gives: windows, headers, several files, large files, files that are none."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import obspy
import pytest

from seisflow.archive import decode
from seisflow.archive.decode import decode_file, read_files
from seisflow.errors import ArchiveError
from seisflow.keys import Window
from tests.archive.contract import day_trace, mseed
from tests.archive.records import (
    CONTENT,
    N_RECORDS,
    RECORD,
    SIGNAL,
    START_NS,
    changed,
    miniseed,
    on_grid,
    record,
    without,
)

SECONDS = Window("2014-08-24T00:00:50", "2014-08-24T00:01:00")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"some text\n" * 100, "no waveform format"),
        (CONTENT[:300], "truncated"),
        (b"MS\x03" + bytes(200), "no waveform format"),
    ],
    ids=["empty", "text", "one-broken-record", "only-the-mark-of-miniseed-3"],
)
@pytest.mark.parametrize("headers_only", [False, True])
def test_what_can_not_be_read_says_why(
    tmp_path: Path, content: bytes, reason: str, headers_only: bool
) -> None:
    (tmp_path / "a.mseed").write_bytes(content)
    channels, problems = decode_file(str(tmp_path / "a.mseed"), headers_only=headers_only)
    assert channels == []
    (line,) = [problem for problem in problems if reason in problem]
    assert line.startswith(str(tmp_path / "a.mseed"))


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "ran",))  # type: ignore[return-value]

    named = pickle.dumps(("obspy.core.stream", Trap()))  # obspy opens what has its name near the start
    assert named.index(b"obspy.core.stream") < 100
    for body in (named, pickle.dumps(Trap(), 0), pickle.dumps(obspy.Stream())):
        (tmp_path / "a.mseed").write_bytes(body)
        channels, problems = decode_file(str(tmp_path / "a.mseed"))
        assert channels == []
        assert len(problems) == 1
    assert not (tmp_path / "ran").exists()


def test_log_channels_are_left_out(tmp_path: Path) -> None:
    log = obspy.Trace(np.frombuffer(b"clock locked" * 10, dtype="S1"), {"station": "AAA", "channel": "LOG"})
    log.stats.sampling_rate = 1.0
    stream = obspy.Stream([log, day_trace("Z7.AAA..HHZ", "2014-08-24", n=100)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stream.write(str(tmp_path / "a.m"), format="MSEED")
    for headers_only in (False, True):
        channels, problems = decode_file(str(tmp_path / "a.m"), headers_only=headers_only)
        assert [channel.channel for channel in channels] == ["HHZ"]
        assert problems == []


def test_problems_belong_to_their_file_when_threads_decode(tmp_path: Path) -> None:
    spoiled = changed(CONTENT, 20 * RECORD, bytes(RECORD))
    for i in range(40):
        (tmp_path / f"{i}.m").write_bytes(spoiled if i % 2 else CONTENT)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: decode_file(str(tmp_path / f"{i}.m")), range(40)))
    assert [len(traces.problems) for traces in found] == [i % 2 for i in range(40)]
    for i, traces in enumerate(found):
        np.testing.assert_array_equal(on_grid(traces.channels), without(20) if i % 2 else SIGNAL)


@pytest.mark.parametrize("rate_hz", [0.01, 1.0, 40.0, 99.99, 128.0])
def test_the_cut_is_half_open_at_any_rate(rate_hz: float) -> None:
    content = miniseed(np.arange(2000, dtype=np.int32), "2014-08-24T00:00:00.019536", rate_hz)
    start_ns = START_NS + 19_536_000
    times = (start_ns + np.rint(np.arange(2000) * 1e9 / rate_hz).astype(np.int64)).view("datetime64[ns]")
    window = Window(times[500], times[1500])  # the start is in, the end is not
    (part,), _ = decode_file("a.m", window, content=content)
    assert (part.samples[0], part.samples[-1]) == (500, 1499)
    assert abs(int(part.starts_ns[0]) - int(times[500].astype("int64"))) <= 1000


def test_a_window_over_gaps_cuts_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"".join(record(i) for i in range(N_RECORDS) if i % 5)
    expected = without(*range(0, N_RECORDS, 5))
    first, last = 5000, 6000
    channels, problems = decode_file("a.m", SECONDS, content=content)
    np.testing.assert_array_equal(on_grid(channels)[first:last], expected[first:last])
    assert np.isnan(on_grid(channels)[:first]).all()
    assert np.isnan(on_grid(channels)[last:]).all()
    assert problems == []


def test_records_outside_the_window_are_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    from seisflow.archive.miniseed import reading

    seen: list[int] = []
    decode_rows = reading.decode

    def watched(rows: np.ndarray, *more: object) -> object:
        seen.append(len(rows))
        return decode_rows(rows, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(reading, "decode", watched)
    (channel,), _ = decode_file("a.m", SECONDS, content=CONTENT)
    np.testing.assert_array_equal(channel.samples, SIGNAL[5000:6000])
    assert len(seen) == 1
    assert 0 < seen[0] <= N_RECORDS // 10
    decode_file("a.m", headers_only=True, content=CONTENT)
    assert len(seen) == 1


def test_headers_tell_what_the_samples_will_be() -> None:
    content = b"".join(record(i) for i in range(N_RECORDS) if i % 7) + miniseed(channel="HHN")
    whole, _ = decode_file("a.m", content=content)
    headers, _ = decode_file("a.m", headers_only=True, content=content)
    assert [channel[:5] for channel in headers] == [channel[:5] for channel in whole]
    for one, other in zip(whole, headers, strict=True):
        np.testing.assert_array_equal(one.starts_ns, other.starts_ns)
        np.testing.assert_array_equal(one.lengths, other.lengths)
        assert len(other.samples) == 0


def test_files_named_twice_are_read_once_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.m").write_bytes(CONTENT)
    uri = str(tmp_path / "a.m")
    channels, _ = read_files([uri, uri], Window.of_day("2014-08-24"))
    assert [len(channel.samples) for channel in channels] == [len(SIGNAL)]
    with pytest.raises(ArchiveError, match="can not be read"):
        read_files([uri, uri + ".gone"], Window.of_day("2014-08-24"))


def bands_read(files: dict[str, bytes], window: Window = SECONDS) -> set[str]:
    """Return the channels that are decoded of files with HH preferred to HN, and other stations' too."""
    traces = read_files(list(files), window, contents=files, bands=("HH", "HN"))
    return {channel.channel for channel in traces.channels}


def test_only_the_preferred_band_is_decoded() -> None:
    good = {"z": CONTENT, "n": miniseed(channel="HNZ")}
    assert bands_read(good) == {"HHZ"}
    assert bands_read({"n": good["n"]}) == {"HNZ"}
    beside = miniseed(SIGNAL[:5500])  # ends in the window, before its middle
    assert bands_read({"z": beside[:-RECORD], "n": good["n"]}) == {"HHZ", "HNZ"}
    spoiled = bytearray(CONTENT)
    spoiled[64 + 9 :: RECORD] = bytes(byte ^ 1 for byte in spoiled[64 + 9 :: RECORD])  # all check values
    assert bands_read({"z": bytes(spoiled), "n": good["n"]}) == {"HNZ"}
    assert bands_read(good | {"l": miniseed(channel="LHZ", station="BBB")}) == {"HHZ", "LHZ"}


def test_a_file_larger_than_a_block_is_read_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoiled = changed(CONTENT, 20 * RECORD, bytes(RECORD)) + b"tail"
    (tmp_path / "a.m").write_bytes(spoiled)
    uri = str(tmp_path / "a.m")
    for window in (None, SECONDS):
        whole = decode_file(uri, window)
        for block in (RECORD * 7, RECORD * 3 + 100, 1000, 10 * RECORD - 20):
            monkeypatch.setattr(decode, "_BLOCK", block)
            pieces = decode_file(uri, window)
            np.testing.assert_array_equal(on_grid(pieces.channels), on_grid(whole.channels))
            assert pieces.problems[0].split(" (")[0] == whole.problems[0].split(" (")[0]
            headers = decode_file(uri, headers_only=True)
            assert (
                sum(channel.lengths.sum() for channel in headers.channels)
                == len(SIGNAL) - np.isnan(without(20)).sum()
            )
            monkeypatch.undo()


def test_an_hour_of_a_file_over_two_gigabytes_takes_little_memory(tmp_path: Path) -> None:
    """Two channel-days at the ends of a sparse file: what lies between is zeros, and costs no disk."""
    path = tmp_path / "large.m"
    n_bytes = 2**31 + 10 * RECORD
    with path.open("wb") as file:
        file.write(CONTENT)
        file.truncate(n_bytes)
        file.seek(n_bytes)
        file.write(miniseed(SIGNAL[::-1].copy(), "2014-08-25T00:00:00"))
    code = (
        "import resource, sys, numpy as np\n"
        "from seisflow.archive.decode import decode_file\n"
        "from seisflow.keys import Window\n"
        "decode_file(sys.argv[2])\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "traces = decode_file(sys.argv[1], Window.of_day('2014-08-25'))\n"
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before\n"
        "print(peak // 1024, traces.channels[0].samples[:3].tolist(), traces.problems)\n"
    )
    (tmp_path / "small.m").write_bytes(CONTENT)
    found = subprocess.run(
        [sys.executable, "-c", code, str(path), str(tmp_path / "small.m")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    peak_mb, rest = found.split(" ", 1)
    assert rest.startswith(str(SIGNAL[::-1][:3].tolist()))
    assert f"bytes {len(CONTENT)}-{n_bytes}" in rest
    assert int(peak_mb) < 400


def test_mseed_of_the_contract_counts_on() -> None:
    (channel,), _ = decode_file("a.m", content=mseed(day_trace("Z7.AAA..HHZ", "2014-08-24", n=4000)))
    assert (np.diff(channel.samples) == 1).all()
