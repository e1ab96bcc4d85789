"""What every picker must do with the records that archives hold: subclass and return the picker."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seisflow.keys import Window, seconds
from seisflow.picking import Picker, pick_phases
from seisflow.tables import PICKS, validate
from tests.picking.records import START, dataset, noise, swarm

UNHARMFUL = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]  # a picker is immutable
WHOLE = START + seconds(300.0), START + seconds(600.0)


class PickerContract(ABC):
    """Tests of one picker at 100 Hz."""

    @pytest.fixture
    @abstractmethod
    def picker(self) -> Picker:
        """Return the picker under test."""

    def test_picks_keep_the_schema(self, picker: Picker) -> None:
        data, _ = swarm(1, duration_s=300.0)
        waveforms = dataset(data)
        before = waveforms.copy(deep=True)
        picks = pick_phases(waveforms, picker)
        assert len(picks) > 0
        pd.testing.assert_frame_equal(picks, validate(picks, PICKS))
        assert set(picks["phase"]) <= {"P", "S"}
        assert picks["probability"].between(0, 1).all()
        assert (picks["amplitude"].dropna() >= 0).all()
        assert (picks["snr"].dropna() >= 0).all()
        assert (picks["amplitude_unit"].isna() == picks["amplitude"].isna()).all()
        assert (picks["trigger_start"].isna() == picks["trigger_end"].isna()).all()
        triggered = picks.dropna(subset=["trigger_start"])
        assert (triggered["trigger_start"] <= triggered["time"]).all()
        assert (triggered["trigger_end"] >= triggered["time"]).all()
        assert picks["pick_id"].is_unique
        assert set(picks["method"]) == {picker.name}
        assert waveforms.equals(before)

    def test_a_rerun_gives_the_same_picks(self, picker: Picker) -> None:
        data, _ = swarm(2, duration_s=200.0)
        pd.testing.assert_frame_equal(pick_phases(dataset(data), picker), pick_phases(dataset(data), picker))

    rounding: float = 0.0
    """How much a probability may depend on the batch: torch sums in another order in another batch."""

    @settings(max_examples=10, suppress_health_check=UNHARMFUL)
    @given(cut=st.integers(1, 29_999), seed=st.integers(0, 3))
    def test_every_pick_is_found_once_wherever_the_record_is_cut(
        self, picker: Picker, cut: int, seed: int
    ) -> None:
        self.find_once(picker, cut, seed)

    def find_once(self, picker: Picker, cut: int, seed: int) -> None:
        data, _ = swarm(seed)
        waveforms = dataset(data)
        midnight = WHOLE[0] + np.timedelta64(cut * 10, "ms")
        uncut = pick_phases(waveforms, picker, Window(*WHOLE))
        parts = []
        for window in (Window(WHOLE[0], midnight), Window(midnight, WHOLE[1])):
            wide = window.widened(picker.margin_s)
            inside = wide.holds(waveforms["time"].to_numpy())
            parts.append(pick_phases(waveforms.isel(time=inside), picker, window))
        together = pd.concat(parts, ignore_index=True)
        assert (together["probability"] - uncut["probability"]).abs().max() <= self.rounding or not len(uncut)
        together["probability"] = uncut["probability"]
        pd.testing.assert_frame_equal(together, uncut)

    def test_no_pick_lies_in_a_gap(self, picker: Picker) -> None:
        data, _ = swarm(4, duration_s=300.0)
        rng = np.random.default_rng(4)
        for first in rng.integers(0, data.shape[1], 40):
            data[:, first : first + rng.integers(1, 400)] = np.nan
        picks = pick_phases(dataset(data), picker)
        samples = ((picks["time"].dt.tz_localize(None).to_numpy() - START) / np.timedelta64(10, "ms")).round()
        assert np.isfinite(data[0, samples.astype(int)]).all()

    def test_edges_of_gaps_in_offset_data_are_no_onsets(self, picker: Picker) -> None:
        rng = np.random.default_rng(5)
        data = noise(rng, 60_000) + np.array([[5e4], [-3e4], [1e4]])
        edges = []
        for first in range(5_000, 55_000, 5_000):
            data[:, first : first + 1000] = np.nan
            edges += [first, first + 1000]
        picks = pick_phases(dataset(data), picker)
        samples = ((picks["time"].dt.tz_localize(None).to_numpy() - START) / np.timedelta64(10, "ms")).round()
        distance_s = np.abs(samples[:, None] - np.array(edges)) / 100.0
        assert (distance_s >= 0.5).all()

    @pytest.mark.parametrize("n", [0, 1, 7, 200, 2999])
    def test_short_records_do_no_harm(self, picker: Picker, n: int) -> None:
        data = noise(np.random.default_rng(6), 4000)[:, :n]
        assert len(pick_phases(dataset(data), picker)) <= max(n // 50, 1)

    @pytest.mark.parametrize("value", [np.nan, 0.0, -1234.5])
    def test_dead_channels_have_no_picks(self, picker: Picker, value: float) -> None:
        assert pick_phases(dataset(np.full((3, 20_000), value)), picker).empty

    @pytest.mark.parametrize("components", ["Z", "ZN", "NE", "Z12"])
    def test_any_set_of_components_is_picked(self, picker: Picker, components: str) -> None:
        data, _ = swarm(7, duration_s=200.0)
        rows = ["ZNE".index({"1": "N", "2": "E"}.get(letter, letter)) for letter in components]
        picks = pick_phases(dataset(data[rows], components), picker)
        assert len(picks) > 0

    def test_components_may_come_in_any_order(self, picker: Picker) -> None:
        data, _ = swarm(8, duration_s=200.0)
        picks = pick_phases(dataset(data), picker)
        pd.testing.assert_frame_equal(pick_phases(dataset(data[[2, 1, 0]], "ENZ"), picker), picks)
