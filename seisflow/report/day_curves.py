"""Curves of a day as few numbers: the largest value of every column of a figure, and all of some spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seisflow.keys import Window, seconds

if TYPE_CHECKING:
    import xarray as xr

    from seisflow.picking import Picker

__all__ = ["N_COLUMNS", "DayCurves", "Lines", "SpanCurves", "largest", "lines_of", "thin_curves"]

LINES_S = (60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0)
"""How long one line of the overview may be, s."""
N_LINES = 24
N_COLUMNS = 1200


class Lines(NamedTuple):
    """The lines of an overview: each as long, counted from 1970, the first holding the first sample."""

    start: np.datetime64
    length_s: float
    n: int

    @property
    def column_s(self) -> float:
        """Length of a column, s."""
        return self.length_s / N_COLUMNS

    def window(self, line: int) -> Window:
        """Return the span of a line."""
        start = self.start + seconds(line * self.length_s)
        return Window(start, start + seconds(self.length_s))

    def place(self, times: NDArray[np.datetime64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the line of each time, and its seconds after the start of that line."""
        after_s = (times - self.start) / np.timedelta64(1, "ns") * 1e-9
        line = np.floor(after_s / self.length_s).astype(np.int64)
        return line, after_s - line * self.length_s


class SpanCurves(NamedTuple):
    """The curves in one span, with all their values: seconds after its start, and (phase, value)."""

    time_s: NDArray[np.float64]
    values: NDArray[np.float32]


class DayCurves(NamedTuple):
    """The curves of a day.

    Attributes
    ----------
    thin : ndarray of float32, shape (phase, line, column)
        The largest value in each column; no peak is lost. NaN where there is none.
    spans : list of SpanCurves
    """

    thin: NDArray[np.float32]
    spans: list[SpanCurves]


def lines_of(window: Window) -> Lines:
    """Return the lines that cover a window: as short as few enough lines allow."""
    length_s = next(
        (length_s for length_s in LINES_S if window.duration_s <= N_LINES * length_s), window.duration_s
    )
    length_ns = round(length_s * 1e9)
    first_ns = int(window.start.astype(np.int64)) // length_ns * length_ns
    last_ns = int(window.end.astype(np.int64))
    n = max(-(-(last_ns - first_ns) // length_ns), 1)
    return Lines(np.datetime64(first_ns, "ns"), length_s, n)


def thin_curves(picker: Picker, waveforms: xr.Dataset, lines: Lines, spans: list[Window]) -> DayCurves | None:
    """Run a picker over waveforms and keep of its curves what a figure shows.

    Parameters
    ----------
    picker : Picker
    waveforms : xarray.Dataset
        See `seisflow.picking.pick_phases`.
    lines : Lines
    spans : list of Window
        Where all values are kept.

    Returns
    -------
    DayCurves or None
        None for pickers without curves.
    """
    if not picker.curve:
        return None
    thin = np.full((2, lines.n * N_COLUMNS), np.nan, np.float32)
    kept: list[list[SpanCurves]] = [[] for _ in spans]
    start = waveforms["time"].to_numpy()[0]
    step_s = 1.0 / float(waveforms.attrs["sampling_rate_hz"])
    lead_s = float((start - lines.start) / np.timedelta64(1, "ns")) * 1e-9
    for piece in picker.curves(waveforms):
        samples = piece.first + piece.step * np.arange(piece.curves.shape[1])
        after_s = np.asarray(lead_s + step_s * samples, np.float64)
        largest(thin, after_s / lines.column_s, piece.curves)
        for span, parts in zip(spans, kept, strict=True):
            begin_s = float((span.start - lines.start) / np.timedelta64(1, "ns")) * 1e-9
            ends_s = np.array([begin_s, begin_s + span.duration_s]) - 1e-3 * step_s  # rounding is no sample
            low, high = np.searchsorted(after_s, ends_s)
            if high > low:
                parts.append(SpanCurves(after_s[low:high] - begin_s, piece.curves[:, low:high].copy()))
    return DayCurves(thin.reshape(2, lines.n, N_COLUMNS), [_joined(parts) for parts in kept])


def largest(into: NDArray[np.float32], columns: NDArray[np.float64], values: NDArray[np.float32]) -> None:
    """Raise columns to the largest value that falls into each.

    Parameters
    ----------
    into : ndarray of float32, shape (row, column)
        NaN where nothing has fallen yet.
    columns : ndarray of float, shape (value,)
        Column of each value, rising; those outside are left out.
    values : ndarray of float32, shape (row, value)
    """
    inside = slice(*np.searchsorted(columns, [0.0, into.shape[1]]))
    index = columns[inside].astype(np.int64)
    if not len(index):
        return
    firsts = np.flatnonzero(np.diff(index, prepend=-1))
    columns_hit = index[firsts]
    into[:, columns_hit] = np.fmax(into[:, columns_hit], np.fmax.reduceat(values[:, inside], firsts, axis=1))


def _joined(parts: list[SpanCurves]) -> SpanCurves:
    """Return the parts of a span in order of time; stretches may come in any."""
    if not parts:
        return SpanCurves(np.zeros(0), np.zeros((2, 0), np.float32))
    time_s = np.concatenate([part.time_s for part in parts])
    order = np.argsort(time_s, kind="stable")
    return SpanCurves(time_s[order], np.concatenate([part.values for part in parts], axis=1)[:, order])
