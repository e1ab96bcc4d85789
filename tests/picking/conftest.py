"""Weights that exist everywhere: random ones, in SeisBench's file format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ARGUMENTS = {"sampling_rate": 100, "component_order": "ENZ", "phases": "NPS", "norm": "std", "classes": 3}


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a weights file whose numbers are random."""
    torch = pytest.importorskip("torch")
    from seisflow.picking.networks.phasenet import PhaseNetNetwork

    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(1)
    torch.save(PhaseNetNetwork().state_dict(), folder / "random.pt.v1")
    (folder / "random.json.v1").write_text(json.dumps({"model_args": ARGUMENTS}))
    return folder / "random.pt.v1"
