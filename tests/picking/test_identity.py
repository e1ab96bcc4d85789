"""What decides the picks enters the fingerprint: of weights their numbers, not the place they lie in."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from seisflow.picking.bundled import Bundled, bundled_weights
from seisflow.picking.network import NetworkPicker
from seisflow.picking.networks.bundled import BundledNetwork
from seisflow.picking.phasenet import PhaseNet
from seisflow.training.writing import write_network


def change_state(path: Path) -> None:
    """Change one number of a state dict."""
    state = torch.load(path, weights_only=True)
    next(iter(state.values())).view(-1)[0] += 1e-3
    torch.save(state, path)


def change_file(path: Path) -> None:
    """Change one number of a weights file of this package."""
    network = BundledNetwork.of(bundled_weights(str(path)))
    with torch.no_grad():
        next(iter(network.parameters())).view(-1)[0] += 1e-3
    write_network(network, path, {})


@pytest.fixture(params=["phasenet", "bundled"])
def stored(
    request: pytest.FixtureRequest, random_weights: Path, tmp_path: Path
) -> tuple[type[NetworkPicker], Path, Callable[[Path], None]]:
    """Return a picker, a file of weights for it, and what changes a number in there."""
    if request.param == "phasenet":
        path = tmp_path / "one" / "own.pt.v1"
        path.parent.mkdir()
        shutil.copy(random_weights, path)
        shutil.copy(random_weights.with_name("random.json.v1"), path.with_name("own.json.v1"))
        return PhaseNet, path, change_state
    path = tmp_path / "one" / "own.weights"
    write_network(BundledNetwork.of(bundled_weights("bundled")), path, {})
    return Bundled, path, change_file


def test_the_same_weights_elsewhere_are_the_same(
    stored: tuple[type[NetworkPicker], Path, Callable[[Path], None]],
) -> None:
    picker, path, _ = stored
    moved = shutil.copytree(path.parent, path.parent.with_name("two")) / path.name
    assert picker(weights=str(moved)).fingerprint() == picker(weights=str(path)).fingerprint()


def test_other_numbers_in_the_same_place_are_others(
    stored: tuple[type[NetworkPicker], Path, Callable[[Path], None]],
) -> None:
    picker, path, change = stored
    before = picker(weights=str(path)).fingerprint()
    change(path)
    assert picker(weights=str(path)).fingerprint() != before
