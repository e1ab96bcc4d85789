"""Training sequences: each of the twelve rules of section 4.3.1, by its distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy import stats

from seisflow.association.linking.features import Frame
from seisflow.earth import TravelTimes, VelocityModel
from seisflow.training.linking.ground import Ground
from seisflow.training.linking.rules import Rules
from seisflow.training.linking.sequences import FALSE, Sequences, make_sequences

CRUST = VelocityModel(depth_km=(0.0, 20.0), vp_km_s=(5.8, 6.6), vs_km_s=(3.3, 3.8))
INSTANT = VelocityModel(depth_km=(0.0,), vp_km_s=(1e7,), vs_km_s=(5e6,))
"""Arrival times are origin times."""
UNLIKELY = 1e-4
"""Seeds are fixed, so a test that passes goes on passing; a wrong distribution gives far less."""
EXACT: dict[str, Any] = {"missing_share": 0.0, "error_s": 0.0}


def stations_at(east_deg: NDArray[np.float64], north_deg: NDArray[np.float64]) -> pd.DataFrame:
    """Return stations at sea level."""
    names = [f"S{i:03d}" for i in range(len(east_deg))]
    return pd.DataFrame(
        {
            "network": "XX",
            "station": names,
            "location": "",
            "latitude": north_deg,
            "longitude": east_deg,
            "elevation_m": 0.0,
        }
    )


GRID = stations_at(*(axis.ravel() for axis in np.meshgrid(np.linspace(8, 10, 5), np.linspace(44, 46, 5))))


def made(
    velocity: VelocityModel = INSTANT, n: int = 1500, stations: pd.DataFrame = GRID, **rules: Any
) -> Sequences:
    """Return sequences in which only what `rules` say is random."""
    return make_sequences(Rules(**rules), ground_of(stations, velocity, **rules), 3, "test", 0, n)


def ground_of(stations: pd.DataFrame, velocity: VelocityModel, **rules: Any) -> Ground:
    """Return what sequences of these rules come from."""
    return Ground.of(stations, Frame.of_stations(stations), velocity, Rules(**rules))


def there(sequences: Sequences) -> NDArray[np.bool_]:
    """Return where picks are, and no padding."""
    return np.asarray(np.arange(sequences.time_s.shape[1]) < sequences.count[:, None])


def uniform(values: NDArray[Any], low: float, high: float) -> None:
    """Check that values may well be uniform."""
    assert len(values) > 100
    assert stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > UNLIKELY


def equally_often(values: NDArray[Any], n: int) -> None:
    """Check that the integers from 0 to n - 1 may well be equally frequent."""
    assert values.min() >= 0
    assert values.max() == n - 1
    assert stats.chisquare(np.bincount(values, minlength=n)).pvalue > UNLIKELY


FULL_VIEW: dict[str, Any] = {"max_distance_km": (400.0, 400.0), "n_picks": 2000}
AT_ONCE: dict[str, Any] = {"first_origin_s": (10.0, 10.0), "gap_s": (0.0, 0.0)}


def test_rule_1_from_none_to_twenty_events() -> None:
    sequences = made(max_false=100, **EXACT, **FULL_VIEW, **AT_ONCE)
    n_events = [len(np.unique(row[row >= 0])) for row in np.where(there(sequences), sequences.event, FALSE)]
    equally_often(np.array(n_events), 21)


def test_rules_2_and_3_hypocentres_are_shared_but_for_a_tenth() -> None:
    sequences = made(CRUST, max_false=0, **EXACT, **FULL_VIEW, **AT_ONCE)
    n_moved, n_events = 0, 0
    first_arrivals = []
    for row in range(len(sequences.count)):
        own = slice(0, sequences.count[row])
        at_first = (sequences.station[row, own] == 0) & (sequences.phase[row, own] == 0)
        times = np.round(sequences.time_s[row, own][at_first], 9)
        values, counts = np.unique(times, return_counts=True)
        if len(times) >= 5:
            n_moved, n_events = n_moved + len(times) - counts.max(), n_events + len(times)
        first_arrivals.append(values[counts.argmax()])
    assert n_events > 10_000
    # Of 5 events or more, that of the majority is the shared one.
    assert abs(n_moved / n_events - 0.1) < 5 * np.sqrt(0.09 / n_events)
    assert len(np.unique(first_arrivals)) > 0.99 * len(first_arrivals)


def test_rule_2_epicentres_and_depths_are_anywhere() -> None:
    # Depth: the epicentre held at one station, the vertical P there tells the depth.
    rules: dict[str, Any] = EXACT | FULL_VIEW | AT_ONCE | {"max_events": 1, "max_false": 0}
    steady = VelocityModel(depth_km=(0.0,), vp_km_s=(6.0,), vs_km_s=(3.5,))
    ground = ground_of(GRID, steady, **rules)
    node_km = np.stack([np.full((33, 33), ground.east_km[7]), np.full((33, 33), ground.north_km[7])])
    above = make_sequences(Rules(**rules), ground._replace(node_km=node_km), 5, "test", 0, 1500)
    wanted = (above.station == 7) & (above.phase == 0) & there(above)
    uniform((above.time_s[wanted] - 10.0) * 6.0, 0.0, 25.0)
    # Epicentre: sources at the surface; three P times tell where in the box of the stations.
    corner = ground_of(GRID, steady, **rules | {"depth_km": (0.0, 0.0)})
    sequences = make_sequences(Rules(**rules | {"depth_km": (0.0, 0.0)}), corner, 6, "test", 0, 1500)
    distance_km = np.zeros((len(sequences.count), len(GRID)))
    for row in range(len(sequences.count)):
        p = (sequences.phase[row] == 0) & there(sequences)[row]
        distance_km[row, sequences.station[row, p]] = (sequences.time_s[row, p] - 10.0) * 6.0
    equations = np.column_stack([corner.east_km, corner.north_km, np.ones(len(GRID))])
    known = corner.east_km**2 + corner.north_km**2 - distance_km**2
    east, north, _ = np.linalg.lstsq(2.0 * equations, known.T, rcond=None)[0]
    uniform(np.clip((north - corner.north_km.min()) / np.ptp(corner.north_km), 0, 1), 0.0, 1.0)
    # Meridians converge: the width of the box is that at the latitude of the source.
    width = np.interp(north, corner.node_km[1, :, 16], np.ptp(corner.node_km[0], axis=1))
    uniform(np.clip(east / width + 0.5, 0, 1), 0.0, 1.0)


def test_rule_4_the_first_event_may_come_before_the_sequence() -> None:
    sequences = made(max_events=1, max_false=0, gap_s=(0.0, 0.0), **EXACT, **FULL_VIEW)
    uniform(sequences.time_s[:, 0], 0.0, 60.0)  # those from -60 to 0 are cut off
    early = made(max_events=1, max_false=1, n=3000, span_s=60.0, **EXACT, **FULL_VIEW)
    # Half of the sequences have an event, half of these before 0; empty sequences are drawn anew:
    # of 2 x 2 equally likely kinds, none and one false pick, an early or late event or none.
    share = float(np.mean((early.event[:, :1] >= 0) | (early.count > 1)[:, None]))
    assert abs(share - 0.25 / (1.0 - 0.5 * 0.75)) < 0.05


def test_rule_5_times_between_events() -> None:
    sequences = made(max_false=0, first_origin_s=(0.0, 0.0), **EXACT, **FULL_VIEW)
    gaps = []
    for times, event, n in zip(sequences.time_s, sequences.event, sequences.count, strict=True):
        _, first = np.unique(event[:n], return_index=True)
        gaps.append(np.diff(times[first])[:4])  # 4 of at most 20 s are never cut off
    flat = np.concatenate(gaps)
    assert flat.min() >= 2.999
    uniform(flat, 3.0, 20.0)


def test_rule_6_events_are_seen_to_a_distance_of_their_own() -> None:
    # Stations every kilometre on a line of 400 km: those within reach of an event there are a run of them.
    line = stations_at(np.linspace(0.0, 400.0 / 111.32, 401), np.zeros(401))
    rules: dict[str, Any] = {"max_events": 1, "max_false": 0, "n_picks": 2000} | EXACT | AT_ONCE
    sequences = made(stations=line, **rules)
    shown = there(sequences)
    first = np.where(shown, sequences.station, 1000).min(axis=1)
    last = np.where(shown, sequences.station, -1).max(axis=1)
    middle = 0.5 * (first + last)
    inside = (middle > 100) & (middle < 300)
    reach_km = 0.5 * (last - first)[inside]
    assert (sequences.count[inside] == 2 * (last - first + 1)[inside]).all()  # P and S at each of them
    assert reach_km.min() >= 19.0
    assert reach_km.max() <= 101.0
    uniform(reach_km + np.random.default_rng(0).uniform(0.0, 0.5, len(reach_km)), 20.0, 100.0)


def test_rules_7_and_9_travel_times_of_the_model_with_errors() -> None:
    rules: dict[str, Any] = AT_ONCE | FULL_VIEW | {"max_events": 1, "max_false": 0, "missing_share": 0.0}
    rules |= {"depth_km": (11.3, 11.3)}
    ground = ground_of(GRID, CRUST, **rules)
    node_km = np.stack([np.full((33, 33), 13.7), np.full((33, 33), -22.2)])
    sequences = make_sequences(Rules(**rules), ground._replace(node_km=node_km), 3, "test", 0, 200)
    shown = there(sequences)
    station, phase = sequences.station[shown], sequences.phase[shown]
    distance_km = np.hypot(ground.east_km[station] - 13.7, ground.north_km[station] + 22.2)
    travel_s = np.zeros(len(station))
    for code, name in enumerate("PS"):
        of = phase == code
        travel_s[of] = TravelTimes(CRUST).first_arrival(name, distance_km[of], 11.3, 0.0)
    uniform(sequences.time_s[shown] - 10.0 - travel_s, -0.51, 0.51)
    assert np.abs(sequences.time_s[shown] - 10.0 - travel_s).max() < 0.52
    assert np.abs(sequences.time_s[shown] - 10.0 - travel_s).max() > 0.49


def test_rule_7_high_stations_hear_later() -> None:
    high = GRID.assign(elevation_m=np.where(np.arange(len(GRID)) == 3, 3000.0, 0.0))
    terms = ground_of(high, CRUST).term_s
    assert 0.1 < terms[0, 3] < 3.0 / 5.8  # the time of 3 km, more or less steeply
    assert terms[1, 3] > 1.5 * terms[0, 3]
    np.testing.assert_allclose(np.delete(terms, 3, axis=1), 0.0, atol=1e-9)


def test_rule_8_half_of_the_picks_are_missing() -> None:
    rules: dict[str, Any] = {"max_events": 1, "max_false": 100, "error_s": 0.0} | FULL_VIEW | AT_ONCE
    sequences = made(**rules)
    shown = there(sequences) & (sequences.event >= 0)
    n = shown.sum(axis=1)
    n = n[n > 0]
    assert stats.binomtest(int(n.sum()), 50 * len(n), 0.5).pvalue > UNLIKELY
    assert n.std() < 6.0  # binomial, 3.5: picks are discarded one by one


def test_rule_10_false_picks_are_anywhere_at_any_time() -> None:
    sequences = made(max_events=0)
    shown = there(sequences)
    assert (sequences.event[shown] == FALSE).all()
    uniform(sequences.count.astype(float), 0.5, 500.5)
    equally_often(sequences.station[shown].astype(np.int64), len(GRID))
    equally_often(sequences.phase[shown].astype(np.int64), 2)
    uniform(sequences.time_s[shown][::50], 0.0, 120.0)


def test_rules_11_and_12_a_sequence_is_sorted_and_cut() -> None:
    sequences = made(CRUST, max_false=2000)
    shown = there(sequences)
    assert sequences.time_s.shape[1] == 500
    assert (np.diff(sequences.time_s, axis=1)[shown[:, 1:]] >= 0.0).all()
    assert sequences.time_s.min() >= 0.0
    assert sequences.time_s.max() <= 120.0
    assert (~shown).any()
    full = sequences.count == 500
    last = sequences.time_s[full, -1]
    assert full.mean() > 0.5
    assert last.min() < 60.0  # the first 500 are kept: with 2000 false picks, those of half a minute
    assert not sequences.time_s[~shown].any()


def test_labels_are_those_of_the_event_of_the_root() -> None:
    sequences = made(CRUST)
    shown = there(sequences)
    linked = sequences.linked
    assert linked[:, 0].all()
    assert not linked[~shown].any()
    of_event = sequences.event[:, 0] >= 0
    assert 0.05 < of_event.mean() < 0.95
    assert (linked[~of_event].sum(axis=1) == 1).all()
    same = (sequences.event == sequences.event[:, :1]) & shown
    np.testing.assert_array_equal(linked[of_event], same[of_event])


def test_sequences_follow_from_seed_and_number_alone() -> None:
    rules = Rules()
    ground = ground_of(GRID, CRUST)
    whole = make_sequences(rules, ground, 3, "test", 0, 40)
    parts = [
        make_sequences(rules, ground, 3, "test", first, 20, threads) for first, threads in ((0, 1), (20, 3))
    ]
    for name in Sequences.__dataclass_fields__:
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(getattr(whole, name), joined)
    for seed, purpose in ((4, "test"), (3, "held out")):
        other = make_sequences(rules, ground, seed, purpose, 0, 40)
        assert (other.count != whole.count).any()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [("gap_s", (20.0, 3.0), "lower bound 20 exceeds"), ("missing_share", 1.5, "less than or equal to 1")],
)
def test_rules_that_can_not_be_are_refused(key: str, value: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Rules.model_validate({key: value})
    with pytest.raises(ValidationError, match="no picks"):
        Rules(max_events=0, max_false=0)
