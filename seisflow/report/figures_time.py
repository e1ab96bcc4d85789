"""Events against time: how many an hour or a day, how many so far, and how deep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib.dates as mdates
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from seisflow.report.style import ACCENT, BAR, DEPTH_COLOURS, MUTED, N_RASTER

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from seisflow.keys import Window

__all__ = ["bin_width", "draw_time_line", "set_time_axis"]

HOUR_S, DAY_S = 3600.0, 86400.0
WIDTHS = {
    "minute": 60.0,
    "5 minutes": 300.0,
    "10 minutes": 600.0,
    "30 minutes": 1800.0,
    "hour": HOUR_S,
    "3 hours": 3 * HOUR_S,
    "6 hours": 6 * HOUR_S,
    "day": DAY_S,
    "week": 7 * DAY_S,
    "30 days": 30 * DAY_S,
    "91 days": 91 * DAY_S,
    "year": 365.25 * DAY_S,
}
N_BINS = 100


def bin_width(duration_s: float) -> tuple[str, float]:
    """Return name and length (seconds) of the shortest round bin of which few enough cover the duration."""
    fitting = [(name, width) for name, width in WIDTHS.items() if duration_s / width <= N_BINS]
    return fitting[0] if fitting else list(WIDTHS.items())[-1]


def draw_time_line(events: pd.DataFrame, period: Window) -> Figure:
    """Draw the rate of events with their running count, and below it their depths.

    Parameters
    ----------
    events : EVENTS table
    period : Window
        Span of the axis.
    """
    figure = Figure(figsize=(10.6, 4.6))
    rate, depth = figure.subplots(
        2,
        1,
        sharex=True,
        gridspec_kw={"height_ratios": (1.0, 0.9), "hspace": 0.16},
    )
    figure.subplots_adjust(left=0.062, right=0.938, top=0.985, bottom=0.11)
    times = events["time"].to_numpy(dtype="datetime64[ns]")
    _draw_rate(rate, times, period)
    _draw_depth(depth, events, times)
    set_time_axis(depth, period)
    figure.align_ylabels([rate, depth])
    return figure


def _draw_rate(axes: Axes, times: NDArray[Any], period: Window) -> None:
    name, width_s = bin_width(period.duration_s)
    n_bins = int(np.ceil(period.duration_s / width_s))
    since_s = (times - period.start) / np.timedelta64(1, "s")
    counts, _ = np.histogram(since_s, bins=np.arange(n_bins + 1) * width_s)
    left = mdates.date2num(period.start) + np.arange(n_bins) * width_s / DAY_S  # type: ignore[no-untyped-call]
    axes.bar(left, counts, width=0.9 * width_s / DAY_S, align="edge", color=BAR)
    axes.set_ylabel(f"Events per {name}")
    axes.grid(False, axis="x")
    total = axes.twinx()
    total.grid(False)
    ordered = np.sort(times)
    steps = np.concatenate([[period.start], ordered, [period.end]])
    heights = np.concatenate([np.arange(len(ordered) + 1), [len(ordered)]])
    keep = np.unique(np.linspace(0, len(steps) - 1, 2000).astype(int))
    total.step(steps[keep], heights[keep], where="post", color=ACCENT, linewidth=1.4)
    total.set_ylim(0, None)
    total.spines["right"].set_visible(True)
    total.set_ylabel("Events so far", color=ACCENT)
    total.tick_params(axis="y", labelcolor=ACCENT)
    for panel in (axes, total):
        panel.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        panel.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _draw_depth(axes: Axes, events: pd.DataFrame, times: NDArray[Any]) -> None:
    many = len(events) > N_RASTER
    n_picks = (events["n_p"] + events["n_s"]).to_numpy(dtype=float)
    depth_km = events["depth_km"].to_numpy()
    low, high = np.percentile(depth_km, [2, 98]) if len(events) else (0.0, 10.0)
    axes.scatter(
        times,
        depth_km,
        s=4.0 if many else 8.0 + n_picks,
        c=depth_km,
        cmap=DEPTH_COLOURS,
        vmin=low,
        vmax=max(high, low + 1.0),
        linewidths=0.0 if many else 0.35,
        edgecolors="white",
        alpha=0.6 if many else 0.85,
        rasterized=many,
        gid="time-depth",
    )
    top, bottom = (np.percentile(depth_km, [0.25, 99.75])) if len(events) else (0.0, 10.0)
    margin = 0.06 * max(bottom - top, 1.0)
    axes.set_ylim(bottom + margin, min(top, 0.0) - margin)
    axes.axhline(0.0, color=MUTED, linewidth=0.7, linestyle=(0, (4, 3)))
    axes.set_ylabel("Depth (km)")
    axes.yaxis.set_major_locator(MaxNLocator(5))


def set_time_axis(axes: Axes, period: Window) -> None:
    """Set a time axis over the period, with ticks as short as they can be."""
    axes.set_xlim(period.start, period.end)  # type: ignore[arg-type]
    locator = mdates.AutoDateLocator(minticks=4, maxticks=10)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator, show_offset=False))  # type: ignore[no-untyped-call]
    axes.set_xlabel(f"Time (UTC), {period}".replace("/", " to ").replace("T00:00:00", ""))
