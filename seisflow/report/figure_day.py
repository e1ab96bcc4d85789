"""A station-day to look at: the record line by line, the curves of a picker, and its picks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MultipleLocator

from seisflow.keys import Window
from seisflow.report.day_curves import N_COLUMNS, Lines, lines_of, thin_curves
from seisflow.report.day_waveforms import band_of, envelope, filtered_piece, overview_component
from seisflow.report.figure_spans import draw_panel
from seisflow.report.interesting_spans import Panel, interesting_spans
from seisflow.report.style import GAP, GRID, INK, PHASE_COLOURS, TRACE, clean_label

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from seisflow.picking import Picker

__all__ = ["draw_day"]

WIDTH_IN = 6.2
LINE_IN, LINES_IN = 0.2, 3.2
"""Height of a line, at least, and of few lines together."""
HEAD_IN, KEY_IN, FOOT_IN, TITLE_IN = 0.52, 0.76, 0.36, 0.44
PANEL_IN, ONE_PANEL_IN = 1.7, 2.6
LEFT, RIGHT = 0.088, 0.972
MIDDLE, HALF = 0.28, 0.22
"""Within a line: middle and half height of the waveform."""
BASE, REACH = 0.71, 0.2
"""Within a line: base line of the curves, and how far they reach from it."""
LEAST = 0.04
"""Smaller heights of curves are left out, so that they do not look like something."""


def draw_day(
    waveforms: xr.Dataset,
    picks: pd.DataFrame,
    picker: Picker,
    window: Window,
    spans: list[Window] | None = None,
) -> Figure:
    """Draw one station over a day, or less.

    Parameters
    ----------
    waveforms : xarray.Dataset
        See `seisflow.picking.pick_phases`; with the picker's margin on both sides of the window.
    picks : PICKS table
        Its picks in the window.
    picker : Picker
        Runs once more, for its curves; a few numbers for every column of the figure are kept of them.
    window : Window
        What is drawn.
    spans : list of Window, optional
        Drawn in full below the overview; without them some are chosen: the strongest onsets, a usual one
        and the least certain one.
    """
    lines = lines_of(window)
    chosen = [Panel("", span) for span in spans] if spans else interesting_spans(picks, window)
    curves = thin_curves(picker, waveforms, lines, [panel.span for panel in chosen])
    layout = _Layout.of(lines.n, len(chosen))
    figure = Figure(figsize=(WIDTH_IN, layout.tall_in))
    axes = figure.add_axes(layout.overview)
    band = band_of(float(waveforms.attrs["sampling_rate_hz"]))
    scale = _draw_lines(axes, waveforms, lines, window, band)
    if curves is not None:
        _draw_curves(axes, lines, curves.thin, picker)
    _draw_picks(axes, lines, picks)
    _set_axes(axes, lines)
    _write_head(figure, layout, waveforms, picks, picker, window)
    _write_key(figure, layout, waveforms, band, scale, picker)
    for i, (panel, place) in enumerate(zip(chosen, layout.panels, strict=True)):
        shown = curves.spans[i] if curves else None
        draw_panel(figure, place, panel, waveforms, band, picks, picker, shown)
    return figure


class _Layout(NamedTuple):
    """Where everything is: height of the figure and of its overview, and axes as fractions of the figure."""

    tall_in: float
    overview: tuple[float, float, float, float]
    panels: list[tuple[float, float, float, float]]

    @classmethod
    def of(cls, n_lines: int, n_panels: int) -> _Layout:
        """Return the layout for some lines and panels, which stand in two columns unless there is one."""
        lines_in = max(LINE_IN * n_lines, min(LINES_IN, 0.5 * n_lines))
        panel_in, n_columns = (ONE_PANEL_IN, 1) if n_panels == 1 else (PANEL_IN, 2)
        n_rows = -(-n_panels // n_columns)
        tall_in = HEAD_IN + lines_in + KEY_IN + n_rows * (TITLE_IN + panel_in + FOOT_IN)
        width = (RIGHT - LEFT - 0.07 * (n_columns - 1)) / n_columns
        panels = []
        for i in range(n_panels):
            row, column = divmod(i, n_columns)
            top_in = HEAD_IN + lines_in + KEY_IN + row * (TITLE_IN + panel_in + FOOT_IN) + TITLE_IN
            bottom = 1 - (top_in + panel_in) / tall_in
            panels.append((LEFT + column * (width + 0.07), bottom, width, panel_in / tall_in))
        overview = (LEFT, 1 - (HEAD_IN + lines_in) / tall_in, RIGHT - LEFT, lines_in / tall_in)
        return cls(tall_in, overview, panels)


def _draw_lines(
    axes: Axes, waveforms: xr.Dataset, lines: Lines, window: Window, band: tuple[float, float]
) -> float:
    """Draw the record, gaps shaded, and return the value that half a line stands for."""
    component = overview_component(waveforms)
    drawn = np.full((lines.n, 2, N_COLUMNS), np.nan, np.float32)
    for line in range(lines.n):
        part = lines.window(line).intersection(window)
        if part is None:
            continue
        time_s, samples = filtered_piece(waveforms, component, part, band)
        into_s = time_s + float((part.start - lines.window(line).start) / np.timedelta64(1, "ns")) * 1e-9
        drawn[line] = envelope(into_s, samples, N_COLUMNS, lines.length_s)
    heights = np.abs(drawn[np.isfinite(drawn)])
    scale = float(max(6 * np.median(heights), np.percentile(heights, 97))) if len(heights) else 1.0
    x = (np.arange(N_COLUMNS) + 0.5) * lines.column_s
    for line, (low, high) in enumerate(np.clip(drawn / (scale or 1.0), -1, 1)):
        middle = line + MIDDLE
        axes.fill_between(
            x, middle - HALF * high, middle - HALF * low, color=TRACE, linewidth=0.35, zorder=3, step="mid"
        )
        _shade_gaps(axes, line, np.isnan(low), lines)
    return scale


def _shade_gaps(axes: Axes, line: int, missing: NDArray[np.bool_], lines: Lines) -> None:
    """Shade the columns of a line that have no sample."""
    edges = np.flatnonzero(np.diff(missing, prepend=False, append=False)).reshape(-1, 2)
    spans = [(low * lines.column_s, (high - low) * lines.column_s) for low, high in edges]
    axes.broken_barh(spans, (line, 1.0), facecolor=GAP, edgecolor="none", zorder=2, gid="gap")


def _draw_curves(axes: Axes, lines: Lines, thin: NDArray[np.float32], picker: Picker) -> None:
    """Draw the curves of each line about a base line: P upwards, S downwards."""
    x = (np.arange(N_COLUMNS) + 0.5) * lines.column_s
    for (phase, threshold), values, way in zip(picker.thresholds().items(), thin, (-1, 1), strict=True):
        for line, row in enumerate(heights_of(values, threshold)):
            known = np.isfinite(row)
            height = REACH * np.interp(x, x[known], row[known]) if known.any() else np.zeros(len(x))
            axes.fill_between(
                x, line + BASE, line + BASE + way * height, where=height > LEAST * REACH,
                color=PHASE_COLOURS[phase], linewidth=0.8, zorder=4,
            )  # fmt: skip


def heights_of(values: NDArray[np.float32], threshold: float) -> NDArray[np.float32]:
    """Return curves between 0 and 1: ratios as logarithms, from 0.75 of the threshold to 20 times as much."""
    if threshold < 1:
        return values
    heights: NDArray[np.float32] = np.log(np.maximum(values / (0.75 * threshold), 1)) / np.log(20)
    return np.minimum(heights, 1)


def _draw_picks(axes: Axes, lines: Lines, picks: pd.DataFrame) -> None:
    """Mark picks: P by a triangle above its line, S by one below it."""
    for phase, y, marker in (("P", 0.03, "v"), ("S", 0.98, "^")):
        times = picks.loc[picks["phase"] == phase, "time"].to_numpy(dtype="datetime64[ns]")
        line, after_s = lines.place(times)
        axes.plot(
            after_s, line + y, marker, color=PHASE_COLOURS[phase], markersize=3.8,
            markeredgecolor="white", markeredgewidth=0.4, zorder=6, gid=f"picks-{phase}", clip_on=False,
        )  # fmt: skip


def _set_axes(axes: Axes, lines: Lines) -> None:
    axes.set_xlim(0, lines.length_s)
    axes.set_ylim(lines.n, 0)
    names = [pd.Timestamp(lines.window(line).start) for line in range(lines.n)]
    axes.set_yticks(np.arange(lines.n) + MIDDLE, [f"{name:%H:%M}" for name in names])
    axes.tick_params(axis="y", length=0)
    axes.set_axisbelow(True)
    axes.grid(False, axis="y")
    for line in range(1, lines.n):
        axes.axhline(line, color=GRID, linewidth=0.5, zorder=1)
    for line in range(lines.n):
        axes.axhline(line + BASE, color=GRID, linewidth=0.5, zorder=1)
    minutes = lines.length_s > 300
    every_s = {3600.0: 600.0, 1800.0: 300.0, 900.0: 120.0, 600.0: 60.0, 300.0: 30.0, 120.0: 15.0}
    axes.xaxis.set_major_locator(MultipleLocator(every_s.get(lines.length_s, 10.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / 60 if minutes else x:g}"))
    axes.set_xlabel(f"{'Minutes' if minutes else 'Seconds'} after the time at the left (UTC)", labelpad=2.0)
    axes.set_gid("overview")


def _write_head(
    figure: Figure,
    layout: _Layout,
    waveforms: xr.Dataset,
    picks: pd.DataFrame,
    picker: Picker,
    window: Window,
) -> None:
    """Write which station and day it is, and how many picks of which picker."""
    network, station, location, code = (
        str(waveforms.coords[name].item()) for name in ("network", "station", "location", "band")
    )
    letters = "".join(str(letter) for letter in waveforms["component"].to_numpy())
    channel = code + (letters if len(letters) == 1 else f"[{letters}]")
    name = clean_label(f"{network}.{station}  {location + '.' if location else ''}{channel}", 40)
    title = f"{name}  {pd.Timestamp(window.start):%Y-%m-%d}"
    counts = picks["phase"].value_counts()
    text = f"{picker.name}: {' and '.join(f'{counts.get(phase, 0)} {phase}' for phase in PHASE_COLOURS)}"
    if picker.curve:
        limits = " and ".join(f"{value:g} ({phase})" for phase, value in picker.thresholds().items())
        text += f" picks, at a {picker.curve} of {limits}"
    place: dict[str, Any] = {"va": "top", "ha": "left"}
    figure.text(0.012, 1 - 0.08 / layout.tall_in, title, fontsize=11, fontweight="bold", **place)
    figure.text(0.012, 1 - 0.30 / layout.tall_in, text, fontsize=8.5, color=INK, **place)


def _write_key(
    figure: Figure,
    layout: _Layout,
    waveforms: xr.Dataset,
    band: tuple[float, float],
    scale: float,
    picker: Picker,
) -> None:
    """Say below the overview what its colours and sizes mean."""
    letter = str(waveforms["component"].to_numpy()[overview_component(waveforms)])
    units = str(waveforms.attrs.get("units") or "count")
    wave = f"{letter}, {band[0]:g}-{band[1]:g} Hz, clipped at ±{float(f'{scale:.2g}'):g} {units}"
    handles: list[Any] = [Line2D([], [], color=TRACE, linewidth=1.2, label=wave)]
    handles.append(Patch(color=GAP, label="no data"))
    for phase, marker, way in (("P", "v", "up"), ("S", "^", "down")):
        colour = PHASE_COLOURS[phase]
        handles.append(Line2D([], [], color=colour, marker=marker, linestyle="", label=f"{phase} pick"))
        if picker.curve:
            handles.append(Patch(color=colour, label=f"{picker.curve} of {phase}, {way}"))
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(LEFT, layout.overview[1] - 0.40 / layout.tall_in),
        ncols=3 if picker.curve else 4, fontsize=7.5, handlelength=1.2, columnspacing=1.6,
        handletextpad=0.5, borderaxespad=0.0, borderpad=0.0,
    )  # fmt: skip
