"""How good the catalogue is: residuals, errors, azimuthal gaps, picks per event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from seisflow.report.style import ACCENT, BAR, INK, MUTED, N_RASTER, PHASE_COLOURS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["draw_quality", "median_and_mad"]

HALF = (5.2, 3.0)
N_DRAWN = 30_000


def draw_quality(events: pd.DataFrame, residuals: pd.DataFrame) -> Iterator[tuple[str, str, Figure]]:
    """Yield name, what it shows, and figure, of all that there are numbers for.

    Parameters
    ----------
    events : EVENTS table
    residuals : DataFrame
        `phase`, `residual_s`, `distance_km` of the picks that have a residual.
    """
    for phase in PHASE_COLOURS:
        residual_s = residuals.loc[residuals["phase"] == phase, "residual_s"].to_numpy()
        if len(residual_s):
            name = f"residuals-{phase.lower()}"
            yield name, f"Histogram of {phase} residuals", _draw_residual_histogram(residual_s, phase)
    placed = residuals[residuals["distance_km"].notna()]
    if len(placed):
        yield "distance", "Residuals against epicentral distance", _draw_residuals_against_distance(placed)
    if len(events):
        yield "picks-per-event", "Histogram of picks per event", _draw_picks_per_event(events)
    if events[["horizontal_error_km", "depth_error_km"]].notna().any(axis=None):
        yield "errors", "Histogram of location errors", _draw_errors(events)
    if events["gap_deg"].notna().any():
        yield "gaps", "Histogram of azimuthal gaps", _draw_gaps(events)


def median_and_mad(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the median and the median absolute deviation from it (not scaled to a standard deviation)."""
    median = float(np.median(values))
    return median, float(np.median(np.abs(values - median)))


def _half() -> tuple[Figure, Axes]:
    figure = Figure(figsize=HALF)
    axes = figure.add_axes((0.125, 0.165, 0.85, 0.725))
    return figure, axes


def _draw_residual_histogram(residual_s: NDArray[np.float64], phase: str) -> Figure:
    """Draw the residuals (s) of one phase with their median and median absolute deviation."""
    figure, axes = _half()
    median, mad = median_and_mad(residual_s)
    reach = max(6.0 * mad, 0.05)
    reach = min(reach, max(float(np.abs(residual_s - median).max()), 0.05))
    inside = np.abs(residual_s - median) <= reach
    bins = np.linspace(median - reach, median + reach, 42).tolist()
    colour = PHASE_COLOURS[phase]
    axes.hist(residual_s[inside], bins, color=colour, alpha=0.85, edgecolor="white", linewidth=0.4)
    axes.axvline(0.0, color=INK, linewidth=0.8)
    axes.axvline(median, color=INK, linewidth=1.0, linestyle=(0, (4, 2)))
    axes.axvspan(median - mad, median + mad, color=colour, alpha=0.13, linewidth=0)
    lines = [f"n = {len(residual_s):,}", f"median = {median:+.3f} s", f"MAD = {mad:.3f} s"]
    if not inside.all():
        lines.append(f"beyond the axis: {int((~inside).sum()):,}")
    axes.text(
        0.985, 0.965, "\n".join(lines), transform=axes.transAxes, ha="right", va="top", linespacing=1.45
    )
    axes.set_title(f"{phase} residuals")
    axes.set_xlabel("Observed minus computed arrival (s)")
    _finish_counts(axes, "Picks")
    axes.set_xlim(bins[0], bins[-1])
    return figure


def _draw_residuals_against_distance(rows: pd.DataFrame) -> Figure:
    """Draw residuals against epicentral distance, with the running median of each phase.

    Of very many picks every nth is drawn, in the order of distance; the medians are those of all.

    Parameters
    ----------
    rows : DataFrame
        `phase`, `residual_s`, `distance_km`; rows without a value are left out before.
    """
    figure, axes = _half()
    reach = max(float(np.percentile(np.abs(rows["residual_s"]), 99.0)), 0.05)
    for phase, colour in PHASE_COLOURS.items():
        mine = rows[rows["phase"] == phase].sort_values("distance_km")
        if mine.empty:
            continue
        x, y = mine["distance_km"].to_numpy(), mine["residual_s"].to_numpy()
        few = len(mine) <= N_RASTER
        size, alpha = (7.0, 0.35) if few else (2.0, 0.15)
        some = slice(None, None, -(-len(mine) // N_DRAWN))
        axes.scatter(x[some], y[some], s=size, color=colour, alpha=alpha, linewidths=0, rasterized=not few)
        blocks = np.array_split(np.arange(len(mine)), min(12, max(1, len(mine) // 15)))
        line = [(np.median(x[block]), np.median(y[block])) for block in blocks]
        axes.plot(*zip(*line, strict=True), color="white", linewidth=3.4)
        axes.plot(*zip(*line, strict=True), color=colour, linewidth=1.7, label=f"{phase} median")
    axes.axhline(0.0, color=INK, linewidth=0.8)
    axes.set_ylim(-1.25 * reach, 1.25 * reach)
    axes.set_xlim(0, None)
    axes.set_title("Residuals against distance")
    axes.set_xlabel("Epicentral distance (km)")
    axes.set_ylabel("Residual (s)")
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.2)
    return figure


def _draw_errors(events: pd.DataFrame) -> Figure:
    """Draw the 68% errors of epicentres and depths."""
    errors = {
        "Epicentre (semi-major axis)": (events["horizontal_error_km"].dropna().to_numpy(), BAR),
        "Depth": (events["depth_error_km"].dropna().to_numpy(), ACCENT),
    }
    values = np.concatenate([found for found, _ in errors.values()])
    figure, axes = _half()
    top = max(float(np.percentile(values, 98)), 0.1)
    bins = np.linspace(0.0, 1.05 * top, 34).tolist()
    for name, (found, colour) in errors.items():
        if not len(found):
            continue
        label = f"{name}, median {np.median(found):.2f} km"
        axes.hist(found, bins, histtype="stepfilled", color=colour, alpha=0.22)
        axes.hist(found, bins, histtype="step", color=colour, linewidth=1.5, label=label)
    axes.set_title("Location errors (68%)")
    beyond = int((values > bins[-1]).sum())
    axes.set_xlabel(f"Error (km), {beyond:,} beyond the axis" if beyond else "Error (km)")
    _finish_counts(axes, "Events")
    axes.set_xlim(0.0, bins[-1])
    axes.legend(loc="upper right", borderaxespad=0.1)
    return figure


def _draw_gaps(events: pd.DataFrame) -> Figure:
    """Draw the largest azimuthal gaps."""
    gap_deg = events["gap_deg"].dropna().to_numpy()
    figure, axes = _half()
    axes.hist(gap_deg, list(range(0, 361, 15)), color=BAR, edgecolor="white", linewidth=0.4)
    axes.axvline(180.0, color=ACCENT, linewidth=1.2, linestyle=(0, (4, 2)))
    inside = 100.0 * float(np.mean(gap_deg < 180.0))
    axes.text(0.985, 0.965, f"{inside:.0f}% below 180°", transform=axes.transAxes, ha="right", va="top")
    axes.set_xticks(np.arange(0, 361, 60))
    axes.set_xlim(0, 360)
    axes.set_title("Azimuthal gap")
    axes.set_xlabel("Largest gap between stations (degrees)")
    _finish_counts(axes, "Events")
    return figure


def _draw_picks_per_event(events: pd.DataFrame) -> Figure:
    """Draw how many P and S picks the events have."""
    figure, axes = _half()
    top = int(max(events["n_p"].max(), events["n_s"].max(), 1))
    step = max(1, -(-top // 40))
    bins = (np.arange(0, top + step + 1, step) - 0.5).tolist()
    for name, phase in (("n_p", "P"), ("n_s", "S")):
        label = f"{phase}, median {events[name].median():g}"
        colour = PHASE_COLOURS[phase]
        axes.hist(events[name], bins, histtype="stepfilled", color=colour, alpha=0.2)
        axes.hist(events[name], bins, histtype="step", color=colour, linewidth=1.5, label=label)
    axes.set_title("Picks per event")
    axes.set_xlabel("Picks used")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set_xlim(bins[0], bins[-1])
    _finish_counts(axes, "Events")
    axes.legend(loc="upper left", borderaxespad=0.1)
    return figure


def _finish_counts(axes: Any, label: str) -> None:
    axes.set_ylabel(label)
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.grid(False, axis="x")
    axes.tick_params(axis="x", color=MUTED)
