"""Which channels are taken, how they are named, and where their samples stand in time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import obspy
import pytest

from seisflow.archive import read_stations
from seisflow.archive.decode import read_files
from seisflow.keys import Window
from seisflow.method import lookup
from seisflow.waveforms import Preparation, prepare_waveforms
from tests.waveforms.records import MINUTE, RAW, prepared, trace

START = obspy.UTCDateTime("2014-08-24T12:00:00")
ONES = np.ones(6000, dtype=np.int32)


def test_preparation_is_a_method() -> None:
    assert lookup("waveforms", "preparation") is Preparation
    assert Preparation().fingerprint() != Preparation(sampling_rate_hz=50.0).fingerprint()


@pytest.mark.parametrize(
    ("channels", "components"),
    [
        ("HHE HHN HHZ", ["Z", "N", "E"]),
        ("HH2 HH1 HHZ", ["Z", "1", "2"]),
        ("HHZ", ["Z"]),
        ("BHN", ["N"]),
        ("HHN HHE", ["N", "E"]),
    ],
)
def test_components_come_in_order_whatever_there_is(channels: str, components: list[str]) -> None:
    parts = [trace(ONES * i, START, 100.0, channel) for i, channel in enumerate(channels.split())]
    dataset = prepared(*parts)
    assert dataset.component.values.tolist() == components
    for i, channel in enumerate(channels.split()):
        assert (dataset.waveform.sel(component=channel[2]) == i).all()


def test_of_two_pairs_of_horizontals_the_longer_is_kept() -> None:
    parts = [trace(ONES, START, 100.0, "HHZ")]
    parts += [trace(ONES[:1000], START, 100.0, f"HH{c}") for c in "NE"]
    parts += [trace(ONES[:5000], START + 10, 100.0, f"HH{c}") for c in "12"]
    dataset = prepared(*parts)
    assert dataset.component.values.tolist() == ["Z", "1", "2"]
    assert "components N, E are left out" in dataset.attrs["problems"][0]


def test_the_preferred_band_with_data_is_taken() -> None:
    bh, eh = trace(ONES, START, 40.0, "BHZ"), trace(ONES, START, 100.0, "EHZ")
    hh_elsewhere = trace(ONES, START + 3600, 100.0, "HHZ")
    assert prepared(bh, eh, hh_elsewhere).band.item() == "EH"
    only = Preparation(bands=("BH", "EH"), sampling_rate_hz=None)
    assert prepared(bh, eh, preparation=only).band.item() == "BH"


def test_the_location_with_most_samples_is_taken_and_a_tie_is_sorted() -> None:
    short, long = trace(ONES[:50], START, 100.0, location="00"), trace(ONES, START, 100.0, location="10")
    assert prepared(short, long).location.item() == "10"
    assert prepared(long, trace(ONES, START, 100.0, location="20")).location.item() == "10"


def test_other_stations_are_ignored() -> None:
    other = trace(ONES * 9, START, 100.0)
    other.stats.station = "BBB"
    assert (prepared(other, trace(ONES, START, 100.0)).waveform == 1).all()


def test_coordinates_and_attributes_follow_the_contract() -> None:
    dataset = prepared(trace(ONES, START + 0.0031, 100.0, "EHZ", "00"))
    scalars = {name: dataset[name].item() for name in ("network", "station", "location", "band", "latitude")}
    assert scalars == {"network": "Z7", "station": "AAA", "location": "00", "band": "EH", "latitude": 64.0}
    assert dataset["elevation_m"].item() == 900.0
    assert dataset.attrs["starttime"] == "2014-08-24T12:00:00.003100000Z"
    assert dataset.attrs["units"] == "count"
    assert dataset.attrs["source"] == "Z7.AAA.00.EHZ"
    assert dataset.attrs["sampling_rate_hz"] == 100.0


@pytest.mark.parametrize("offset_s", [0.0, 0.0031, 0.009])
def test_the_samples_keep_their_phase_and_the_window_is_half_open(offset_s: float) -> None:
    long = trace(np.arange(8000, dtype=np.int32), START - 10 + offset_s, 100.0)
    dataset = prepared(long)
    assert dataset.sizes["time"] == 6000
    first = np.datetime64("2014-08-24T12:00:00", "ns") + np.timedelta64(round(offset_s * 1e9), "ns")
    assert dataset.time.values[0] == first
    np.testing.assert_array_equal(dataset.waveform.values[0], np.arange(1000, 7000))
    assert MINUTE.holds(dataset.time.values).all()
    absolute = prepared(long, absolute_grid=True)
    assert absolute.time.values[0] == np.datetime64("2014-08-24T12:00:00", "ns")
    assert abs(absolute.waveform.values[0, 0] - (1000 - offset_s * 100)) <= 0.5


def test_components_of_other_phase_move_by_less_than_half_a_sample() -> None:
    ramp = np.arange(6000, dtype=np.int32)
    dataset = prepared(trace(ramp, START + 0.001, 100.0, "HHZ"), trace(ramp, START + 0.004, 100.0, "HHN"))
    assert dataset.time.values[0] == np.datetime64("2014-08-24T12:00:00.001", "ns")
    np.testing.assert_array_equal(dataset.waveform.sel(component="N"), ramp)


@pytest.mark.parametrize("rate_hz", [31.25, 99.99, 100 / 3])
def test_times_of_odd_rates_do_not_drift(rate_hz: float) -> None:
    day = Window.of_day("2014-08-24")
    n = int(86400 * rate_hz)
    whole = trace(np.arange(n, dtype=np.int32), obspy.UTCDateTime("2014-08-24"), rate_hz)
    dataset = prepared(whole, window=day)
    index = float(dataset.waveform.values[0, -1])
    offset_s = float((dataset.time.values[-1] - np.datetime64("2014-08-24", "ns")).astype("int64")) * 1e-9
    assert offset_s == pytest.approx(index / rate_hz, abs=1e-7)


def test_real_day_with_a_sub_sample_offset(shared: Path) -> None:
    folder = shared / "data" / "socal_days_2022"
    window = Window.of_day("2022-01-02")
    traces, problems = read_files([str(folder / "CIHEC__BHN___2022002.ms")], window)
    assert problems == []
    site = read_stations(folder / "CI_HEC.xml").iloc[0]
    dataset = prepare_waveforms(traces, RAW, window, site)
    assert dataset.time.values[0] == np.datetime64("2022-01-02T00:00:00.019536", "ns")
    assert dataset.sizes["time"] == 86400 * 40
    assert dataset.component.values.tolist() == ["N"]
    np.testing.assert_array_equal(dataset.waveform.values[0], traces[0].samples.astype(np.float32))
    assert dataset.latitude.item() == pytest.approx(34.8294)
    resampled = prepare_waveforms(traces, Preparation(), window, site)
    assert resampled.time.values[0] == window.start
    assert np.isfinite(resampled.waveform.values).sum() == 8_640_000 - 2  # before the first sample
