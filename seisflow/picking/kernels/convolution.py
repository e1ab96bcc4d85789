"""Layers of one-dimensional convolutional networks, computed in vector registers.

Compilers do not find the register tiles that a convolution needs, so the tiles are written in LLVM's
instructions: some output channels times some vectors of samples stay in registers while the input
channels and the taps of the kernel pass by. Every output is one chain of multiply-adds over channels,
then taps, wherever it lies in a tile: results do not depend on how a trace is cut.

A network is a table of steps over two flat arrays: `weights`, and `work` with the rows of all its
activations. Rows begin and end in zeros, the padding of the convolutions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from seisflow.picking.kernels.vectors import LANES, Emitter

__all__ = ["CLASSES", "STRIDE", "TAPS", "TILES", "Op", "Step", "Tile", "infer"]

Floats = NDArray[np.float32]
Table = NDArray[np.int64]

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
    DEAL = 6
    """Deal the samples of each input row out to `STRIDE` rows in turn, for a strided convolution."""
    SOFTMAX = 7
    READ = 8
    WRITE = 9


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
    n_tiled : int
        Samples that tiles must cover: of the output, or the input of a transposed convolution.
    crop : int
        Samples that a transposed convolution leaves out at its beginning.
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
    n_tiled: int = 0
    crop: int = 0


TILES = {
    16: (Tile(8, 3), Tile(16, 1), Tile(8, 3), Tile(16, 1), Tile(2, 3), Tile(4, 1)),
    8: (Tile(4, 3), Tile(4, 2), Tile(4, 3), Tile(4, 2), Tile(1, 3), Tile(2, 1)),
    4: (Tile(8, 3), Tile(8, 1), Tile(8, 3), Tile(8, 1), Tile(2, 3), Tile(4, 1)),
}[LANES]
"""By `Op`; a transposed one holds `STRIDE` sums for each. AVX-512 and NEON have 32 registers, AVX2 has 16."""


class _Arguments(NamedTuple):
    """What a tile is given: pointers and indices of the compiled function."""

    work: Any
    weights: Any
    x: Any
    x_row: Any
    n_in: Any
    w: Any
    bias: Any
    y: Any
    y_row: Any
    t: Any
    n: Any
    crop: Any


def _tile(emit_tile: Callable[[Emitter, _Arguments], None]) -> Callable[..., None]:
    """Return a function for compiled code from one that writes its instructions."""

    @intrinsic
    def tile(
        typing: Any, work: Any, weights: Any, x: Any, x_row: Any, n_in: Any, w: Any, bias: Any, y: Any,
        y_row: Any, t: Any, n: Any, crop: Any,
    ) -> Any:  # fmt: skip
        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointers = (
                context.make_array(kind)(context, builder, array).data
                for kind, array in zip(signature.args[:2], args[:2], strict=True)
            )
            emit_tile(Emitter(builder), _Arguments(*pointers, *args[2:]))
            return context.get_dummy_value()

        return types.void(work, weights, *[types.int64] * 10), emit

    return tile


def _convolution(tile: Tile, rows: int) -> Callable[..., None]:
    """Return a tile of a convolution; with a stride, an input channel is dealt out to `rows` rows."""

    def emit_tile(emit: Emitter, a: _Arguments) -> None:
        sums = emit.sums(emit.at(a.weights, a.bias), tile.channels, tile.vectors)
        with cgutils.for_range(emit.builder, a.n_in) as loop:
            at_x = emit.at(a.work, a.x, a.t, emit.builder.mul(a.x_row, emit.times(loop.index, rows)))
            at_w = emit.at(a.weights, a.w, emit.times(loop.index, TAPS * tile.channels))
            for tap in range(TAPS):
                row = emit.at(at_x, emit.times(a.x_row, tap % rows), tap // rows)
                samples = [emit.load(emit.at(row, LANES * j)) for j in range(tile.vectors)]
                emit.accumulate(sums, emit.at(at_w, tap * tile.channels), samples)
        for c, totals in enumerate(sums):
            at_y = emit.at(a.work, a.y, a.t, emit.times(a.y_row, c))
            for j, total in enumerate(totals):
                first = emit.plus(a.t, LANES * j)
                emit.store_positive(emit.builder.load(total), emit.at(at_y, LANES * j), first, a.n)

    return _tile(emit_tile)


def _transposed(tile: Tile) -> Callable[..., None]:
    """Return a tile of a transposed convolution whose output 0 is that of tap 1 and input 0, less `crop`."""

    def emit_tile(emit: Emitter, a: _Arguments) -> None:
        sums = emit.sums(emit.at(a.weights, a.bias), tile.channels, STRIDE * tile.vectors)
        with cgutils.for_range(emit.builder, a.n_in) as loop:
            at_x = emit.at(a.work, a.x, a.t, emit.builder.mul(a.x_row, loop.index))
            at_w = emit.at(a.weights, a.w, emit.times(loop.index, TAPS * tile.channels))
            offsets = [LANES * j for j in range(tile.vectors)]
            shifts = [
                [emit.load(emit.at(at_x, shift + offset)) for offset in offsets] for shift in (-1, 0, 1)
            ]
            for tap in range(TAPS):
                phase = (tap - 1) % STRIDE
                samples = shifts[1 + (phase + 1 - tap) // STRIDE]
                places = [row[phase * tile.vectors : (phase + 1) * tile.vectors] for row in sums]
                emit.accumulate(places, emit.at(at_w, tap * tile.channels), samples)
        start = emit.builder.sub(emit.times(a.t, STRIDE), a.crop)
        for c, totals in enumerate(sums):
            at_y = emit.at(a.work, a.y, start, emit.times(a.y_row, c))
            for j in range(tile.vectors):
                phases = [emit.builder.load(total) for total in totals[j :: tile.vectors]]
                for q, value in enumerate(emit.interleaved(phases), start=STRIDE * j):
                    emit.store_positive(value, emit.at(at_y, LANES * q), emit.plus(start, LANES * q), a.n)

    return _tile(emit_tile)


@_tile
def _deal(emit: Emitter, a: _Arguments) -> None:
    """Deal the samples of one row out to `STRIDE` rows, a vector each."""
    at_x = emit.at(a.work, a.x, emit.times(a.t, STRIDE))
    for phase, row in enumerate(emit.dealt([emit.load(emit.at(at_x, LANES * q)) for q in range(STRIDE)])):
        emit.store(row, emit.at(a.work, a.y, a.t, emit.times(a.y_row, phase)))


@_tile
def _softmax(emit: Emitter, a: _Arguments) -> None:
    """Mix channels into the logits of classes, and these into probabilities."""
    b = emit.builder
    sums = emit.sums(emit.at(a.weights, a.bias), CLASSES, 1)
    with cgutils.for_range(b, a.n_in) as loop:
        samples = emit.load(emit.at(a.work, a.x, a.t, b.mul(a.x_row, loop.index)))
        emit.accumulate(sums, emit.at(a.weights, a.w, emit.times(loop.index, CLASSES)), [samples])
    logits = [b.load(total) for (total,) in sums]
    top = logits[0]
    for logit in logits[1:]:
        top = b.select(b.fcmp_ordered(">", logit, top), logit, top)
    powers = [emit.exp(b.fsub(logit, top)) for logit in logits]
    total = powers[0]
    for power in powers[1:]:
        total = b.fadd(total, power)
    for c, power in enumerate(powers):
        emit.store(b.fdiv(power, total), emit.at(a.work, a.y, a.t, emit.times(a.y_row, c)))


def _layer(compute: Callable[..., None], tile: Tile) -> Any:
    """Return a function that covers all outputs of a step with tiles."""
    channels, span = tile.channels, tile.vectors * LANES

    @njit(nogil=True)
    def layer(step: Table, weights: Floats, work: Floats) -> None:
        for t in range(0, step[10], span):
            for c in range(0, step[8], channels):
                compute(
                    work, weights, step[1], step[2], step[3], step[4] + c * step[3] * TAPS, step[5] + c,
                    step[6] + c * step[7], step[7], t, step[9], step[11],
                )  # fmt: skip

    return layer


_same_wide = _layer(_convolution(TILES[Op.SAME_WIDE], 1), TILES[Op.SAME_WIDE])
_same_narrow = _layer(_convolution(TILES[Op.SAME_NARROW], 1), TILES[Op.SAME_NARROW])
_strided_wide = _layer(_convolution(TILES[Op.STRIDED_WIDE], STRIDE), TILES[Op.STRIDED_WIDE])
_strided_narrow = _layer(_convolution(TILES[Op.STRIDED_NARROW], STRIDE), TILES[Op.STRIDED_NARROW])
_transposed_wide = _layer(_transposed(TILES[Op.TRANSPOSED_WIDE]), TILES[Op.TRANSPOSED_WIDE])
_transposed_narrow = _layer(_transposed(TILES[Op.TRANSPOSED_NARROW]), TILES[Op.TRANSPOSED_NARROW])
_mix = _layer(_softmax, Tile(CLASSES, 1))


@njit(nogil=True)
def _deal_rows(step: Table, weights: Floats, work: Floats) -> None:
    for c in range(step[3]):
        x, y = step[1] + c * step[2], step[6] + c * STRIDE * step[7]
        for t in range(0, step[10], LANES):
            _deal(work, weights, x, 0, 0, 0, 0, y, step[7], t, 0, 0)


@njit(nogil=True)
def _run(step: Table, weights: Floats, work: Floats) -> None:
    op = step[0]
    if op == Op.SAME_WIDE:
        _same_wide(step, weights, work)
    elif op == Op.SAME_NARROW:
        _same_narrow(step, weights, work)
    elif op == Op.STRIDED_WIDE:
        _strided_wide(step, weights, work)
    elif op == Op.STRIDED_NARROW:
        _strided_narrow(step, weights, work)
    elif op == Op.TRANSPOSED_WIDE:
        _transposed_wide(step, weights, work)
    elif op == Op.TRANSPOSED_NARROW:
        _transposed_narrow(step, weights, work)
    elif op == Op.DEAL:
        _deal_rows(step, weights, work)
    elif op == Op.SOFTMAX:
        _mix(step, weights, work)


SIGNATURE = types.void(
    types.Array(types.float32, 3, "A", readonly=True), types.UniTuple(types.int64, 6),
    types.int64[:, ::1], types.float32[::1], types.float32[::1], types.float32[:, :, ::1],
)  # fmt: skip


def _source() -> str:
    """Return a digest of the files that write instructions."""
    files = [Path(__file__), Path(__file__).with_name("vectors.py")]
    return hashlib.blake2b(b"".join(file.read_bytes() for file in files), digest_size=8).hexdigest()


def _compile(source: str) -> Any:
    @njit(SIGNATURE, cache=True, nogil=True)
    def infer(
        windows: Floats, piece: tuple[int, ...], steps: Table, weights: Floats, work: Floats, out: Floats
    ) -> None:  # fmt: skip
        first_window, last_window, start, stop, first, last = piece
        assert source  # belongs to the key under which the cache keeps this function
        begin, end = steps[0], steps[-1]
        for window in range(first_window, last_window):
            for c in range(begin[3]):
                at = begin[6] + c * begin[7] - start
                for t in range(start, stop):
                    work[at + t] = windows[window, c, t]
            for s in range(1, len(steps) - 1):
                _run(steps[s], weights, work)
            for c in range(end[3]):
                at = end[1] + c * end[2] - start
                for t in range(first, last):
                    out[window, c, t] = work[at + t]

    return infer


infer = _compile(_source())
"""Put samples ``[start, stop)`` of some windows through a network, and keep those ``[first, last)``.

Parameters
----------
windows : ndarray of float32, shape (window, component, sample)
    Of any strides.
piece : tuple of int
    ``(first_window, last_window, start, stop, first, last)``.
steps : ndarray of int64, shape (step, field)
    Rows of `Step`, the first `Op.READ`, the last `Op.WRITE`.
weights : ndarray of float32
work : ndarray of float32
    Zeros, or what the same steps left.
out : ndarray of float32, shape (window, class, sample)
"""
