"""Training of PhaseLink: it learns, goes on exactly where it stopped, and its weights say what for."""

from __future__ import annotations

import csv
import os
import signal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from seisflow.association.linking.features import Frame
from seisflow.association.linking.linker import read_linker
from seisflow.association.linking.prediction import PickSeries, predict_links
from seisflow.association.linking.windows import PADDING_STEP
from seisflow.cli import app
from seisflow.errors import WeightsError, WorkflowError
from seisflow.tables import STATIONS, validate
from seisflow.training.linking.batches import Batches
from seisflow.training.linking.ground import Ground, sites_to_train
from seisflow.training.linking.recipe import LinkRecipe
from seisflow.training.linking.rules import Rules
from seisflow.training.linking.sequences import make_sequences
from seisflow.training.linking.session import train_linker
from seisflow.training.linking.trainer import LinkTrainer
from tests.association.sequences import CRUST

LIGHT = Rules(max_events=2, max_false=8, moved_share=1.0, gap_s=(0.0, 40.0))
SMALL = LinkRecipe(
    steps=6,
    batch_size=8,
    warm_up=2,
    n_neurons=8,
    rules=LIGHT,
    batches_per_pool=4,
    n_validation=32,
    report_every=3,
    device="cpu",
)


def network(n: int, size_deg: float = 1.0) -> pd.DataFrame:
    """Return stations at random in a box."""
    rng = np.random.default_rng(2)
    return validate(
        pd.DataFrame(
            {
                "network": "XX",
                "station": [f"S{i:02d}" for i in range(n)],
                "location": "",
                "latitude": 45.0 + size_deg * rng.random(n),
                "longitude": 10.0 + size_deg * rng.random(n),
                "elevation_m": 500.0 * rng.random(n),
                "start": pd.NaT,
                "end": pd.NaT,
            }
        ),
        STATIONS,
    )


SITES = network(9)


def trainer(folder: Path, recipe: LinkRecipe = SMALL) -> LinkTrainer:
    """Return a training for a small network."""
    return LinkTrainer(recipe, folder, Ground.of(SITES, Frame.of_stations(SITES), CRUST, recipe.rules))


def same_weights(one: LinkTrainer, other: LinkTrainer) -> None:
    """Check that two trainings have the same weights, means and states of the optimiser."""
    for first, second in ((one.network, other.network), (one.mean, other.mean)):
        for name, value in first.state_dict().items():
            assert torch.equal(value, second.state_dict()[name]), name


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_resumed_training_ends_with_the_same_weights(tmp_path: Path, precision: str) -> None:
    recipe = SMALL.model_copy(update={"precision": precision})
    whole = trainer(tmp_path / "whole", recipe)
    assert whole.run()
    first = trainer(tmp_path / "parts", recipe)
    while first.step < 4:  # stopped between two reports, and within a pool
        assert not first.run(seconds=0.0)
    second = trainer(tmp_path / "parts", recipe)
    second.resume()
    assert second.step == 4
    assert second.run()
    same_weights(whole, second)
    assert whole.curves[-1]["validation_loss"] == second.curves[-1]["validation_loss"]


def test_an_interrupt_waits_for_the_step_and_loses_nothing(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole")
    whole.run()
    stopped = trainer(tmp_path / "stopped")
    loss_of_step = stopped._loss

    def interrupted() -> torch.Tensor:
        if stopped.step == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return loss_of_step()

    stopped._loss = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    assert stopped.step == 4
    later = trainer(tmp_path / "stopped")
    later.resume()
    assert later.step == 4
    later.run()
    same_weights(whole, later)


def test_batches_are_the_same_from_wherever_they_are_asked_for() -> None:
    ground = Ground.of(SITES, Frame.of_stations(SITES), CRUST, LIGHT)
    in_order = Batches(LIGHT, ground, 1, "training", 8, 8)
    seen = [in_order.batch(step) for step in range(10)]
    for step in (9, 3):
        alone = Batches(LIGHT, ground, 1, "training", 8, 8, threads=2).batch(step)
        for one, other in zip(seen[step], alone, strict=True):
            assert torch.equal(one, other)
    lengths = [batch.features.shape[0] for batch in seen[:8]]
    longest = [int(batch.real.sum(0).max()) for batch in seen[:8]]
    assert longest != sorted(longest)  # sorted by length within a pool, then in any order
    assert all(0 <= length - n < PADDING_STEP for length, n in zip(lengths, longest, strict=True))
    # The shortest of a batch is no shorter than the longest of that with shorter ones.
    ordered = sorted((batch.real.sum(0) for batch in seen[:8]), key=lambda n: int(n.max()))
    assert all(int(one.max()) <= int(other.min()) for one, other in pairwise(ordered))


def test_no_sequence_is_seen_twice() -> None:
    ground = Ground.of(SITES, Frame.of_stations(SITES), CRUST, LIGHT)
    batches = Batches(LIGHT, ground, 1, "training", 8, 4)
    seen = [
        batch.features[: int(n), k].numpy().tobytes()
        for batch in map(batches.batch, range(12))
        for k, n in enumerate(batch.real.sum(0))
        if n > 3
    ]
    assert len(seen) > 70
    assert len(set(seen)) == len(seen)


def test_padding_and_linked_picks_of_a_batch() -> None:
    ground = Ground.of(SITES, Frame.of_stations(SITES), CRUST, LIGHT)
    features, linked, real = Batches(LIGHT, ground, 1, "training", 8, 4).batch(0)
    assert torch.equal(features[..., 4] == 0.0, real)
    assert not features[~real][:, :4].any()
    assert not linked[~real].any()
    assert (linked[0] == 1.0).all()
    assert (features[0, :, 2] == 0.0).all()  # times count from the root
    assert features[..., :4].min() >= -1e-6
    assert features[..., :4].max() <= 1.0 + 1e-6


def test_a_small_network_learns_to_tell_two_events_apart(tmp_path: Path) -> None:
    rules = Rules(
        max_events=2,
        max_false=0,
        moved_share=1.0,
        first_origin_s=(-30.0, 30.0),
        gap_s=(4.0, 15.0),
        max_distance_km=(60.0, 100.0),
        missing_share=0.1,
        error_s=0.1,
    )
    recipe = LinkRecipe(
        steps=300,
        batch_size=32,
        learning_rate=1e-2,
        warm_up=20,
        averaging=0.95,
        n_neurons=24,
        rules=rules,
        batches_per_pool=8,
        n_validation=64,
        report_every=300,
        device="cpu",
    )
    linker = read_linker(train_linker(recipe, SITES, CRUST, tmp_path).weights)
    ground = Ground.of(SITES, Frame.of_stations(SITES), CRUST, rules)
    sequences = make_sequences(rules, ground, 0, "planted", 0, 200)
    linked, pairs = np.zeros(2), np.zeros(2)  # of different events, of one event
    for row in range(200):
        n = int(sequences.count[row])
        station, event = sequences.station[row, :n], sequences.event[row, :n]
        if len(np.unique(event)) < 2:
            continue
        north, east = ground.north[station], ground.east[station]
        series = PickSeries(sequences.time_s[row, :n], north, east, sequences.phase[row, :n] == 1)
        links = predict_links(linker, series, 0.5, "cpu", 2)
        root = np.repeat(np.arange(n), np.diff(links.first))
        same = event[root] == event[links.pick]
        linked += np.bincount(same[links.pick > root], minlength=2)
        first, second = np.triu_indices(n, 1)
        pairs += np.bincount(event[first] == event[second], minlength=2)
    of_other, of_same = linked / pairs
    assert of_same > 0.7
    assert of_other < 0.65 * of_same  # by chance they are equal


def test_a_training_writes_weights_bound_to_its_network(tmp_path: Path) -> None:
    twice = pd.concat([SITES, SITES.assign(location="10")], ignore_index=True)
    done = train_linker(SMALL, twice, CRUST, tmp_path)
    assert done.step == 6
    linker = read_linker(done.weights)
    assert len(linker.stations) == len(SITES)
    assert linker.velocity == CRUST
    assert (linker.n_picks, linker.span_s, linker.depth_km) == (500, 120.0, (0.0, 25.0))
    linker.check(SITES.iloc[:4], CRUST)
    with (tmp_path / "curves.csv").open() as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == [3, 6]
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert sites_to_train(twice)["location"].eq("").all()


def test_a_training_may_begin_with_other_weights(tmp_path: Path) -> None:
    first = train_linker(SMALL, SITES, CRUST, tmp_path / "light").weights
    heavy = SMALL.model_copy(update={"rules": Rules(max_events=3, max_false=20), "learning_rate": 1e-9})
    second = train_linker(heavy, SITES, CRUST, tmp_path / "heavy", begin_with=first).weights
    one, other = read_linker(first).network, read_linker(second).network
    for name, value in one.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[name], atol=1e-6, rtol=0.0)
    wide = SMALL.model_copy(update={"n_neurons": 9})
    with pytest.raises(WeightsError, match="2 of 9"):
        train_linker(wide, SITES, CRUST, tmp_path / "wide", begin_with=first)
    elsewhere = SITES.assign(latitude=SITES["latitude"] + 0.1)
    with pytest.raises(WeightsError, match="stood over"):
        train_linker(SMALL, elsewhere, CRUST, tmp_path / "elsewhere", begin_with=first)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    trainer(tmp_path).run(seconds=0.0)
    elsewhere = SITES.assign(latitude=SITES["latitude"] + 0.1)
    other = LinkTrainer(SMALL, tmp_path, Ground.of(elsewhere, Frame.of_stations(elsewhere), CRUST, LIGHT))
    with pytest.raises(WorkflowError, match="another recipe"):
        other.resume()


def test_the_command_trains_stops_and_goes_on(tmp_path: Path) -> None:
    SITES.drop(columns=["start", "end"]).to_csv(tmp_path / "stations.csv", index=False)
    layers = {"depth_km": CRUST.depth_km, "vp_km_s": CRUST.vp_km_s, "vs_km_s": CRUST.vs_km_s}
    pd.DataFrame(layers).to_csv(tmp_path / "velocity.csv", index=False)
    (tmp_path / "recipe.yaml").write_text(
        "batch_size: 8\nn_neurons: 8\nbatches_per_pool: 4\nn_validation: 16\nreport_every: 2\n"
        "rules: {max_events: 2, max_false: 8}\n"
    )
    names = {
        "--stations": "stations.csv",
        "--velocity": "velocity.csv",
        "--recipe": "recipe.yaml",
        "--out": "out",
    }
    options = [part for key, name in names.items() for part in (key, str(tmp_path / name))]
    command = ["train", "phaselink", *options, "--steps", "4", "--device", "cpu"]
    stopped = CliRunner().invoke(app, [*command, "--minutes", "0"])
    assert stopped.exit_code == 0, stopped.output
    assert "stopped at step 1 of 4" in stopped.output
    done = CliRunner().invoke(app, [*command, "--resume"])
    assert done.exit_code == 0, done.output
    assert "step 4/4" in done.output
    assert "--associator phaselink" in done.output
    assert len(read_linker(tmp_path / "out" / "phaselink.weights").stations) == len(SITES)
