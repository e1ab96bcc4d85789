"""A training from its options to its files: what ``seisflow train picker`` does."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from seisflow.picking.bundled import bundled_weights
from seisflow.picking.networks.bundled import BundledNetwork
from seisflow.training.curves import draw_curves
from seisflow.training.recipe import Recipe
from seisflow.training.trainer import Trainer
from seisflow.training.tuning import compare
from seisflow.training.writing import calibrate, write_network

if TYPE_CHECKING:
    import pandas as pd

    from seisflow.training.recordings import Recordings

__all__ = ["Trained", "train_picker"]

WEIGHTS = "picker.weights"
TABLE = "before_after.csv"


class Trained(NamedTuple):
    """What a training left.

    Attributes
    ----------
    weights : Path or None
        The weights; None if time was up before the last step.
    step : int
        Last step done.
    table : pandas.DataFrame or None
        Scores on held-out real records before and after, see `compare`.
    """

    weights: Path | None
    step: int
    table: pd.DataFrame | None


def train_picker(
    recipe: Recipe,
    folder: Path,
    *,
    begin_with: str | None = None,
    recordings: Recordings | None = None,
    held_out: float = 0.25,
    seconds: float | None = None,
    resume: bool = False,
    show: Callable[[dict[str, float]], None] | None = None,
) -> Trained:
    """Train a picker, or go on; write weights, curves and, with real records, a table of before and after.

    Parameters
    ----------
    recipe : Recipe
    folder : Path
        Gets ``checkpoint.pt``, ``curves.csv``, ``curves.png``, ``picker.weights``.
    begin_with : str, optional
        ``bundled`` or a file of weights; their widths replace those of the recipe.
    recordings : Recordings, optional
        Real records; the latest of them are held out.
    held_out : float
        Which part of them is held out.
    seconds : float, optional
        Stop after this time, with a checkpoint.
    resume : bool
        Go on from the checkpoint in `folder`.
    show : callable, optional
        Gets each line of the curves.
    """
    start, earlier = None, None
    if begin_with is not None:
        weights = bundled_weights(begin_with)
        recipe = Recipe.model_validate(recipe.model_dump() | weights.parameters)
        start, earlier = BundledNetwork.of(weights).state_dict(), weights.recipe | {"digest": weights.digest}
    learned, tested = recordings.split(held_out) if recordings is not None else (None, None)
    trainer = Trainer(recipe, folder, start, learned)
    before = copy.deepcopy(trainer.mean)
    if resume:
        trainer.resume()
    done = trainer.run(seconds, show)
    if trainer.curves:
        draw_curves(trainer.curves, folder / "curves.png")
    if not done:
        return Trained(None, trainer.step, None)
    network = trainer.mean
    about: dict[str, Any] = {"recipe": recipe.model_dump(mode="json"), "begun_with": earlier}
    about |= {"temperature": calibrate(network, trainer.validation), "validation": trainer.curves[-1]}
    table = None
    if tested is not None:
        table = compare(({} if start is None else {"before": before}) | {"after": network}, tested)
        table.to_csv(folder / TABLE, index=False)
    write_network(network, folder / WEIGHTS, about)
    return Trained(folder / WEIGHTS, trainer.step, table)
