"""A short span to judge picks by: every component, the curves with their thresholds, and the picks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from seisflow.report.day_curves import N_COLUMNS, SpanCurves
from seisflow.report.day_waveforms import envelope, filtered_piece
from seisflow.report.style import GAP, MUTED, PHASE_COLOURS, TRACE

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from seisflow.picking import Picker
    from seisflow.report.interesting_spans import Panel

__all__ = ["draw_panel"]

STYLES: dict[str, Any] = {"P": "solid", "S": (0, (5, 1.2))}
CURVE_SHARE = 0.34
MOST_LABELS = 12


def draw_panel(
    figure: Figure,
    place: tuple[float, float, float, float],
    panel: Panel,
    waveforms: xr.Dataset,
    band: tuple[float, float],
    picks: pd.DataFrame,
    picker: Picker,
    curves: SpanCurves | None,
) -> None:
    """Draw a span into a figure.

    Parameters
    ----------
    figure : Figure
    place : tuple of float
        Left, bottom, width and height, as fractions of the figure.
    panel : Panel
    waveforms : xarray.Dataset
    band : tuple of float
        Corners of the band-pass, Hz.
    picks : PICKS table
    picker : Picker
    curves : SpanCurves, optional
        Those of the picker in the span.
    """
    left, bottom, width, height = place
    share = CURVE_SHARE if curves is not None else 0.0
    upper = figure.add_axes((left, bottom + share * height, width, (1 - share) * height))
    lower = None
    _draw_components(upper, panel, waveforms, band)
    if curves is not None:
        lower = figure.add_axes((left, bottom, width, share * height), sharex=upper)
        _draw_curves(lower, curves, picker)
        upper.tick_params(axis="x", labelbottom=False, length=0)
        upper.spines["bottom"].set_visible(False)
    below = lower or upper
    _set_time_axis(below, panel)
    upper.set_xlim(0, panel.span.duration_s)
    upper.set_title(panel.why, fontsize=8.0, fontweight="normal", loc="left", pad=17.0, color=MUTED)
    _draw_picks(upper, lower, panel, picks)


def _set_time_axis(axes: Axes, panel: Panel) -> None:
    """Count seconds from the start of a span, or minutes of a long one."""
    unit_s, unit = (60.0, "Minutes") if panel.span.duration_s >= 600 else (1.0, "Seconds")
    start = pd.Timestamp(panel.span.start)
    axes.set_xlabel(f"{unit} after {start.round('ms'):%H:%M:%S.%f}".rstrip("0").rstrip("."), labelpad=1.5)
    ticks = np.asarray(MaxNLocator(7, steps=[1, 2, 5, 10]).tick_values(0, panel.span.duration_s / unit_s))
    axes.set_xticks(ticks * unit_s, [f"{tick:g}" for tick in ticks])


def _draw_components(axes: Axes, panel: Panel, waveforms: xr.Dataset, band: tuple[float, float]) -> None:
    """Draw the components one above another, each divided by its own largest value."""
    letters = [str(letter) for letter in waveforms["component"].to_numpy()]
    length_s = panel.span.duration_s
    for row, _ in enumerate(letters):
        time_s, samples = filtered_piece(waveforms, row, panel.span, band)
        if not np.isfinite(samples).any():
            axes.text(length_s / 2, row, "no data", va="center", ha="center", fontsize=7.0, color=MUTED)
            continue
        largest = float(np.nanmax(np.abs(samples))) or 1.0
        if len(samples) > 4 * N_COLUMNS:
            low, high = row - 0.46 * envelope(time_s, samples, N_COLUMNS, length_s) / largest
            x = (np.arange(N_COLUMNS) + 0.5) * length_s / N_COLUMNS
            axes.fill_between(x, low, high, color=TRACE, linewidth=0.4, zorder=3)
        else:
            axes.plot(time_s, row - 0.46 * samples / largest, color=TRACE, linewidth=0.6, zorder=3)
        missing = np.flatnonzero(np.diff(np.isnan(samples), prepend=False, append=False)).reshape(-1, 2)
        step_s = 1.0 / float(waveforms.attrs["sampling_rate_hz"])
        bars = [(time_s[low], (high - low) * step_s) for low, high in missing]
        axes.broken_barh(bars, (row - 0.48, 0.96), facecolor=GAP, edgecolor="none", zorder=2)
    axes.set_ylim(len(letters) - 0.45, -0.55)
    axes.set_yticks(range(len(letters)), letters)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")


def _draw_curves(axes: Axes, curves: SpanCurves, picker: Picker) -> None:
    """Draw the curves of P and S with their thresholds."""
    thresholds = picker.thresholds()
    is_ratio = max(thresholds.values()) > 1
    for (phase, threshold), values in zip(thresholds.items(), curves.values, strict=True):
        colour = PHASE_COLOURS[phase]
        shown = np.fmax(values, 1) if is_ratio else values
        axes.plot(curves.time_s, shown, color=colour, linewidth=1.0, zorder=4)
        if phase == "P":  # filled, so that it is told from S without colours
            axes.fill_between(curves.time_s, shown, color=colour, alpha=0.3, linewidth=0.0, zorder=3)
        axes.axhline(threshold, color=colour, linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=3)
    axes.annotate(
        "threshold", (1.0, max(thresholds.values())), (0, 1.5), ("axes fraction", "data"), "offset points",
        ha="right", va="bottom", fontsize=6.0, color=MUTED,
    )  # fmt: skip
    axes.set_ylabel(picker.curve, fontsize=7.5, labelpad=2.0)
    if is_ratio:
        axes.set_yscale("log")
        axes.set_ylim(1, 10 * max(thresholds.values()))
        axes.set_yticks([1, 10], ["1", "10"])
        axes.minorticks_off()
    else:
        axes.set_ylim(0, 1.03)
        axes.set_yticks([0, 0.5, 1], ["0", "", "1"])


def _draw_picks(upper: Axes, lower: Axes | None, panel: Panel, picks: pd.DataFrame) -> None:
    """Draw the picks as lines behind the waveforms, P solid and S dashed, their probabilities above."""
    times = picks["time"].to_numpy(dtype="datetime64[ns]")
    inside = panel.span.holds(times)
    after_s = (times[inside] - panel.span.start) / np.timedelta64(1, "ns") * 1e-9
    mine = picks[inside]
    for time_s, phase, probability in zip(after_s, mine["phase"], mine["probability"], strict=True):
        look = {"color": PHASE_COLOURS.get(phase, MUTED), "linestyle": STYLES.get(phase, "dotted")}
        upper.axvline(time_s, linewidth=1.2, zorder=2.5, **look)
        if lower is not None:
            lower.axvline(time_s, linewidth=0.7, alpha=0.5, zorder=2.5, **look)
        if len(mine) <= MOST_LABELS:
            upper.annotate(
                f"{phase} {probability:.2f}", (time_s, 1.0), (1.5, 1.5) if phase == "S" else (-1.5, 8.5),
                ("data", "axes fraction"), "offset points", ha="left" if phase == "S" else "right",
                va="bottom", fontsize=6.5, color=look["color"], annotation_clip=False,
            )  # fmt: skip
