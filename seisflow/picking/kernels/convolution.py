"""The layers of one-dimensional convolutional networks, compiled.

A network is a table of steps over two flat arrays: `weights`, and `work` with the rows of all its
activations. Rows begin and end in zeros, the padding of the convolutions. Every output is one chain of
operations in a fixed order, wherever it lies in a tile: results do not depend on how a trace is cut,
as long as the pieces begin at multiples of `OUTPUTS` samples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from seisflow.picking.kernels.steps import CLASSES, STRIDE, TAPS, TILES, Op, Step, Tile
from seisflow.picking.kernels.tiles import (
    convolution,
    copy_bytes,
    deal,
    reduced,
    softmax,
    transposed,
    write_values,
)
from seisflow.picking.kernels.toom_cook import VALUES
from seisflow.picking.kernels.vectors import LANES

__all__ = ["infer"]

Floats = NDArray[np.float32]
Table = NDArray[np.int64]


def _layer(compute: Callable[..., None], tile: Tile) -> Any:
    """Return a function that covers all outputs of a step with tiles."""
    channels, span = tile.channels, tile.vectors * LANES

    @njit(nogil=True)
    def layer(step: Step, weights: Floats, work: Floats) -> None:
        for t in range(step.first, step.last, span):
            for c in range(0, step.n_out, channels):
                w, y = step.w + c * step.n_in * TAPS, step.y + c * step.y_row
                compute(
                    work, weights, step.x, step.x_row, step.n_in, w, step.bias + c, y, step.y_row, t, step.n,
                    step.crop,
                )  # fmt: skip

    return layer


def _reduced_layer(compute: Callable[..., None], tile: Tile) -> Any:
    """Return a function that covers all outputs of a step with tiles of a reduced convolution."""
    channels, lanes = tile.channels, tile.vectors * LANES

    @njit(nogil=True)
    def layer(step: Step, weights: Floats, work: Floats) -> None:
        n_in, at = step.n_in, step.scratch
        products = at + VALUES * n_in * lanes
        for t in range(step.first, step.last, lanes - 1):
            for c in range(n_in):
                for lane in range(0, lanes, LANES):
                    x, y = step.x + c * step.x_row, at + c * lanes + lane
                    write_values(work, weights, x, 0, 0, 0, 0, y, n_in * lanes, t + lane, 0, 0)
            for c in range(0, step.n_out, channels):
                w, y = step.w + c * n_in * (2 * VALUES - 1), step.y + c * step.y_row
                compute(
                    work, weights, at, 0, n_in, w, step.bias + c, y, step.y_row, t, step.n, products
                )  # fmt: skip

    return layer


_same_wide = _layer(convolution(TILES[Op.SAME_WIDE], 1), TILES[Op.SAME_WIDE])
_same_narrow = _layer(convolution(TILES[Op.SAME_NARROW], 1), TILES[Op.SAME_NARROW])
_strided_wide = _layer(convolution(TILES[Op.STRIDED_WIDE], STRIDE), TILES[Op.STRIDED_WIDE])
_strided_narrow = _layer(convolution(TILES[Op.STRIDED_NARROW], STRIDE), TILES[Op.STRIDED_NARROW])
_transposed_wide = _layer(transposed(TILES[Op.TRANSPOSED_WIDE]), TILES[Op.TRANSPOSED_WIDE])
_transposed_narrow = _layer(transposed(TILES[Op.TRANSPOSED_NARROW]), TILES[Op.TRANSPOSED_NARROW])
_reduced_wide = _reduced_layer(reduced(TILES[Op.REDUCED_WIDE]), TILES[Op.REDUCED_WIDE])
_reduced_narrow = _reduced_layer(reduced(TILES[Op.REDUCED_NARROW]), TILES[Op.REDUCED_NARROW])
_mix = _layer(softmax, Tile(CLASSES, 1))


@njit(nogil=True)
def _deal_rows(step: Step, weights: Floats, work: Floats) -> None:
    for c in range(step.n_in):
        x, y = step.x + c * step.x_row, step.y + c * STRIDE * step.y_row
        for t in range(step.first, step.last, LANES):
            deal(work, weights, x, 0, 0, 0, 0, y, step.y_row, t, 0, 0)


@njit(nogil=True)
def _step(row: Table) -> Step:
    return Step(
        row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8], row[9], row[10], row[11],
        row[12], row[13],
    )  # fmt: skip


@njit(nogil=True)
def _run(step: Step, weights: Floats, work: Floats) -> None:
    op = step.op
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
    elif op == Op.REDUCED_WIDE:
        _reduced_wide(step, weights, work)
    elif op == Op.REDUCED_NARROW:
        _reduced_narrow(step, weights, work)
    elif op == Op.DEAL:
        _deal_rows(step, weights, work)
    elif op == Op.SOFTMAX:
        _mix(step, weights, work)


SIGNATURE = types.void(
    types.Array(types.float32, 3, "A", readonly=True), types.UniTuple(types.int64, 7),
    types.int64[:, ::1], types.float32[::1], types.float32[::1], types.float32[:, :, ::1],
)  # fmt: skip


def _source() -> str:
    """Return a digest of the files that write instructions."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.blake2b(b"".join(file.read_bytes() for file in files), digest_size=8).hexdigest()


def _compile(source: str) -> Any:
    @njit(SIGNATURE, cache=True, nogil=True)
    def infer(
        windows: Floats, piece: tuple[int, ...], steps: Table, weights: Floats, work: Floats, out: Floats
    ) -> None:  # fmt: skip
        first_window, last_window, start, stop, first, last, origin = piece
        assert source  # belongs to the key under which the cache keeps this function
        read, write = _step(steps[0]), _step(steps[-1])
        for window in range(first_window, last_window):
            for c in range(read.n_in):
                where = window * windows.strides[0] + c * windows.strides[1] + start * windows.strides[2]
                copy_bytes(work, 4 * (read.y + c * read.y_row), windows, where, 4 * (stop - start))
            for row in range(1, len(steps) - 1):
                _run(_step(steps[row]), weights, work)
            for c in range(write.n_in):
                where = window * out.strides[0] + c * out.strides[1] + (first - origin) * out.strides[2]
                at = write.x + c * write.x_row + first - start
                copy_bytes(out, where, work, 4 * at, 4 * (last - first))

    return infer


infer = _compile(_source())
"""Put samples ``[start, stop)`` of some windows through a network, and keep those ``[first, last)``.

Parameters
----------
windows : ndarray of float32, shape (window, component, sample)
    Of any strides.
piece : tuple of int
    ``(first_window, last_window, start, stop, first, last, origin)``; `out` begins with sample `origin`.
steps : ndarray of int64, shape (step, field)
    Rows of `Step`, the first `Op.READ`, the last `Op.WRITE`.
weights : ndarray of float32
work : ndarray of float32
    Zeros, or what the same steps left.
out : ndarray of float32, shape (window, class, sample)
"""
