"""A training of PhaseLink from its options to its files: what ``seisflow train phaselink`` does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

import seisflow
from seisflow.association.linking.features import Frame
from seisflow.association.linking.linker import Linker, read_linker, write_linker
from seisflow.errors import WeightsError
from seisflow.training.curves import draw_link_curves
from seisflow.training.linking.ground import Ground, sites_to_train
from seisflow.training.linking.trainer import LinkTrainer

if TYPE_CHECKING:
    import pandas as pd

    from seisflow.association.linking.network import LinkNetwork
    from seisflow.earth import VelocityModel
    from seisflow.training.linking.recipe import LinkRecipe
    from seisflow.training.loop import Progress

__all__ = ["PAPER_SEQUENCES", "WEIGHTS", "TrainedLinker", "train_linker"]

WEIGHTS = "phaselink.weights"
PAPER_SEQUENCES = 12_000_000
"""Sequences in the paper, a quarter of which it kept for validation."""


class TrainedLinker(NamedTuple):
    """What a training left.

    Attributes
    ----------
    weights : Path
        The weights as they are; also where time was up before the last step.
    step : int
        Last step done.
    """

    weights: Path
    step: int


def train_linker(
    recipe: LinkRecipe,
    stations: pd.DataFrame,
    velocity: VelocityModel,
    folder: Path,
    *,
    begin_with: Path | None = None,
    seconds: float | None = None,
    resume: bool = False,
    show: Progress | None = None,
) -> TrainedLinker:
    """Train PhaseLink for a network, or go on; write weights and curves.

    Parameters
    ----------
    recipe : LinkRecipe
    stations : STATIONS table
        Stations that picks will come from; several rows of one station count as its first.
    velocity : VelocityModel
    folder : Path
        Gets ``checkpoint.pt``, ``curves.csv``, ``curves.png``, ``phaselink.weights``.
    begin_with : Path, optional
        Weights of the same network to begin with, from a training with other rules, say.
    seconds : float, optional
        Stop after this time, with a checkpoint.
    resume : bool
        Go on from the checkpoint in `folder`.
    show : callable, optional
        Gets each line of the curves.

    Raises
    ------
    WeightsError
        If the weights to begin with are those of other stations.
    WorkflowError
        If there is no checkpoint to resume, or it belongs to another recipe.
    """
    sites = sites_to_train(stations)
    start, earlier = None, None
    if begin_with is not None:
        first = read_linker(begin_with)
        first.check(sites, velocity)
        if (first.network.n_neurons, first.network.n_layers) != (recipe.n_neurons, recipe.n_layers):
            raise WeightsError(
                f"{begin_with}: a network of {first.network.n_layers} layers of {first.network.n_neurons} "
                f"units; the recipe wants {recipe.n_layers} of {recipe.n_neurons}"
            )
        start, earlier = first.network.state_dict(), first.digest
    frame = Frame.of_stations(sites)
    trainer = LinkTrainer(recipe, folder, Ground.of(sites, frame, velocity, recipe.rules), start)
    if resume:
        trainer.resume()

    def write() -> None:
        """Write weights and curves as they are."""
        about = _about(trainer, earlier)
        write_linker(folder / WEIGHTS, _linker(trainer.mean, recipe, sites, frame, velocity), about)
        if trainer.curves:
            draw_link_curves(trainer.curves, folder / "curves.png")

    def shown(row: dict[str, float]) -> None:
        """Write at every line of the curves."""
        write()
        if show:
            show(row)

    try:
        trainer.run(seconds, shown)
    except KeyboardInterrupt:
        write()  # a linker is of use before its last step
        raise
    write()
    return TrainedLinker(folder / WEIGHTS, trainer.step)


def _linker(
    network: LinkNetwork, recipe: LinkRecipe, sites: pd.DataFrame, frame: Frame, velocity: VelocityModel
) -> Linker:
    names = zip(sites["network"], sites["station"], strict=True)
    places = zip(sites["latitude"], sites["longitude"], strict=True)
    rules = recipe.rules
    return Linker(
        network,
        frame,
        {name: (float(place[0]), float(place[1])) for name, place in zip(names, places, strict=True)},
        velocity,
        rules.n_picks,
        rules.span_s,
        rules.depth_km,
        rules.beyond_share,
    )


def _about(trainer: LinkTrainer, earlier: str | None) -> dict[str, Any]:
    """Return how weights came about."""
    return {
        "seisflow": seisflow.__version__,
        "torch": torch.__version__,
        "recipe": trainer.recipe.model_dump(mode="json"),
        "begun_with": earlier,
        "steps_done": trainer.step,
        "sequences_seen": trainer.step * trainer.recipe.batch_size,
        "sequences_in_the_paper": PAPER_SEQUENCES,
        "validation": trainer.curves[-1] if trainer.curves else None,
    }
