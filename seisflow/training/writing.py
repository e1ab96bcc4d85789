"""The last step of a training: calibrate, and write weights with the recipe that made them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

import seisflow
from seisflow.picking.networks.bundled import KIND, BundledNetwork
from seisflow.training.trainer import loss_of
from seisflow.training.validation import Validation
from seisflow.weightfile import write_weight_file

__all__ = ["calibrate", "write_network"]


def calibrate(network: BundledNetwork, validation: Validation) -> float:
    """Set the temperature under which the probabilities fit held-out simulated examples best; return it.

    References
    ----------
    Guo et al. (2017), On calibration of modern neural networks, ICML.
    """
    network.eval()
    candidates = torch.exp(torch.linspace(-0.7, 0.7, 29)).tolist()
    losses = [0.0] * len(candidates)
    with torch.inference_mode():
        for examples in validation.batches:
            logits = network.logits(examples.traces)
            for i, temperature in enumerate(candidates):
                losses[i] += float(loss_of(logits / temperature, examples))
    best = float(candidates[losses.index(min(losses))])
    network.temperature.fill_(best)
    return best


def write_network(network: BundledNetwork, path: Path, recipe: dict[str, Any]) -> None:
    """Write the weights of a network, and how they came about."""
    parameters = {"widths": list(network.widths), "n_deep": network.n_deep}
    about = {"seisflow": seisflow.__version__, "torch": torch.__version__} | recipe
    write_weight_file(path, KIND, parameters, network.plain_state(), about)
