"""The names of units of work: windows of time, station-days and network-days.

All times are UTC, `numpy.datetime64[ns]`; all windows are half-open, ``[start, end)``, so that
neighbouring windows share no instant and leave none out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from seisflow.errors import WorkflowError

__all__ = ["NetworkDay", "Period", "StationDay", "Window", "as_time", "day_label", "seconds"]

DAY, SECOND = np.timedelta64(1, "D"), np.timedelta64(1, "s")
EARLIEST, LATEST = np.datetime64("1678-01-01", "s"), np.datetime64("2262-01-01", "s")


def as_time(value: Any) -> np.datetime64:
    """Return an instant as ``datetime64[ns]``, UTC.

    Parameters
    ----------
    value : str, datetime.date, datetime.datetime, numpy.datetime64, pandas.Timestamp or obspy.UTCDateTime
        Strings are ISO 8601; a trailing ``Z`` or ``+00:00`` is allowed, other offsets are converted.

    Raises
    ------
    WorkflowError
        If the value is no time, or none that nanoseconds can count (1678 to 2261).

    Examples
    --------
    >>> str(as_time("2014-08-24T01:30+01:00"))
    '2014-08-24T00:30:00.000000000'
    """
    try:
        plain = _without_offset(value)
        time, coarse = np.datetime64(plain, "ns"), np.datetime64(plain, "s")
    except (ValueError, TypeError, OverflowError):
        time = coarse = np.datetime64("NaT")
    if not EARLIEST <= coarse < LATEST:  # also where it is NaT
        raise WorkflowError(
            f"{value!r} is not a time from 1678 to 2261; write it as 2014-08-24 or 2014-08-24T00:01:00"
        )
    return time


def _without_offset(value: Any) -> Any:
    """Return a time in a form that numpy reads, its offset from UTC taken off."""
    if isinstance(value, str):
        text = value.strip().removesuffix("Z").removesuffix("+00:00")
        if not text[:4].isdigit():  # numpy also reads "now" and "today"
            raise ValueError(text)
        if "+" not in text[11:] and "-" not in text[11:]:
            return text
        value = dt.datetime.fromisoformat(text)
    if hasattr(value, "to_datetime64"):  # pandas.Timestamp, which is a datetime with nanoseconds
        return value.to_datetime64()
    if hasattr(value, "ns"):  # obspy.UTCDateTime
        return np.datetime64(int(value.ns), "ns")
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(dt.UTC).replace(tzinfo=None)
    if not isinstance(value, dt.date | np.datetime64):
        raise TypeError(value)
    return value


def seconds(duration_s: float) -> np.timedelta64:
    """Return a duration in seconds as ``timedelta64[ns]``."""
    return np.timedelta64(round(duration_s * 1e9), "ns")


@dataclass(frozen=True, order=True)
class Window:
    """A half-open span of time ``[start, end)``."""

    start: np.datetime64
    end: np.datetime64

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", as_time(self.start))
        object.__setattr__(self, "end", as_time(self.end))
        if not self.start < self.end:
            raise WorkflowError(f"a window must end after it starts: [{self.start}, {self.end})")

    @classmethod
    def of_day(cls, day: Any) -> Self:
        """Return the window of one UTC day."""
        start = _day_of(as_time(day))
        return cls(start, start + DAY)

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return float((self.end - self.start) / SECOND)

    def widened(self, margin_s: float) -> Window:
        """Return the window with a margin of `margin_s` seconds on both sides."""
        margin = seconds(margin_s)
        return Window(self.start - margin, self.end + margin)

    def intersection(self, other: Window) -> Window | None:
        """Return what two windows share, or None."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Window(start, end) if start < end else None

    def holds(self, times: NDArray[np.datetime64] | np.datetime64) -> NDArray[np.bool_]:
        """Return for each time (datetime64, an array or one) whether it lies in ``[start, end)``."""
        inside: NDArray[np.bool_] = (times >= self.start) & (times < self.end)  # type: ignore[assignment]
        return inside

    def days(self) -> Iterator[np.datetime64]:
        """Yield each UTC day (``datetime64[D]``) that the window touches."""
        day = _day_of(self.start)
        while day < self.end:
            yield day
            day = day + DAY

    def __str__(self) -> str:
        return f"{_short(self.start)}/{_short(self.end)}"


class Period(Window):
    """The span of time a workflow covers."""

    def window_of(self, day: np.datetime64) -> Window:
        """Return the part of a UTC day that lies in the period."""
        part = self.intersection(Window.of_day(day))
        if part is None:
            raise WorkflowError(f"{day} lies outside the period {self}")
        return part


@dataclass(frozen=True, order=True)
class StationDay:
    """One station on one UTC day (or the part of it that the period holds): the unit of truth."""

    network: str
    station: str
    window: Window

    @property
    def day(self) -> np.datetime64:
        """The UTC day, ``datetime64[D]``."""
        return _day_of(self.window.start)

    def __str__(self) -> str:
        return f"{self.network}.{self.station}.{day_label(self.window)}"


@dataclass(frozen=True, order=True)
class NetworkDay:
    """All stations together on one UTC day (or the part of it that the period holds)."""

    window: Window

    @property
    def day(self) -> np.datetime64:
        """The UTC day, ``datetime64[D]``."""
        return _day_of(self.window.start)

    def __str__(self) -> str:
        return f"network.{day_label(self.window)}"


def _day_of(time: np.datetime64) -> np.datetime64:
    """Return the UTC day of a time, ``datetime64[D]``."""
    day: np.datetime64 = time.astype("datetime64[D]")
    return day


def _short(time: np.datetime64) -> str:
    """Write a time without the trailing zeros of its fraction."""
    text = str(time.astype("datetime64[ns]")).rstrip("0")
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction}" if fraction else str(time.astype("datetime64[s]"))


@lru_cache(maxsize=64)  # a day has many stations
def day_label(window: Window) -> str:
    """Return how keys write a window: the day, where it is a whole one."""
    day = _day_of(window.start)
    whole = window.start == day and window.end == day + DAY
    return str(day) if whole else str(window)
