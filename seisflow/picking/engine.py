"""Inference over a record of any length: a network's windows or chunks in, finished pieces of curves out.

Only one batch is in memory at a time, beside the record itself: what a batch finishes is handed on at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from seisflow.picking.normalisation import SCALES, Scale, gather_windows
from seisflow.picking.sliding import knots_of, normalise_into
from seisflow.picking.stacking import Piece, Points, Stack, Stacking
from seisflow.picking.windows import Runs, Windows

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ContinuousModel", "Placement", "WindowModel", "annotate_trace", "annotate_windows", "sample_number"]


@dataclass(frozen=True)
class WindowModel:
    """A network that looks at windows, and what it needs around it.

    Attributes
    ----------
    network : callable
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

    network: Callable[[Tensor], Tensor]
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
class ContinuousModel:
    """A network that looks at records of any length, normalised by sliding statistics.

    Attributes
    ----------
    network : callable
        From (1, channel, sample) to (1, class, sample).
    n_statistics : int
        Samples in a window of the sliding mean and deviation.
    n_chunk : int
        Samples that one call decides.
    n_reach : int
        Samples on both sides of a chunk that are given to the network beside it; no output depends on
        anything farther away.
    classes : tuple of int
        The classes wanted.
    """

    network: Callable[[Tensor], Tensor]
    classes: tuple[int, ...]
    n_statistics: int = 3000
    n_chunk: int = 32768
    n_reach: int = 2048


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
    from seisflow.picking.forward import Team, device_of, outputs, thread_limit

    n_batch = max(min(placement.batch_size, len(windows.starts)), 1)
    starts = np.array_split(windows.starts, range(n_batch, len(windows.starts), n_batch))
    stretches = np.array_split(windows.stretch, range(n_batch, len(windows.starts), n_batch))
    if not len(windows.starts):
        return
    classes = np.array(model.classes, np.int64)
    if model.point is None:
        stack: Stack | Points = Stack(
            model.n_window, model.n_hop, n_batch, classes, model.blinding, model.stacking
        )
    else:
        stack = Points(model.n_hop, classes, model.point)
    scale = SCALES.index(model.scale)
    with Team(placement.threads) as team, thread_limit(placement.threads):

        def batch(chosen: NDArray[np.int64]) -> Callable[[NDArray[np.float32]], None]:
            def write(into: NDArray[np.float32]) -> None:
                def share(part: slice) -> None:
                    gather_windows(
                        data, rows, chosen[part], into[part], model.demean, model.detrend, scale, model.taper
                    )

                team.share(share, len(chosen))

            return write

        shape = (n_batch, len(rows), model.n_window)
        batches = ((len(chosen), batch(chosen)) for chosen in starts)
        results = outputs(model.network, batches, shape, device_of(placement.device))
        for number, result in enumerate(results):
            following = None
            if number + 1 < len(starts):
                following = int(starts[number + 1][0]), int(stretches[number + 1][0])
            yield from stack.add(result, starts[number], stretches[number], following)


def annotate_trace(
    model: ContinuousModel,
    data: NDArray[np.float32],
    rows: NDArray[np.int64],
    runs: list[Runs],
    first_sample: int,
    placement: Placement,
) -> Iterator[Piece]:
    """Yield the curves of the wanted classes of a whole record, chunk by chunk.

    Chunks lie at multiples of their length counted from 1970, so that the same data give the same
    curves wherever the record is cut; chunks without data are zeros.

    Parameters
    ----------
    model : ContinuousModel
    data : ndarray of float32, shape (component, sample)
    rows : ndarray of int64, shape (channel,)
        Row of `data` for each channel of the network, -1 for absent ones.
    runs : list of ndarray of int64, shape (run, 2)
        The samples of each row that count.
    first_sample : int
        Number of the first sample, counted from 1970.
    placement : Placement
    """
    from seisflow.picking.forward import Team, device_of, outputs, thread_limit

    n, n_half = data.shape[1], model.n_statistics // 2
    lead = first_sample % n_half
    used = [row for row in rows.tolist() if row >= 0]
    with Team(placement.threads) as team, thread_limit(placement.threads):
        knots = {row: knots_of(data[row], runs[row], lead, n_half) for row in used}

        def chunk(first: int) -> Callable[[NDArray[np.float32]], None]:
            def write(into: NDArray[np.float32]) -> None:
                def share(part: slice) -> None:
                    for channel in range(part.start, part.stop):
                        row = int(rows[channel])
                        if row < 0:
                            into[0, channel] = 0
                            continue
                        normalise_into(
                            into[0, channel],
                            first - model.n_reach,
                            data[row],
                            runs[row],
                            *knots[row],
                            lead,
                            n_half,
                        )

                team.share(share, len(rows))

            return write

        firsts = np.arange(-(first_sample % model.n_chunk), n, model.n_chunk).tolist()
        shape = (1, len(rows), model.n_chunk + 2 * model.n_reach)
        results = outputs(
            model.network, ((1, chunk(first)) for first in firsts), shape, device_of(placement.device)
        )
        for first, result in zip(firsts, results, strict=True):
            low, high = max(first, 0), min(first + model.n_chunk, n)
            inner = slice(model.n_reach + low - first, model.n_reach + high - first)
            curves = np.ascontiguousarray(result[0][list(model.classes), inner])
            yield Piece(low, 1, curves, high == n)
