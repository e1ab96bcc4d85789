"""However a record comes in pieces, it is put together as it was."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import obspy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisflow.archive.decode import read_files
from seisflow.errors import WaveformError
from seisflow.keys import Window
from seisflow.waveforms import Preparation, prepare_waveforms
from tests.waveforms.records import DAY, STATION, prepared, trace

START = obspy.UTCDateTime("2014-08-24T12:00:00")
N = 6000
JITTER_S = 0.0012
"""Two of them together are less than a quarter of a sample: then a gap of one sample stays open."""
SIGNAL = np.random.default_rng(7).integers(-(2**24), 2**24, N).astype(np.int32)


def piece(first: int, stop: int, data: np.ndarray = SIGNAL, jitter_s: float = 0.0) -> obspy.Trace:
    """Return part of the signal at its place in the minute, 100 Hz."""
    return trace(data[first:stop].copy(), START + first / 100.0 + jitter_s, 100.0)


# A lone sample that is there twice, with start times 0.4 samples apart, could as well be two samples.
pieces = st.lists(
    st.tuples(st.integers(1, N - 2), st.integers(2, 1500)).map(lambda p: (p[0], min(N, p[0] + p[1]))),
    min_size=1,
    max_size=20,
)


@settings(max_examples=60, deadline=None)
@given(spans=pieces, data=st.data())
def test_any_pieces_in_any_order_rebuild_the_record(
    spans: list[tuple[int, int]], data: st.DataObject
) -> None:
    doubled = spans + data.draw(st.lists(st.sampled_from(spans), max_size=5))
    shuffled = data.draw(st.permutations(doubled))
    jitters = data.draw(
        st.lists(st.floats(-JITTER_S, JITTER_S), min_size=len(shuffled), max_size=len(shuffled))
    )
    expected = np.full(N, np.nan, dtype=np.float32)
    for first, stop in spans:
        expected[first:stop] = SIGNAL[first:stop]
    parts = [piece(*span, jitter_s=jitter) for span, jitter in zip(shuffled, jitters, strict=True)]
    dataset = prepared(*parts, preparation=Preparation(sampling_rate_hz=100.0), absolute_grid=True)
    np.testing.assert_array_equal(dataset.waveform.values[0], expected)
    assert dataset.attrs["problems"] == []


@settings(max_examples=40, deadline=None)
@given(
    first=st.integers(0, 4000), length=st.integers(1, 1000), wrong=st.integers(0, 999), third=st.booleans()
)
def test_samples_that_contradict_each_other_are_left_out_and_recorded(
    first: int, length: int, wrong: int, third: bool
) -> None:
    wrong %= length
    other = SIGNAL.copy()
    other[first + wrong : first + length] += 1
    parts = [piece(0, N), piece(first, first + length, other)] + [piece(0, N)] * third
    dataset = prepared(*parts)
    expected = SIGNAL.astype(np.float32)
    expected[first + wrong : first + length] = np.nan
    np.testing.assert_array_equal(dataset.waveform.values[0], expected)
    (line,) = dataset.attrs["problems"]
    assert f"{length - wrong} samples" in line
    assert "Z7.AAA..HHZ" in line


@pytest.mark.parametrize("step_s", [0.0049, 0.0051, -0.0049, -0.0051])
def test_a_start_time_that_wanders_about_half_a_sample_neither_tears_nor_doubles(step_s: float) -> None:
    parts = [piece(0, 3000), piece(3000, 4000, jitter_s=step_s), piece(4000, N)]
    dataset = prepared(*parts)
    np.testing.assert_array_equal(dataset.waveform.values[0], SIGNAL.astype(np.float32))


def test_masked_and_infinite_samples_are_missing() -> None:
    masked = np.ma.masked_array(SIGNAL.copy(), mask=np.arange(N) % 1000 < 10)
    floats = SIGNAL.astype(np.float64)
    floats[::1000], floats[1::1000] = np.nan, np.inf
    dataset = prepared(trace(masked, START, 100.0), trace(floats, START, 100.0, "HHN"))
    np.testing.assert_array_equal(np.isnan(dataset.waveform.sel(component="Z")), masked.mask)
    np.testing.assert_array_equal(np.isnan(dataset.waveform.sel(component="N")), np.arange(N) % 1000 < 2)


@settings(max_examples=50, deadline=None)
@given(spans=pieces, bad=st.sets(st.integers(0, N - 1), max_size=200))
def test_samples_that_are_no_numbers_are_gaps_in_their_own_piece(
    spans: list[tuple[int, int]], bad: set[int]
) -> None:
    floats = SIGNAL.astype(np.float64)
    floats[list(bad)] = np.nan
    expected = np.full(N, np.nan, dtype=np.float32)
    for first, stop in spans:
        expected[first:stop] = floats[first:stop]
    if np.isnan(expected).all():
        return
    dataset = prepared(
        *(piece(*span, data=floats) for span in spans),
        preparation=Preparation(sampling_rate_hz=100.0),
        absolute_grid=True,
    )
    np.testing.assert_array_equal(dataset.waveform.values[0], expected)


@pytest.mark.parametrize("kind", ["int16", "int32", ">i4", "float32", "float64", ">f4"])
def test_every_type_of_sample(kind: str) -> None:
    data = (SIGNAL // 2048).astype(kind)
    dataset = prepared(trace(data, START, 100.0))
    assert dataset.waveform.dtype == np.float32
    np.testing.assert_array_equal(dataset.waveform.values[0], (SIGNAL // 2048).astype(np.float32))


def test_types_may_change_within_a_record() -> None:
    first, second = SIGNAL[:3000] // 2048, (SIGNAL[2000:] // 2048).astype(np.float64)
    dataset = prepared(trace(first, START, 100.0), trace(second, START + 20, 100.0))
    np.testing.assert_array_equal(dataset.waveform.values[0], (SIGNAL // 2048).astype(np.float32))


def test_a_day_of_five_thousand_gaps() -> None:
    signal = np.random.default_rng(1).integers(-1000, 1000, 8_640_000).astype(np.int32)
    edges = np.linspace(0, len(signal), 5002).astype(int)
    parts = [
        trace(signal[a : b - 100], obspy.UTCDateTime("2014-08-24") + int(a) / 100, 100.0, f"HH{c}")
        for a, b in pairwise(edges)
        for c in "ZNE"
    ]
    expected = signal.astype(np.float32)
    for b in edges[1:]:
        expected[b - 100 : b] = np.nan
    dataset = prepared(*parts, window=DAY, preparation=Preparation())
    np.testing.assert_array_equal(dataset.waveform.values, np.stack([expected] * 3))


def test_the_iceland_files_make_one_record_with_three_gaps(shared: Path) -> None:
    folder = shared / "data" / "iceland_dike_2014" / "waveforms"
    window = Window("2014-08-24T00:00:00", "2014-08-24T00:12:00")
    traces, problems = read_files([str(path) for path in sorted(folder.glob("*.m"))], window)
    assert problems == []
    codes = {channel.station for channel in traces}
    assert len(codes) == 12
    for code in codes:
        dataset = prepare_waveforms(traces, Preparation(), window, {**STATION, "station": code})
        assert dataset.attrs["problems"] == []
        assert dataset.component.values.tolist() == ["Z", "N", "E"]
        held = np.isfinite(dataset.waveform.values)
        assert (held == held[0]).all()
        (index,) = np.nonzero(held[0])
        span = dataset.time.values[index[[0, -1]]]
        assert span.astype(str).tolist() == ["2014-08-24T00:01:00.140000000", "2014-08-24T00:10:07.750000000"]
        gaps_s = (np.diff(index)[np.diff(index) > 1] - 1) / 100.0
        np.testing.assert_allclose(gaps_s, [6.90, 23.02, 4.72])
        assert len(index) / (index[-1] - index[0] + 1) == pytest.approx(0.937, abs=0.001)


def test_nothing_usable_is_an_error_that_says_what_was_there() -> None:
    with pytest.raises(
        WaveformError, match=r"Z7\.AAA has no sample of the bands HH.*found \['Z7\.AAA\.\.LHZ'\]"
    ):
        prepared(trace(SIGNAL, START, 100.0, "LHZ"))
    with pytest.raises(WaveformError, match="found nothing"):
        prepared()
    with pytest.raises(WaveformError, match="no sample"):
        prepared(trace(SIGNAL, START + 3600, 100.0))
    clash = trace(SIGNAL + 1, START, 100.0)
    with pytest.raises(WaveformError, match=r"no usable sample.*6000 samples"):
        prepared(trace(SIGNAL, START, 100.0), clash)
