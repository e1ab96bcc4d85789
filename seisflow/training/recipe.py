"""The recipe of a training: what decides the weights, and what only decides how long it takes."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seisflow.errors import WorkflowError
from seisflow.method import explain

__all__ = ["BaseRecipe", "Recipe", "read_recipe"]

Positive = Annotated[int, Field(ge=1)]


class BaseRecipe(BaseModel):
    """Parameters that every training has."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    neutral: ClassVar[frozenset[str]] = frozenset({"device", "threads", "report_every", "n_validation"})

    seed: int = 0
    """Decides every random number."""

    steps: Positive = 20_000
    """Steps of the optimiser; the learning rate falls to zero at the last one."""

    batch_size: Positive = 64
    """Examples in a step."""

    learning_rate: Annotated[float, Field(gt=0, le=0.1)] = 3e-3
    """Largest learning rate of AdamW."""

    warm_up: Annotated[int, Field(ge=0)] = 300
    """Steps in which the learning rate rises."""

    weight_decay: Annotated[float, Field(ge=0, le=1)] = 1e-3
    """Weight decay of AdamW."""

    averaging: Annotated[float, Field(ge=0, lt=1)] = 0.998
    """The weights kept are a running mean of those of the steps; this part of it stays in a step."""

    n_validation: Positive = 1024
    """Simulated examples, never trained on, that curves and calibration are measured with."""

    report_every: Positive = 500
    """Steps between two lines of the curves."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where training runs; auto takes a GPU where there is one. Results agree on the same device only."""

    threads: Positive = 1
    """CPU threads."""

    def torch_device(self) -> str:
        """Return the device that training runs on."""
        import torch

        if self.device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        return self.device

    def learning_rate_of(self, step: int) -> float:
        """Return the learning rate of a step: a rise, then half a cosine down to zero."""
        if step < self.warm_up:
            return self.learning_rate * (step + 1) / self.warm_up
        part = (step - self.warm_up) / max(self.steps - self.warm_up, 1)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * part))

    def fingerprint(self) -> str:
        """Return a hash of what decides the weights."""
        text = json.dumps(self.model_dump(mode="json", exclude=set(self.neutral)), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


class Recipe(BaseRecipe):
    """Parameters of the training of a picker."""

    widths: tuple[Positive, Positive, Positive] = (24, 40, 80)
    """Channels of the network at 25, 6.25 and 1.56 Hz."""

    n_deep: Positive = 3
    """Blocks of the network at 1.56 Hz."""

    shard_size: Positive = 192
    """Earthquakes, and pieces of noise, simulated at a time."""

    n_shards: Positive = 12
    """Shards that examples are mixed of."""

    steps_per_shard: Positive = 12
    """After so many steps the oldest shard is replaced by a new one."""

    real_part: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Part of the examples taken from real records, where there are some."""


Kind = TypeVar("Kind", bound=BaseRecipe)


def read_recipe(path: Path | None, options: dict[str, Any], kind: type[Kind]) -> Kind:
    """Return the recipe of a YAML file, with options put over it.

    Raises
    ------
    WorkflowError
        If the file cannot be read, or a key or value is not allowed.
    """
    found: Any = {}
    if path is not None:
        try:
            found = yaml.safe_load(path.read_text()) or {}
        except (OSError, yaml.YAMLError) as error:
            raise WorkflowError(f"{path}: the recipe cannot be read: {error}") from error
        if not isinstance(found, dict):
            raise WorkflowError(f"{path}: a recipe is a list of 'key: value', found {type(found).__name__}")
    found |= {key: value for key, value in options.items() if value is not None}
    try:
        return kind.model_validate(found)
    except ValidationError as error:
        raise WorkflowError(explain(error, kind, str(path or "recipe"))) from error
