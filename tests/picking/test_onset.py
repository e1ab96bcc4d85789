"""The parts of the STA/LTA picker: averages, triggers, autoregressive onsets, local maxima."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisflow.picking.characteristic import bandpassed, sta_lta, triggers
from seisflow.picking.inference.windows import finite_runs, near_edges
from seisflow.picking.motion import is_glitch, strongest
from seisflow.picking.onset import ar_aic, kurtosis_rise, refined
from seisflow.picking.segments import runs, without_flat_runs


def test_the_ratio_is_the_recursive_one() -> None:
    obspy_trigger = pytest.importorskip("obspy.signal.trigger")
    data = np.random.default_rng(1).standard_normal(20_000)
    data[12_000:12_300] *= 10
    ours = sta_lta(np.square(data).astype(np.float32), 100.0, 0.5, 10.0, 5.0)
    theirs = obspy_trigger.recursive_sta_lta(data, 50, 1000)
    # theirs has the signal in its long average, ours does not: before the signal both measure the same
    assert ours[11_000:12_000].mean() == pytest.approx(theirs[11_000:12_000].mean(), rel=0.05)
    assert ours[12_000:12_100].max() > theirs[12_000:12_100].max()


def test_a_trigger_is_the_first_sample_over_the_threshold() -> None:
    ratio = np.array([0, 3, 5, 6, 3, 1, 3, 3, 1, 9, 1], np.float32)
    assert triggers(ratio, 5.0, 2.0).tolist() == [2, 9]


@pytest.mark.parametrize("seed", range(5))
def test_the_onset_is_where_the_spectrum_changes_though_the_energy_does_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rough, smooth = rng.standard_normal((2, 2000))
    smooth = np.convolve(smooth, np.ones(8), "same")
    data = np.concatenate([rough[:900] / rough.std(), smooth[:900] / smooth.std()])
    found = ar_aic(data[None, None, 600:1200], 150, 150, 4)
    assert abs(found[0] - 300) <= 8


@pytest.mark.parametrize("seed", range(5))
def test_the_kurtosis_rises_where_the_signal_begins(seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = rng.standard_normal((2, 1, 600))
    data[:, :, 300:] += 8 * rng.standard_normal((2, 1, 300)) * np.exp(-np.arange(300) / 80)
    onsets = kurtosis_rise(data, 50)
    assert np.abs(onsets - 300).max() <= 5
    assert kurtosis_rise(data * 1e-9 + 0.0, 50).tolist() == onsets.tolist()


def test_many_triggers_are_refined_as_one_by_one() -> None:
    rng = np.random.default_rng(0)
    trace = rng.standard_normal((1, 200_000)).astype(np.float32)
    places = np.arange(1_000, 199_000, 660)
    for place in places:
        trace[0, place : place + 200] += 10 * rng.standard_normal(200).astype(np.float32)
    assert len(places) == 300  # more than are refined at a time
    together, usable = refined(trace, places, 100.0, 2.5, 1.0, order=4, refinement="kurtosis")
    alone = [
        refined(trace, places[i : i + 1], 100.0, 2.5, 1.0, order=4, refinement="kurtosis")[0][0]
        for i in (0, 127, 128, 299)
    ]
    assert usable.all()
    assert together[[0, 127, 128, 299]].tolist() == alone
    assert np.median(np.abs(together - places)) <= 3


def test_an_offset_makes_no_pulse_in_the_band() -> None:
    filtered = bandpassed(np.full(5000, 1e6, np.float32), 100.0, 2.0, 15.0)
    assert np.abs(filtered).max() < 1.0


def test_spikes_and_steps_are_glitches_and_waves_are_not() -> None:
    rng = np.random.default_rng(2)
    data = rng.standard_normal((1, 4000)).astype(np.float32)
    data[0, 1000] += 50
    data[0, 2000:] += 50
    data[0, 3000:3200] += 50 * np.sin(np.arange(200) * 0.5) * np.exp(-np.arange(200) / 60)
    assert is_glitch(data, np.array([1000, 2000, 3000]), 100.0, 8.0).tolist() == [True, True, False]


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 5)), max_size=30, unique_by=lambda x: x[0]))
def test_the_strongest_are_apart_and_none_stronger_is_near(pairs: list[tuple[int, int]]) -> None:
    onsets = np.array([p[0] for p in pairs], np.int64)
    strength = np.array([p[1] for p in pairs], float)
    kept = strongest(onsets, strength, 20)
    assert (np.diff(onsets[kept]) > 20).all()
    for i in kept:
        assert strength[np.abs(onsets - onsets[i]) <= 20].max() == strength[i]


@given(st.lists(st.booleans(), max_size=60))
def test_runs_are_the_true_samples(values: list[bool]) -> None:
    mask = np.array(values, bool)
    again = np.zeros(len(mask), bool)
    for start, stop in runs(mask):
        assert not again[max(start - 1, 0) : stop + 1].any()
        again[start:stop] = True
    assert (again == mask).all()


def test_flat_runs_are_taken_out_and_edges_guarded() -> None:
    data = np.array([1, 2, np.nan, 3, np.nan, 5, 5, 5, 5, 6], np.float32)
    assert np.isfinite(without_flat_runs(data, 4)).tolist() == [True] * 2 + [False, True] + [False] * 5 + [
        True
    ]
    assert near_edges([finite_runs(data)], len(data), 1).tolist() == [
        True,
        True,
        True,
        True,
        True,
        True,
        False,
        False,
        False,
        True,
    ]
