"""PhaseNet's engine and weights: the same numbers whatever the batch, the cut, or where the file lies."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from seisflow.errors import WaveformError, WeightsError
from seisflow.picking.inference.engine import sample_number
from seisflow.picking.phasenet import PhaseNet
from tests.picking.records import START, dataset, noise, swarm

torch = pytest.importorskip("torch")


def test_the_network_is_that_of_seisbench(random_weights: Path) -> None:
    models = pytest.importorskip("seisbench.models")
    from seisflow.picking.networks.phasenet import PhaseNetNetwork

    state = torch.load(random_weights, weights_only=True)
    state = {
        name: torch.rand_like(value) + 0.5 if value.is_floating_point() and value.ndim == 1 else value
        for name, value in state.items()
    }
    theirs = models.PhaseNet()
    theirs.load_state_dict(state)
    theirs.eval()
    ours = PhaseNetNetwork()
    ours.load_seisbench(state)
    ours.eval()
    windows = torch.randn(4, 3, 3001, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = theirs(windows)
        assert (ours(windows) - expected).abs().max() < 1e-5
    fast = ours.for_inference()
    with torch.inference_mode():
        assert (fast(windows) - expected).abs().max() < 1e-5


def test_the_scale_and_offset_of_the_recorder_do_not_matter(random_weights: Path) -> None:
    data, _ = swarm(3, duration_s=100.0)
    for mode in ("continuous", "windowed"):
        picker = PhaseNet(weights=str(random_weights), threads=1, mode=mode)
        plain = picker.probabilities(dataset(data))["S"]
        scaled = picker.probabilities(dataset(1000.0 * data + 5e4))["S"]
        assert np.abs(plain - scaled).max() < 1e-2  # float32 holds the offset


def test_weights_are_named_by_their_content(random_weights: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere.pt.v1"
    shutil.copy(random_weights, moved)
    shutil.copy(random_weights.with_name("random.json.v1"), tmp_path / "elsewhere.json.v1")
    here, there = PhaseNet(weights=str(random_weights)), PhaseNet(weights=str(moved))
    assert here.fingerprint() == there.fingerprint()
    assert here.fingerprint() != PhaseNet(weights=str(random_weights), p_threshold=0.5).fingerprint()
    neutral = PhaseNet(weights=str(random_weights), batch_size=3, threads=2, device="cpu")
    assert here.fingerprint() == neutral.fingerprint()
    state = torch.load(moved, weights_only=True)
    state["out.bias"] += 1
    torch.save(state, moved)
    assert here.fingerprint() != PhaseNet(weights=str(moved)).fingerprint()


def test_missing_weights_say_where_to_put_a_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="there is no weights file"):
        PhaseNet(weights=str(tmp_path / "none.pt.v1")).fingerprint()


def test_weights_by_an_unknown_name_say_where_to_put_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    models = pytest.importorskip("seisbench.models")

    def unreachable(name: str) -> None:
        raise ConnectionError("no route to the hub")

    monkeypatch.setattr(models.PhaseNet, "from_pretrained", unreachable)
    with pytest.raises(WeightsError, match=r"no route.*nosuch\.pt\.v1"):
        PhaseNet(weights="nosuch").fingerprint()


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.mkdir, (str(tmp_path / "sprung"),))

    torch.save({"out.bias": Trap()}, tmp_path / "trap.pt.v1")
    with pytest.raises(WeightsError, match="trap"):
        PhaseNet(weights=str(tmp_path / "trap.pt.v1")).fingerprint()
    assert not (tmp_path / "sprung").exists()


def test_weights_of_another_network_are_refused(random_weights: Path, tmp_path: Path) -> None:
    torch.save({"layer": torch.zeros(3)}, tmp_path / "other.pt.v1")
    with pytest.raises(WeightsError, match="do not fit"):
        PhaseNet(weights=str(tmp_path / "other.pt.v1")).pick(dataset(noise(np.random.default_rng(1), 4000)))
    odd = tmp_path / "odd.pt.v1"
    shutil.copy(random_weights, odd)
    (tmp_path / "odd.json.v1").write_text(json.dumps({"model_args": {"norm": "cube"}}))
    with pytest.raises(WeightsError, match="cube"):
        PhaseNet(weights=str(odd)).pick(dataset(noise(np.random.default_rng(1), 4000)))


def test_another_sampling_rate_is_refused(random_weights: Path) -> None:
    with pytest.raises(WaveformError, match="100 Hz, found 50 Hz"):
        PhaseNet(weights=str(random_weights)).pick(dataset(np.zeros((3, 100)), rate_hz=50.0))


@pytest.mark.parametrize("norm", ["peak", "std"])
def test_weights_decide_the_mode_and_what_may_be_asked_of_them(
    random_weights: Path, tmp_path: Path, norm: str
) -> None:
    path = tmp_path / "own.pt.v1"
    shutil.copy(random_weights, path)
    described = {"model_args": {"norm": norm}, "default_args": {"P_threshold": 0.12}}
    (tmp_path / "own.json.v1").write_text(json.dumps(described))
    picker = PhaseNet(weights=str(path))
    chosen = picker.identity()["parameters"]
    expected = {"peak": ("windowed", "absolute"), "std": ("continuous", "absolute")}
    assert (chosen["mode"], chosen["grid"]) == expected[norm]
    assert picker.thresholds() == {"P": 0.12, "S": 0.3}
    assert PhaseNet(weights=str(path), p_threshold=0.12).fingerprint() == picker.fingerprint()
    if norm == "peak":
        with pytest.raises(WeightsError, match="windowed"):
            PhaseNet(weights=str(path), mode="continuous").pick(dataset(np.zeros((3, 4000))))


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04 cut short"])
def test_a_damaged_file_is_refused_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.pt.v1").write_bytes(content)
    with pytest.raises(WeightsError, match=r"bad\.pt\.v1.*nothing in it was run.*copy them anew"):
        PhaseNet(weights=str(tmp_path / "bad.pt.v1")).fingerprint()


def test_a_file_cut_short_is_refused(random_weights: Path, tmp_path: Path) -> None:
    whole = random_weights.read_bytes()
    (tmp_path / "cut.pt.v1").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="cut"):
        PhaseNet(weights=str(tmp_path / "cut.pt.v1")).fingerprint()


@pytest.mark.parametrize(
    "described", ["[]", "{", '{"model_args": 3}', '{"default_args": {"P_threshold": "high"}}']
)
def test_a_damaged_description_is_refused(random_weights: Path, tmp_path: Path, described: str) -> None:
    shutil.copy(random_weights, tmp_path / "own.pt.v1")
    (tmp_path / "own.json.v1").write_text(described)
    with pytest.raises(WeightsError, match="own"):
        PhaseNet(weights=str(tmp_path / "own.pt.v1")).fingerprint()


def test_samples_are_numbered_from_1970() -> None:
    assert sample_number(np.datetime64("1970-01-01T00:00:01.25", "ns"), 100.0) == 125
    later = sample_number(START + np.timedelta64(30, "ms"), 100.0)
    assert later == sample_number(START, 100.0) + 3
    # a grid that rounding to nanoseconds shifts keeps its numbers
    assert sample_number(START + np.timedelta64(29_999_999, "ns"), 100.0) == later
