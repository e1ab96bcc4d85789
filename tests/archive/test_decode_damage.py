"""Every fault that files are known to have: what can be recovered is, and the rest is named."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import obspy
import pytest

from seisflow.archive.decode import decode_file
from seisflow.keys import Window
from seisflow.traces import Traces
from tests.archive.records import (
    CODES,
    CONTENT,
    FIRSTS,
    N_RECORDS,
    RATE_HZ,
    RECORD,
    SIGNAL,
    START_NS,
    changed,
    count_of,
    miniseed,
    on_grid,
    record,
    samples_of,
    without,
)


def decoded(content: bytes, window: Window | None = None, headers_only: bool = False) -> Traces:
    """Decode bytes."""
    return decode_file("a.m", window, content=content, headers_only=headers_only)


def only_line(traces: Traces) -> str:
    """Return the one problem there is."""
    assert len(traces.problems) == 1, traces.problems
    return traces.problems[0]


def range_of(number: int) -> str:
    """Return the byte range of a record as a problem names it."""
    return f"bytes {number * RECORD}-{(number + 1) * RECORD}"


def test_a_sound_file_has_no_problem() -> None:
    (channel,), problems = decoded(CONTENT)
    np.testing.assert_array_equal(channel.samples, SIGNAL)
    assert problems == []
    assert channel.lengths.tolist() == [len(SIGNAL)]
    assert (channel.id, channel.rate_hz) == ("Z7.AAA..HHZ", 100.0)


@pytest.mark.parametrize("left", [47, 48, 63, 200, 511])
def test_a_truncated_last_record(left: int) -> None:
    traces = decoded(CONTENT[: 30 * RECORD + left])
    np.testing.assert_array_equal(on_grid(traces.channels, FIRSTS[30]), SIGNAL[: FIRSTS[30]])
    line = only_line(traces)
    assert f"bytes {30 * RECORD}-{30 * RECORD + left}" in line
    assert "truncated" in line if left >= 56 else "no miniSEED record" in line


@pytest.mark.parametrize("byte", [64 + 130, 64 + 300, 64 + 5, 64 + 9, 64 + 1])
def test_a_flipped_bit_in_the_data_costs_its_record_and_no_other(byte: int) -> None:
    at = 20 * RECORD + byte
    traces = decoded(changed(CONTENT, at, bytes([CONTENT[at] ^ 4])))
    np.testing.assert_array_equal(on_grid(traces.channels), without(20))
    assert f"{range_of(20)} (1 records) fail their integrity check" in only_line(traces)


@pytest.mark.parametrize(
    ("at", "what"),
    [(6, b"X"), (20, b"\xff\xff"), (22, b"\x0f\xff"), (24, b"\x63"), (46, b"\x00\x07"), (0, b"\xff")],
    ids=["quality", "year", "day", "hour", "blockette", "sequence"],
)
def test_an_impossible_header_costs_its_record(at: int, what: bytes) -> None:
    traces = decoded(changed(CONTENT, 20 * RECORD + at, what))
    np.testing.assert_array_equal(on_grid(traces.channels), without(20))
    assert f"{range_of(20)} (1 records) are no miniSEED record" in only_line(traces)


@pytest.mark.parametrize("by", [50, -50])
def test_a_wrong_number_of_samples_is_set_right(by: int) -> None:
    count = struct.pack(">H", count_of(record(20)) + by)
    traces = decoded(changed(CONTENT, 20 * RECORD + 30, count))
    np.testing.assert_array_equal(on_grid(traces.channels), SIGNAL)
    assert f"{range_of(20)} (1 records) hold another number of samples than their header" in only_line(traces)


@pytest.mark.parametrize("by", [50, -50])
def test_a_wrong_number_of_samples_without_a_witness_is_not_believed(by: int) -> None:
    last = N_RECORDS - 1
    count = struct.pack(">H", count_of(record(last)) + by)
    traces = decoded(changed(CONTENT, last * RECORD + 30, count))
    np.testing.assert_array_equal(on_grid(traces.channels), without(last))
    assert f"{range_of(last)} (1 records) fail their integrity check" in only_line(traces)


@pytest.mark.parametrize("by", [50, -50])
def test_a_wrong_number_of_samples_beside_damaged_data_is_not_believed(by: int) -> None:
    count = struct.pack(">H", count_of(record(20)) + by)
    content = changed(CONTENT, 20 * RECORD + 30, count)
    at = 20 * RECORD + 200
    traces = decoded(changed(content, at, bytes([content[at] ^ 1])))
    np.testing.assert_array_equal(on_grid(traces.channels), without(20))
    assert "integrity check" in only_line(traces)


def test_a_count_that_leaves_equal_samples_out_is_recorded() -> None:
    flat = np.full(5000, 7, np.int32)
    content = miniseed(flat)
    traces = decoded(changed(content, 30, struct.pack(">H", count_of(content) - 50)))
    assert "more samples than their header says" in " ".join(traces.problems)


def test_frames_that_no_encoder_writes() -> None:
    words = bytearray(record(20))
    words[64 + 64 : 64 + 68] = b"\x2a\xaa\xaa\xaa"  # every word of the frame: nibble 2
    for word in range(1, 16):
        words[64 + 64 + 4 * word] = 0  # whose shape is illegal
    traces = decoded(changed(CONTENT, 20 * RECORD, bytes(words)))
    np.testing.assert_array_equal(on_grid(traces.channels), without(20))
    assert "integrity check" in only_line(traces)


@pytest.mark.parametrize("damage", [bytes(RECORD), bytes(range(256)) * 2, b" " * RECORD])
@pytest.mark.parametrize("number", [0, 20, N_RECORDS - 1])
def test_zeros_noise_and_blanks_instead_of_a_record(damage: bytes, number: int) -> None:
    traces = decoded(changed(CONTENT, number * RECORD, damage))
    np.testing.assert_array_equal(on_grid(traces.channels), without(number))
    assert f"{range_of(number)} (1 records) are no miniSEED record" in only_line(traces)


@pytest.mark.parametrize("n_bytes", [1, 7, 64, 500, 511, 513, 100_000])
def test_garbage_before_and_between_records(n_bytes: int) -> None:
    noise = np.random.default_rng(n_bytes).integers(0, 256, n_bytes, dtype=np.uint8).tobytes()
    for number in (0, 20):
        at = number * RECORD
        traces = decoded(CONTENT[:at] + noise + CONTENT[at:])
        np.testing.assert_array_equal(on_grid(traces.channels), SIGNAL)
        assert f"bytes {at}-{at + n_bytes} (1 records) are no miniSEED record" in only_line(traces)


def test_many_faults_of_one_kind_make_one_line() -> None:
    content = CONTENT
    for number in range(3, 40, 4):
        content = changed(content, number * RECORD, bytes(RECORD))
    traces = decoded(content)
    np.testing.assert_array_equal(on_grid(traces.channels), without(*range(3, 40, 4)))
    line = only_line(traces)
    assert "bytes 1536-2048, 3584-4096, 5632-6144 and 7 more places (10 records)" in line


@pytest.mark.parametrize("headers_only", [False, True])
def test_records_that_are_there_twice_are_kept_once(headers_only: bool) -> None:
    content = CONTENT[: 21 * RECORD] + record(20) + CONTENT[21 * RECORD :] + record(5)
    traces = decoded(content, headers_only=headers_only)
    assert sum(channel.lengths.sum() for channel in traces.channels) == len(SIGNAL)
    line = only_line(traces)
    assert f"bytes {21 * RECORD}-{22 * RECORD}, {(N_RECORDS + 1) * RECORD}" in line
    assert "(2 records) repeat an earlier record" in line


def test_records_that_contradict_each_other_are_both_kept_and_named() -> None:
    other = SIGNAL.copy()
    other[samples_of(20)] += 1
    rival = miniseed(other[samples_of(20)], start=str(time_of(FIRSTS[20])))
    traces = decoded(CONTENT[: 21 * RECORD] + rival + CONTENT[21 * RECORD :])
    assert sum(channel.lengths.sum() for channel in traces.channels) == len(SIGNAL) + len(samples_of(20))
    assert "contradict an earlier record" in " ".join(traces.problems)


def time_of(sample: int) -> obspy.UTCDateTime:
    """Return the time of a sample of `SIGNAL`."""
    return obspy.UTCDateTime("2014-08-24") + sample / RATE_HZ


def test_missing_records_are_a_gap() -> None:
    (channel,), problems = decoded(CONTENT[: 20 * RECORD] + CONTENT[23 * RECORD :])
    np.testing.assert_array_equal(on_grid([channel]), without(20, 21, 22))
    assert channel.lengths.tolist() == [FIRSTS[20], len(SIGNAL) - FIRSTS[23]]
    assert problems == []


@pytest.mark.parametrize("other_hz", [100.01, 50.0])
def test_another_sampling_rate_is_kept_apart_and_said(other_hz: float) -> None:
    rest = miniseed(SIGNAL[10000:], str(time_of(10000)), other_hz)
    channels, problems = decoded(miniseed(SIGNAL[:10000]) + rest)
    assert [round(channel.rate_hz, 3) for channel in channels] == [100.0, other_hz]
    np.testing.assert_array_equal(channels[0].samples, SIGNAL[:10000])
    np.testing.assert_array_equal(channels[1].samples, SIGNAL[10000:])
    assert f"has 2 sampling rates: {min(100.0, other_hz):g}, {max(100.0, other_hz):g} Hz" in problems[0]


def test_integers_then_floats() -> None:
    floats = (SIGNAL[10000:] / 3).astype(np.float32)
    content = miniseed(SIGNAL[:10000]) + miniseed(floats, str(time_of(10000)), encoding="FLOAT32")
    channels, problems = decoded(content)
    np.testing.assert_array_equal(channels[0].samples, SIGNAL[:10000])
    np.testing.assert_array_equal(channels[1].samples, floats)
    assert "samples of several types: float32, int32" in problems[0]


def test_records_of_2050_among_those_of_2014() -> None:
    late = record(20)
    content = changed(CONTENT, 20 * RECORD, changed(late, 20, struct.pack(">H", 2050)))
    traces = decoded(content)
    np.testing.assert_array_equal(on_grid(traces.channels), without(20))
    assert any(range_of(20) in line for line in traces.problems)
    day = decoded(content, Window.of_day("2014-08-24"))
    assert any(range_of(20) in line for line in day.problems)
    two = changed(content, 21 * RECORD, changed(record(21), 20, struct.pack(">H", 2050)))
    day = decoded(two, Window.of_day("2014-08-24"))
    np.testing.assert_array_equal(on_grid(day.channels), without(20, 21))
    assert "more than a year from the record before" in only_line(day)


@pytest.mark.parametrize(
    ("at", "what"),
    [(25, b"\x21"), (8, b"BAA"), (15, b"L"), (32, b"\x00\x32"), (52, b"\x0a"), (52, b"\x00")],
    ids=["minute", "station", "channel", "rate", "encoding", "text"],
)
def test_a_header_that_its_neighbours_disprove(at: int, what: bytes) -> None:
    traces = decoded(changed(CONTENT, 20 * RECORD + at, what))
    np.testing.assert_array_equal(on_grid(traces.channels), without(20))
    assert range_of(20) in only_line(traces)


def test_a_record_length_that_would_swallow_the_next_record() -> None:
    for exponent in (10, 12, 16):
        traces = decoded(changed(CONTENT, 20 * RECORD + 54, bytes([exponent])))
        np.testing.assert_array_equal(on_grid(traces.channels), SIGNAL)


def test_an_encoding_that_does_not_exist() -> None:
    content = changed(changed(CONTENT, 20 * RECORD + 52, b"\x63"), 30 * RECORD + 52, b"\x63")
    traces = decoded(content)
    np.testing.assert_array_equal(on_grid(traces.channels), without(20, 30))
    assert "(2 records) have the encoding 99" in only_line(traces)


def test_a_clock_that_runs_backwards_loses_nothing() -> None:
    content = CONTENT[: 10 * RECORD] + CONTENT[20 * RECORD :] + CONTENT[10 * RECORD : 20 * RECORD]
    traces = decoded(content)
    np.testing.assert_array_equal(on_grid(traces.channels), SIGNAL)
    assert "(1 records) go back in time" in only_line(traces)


def test_late_records_are_not_taken_for_damaged_ones() -> None:
    numbers = [*range(10), 30, 11, 12, 10, *range(13, 30), *range(31, N_RECORDS)]
    constant = miniseed(SIGNAL, encoding="INT32")  # records of equal length
    traces = decoded(b"".join(record(i, constant) for i in numbers) + constant[N_RECORDS * RECORD :])
    np.testing.assert_array_equal(on_grid(traces.channels), SIGNAL)
    assert "go back in time" in only_line(traces)


def test_a_clock_that_is_a_little_off_does_not_move_samples_by_more_than_half_of_one() -> None:
    """Every piece comes 1 ms late against the one before: after 5 of them a trace must end."""
    pieces = range(0, 15000, 500)
    late = [
        miniseed(SIGNAL[first : first + 500], str(time_of(first) + i / 1000))
        for i, first in enumerate(pieces)
    ]
    (channel,), problems = decoded(b"".join(late))
    np.testing.assert_array_equal(channel.samples, SIGNAL[:15000])
    assert problems == []
    true_ms = np.arange(15000) * 10 + np.repeat(np.arange(len(late)), 500)
    starts_ms = (channel.starts_ns - START_NS) / 1e6
    ours_ms = np.concatenate(
        [start + np.arange(n) * 10.0 for start, n in zip(starts_ms, channel.lengths, strict=True)]
    )
    assert np.abs(ours_ms - true_ms).max() <= 5.0
    assert 4 < len(channel.lengths) < 10


def test_codes_are_those_of_the_header() -> None:
    channels, _ = decoded(miniseed(location="10") + miniseed(channel="HHN"))
    assert [channel.id for channel in channels] == ["Z7.AAA.10.HHZ", "Z7.AAA..HHN"]
    assert CODES["station"] == channels[0].station


def test_damage_is_named_after_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.m").write_bytes(CONTENT[:-100])
    (line,) = decode_file(str(tmp_path / "a.m")).problems
    assert line.startswith(f"{tmp_path / 'a.m'}: bytes ")
