"""The steps of a compiled PhaseNet: where its layers find their input and leave their output."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seisflow.picking.kernels.steps import CLASSES, STRIDE, TAPS, TILES, Op, Step
from seisflow.picking.kernels.toom_cook import OUTPUTS, VALUES, weight_values
from seisflow.picking.kernels.vectors import LANES

__all__ = ["Layer", "Layers", "Program"]

Floats = NDArray[np.float32]

LACKING = (Op.REDUCED_WIDE, Op.REDUCED_NARROW)
"""Operations whose tiles leave their last lane undone."""
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


class Wanted(NamedTuple):
    """What a level must compute on the way up.

    Attributes
    ----------
    groups : tuple of int
        First and last group of `OUTPUTS` samples of its reduced convolution.
    low : tuple of int
        First and last sample of the level below for its transposed convolution.
    """

    groups: tuple[int, int]
    low: tuple[int, int]


class Layers(NamedTuple):
    """The convolutions of a PhaseNet, batch normalisations folded in."""

    inlet: Layer
    down: list[list[Layer]]
    up: list[list[Layer]]
    outlet: Layer

    def program(self, n: int, n_trace: int, first: int, last: int) -> Program:
        """Return the steps for a piece of a trace that begins at a multiple of 256 samples.

        Parameters
        ----------
        n : int
            Samples of the piece.
        n_trace : int
            Samples of the trace: they decide how the strided convolutions pad its beginning.
        first, last : int
            Samples of the piece that are wanted.
        """
        widths = [len(same.bias) for same, *_ in self.down]
        deepest = len(widths) - 1
        writer = _Writer(n, n_trace, widths)
        x = writer.rows(0, self.inlet.weight.shape[1])
        single = [writer.rows(level, width) for level, width in enumerate(widths)]
        joined = [
            writer.rows(level, width if level == deepest else 2 * width) for level, width in enumerate(widths)
        ]
        dealt = [writer.rows(level + 1, STRIDE * width) for level, width in enumerate(widths[:-1])]
        writer.read(x, self.inlet.weight.shape[1])
        writer.same(0, self.inlet, x, single[0])
        for level, (same, *strided) in enumerate(self.down):
            (writer.same if level == deepest else writer.reduced)(level, same, single[level], joined[level])
            if strided:
                writer.strided(level, strided[0], joined[level], dealt[level], single[level + 1])
        below = joined[deepest]
        wanted = writer.wanted(first, last)
        for level, (transposed, same) in zip(reversed(range(deepest)), self.up, strict=True):
            writer.transposed(level, transposed, below, joined[level].after(widths[level]), wanted[level].low)
            writer.reduced(level, same, joined[level], single[level], wanted[level].groups)
            below = single[level]
        writer.softmax(self.outlet, below, first, last)
        writer.write(below)
        return writer.program()


class _Writer:
    """Lays out the working memory and writes the steps over it."""

    def __init__(self, n: int, n_trace: int, widths: list[int]) -> None:
        self.widths = widths
        self.lengths, whole = (_lengths(samples, len(widths)) for samples in (n, n_trace))
        self.pads = [max((low - 1) * STRIDE + TAPS - high, 0) // 2 for high, low in pairwise(whole)]
        self.crops = [(low * STRIDE - high) // 2 for high, low in pairwise(whole)]
        self.table: list[Step] = []
        self.numbers: list[NDArray[np.floating]] = []
        self.n_numbers = 0
        self.n_work = VALUES * max(
            TILES[op].vectors * LANES * (2 * width + TILES[op].channels)
            for n, width in zip(self.lengths[:-1], widths[:-1], strict=True)
            for op in [_op(Op.REDUCED_WIDE, -(-n // OUTPUTS), width)]
        )

    def program(self) -> Program:
        """Return what was written."""
        weights = np.concatenate(self.numbers).astype(np.float32)
        slack = STRIDE * LANES  # the last vectors read beyond the last row
        return Program(np.array(self.table, np.int64), weights, self.n_work + slack)

    def rows(self, level: int, count: int) -> Rows:
        """Reserve rows of activations, as long as the tiles that write them."""
        n = self.lengths[level]
        groups = -(-n // OUTPUTS)
        spans = [_covered(n, Op.SAME_WIDE), _covered(n, Op.SAME_NARROW)]
        spans.append(OUTPUTS * _covered(groups, _op(Op.REDUCED_WIDE, groups, self.widths[level])))
        if level + 1 < len(self.lengths):
            below = self.lengths[level + 1]
            spans.append(STRIDE * _covered(below, _op(Op.TRANSPOSED_WIDE, below, self.widths[level])))
        stride = LEAD * (-(-(LEAD + max(spans)) // LEAD) | 1)  # odd, lest rows compete for cache sets
        rows = Rows(self.n_work + LEAD, stride)
        self.n_work += count * stride
        return rows

    def wanted(self, first: int, last: int) -> list[Wanted]:
        """Return what the layers on the way up must compute for some samples of the output, by level."""
        wanted = []
        for n_low, crop in zip(self.lengths[1:], self.crops, strict=True):
            groups = first // OUTPUTS, -(-last // OUTPUTS)
            reach = max(OUTPUTS * groups[0] - TAPS // 2, 0), OUTPUTS * groups[1] + OUTPUTS
            low = (reach[0] + crop) // STRIDE, min(-(-(reach[1] + crop) // STRIDE), n_low)
            wanted.append(Wanted(groups, low))
            first, last = max(low[0] - 1, 0), min(low[1] + 1, n_low)
        return wanted

    def read(self, y: Rows, count: int) -> None:
        """Copy the input."""
        self.table.append(Step(Op.READ, 0, 0, count, y=y.at, y_row=y.stride))

    def write(self, x: Rows) -> None:
        """Copy the output."""
        self.table.append(Step(Op.WRITE, x.at, x.stride, CLASSES))

    def same(self, level: int, layer: Layer, x: Rows, y: Rows) -> None:
        """Convolve without changing the length."""
        start = Rows(x.at - TAPS // 2, x.stride)
        n = self.lengths[level]
        self._convolve(_op(Op.SAME_WIDE, n, len(layer.bias)), layer, start, y, n, (0, n))

    def reduced(
        self, level: int, layer: Layer, x: Rows, y: Rows, wanted: tuple[int, int] | None = None
    ) -> None:
        """Convolve without changing the length, in half of the multiplications."""
        n_out, n_in, _ = layer.weight.shape
        n = self.lengths[level]
        op = _op(Op.REDUCED_WIDE, -(-n // OUTPUTS), n_out)
        channels = TILES[op].channels
        halves = np.pad(layer.weight, ((0, 0), (0, 0), (0, 1))).reshape(n_out, n_in, 2, OUTPUTS)
        numbers = weight_values(halves).reshape(-1, channels, n_in, 2, VALUES).transpose(0, 4, 2, 3, 1)
        used = np.ones(numbers.shape[1:], bool)
        used[-1, :, 1] = False  # the second half has no fourth tap, of which alone infinity speaks
        w, bias = self._put(numbers[:, used]), self._put(layer.bias)
        span = _from_tile(op, wanted or (0, -(-n // OUTPUTS)))
        self.table.append(Step(op, x.at - TAPS // 2, x.stride, n_in, w, bias, *y, n_out, n, *span))

    def strided(self, level: int, layer: Layer, x: Rows, dealt: Rows, y: Rows) -> None:
        """Convolve and keep every fourth sample, from one level to the next."""
        n, n_in = self.lengths[level + 1], layer.weight.shape[1]
        n_dealt = n + (TAPS - 1) // STRIDE
        start = x.at - self.pads[level]
        self.table.append(Step(Op.DEAL, start, x.stride, n_in, y=dealt.at, y_row=dealt.stride, last=n_dealt))
        self._convolve(_op(Op.STRIDED_WIDE, n, len(layer.bias)), layer, dealt, y, n, (0, n))

    def transposed(self, level: int, layer: Layer, x: Rows, y: Rows, wanted: tuple[int, int]) -> None:
        """Convolve from one level up to this one."""
        n, n_low = self.lengths[level : level + 2]
        op = _op(Op.TRANSPOSED_WIDE, n_low, len(layer.bias))
        self._convolve(op, layer, x, y, n, wanted, self.crops[level])

    def softmax(self, layer: Layer, x: Rows, first: int, last: int) -> None:
        """Replace the first rows by probabilities."""
        w, bias = self._put(layer.weight.transpose(2, 1, 0)), self._put(layer.bias)
        n_in = layer.weight.shape[1]
        first -= first % LANES
        self.table.append(Step(Op.SOFTMAX, *x, n_in, w, bias, *x, CLASSES, last, first, last))

    def _convolve(
        self, op: Op, layer: Layer, x: Rows, y: Rows, n: int, wanted: tuple[int, int], crop: int = 0
    ) -> None:
        n_out, n_in, _ = layer.weight.shape
        blocks = layer.weight.reshape(-1, TILES[op].channels, n_in, TAPS).transpose(0, 2, 3, 1)
        w, bias = self._put(blocks), self._put(layer.bias)
        self.table.append(Step(op, *x, n_in, w, bias, *y, n_out, n, *_from_tile(op, wanted), crop))

    def _put(self, numbers: NDArray[np.floating]) -> int:
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


def _useful(op: Op) -> int:
    """Return how many samples a tile gives."""
    return TILES[op].vectors * LANES - (op in LACKING)


def _covered(n: int, op: Op) -> int:
    """Return where the last of the tiles ends that cover `n` samples."""
    return -(-n // _useful(op)) * _useful(op) + (op in LACKING)


def _from_tile(op: Op, wanted: tuple[int, int]) -> tuple[int, int]:
    """Return the wanted samples from where a tile begins: tiles lie as in rows wanted as a whole."""
    return wanted[0] - wanted[0] % _useful(op), wanted[1]


def _op(wide: Op, n: int, n_out: int) -> Op:
    """Return the operation whose tiles waste less."""
    narrow = Op(wide + 1)
    wide_cost, narrow_cost = (-(-n // _useful(op)) * TILES[op].vectors for op in (wide, narrow))
    return narrow if n_out % TILES[narrow].channels == 0 and narrow_cost < wide_cost else wide
