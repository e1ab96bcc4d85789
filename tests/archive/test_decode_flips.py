"""Whatever byte of a file is changed: a sample is right, or it is missing and a line says so."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from seisflow.archive.decode import decode_file
from seisflow.errors import WaveformError
from seisflow.keys import Window
from seisflow.waveforms import Preparation, prepare_waveforms
from tests.archive.records import CONTENT, FIRSTS, RECORD, SIGNAL, START, changed

N_RECORDS = 24
FILE = CONTENT[: N_RECORDS * RECORD]
TRUTH = SIGNAL[: FIRSTS[N_RECORDS]].astype(np.float32)
WINDOW = Window(START, str(np.datetime64(START, "ns") + np.timedelta64(len(TRUTH) * 10, "ms")))
SITE = {"network": "Z7", "station": "AAA", "latitude": 0.0, "longitude": 0.0, "elevation_m": 0.0}
TIME_FIELDS = {*range(20, 30), *range(36, 37), *range(40, 44), *range(56, 64)}
"""Bytes of a record (start time, whether and how it is corrected, microseconds) that nothing checks
in the first and the last record of a file: it may begin and end with a gap."""


def prepared(content: bytes) -> tuple[NDArray[np.float32], list[str]]:
    """Return what becomes of the channel, and the lines about it."""
    traces = decode_file("a.m", content=content)
    try:
        dataset = prepare_waveforms(traces, Preparation(bands=("HH",)), WINDOW, SITE, absolute_grid=True)
    except WaveformError:
        return np.full(len(TRUTH), np.nan, np.float32), traces.problems
    return dataset["waveform"].to_numpy()[0], [*traces.problems, *dataset.attrs["problems"]]


def assert_honest(content: bytes) -> None:
    values, problems = prepared(content)
    is_missing = np.isnan(values)
    np.testing.assert_array_equal(values[~is_missing], TRUTH[~is_missing])
    assert problems or not is_missing.any()


@settings(max_examples=400, deadline=None)
@given(number=st.integers(0, N_RECORDS - 1), byte=st.integers(0, 63), value=st.integers(0, 255))
def test_a_changed_byte_of_a_header(number: int, byte: int, value: int) -> None:
    if number in (0, N_RECORDS - 1) and byte in TIME_FIELDS:
        return
    assert_honest(changed(FILE, number * RECORD + byte, bytes([value])))


@settings(max_examples=200, deadline=None)
@given(
    flips=st.dictionaries(
        st.integers(0, N_RECORDS - 1),
        st.tuples(st.integers(64, RECORD - 1), st.integers(0, 7)),
        min_size=1,
        max_size=10,
    )
)
@example({11: (384, 2)})  # 4 differences fewer, which add up to zero
@example({1: (216, 6)})  # more differences than samples, the last of which is right
def test_a_flipped_bit_in_the_data_of_any_records(flips: dict[int, tuple[int, int]]) -> None:
    content = FILE
    for number, (byte, bit) in flips.items():
        at = number * RECORD + byte
        content = changed(content, at, bytes([content[at] ^ 1 << bit]))
    assert_honest(content)


# The check value of Steim is a sum: of larger changes one in some hundreds keeps it, so that these two
# draw the same examples every time. docs/archives.md says how many.
@settings(max_examples=150, deadline=None, derandomize=True)
@given(at=st.integers(0, len(FILE)), noise=st.binary(min_size=1, max_size=1500), keep=st.booleans())
def test_bytes_that_are_put_in_or_written_over(at: int, noise: bytes, keep: bool) -> None:
    rest = FILE[at:] if keep else FILE[at + len(noise) :]
    assert_honest(FILE[:at] + noise + rest)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(begin=st.integers(0, len(FILE)), length=st.integers(1, 3000))
def test_bytes_that_are_lost(begin: int, length: int) -> None:
    begin, end = begin, begin + length
    values, problems = prepared(FILE[:begin] + FILE[end:])
    is_missing = np.isnan(values)
    np.testing.assert_array_equal(values[~is_missing], TRUTH[~is_missing])
    is_whole = begin % RECORD == 0 and (end % RECORD == 0 or end >= len(FILE))
    assert problems or is_whole or begin >= len(FILE)


def test_every_bit_of_a_header_in_the_middle() -> None:
    for byte in range(64):
        for bit in range(8):
            at = 10 * RECORD + byte
            assert_honest(changed(FILE, at, bytes([FILE[at] ^ 1 << bit])))
