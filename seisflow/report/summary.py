"""The numbers and small tables of a report, each computed once from the tables it is made from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seisflow.report.inputs import ReportInputs

__all__ = ["Tile", "comparison_rows", "event_rows", "key_numbers", "outcomes", "residual_rows", "stage_rows"]

N_TABLE = 500
N_EXAMPLES = 3
UNITS = {"km": "km", "s": "s", "deg": "°", "m": "m", "percent": "%", "hz": "Hz", "mb": "MB", "seconds": "s"}


class Tile(NamedTuple):
    """One number at the top of the page: what it is called, how it is shown, and what stands below it."""

    key: str
    title: str
    value: str
    note: str = ""
    alarm: bool = False


def key_numbers(inputs: ReportInputs) -> list[Tile]:
    """Return the tiles at the top of the page."""
    events, picks, ledger = inputs.events, inputs.picks, inputs.ledger
    located = int((events["status"] == "located").sum())
    used = _among(picks["pick_id"], inputs.assignments["pick_id"])
    part = f"{100.0 * used.mean():.0f}% belong to events" if len(picks) else ""
    of_phase = {phase: picks["phase"] == phase for phase in ("P", "S")}
    sites = inputs.stations.drop_duplicates(["network", "station"])
    picked = len(picks.drop_duplicates(["network", "station"]))
    n_failed = int((ledger["status"] == "failed").sum())
    seconds = float(ledger["seconds"].sum())
    wall = seconds if inputs.wall_s is None else inputs.wall_s
    note = "computing time, all workers" if inputs.wall_s is None else f"{duration(seconds)} computing time"
    return [
        Tile("events", "Events", f"{len(events):,}", f"{located:,} located"),
        Tile("picks", "Picks", f"{len(picks):,}", part),
        *(
            Tile(
                f"picks-{phase.lower()}",
                f"{phase} picks",
                f"{mine.sum():,}",
                f"{(mine & used).sum():,} in events",
            )
            for phase, mine in of_phase.items()
        ),
        Tile("stations", "Stations", f"{len(sites):,}", f"{picked:,} with picks"),
        Tile("period", "Period", duration(inputs.period.duration_s), _days(inputs)),
        Tile(
            "failures", "Failures", f"{n_failed:,}", f"of {len(ledger):,} units of work", alarm=n_failed > 0
        ),
        Tile("run-time", "Run time", duration(wall), note),
    ]


def _among(values: pd.Series[Any], others: pd.Series[Any]) -> pd.Series[bool]:
    """Return which values are among the others; Arrow does this twenty times as fast as `Series.isin`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.is_in(pa.array(values), value_set=pa.array(others))
    return pd.Series(found.to_numpy(zero_copy_only=False), index=values.index)


def _days(inputs: ReportInputs) -> str:
    first, last = (str(time.astype("datetime64[D]")) for time in (inputs.period.start, inputs.period.end))
    return f"{first} to {last}" if first != last else first


def duration(seconds: float) -> str:
    """Write a duration as people say it.

    >>> duration(75.0), duration(86400.0)
    ('75 s', '1 day')
    """
    for name, length in (("year", 365.25 * 86400.0), ("day", 86400.0), ("h", 3600.0), ("min", 60.0)):
        value = seconds / length
        if value >= (2.0 if name != "day" else 1.0):
            plural = (
                "s"
                if (len(name) > 3 and round(value, 1) != 1) or (name == "day" and round(value, 1) != 1)
                else ""
            )
            return f"{value:.1f}".removesuffix(".0") + f" {name}{plural}"
    return f"{seconds:.3g} s"


def event_rows(events: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the events of the table, in order of time; where they are many, those with the most picks."""
    if len(events) > N_TABLE:
        n_picks = (events["n_p"] + events["n_s"]).sort_values(ascending=False, kind="stable")
        events = events.loc[n_picks.index[:N_TABLE]]
    rows: list[dict[str, Any]] = events.sort_values("time").to_dict("records")  # type: ignore[assignment]
    return rows


def residual_rows(inputs: ReportInputs) -> pd.DataFrame:
    """Return `phase`, `residual_s`, `distance_km`, `event_id` of every assignment that has a residual."""
    rows = inputs.assignments.merge(inputs.picks[["pick_id", "phase"]], on="pick_id")
    return rows[rows["residual_s"].notna()]


def stage_rows(ledger: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a row for each stage, in the order in which they were first done."""
    rows: list[dict[str, Any]] = []
    for stage, mine in ledger.sort_values("finished").groupby("stage", sort=False):
        counts = mine["status"].value_counts()
        rows.append(
            {
                "stage": stage,
                **{status: int(counts.get(status, 0)) for status in ("ok", "empty", "failed")},
                "n_rows": int(mine["n_rows"].sum()),
                "seconds": float(mine["seconds"].sum()),
                "median_s": float(mine["seconds"].median()),
                "peak_memory_mb": float(mine["peak_memory_mb"].max()),
            }
        )
    longest = max((row["seconds"] for row in rows), default=0.0)
    return [{**row, "part": row["seconds"] / longest if longest else 0.0} for row in rows]


def outcomes(ledger: pd.DataFrame, status: str) -> list[dict[str, Any]]:
    """Return reasons and their counts, most frequent first, for units of one status.

    Reasons that differ only in numbers, names of the units or paths count as one; the text shown
    is that of the first.
    """
    mine = ledger[(ledger["status"] == status) & ((ledger["reason"] != "") | (status == "failed"))]
    if mine.empty:
        return []
    kinds = [_kind(reason, unit) for reason, unit in zip(mine["reason"], mine["unit"], strict=True)]
    rows = []
    for (stage, _), group in mine.assign(kind=kinds).groupby(["stage", "kind"], sort=False):
        units = list(group["unit"])
        rows.append(
            {
                "stage": stage,
                "reason": group["reason"].iloc[0] or "no reason was recorded",
                "count": len(group),
                "examples": units[:N_EXAMPLES],
                "more": max(0, len(units) - N_EXAMPLES),
            }
        )
    return sorted(rows, key=lambda row: -row["count"])


def _kind(reason: str, unit: str) -> str:
    general = reason.replace(unit, "…") if unit else reason
    general = re.sub(r"\S*/\S+", "…", general)
    return re.sub(r"[\d.,:]*\d", "#", general)


def comparison_rows(comparison: Mapping[str, Any] | None) -> list[tuple[str, str, str]]:
    """Return (key, what it is, value with its unit); the unit is the last word of the key."""
    rows = []
    for key, value in (comparison or {}).items():
        words = key.split("_")
        unit = UNITS.get(words[-1], "")
        about = " ".join(words[:-1] if unit and len(words) > 1 else words)
        shown = str(value)
        if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
            shown = f"{value:,}"
        elif isinstance(value, (float, np.floating)):
            shown = f"{value:.3g}"
        rows.append((key, about[:1].upper() + about[1:], f"{shown} {unit}".strip()))
    return rows
