"""Which spans of a day deserve a closer look: strong onsets, a usual one, and the least certain one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from seisflow.keys import Window, seconds

__all__ = ["Panel", "interesting_spans"]

BEFORE_S, AFTER_S, SHORTEST_S, LONGEST_S = 6.0, 10.0, 30.0, 90.0
APART_S = 15.0
"""Picks that follow each other more closely belong to one span."""
KINDS = ("strongest", "second strongest", "median probability", "lowest probability")


class Panel(NamedTuple):
    """A span and why it is shown."""

    why: str
    span: Window


def interesting_spans(picks: pd.DataFrame, window: Window) -> list[Panel]:
    """Return up to four spans around picks, each with another reason.

    Parameters
    ----------
    picks : PICKS table
    window : Window
        The spans begin in it.
    """
    groups = _groups(picks)
    ranked = [
        groups.sort_values(by, ascending=False, kind="stable").index.to_numpy()
        for by in ("amplitude", "probability")
    ]
    if not len(groups):
        return []
    strong, likely = ranked
    wanted = (strong[:1], strong[1:2], likely[len(likely) // 2 :], likely[::-1])
    shown: list[int] = []
    panels = []
    for kind, candidates in zip(KINDS, wanted, strict=True):
        fresh = [i for i in candidates if i not in shown]
        if fresh:
            shown.append(fresh[0])
            row = groups.loc[fresh[0]]
            panels.append(Panel(kind, _span(row["first"], row["last"], window)))
    return panels


def _groups(picks: pd.DataFrame) -> pd.DataFrame:
    """Return runs of picks that follow each other closely: when, largest amplitude, least probability."""
    ordered = picks.sort_values("time")
    times = ordered["time"].to_numpy(dtype="datetime64[ns]")
    number = np.cumsum(np.diff(times, prepend=times[:1]) > seconds(APART_S))
    columns = pd.DataFrame(
        {
            "time": times,
            "amplitude": ordered["amplitude"].fillna(0.0).to_numpy(),
            "probability": ordered["probability"].to_numpy(),
        }
    ).groupby(number)
    return columns.agg(
        first=("time", "min"),
        last=("time", "max"),
        amplitude=("amplitude", "max"),
        probability=("probability", "min"),
    )


def _span(first: pd.Timestamp, last: pd.Timestamp, window: Window) -> Window:
    """Return a span around picks, on whole seconds, neither too short nor too long."""
    begin = np.datetime64(first.floor("s").value, "ns") - seconds(BEFORE_S)
    begin = max(begin, window.start.astype("datetime64[s]").astype("datetime64[ns]"))
    until = np.datetime64(last.ceil("s").value, "ns") + seconds(AFTER_S)
    long_s = float(np.clip((until - begin) / np.timedelta64(1, "s"), SHORTEST_S, LONGEST_S))
    return Window(begin, begin + seconds(long_s))
