"""State dicts of torch, read without torch: the same numbers, and nothing but numbers."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seisflow.picking.statedict import STORAGES, read_state_dict

torch = pytest.importorskip("torch")


def saved(state: Any) -> bytes:
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def test_arrays_are_those_of_torch() -> None:
    base = torch.arange(60.0).reshape(3, 4, 5)
    state = OrderedDict(
        whole=base,
        turned=base.permute(2, 0, 1),
        part=base[1:, ::2, 3],
        same=base,
        number=torch.tensor(3),
        nothing=torch.zeros(0, 4),
        parameter=torch.nn.Parameter(torch.randn(7)),
    )
    types = (torch.float64, torch.float16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
    for dtype in (*types, torch.bool):
        state[str(dtype)] = torch.tensor([0, 1, 3]).to(dtype)
    found = read_state_dict(saved(state))
    assert list(found) == list(state)
    for name, tensor in state.items():
        expected = tensor.detach().numpy()
        assert found[name].dtype == expected.dtype
        np.testing.assert_array_equal(found[name], expected)
    assert len(STORAGES) == len(types) + 2
    module = torch.nn.Sequential(torch.nn.Conv1d(3, 4, 5), torch.nn.BatchNorm1d(4))
    assert set(read_state_dict(saved(module.state_dict()))) == set(module.state_dict())


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"a": torch.zeros(2, dtype=torch.bfloat16)}, "BFloat16Storage"),
        ({"a": 3}, "something else"),
        ([torch.zeros(2)], "something else"),
        ({"a": torch.nn.Linear(2, 2)}, "names torch.nn"),
    ],
    ids=str,
)
def test_other_things_are_refused(state: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_state_dict(saved(state))


def rewritten(content: bytes, old: bytes, new: bytes) -> bytes:
    """Return an archive in which the list of tensors says something else."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(file, "w") as target:
        for name in source.namelist():
            held = source.read(name)
            if name.endswith("data.pkl"):
                assert held.count(old) == 1
                held = held.replace(old, new)
            target.writestr(name, held)
    return file.getvalue()


def test_no_tensor_reaches_beyond_its_numbers() -> None:
    content = saved({"a": torch.zeros(77)})
    shape = b"K\x00KM\x85"  # first number, shape
    assert read_state_dict(rewritten(content, shape, b"K\x01KL\x85"))["a"].shape == (76,)
    for wrong in (b"K\x01KM\x85", b"K\x00KN\x85", b"K\x00J\xff\xff\xff\xff\x85"):
        with pytest.raises(ValueError, match="reaches beyond"):
            read_state_dict(rewritten(content, shape, wrong))


def test_every_damaged_byte_of_the_numbers_is_noticed() -> None:
    content = bytearray(saved({"a": torch.arange(64.0)}))
    at = content.index(np.arange(64.0, dtype="<f4").tobytes()) + 40
    content[at] ^= 1
    with pytest.raises(ValueError, match="CRC"):
        read_state_dict(bytes(content))


def test_picking_with_phasenet_on_a_cpu_needs_no_torch(random_weights: Path) -> None:
    program = """
import sys
import numpy as np
from seisflow.picking import pick_phases
from seisflow.picking.phasenet import PhaseNet
from tests.picking.records import dataset, noise
record = dataset(noise(np.random.default_rng(1), 12_000))
for mode in ("windowed", "continuous"):
    picker = PhaseNet(weights=sys.argv[1], mode=mode, device="cpu", p_threshold=0.01)
    print(len(pick_phases(record, picker)))
assert not {"torch", "seisbench", "obspy"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program, str(random_weights)], check=True)
