"""The loop that trains the bundled picker: deterministic, and continued where it stopped.

Everything random in a step follows from the seed and the number of the step, so a training that was
interrupted gives the same weights as one that was not, on the same device.
"""

from __future__ import annotations

import copy
import csv
import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from seisflow.errors import WorkflowError
from seisflow.picking.networks.bundled import BundledNetwork
from seisflow.training.chance import Chance
from seisflow.training.examples import Examples, Pool
from seisflow.training.recipe import Recipe
from seisflow.training.recordings import Recordings
from seisflow.training.validation import Validation, validate_network

__all__ = ["Trainer", "loss_of"]

CHECKPOINT = "checkpoint.pt"
CURVES = "curves.csv"
Progress = Callable[[dict[str, float]], None]


@dataclass
class Trainer:
    """A training in a folder.

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

    recipe: Recipe
    folder: Path
    start: dict[str, Tensor] | None = None
    recordings: Recordings | None = None
    step: int = 0
    curves: list[dict[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.device = self.recipe.torch_device()
        torch.set_num_threads(self.recipe.threads)
        torch.backends.cudnn.deterministic = True
        torch.manual_seed(self.recipe.seed)
        self.network = BundledNetwork(self.recipe.widths, self.recipe.n_deep)
        if self.start is not None:
            self.network.load_state_dict(self.start)
        self.network.to(self.device)
        self.mean = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), self.recipe.learning_rate, weight_decay=self.recipe.weight_decay
        )
        self.pool = Pool(self.recipe.seed, self.recipe.n_shards, self.recipe.shard_size, self.device)
        self.validation = Validation(self.recipe.seed, self.recipe.n_validation, self.device)

    def resume(self) -> None:
        """Continue from the checkpoint in the folder.

        Raises
        ------
        WorkflowError
            If there is none, it cannot be read, or it belongs to another recipe.
        """
        path = self.folder / CHECKPOINT
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
        except FileNotFoundError as error:
            raise WorkflowError(f"{path}: there is no training to resume; leave out --resume") from error
        except Exception as error:  # torch raises many kinds for a damaged file
            raise WorkflowError(f"{path}: the checkpoint cannot be read: {error}") from error
        if state["recipe"] != self.fingerprint():
            raise WorkflowError(
                f"{path}: the checkpoint belongs to another recipe; use the options of the first call, or "
                "another --out"
            )
        self.network.load_state_dict(state["network"])
        self.mean.load_state_dict(state["mean"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.curves = state["step"], state["curves"]

    def fingerprint(self) -> str:
        """Return a hash of all that decides the weights: recipe, real records, and weights begun with."""
        hasher = hashlib.blake2b(self.recipe.fingerprint().encode(), digest_size=8)
        for _, value in sorted((self.start or {}).items()):
            hasher.update(value.detach().cpu().contiguous().numpy().tobytes())
        if self.recordings:
            hasher.update(self.recordings.traces.tobytes() + self.recordings.onsets.tobytes())
        return hasher.hexdigest()

    def run(self, seconds: float | None = None, show: Progress | None = None) -> bool:
        """Train to the last step, or for some time; return whether the last step is done."""
        begin, losses, last = time.monotonic(), [], self.step
        while self.step < self.recipe.steps:
            losses.append(self._one_step())
            if self.step % self.recipe.report_every == 0 or self.step == self.recipe.steps:
                row = self._report(sum(losses) / len(losses), (time.monotonic() - begin) / (self.step - last))
                begin_next, losses = time.monotonic(), []
                seconds = None if seconds is None else seconds - (begin_next - begin)
                begin, last = begin_next, self.step
                if show:
                    show(row)
            if seconds is not None and time.monotonic() - begin > seconds:
                break
        self.save()
        return self.step == self.recipe.steps

    def save(self) -> None:
        """Write the checkpoint: whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / CHECKPOINT
        part = path.with_suffix(".part")
        state: dict[str, Any] = {
            "recipe": self.fingerprint(),
            "network": self.network.state_dict(),
            "mean": self.mean.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "curves": self.curves,
        }
        torch.save(state, part)
        part.replace(path)

    def _one_step(self) -> float:
        """Take a step of the optimiser; return the loss."""
        recipe = self.recipe
        self.pool.advance(recipe.n_shards - 1 + self.step // recipe.steps_per_shard)
        chance = Chance(recipe.seed, "step", self.step, self.device)
        n_real = round(recipe.real_part * recipe.batch_size) if self.recordings else 0
        examples = self.pool.draw(recipe.batch_size - n_real, chance)
        if self.recordings and n_real:
            examples = examples.joined(self.recordings.draw(n_real, chance))
        for group in self.optimiser.param_groups:
            group["lr"] = _learning_rate(recipe, self.step)
        self.network.train()
        loss = loss_of(self.network.logits(examples.traces), examples)
        if not torch.isfinite(loss):
            raise WorkflowError(
                f"step {self.step}: the loss is {float(loss.detach())}; take a lower learning_rate and "
                "another --out, or look for samples that are not finite in the records"
            )
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        self._average()
        return float(loss.detach())

    def _average(self) -> None:
        """Let the running mean follow the weights, faster in the beginning."""
        keep = min(self.recipe.averaging, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            now = self.network.state_dict()
            for name, value in self.mean.state_dict().items():
                if value.dtype.is_floating_point:
                    value.mul_(keep).add_(now[name], alpha=1 - keep)
                else:
                    value.copy_(now[name])

    def _report(self, loss: float, seconds: float) -> dict[str, float]:
        """Measure the running mean, write the curves and the checkpoint."""
        found = validate_network(self.mean, self.validation)
        row = {"step": self.step, "seconds_per_step": round(seconds, 4), "loss": round(loss, 5)} | found
        self.curves.append(row)
        self.save()
        with (self.folder / CURVES).open("w", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            writer.writeheader()
            writer.writerows(self.curves)
        return row


def loss_of(logits: Tensor, examples: Examples) -> Tensor:
    """Return the cross-entropy of examples, weighted, in units of one per hundred samples."""
    entropy = -(examples.labels * F.log_softmax(logits, dim=1)).sum(1)
    return 100 * (entropy * examples.weight).sum() / examples.weight.sum().clamp(min=1)


def _learning_rate(recipe: Recipe, step: int) -> float:
    """Return the learning rate: a rise, then half a cosine down to zero."""
    if step < recipe.warm_up:
        return recipe.learning_rate * (step + 1) / recipe.warm_up
    part = (step - recipe.warm_up) / max(recipe.steps - recipe.warm_up, 1)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * part))
