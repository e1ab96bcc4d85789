"""First motions: right where they are read, and not read where nothing can be seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from seisflow.errors import WorkflowError
from seisflow.method import build
from seisflow.picking.polarity import PolarityReader
from seisflow.picking.polarity.first_swing import FirstSwing
from tests.picking.records import dataset, noise

RATE_HZ = 100.0
EVERY = 1500


def picks_at(samples: NDArray[np.int64], waveforms: object) -> pd.DataFrame:
    """Return P picks at samples."""
    times = waveforms["time"].to_numpy()[samples]  # type: ignore[index]
    return pd.DataFrame({"phase": "P", "time": pd.to_datetime(times, utc=True)})


def record(
    amplitude: float, n: int, seed: int = 1, low_hz: float = 3.0, high_hz: float = 12.0
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Return noise with P waves that begin with half a swing of known sign, their samples and signs."""
    rng = np.random.default_rng(seed)
    data = noise(rng, EVERY * (n + 1))
    onsets = EVERY * np.arange(1, n + 1) - 500
    signs = rng.choice([-1, 1], n)
    clock = np.arange(300) / RATE_HZ
    for onset, sign in zip(onsets, signs, strict=True):
        frequency = rng.uniform(low_hz, high_hz)
        swing = np.sin(2 * np.pi * frequency * clock) * np.exp(-clock / rng.uniform(0.1, 0.5))
        data[:, onset : onset + 300] += sign * amplitude * swing * np.array([[1.0], [0.3], [0.3]])
    return data, onsets, signs


def read(reader: PolarityReader, data: NDArray[np.float64], samples: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 1 for up, -1 for down, 0 for undetermined."""
    waveforms = dataset(data)
    found = reader.read(waveforms, picks_at(samples, waveforms))
    assert set(found) <= {"up", "down", ""}
    return np.array([{"up": 1, "down": -1, "": 0}[sign] for sign in found])


@pytest.mark.parametrize("late_s", [-0.12, -0.05, 0.0, 0.05, 0.12])
def test_clear_onsets_are_read_right_though_the_pick_is_not_exact(late_s: float) -> None:
    data, onsets, signs = record(60.0, 100)
    found = read(FirstSwing(), data, onsets + round(late_s * RATE_HZ))
    assert (found == signs).mean() > 0.95
    assert (found == -signs).sum() == 0


def test_what_is_decided_is_right_and_the_rest_is_left_open() -> None:
    data, onsets, signs = record(8.0, 400)
    late = np.random.default_rng(2).normal(0, 4, len(onsets)).round().astype(int)
    found = read(FirstSwing(), data, onsets + late)
    assert 0.1 < (found == 0).mean() < 0.9
    assert (found[found != 0] == signs[found != 0]).mean() >= 0.95


def test_noise_has_no_polarity() -> None:
    data = noise(np.random.default_rng(3), 60_000)
    assert (read(FirstSwing(), data, np.arange(1000, 59_000, 200)) != 0).mean() < 0.02


def test_a_pick_far_too_late_is_left_open() -> None:
    data, onsets, _ = record(60.0, 50)
    assert (read(FirstSwing(), data, onsets + 40) == 0).all()


def test_a_wave_that_begins_the_other_way_is_left_open() -> None:
    data, onsets, signs = record(60.0, 50)
    for onset, sign in zip(onsets, signs, strict=True):
        data[0, onset - 6 : onset] -= 20.0 * sign * np.sin(np.pi * np.arange(6) / 6)
    found = read(FirstSwing(), data, onsets)
    assert (found == signs).mean() < 0.1


def test_missing_samples_and_verticals_are_left_open() -> None:
    data, onsets, _ = record(60.0, 4)
    data[0, onsets[1] - 100 : onsets[1] - 90] = np.nan
    assert (read(FirstSwing(), data, onsets) == 0).tolist() == [False, True, False, False]
    waveforms = dataset(data[1:], "NE")
    assert FirstSwing().read(waveforms, picks_at(onsets, waveforms)).tolist() == [""] * 4
    at_the_edge = np.array([5, data.shape[1] - 3])
    assert (read(FirstSwing(), data, at_the_edge) == 0).all()


def test_it_does_not_depend_on_the_cut() -> None:
    data, onsets, _ = record(20.0, 20)
    whole = dataset(data)
    around = round(FirstSwing().margin_s * RATE_HZ) + 1
    uncut = FirstSwing().read(whole, picks_at(onsets, whole))
    for onset, expected in zip(onsets[1:], uncut[1:], strict=True):
        part = whole.isel(time=slice(onset - around, onset + around))
        assert FirstSwing().read(part, picks_at(np.array([around]), part)).tolist() == [expected]


def test_readers_are_found_by_name() -> None:
    assert build("picking.polarity", {"method": "first_swing", "threshold": 2}) == FirstSwing(threshold=2)
    with pytest.raises(WorkflowError, match="allowed are first_swing"):
        build("picking.polarity", "first_motion")
