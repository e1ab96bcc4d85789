"""Weights for SeisBench's networks where no trained ones are at hand: random, but they pick now and then.

Random networks pick nothing, or everywhere. Here all layers but the last are seeded random numbers; the last
is fitted to the earthquakes of a record (logistic regression), and its bias set so that the probabilities
reach the threshold about as often as there are onsets. Such networks are bad pickers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["random_weights"]

WIDTH = 20.0
"""Standard deviation of the bell around an onset that is wanted, samples."""
ABOVE = {"PhaseNet": 3, "EQTransformer": 100, "GPD": 30}
"""So many samples an onset are above the threshold."""
BATCH = 64
NEAR = range(-60, 61, 6)
"""Offsets from onsets of windows that a network with one value a window is fitted to, samples."""


def random_weights(folder: Path, name: str, data: np.ndarray, onsets: np.ndarray) -> str:
    """Write weights of a SeisBench model; return the file.

    Parameters
    ----------
    folder : Path
    name : str
        PhaseNet, EQTransformer or GPD.
    data : ndarray of float32, shape (component, sample)
        Components Z, N and E.
    onsets : ndarray of int64, shape (earthquake, 2)
        Samples of P and S.
    """
    import seisbench.models
    import torch

    torch.manual_seed(1)
    phases = {"phases": "PSN"} if name == "GPD" else {}
    model = getattr(seisbench.models, name)(component_order="ZNE", **phases).eval()
    for part in model.modules():
        if isinstance(part, torch.nn.Conv1d | torch.nn.Linear):
            torch.nn.init.kaiming_normal_(part.weight)
    n, is_point = model.in_samples, name == "GPD"
    onsets = onsets[onsets.max(axis=1) < data.shape[1] - n]
    starts = np.arange(0, data.shape[1] - n + 1, 50 if is_point else n)
    n_even = len(starts)
    if is_point:
        starts = np.concatenate([starts, (onsets.reshape(-1, 1) - n // 2 + np.array(NEAR)).ravel()])
        starts = starts.clip(0, data.shape[1] - n)
    lag = np.arange(data.shape[1]) - onsets.T[..., None]
    bells = np.exp(-0.5 * (lag / WIDTH) ** 2).max(axis=1).astype(np.float32)
    wanted = torch.from_numpy(
        np.stack([bells[:, i + n // 2, None] if is_point else bells[:, i : i + n] for i in starts])
    )
    share = ABOVE[name] * len(onsets) / data.shape[1]
    with_layer = {
        "PhaseNet": ["out"] * 2,
        "EQTransformer": ["pick_convs.0", "pick_convs.1"],
        "GPD": ["fc3"] * 2,
    }
    rows = {"PhaseNet": [1, 2], "EQTransformer": [0, 0], "GPD": [0, 1]}
    layers = [model.get_submodule(layer) for layer in with_layer[name]]
    for layer in layers:
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    inputs = _inputs(model, layers, data, starts)
    for phase, (layer, row) in enumerate(zip(layers, rows[name], strict=True)):
        threshold = model._annotate_args["*_threshold"][1]
        _fit(layer, row, inputs[layer], wanted[:, phase], float(threshold), share, n_even)
    model.save(str(folder / name.lower()), version_str="1")
    return str(folder / f"{name.lower()}.pt.v1")


def _inputs(model: Any, layers: list[Any], data: np.ndarray, starts: np.ndarray) -> dict[Any, Any]:
    """Return what comes into some layers, for windows of a record."""
    import torch

    seen: dict[Any, list[Any]] = {layer: [] for layer in layers}
    hooks = [layer.register_forward_hook(lambda *call: seen[call[0]].append(call[1][0])) for layer in seen]
    with torch.no_grad():
        for first in range(0, len(starts), BATCH):
            part = starts[first : first + BATCH]
            windows = torch.from_numpy(np.stack([data[:, i : i + model.in_samples] for i in part]))
            model(model.annotate_batch_pre(windows, {}))
    for hook in hooks:
        hook.remove()
    return {layer: torch.cat(values) for layer, values in seen.items()}


def _fit(layer: Any, row: int, inputs: Any, wanted: Any, threshold: float, share: float, n_even: int) -> None:
    """Fit one output of a layer; of the first `n_even` windows a share shall be above the threshold."""
    import torch

    others = tuple(i for i in range(inputs.ndim) if i != 1)
    scale = inputs.std(dim=others, keepdim=True) + 1e-6
    inputs, scale = inputs / scale, scale[0]
    n = wanted.shape[1]
    inner = slice(n // 4, n - n // 4)  # the ends see the zeros around a window
    wanted = wanted if inputs.ndim == 2 else wanted[:, inner]
    weight = torch.zeros_like(layer.weight[row : row + 1]).requires_grad_()
    bias = torch.zeros(1, requires_grad=True)

    def log_odds() -> Any:
        if inputs.ndim == 2:
            return torch.nn.functional.linear(inputs, weight, bias)
        return torch.nn.functional.conv1d(inputs, weight, bias, padding="same")[:, 0, inner]

    optimiser = torch.optim.LBFGS([weight, bias], max_iter=30, line_search_fn="strong_wolfe")

    def loss() -> Any:
        optimiser.zero_grad()
        value = torch.nn.functional.binary_cross_entropy_with_logits(log_odds(), wanted)
        value = value + 1e-4 * weight.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    with torch.no_grad():
        reached = float(np.quantile(log_odds()[:n_even].numpy(), 1 - share))
        layer.weight[row] = weight[0] / scale
        layer.bias[row] = bias[0] - reached + np.log(threshold / (1 - threshold))
