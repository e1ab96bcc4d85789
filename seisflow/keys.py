"""The names of units of work: windows of time, station-days and network-days.

All times are UTC, `numpy.datetime64[ns]`; all windows are half-open, ``[start, end)``, so that
neighbouring windows share no instant and leave none out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from seisflow.errors import WorkflowError

__all__ = ["NetworkDay", "Period", "StationDay", "Window", "as_time", "seconds"]

DAY = np.timedelta64(1, "D")


def as_time(value: Any) -> np.datetime64:
    """Return an instant as ``datetime64[ns]``, UTC.

    Parameters
    ----------
    value : str, datetime.date, datetime.datetime, numpy.datetime64 or obspy.UTCDateTime
        Strings are ISO 8601; a trailing ``Z`` or ``+00:00`` is allowed, other offsets are converted.

    Raises
    ------
    WorkflowError
        If the value is no time.
    """
    import datetime as dt

    try:
        if isinstance(value, np.datetime64):
            return value.astype("datetime64[ns]")
        if hasattr(value, "ns") and hasattr(value, "isoformat"):  # obspy.UTCDateTime
            return np.datetime64(int(value.ns), "ns")
        if isinstance(value, str):
            text = value.strip().removesuffix("Z").removesuffix("+00:00")
            if len(text) > 11 and ("+" in text[11:] or "-" in text[11:]):
                value = dt.datetime.fromisoformat(text)
            else:
                return np.datetime64(text, "ns")
        if isinstance(value, dt.datetime) and value.tzinfo is not None:
            value = value.astimezone(dt.UTC).replace(tzinfo=None)
        return np.datetime64(value).astype("datetime64[ns]")
    except (ValueError, TypeError) as error:
        raise WorkflowError(
            f"{value!r} is not a time; write it as 2014-08-24 or 2014-08-24T00:01:00"
        ) from error


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
        start = as_time(day).astype("datetime64[D]")
        return cls(start.astype("datetime64[ns]"), (start + DAY).astype("datetime64[ns]"))

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return float((self.end - self.start) / np.timedelta64(1, "ns")) * 1e-9

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
        day = self.start.astype("datetime64[D]")
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
        return self.window.start.astype("datetime64[D]")

    def __str__(self) -> str:
        return f"{self.network}.{self.station}.{_day_label(self.window)}"


@dataclass(frozen=True, order=True)
class NetworkDay:
    """All stations together on one UTC day (or the part of it that the period holds)."""

    window: Window

    @property
    def day(self) -> np.datetime64:
        """The UTC day, ``datetime64[D]``."""
        return self.window.start.astype("datetime64[D]")

    def __str__(self) -> str:
        return f"network.{_day_label(self.window)}"


def _short(time: np.datetime64) -> str:
    """Write a time without the trailing zeros of its fraction."""
    text = str(time.astype("datetime64[ns]")).rstrip("0")
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction}" if fraction else str(time.astype("datetime64[s]"))


def _day_label(window: Window) -> str:
    day = window.start.astype("datetime64[D]")
    return str(day) if window == Window.of_day(day) else str(window)
