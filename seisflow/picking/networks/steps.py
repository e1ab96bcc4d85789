"""The steps of a compiled PhaseNet: where its layers find their input and leave their output."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seisflow.picking.kernels.convolution import CLASSES, STRIDE, TAPS, TILES, Op, Step, Tile
from seisflow.picking.kernels.vectors import LANES

__all__ = ["Layer", "Layers", "Program"]

Floats = NDArray[np.float32]

LEAD = 16
"""Zeros before each row: what convolutions read beyond the ends of a row."""


class Layer(NamedTuple):
    """Numbers of a convolution: weight (output channel, input channel, tap) and bias."""

    weight: Floats
    bias: Floats


class Rows(NamedTuple):
    """Rows of activations in memory.

    Attributes
    ----------
    at : int
        Where the first sample of the first row lies.
    stride : int
        Distance of rows.
    """

    at: int
    stride: int

    def after(self, count: int) -> Rows:
        """Return the rows that follow the first `count`."""
        return Rows(self.at + count * self.stride, self.stride)


class Program(NamedTuple):
    """A network for pieces of one length.

    Attributes
    ----------
    steps : ndarray of int64, shape (step, field)
    weights : ndarray of float32
    n_work : int
        Numbers in the working memory.
    """

    steps: NDArray[np.int64]
    weights: Floats
    n_work: int


class Layers(NamedTuple):
    """The convolutions of a PhaseNet, batch normalisations folded in."""

    inlet: Layer
    down: list[list[Layer]]
    up: list[list[Layer]]
    outlet: Layer

    def program(self, n: int, n_trace: int) -> Program:
        """Return the steps for a piece of a trace that begins at a multiple of 256 samples.

        Parameters
        ----------
        n : int
            Samples of the piece.
        n_trace : int
            Samples of the trace: they decide how the strided convolutions pad its beginning.
        """
        widths = [len(same.bias) for same, *_ in self.down]
        deepest = len(widths) - 1
        writer = _Writer(n, n_trace, len(widths))
        x = writer.rows(0, self.inlet.weight.shape[1])
        single = [writer.rows(level, width) for level, width in enumerate(widths)]
        joined = [
            writer.rows(level, width if level == deepest else 2 * width) for level, width in enumerate(widths)
        ]
        dealt = [writer.rows(level + 1, STRIDE * width) for level, width in enumerate(widths[:-1])]
        writer.read(x, self.inlet.weight.shape[1])
        writer.same(0, self.inlet, x, single[0])
        for level, (same, *strided) in enumerate(self.down):
            writer.same(level, same, single[level], joined[level])
            if strided:
                writer.strided(level, strided[0], joined[level], dealt[level], single[level + 1])
        below = joined[deepest]
        for level, (transposed, same) in zip(reversed(range(deepest)), self.up, strict=True):
            writer.transposed(level, transposed, below, joined[level].after(widths[level]))
            writer.same(level, same, joined[level], single[level])
            below = single[level]
        writer.softmax(self.outlet, below)
        writer.write(below)
        return writer.program()


class _Writer:
    """Lays out the working memory and writes the steps over it."""

    def __init__(self, n: int, n_trace: int, depth: int) -> None:
        self.lengths, whole = _lengths(n, depth), _lengths(n_trace, depth)
        self.pads = [max((low - 1) * STRIDE + TAPS - high, 0) // 2 for high, low in pairwise(whole)]
        self.crops = [(low * STRIDE - high) // 2 for high, low in pairwise(whole)]
        self.table: list[Step] = []
        self.numbers: list[Floats] = []
        self.n_numbers = self.n_work = 0

    def program(self) -> Program:
        """Return what was written."""
        weights = np.concatenate(self.numbers).astype(np.float32)
        slack = STRIDE * LANES  # the last vectors read beyond the last row
        return Program(np.array(self.table, np.int64), weights, self.n_work + slack)

    def rows(self, level: int, count: int) -> Rows:
        """Reserve rows of activations, as long as the tiles that write them."""
        spans = [_covered(self.lengths[level], tile) for tile in TILES[Op.SAME_WIDE : Op.TRANSPOSED_WIDE]]
        if level + 1 < len(self.lengths):
            below = self.lengths[level + 1]
            spans.append(STRIDE * _covered(below, TILES[_op(Op.TRANSPOSED_WIDE, below, count)]))
        stride = LEAD * (-(-(LEAD + max(spans)) // LEAD) | 1)  # odd, lest rows compete for cache sets
        rows = Rows(self.n_work + LEAD, stride)
        self.n_work += count * stride
        return rows

    def read(self, y: Rows, count: int) -> None:
        """Copy the input."""
        self.table.append(Step(Op.READ, 0, 0, count, y=y.at, y_row=y.stride))

    def write(self, x: Rows) -> None:
        """Copy the output."""
        self.table.append(Step(Op.WRITE, x.at, x.stride, CLASSES))

    def same(self, level: int, layer: Layer, x: Rows, y: Rows) -> None:
        """Convolve without changing the length."""
        start = Rows(x.at - TAPS // 2, x.stride)
        self._convolve(Op.SAME_WIDE, layer, start, y, self.lengths[level])

    def strided(self, level: int, layer: Layer, x: Rows, dealt: Rows, y: Rows) -> None:
        """Convolve and keep every fourth sample, from one level to the next."""
        n, n_in = self.lengths[level + 1], layer.weight.shape[1]
        n_dealt = n + (TAPS - 1) // STRIDE
        start = x.at - self.pads[level]
        self.table.append(
            Step(Op.DEAL, start, x.stride, n_in, y=dealt.at, y_row=dealt.stride, n_tiled=n_dealt)
        )
        self._convolve(Op.STRIDED_WIDE, layer, dealt, y, n)

    def transposed(self, level: int, layer: Layer, x: Rows, y: Rows) -> None:
        """Convolve from one level up to this one."""
        n, below = self.lengths[level : level + 2]
        self._convolve(Op.TRANSPOSED_WIDE, layer, x, y, n, below, self.crops[level])

    def softmax(self, layer: Layer, x: Rows) -> None:
        """Replace the first rows by probabilities."""
        w, bias = self._put(layer.weight.transpose(2, 1, 0)), self._put(layer.bias)
        n = self.lengths[0]
        n_in = layer.weight.shape[1]
        self.table.append(Step(Op.SOFTMAX, x.at, x.stride, n_in, w, bias, x.at, x.stride, CLASSES, n, n))

    def _convolve(
        self, kind: Op, layer: Layer, x: Rows, y: Rows, n: int, n_tiled: int | None = None, crop: int = 0
    ) -> None:
        n_out, n_in, _ = layer.weight.shape
        n_tiled = n if n_tiled is None else n_tiled
        op = _op(kind, n_tiled, n_out)
        blocks = layer.weight.reshape(-1, TILES[op].channels, n_in, TAPS).transpose(0, 2, 3, 1)
        w, bias = self._put(blocks), self._put(layer.bias)
        self.table.append(Step(op, *x, n_in, w, bias, *y, n_out, n, n_tiled, crop))

    def _put(self, numbers: Floats) -> int:
        at = self.n_numbers
        self.numbers.append(numbers.ravel())
        self.n_numbers += numbers.size
        return at


def _lengths(n: int, depth: int) -> list[int]:
    """Return the number of samples at every level."""
    lengths = [n]
    while len(lengths) < depth:
        lengths.append(-(-lengths[-1] // STRIDE))
    return lengths


def _covered(n: int, tile: Tile) -> int:
    """Return how many samples the tiles hold that cover `n`."""
    span = tile.vectors * LANES
    return -(-n // span) * span


def _op(wide: Op, n: int, n_out: int) -> Op:
    """Return the operation whose tiles waste less."""
    narrow = Op(wide + 1)
    if n_out % TILES[narrow].channels == 0 and _covered(n, TILES[narrow]) < _covered(n, TILES[wide]):
        return narrow
    return wide
