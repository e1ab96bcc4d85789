"""Resampling keeps time and amplitude, lets no alias through and does not depend on the cut."""

from __future__ import annotations

import numpy as np
import obspy
import pytest
from numpy.typing import NDArray

from seisflow.keys import Window
from seisflow.waveforms import Preparation
from tests.waveforms.records import MINUTE, prepared, seconds_since, trace

AT_100 = Preparation(sampling_rate_hz=100.0)
ORIGIN = np.datetime64("2014-08-24T12:00:00", "ns")


def sine(rate_hz: float, frequency_hz: float, offset_s: float = 0.0, window: Window = MINUTE) -> obspy.Trace:
    """Return sin(2 pi f t), t in seconds after noon, over a window and two seconds beside it."""
    span_s = window.duration_s + 4.0
    start_s = float(seconds_since(np.array([window.start]), ORIGIN)[0]) - 2.0 + offset_s
    times_s = start_s + np.arange(round(span_s * rate_hz)) / rate_hz
    start = obspy.UTCDateTime("2014-08-24T12:00:00") + start_s
    return trace(1e4 * np.sin(2 * np.pi * frequency_hz * times_s), start, rate_hz)


def fitted(
    values: NDArray[np.float32], times_s: NDArray[np.float64], frequency_hz: float
) -> tuple[float, float]:
    """Return amplitude and time shift (s) of the sine in `values`."""
    waves = np.exp(-2j * np.pi * frequency_hz * times_s)
    coefficient = 2.0 * np.mean(values * waves) * 1j
    return abs(coefficient), -np.angle(coefficient) / (2 * np.pi * frequency_hz)


@pytest.mark.parametrize(
    "rate_hz", [20.0, 40.0, 50.0, 80.0, 99.99, 100.0005, 125.0, 200.0, 250.0, 500.0, 1000 / 3]
)
@pytest.mark.parametrize("offset_s", [0.0, 0.019536, -0.0031])
def test_a_sine_keeps_time_and_amplitude(rate_hz: float, offset_s: float) -> None:
    frequency_hz = 0.3 * min(rate_hz, 100.0)  # an integer number of periods in the minute
    dataset = prepared(sine(rate_hz, frequency_hz, offset_s), preparation=AT_100)
    assert dataset.attrs["sampling_rate_hz"] == 100.0
    assert dataset.sizes["time"] == 6000
    amplitude, shift_s = fitted(
        dataset.waveform.values[0], seconds_since(dataset.time.values, ORIGIN), frequency_hz
    )
    assert amplitude == pytest.approx(1e4, rel=1e-3)
    assert abs(shift_s) < 1e-5


@pytest.mark.parametrize(
    ("rate_hz", "frequency_hz"), [(200.0, 51.0), (200.0, 70.0), (500.0, 130.0), (125.0, 60.0)]
)
def test_what_would_alias_is_suppressed_by_70_db(rate_hz: float, frequency_hz: float) -> None:
    dataset = prepared(sine(rate_hz, frequency_hz), preparation=AT_100)
    assert np.abs(dataset.waveform.values).max() < 1e4 * 10 ** (-70 / 20)


def test_upsampling_adds_no_image() -> None:
    dataset = prepared(sine(40.0, 15.0), preparation=AT_100)
    spectrum = np.abs(np.fft.rfft(dataset.waveform.values[0])) / 3000
    frequencies = np.fft.rfftfreq(6000, 0.01)
    assert spectrum[np.abs(frequencies - 15.0) > 0.5].max() < 1e4 * 10 ** (-70 / 20)


@pytest.mark.parametrize("rate_hz", [40.0, 99.99, 125.0, 200.0])
def test_neighbouring_windows_join_without_a_seam(rate_hz: float) -> None:
    rng = np.random.default_rng(3)
    n = round(184 * rate_hz)
    noise = rng.normal(0, 1000, n).astype(np.int32)
    whole = trace(noise, obspy.UTCDateTime("2014-08-24T11:58:58.004"), rate_hz)
    first, second = (
        Window("2014-08-24T11:59:00", "2014-08-24T12:00:03"),
        Window("2014-08-24T11:59:57", "2014-08-24T12:02"),
    )
    parts = []
    for window in (first, second):
        wider = window.widened(AT_100.margin_s)
        cut = whole.copy().trim(obspy.UTCDateTime(str(wider.start)), obspy.UTCDateTime(str(wider.end)))
        parts.append(prepared(cut, window=window, preparation=AT_100))
    shared = slice("2014-08-24T11:59:57", "2014-08-24T12:00:02.99")
    one, other = (part.waveform.sel(time=shared) for part in parts)
    np.testing.assert_array_equal(one.time.values, other.time.values)
    assert one.sizes["time"] == 600
    np.testing.assert_allclose(one.values, other.values, atol=1e-4 * 1000, rtol=0)


def test_files_that_meet_are_joined_before_they_are_resampled() -> None:
    whole = sine(40.0, 5.0)
    middle = whole.stats.npts // 2
    left, right = whole.copy(), whole.copy()
    left.data, right.data = whole.data[:middle], whole.data[middle:]
    right.stats.starttime += middle / 40.0
    joined, straight = (prepared(*parts, preparation=AT_100) for parts in ((right, left), (whole,)))
    np.testing.assert_array_equal(joined.waveform.values, straight.waveform.values)


def test_gaps_stay_gaps_and_nothing_rings_into_them() -> None:
    whole = sine(40.0, 5.0)
    whole.data += 1e6  # a step of the mean would ring
    left, right = whole.copy(), whole.copy()
    left.data, right.data = whole.data[:1000], whole.data[1400:]
    right.stats.starttime += 1400 / 40.0
    dataset = prepared(left, right, preparation=AT_100)
    times_s = seconds_since(dataset.time.values, ORIGIN)
    is_gap = (times_s > -2 + 999 / 40 + 1e-9) & (times_s < -2 + 1400 / 40 - 1e-9)
    np.testing.assert_array_equal(np.isnan(dataset.waveform.values[0]), is_gap)
    expected = 1e6 + 1e4 * np.sin(2 * np.pi * 5.0 * times_s)
    error = np.abs(dataset.waveform.values[0] - expected)[~is_gap]
    assert error.max() < 1.5e4  # only where the mirror differs from the wave, a filter's half beside the gap
    inner = (np.abs(times_s - (-2 + 999 / 40)) > 0.9) & (np.abs(times_s - (-2 + 1400 / 40)) > 0.9) & ~is_gap
    assert np.abs(dataset.waveform.values[0] - expected)[inner].max() < 20.0


def test_the_rate_may_change_at_noon() -> None:
    before = Window("2014-08-24T11:59:30", "2014-08-24T12:00:00")
    after = Window("2014-08-24T12:00:00", "2014-08-24T12:00:30")
    slow, fast = sine(40.0, 5.0, window=before), sine(200.0, 5.0, window=after)
    slow.trim(endtime=obspy.UTCDateTime("2014-08-24T12:00:00") - 1e-3, nearest_sample=False)
    fast.trim(starttime=obspy.UTCDateTime("2014-08-24T12:00:00"))
    whole = Window(before.start, after.end)
    dataset = prepared(slow, fast, window=whole, preparation=AT_100)
    times_s = seconds_since(dataset.time.values, ORIGIN)
    expected = 1e4 * np.sin(2 * np.pi * 5.0 * times_s)
    missing = np.isnan(dataset.waveform.values[0])
    assert missing.sum() == 2  # 11:59:59.98 and .99 lie between the last of 40 Hz and the first of 200 Hz
    inner = ~missing & (np.abs(times_s) > 0.9)
    np.testing.assert_allclose(dataset.waveform.values[0][inner], expected[inner], atol=20.0)
    kept = prepared(slow, fast, window=whole)
    assert kept.attrs["sampling_rate_hz"] == 200.0  # most samples


def test_short_segments_do_not_fail() -> None:
    parts = [trace(np.full(n, 7.0), obspy.UTCDateTime("2014-08-24T12:00:00") + n, 40.0) for n in range(1, 8)]
    values = prepared(*parts, preparation=AT_100).waveform.values[0]
    assert np.isfinite(values).sum() == sum(int((n - 1) * 2.5) + 1 for n in range(1, 8))
    np.testing.assert_allclose(values[np.isfinite(values)], 7.0, rtol=1e-6)


def test_a_record_of_a_rate_that_no_recorder_has_costs_itself_alone() -> None:
    sound = sine(100.0, 5.0)
    damaged = trace(np.arange(400.0), obspy.UTCDateTime("2014-08-24T12:00:10"), 1e9)
    dataset = prepared(sound, damaged)
    np.testing.assert_array_equal(dataset.waveform.values, prepared(sound).waveform.values)
    assert "all records of 1e+09 Hz are shorter than a sample of 100 Hz" in dataset.attrs["problems"][0]
