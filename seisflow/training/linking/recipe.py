"""The recipe of a training of PhaseLink."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from seisflow.training.linking.rules import Rules
from seisflow.training.recipe import BaseRecipe, Positive

__all__ = ["LinkRecipe"]


class LinkRecipe(BaseRecipe):
    """Parameters of a training of PhaseLink; the defaults are the paper's, where it has them."""

    neutral: ClassVar[frozenset[str]] = BaseRecipe.neutral

    steps: Positive = 125_000
    """Steps of the optimiser; the default is the paper's 12 million sequences, each seen once."""

    batch_size: Positive = 96
    """Sequences in a step."""

    learning_rate: Annotated[float, Field(gt=0, le=0.1)] = 1e-3
    """Largest learning rate of AdamW."""

    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Weight decay; none makes AdamW the paper's Adam."""

    n_neurons: Positive = 200
    """Units of a layer in each direction."""

    n_layers: Positive = 2
    """Bidirectional layers."""

    rules: Rules = Rules()
    """What sequences are like."""

    batches_per_pool: Positive = 32
    """Sequences for so many steps are made together and sorted by length, so that little is padding."""

    precision: Literal["float32", "bfloat16"] = "float32"
    """Numbers that all layers but the first count in; bfloat16 is faster where the processor knows it."""
