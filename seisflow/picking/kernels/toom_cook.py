"""Convolution by a kernel of seven taps in half of the multiplications.

Four outputs of a convolution by four taps are a product of polynomials, which is found from its values
at seven points instead of from sixteen products (Toom-Cook, known as F(4, 4) of Winograd). Seven taps are
two such kernels, of four and of three taps; the second sees what the first sees four samples
later, so both share the values of the signal.

The points +-1/2, +-1, +-3/2 and infinity keep the rounding error near that of the direct sum. One kernel of
seven taps at ten points would save more multiplications, at five times the error.

References
----------
Winograd, S. (1980), Arithmetic Complexity of Computations, SIAM. Lavin, A. & Gray, S. (2016), CVPR,
doi:10.1109/CVPR.2016.435.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seisflow.picking.kernels.vectors import Emitter

__all__ = ["OUTPUTS", "PAIRS", "VALUES", "combined", "values", "weight_values"]

PAIRS = (0.5, 1.0, 1.5)
"""Points, each with its negative; beside them stands infinity."""
VALUES = 2 * len(PAIRS) + 1
OUTPUTS = 4


def _others(a: float) -> tuple[float, float]:
    """Return the coefficients of 1 and x**2 in the product of x**2 - b**2 over the other pairs."""
    b, c = (pair**2 for pair in PAIRS if pair != a)
    return b * c, -b - c


def weight_values(taps: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the values of kernels of four taps at the points, in the last axis."""
    powers = []
    for a in PAIRS:
        constant, square = _others(a)
        scale = 2 * a * (a**4 + square * a**2 + constant)
        powers += [np.array([1, sign * a, a**2, sign * a**3]) / scale for sign in (1, -1)]
    powers.append(np.array([0, 0, 0, 1.0]))
    result: NDArray[np.float64] = taps.astype(np.float64) @ np.array(powers).T
    return result


def values(emit: Emitter, d: Sequence[Any]) -> list[Any]:
    """Return the values of a signal at the points, from the seven samples before and at four outputs."""
    found = []
    for a in PAIRS:
        constant, square = (emit.constant(number) for number in _others(a))
        even, odd = (
            emit.multiply_add(constant, d[k], emit.multiply_add(square, d[k + 2], d[k + 4])) for k in (0, 1)
        )
        even = emit.builder.fmul(emit.constant(a), even)
        found += [emit.builder.fadd(even, odd), emit.builder.fsub(even, odd)]
    last = d[6]
    squares = np.poly([pair**2 for pair in PAIRS])
    for k, coefficient in zip((4, 2, 0), squares[1:], strict=True):
        last = emit.multiply_add(emit.constant(coefficient), d[k], last)
    return [*found, last]


def combined(emit: Emitter, products: Sequence[Any], bias: Any) -> list[Any]:
    """Return four outputs from the products at the points."""
    b = emit.builder
    sums = [b.fadd(products[2 * i], products[2 * i + 1]) for i in range(len(PAIRS))]
    differences = [b.fsub(products[2 * i], products[2 * i + 1]) for i in range(len(PAIRS))]
    outputs = []
    for power in range(OUTPUTS):
        output = b.fadd(bias, products[-1]) if power == OUTPUTS - 1 else bias
        for a, term in zip(PAIRS, differences if power % 2 else sums, strict=True):
            output = emit.multiply_add(emit.constant(a**power), term, output)
        outputs.append(output)
    return outputs
