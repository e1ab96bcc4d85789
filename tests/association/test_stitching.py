"""Stitching proved on associators that are as contrary as they may be."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from seisflow.association import Associator, associate_picks
from seisflow.association.stitching import explain_empty, stitching_margin_s
from seisflow.earth import VelocityModel
from seisflow.errors import WorkflowError
from seisflow.keys import Window
from seisflow.tables import (
    ASSIGNMENTS,
    EVENTS,
    PICKS,
    STATIONS,
    Catalog,
    concatenate,
    event_id,
    pick_ids,
    validate,
)

ZERO = np.datetime64("2020-01-01", "ns")
CRUST = VelocityModel(depth_km=(0.0,), vp_km_s=(6.0,), vs_km_s=(3.5,))
STATIONS_OF_SIX = validate(
    pd.DataFrame({"network": "XX", "station": list("ABCDEF"), "location": ""}).assign(
        latitude=0.0, longitude=0.0, elevation_m=0.0, start=pd.NaT, end=pd.NaT
    ),
    STATIONS,
)
LENGTH_S = 100.0


class Clusters(Associator):
    """Takes picks without a gap of 3 s for an event; the origin time depends on all the picks seen.

    With `overlap` each event also claims the first picks of the next one; with `late_s` its origin
    comes after its first picks, which no event may have.
    """

    name = "clusters"
    min_stations: int = 3
    n_picks: int = 3
    n_p_picks: int = 0
    n_s_picks: int = 0
    n_p_and_s_picks: int = 0
    window_s: float = LENGTH_S
    jitter_s: float = 9.0
    overlap: int = 0
    late_s: float = 0.0

    @property
    def margin_s(self) -> float:
        return 20.0

    def associate(self, picks: pd.DataFrame, stations: pd.DataFrame, velocity: VelocityModel) -> Catalog:
        breaks = (picks["time"].diff() > pd.Timedelta("3s")).cumsum()
        seen = int(hashlib.blake2b("".join(picks["pick_id"]).encode()).hexdigest()[:8], 16)
        events, assignments = [], []
        for number, own in picks.groupby(breaks):
            rows = picks.loc[own.index[0] : own.index[-1] + self.overlap]
            jitter = -self.late_s + self.jitter_s * ((seen + 7919 * int(number)) % 1000) / 1000.0
            name = event_id(rows["pick_id"].tolist())
            events.append({"event_id": name, "time": own["time"].iloc[0] - pd.Timedelta(seconds=jitter)})
            assignments.append(rows[["pick_id"]].assign(event_id=name, residual_s=jitter, distance_km=1.0))
        frame = pd.DataFrame(events).assign(latitude=0.0, longitude=0.0, depth_km=0.0, n_p=0, n_s=0)
        frame = frame.assign(magnitude_type="", method="clusters", status="associated")
        return Catalog(validate(frame, EVENTS), validate(pd.concat(assignments), ASSIGNMENTS), picks)


def picks_at(seconds: list[float], stations: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame({"station": stations, "time": pd.to_datetime(ZERO, utc=True)})
    frame["time"] += pd.to_timedelta(seconds, unit="s")
    frame = frame.assign(network="XX", location="", band="HH", phase="P", probability=1.0, polarity="")
    frame["method"] = "made"
    frame["pick_id"] = pick_ids(frame)
    return validate(frame, PICKS)


def chunked(picks: pd.DataFrame, associator: Associator, cuts_s: list[float]) -> Catalog:
    """Associate between cuts, each chunk from no more picks than it says it needs."""
    edges = sorted({ZERO + np.timedelta64(round(cut * 1e6), "us") for cut in (-1e3, *cuts_s, 2e3)})
    times = picks["time"].to_numpy(dtype="datetime64[ns]")
    parts = []
    for start, end in pairwise(edges):
        window = Window(start, end)
        near = window.widened(stitching_margin_s(associator)).holds(times)
        parts.append(associate_picks(picks[near], STATIONS_OF_SIX, associator, CRUST, window))
        held = parts[-1].picks
        assigned = held["pick_id"].isin(parts[-1].assignments["pick_id"])
        assert (window.holds(held["time"].to_numpy(dtype="datetime64[ns]")) | assigned).all()
    return Catalog(
        concatenate([part.events for part in parts], EVENTS),
        concatenate([part.assignments for part in parts], ASSIGNMENTS),
        concatenate([part.picks for part in parts], PICKS),
    )


@st.composite
def sequences(draw: st.DrawFn) -> pd.DataFrame:
    """Draw picks at random over five windows, some dense enough for clusters longer than a window."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    n_picks = draw(st.integers(1, 250))
    times = rng.uniform(0.0, 5.0 * LENGTH_S, n_picks)
    return picks_at(times.tolist(), rng.choice(list("ABCDEF"), n_picks).tolist())


near_a_border = st.builds(
    lambda n, after_s: n * LENGTH_S + after_s, st.integers(0, 5), st.floats(-20.0, 50.0)
)


@settings(max_examples=30, deadline=None)
@given(
    picks=sequences(),
    cuts=st.lists(near_a_border | st.floats(-50.0, 550.0), max_size=5),
    overlap=st.integers(0, 3),
    jitter_s=st.sampled_from([0.0, 9.0, 60.0]),
    late_s=st.sampled_from([0.0, 40.0]),
    cell_deg=st.sampled_from([None, 10.0]),
)
def test_any_cut_gives_the_same_events(
    picks: pd.DataFrame,
    cuts: list[float],
    overlap: int,
    jitter_s: float,
    late_s: float,
    cell_deg: float | None,
) -> None:
    associator = Clusters(overlap=overlap, jitter_s=jitter_s, late_s=late_s, cell_deg=cell_deg)
    whole = associate_picks(picks, STATIONS_OF_SIX, associator, CRUST)
    parts = chunked(picks, associator, cuts)
    assert_frame_equal(whole.events, parts.events)
    assert_frame_equal(whole.assignments, parts.assignments)
    assert whole.assignments["pick_id"].is_unique
    assert whole.events["event_id"].is_unique


@settings(max_examples=15, deadline=None)
@given(offset_s=st.floats(0.0, 25.0, width=32), jitter_s=st.floats(0.0, 9.5, width=32))
@example(offset_s=10.0, jitter_s=0.0)
def test_jitter_at_a_border_neither_loses_nor_doubles(offset_s: float, jitter_s: float) -> None:
    """Events every 25 s, whose origin time another window puts up to 9.5 s elsewhere."""
    times = [offset_s + 25.0 * event + 0.7 * k for event in range(24) for k in range(5)]
    picks = picks_at(times, list("ABCDE") * 24)
    catalog = associate_picks(picks, STATIONS_OF_SIX, Clusters(jitter_s=jitter_s), CRUST)
    assert len(catalog.events) == 24
    assert len(catalog.assignments) == len(picks)


def test_windows_without_picks_cost_nothing() -> None:
    picks = pd.concat([picks_at([float(i) for i in range(4)], list("ABCD")), picks_at([9e5], ["A"])])
    catalog = associate_picks(picks, STATIONS_OF_SIX, Clusters(), CRUST)
    assert len(catalog.events) == 1


def test_a_pick_given_twice_counts_once() -> None:
    picks = picks_at([0.0, 1.0, 2.0], list("ABC"))
    catalog = associate_picks(pd.concat([picks, picks]), STATIONS_OF_SIX, Clusters(), CRUST)
    assert len(catalog.assignments) == 3


def test_a_window_must_hold_its_margins() -> None:
    with pytest.raises(WorkflowError, match=r"window_s 50 s must be at least 80 s"):
        Clusters.parse({"window_s": 50.0})


class TestExplainEmpty:
    def test_says_that_there_are_no_picks(self) -> None:
        assert explain_empty(picks_at([], []), STATIONS_OF_SIX, Clusters()) == "no picks"

    def test_names_the_setting_that_prevents_an_event(self) -> None:
        picks = picks_at([0.0, 1.0, 2.0], list("ABB"))
        reason = explain_empty(picks, STATIONS_OF_SIX, Clusters(n_s_picks=2))
        assert reason == (
            "3 picks at 2 of 6 stations, 2 of them with P, 0 with S, 0 with both: too few for an event, "
            "for which min_stations is 3, n_s_picks is 2"
        )

    def test_says_that_picks_are_too_far_apart_in_time(self) -> None:
        """Enough stations over the hour, but never three within the 20 s that waves travel."""
        picks = picks_at([0.0, 15.0, 300.0, 310.0, 600.0], list("ABCDE"))
        reason = explain_empty(picks, STATIONS_OF_SIX, Clusters())
        assert "never enough within 20 s" in reason
        assert "at most 2 where n_picks is 3, 2 where min_stations is 3" in reason

    def test_counts_stations_with_both_phases_at_one_time(self) -> None:
        both = picks_at([0.0, 5.0, 100.0, 200.0], list("ABCA"))
        both["phase"] = ["P", "P", "P", "S"]
        reason = explain_empty(both, STATIONS_OF_SIX, Clusters(n_picks=2, min_stations=3, n_p_and_s_picks=1))
        assert "1 with both" in reason
        assert "at most 2 where min_stations is 3, 0 where n_p_and_s_picks is 1" in reason

    def test_points_at_the_model_where_the_counts_suffice(self) -> None:
        reason = explain_empty(picks_at([0.0, 5.0, 9.0], list("ABC")), STATIONS_OF_SIX, Clusters())
        assert "no 3 of them fit one origin" in reason
        assert "velocity model" in reason
