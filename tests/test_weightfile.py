"""Files of weights: what was written comes back, all else is refused with a reason, nothing is executed."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seisflow.errors import WeightsError
from seisflow.picking.bundled import bundled_weights
from seisflow.picking.networks.bundled import KIND, REACH, BundledNetwork, count_flops
from seisflow.picking.networks.phasenet import PhaseNetNetwork
from seisflow.weightfile import MAGIC, read_weight_file, write_weight_file

SMALL = {"widths": [4, 4, 4], "n_deep": 1}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "small.weights"
    write_weight_file(path, KIND, SMALL, BundledNetwork((4, 4, 4), 1).plain_state(), {"seed": 0})
    return path


def rewritten(path: Path, **changes: object) -> Path:
    """Change entries of the header of a file."""
    content = path.read_bytes()
    first = len(MAGIC) + 8
    n = int.from_bytes(content[len(MAGIC) : first], "little")
    header = json.loads(content[first : first + n]) | changes
    text = json.dumps(header).encode()
    path.write_bytes(MAGIC + len(text).to_bytes(8, "little") + text + content[first + n :])
    return path


def test_weights_come_back_as_written(small: Path) -> None:
    torch.manual_seed(0)
    network = BundledNetwork((4, 4, 4), 1)
    back = BundledNetwork.of(read_weight_file(small, KIND))
    for name, value in network.plain_state().items():
        np.testing.assert_array_equal(value, back.plain_state()[name])
    assert not small.with_name(small.name + ".part").exists()


@settings(max_examples=60)
@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_changed_byte_is_noticed(tmp_path_factory: pytest.TempPathFactory, place: float, flip: int) -> None:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "small.weights"
    write_weight_file(path, KIND, SMALL, BundledNetwork((4, 4, 4), 1).plain_state(), {})
    content = bytearray(path.read_bytes())
    good = read_weight_file(path, KIND)
    content[int(place * len(content))] ^= flip
    path.write_bytes(content)
    try:
        found = read_weight_file(path, KIND)
    except WeightsError:
        return
    assert found.parameters == good.parameters, "the change was in the recipe"
    for name, array in good.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)


@pytest.mark.parametrize("kept", [0.0, 0.005, 0.5, 0.999])
def test_an_incomplete_file_is_refused(small: Path, kept: float) -> None:
    content = small.read_bytes()
    small.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(WeightsError, match=r"incomplete|damaged|no weights file"):
        read_weight_file(small, KIND)


def test_foreign_files_are_refused_and_nothing_is_executed(tmp_path: Path) -> None:
    witness = tmp_path / "executed"

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return (Path.touch, (witness,))

    path = tmp_path / "foreign.weights"
    for content in (pickle.dumps(Trap()), b"", b"PK\x03\x04", MAGIC, MAGIC + pickle.dumps(Trap())):
        path.write_bytes(content)
        with pytest.raises(WeightsError):
            bundled_weights(str(path))
    assert not witness.exists()


def test_the_reason_is_said(small: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        bundled_weights(str(tmp_path / "absent.weights"))
    content = small.read_bytes()
    small.write_bytes(content + b"more")
    with pytest.raises(WeightsError, match="4 bytes follow"):
        bundled_weights(str(small))
    small.write_bytes(content)
    with pytest.raises(WeightsError, match="of a network 'other'"):
        bundled_weights(str(rewritten(small, kind="other")))


def test_weights_that_do_not_fit_are_refused(small: Path, tmp_path: Path) -> None:
    arrays = dict(read_weight_file(small, KIND).arrays)
    del arrays["head.bias"]
    for number, (parameters, numbers) in enumerate(
        [
            (SMALL, arrays),
            (SMALL | {"widths": [4, 4, 8]}, arrays),
            (SMALL | {"depth": 3}, read_weight_file(small, KIND).arrays),
            ({"n_deep": 1}, arrays),
            (SMALL | {"widths": "wide"}, arrays),
        ]
    ):
        path = tmp_path / f"{number}.weights"
        write_weight_file(path, KIND, parameters, numbers, {})
        with pytest.raises(WeightsError, match="do not fit"):
            BundledNetwork.of(read_weight_file(path, KIND))


def test_the_bundled_weights_are_small_and_say_how_they_were_made() -> None:
    weights = bundled_weights("bundled")
    assert sum(4 * array.size for array in weights.arrays.values()) < 3_000_000
    assert weights.recipe["recipe"]["steps"] > 0
    assert BundledNetwork.of(weights).n_deep == weights.parameters["n_deep"]


def test_the_network_takes_a_quarter_of_the_operations_of_phasenet() -> None:
    network = BundledNetwork.of(bundled_weights("bundled"))
    assert count_flops(network, 3072) / 3072 < 0.25 * count_flops(PhaseNetNetwork(), 3001) / 3001


def test_folding_changes_nothing_but_rounding() -> None:
    network = BundledNetwork.of(bundled_weights("bundled")).eval()
    traces = torch.randn(2, 3, 4000, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        plain = network(traces)
        torch.testing.assert_close(network.for_inference()(traces), plain, atol=1e-5, rtol=0)


def test_probabilities_depend_neither_on_scale_nor_offset_nor_on_what_is_far() -> None:
    network = BundledNetwork.of(bundled_weights("bundled")).for_inference()
    generator = torch.Generator().manual_seed(0)
    traces = torch.randn(1, 3, 20_480, generator=generator).cumsum(2) + 5
    with torch.inference_mode():
        plain = network(traces)
        torch.testing.assert_close(network(traces * 1e6), plain, atol=1e-4, rtol=0)
        first, last = 64 * 80, 64 * 240
        piece = network(traces[..., first:last])[..., REACH:-REACH]
        torch.testing.assert_close(piece, plain[..., first + REACH : last - REACH], atol=1e-5, rtol=0)


def test_absent_components_and_gaps_are_no_onsets() -> None:
    network = BundledNetwork.of(bundled_weights("bundled")).for_inference()
    traces = torch.zeros(1, 3, 8192)
    with torch.inference_mode():
        assert network(traces)[:, 1:].max() < 0.3
        traces[:, 2] = torch.randn(8192, generator=torch.Generator().manual_seed(0))
        traces[:, :, 3000:5000] = 0
        found = network(traces)
    assert torch.isfinite(found).all()
    assert found[:, 1:].max() < 0.5
