"""Inference over a record of any length: a network's windows in, finished pieces of curves out.

Only one batch is in memory at a time, beside the record itself: what a batch finishes is handed on at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from seisflow.picking.inference.filtering import filtered
from seisflow.picking.inference.normalisation import SCALES, Scale, gather_windows
from seisflow.picking.inference.stacking import Overlay, Piece, Points, Stack, Stacking
from seisflow.picking.inference.windows import (
    Grid,
    Windows,
    as_seisbench_cuts,
    finite_runs,
    lay_windows,
    near_edges,
    stretches,
)

if TYPE_CHECKING:
    import xarray as xr

    from seisflow.picking.inference.forward import Network, Team

__all__ = [
    "Placement",
    "WindowModel",
    "annotate_stretches",
    "annotate_windows",
    "sample_number",
    "traces_of",
]


GUARD_S = 0.5
"""On the absolute grid nothing is picked so near to a gap's edge."""


@dataclass(frozen=True)
class WindowModel:
    """A network that looks at windows, and what it needs around it.

    Attributes
    ----------
    network : callable or DirectPhaseNet
        From windows (window, channel, sample) to curves (window, class, value).
    n_window, n_hop : int
        Samples in a window, and between the starts of neighbouring windows.
    classes : tuple of int
        The classes wanted, such as those of P and S.
    demean, detrend, scale, taper
        How windows are normalised, see `gather_windows`.
    blinding : tuple of int
        Values at both ends of a window that do not count.
    stacking : {"avg", "max"}
    point : int, optional
        For networks with one value a window: the sample it is valid for.
    """

    network: Network
    n_window: int
    n_hop: int
    classes: tuple[int, ...]
    demean: bool = True
    detrend: bool = False
    scale: Scale = "std"
    taper: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    blinding: tuple[int, int] = (0, 0)
    stacking: Stacking = "avg"
    point: int | None = None


@dataclass(frozen=True)
class Placement:
    """Where a network runs: neither changes what it says by more than rounding."""

    device: str = "auto"
    batch_size: int = 64
    threads: int | None = None


def sample_number(start: np.datetime64, rate_hz: float) -> int:
    """Return how many samples lie between 1970 and `start`."""
    rate = Fraction(rate_hz).limit_denominator(1_000_000)
    nanoseconds = int(start.astype("datetime64[ns]").astype(np.int64))
    return (2 * nanoseconds * rate.numerator + rate.denominator * 10**9) // (2 * rate.denominator * 10**9)


def traces_of(waveforms: xr.Dataset) -> NDArray[np.float32]:
    """Return the traces, shape (component, sample), each in one piece of memory; copied only if need be."""
    data: NDArray[np.float32] = np.asarray(waveforms["waveform"].to_numpy(), np.float32)
    return data if data.strides[1] == data.itemsize else np.ascontiguousarray(data)


def annotate_windows(
    model: WindowModel,
    data: NDArray[np.float32],
    rows: NDArray[np.int64],
    windows: Windows,
    placement: Placement,
) -> Iterator[Piece]:
    """Yield the curves of the wanted classes, stretch by stretch.

    Parameters
    ----------
    model : WindowModel
    data : ndarray of float32, shape (component, sample)
        Missing samples NaN.
    rows : ndarray of int64, shape (channel,)
        Row of `data` for each channel of the network, -1 for absent ones.
    windows : Windows
    placement : Placement
    """
    from seisflow.picking.inference.forward import Team, device_of, outputs

    n = len(windows.starts)
    if not n:
        return
    n_batch = min(placement.batch_size, n)
    batches = [slice(first, min(first + n_batch, n)) for first in range(0, n, n_batch)]
    stack = _stack_of(model, n_batch)
    with Team(placement.threads) as team:
        source = _WindowSource(model, data, rows, windows.starts, team)
        results = outputs(
            model.network,
            ((part.stop - part.start, partial(source.write, part)) for part in batches),
            (n_batch, len(rows), model.n_window),
            device_of(placement.device),
            team,
        )
        for part, result in zip(batches, results, strict=True):
            result[~source.live[part]] = 0
            following = None
            if part.stop < n:
                following = int(windows.starts[part.stop]), int(windows.stretch[part.stop])
            yield from stack.add(result, windows.starts[part], windows.stretch[part], following)


def annotate_stretches(
    model: WindowModel,
    waveforms: xr.Dataset,
    rows: NDArray[np.int64],
    grid: Grid,
    placement: Placement,
    filtering: tuple[Any, Any] = (None, None),
) -> Iterator[Piece]:
    """Yield the curves of waveforms: cut into stretches, filtered if wished, and windows laid over them.

    Parameters
    ----------
    model : WindowModel
    waveforms : xarray.Dataset
    rows : ndarray of int64, shape (channel,)
    grid : {"absolute", "segment"}
        See `lay_windows`; ``"segment"`` cuts as SeisBench does, ``"absolute"`` leaves out what is near
        the edges of gaps.
    placement : Placement
    filtering : tuple
        Arguments and keywords of obspy's filter, as in SeisBench's weights.
    """
    rate_hz = float(waveforms.attrs["sampling_rate_hz"])
    data = traces_of(waveforms)
    runs = [finite_runs(trace) for trace in data]
    if any(filtering):
        letters = [str(letter) for letter in waveforms["component"].to_numpy()]
        data = filtered(data, runs, letters, rate_hz, *filtering)
    bounds = stretches([runs[row] for row in rows if row >= 0])
    if grid == "segment":
        data, bounds = as_seisbench_cuts(data, runs, bounds, rate_hz)
    first = sample_number(waveforms["time"].to_numpy()[0], rate_hz)
    windows = lay_windows(bounds, model.n_window, model.n_hop, grid, first, ends=model.point is None)
    pieces = annotate_windows(model, data, rows, windows, placement)
    if grid == "segment":
        yield from pieces
        return
    blocked = near_edges([runs[row] for row in rows if row >= 0], data.shape[1], round(GUARD_S * rate_hz))
    for piece in pieces:
        stop = piece.first + piece.step * piece.curves.shape[1]
        yield piece._replace(curves=piece.curves * ~blocked[piece.first : stop : piece.step])


def _stack_of(model: WindowModel, n_batch: int) -> Overlay:
    classes = np.array(model.classes, np.int64)
    if model.point is not None:
        return Points(model.n_hop, classes, model.point)
    return Stack(model.n_window, model.n_hop, n_batch, classes, model.blinding, model.stacking)


def _as_memory(data: NDArray[np.float32]) -> tuple[NDArray[np.float32], int]:
    """Return traces as one array, without a copy where they are parts of longer ones, and how far apart."""
    row_length, rest = divmod(data.strides[0], data.itemsize)
    if len(data) < 2 or rest or data.strides[1] != data.itemsize or row_length < data.shape[1]:
        data = np.ascontiguousarray(data)
        row_length = data.shape[1]
    n = (len(data) - 1) * row_length + data.shape[1]
    return as_strided(data, (n,), (data.itemsize,), writeable=False), row_length


class _WindowSource:
    """Writes normalised windows of a record into arrays, and notes which hold anything that moves."""

    def __init__(
        self,
        model: WindowModel,
        data: NDArray[np.float32],
        rows: NDArray[np.int64],
        starts: NDArray[np.int64],
        team: Team,
    ) -> None:
        self._model, self._starts, self._team = model, starts, team
        self._memory, row_length = _as_memory(data)
        self._offsets = np.where(rows >= 0, rows * row_length, -1)
        self.live = np.ones(len(starts), np.bool_)

    def write(self, windows: slice, into: NDArray[np.float32]) -> None:
        starts, live, model = self._starts[windows], self.live[windows], self._model
        scale = SCALES.index(model.scale)

        def share(part: slice) -> None:
            gather_windows(
                self._memory,
                self._offsets,
                starts[part],
                into[part],
                model.demean,
                model.detrend,
                scale,
                model.taper,
                live[part],
            )

        self._team.share(share, len(starts))
