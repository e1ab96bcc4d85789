"""Scores of associated picks: small cases worked out by hand, and what must hold for any case."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisflow.synthetic import AssociationComparison, compare_associations
from seisflow.synthetic.sequences import Shallow
from seisflow.tables import ASSIGNMENTS, EVENTS, PICKS, Catalog, empty, validate

START = pd.Timestamp("2024-01-01", tz="UTC")


def catalog_of(*events: str, times_s: tuple[float, ...] | None = None, step_deg: float = 0.0) -> Catalog:
    """Return a catalogue; each event is a string whose letters are its picks."""
    times_s = times_s or tuple(100.0 * k for k in range(len(events)))
    rows = [
        {
            "event_id": f"{k}{picks}",
            "time": START + pd.Timedelta(times_s[k], "s"),
            "latitude": 46.0 + k * step_deg,
        }
        for k, picks in enumerate(events)
    ]
    assigned = [
        {"event_id": f"{k}{picks}", "pick_id": pick} for k, picks in enumerate(events) for pick in picks
    ]
    if not rows:
        return Catalog(empty(EVENTS), empty(ASSIGNMENTS), empty(PICKS))
    table = pd.DataFrame(rows).assign(longitude=8.0, depth_km=5.0, n_p=0, n_s=0)
    table = table.assign(magnitude_type="", method="", status="")
    return Catalog(
        validate(table, EVENTS),
        validate(pd.DataFrame(assigned, columns=["event_id", "pick_id"]), ASSIGNMENTS),
        empty(PICKS),
    )


def compared(found: list[str], true: list[str], min_picks: int = 1) -> AssociationComparison:
    return compare_associations(catalog_of(*found), catalog_of(*true), min_picks=min_picks)


def test_a_catalogue_compared_with_itself_is_perfect() -> None:
    figures = compared(["abcd", "efg"], ["abcd", "efg"]).summary()
    ones = [key for key in figures if key.startswith(("event_", "jaccard_", "pick_", "hypocentre_"))]
    assert len(ones) == 10
    assert all(figures[key] == 1.0 for key in ones)
    assert figures["n_split"] == figures["n_merged"] == 0
    assert figures["median_epicentre_error_km"] == 0.0


def test_the_equations_of_the_paper() -> None:
    """A1 shares 3 of 5 with B1; A2 is B2 and one false pick; A3 is false; B3 is not found."""
    one = compared(["abcx", "efghy", "uvw"], ["abcd", "efgh", "ijk"])
    assert one.jaccard_of_events.tolist() == [pytest.approx(3 / 5), pytest.approx(4 / 5), 0.0]
    assert one.jaccard_of_truth.tolist() == [pytest.approx(3 / 5), pytest.approx(4 / 5), 0.0]
    assert one.event_precision == pytest.approx(2 / 3)
    assert one.event_recall == pytest.approx(2 / 3)
    assert one.jaccard_precision == one.jaccard_recall == pytest.approx(7 / 15)
    assert one.pick_precision == pytest.approx(7 / 12)
    assert one.pick_recall == pytest.approx(7 / 11)
    assert one.pick_f1 == pytest.approx(2 * 7 / 23)


def test_half_is_enough_and_less_is_not() -> None:
    assert compared(["ab"], ["abcd"]).event_recall == 1.0
    assert compared(["abx"], ["abcd"]).event_recall == 0.0
    assert compared(["abx"], ["abcd"]).event_precision == 0.0


def test_a_split_event() -> None:
    """Of two halves that cover one event the larger one finds it, the other is false."""
    one = compared(["abcdef", "ghi"], ["abcdefghi"])
    assert (one.n_split, one.n_merged) == (1, 0)
    assert one.event_precision == 0.5
    assert one.event_recall == 1.0
    assert one.pick_precision == pytest.approx(6 / 9)
    assert one.pick_recall == pytest.approx(6 / 9)


def test_merged_events() -> None:
    """One event of two true ones has a Jaccard index of a half with the larger alone."""
    one = compared(["abcdefghi"], ["abcdef", "ghi"])
    assert (one.n_split, one.n_merged) == (0, 1)
    assert one.event_precision == 1.0
    assert one.event_recall == 0.5
    assert one.n_right_picks == 6


def test_a_true_event_is_credited_with_one_event_only() -> None:
    one = compared(["abc", "def"], ["abcdef"])
    assert one.n_right_picks == 3
    assert one.n_split == 1


def test_small_true_events_do_not_count_but_finding_them_is_no_fault() -> None:
    one = compared(["abcd", "ef"], ["abcd", "ef", "gh"], min_picks=4)
    assert one.event_recall == 1.0
    assert one.event_precision == 1.0
    assert one.summary()["n_true_events"] == 1
    assert compared(["abcd"], ["abcd", "ef", "gh"]).event_recall == pytest.approx(1 / 3)


def test_hypocentres_are_matched_one_to_one_in_time_and_space() -> None:
    truth = catalog_of("abc", "def", times_s=(0.0, 1.0))
    near = catalog_of("abc", "def", times_s=(0.5, 1.2))
    far = catalog_of("abc", "def", times_s=(0.0, 1.0), step_deg=1.0)  # 111 km off
    late = catalog_of("abc", "def", times_s=(0.0, 60.0))
    assert compare_associations(near, truth).summary()["hypocentre_recall"] == 1.0
    assert compare_associations(near, truth).summary()["median_time_error_s"] == pytest.approx(0.35)
    assert compare_associations(far, truth).summary()["hypocentre_recall"] == 0.5
    assert compare_associations(late, truth).summary()["hypocentre_precision"] == 0.5
    doubled = catalog_of("abc", "d", "ef", times_s=(0.0, 1.0, 1.1))
    assert compare_associations(doubled, truth).summary()["hypocentre_precision"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(("found", "true"), [([], ["abc"]), (["abc"], []), ([], [])])
def test_nothing_scores_nothing(found: list[str], true: list[str]) -> None:
    figures = compared(found, true).summary()
    assert figures["event_f1"] == figures["pick_f1"] == figures["jaccard_recall"] == 0.0


partitions = st.lists(st.integers(-1, 4), min_size=1, max_size=20)


@given(found=partitions, true=partitions)
@settings(deadline=None, max_examples=60)
def test_what_holds_for_any_two_catalogues(found: list[int], true: list[int]) -> None:
    letters = "abcdefghijklmnopqrst"

    def events(labels: list[int]) -> list[str]:
        sets = ["".join(a for a, k in zip(letters, labels, strict=False) if k == event) for event in range(5)]
        return [picks for picks in sets if picks]

    one, other = compared(events(found), events(true)), compared(events(true), events(found))
    assert one.jaccard_precision == pytest.approx(other.jaccard_recall)
    assert one.event_precision == pytest.approx(other.event_recall)
    assert one.n_right_picks == other.n_right_picks
    assert one.n_split == other.n_merged
    best = [
        max((len(set(a) & set(b)) / len(set(a) | set(b)) for b in events(true)), default=0.0)
        for a in events(found)
    ]
    assert one.jaccard_of_events.tolist() == pytest.approx(best)
    assert one.n_right_picks <= min(one.n_picks.sum(), one.n_true_picks.sum())


def test_the_truth_of_a_sequence_is_perfect_and_a_lost_pick_is_seen() -> None:
    truth = Shallow(n_events=30).make(1).truth
    assert compare_associations(truth, truth, min_picks=10).event_f1 == 1.0
    less = truth._replace(assignments=truth.assignments.iloc[1:].reset_index(drop=True))
    assert 0.99 < compare_associations(less, truth).pick_recall < 1.0
