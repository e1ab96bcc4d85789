"""Matching one to one: a catalogue equals itself, duplicates are false, nothing is counted twice."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisflow.synthetic import SyntheticTruth, compare_catalogs, compare_picks
from seisflow.synthetic.matching import match_pairs, neighbours
from seisflow.tables import EVENTS, PICKS, concatenate, empty, pick_ids, validate

START = pd.Timestamp("2024-01-01", tz="UTC")
instants = st.lists(st.floats(0, 60), max_size=12)


def make_events(seconds: list[float], latitude: float = 46.0, depth_km: float = 5.0) -> pd.DataFrame:
    table = pd.DataFrame({"time": [START + pd.Timedelta(s, "s") for s in seconds]})
    if table.empty:
        return empty(EVENTS)
    table["event_id"] = [f"event-{k}" for k in range(len(table))]
    return validate(
        table.assign(
            latitude=latitude,
            longitude=8.0,
            depth_km=depth_km,
            n_p=0,
            n_s=0,
            magnitude_type="",
            method="",
            status="",
        ),
        EVENTS,
    )


def make_picks(seconds: list[float], phase: str = "P") -> pd.DataFrame:
    table = pd.DataFrame({"time": [START + pd.Timedelta(s, "s") for s in seconds]})
    if table.empty:
        return empty(PICKS)
    table = table.assign(
        network="SF",
        station="SF01",
        location="",
        band="HH",
        phase=phase,
        probability=1.0,
        polarity="",
        method="x",
    )
    return validate(table.assign(pick_id=pick_ids(table)), PICKS)


@given(instants)
@settings(deadline=None, max_examples=40)
def test_a_catalogue_compared_with_itself_is_perfect(seconds: list[float]) -> None:
    events = make_events(seconds)
    found = compare_catalogs(events, events, time_tolerance_s=1.0, distance_tolerance_km=1.0)
    assert len(found.matches) == len(events) and found.missed.empty and found.extra.empty
    assert (found.matches["time_error_s"] == 0).all()
    picks = make_picks(sorted(set(seconds)))
    assert len(compare_picks(picks, picks, tolerance_s=0.5).matches) == len(picks)


@given(instants, instants, st.floats(0.1, 5))
@settings(deadline=None, max_examples=60)
def test_every_event_is_counted_exactly_once(
    first: list[float], second: list[float], tolerance_s: float
) -> None:
    events, reference = make_events(first), make_events(second)
    found = compare_catalogs(events, reference, time_tolerance_s=tolerance_s)
    assert sorted([*found.matches["event_id"], *found.extra["event_id"]]) == sorted(events["event_id"])
    assert sorted([*found.matches["reference_id"], *found.missed["event_id"]]) == sorted(
        reference["event_id"]
    )
    assert (found.matches["time_error_s"].abs() <= tolerance_s + 1e-9).all()
    # Turned around, the same number matches.
    assert len(compare_catalogs(reference, events, time_tolerance_s=tolerance_s).matches) == len(
        found.matches
    )


@given(
    st.sets(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=12),
    st.integers(0, 2**31),
)
@settings(deadline=None, max_examples=60)
def test_matching_is_as_large_and_then_as_cheap_as_can_be(pairs: set[tuple[int, int]], seed: int) -> None:
    edges = sorted(pairs)
    cost = np.random.default_rng(seed).uniform(0, 1, len(edges))
    row, column = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    chosen = match_pairs(row, column, cost)
    best = (0, 0.0)
    for size in range(1, 6):
        for some in itertools.combinations(range(len(edges)), size):
            rows, columns = {edges[k][0] for k in some}, {edges[k][1] for k in some}
            if len(rows) == len(columns) == size:
                best = max(best, (size, -float(cost[list(some)].sum())))
    assert len(chosen) == best[0]
    assert cost[chosen].sum() == pytest.approx(-best[1])


@given(
    st.lists(st.integers(0, 100), max_size=20), st.lists(st.integers(0, 100), max_size=20), st.integers(0, 30)
)
@settings(deadline=None, max_examples=60)
def test_neighbours_are_all_pairs_within_the_tolerance(
    first: list[int], second: list[int], tolerance: int
) -> None:
    row, column = neighbours(np.array(first, dtype=np.int64), np.array(second, dtype=np.int64), tolerance)
    expected = {(i, j) for i, a in enumerate(first) for j, b in enumerate(second) if abs(a - b) <= tolerance}
    assert len(row) == len(expected) and set(zip(row.tolist(), column.tolist(), strict=True)) == expected


def test_duplicates_count_as_false() -> None:
    reference = make_events([10.0, 30.0])
    events = concatenate([reference, make_events([10.4])], EVENTS)
    found = compare_catalogs(events, reference, time_tolerance_s=1.0)
    assert (found.recall, found.precision) == (1.0, pytest.approx(2 / 3))
    assert found.matches["time_error_s"].abs().max() == 0


def test_errors_are_geodesic_and_beyond_the_tolerance_nothing_matches() -> None:
    reference = make_events([10.0])
    events = make_events([10.5], latitude=46.01, depth_km=7.0)
    found = compare_catalogs(events, reference, time_tolerance_s=1.0, distance_tolerance_km=3.0)
    assert found.median_epicentre_error_km == pytest.approx(1.1115, abs=1e-3)
    assert found.median_depth_error_km == 2.0
    assert found.matches["time_error_s"].item() == pytest.approx(0.5)
    far = compare_catalogs(events, reference, time_tolerance_s=1.0, distance_tolerance_km=1.0)
    assert (far.recall, far.precision) == (0.0, 0.0)
    assert far.summary()["median_epicentre_error_km"] is None


def test_picks_match_within_station_and_phase_only() -> None:
    reference = concatenate([make_picks([1.0, 5.0, 9.0]), make_picks([3.0], "S")], PICKS)
    picks = concatenate([make_picks([1.1, 5.3, 3.0]), make_picks([9.0], "S")], PICKS)
    found = compare_picks(picks, reference, tolerance_s=0.5)
    assert (found.recall("P"), found.precision("P")) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert found.median_abs_residual_s("P") == pytest.approx(0.2)
    assert (found.recall("S"), found.summary()["median_abs_s_residual_s"]) == (0.0, None)


def test_truth_agrees_with_itself(small: SyntheticTruth) -> None:
    events = small.catalog.events
    found = compare_catalogs(events, events, time_tolerance_s=1.0, distance_tolerance_km=1.0).summary()
    assert (found["event_recall"], found["event_precision"]) == (1.0, 1.0)
    assert found["median_epicentre_error_km"] == 0.0
    visible = small.visible_picks(50.0)
    assert 0 < len(visible) < len(small.catalog.picks)
    assert compare_picks(visible, small.catalog.picks, tolerance_s=0.1).precision("P") == 1.0
