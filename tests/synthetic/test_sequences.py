"""Pick sequences: what is drawn is what the papers say, and every true pick is where the model puts it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from pydantic import ValidationError

from seisflow.earth import Projection, TravelTimes
from seisflow.synthetic.sequences import (
    Borrego,
    Japan,
    PickSequence,
    SequenceScenario,
    Shallow,
    Subduction,
)
from seisflow.tables import ASSIGNMENTS, EVENTS, PICKS, STATIONS, event_id, validate

SMALL = (
    Japan(n_events=150, false_factor=0.5),
    Borrego(n_events=60),
    Shallow(n_events=40, false_factor=0.5),
    Subduction(n_events=60, false_factor=1.0),
)


def rows_of(sequence: PickSequence) -> pd.DataFrame:
    """Return the true picks with their event, station and assignment, one row each."""
    truth = sequence.truth
    rows = truth.assignments.merge(truth.picks, on="pick_id").merge(
        truth.events, on="event_id", suffixes=("", "_origin")
    )
    return rows.merge(sequence.stations, on=["network", "station"], suffixes=("", "_site"))


@pytest.fixture(scope="module")
def full() -> PickSequence:
    return Japan().make(1)


@pytest.mark.parametrize("scenario", SMALL, ids=lambda scenario: scenario.name)
class TestEveryScenario:
    def test_a_seed_decides_everything_but_the_network(self, scenario: SequenceScenario) -> None:
        one, same, other = scenario.make(3), scenario.make(3), scenario.make(4)
        for first, second in zip(one.truth, same.truth, strict=True):
            assert_frame_equal(first, second)
        assert set(one.picks["pick_id"]).isdisjoint(other.picks["pick_id"])
        assert_frame_equal(one.stations, other.stations)

    def test_tables_are_whole(self, scenario: SequenceScenario) -> None:
        sequence = scenario.make(1)
        truth = sequence.truth
        for table, schema in zip(
            (*truth, sequence.stations), (EVENTS, ASSIGNMENTS, PICKS, STATIONS), strict=True
        ):
            assert_frame_equal(table, validate(table, schema))
        assert truth.picks["time"].is_monotonic_increasing
        assert truth.events["time"].is_monotonic_increasing
        assert truth.picks["pick_id"].is_unique
        assert truth.assignments["pick_id"].is_unique
        for name, own in truth.assignments.groupby("event_id"):
            assert name == event_id(own["pick_id"].tolist())
        rows = rows_of(sequence)
        counts = rows.groupby(["event_id", "phase"]).size().unstack(fill_value=0)
        events = truth.events.set_index("event_id")
        assert (counts["P"] == events["n_p"].reindex(counts.index)).all()
        assert (counts["S"] == events["n_s"].reindex(counts.index)).all()

    def test_true_picks_lie_at_the_arrival_and_their_error(self, scenario: SequenceScenario) -> None:
        sequence = scenario.make(1)
        rows = rows_of(sequence)
        projection = Projection.of_stations(sequence.stations)
        x, y = projection.to_km(rows["latitude"], rows["longitude"])
        east, north = projection.to_km(rows["latitude_site"], rows["longitude_site"])
        times = TravelTimes(sequence.velocity)
        travel_s = np.empty(len(rows))
        for phase in ("P", "S"):
            of = (rows["phase"] == phase).to_numpy()
            depth_km, height_km = rows["depth_km"][of], rows["elevation_m"][of] / 1000.0
            travel_s[of] = times.first_arrival(phase, np.hypot(x - east, y - north)[of], depth_km, -height_km)
        error_s = (rows["time"] - rows["time_origin"]).dt.total_seconds() - travel_s
        np.testing.assert_allclose(error_s, rows["residual_s"], atol=0.02)  # the two projections differ
        np.testing.assert_allclose(rows["distance_km"], np.hypot(x - east, y - north), rtol=2e-3, atol=0.02)

    def test_labels_name_the_event_of_each_pick(self, scenario: SequenceScenario) -> None:
        sequence = scenario.make(1)
        of = dict(
            zip(sequence.truth.assignments["pick_id"], sequence.truth.assignments["event_id"], strict=True)
        )
        names = sequence.truth.events["event_id"].tolist()
        expected = [names.index(of[pick]) if pick in of else -1 for pick in sequence.picks["pick_id"]]
        assert sequence.labels.tolist() == expected

    def test_nothing_but_time_place_and_phase_tells_false_picks(self, scenario: SequenceScenario) -> None:
        sequence = scenario.make(1)
        false = sequence.labels < 0
        assert false.sum() == pytest.approx(scenario.false_factor * (~false).sum(), abs=1)
        told = sequence.picks.drop(columns=["pick_id", "station", "phase", "time"])
        assert all(column.nunique(dropna=False) == 1 for _, column in told.items())
        assert sequence.picks["station"][false].nunique() > 0.4 * len(sequence.stations)
        assert 0.35 < (sequence.picks["phase"][false] == "P").mean() < 0.65


class TestJapan:
    def test_is_as_the_paper_says(self, full: PickSequence) -> None:
        assert len(full.stations) == 88
        assert 90_000 < len(full.picks) < 110_000
        error_s = full.truth.assignments["residual_s"]
        assert error_s.abs().max() <= 0.5
        assert error_s.std() == pytest.approx(1.0 / np.sqrt(12.0), rel=0.01)  # uniform, not normal
        events = full.truth.events
        assert events["depth_km"].between(0.0, 25.0).all()
        assert 4900 < len(events) <= 5000
        farthest_km = full.truth.assignments.groupby("event_id")["distance_km"].max()
        assert farthest_km.max() <= 100.0
        assert (farthest_km > 60.0).mean() == pytest.approx(0.5, abs=0.1)

    @pytest.mark.parametrize("mean_gap_s", [64.0, 5.0])
    def test_times_between_origins_are_uniform_from_zero(self, mean_gap_s: float) -> None:
        whole = Japan(mean_gap_s=mean_gap_s, n_events=1000, kept_share=1.0).make(2).truth.events
        gap_s = whole["time"].diff().dt.total_seconds().dropna()
        assert gap_s.mean() == pytest.approx(mean_gap_s, rel=0.1)
        assert gap_s.quantile(0.05) == pytest.approx(0.1 * mean_gap_s, rel=0.5)
        assert gap_s.quantile(0.95) == pytest.approx(1.9 * mean_gap_s, rel=0.1)

    def test_half_of_the_picks_within_reach_are_kept(self) -> None:
        whole = Japan(n_events=200, kept_share=1.0).make(5)
        half = Japan(n_events=200).make(5)
        assert len(half.picks) == pytest.approx(0.5 * len(whole.picks), rel=0.05)
        rows = rows_of(whole)
        both = rows.groupby(["event_id", "station"])["phase"].nunique()
        assert (both == 2).all()


class TestBorrego:
    def test_has_as_many_false_picks_and_a_decaying_rate(self) -> None:
        sequence = Borrego().make(1)
        events = sequence.truth.events
        assert len(events) == 1708
        assert len(sequence.truth.assignments) / len(events) == pytest.approx(43.0, rel=0.1)
        assert (sequence.labels < 0).mean() == pytest.approx(0.5, abs=1e-3)
        day = (events["time"] - pd.Timestamp("2020-01-01", tz="UTC")).dt.total_seconds() / 86400.0
        assert (day < 9.0).mean() < 0.05
        assert ((day >= 9.0) & (day < 10.0)).mean() > 0.35
        false = sequence.picks["time"][sequence.labels < 0]
        weeks = (false - pd.Timestamp("2020-01-01", tz="UTC")).dt.total_seconds() // (6 * 86400.0)
        assert weeks.value_counts().std() < 0.05 * weeks.value_counts().mean()


@pytest.mark.parametrize("scenario", [Shallow(), Subduction()], ids=lambda scenario: scenario.name)
class TestDetection:
    def test_every_event_can_be_found(self, scenario: SequenceScenario) -> None:
        sequence = scenario.make(2)
        rows = rows_of(sequence)
        both = rows.groupby(["event_id", "station"])["phase"].nunique().eq(2).groupby("event_id").sum()
        assert len(sequence.truth.events) == 500
        assert rows.groupby("event_id").size().min() >= 10
        assert both.min() >= 4

    def test_errors_grow_with_travel_time(self, scenario: SequenceScenario) -> None:
        rows = rows_of(scenario.make(2))
        travel_s = (rows["time"] - rows["time_origin"]).dt.total_seconds()
        near = rows["residual_s"][travel_s < 30.0]
        assert near.std() == pytest.approx(0.4, rel=0.05)
        far = rows["residual_s"][travel_s > 55.0]
        assert len(far) > 100
        assert far.std() > 0.5

    def test_p_and_s_are_picked_together(self, scenario: SequenceScenario) -> None:
        rows = rows_of(scenario.make(2))
        with_p, with_s = (
            set(rows.loc[rows["phase"] == phase, ["event_id", "station"]].apply(tuple, axis=1))
            for phase in ("P", "S")
        )
        assert len(with_p & with_s) / len(with_p) > 0.6


def test_subduction_is_deep_offshore_and_seen_from_one_side() -> None:
    sequence = Subduction().make(1)
    events, coast_deg = sequence.truth.events, -70.0
    assert events["depth_km"].max() > 120.0
    assert (events["depth_km"] > 60.0).mean() > 0.2
    assert (events["longitude"] < coast_deg).mean() > 0.2
    assert (sequence.stations["longitude"] > coast_deg).all()


def test_refuses_parameters_it_does_not_know() -> None:
    with pytest.raises(ValidationError, match="mean_gap"):
        Japan(mean_gap=3.0)  # type: ignore[call-arg]
