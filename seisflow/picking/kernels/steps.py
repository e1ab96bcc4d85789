"""The steps of a compiled network: what each does, on which rows of the working memory."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from seisflow.picking.kernels.vectors import LANES

__all__ = ["CLASSES", "STRIDE", "TAPS", "TILES", "Op", "Step", "Tile"]

TAPS, STRIDE, CLASSES = 7, 4, 3


class Tile(NamedTuple):
    """Output channels, and vectors of samples, whose sums are held in registers at once."""

    channels: int
    vectors: int


class Op(IntEnum):
    """What a step does; narrow tiles are for rows shorter than a wide tile."""

    SAME_WIDE = 0
    SAME_NARROW = 1
    STRIDED_WIDE = 2
    STRIDED_NARROW = 3
    TRANSPOSED_WIDE = 4
    TRANSPOSED_NARROW = 5
    REDUCED_WIDE = 6
    """As `SAME_WIDE` in half of the multiplications; tiles hold `OUTPUTS` samples for each sum."""
    REDUCED_NARROW = 7
    DEAL = 8
    """Deal the samples of each input row out to `STRIDE` rows in turn, for a strided convolution."""
    SOFTMAX = 9
    READ = 10
    WRITE = 11


class Step(NamedTuple):
    """A row of the table of steps; positions count float32 numbers in `work` or `weights`.

    Attributes
    ----------
    op : Op
    x, x_row : int
        Where the first input row begins, and the distance of rows.
    n_in : int
        Input channels.
    w, bias : int
        Where the weights (block of output channels, input channel, tap, output channel) and biases begin.
    y, y_row : int
        Where the first output row begins, and the distance of rows.
    n_out : int
        Output channels.
    n : int
        Samples of an output row; what tiles hold beyond is written as zeros.
    first, last : int
        What tiles must cover: samples of the output, `OUTPUTS` of them in reduced convolutions, or samples
        of the input in transposed ones.
    crop : int
        Samples that a transposed convolution leaves out at its beginning.
    scratch : int
        Where a reduced convolution keeps values and products.
    """

    op: int
    x: int
    x_row: int
    n_in: int
    w: int = 0
    bias: int = 0
    y: int = 0
    y_row: int = 0
    n_out: int = 0
    n: int = 0
    first: int = 0
    last: int = 0
    crop: int = 0
    scratch: int = 0


TILES = {
    16: (*2 * (Tile(8, 3), Tile(16, 1)), Tile(2, 3), Tile(4, 1), Tile(8, 3), Tile(16, 1)),
    8: (*2 * (Tile(4, 3), Tile(4, 2)), Tile(1, 3), Tile(2, 1), Tile(4, 3), Tile(4, 2)),
    4: (*2 * (Tile(8, 3), Tile(8, 1)), Tile(2, 3), Tile(4, 1), Tile(8, 3), Tile(8, 1)),
}[LANES]
"""By `Op`; a transposed one holds `STRIDE` sums for each. AVX-512 and NEON have 32 registers, AVX2 has 16."""
