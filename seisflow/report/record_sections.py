"""Record sections: vertical seismograms of one event, sorted by distance, with its picks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from seisflow.keys import as_time
from seisflow.report.inputs import SectionTrace
from seisflow.report.style import INK, MUTED, PHASE_COLOURS, TRACE, clean_label

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from seisflow.report.inputs import RecordSection

__all__ = ["draw_record_section"]

N_TRACES = 30
N_COLUMNS = 380
BEFORE_S = 1.0


def draw_record_section(section: RecordSection, origin: Any, picks: pd.DataFrame) -> Figure | None:
    """Draw the nearest traces of an event, each divided by its own maximum, against time after origin.

    Parameters
    ----------
    section : RecordSection
    origin : time
        Origin time of the event.
    picks : PICKS table
        The picks assigned to the event.

    Returns
    -------
    Figure or None
        None where the section has no trace.
    """
    traces = sorted((SectionTrace(*trace) for trace in section.traces), key=lambda trace: trace.distance_km)
    traces = traces[:N_TRACES]
    if not traces:
        return None
    start = as_time(origin)
    marks = [_marks(trace.label, picks, start) for trace in traces]
    first_s, last_s = _window(traces, marks, start)
    tall_in = 0.82 + 0.25 * max(len(traces), 4)
    figure = Figure(figsize=(5.2, tall_in))
    axes = figure.add_axes((0.155, 0.46 / tall_in, 0.725, 1.0 - 0.74 / tall_in))
    for row, trace in enumerate(traces):
        _draw_trace(axes, row, trace, start, first_s, last_s)
        for phase, time_s in marks[row]:
            axes.plot(
                [time_s] * 2, [row - 0.46, row + 0.46], color=PHASE_COLOURS[phase], linewidth=1.5, zorder=4
            )
    axes.axvline(0.0, color=INK, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
    axes.set_xlim(first_s, last_s)
    axes.set_ylim(len(traces) - 0.35, -0.65)
    axes.set_yticks(range(len(traces)), [clean_label(trace.label, 11) for trace in traces])
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("Time after origin (s)")
    _write_distances(axes, traces)
    _write_key(axes)
    return figure


def _marks(label: str, picks: pd.DataFrame, start: np.datetime64) -> list[tuple[str, float]]:
    """Return phase and time after origin (s) of the picks of a station called NET.STA or STA."""
    network, _, station = label.rpartition(".")
    mine = picks[picks["station"] == station]
    if network:
        mine = mine[mine["network"] == network]
    after_s = (mine["time"].to_numpy(dtype="datetime64[ns]") - start) / np.timedelta64(1, "s")
    return [
        (phase, float(time))
        for phase, time in zip(mine["phase"], after_s, strict=True)
        if phase in PHASE_COLOURS
    ]


def _window(
    traces: list[SectionTrace], marks: list[list[tuple[str, float]]], start: np.datetime64
) -> tuple[float, float]:
    """Return the time after origin from which to which to draw: all picks and the S waves after them."""
    begins = [(as_time(trace.start) - start) / np.timedelta64(1, "s") for trace in traces]
    ends = [b + len(t.samples) / t.sampling_rate_hz for b, t in zip(begins, traces, strict=True)]
    times = [time for row in marks for _, time in row]
    last_s = min(max(ends), 1.35 * max(times) + 1.5) if times else max(ends)
    first_s = max(min(begins), -BEFORE_S - 0.04 * last_s)
    return first_s, max(last_s, first_s + 1.0)


def _draw_trace(
    axes: Axes, row: int, trace: SectionTrace, start: np.datetime64, first_s: float, last_s: float
) -> None:
    begin_s = (as_time(trace.start) - start) / np.timedelta64(1, "s")
    time_s = begin_s + np.arange(len(trace.samples)) / trace.sampling_rate_hz
    shown = (time_s >= first_s) & (time_s <= last_s)
    samples = np.asarray(trace.samples, dtype=float)[shown]
    if not np.isfinite(samples).any():
        axes.text(
            0.5 * (first_s + last_s), row, "no data", va="center", ha="center", fontsize=7.0, color=MUTED
        )
        return
    samples = samples - np.nanmedian(samples)
    largest = float(np.nanmax(np.abs(samples))) or 1.0
    x, y = _thinned(time_s[shown], samples / largest)
    axes.plot(x, row - 0.72 * y, color=TRACE, linewidth=0.55, zorder=3)


def _thinned(time_s: NDArray[Any], samples: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the least and the largest sample of each column of the screen: no peak is lost."""
    import warnings

    n_each = len(samples) // N_COLUMNS
    if n_each < 3:
        return time_s, samples
    n = len(samples) // n_each * n_each
    blocks = samples[:n].reshape(-1, n_each)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a block that is all gap stays NaN
        low, high = np.nanmin(blocks, axis=1), np.nanmax(blocks, axis=1)
    middle = time_s[:n].reshape(-1, n_each).mean(axis=1)
    return np.repeat(middle, 2), np.stack([low, high], axis=1).ravel()


def _write_distances(axes: Axes, traces: list[SectionTrace]) -> None:
    for row, trace in enumerate(traces):
        axes.annotate(
            f"{trace.distance_km:.1f} km",
            (1.0, row),
            xytext=(4, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            fontsize=7.5,
            color=MUTED,
        )


def _write_key(axes: Axes) -> None:
    """Say above the panel where the origin is and which colour is which phase."""
    place: dict[str, Any] = {
        "textcoords": "offset points",
        "va": "bottom",
        "fontsize": 8.0,
        "annotation_clip": False,
    }
    axes.annotate("origin", (0.0, 1.0), (0, 2), ("data", "axes fraction"), ha="center", color=MUTED, **place)
    for i, (phase, colour) in enumerate(PHASE_COLOURS.items()):
        at = (0.93 + 0.055 * i, 1.0)
        axes.annotate(
            phase, at, (0, 2), "axes fraction", ha="center", color=colour, fontweight="bold", **place
        )
