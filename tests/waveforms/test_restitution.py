"""Ground motion around instants: known motion comes back, wherever the record is cut and broken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import obspy
import pytest
import xarray as xr
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from obspy.core.inventory import Channel, InstrumentSensitivity, Inventory, Network, Response, Station

from seisflow.synthetic.instruments import BROADBAND, SHORT_PERIOD
from seisflow.waveforms import Amplitudes, restore_motion

START = np.datetime64("2020-01-01", "ns")
RATE_HZ = 100.0
N = 40_000
ONSET = 20_000
PEAK_M_S = 3e-6
AROUND = np.array([[ONSET - 250, ONSET + 300]])
LOW_HZ = 0.5

Counts = NDArray[np.float64]


def ground(onset: int = ONSET, n: int = N) -> Counts:
    """Return ground velocity with a wavelet of 4 Hz whose largest value is known, m/s."""
    time_s = (np.arange(n) - onset) / RATE_HZ - 0.5
    wavelet = np.exp(-((time_s / 0.15) ** 2)) * np.cos(2 * np.pi * 4.0 * time_s)
    return PEAK_M_S * wavelet


def recorded(velocity: Counts, kind: str) -> Counts:
    """Return what an instrument makes of a ground velocity, in counts."""
    spectrum = np.fft.rfft(velocity, 2 * len(velocity))
    frequency_hz = np.fft.rfftfreq(2 * len(velocity), 1 / RATE_HZ)
    if kind == "accelerometer":
        transfer = 4e5 * 2j * np.pi * frequency_hz
    else:
        transfer = {"broadband": BROADBAND, "short period": SHORT_PERIOD}[kind].response(frequency_hz)
    return np.asarray(np.fft.irfft(spectrum * transfer)[: len(velocity)])


def response_of(kind: str) -> Response:
    """Return the response of an instrument as StationXML has it."""
    if kind != "accelerometer":
        return {"broadband": BROADBAND, "short period": SHORT_PERIOD}[kind].stages(RATE_HZ)
    response = SHORT_PERIOD.stages(RATE_HZ)
    sensor, digitizer = response.response_stages
    sensor.zeros, sensor.poles, sensor.normalization_factor = [], [], 1.0
    sensor.input_units, sensor.stage_gain, digitizer.stage_gain = "M/S**2", 4.0, 1e5
    total = InstrumentSensitivity(4e5, 1.0, "M/S**2", "COUNTS")
    return Response(instrument_sensitivity=total, response_stages=[sensor, digitizer])


def channel(response: Response | None, code: str = "HHZ", **epoch: Any) -> Channel:
    """Return a channel of XX.AAA."""
    return Channel(code, "", 0.0, 0.0, 0.0, 0.0, sample_rate=RATE_HZ, response=response, **epoch)


def inventory_of(*channels: Channel) -> Inventory:
    """Return an inventory of XX.AAA."""
    return Inventory(networks=[Network("XX", stations=[Station("AAA", 0.0, 0.0, 0.0, channels=channels)])])


def waveforms_of(*counts: Counts, first: int = 0) -> xr.Dataset:
    """Return counts as a station-day; `first` is the number of the first sample since START."""
    step = ((first + np.arange(len(counts[0]))) * 10_000_000).astype("timedelta64[ns]")
    codes = {"network": "XX", "station": "AAA", "location": "", "band": "HH"}
    return xr.Dataset(
        {"waveform": (("component", "time"), np.array(counts, np.float32))},
        coords={"component": list("ZNE"[: len(counts)]), "time": START + step, **codes},
        attrs={"sampling_rate_hz": RATE_HZ, "units": "count"},
    )


def restored(waveforms: xr.Dataset, inventory: Inventory, spans: Any = AROUND) -> Counts:
    """Return the ground velocity of a record."""
    motion = restore_motion(waveforms, np.asarray(spans), inventory, LOW_HZ)
    assert motion.attrs["units"] == "m/s"
    return np.asarray(motion["waveform"].to_numpy(), float)


def wanted(values: Counts, onset: int = ONSET) -> Counts:
    """Return the part of a trace that was asked for, less the level before the onset."""
    return values[onset : onset + 300] - values[onset - 250 : onset - 50].mean()


@pytest.mark.parametrize("kind", ["broadband", "short period", "accelerometer"])
def test_a_known_velocity_comes_back(kind: str) -> None:
    counts = recorded(ground(), kind) + 1e6
    moved = restored(waveforms_of(counts), inventory_of(channel(response_of(kind))))[0]
    assert np.abs(wanted(moved) - wanted(ground())).max() < 0.01 * PEAK_M_S
    assert np.isnan(moved[: ONSET - 4000]).all() and np.isnan(moved[ONSET + 4000 :]).all()


@pytest.mark.parametrize("onset", [260, N - 310])
def test_a_pick_at_the_edge_of_the_record(onset: int) -> None:
    counts = recorded(ground(onset), "broadband")
    span = [[onset - 250, onset + 300]]
    moved = restored(waveforms_of(counts), inventory_of(channel(response_of("broadband"))), span)[0]
    assert np.abs(wanted(moved, onset) - wanted(ground(onset), onset)).max() < 0.02 * PEAK_M_S


@pytest.mark.parametrize(("first", "stop"), [(ONSET - 320, ONSET - 260), (ONSET + 310, ONSET + 900)])
def test_gaps_near_a_pick_are_bridged(first: int, stop: int) -> None:
    counts = recorded(ground(), "broadband") - 5e5
    counts[first:stop] = np.nan
    moved = restored(waveforms_of(counts), inventory_of(channel(response_of("broadband"))))[0]
    assert np.abs(wanted(moved) - wanted(ground())).max() < 0.01 * PEAK_M_S
    assert np.isnan(moved[first:stop]).all()


def test_an_offset_that_changes_in_a_long_gap_is_no_motion() -> None:
    counts = recorded(ground(), "broadband")
    counts[ONSET - 4000 : ONSET - 300] = np.nan
    counts[: ONSET - 4000] += 1e7
    moved = restored(waveforms_of(counts), inventory_of(channel(response_of("broadband"))))[0]
    assert np.abs(wanted(moved) - wanted(ground())).max() < 0.01 * PEAK_M_S


def test_each_epoch_has_its_own_response() -> None:
    border = 22_000
    louder = replace(BROADBAND, digitizer_counts_v=4 * BROADBAND.digitizer_counts_v)
    velocity = ground() + ground(border + 4000)
    counts = recorded(velocity, "broadband")
    counts[border:] = 4 * counts[border:] + 1e6
    at = obspy.UTCDateTime(str(START)) + border / RATE_HZ
    both = inventory_of(
        channel(BROADBAND.stages(RATE_HZ), end_date=at), channel(louder.stages(RATE_HZ), start_date=at)
    )
    spans = [[border + 3750, border + 4300], *AROUND.tolist(), [border - 300, border + 300]]
    moved = restored(waveforms_of(counts), both, spans)[0]
    for onset in (ONSET, border + 4000):
        assert np.abs(wanted(moved, onset) - wanted(velocity, onset)).max() < 0.01 * PEAK_M_S
    assert np.abs(np.diff(moved[border - 5 : border + 5])).max() < 0.05 * PEAK_M_S


def test_what_lacks_a_response_is_said_and_missing() -> None:
    counts = recorded(ground(), "broadband")
    bare = response_of("broadband")
    bare.response_stages = []
    ended = obspy.UTCDateTime(str(START)) + 100.0
    cases = (
        ("XX.AAA..HHN has no response at 2020-01-01T00:03:17", channel(bare, "HHE")),
        ("XX.AAA..HHN has no full response", channel(bare, "HHN")),
        ("XX.AAA..HHN has no response at", channel(response_of("broadband"), "HHN", end_date=ended)),
    )
    for said, other in cases:
        inventory = inventory_of(channel(response_of("broadband")), other)
        motion = restore_motion(waveforms_of(counts, counts), AROUND, inventory, LOW_HZ)
        assert [problem.startswith(said) for problem in motion.attrs["problems"]] == [True]
        assert np.isfinite(motion["waveform"][0, ONSET]) and np.isnan(motion["waveform"][1]).all()


def test_a_band_that_the_record_does_not_hold_is_said() -> None:
    slow = channel(response_of("broadband"))
    slow.sample_rate = 1.0
    motion = restore_motion(waveforms_of(recorded(ground(), "broadband")), AROUND, inventory_of(slow), LOW_HZ)
    assert "records nothing above 0.5 Hz" in motion.attrs["problems"][0]


def test_an_offset_is_no_motion() -> None:
    waveforms = waveforms_of(np.full(N, 1e7))
    moved = restored(waveforms, inventory_of(channel(response_of("short period"))))[0]
    assert np.nanmax(np.abs(moved)) < 1e-4 * PEAK_M_S


@settings(max_examples=30)
@example(before=0, after=0, others=[19_300], gaps=[(21_000, 1300)])
@example(before=0, after=0, others=[], gaps=[(21_000, 3100)])
@given(
    before=st.integers(0, 3000),
    after=st.integers(0, 3000),
    others=st.lists(st.integers(0, N - 600), max_size=5),
    gaps=st.lists(st.tuples(st.integers(0, N - 1), st.integers(1, 6000)), max_size=4),
)
def test_it_does_not_depend_on_the_cut_nor_on_other_picks(
    before: int, after: int, others: list[int], gaps: list[tuple[int, int]]
) -> None:
    rng = np.random.default_rng(1)
    counts = np.cumsum(rng.normal(0, 30, N))
    for first, length in gaps:
        counts[first : first + length] = np.nan
        counts[first + length :] += 3000
    inventory = inventory_of(channel(response_of("short period")))
    spans = np.concatenate([AROUND, *[[[other, other + 550]] for other in others]])
    whole = restored(waveforms_of(counts), inventory, spans)[0]
    margin = round(Amplitudes(lowest_frequency_hz=LOW_HZ).margin_s * RATE_HZ)
    low, high = AROUND[0, 0] - margin - before, AROUND[0, 1] + margin + after
    part = restored(waveforms_of(counts[low:high], first=low), inventory, AROUND - low)[0]
    inside = slice(*AROUND[0])
    size = np.nanmax(np.abs(whole)) if np.isfinite(whole).any() else 1.0
    np.testing.assert_allclose(part[AROUND[0, 0] - low : AROUND[0, 1] - low], whole[inside], atol=1e-6 * size)


def test_it_is_obspys_on_a_real_day(shared: Path) -> None:
    folder = shared / "data" / "socal_days_2022"
    trace = obspy.read(str(folder / "CIHEC__BHN___2022002.ms"))[0]
    trace.trim(trace.stats.starttime + 3600, trace.stats.starttime + 3 * 3600)
    inventory = obspy.read_inventory(str(folder / "CI_HEC.xml"))
    reference = trace.copy().remove_response(
        inventory, output="VEL", pre_filt=(0.25, 0.5, 16.0, 19.0), water_level=None, taper=False
    )
    codes = {"network": "CI", "station": "HEC", "location": "", "band": "BH"}
    times = np.datetime64(trace.stats.starttime.ns, "ns") + np.arange(trace.stats.npts) * np.timedelta64(
        25, "ms"
    )
    waveforms = xr.Dataset(
        {"waveform": (("component", "time"), trace.data[None].astype(np.float32))},
        coords={"component": ["N"], "time": times, **codes},
        attrs={"sampling_rate_hz": 40.0},
    )
    firsts = np.arange(8000, trace.stats.npts - 8000, 20_000)
    spans = np.stack([firsts, firsts + 220], axis=1)
    moved = restore_motion(waveforms, spans, inventory, 0.5)["waveform"].to_numpy()[0]
    for first, stop in spans:
        theirs = reference.data[first:stop] - reference.data[first:stop].mean()
        ours = moved[first:stop] - moved[first:stop].mean()
        assert np.abs(ours - theirs).max() < 0.01 * np.abs(theirs).max()
