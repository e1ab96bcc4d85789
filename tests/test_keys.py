"""Windows are half-open and days cut a period without gap or overlap."""

from __future__ import annotations

import datetime as dt
import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisflow.errors import SeisflowError, WorkflowError
from seisflow.keys import NetworkDay, Period, StationDay, Window, as_time, seconds

NANOSECOND = np.timedelta64(1, "ns")
EPOCH = np.datetime64("1990-01-01", "ns")

instants = st.integers(0, 40 * 365 * 86400 * 10**9).map(lambda ns: EPOCH + np.timedelta64(ns, "ns"))
lengths = st.integers(1, 12 * 86400 * 10**9).map(lambda ns: np.timedelta64(ns, "ns"))
periods = st.builds(lambda start, length: Period(start, start + length), instants, lengths)


@pytest.mark.parametrize(
    "value",
    [
        "2014-08-24T00:30:00",
        " 2014-08-24 00:30 ",
        "2014-08-24T00:30:00Z",
        "2014-08-24T00:30:00+00:00",
        "2014-08-24T02:30:00+02:00",
        "2014-08-23T19:00:00-05:30",
        dt.datetime(2014, 8, 24, 0, 30),
        dt.datetime(2014, 8, 24, 1, 30, tzinfo=dt.timezone(dt.timedelta(hours=1))),
        pd.Timestamp("2014-08-24T00:30"),
        pd.Timestamp("2014-08-24T01:30+01:00"),
        np.datetime64("2014-08-24T00:30"),
    ],
)
def test_one_instant_in_every_form(value: object) -> None:
    assert as_time(value) == np.datetime64("2014-08-24T00:30", "ns")
    assert as_time(value).dtype == np.dtype("datetime64[ns]")


def test_days_are_their_midnight() -> None:
    for value in ("2014-08-24", dt.date(2014, 8, 24), np.datetime64("2014-08-24")):
        assert as_time(value) == np.datetime64("2014-08-24T00:00", "ns")


def test_nanoseconds_survive() -> None:
    obspy = pytest.importorskip("obspy")
    text = "2014-08-24T00:00:00.123456789"
    expected = np.datetime64(text, "ns")
    precise = obspy.UTCDateTime(ns=int(expected.astype("int64")))
    assert as_time(text) == as_time(pd.Timestamp(text)) == as_time(precise) == expected


NO_TIMES = ["", "noon", "now", "today", "NaT", "2014-13-01", "2014-02-30", "20140824", ["2014-08-24"]]
OUT_OF_RANGE = ["3000-01-01", "1600-01-01", np.datetime64("2599-12-31"), dt.date(2599, 12, 31)]
OTHER_TYPES = [None, 5, 1.4e9, True, pd.NaT, np.datetime64("NaT")]


@pytest.mark.parametrize("value", [*NO_TIMES, *OUT_OF_RANGE, *OTHER_TYPES], ids=repr)
def test_what_is_no_time_is_refused_and_said_how_to_write_it(value: object) -> None:
    with pytest.raises(WorkflowError, match=r"is not a time .* write it as 2014-08-24"):
        as_time(value)


@given(instants)
def test_text_and_time_are_inverse(time: np.datetime64) -> None:
    assert as_time(str(time)) == time
    assert as_time(f"{time}Z") == time


def test_a_window_ends_after_it_starts() -> None:
    for end in ("2014-08-24", "2014-08-23"):
        with pytest.raises(WorkflowError, match="must end after it starts"):
            Window("2014-08-24", end)  # type: ignore[arg-type]


def test_a_window_holds_its_start_and_not_its_end() -> None:
    window = Window.of_day("2014-08-24T15:00")
    inside = window.holds(
        np.array([window.start, window.end - NANOSECOND, window.end, window.start - NANOSECOND])
    )
    assert inside.tolist() == [True, True, False, False]
    assert window.duration_s == 86400.0


def test_margins_are_on_both_sides() -> None:
    window = Window.of_day("2014-08-24").widened(30.5)
    assert str(window) == "2014-08-23T23:59:29.5/2014-08-25T00:00:30.5"


@given(periods)
def test_the_windows_of_days_cut_a_period_without_gap_or_overlap(period: Period) -> None:
    windows = [period.window_of(day) for day in period.days()]
    assert windows[0].start == period.start
    assert windows[-1].end == period.end
    assert all(left.end == right.start for left, right in itertools.pairwise(windows))
    midnights = [window.start for window in windows[1:]]
    assert all(time == time.astype("datetime64[D]") for time in midnights)


@given(periods, st.integers(0, 10**9))
def test_every_instant_lies_in_exactly_one_day(period: Period, fraction: int) -> None:
    span_ns = int((period.end - period.start) / NANOSECOND)
    time = np.array([period.start + np.timedelta64(span_ns * fraction // (10**9 + 1), "ns")])
    assert sum(bool(period.window_of(day).holds(time)[0]) for day in period.days()) == 1


@given(periods, periods)
def test_intersection_is_what_both_hold(one: Period, other: Period) -> None:
    edges = np.array([one.start, one.end, other.start, other.end])
    edges = np.concatenate([edges, edges - NANOSECOND])
    shared = one.intersection(other)
    both = one.holds(edges) & other.holds(edges)
    assert shared == other.intersection(one)
    assert both.tolist() == (shared.holds(edges) if shared else np.zeros(len(edges), bool)).tolist()


def test_a_day_outside_the_period_is_refused() -> None:
    with pytest.raises(SeisflowError, match="2014-08-26 lies outside the period"):
        Period("2014-08-24", "2014-08-26").window_of(np.datetime64("2014-08-26"))  # type: ignore[arg-type]


def test_units_are_named_by_day_or_by_what_is_left_of_it() -> None:
    period = Period("2014-08-24T12:00", "2014-08-26")  # type: ignore[arg-type]
    names = [str(StationDay("Z7", "DYJN", period.window_of(day))) for day in period.days()]
    assert names == ["Z7.DYJN.2014-08-24T12:00:00/2014-08-25T00:00:00", "Z7.DYJN.2014-08-25"]
    assert str(NetworkDay(Window.of_day("2014-08-24"))) == "network.2014-08-24"
    assert str(NetworkDay(Period.of_day("2014-08-24"))) == "network.2014-08-24"


def test_seconds_are_rounded_to_nanoseconds() -> None:
    assert seconds(0.1) == np.timedelta64(100_000_000, "ns")
    assert seconds(-1.5) == np.timedelta64(-1_500_000_000, "ns")
