"""The training of the bundled picker."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor

from seisflow.picking.networks.bundled import BundledNetwork
from seisflow.training.chance import Chance
from seisflow.training.examples import Examples, Pool
from seisflow.training.loop import Loop
from seisflow.training.recipe import Recipe
from seisflow.training.recordings import Recordings
from seisflow.training.validation import Validation, validate_network

__all__ = ["Trainer", "loss_of"]


class Trainer(Loop[BundledNetwork]):
    """A training of the bundled picker in a folder.

    Parameters
    ----------
    recipe : Recipe
    folder : Path
        Holds the checkpoint, the curves and, at the end, the weights.
    start : dict of Tensor, optional
        Weights to begin with; random ones otherwise.
    recordings : Recordings, optional
        Real records, `Recipe.real_part` of the examples; simulated ones are the rest.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        start: dict[str, Tensor] | None = None,
        recordings: Recordings | None = None,
    ) -> None:
        self.recipe, self.recordings = recipe, recordings
        super().__init__(recipe, folder, lambda: BundledNetwork(recipe.widths, recipe.n_deep), start)
        self.pool = Pool(recipe.seed, recipe.n_shards, recipe.shard_size, self.device)
        self.validation = Validation(recipe.seed, recipe.n_validation, self.device)

    def fingerprint(self) -> str:
        """Return a hash of all that decides the weights: recipe, real records, and weights begun with."""
        hasher = hashlib.blake2b(self.recipe.fingerprint().encode(), digest_size=8)
        hasher.update(self._start_bytes())
        if self.recordings:
            hasher.update(self.recordings.traces.tobytes() + self.recordings.onsets.tobytes())
        return hasher.hexdigest()

    def _loss(self) -> Tensor:
        recipe = self.recipe
        self.pool.advance(recipe.n_shards - 1 + self.step // recipe.steps_per_shard)
        chance = Chance(recipe.seed, "step", self.step, self.device)
        n_real = round(recipe.real_part * recipe.batch_size) if self.recordings else 0
        examples = self.pool.draw(recipe.batch_size - n_real, chance)
        if self.recordings and n_real:
            examples = examples.joined(self.recordings.draw(n_real, chance))
        return loss_of(self.network.logits(examples.traces), examples)

    def _measure(self) -> dict[str, float]:
        return validate_network(self.mean, self.validation)


def loss_of(logits: Tensor, examples: Examples) -> Tensor:
    """Return the cross-entropy of examples, weighted, in units of one per hundred samples."""
    entropy = -(examples.labels * F.log_softmax(logits, dim=1)).sum(1)
    return 100 * (entropy * examples.weight).sum() / examples.weight.sum().clamp(min=1)
