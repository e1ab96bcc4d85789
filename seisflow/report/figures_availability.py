"""Completeness without magnitudes: what every station recorded, and what was picked on it, day by day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from seisflow.keys import Window
from seisflow.report.figures_time import set_time_axis
from seisflow.report.style import GRID, INK, MUTED, PHASE_COLOURS, clean_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["DailyCounts", "daily_counts", "draw_availability"]

FEW_DAYS = 3
MANY_DAYS = 400
PRESENT = LinearSegmentedColormap.from_list(
    "present", [(0.0, "#f3cfc4"), (0.004, "#e4efe9"), (0.5, "#86c2ac"), (1.0, "#1b6f57")]
)
PICKED = LinearSegmentedColormap.from_list("picked", ["#e3ecf5", "#7fadd1", "#20639b", "#0b2c4d"])
ABSENT, UNKNOWN = "#f3cfc4", "#eef1f4"


@dataclass(frozen=True)
class DailyCounts:
    """Station-days in rows of stations (sorted by code) and columns of days.

    Attributes
    ----------
    names : list of str
        NET.STA.
    days : array of datetime64[D], shape (n_days,)
    fraction : array of float, shape (n_stations, n_days)
        Part of the samples that are there; NaN where nothing is known.
    n_p, n_s : array of int, shape (n_stations, n_days)
        Picks.
    """

    names: list[str]
    days: NDArray[np.datetime64]
    fraction: NDArray[np.float64]
    n_p: NDArray[np.int64]
    n_s: NDArray[np.int64]


def daily_counts(
    stations: pd.DataFrame, picks: pd.DataFrame, availability: pd.DataFrame, period: Window
) -> DailyCounts:
    """Return samples present and picks of every station and day; stations of any of the three tables count.

    Parameters
    ----------
    stations : STATIONS table
    picks : PICKS table
    availability : DataFrame
        `network`, `station`, `day`, `fraction`.
    period : Window
    """
    days = np.array(list(period.days()), dtype="datetime64[D]")
    tables = [table[["network", "station"]] for table in (stations, picks, availability)]
    codes = pd.MultiIndex.from_frame(pd.concat(tables).drop_duplicates().sort_values(["network", "station"]))
    shape = (len(codes), len(days))
    fraction = np.full(shape, np.nan)
    row, column, inside = _places(availability, "day", codes, days)
    fraction[row, column] = availability["fraction"].to_numpy(dtype=float)[inside]
    counts = {}
    for phase in ("P", "S"):
        counts[phase] = np.zeros(shape, dtype=np.int64)
        row, column, _ = _places(picks[picks["phase"] == phase], "time", codes, days)
        np.add.at(counts[phase], (row, column), 1)
    names = [f"{network}.{station}" for network, station in codes]
    return DailyCounts(names, days, fraction, counts["P"], counts["S"])


def _places(
    table: pd.DataFrame, time: str, codes: pd.MultiIndex, days: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.bool_]]:
    """Return row and column of each entry that lies in the period, and which entries do."""
    row = codes.get_indexer(pd.MultiIndex.from_frame(table[["network", "station"]]))
    times = pd.to_datetime(table[time], utc=True).to_numpy(dtype="datetime64[ns]").astype("datetime64[D]")
    column = (times - days[0]).astype(np.int64)
    inside = (row >= 0) & (column >= 0) & (column < len(days))
    return row[inside], column[inside], inside


def draw_availability(counts: DailyCounts) -> Figure:
    """Draw bars where the days are few, else two images of station against day."""
    rows = len(counts.names)
    tall_in = float(np.clip(0.25 * rows, 1.2, 8.0))
    if len(counts.days) <= FEW_DAYS:
        return _draw_bars(counts, tall_in)
    return _draw_images(counts, tall_in)


def _draw_bars(counts: DailyCounts, tall_in: float) -> Figure:
    """Draw a bar of presence for each station-day at the left and the picks of each station at the right."""
    figure = Figure(figsize=(10.6, tall_in + 0.85))
    bottom = 0.5 / (tall_in + 0.85)
    grid = {"width_ratios": (1.0, 1.15), "wspace": 0.05, "left": 0.088, "right": 0.985, "bottom": bottom}
    left, right = figure.subplots(1, 2, sharey=True, gridspec_kw=grid)
    figure.subplots_adjust(top=1.0 - 0.3 / (tall_in + 0.85))
    rows, n_days = np.arange(len(counts.names)), len(counts.days)
    for day in range(n_days):
        fraction = counts.fraction[:, day]
        back = [ABSENT if known else UNKNOWN for known in np.isfinite(fraction)]
        left.barh(rows, np.ones(len(rows)), 0.62, left=day, color=back)
        left.barh(rows, np.nan_to_num(fraction), 0.62, left=day, color="#2f8a6f")
        if len(rows) <= 60:
            _say_presence(left, day, fraction)
    edges = np.arange(n_days + 1)
    if n_days == 1:
        left.set_xticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "25", "50", "75", "100"])
        left.set_xlabel("Samples present (% of the day)")
    else:
        left.set_xticks(edges[:-1] + 0.5, [str(day) for day in counts.days])
        left.set_xlabel("Samples present (bar full: the whole day)")
        for edge in edges[1:-1]:
            left.axvline(edge, color="white", linewidth=3)
    left.set_xlim(0, n_days)
    left.set_title("Data")
    n_p, n_s = counts.n_p.sum(axis=1), counts.n_s.sum(axis=1)
    right.barh(rows - 0.19, n_p, 0.34, color=PHASE_COLOURS["P"], label="P")
    right.barh(rows + 0.19, n_s, 0.34, color=PHASE_COLOURS["S"], label="S")
    if len(rows) <= 40:
        widest = max(int(n_p.max(initial=1)), int(n_s.max(initial=1)))
        for offset, values in ((-0.19, n_p), (0.19, n_s)):
            for row in rows:
                right.text(
                    values[row] + 0.008 * widest, row + offset, f"{values[row]:,}", fontsize=6.5, va="center"
                )
    right.set_xlabel(f"Picks in {n_days} day{'s' if n_days > 1 else ''}")
    right.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    right.set_title("Picks")
    right.legend(loc="upper right", ncols=2, bbox_to_anchor=(1.0, 1.0 + 0.32 / tall_in), borderaxespad=0)
    right.tick_params(labelleft=False)
    for axes in (left, right):
        axes.grid(False, axis="y")
        axes.tick_params(axis="y", length=0)
    _name_rows(left, counts.names)
    return figure


def _say_presence(axes: Axes, day: int, fraction: NDArray[np.float64]) -> None:
    """Write how much is there on the station-days that are not complete."""
    for row in np.flatnonzero(~(fraction >= 0.995)).tolist():
        text = f"{100.0 * fraction[row]:.0f}%" if np.isfinite(fraction[row]) else "not known"
        axes.text(day + 0.985, row, text, fontsize=7.0, va="center", ha="right", color=MUTED)


def _draw_images(counts: DailyCounts, tall_in: float) -> Figure:
    """Draw presence above picks per day, a row a station, a column a day (or a few of them)."""
    each_in = min(tall_in, 4.6)
    high_in = 2 * each_in + 1.6
    figure = Figure(figsize=(10.6, high_in))
    grid = {"hspace": 0.62 / each_in, "left": 0.088, "right": 0.985, "bottom": 0.5 / high_in}
    above, below = figure.subplots(2, 1, sharex=True, gridspec_kw=grid)
    figure.subplots_adjust(top=1.0 - 0.4 / high_in)
    step = -(-len(counts.days) // MANY_DAYS)
    presence = _binned(counts.fraction, step, np.nanmean)
    picks = _binned((counts.n_p + counts.n_s).astype(float), step, np.nansum) / step
    first = counts.days[0]
    last = first + np.timedelta64(step * presence.shape[1], "D")
    import matplotlib.dates as mdates

    extent = (mdates.date2num(first), mdates.date2num(last), len(counts.names) - 0.5, -0.5)  # type: ignore[no-untyped-call]
    options: dict[str, Any] = {"aspect": "auto", "extent": extent, "interpolation": "nearest"}
    shown = above.imshow(
        100.0 * presence, cmap=PRESENT.with_extremes(bad=UNKNOWN), vmin=0, vmax=100, **options
    )
    dense = np.where(picks > 0, picks, np.nan)
    top = max(float(np.nanmax(dense)) if np.isfinite(dense).any() else 1.0, 2.0)
    picked = below.imshow(
        dense, cmap=PICKED.with_extremes(bad="white"), norm=LogNorm(min(1.0, 1 / step), top), **options
    )
    titles = {above: ("Samples present (%)", shown), below: ("Picks per day, P and S (white: none)", picked)}
    for axes, (title, image) in titles.items():
        axes.set_title(title, y=1.0)
        axes.grid(False)
        axes.tick_params(axis="y", length=0)
        _name_rows(axes, counts.names)
        key = axes.inset_axes((0.74, 1.0 + 0.08 / each_in, 0.26, 0.09 / each_in))
        bar = figure.colorbar(image, cax=key, orientation="horizontal", format="%g")
        bar.outline.set_visible(False)
        key.xaxis.set_ticks_position("top")
        key.tick_params(labelsize=7.0, pad=1, length=2)
    below.xaxis_date()
    set_time_axis(below, Window(first, last))
    return figure


def _binned(values: NDArray[np.float64], step: int, reduce: Any) -> NDArray[np.float64]:
    """Return columns put together, `step` at a time."""
    import warnings

    if step == 1:
        return values
    padding = -values.shape[1] % step
    padded = np.pad(values, ((0, 0), (0, padding)), constant_values=np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a block without any value stays NaN
        reduced: NDArray[np.float64] = reduce(padded.reshape(len(values), -1, step), axis=2)
    return reduced


def _name_rows(axes: Axes, names: list[str]) -> None:
    """Label as many rows as can be read."""
    step = max(1, -(-len(names) // 45))
    rows = np.arange(0, len(names), step)
    axes.set_yticks(rows, [clean_label(names[row], 14) for row in rows])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", labelsize=7.5 if len(names) > 20 else 8.0, labelcolor=INK)
    axes.spines["left"].set_color(GRID)
