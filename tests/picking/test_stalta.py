"""STA/LTA finds onsets whose truth is known, and leaves alone what is no onset."""

from __future__ import annotations

import time

import numpy as np
import pytest

from seisflow.errors import WaveformError, WorkflowError
from seisflow.method import build
from seisflow.picking import pick_phases
from seisflow.picking.stalta import StaLta
from tests.picking.records import Truth, add_earthquake, dataset, noise, residuals, seconds_of, swarm


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_onsets_are_recovered_within_samples(seed: int) -> None:
    data, truths = swarm(seed, duration_s=1200.0, every_s=45.0)
    picks = pick_phases(dataset(data), StaLta())
    for phase, true_s, most_s in (
        ("P", [t.p_s for t in truths], 0.04),
        ("S", [t.s_s for t in truths], 0.06),
    ):
        found_s = seconds_of(picks, phase)
        late = residuals(found_s, true_s)
        near = np.abs(late) < 0.3
        assert near.mean() >= 0.95
        assert abs(np.median(late[near])) <= most_s
        assert np.median(np.abs(late[near] - np.median(late[near]))) <= 0.03
        false = np.abs(residuals(np.array(true_s), list(found_s))) > 0.5
        assert false.sum() <= 0.1 * len(truths)


def test_stronger_onsets_are_likelier_and_larger() -> None:
    rng = np.random.default_rng(14)
    data = noise(rng, 30_000)
    for p_s, amplitude in ((60.0, 8.0), (160.0, 80.0)):
        add_earthquake(data, Truth(p_s, p_s + 5.0), rng, amplitude)
    picks = pick_phases(dataset(data), StaLta())
    picks = picks[picks["phase"] == "P"].sort_values("time")
    assert len(picks) == 2
    assert picks["probability"].is_monotonic_increasing
    assert picks["amplitude"].iloc[1] > 5 * picks["amplitude"].iloc[0]


def test_a_small_earthquake_is_not_hidden_by_a_large_one_before() -> None:
    rng = np.random.default_rng(22)
    data = noise(rng, 20_000)
    for p_s, amplitude in ((60.0, 1000.0), (95.0, 8.0)):
        add_earthquake(data, Truth(p_s, p_s + 4.0), rng, amplitude)
    picks = pick_phases(dataset(data), StaLta())
    assert np.abs(seconds_of(picks, "P") - 95.0).min() < 0.1
    assert np.abs(seconds_of(picks, "S") - 99.0).min() < 0.1


def test_glitches_are_no_onsets() -> None:
    rng = np.random.default_rng(15)
    data = noise(rng, 120_000)
    for i, first in enumerate(range(5_000, 115_000, 5_000)):
        size = rng.choice([-1, 1]) * 10 ** rng.uniform(1.5, 4)
        if i % 2:
            data[i % 3, first] += size
        else:
            data[i % 3, first:] += size
    picks = pick_phases(dataset(data), StaLta())
    assert len(picks) <= 1


def test_noise_has_few_picks() -> None:
    data = noise(np.random.default_rng(16), 360_000)
    assert len(pick_phases(dataset(data), StaLta())) <= 3


def test_an_arrival_soon_after_a_gap_needs_noise_before_it() -> None:
    rng = np.random.default_rng(17)
    data = noise(rng, 20_000)
    for p_s in (62.0, 122.0):
        add_earthquake(data, Truth(p_s, p_s + 4.0), rng, 40.0)
    data[:, 5_000:6_100] = np.nan  # ends 0.9 s before the first P
    data[:, 10_500:11_000] = np.nan  # ends 12 s before the second
    p_s = seconds_of(pick_phases(dataset(data), StaLta()), "P")
    assert np.abs(p_s - 62.0).min() > 1.0
    assert np.abs(p_s - 122.0).min() < 0.05


def test_a_vertical_alone_gives_p_only_and_horizontals_alone_s_only() -> None:
    data, truths = swarm(18, duration_s=300.0)
    vertical = pick_phases(dataset(data[:1], "Z"), StaLta())
    assert set(vertical["phase"]) == {"P"}
    assert (np.abs(residuals(seconds_of(vertical, "P"), [t.p_s for t in truths])) < 0.1).all()
    horizontals = pick_phases(dataset(data[1:], "NE"), StaLta())
    assert set(horizontals["phase"]) == {"S"}


def test_a_dead_horizontal_does_not_silence_the_other() -> None:
    data, truths = swarm(19, duration_s=300.0)
    data[2] = 0.0
    s_s = seconds_of(pick_phases(dataset(data), StaLta()), "S")
    assert (np.abs(residuals(s_s, [t.s_s for t in truths])) < 0.1).mean() >= 0.8


@pytest.mark.parametrize("rate_hz", [40.0, 50.0, 200.0, 500.0])
def test_any_sampling_rate_will_do(rate_hz: float) -> None:
    rng = np.random.default_rng(20)
    data = noise(rng, round(120 * rate_hz), rate_hz)
    add_earthquake(data, Truth(60.0, 65.0), rng, 40.0, rate_hz)
    picks = pick_phases(dataset(data, rate_hz=rate_hz), StaLta())
    assert np.abs(seconds_of(picks, "P") - 60.0).min() < 0.1
    assert np.abs(seconds_of(picks, "S") - 65.0).min() < 0.1


def test_a_rate_too_low_for_the_band_is_said() -> None:
    with pytest.raises(WaveformError, match="1 Hz"):
        StaLta().pick(dataset(np.zeros((3, 100)) + np.arange(100), rate_hz=1.0))


def test_a_band_upside_down_is_refused() -> None:
    with pytest.raises(WorkflowError, match="p_low_hz"):
        build("picking", {"method": "stalta", "p_low_hz": 20.0})


def test_a_day_of_five_thousand_gaps_is_picked_in_time() -> None:
    rng = np.random.default_rng(21)
    data = noise(rng, 8_640_000).astype(np.float32)
    for first in rng.integers(0, data.shape[1] - 500, 5_000):
        data[:, first : first + rng.integers(1, 400)] = np.nan
    started = time.process_time()
    pick_phases(dataset(data), StaLta())
    assert time.process_time() - started < 15.0
