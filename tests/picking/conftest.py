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


@pytest.fixture(scope="session")
def sharp_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return random weights whose probabilities change within a second, so that triggers begin and end."""
    torch = pytest.importorskip("torch")
    from seisflow.picking.networks.phasenet import PhaseNetNetwork

    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(2)
    network = PhaseNetNetwork().eval()
    for part in network.modules():
        if isinstance(part, torch.nn.Conv1d | torch.nn.ConvTranspose1d):
            torch.nn.init.kaiming_normal_(part.weight)
    seen: list[torch.Tensor] = []
    hook = network.out.register_forward_hook(lambda *call: seen.append(call[2]))
    with torch.inference_mode():
        network(torch.randn(20, 3, 3001, generator=torch.Generator().manual_seed(1)))
    hook.remove()
    with torch.no_grad():
        factor = 2.0 / seen[0].std(dim=(0, 2))
        network.out.weight.mul_(factor[:, None, None])
        network.out.bias.copy_((network.out.bias - seen[0].mean(dim=(0, 2))) * factor)
        network.out.bias[1:] -= 2.5
    torch.save(network.state_dict(), folder / "sharp.pt.v1")
    (folder / "sharp.json.v1").write_text(json.dumps({"model_args": ARGUMENTS}))
    return folder / "sharp.pt.v1"
