"""Arithmetic on vector registers: LLVM instructions, written while numba compiles a function."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import config
from numba.core import cgutils
from numba.core.codegen import get_host_cpu_features

__all__ = ["LANES", "Emitter"]

F32, I32, I64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
EXP_SERIES = (1.98756915e-4, 1.39819995e-3, 8.33345191e-3, 4.16657959e-2, 0.166666665, 0.5, 1.0, 1.0)
"""Minimax coefficients of exp(r) for abs(r) <= ln(2) / 2 (Cephes, expf)."""
LN2 = (0.693359375, -2.12194440e-4)
"""The logarithm of 2 in two parts, the first with few bits."""
ROUNDER = 1.5 * 2**23
"""Added and taken away it rounds a float32 to an integer, which stays in the low bits of the sum."""


def _lanes() -> int:
    """Return how many float32 a vector register of this CPU holds."""
    chosen = config.CPU_FEATURES  # type: ignore[attr-defined]
    features = get_host_cpu_features() if chosen is None else chosen
    if "+avx512f" in features:
        return 16
    return 8 if "+avx2" in features else 4


LANES = _lanes()
VECTOR = ir.VectorType(F32, LANES)
INTEGERS = ir.VectorType(I32, LANES)
ALTERNATE = [list(range(first, 2 * LANES, 2)) for first in (0, 1)]


class Emitter:
    """Writes instructions where the builder stands.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
    """

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def at(self, pointer: Any, *offsets: Any) -> Any:
        """Return a pointer moved by offsets, numbers or values."""
        for offset in offsets:
            pointer = self.builder.gep(
                pointer, [ir.Constant(I64, offset) if isinstance(offset, int) else offset]
            )
        return pointer

    def times(self, value: Any, factor: int) -> Any:
        """Return an index times a number."""
        return self.builder.mul(value, ir.Constant(I64, factor))

    def plus(self, value: Any, number: int) -> Any:
        """Return an index plus a number."""
        return self.builder.add(value, ir.Constant(I64, number))

    def load(self, pointer: Any) -> Any:
        """Return the vector that begins at a pointer."""
        return self.builder.load(self.builder.bitcast(pointer, VECTOR.as_pointer()), align=4)

    def store(self, value: Any, pointer: Any) -> None:
        """Write a vector."""
        self.builder.store(value, self.builder.bitcast(pointer, VECTOR.as_pointer()), align=4)

    def constant(self, number: float) -> Any:
        """Return a vector of one number."""
        return ir.Constant(VECTOR, [number] * LANES)

    def splat(self, scalar: Any, kind: Any = VECTOR) -> Any:
        """Return a vector of one value."""
        one = self.builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, ir.Constant(I32, 0))
        return self.shuffle(one, one, [0] * LANES)

    def shuffle(self, a: Any, b: Any, order: list[int]) -> Any:
        """Return elements of two vectors, numbered through, in some order."""
        return self.builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(I32, len(order)), order))

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """Return a * b + c, rounded once where the CPU can."""
        kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.fmuladd.v{LANES}f32")
        return self.builder.call(function, [a, b, c])

    def sums(self, bias: Any, channels: int, vectors: int) -> list[list[Any]]:
        """Return places for sums, which LLVM turns into registers; they begin at the biases."""
        starts = [self.splat(self.builder.load(self.at(bias, c))) for c in range(channels)]
        return [[cgutils.alloca_once_value(self.builder, start) for _ in range(vectors)] for start in starts]

    def accumulate(self, sums: list[list[Any]], weights: Any, samples: list[Any]) -> None:
        """Add to the sums of each channel its weight times the samples."""
        for c, row in enumerate(sums):
            weight = self.splat(self.builder.load(self.at(weights, c)))
            for place, sample in zip(row, samples, strict=True):
                self.builder.store(self.multiply_add(weight, sample, self.builder.load(place)), place)

    def store_positive(self, value: Any, pointer: Any, first: Any, n: Any) -> None:
        """Write max(value, 0) in lanes where ``0 <= first + lane < n``, else zero; NaN stays."""
        b, zero = self.builder, self.constant(0.0)
        lane = ir.Constant(INTEGERS, list(range(LANES)))
        place = b.add(self.splat(b.trunc(first, I32), INTEGERS), lane)
        inside = b.icmp_unsigned("<", place, self.splat(b.trunc(n, I32), INTEGERS))
        positive = b.select(b.fcmp_ordered(">", zero, value), zero, value)
        self.store(b.select(inside, positive, zero), pointer)

    def interleaved(self, rows: list[Any]) -> list[Any]:
        """Return a0 b0 c0 d0 a1 b1 ... of four vectors, as four vectors."""
        low, high = ([i // 2 + (i % 2) * LANES for i in range(n, n + LANES)] for n in (0, LANES))
        evens = [self.shuffle(rows[0], rows[2], order) for order in (low, high)]
        odds = [self.shuffle(rows[1], rows[3], order) for order in (low, high)]
        pairs = zip(evens, odds, strict=True)
        return [self.shuffle(even, odd, order) for even, odd in pairs for order in (low, high)]

    def dealt(self, vectors: list[Any]) -> list[Any]:
        """Return the samples 0, 4, 8, ..., then 1, 5, 9, ... and so on, of four vectors."""
        a, b, c, d = vectors
        evens, odds = ((self.shuffle(a, b, order), self.shuffle(c, d, order)) for order in ALTERNATE)
        return [self.shuffle(low, high, order) for order in ALTERNATE for low, high in (evens, odds)]

    def exp(self, x: Any) -> Any:
        """Return the exponential of numbers up to zero, within 1e-7; NaN stays."""
        b, rounder = self.builder, self.constant(ROUNDER)
        lowest = self.constant(-87.0)  # where float32 ends
        x = b.select(b.fcmp_ordered("<", x, lowest), lowest, x)
        shifted = self.multiply_add(x, self.constant(1.44269504), rounder)
        n = b.fsub(shifted, rounder)
        for part in LN2:
            x = self.multiply_add(n, self.constant(-part), x)
        series = self.constant(EXP_SERIES[0])
        for coefficient in EXP_SERIES[1:]:
            series = self.multiply_add(series, x, self.constant(coefficient))
        exponent = b.shl(b.bitcast(shifted, INTEGERS), ir.Constant(INTEGERS, [23] * LANES))
        power = b.add(exponent, ir.Constant(INTEGERS, [127 << 23] * LANES))
        return b.fmul(series, b.bitcast(power, VECTOR))
