"""Inference of a network that looks at records of any length: chunks in, finished pieces of curves out.

Beyond the ends of a record a chunk is zeros. A network that was trained on windows full of samples knows
the end of an array, but not such a step: near the ends of the record its outputs may be mixed with
those of arrays that end with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seisflow.picking.inference.engine import Placement
from seisflow.picking.inference.sliding import Knots, Sliding, knots_of, normalise_into
from seisflow.picking.inference.stacking import Piece
from seisflow.picking.inference.windows import Runs

if TYPE_CHECKING:
    from seisflow.picking.inference.forward import Network, Team

__all__ = ["ContinuousModel", "Ends", "annotate_trace"]


class Ends(NamedTuple):
    """How a network sees the ends of a record.

    Attributes
    ----------
    n_windows : tuple of int
        Samples of the arrays that begin, or end, with the record; fewer, by steps, where that is shorter.
    n_step : int
        Step of their lengths.
    n_near : int
        Samples from the end where the mean of their outputs counts, at most half the record.
    weight : float
        How much, beside the output of the chunk.
    """

    n_windows: tuple[int, ...]
    n_step: int
    n_near: int
    weight: float


@dataclass(frozen=True)
class ContinuousModel:
    """A network that looks at records of any length, normalised by sliding statistics.

    Attributes
    ----------
    network : callable or DirectPhaseNet
        From chunks (chunk, channel, sample) to curves (chunk, class, sample).
    classes : tuple of int
        The classes wanted.
    sliding : Sliding
        How records are normalised.
    n_reach : int
        Samples on both sides of a chunk that are given to the network beside it; no output depends on
        anything farther away.
    n_chunk : int
        Samples of a chunk without them; of no effect on the result.
    n_batch : int
        Chunks in one call of the network.
    ends : Ends, optional
        How the network sees the two ends of a record, if otherwise.
    """

    network: Network
    classes: tuple[int, ...]
    sliding: Sliding
    n_reach: int
    n_chunk: int
    n_batch: int
    ends: Ends | None = None


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
    from seisflow.picking.inference.forward import Team, device_of, outputs

    n, n_chunk, n_reach = data.shape[1], model.n_chunk, model.n_reach
    firsts = range(-(first_sample % n_chunk), n, n_chunk)
    n_batch = min(model.n_batch, len(firsts))
    device = device_of(placement.device)
    with Team(placement.threads) as team:
        source = _Source(model.sliding, data, rows, runs, first_sample, team)
        ends, weight = _at_ends(model, source, device, team), model.ends.weight if model.ends else 0.0
        alive = [first for first in firsts if source.moves(first - n_reach, first + n_chunk + n_reach)]
        batches = [alive[i : i + n_batch] for i in range(0, len(alive), n_batch)]
        results = outputs(
            model.network,
            ((len(batch), partial(source.write, [at - n_reach for at in batch])) for batch in batches),
            (n_batch, len(rows), n_chunk + 2 * n_reach),
            device,
            team,
        )
        chunks = chain.from_iterable(results)
        computed = set(alive)
        for first in firsts:
            low, high = max(first, 0), min(first + n_chunk, n)
            curves = np.zeros((len(model.classes), high - low), np.float32)
            if first in computed:
                inner = slice(n_reach + low - first, n_reach + high - first)
                np.take(next(chunks)[:, inner], model.classes, axis=0, out=curves)
                for begin, near in ends.items():
                    _mix(curves, low, near, begin, weight)
                source.silence(curves, low)
            yield Piece(low, 1, curves, high == n)


def _at_ends(
    model: ContinuousModel, source: _Source, device: str, team: Team
) -> dict[int, NDArray[np.float32]]:
    """Return what the network says near both ends of a record, by the first sample of the curves."""
    from seisflow.picking.inference.forward import outputs

    ends, (first, stop) = model.ends, source.bounds
    if ends is None or stop - first < ends.n_step:
        return {}
    near = min(ends.n_near, (stop - first) // 2)
    lengths = sorted({min(n, (stop - first) // ends.n_step * ends.n_step) for n in ends.n_windows})
    means = np.zeros((2, len(model.classes), near), np.float32)
    for n in lengths:
        batch = 2, partial(source.write, [first, stop - n])
        (windows,) = outputs(model.network, [batch], (2, source.n_channels, n), device, team)
        begin, end = np.take(windows, model.classes, axis=1)
        means += np.stack([begin[:, :near], end[:, n - near :]]) / np.float32(len(lengths))
    return {first: means[0], stop - near: means[1]}


def _mix(curves: NDArray[np.float32], low: int, near: NDArray[np.float32], begin: int, weight: float) -> None:
    """Mix curves that begin at sample `low` with others that begin at `begin`, where they meet."""
    first = max(low, begin)
    stop = min(low + curves.shape[1], begin + near.shape[1])
    if first < stop:
        here = curves[:, first - low : stop - low]
        here += np.float32(weight) * (near[:, first - begin : stop - begin] - here)


class _Source:
    """Writes parts of a record into arrays, normalised by sliding statistics."""

    def __init__(
        self,
        sliding: Sliding,
        data: NDArray[np.float32],
        rows: NDArray[np.int64],
        runs: list[Runs],
        first_sample: int,
        team: Team,
    ) -> None:
        self._data, self._rows, self._runs, self._team = data, rows, runs, team
        self._n_cell = sliding.n_cell
        self._lead = first_sample % self._n_cell
        used = rows[rows >= 0].tolist()
        held = [runs[row] for row in used if len(runs[row])]
        self.n_channels = len(rows)
        self.bounds = (
            min((int(r[0, 0]) for r in held), default=0),
            max((int(r[-1, 1]) for r in held), default=0),
        )
        self._knots: dict[int, Knots] = {}

        def share(part: slice) -> None:
            for row in used[part]:
                self._knots[row] = knots_of(data[row], runs[row], self._lead, sliding)

        team.share(share, len(used))
        n_cells = -(-(self._lead + data.shape[1]) // self._n_cell)
        self._still = np.ones(n_cells, np.bool_)
        for knots in self._knots.values():
            self._still &= knots.deviation[:, 0] == 0

    def moves(self, first: int, stop: int) -> bool:
        """Whether any component moves between two samples."""
        low, high = (max(sample + self._lead, 0) // self._n_cell for sample in (first, stop - 1))
        return not self._still[low : high + 1].all()

    def silence(self, curves: NDArray[np.float32], first: int) -> None:
        """Set curves to zero in the cells where nothing moves."""
        cells = (first + self._lead + np.arange(curves.shape[1])) // self._n_cell
        curves[:, self._still[cells]] = 0

    def write(self, firsts: list[int], into: NDArray[np.float32]) -> None:
        """Fill an array (part, channel, sample) with the parts that begin at these samples."""

        def share(part: slice) -> None:
            for first, traces in zip(firsts, into, strict=False):
                for row, trace in zip(self._rows.tolist(), traces, strict=True):
                    if row < 0:
                        trace[part] = 0
                        continue
                    normalise_into(
                        trace[part],
                        first + part.start,
                        self._data[row],
                        self._runs[row],
                        *self._knots[row],
                        self._lead,
                        self._n_cell,
                    )

        self._team.share(share, into.shape[2])
