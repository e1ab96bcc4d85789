"""The layers of a PhaseNet from its state dict: checked, and its batch normalisations folded into them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seisflow.errors import WeightsError
from seisflow.picking.kernels.steps import CLASSES, TAPS
from seisflow.picking.networks.program import Layer, Layers

__all__ = ["DEPTH", "folded_layers"]

DEPTH = 5
EPSILON = 1e-3
"""Added to the variances of the batch normalisations."""
NORM = ("weight", "bias", "running_mean", "running_var")

State = Mapping[str, NDArray[Any]]


def folded_layers(state: Mapping[str, Any]) -> Layers:
    """Return convolutions that do what those of a state dict and their batch normalisations do.

    Parameters
    ----------
    state : mapping
        Arrays or tensors by the names that SeisBench's PhaseNet gives them.

    Raises
    ------
    WeightsError
        If layers are missing, unknown or of another shape.
    """
    arrays: State = {name: np.asarray(value) for name, value in state.items()}
    _check(arrays)
    return Layers(
        inlet=_folded(arrays, "inc", "in_bn"),
        down=[
            [_folded(arrays, f"down_branch.{level}.{i}", f"down_branch.{level}.{i + 1}") for i in parts]
            for level, parts in enumerate([(0, 2)] * (DEPTH - 1) + [(0,)])
        ],
        up=[
            [
                _folded(arrays, f"up_branch.{level}.0", f"up_branch.{level}.1", transposed=True),
                _folded(arrays, f"up_branch.{level}.2", f"up_branch.{level}.3"),
            ]
            for level in range(DEPTH - 1)
        ],
        outlet=Layer(_float32(arrays["out.weight"]), _float32(arrays["out.bias"])),
    )


def _folded(state: State, convolution: str, norm: str, *, transposed: bool = False) -> Layer:
    """Return a convolution and the normalisation behind it in one; weight (output, input, tap)."""
    weight = state[f"{convolution}.weight"].astype(np.float64)
    if transposed:
        weight = weight.swapaxes(0, 1)
    gain, shift, mean, variance = (state[f"{norm}.{name}"].astype(np.float64) for name in NORM)
    factor = gain / np.sqrt(variance + EPSILON)
    bias = state.get(f"{convolution}.bias", np.zeros(len(weight)))
    return Layer(_float32(weight * factor[:, None, None]), _float32((bias - mean) * factor + shift))


def _float32(values: NDArray[Any]) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, np.float32)


def _check(state: State) -> None:
    """Compare names and shapes with those of a PhaseNet that is as wide as the first layer."""
    inlet, outlet = state.get("inc.weight"), state.get("out.bias")
    if inlet is None or outlet is None or inlet.ndim != 3 or outlet.ndim != 1:
        raise WeightsError("the weights do not fit the PhaseNet network: it has the layers inc and out")
    if len(outlet) != CLASSES:
        raise WeightsError(
            f"the compiled PhaseNet has {CLASSES} classes, found weights for {len(outlet)}; "
            "run these with torch"
        )
    expected = dict(_shapes(inlet.shape[1], len(inlet), len(outlet)))
    found = {name: array.shape for name, array in state.items() if not name.endswith("num_batches_tracked")}
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if wrong:
        name = wrong[0]
        raise WeightsError(
            f"the weights do not fit the PhaseNet network: {len(wrong)} arrays differ; the first is {name}, "
            f"found {found.get(name, 'none')}, expected {expected.get(name, 'none')}"
        )


def _shapes(n_in: int, width: int, n_classes: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the names and shapes of a PhaseNet."""
    widths = [width * 2**level for level in range(DEPTH)]

    def normalised(
        convolution: str, norm: str, shape: tuple[int, int, int], n: int
    ) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield f"{convolution}.weight", shape
        yield from ((f"{norm}.{name}", (n,)) for name in NORM)

    yield from normalised("inc", "in_bn", (width, n_in, TAPS), width)
    yield "inc.bias", (width,)
    for level, (before, n) in enumerate(pairwise([width, *widths])):
        yield from normalised(f"down_branch.{level}.0", f"down_branch.{level}.1", (n, before, TAPS), n)
        if level < DEPTH - 1:
            yield from normalised(f"down_branch.{level}.2", f"down_branch.{level}.3", (n, n, TAPS), n)
    for level, (below, n) in enumerate(pairwise(widths[::-1])):
        yield from normalised(f"up_branch.{level}.0", f"up_branch.{level}.1", (below, n, TAPS), n)
        yield from normalised(f"up_branch.{level}.2", f"up_branch.{level}.3", (n, 2 * n, TAPS), n)
    yield "out.weight", (n_classes, width, 1)
    yield "out.bias", (n_classes,)
