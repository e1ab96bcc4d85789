"""The training of PhaseLink, and what is measured in it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from seisflow.association.linking.network import LinkNetwork
from seisflow.training.linking.batches import Batch, Batches, batch_of
from seisflow.training.linking.ground import Ground
from seisflow.training.linking.recipe import LinkRecipe
from seisflow.training.linking.rules import Rules
from seisflow.training.linking.sequences import make_sequences
from seisflow.training.loop import Loop

__all__ = ["HeldOut", "LinkTrainer", "loss_of", "measure"]

N_BATCH = 64


class LinkTrainer(Loop[LinkNetwork]):
    """A training of PhaseLink for one network in a folder.

    Parameters
    ----------
    recipe : LinkRecipe
    folder : Path
    ground : Ground
        The network, its surroundings and travel times.
    start : dict of Tensor, optional
        Weights to begin with; random ones otherwise.
    """

    def __init__(
        self, recipe: LinkRecipe, folder: Path, ground: Ground, start: dict[str, Tensor] | None = None
    ) -> None:
        self.recipe, self.ground = recipe, ground
        super().__init__(recipe, folder, lambda: LinkNetwork(recipe.n_neurons, recipe.n_layers), start)
        self.held_out = HeldOut(recipe.rules, ground, recipe.seed, recipe.n_validation)
        self.batches = Batches(
            recipe.rules,
            ground,
            recipe.seed,
            "training",
            recipe.batch_size,
            recipe.batches_per_pool,
            recipe.threads,
        )

    def fingerprint(self) -> str:
        """Return a hash of all that decides the weights: recipe, network, velocity, weights begun with."""
        hasher = hashlib.blake2b(self.recipe.fingerprint().encode(), digest_size=8)
        for part in self.ground:
            hasher.update(np.asarray(part).tobytes())
        hasher.update(self._start_bytes())
        return hasher.hexdigest()

    def _loss(self) -> Tensor:
        batch = self.batches.batch(self.step).to(self.device)
        logits = self.network.logits(batch.features, self.recipe.precision == "bfloat16")
        return loss_of(logits, batch)

    def _measure(self) -> dict[str, float]:
        return measure(self.mean, self.held_out, self.device)


@dataclass(frozen=True)
class HeldOut:
    """Sequences that are never trained on and follow from the seed alone."""

    rules: Rules
    ground: Ground
    seed: int
    n: int

    @cached_property
    def batches(self) -> list[Batch]:
        """Return them in batches, sorted by length."""
        sequences = make_sequences(self.rules, self.ground, self.seed, "held out", 0, self.n)
        order = np.argsort(sequences.count, kind="stable")
        parts = [order[first : first + N_BATCH] for first in range(0, self.n, N_BATCH)]
        return [batch_of(sequences, part, self.ground, self.rules) for part in parts]


def loss_of(logits: Tensor, batch: Batch) -> Tensor:
    """Return the cross-entropy of the picks of a batch; padding does not count."""
    entropy = F.binary_cross_entropy_with_logits(logits, batch.linked, reduction="none")
    return entropy[batch.real].mean()


def measure(network: LinkNetwork, held_out: HeldOut, device: str = "cpu") -> dict[str, float]:
    """Return loss, accuracy, and precision, recall and F1 of the links; the root is not counted."""
    network.eval()
    total, n, right, true_positive, predicted, linked = 0.0, 0, 0, 0, 0, 0
    with torch.inference_mode():
        for cpu_batch in held_out.batches:
            batch = cpu_batch.to(device)
            logits = network.logits(batch.features)
            n_real = int(batch.real.sum())
            total, n = total + n_real * float(loss_of(logits, batch)), n + n_real
            counted = batch.real.clone()
            counted[0] = False
            said, is_linked = (logits > 0) & counted, (batch.linked > 0) & counted
            right += int(((said == is_linked) & counted).sum())
            true_positive += int((said & is_linked).sum())
            predicted, linked = predicted + int(said.sum()), linked + int(is_linked.sum())
    return {
        "validation_loss": round(total / n, 6),
        "accuracy": round(right / max(1, n - held_out.n), 5),
        "precision": round(true_positive / max(1, predicted), 4),
        "recall": round(true_positive / max(1, linked), 4),
        "f1": round(2 * true_positive / max(1, predicted + linked), 4),
    }
