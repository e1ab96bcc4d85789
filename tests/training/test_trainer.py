"""The loop: deterministic, continued where it stopped, and it learns."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from seisflow.errors import WorkflowError
from seisflow.picking.bundled import bundled_weights
from seisflow.training.recipe import Recipe, read_recipe
from seisflow.training.session import train_picker
from seisflow.training.trainer import Trainer
from seisflow.training.validation import validate_network

SMALL = Recipe(
    steps=6,
    batch_size=4,
    warm_up=2,
    widths=(8, 8, 8),
    n_deep=1,
    shard_size=8,
    n_shards=2,
    steps_per_shard=2,
    n_validation=8,
    report_every=3,
    device="cpu",
)


def test_a_resumed_training_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole = Trainer(SMALL, tmp_path / "whole")
    assert whole.run()
    first = Trainer(SMALL, tmp_path / "parts")
    while first.step < 4:  # stopped between two reports
        assert not first.run(seconds=0.0)
    second = Trainer(SMALL, tmp_path / "parts")
    second.resume()
    assert second.step == 4
    assert second.run()
    for name, value in whole.mean.state_dict().items():
        assert torch.equal(value, second.mean.state_dict()[name]), name
    columns = [[row["loss"], row["validation_loss"]] for row in whole.curves]
    assert columns[-1][1] == second.curves[-1]["validation_loss"]


@pytest.mark.gpu
def test_a_gpu_learns_the_same_twice(tmp_path: Path) -> None:
    recipe = SMALL.model_copy(update={"device": "cuda"})
    one, again = Trainer(recipe, tmp_path / "one"), Trainer(recipe, tmp_path / "again")
    one.run()
    again.run()
    for name, value in one.mean.state_dict().items():
        torch.testing.assert_close(value, again.mean.state_dict()[name])


def test_another_seed_gives_other_weights(tmp_path: Path) -> None:
    one = Trainer(SMALL, tmp_path)
    other = Trainer(SMALL.model_copy(update={"seed": 1}), tmp_path)
    one.run()
    other.run()
    assert not torch.equal(one.mean.head.weight, other.mean.head.weight)


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path) -> None:
    Trainer(SMALL, tmp_path).run(seconds=0.0)
    with pytest.raises(WorkflowError, match="another recipe"):
        Trainer(SMALL.model_copy(update={"learning_rate": 1e-4}), tmp_path).resume()
    other_report = SMALL.model_copy(update={"report_every": 1})
    Trainer(other_report, tmp_path).resume()  # of no effect on the weights


def test_a_damaged_or_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkflowError, match="no training to resume"):
        Trainer(SMALL, tmp_path).resume()
    (tmp_path / "checkpoint.pt").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(WorkflowError, match="cannot be read"):
        Trainer(SMALL, tmp_path).resume()


def test_a_training_writes_curves_and_weights_with_their_recipe(tmp_path: Path) -> None:
    done = train_picker(SMALL, tmp_path)
    assert done.weights == tmp_path / "picker.weights"
    weights = bundled_weights(str(done.weights))
    assert weights.recipe["recipe"]["seed"] == 0
    assert weights.parameters == {"widths": [8, 8, 8], "n_deep": 1}
    assert np.isclose(weights.arrays["temperature"], weights.recipe["temperature"])
    with (tmp_path / "curves.csv").open() as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == [3, 6]
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_small_network_learns_in_a_minute(tmp_path: Path) -> None:
    recipe = Recipe(
        steps=160,
        batch_size=24,
        learning_rate=8e-3,
        warm_up=20,
        averaging=0.95,
        shard_size=64,
        n_shards=4,
        steps_per_shard=160,
        n_validation=128,
        report_every=160,
        device="cpu",
    )
    trainer = Trainer(recipe, tmp_path)
    before = validate_network(trainer.network, trainer.validation)
    trainer.run()
    after = trainer.curves[-1]
    assert after["validation_loss"] < 0.05 * before["validation_loss"]
    assert after["f1_p_0.5s"] > 0.4
    assert after["f1_s_0.5s"] > 0.4


def test_a_recipe_comes_from_a_file_and_options(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("steps: 7\nseed: 3\n")
    recipe = read_recipe(path, {"seed": 4, "steps": None}, Recipe)
    assert (recipe.steps, recipe.seed) == (7, 4)
    path.write_text("stepps: 7\n")
    with pytest.raises(WorkflowError, match=r"stepps.*unknown key"):
        read_recipe(path, {}, Recipe)
    path.write_text("- 1\n")
    with pytest.raises(WorkflowError, match="list of"):
        read_recipe(path, {}, Recipe)


def test_a_training_that_went_astray_ends_with_a_word(tmp_path: Path) -> None:
    trainer = Trainer(SMALL, tmp_path)
    with torch.no_grad():
        trainer.network.head.weight.fill_(torch.nan)
    with pytest.raises(WorkflowError, match=r"step 0: the loss is nan.*learning_rate"):
        trainer.run()
