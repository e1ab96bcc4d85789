"""How large picks are: from which level, over which noise, and in which unit."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.typing import NDArray

from seisflow.picking import Picker, pick_phases
from seisflow.picking.amplitudes import measured
from tests.picking.records import START, dataset

RATE_HZ = 100.0
ONSETS = np.array([500, 1500])


class Known(Picker):
    """A picker that gives two picks."""

    name: ClassVar[str] = "known"

    @property
    def margin_s(self) -> float:
        """Nothing."""
        return 0.0

    @property
    def sampling_rate_hz(self) -> None:
        """Any."""
        return None

    def pick(self, waveforms: xr.Dataset) -> pd.DataFrame:
        """Return a P and an S."""
        times = pd.to_datetime(waveforms["time"].to_numpy()[ONSETS], utc=True)
        return pd.DataFrame({"phase": ["P", "S"], "time": times, "probability": 0.9})


def steady(level: float = 1000.0) -> NDArray[np.float64]:
    """Return two components whose noise is 2 above and below a level, in turns."""
    return np.full((2, 3000), level) + np.where(np.arange(3000) % 2, 2.0, -2.0)


def test_amplitudes_are_counted_from_the_level_before() -> None:
    data = np.full((2, 1000), 1000.0, np.float32)
    data[1, 520] = 1007.0
    assert measured(data, np.array([500]), RATE_HZ, 1.0).amplitude.tolist() == [7.0]
    assert np.isnan(measured(np.full_like(data, np.nan), np.array([500]), RATE_HZ, 1.0).amplitude).all()


def test_the_ratio_is_that_of_the_component_with_the_peak() -> None:
    data = steady().astype(np.float32)
    data[0] = 1000 + 10 * (data[0] - 1000)
    data[1, 520] = 1100.0
    size = measured(data, np.array([500]), RATE_HZ, 1.0)
    assert size.amplitude.tolist() == [100.0]
    assert size.snr.tolist() == [50.0]


def test_a_late_onset_does_not_count_the_signal_as_noise() -> None:
    data = steady().astype(np.float32)
    data[:, 500:700] += 300.0
    late = measured(data, np.array([540]), RATE_HZ, 1.0)
    assert late.snr[0] == pytest.approx(151.0)


def test_half_of_the_noise_must_be_there() -> None:
    data = steady().astype(np.float32)
    data[:, 250:351] = np.nan
    data[0, 250:351] = 1000.0
    size = measured(data, np.array([500]), RATE_HZ, 1.0)
    assert size.n_measured.tolist() == [1]
    data[0, 350:451] = np.nan
    assert np.isnan(measured(data, np.array([500]), RATE_HZ, 1.0).snr).all()


def test_silence_has_no_ratio() -> None:
    data = np.zeros((1, 1000), np.float32)
    data[0, 510] = 1.0
    size = measured(data, np.array([500]), RATE_HZ, 1.0)
    assert size.amplitude.tolist() == [1.0] and np.isnan(size.snr).all()


def test_the_unit_is_that_of_the_waveforms() -> None:
    waveforms = dataset(steady(), "ZN")
    assert pick_phases(waveforms, Known())["amplitude_unit"].tolist() == ["count", "count"]
    waveforms.attrs["units"] = "m/s**2"
    assert pick_phases(waveforms, Known())["amplitude_unit"].tolist() == ["m/s**2", "m/s**2"]
    waveforms["waveform"][:] = np.nan
    picks = pick_phases(waveforms, Known())
    assert picks["amplitude_unit"].isna().all() and picks["amplitude"].isna().all()


@pytest.mark.parametrize("missing", ["nothing", "one component", "all of the second pick"])
def test_ground_motion_counts_where_every_component_has_it(missing: str) -> None:
    waveforms = dataset(steady(), "ZN")
    asked = []

    def motion(spans: NDArray[np.int64]) -> xr.Dataset:
        asked.append(spans.tolist())
        moved = waveforms.copy(data={"waveform": waveforms["waveform"].to_numpy() / 1e6})
        if missing != "nothing":
            moved["waveform"][1 if missing == "one component" else slice(None), 1000:] = np.nan
        moved.attrs["units"] = "m/s"
        return moved

    picks = pick_phases(waveforms, Known(), motion=motion)
    assert asked == [[[250, 800], [1250, 1800]]]
    second = "m/s" if missing == "nothing" else "count"
    assert picks["amplitude_unit"].tolist() == ["m/s", second]
    expected = {"m/s": 2e-6, "count": 2.0}
    assert picks["amplitude"].tolist() == pytest.approx([2e-6, expected[second]], rel=1e-3)
    assert picks["snr"].tolist() == pytest.approx([1.0, 1.0], rel=1e-3)


def test_a_component_that_is_not_there_needs_no_response() -> None:
    data = steady()
    data[1, 1000:] = np.nan
    waveforms = dataset(data, "ZN")
    picks = pick_phases(waveforms, Known(), motion=lambda spans: waveforms.assign_attrs(units="m/s"))
    assert picks["amplitude_unit"].tolist() == ["m/s", "m/s"]


def test_nothing_is_asked_where_there_are_no_picks() -> None:
    class Silent(Known):
        def pick(self, waveforms: xr.Dataset) -> pd.DataFrame:
            return super().pick(waveforms).iloc[:0]

    def motion(spans: NDArray[np.int64]) -> xr.Dataset:
        raise AssertionError(spans)

    assert pick_phases(dataset(steady(), "ZN"), Silent(), motion=motion).empty


def test_picks_keep_their_triggers() -> None:
    class Triggering(Known):
        def pick(self, waveforms: xr.Dataset) -> pd.DataFrame:
            picks = super().pick(waveforms)
            tenth = pd.Timedelta("100ms")
            return picks.assign(trigger_start=picks["time"] - tenth, trigger_end=picks["time"] + 2 * tenth)

    plain, picks = (pick_phases(dataset(steady(), "ZN"), picker) for picker in (Known(), Triggering()))
    assert plain["trigger_start"].isna().all()
    assert (picks["time"] - picks["trigger_start"]).dt.total_seconds().tolist() == [0.1, 0.1]
    assert (picks["trigger_end"] - picks["time"]).dt.total_seconds().tolist() == [0.2, 0.2]
    assert picks["time"].dt.tz_localize(None).to_numpy()[0] == START + np.timedelta64(5, "s")
