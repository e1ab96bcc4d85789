"""Scores of a network on simulated examples it never sees in training."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from seisflow.picking.networks.bundled import BundledNetwork
from seisflow.training.chance import Chance
from seisflow.training.earthquakes import RATE_HZ
from seisflow.training.examples import Examples, Pool
from seisflow.training.scores import Score, maxima, score_onsets

__all__ = ["Validation", "validate_network"]

N_SHARD = 128
N_BATCH = 64
THRESHOLD = 0.3
N_APART = 50
TOLERANCES_S = (0.1, 0.5)


@dataclass(frozen=True)
class Validation:
    """A set of simulated examples that depends on the seed only.

    Parameters
    ----------
    seed : int
    n_examples : int
    device : str
    """

    seed: int
    n_examples: int
    device: str = "cpu"

    @cached_property
    def batches(self) -> list[Examples]:
        """Return the examples in batches."""
        pool = Pool(self.seed, 1, N_SHARD, self.device, "validation")
        found = []
        for number in range(-(-self.n_examples // N_BATCH)):
            pool.advance(number // 2)
            n = min(N_BATCH, self.n_examples - number * N_BATCH)
            found.append(pool.draw(n, Chance(self.seed, "validation", number, self.device)))
        return found


def validate_network(network: BundledNetwork, validation: Validation) -> dict[str, float]:
    """Return loss and F1 of P and S at both tolerances and the mean of their residuals."""
    from seisflow.training.trainer import loss_of

    network.eval()
    losses, scores = [], {(phase, t): _nothing() for phase in "PS" for t in TOLERANCES_S}
    with torch.inference_mode():
        for examples in validation.batches:
            logits = network.logits(examples.traces)
            losses.append(float(loss_of(logits, examples)))
            curves = torch.softmax(logits / network.temperature, dim=1).cpu().numpy()
            for phase, tolerance_s in scores:
                scores[phase, tolerance_s] += _score(curves, examples, phase, tolerance_s)
    row = {"validation_loss": round(float(np.mean(losses)), 5)}
    for (phase, tolerance_s), score in scores.items():
        row[f"f1_{phase.lower()}_{tolerance_s:g}s"] = round(score.f1, 4)
    for phase in "PS":
        residuals = scores[phase, 0.1].residuals_s
        row[f"residual_{phase.lower()}_ms"] = (
            round(1e3 * float(residuals.mean()), 2) if len(residuals) else 0.0
        )
    return row


def _nothing() -> Score:
    return Score(0, 0, 0, np.zeros(0))


def _score(curves: np.ndarray, examples: Examples, phase: str, tolerance_s: float) -> Score:
    """Score the picks of one phase in a batch; onsets hidden in noise may be picked or not."""
    code = "NPS".index(phase)
    onsets = examples.onsets.cpu().numpy()
    onsets = onsets[onsets[:, 1] == code]
    total = _nothing()
    for row, curve in enumerate(curves[:, code]):
        found = maxima(curve, THRESHOLD, N_APART) / RATE_HZ
        here = onsets[onsets[:, 0] == row]
        times, visible = here[:, 2] / RATE_HZ, here[:, 3] > 0
        total += score_onsets(found, times[visible], tolerance_s, times[~visible])
    return total
