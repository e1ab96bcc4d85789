"""Tiles of the layers of one-dimensional convolutional networks, in vector registers.

Compilers do not find the register tiles that a convolution needs, so the tiles are written in LLVM's
instructions: some output channels times some vectors of samples stay in registers while the input
channels and the taps of the kernel pass by.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from seisflow.picking.kernels.steps import CLASSES, STRIDE, TAPS, Tile
from seisflow.picking.kernels.toom_cook import OUTPUTS, VALUES, combined, values
from seisflow.picking.kernels.vectors import I64, LANES, Emitter

__all__ = ["convolution", "copy_bytes", "deal", "reduced", "softmax", "transposed", "write_values"]


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


def convolution(tile: Tile, rows: int) -> Callable[..., None]:
    """Return a tile of a convolution; with a stride, an input channel is dealt out to `rows` rows."""

    def emit_tile(emit: Emitter, a: _Arguments) -> None:
        """Write the instructions."""
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


def transposed(tile: Tile) -> Callable[..., None]:
    """Return a tile of a transposed convolution whose output 0 is that of tap 1 and input 0, less `crop`."""

    def emit_tile(emit: Emitter, a: _Arguments) -> None:
        """Write the instructions."""
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
def write_values(emit: Emitter, a: _Arguments) -> None:
    """Write the values of a channel at the points; `y_row` parts the points."""
    at_x = emit.at(a.work, a.x, emit.times(a.t, OUTPUTS))
    near, far = (
        emit.dealt([emit.load(emit.at(at_x, shift + LANES * q)) for q in range(OUTPUTS)])
        for shift in (0, OUTPUTS)
    )
    for point, value in enumerate(values(emit, near + far)):
        emit.store(value, emit.at(a.work, a.y, emit.times(a.y_row, point)))


def reduced(tile: Tile) -> Callable[..., None]:
    """Return a tile of a convolution, from values at `x` over products at `crop`.

    Its last lane is left undone, for want of the values that follow.
    """
    lanes = tile.vectors * LANES

    def emit_point(emit: Emitter, a: _Arguments, point: Any, halves: int) -> None:
        """Write the instructions of the products at one point, with the values of one or both kernels."""
        b = emit.builder
        zero = emit.constant(0.0)
        sums = [
            [cgutils.alloca_once_value(b, zero) for _ in range(tile.vectors)] for _ in range(tile.channels)
        ]
        for place in chain(*sums):
            b.store(zero, place)
        before = b.mul(point, a.n_in)
        at_values = emit.at(a.work, a.x, emit.times(before, lanes))
        at_weights = emit.at(a.weights, a.w, emit.times(before, 2 * tile.channels))
        with cgutils.for_range(b, a.n_in) as loop:
            at_x = emit.at(at_values, emit.times(loop.index, lanes))
            at_w = emit.at(at_weights, emit.times(loop.index, halves * tile.channels))
            for half in range(halves):
                samples = [emit.load(emit.at(at_x, half + LANES * j)) for j in range(tile.vectors)]
                emit.accumulate(sums, emit.at(at_w, half * tile.channels), samples)
        at_y = emit.at(a.work, a.crop, emit.times(point, lanes * tile.channels))
        for c, row in enumerate(sums):
            for j, place in enumerate(row):
                emit.store(b.load(place), emit.at(at_y, lanes * c + LANES * j))

    def emit_tile(emit: Emitter, a: _Arguments) -> None:
        """Write the instructions."""
        b = emit.builder
        infinity = ir.Constant(I64, VALUES - 1)
        with cgutils.for_range(b, infinity) as loop:
            emit_point(emit, a, loop.index, 2)
        emit_point(emit, a, infinity, 1)  # it knows the fourth tap alone, which the second kernel lacks
        start = emit.times(a.t, OUTPUTS)
        for j in range(tile.vectors):
            with cgutils.for_range(b, ir.Constant(I64, tile.channels)) as loop:
                at_m = emit.at(a.work, a.crop, emit.times(loop.index, lanes), LANES * j)
                products = [emit.load(emit.at(at_m, p * lanes * tile.channels)) for p in range(VALUES)]
                bias = emit.splat(b.load(emit.at(a.weights, a.bias, loop.index)))
                at_y = emit.at(a.work, a.y, start, b.mul(a.y_row, loop.index))
                outputs = emit.interleaved(combined(emit, products, bias))
                for q, value in enumerate(outputs, start=OUTPUTS * j):
                    emit.store_positive(value, emit.at(at_y, LANES * q), emit.plus(start, LANES * q), a.n)

    return _tile(emit_tile)


@_tile
def deal(emit: Emitter, a: _Arguments) -> None:
    """Deal the samples of one row out to `STRIDE` rows, a vector each."""
    at_x = emit.at(a.work, a.x, emit.times(a.t, STRIDE))
    for phase, row in enumerate(emit.dealt([emit.load(emit.at(at_x, LANES * q)) for q in range(STRIDE)])):
        emit.store(row, emit.at(a.work, a.y, a.t, emit.times(a.y_row, phase)))


@_tile
def softmax(emit: Emitter, a: _Arguments) -> None:
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


def _copy() -> Callable[..., None]:
    """Return a function for compiled code that copies bytes: (to, first byte, from, first byte, bytes)."""

    @intrinsic
    def copy(typing: Any, to: Any, to_byte: Any, source: Any, source_byte: Any, n_bytes: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            places = []
            for i in (0, 2):
                data = context.make_array(signature.args[i])(context, builder, args[i]).data
                places.append(builder.gep(builder.bitcast(data, ir.IntType(8).as_pointer()), [args[i + 1]]))
            cgutils.raw_memcpy(builder, places[0], places[1], args[4], 1)
            return context.get_dummy_value()

        return types.void(to, types.int64, source, types.int64, types.int64), emit

    return copy


copy_bytes = _copy()
