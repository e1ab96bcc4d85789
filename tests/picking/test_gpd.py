"""GPD in integers of eight bits first: the picks stay those of float32, however it is cut and batched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seisflow.picking.gpd import GPD
from seisflow.picking.network import NetworkPicker
from tests.picking.records import dataset, noise, swarm
from tests.picking.seisbench_models import Picks, assert_same, gappy, lively, own_picks, seisbench_picks

torch = pytest.importorskip("torch")
pytest.importorskip("seisbench.models")
from seisflow.picking.networks import eightbit  # noqa: E402
from seisflow.picking.networks.gpd import FastGPD, ScreenedGPD  # noqa: E402

pytestmark = pytest.mark.skipif(
    not eightbit.can_multiply_eight_bits(), reason="this processor does not multiply integers of eight bits"
)


@pytest.fixture(scope="module")
def gpd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, str]:
    return lively("GPD", tmp_path_factory.mktemp("gpd"), phases="PSN")


def windows_of(data: np.ndarray, hop: int = 40) -> Any:
    """Return windows as the engine normalises them."""
    windows = np.stack([data[:, i : i + 400] for i in range(0, data.shape[1] - 400, hop)])
    windows = windows - windows.mean(axis=2, keepdims=True)
    return torch.from_numpy((windows / np.abs(windows).max(axis=(1, 2), keepdims=True)).astype(np.float32))


def log_odds(probabilities: Any) -> Any:
    return torch.logit(probabilities.double(), eps=1e-9)


def test_eight_bits_err_far_less_than_the_margin_allows(gpd: tuple[Any, str]) -> None:
    exact = FastGPD(gpd[0])
    data, _ = swarm(4, duration_s=600.0)
    for part in (data, noise(np.random.default_rng(2), 20_000), swarm(5, 300.0, amplitude=3000.0)[0]):
        windows = windows_of(part)
        with torch.inference_mode():
            logits, reliable = eightbit.EightBitGPD(exact)(windows)
            error = log_odds(torch.softmax(logits, -1)) - log_odds(exact(windows)[..., 0])
        assert reliable.float().mean() > 0.8
        assert 0 < error[reliable].abs().max() < GPD().screen_margin / 2


def test_windows_that_go_beyond_the_units_are_computed_exactly(
    gpd: tuple[Any, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = FastGPD(gpd[0])
    windows = windows_of(swarm(4, duration_s=600.0)[0])
    monkeypatch.setattr(eightbit, "HEADROOM", 0.4)
    screened = ScreenedGPD(exact, (0, 1), (0.9, 0.9), 1.5)
    with torch.inference_mode():
        logits, reliable = screened.screen(windows)
        found, expected = screened(windows)[:, :2, 0], exact(windows)[:, :2, 0]
        rough = torch.softmax(logits, -1)[:, :2]
    missed = (rough < screened.least).all(dim=1) & (expected >= 0.9).any(dim=1)
    assert missed.any()  # the screen alone would lose them
    assert not (missed & reliable).any()
    matters = (expected >= 0.9).any(dim=1)
    assert (found[matters] - expected[matters]).abs().max() < 1e-5


def test_what_may_reach_half_the_threshold_is_exact_and_only_that(gpd: tuple[Any, str]) -> None:
    exact = FastGPD(gpd[0])
    windows = windows_of(swarm(4, duration_s=600.0)[0])
    screened = ScreenedGPD(exact, (0, 1), (0.35, 0.35), 1.5)
    computed = []
    screened.exact.register_forward_hook(lambda *call: computed.append(len(call[1][0])))
    with torch.inference_mode():
        found, expected = screened(windows)[:, :2, 0], FastGPD(gpd[0])(windows)[:, :2, 0]
    matters = (expected >= 0.35).any(dim=1)
    assert 20 < matters.sum() < 0.5 * len(windows)
    assert (found[matters] - expected[matters]).abs().max() < 1e-5
    assert (found[~matters] < 0.35).all()
    assert matters.sum() <= sum(computed) < len(windows)


def picks_within(picker: NetworkPicker, data: np.ndarray, first: int, stop: int, cut: int) -> Picks:
    """Return the picks in samples [first, stop) of a record that begins at `cut` of a longer one."""
    start = np.datetime64("2020-01-01T23:50:00", "ns") + np.timedelta64(cut * 10_000_000, "ns")
    return {
        (phase, begin + cut, peak + cut, end + cut): round(probability, 5)
        for phase, onsets in picker.onsets(dataset(data[:, cut:], start=start)).items()
        for begin, peak, end, probability in zip(*(column.tolist() for column in onsets), strict=True)
        if first <= peak + cut < stop
    }


@pytest.mark.parametrize(("batch_size", "threads"), [(1, 1), (7, 2), (512, 2)])
@pytest.mark.parametrize("cut", [0, 3, 1234])
def test_neither_batch_nor_threads_nor_the_cut_matter(
    gpd: tuple[Any, str], batch_size: int, threads: int, cut: int
) -> None:
    data = swarm(8, duration_s=120.0)[0]
    whole = GPD(weights=gpd[1], screen_margin=None)
    reference = picks_within(whole, data, 4000, 10_000, 0)
    assert len(reference) >= 5
    other = GPD(weights=gpd[1], batch_size=batch_size, threads=threads)
    assert_same(reference, picks_within(other, data, 4000, 10_000, cut), 5, 2e-5)


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.9])
def test_picks_are_seisbenchs_at_any_threshold(gpd: tuple[Any, str], threshold: float) -> None:
    model, weights = gpd
    data = gappy(12_000)
    model.default_args.update({"P_threshold": threshold, "S_threshold": threshold})
    try:
        theirs = seisbench_picks(model, data)
    finally:
        model.default_args.clear()
    picker = GPD(weights=weights, grid="segment", threads=1, p_threshold=threshold, s_threshold=threshold)
    assert_same(theirs, own_picks(picker, data), 3, 1e-4)


def test_the_windows_made_for_units_are_always_the_same() -> None:
    torch.manual_seed(5)
    windows = eightbit.windows_of_many_kinds(3, 400)
    assert torch.equal(windows, eightbit.windows_of_many_kinds(3, 400))
    assert torch.allclose(windows.abs().amax((1, 2)), torch.ones(len(windows)))
    assert windows.mean(-1).abs().max() < 1e-5


def test_a_file_of_the_weights_alone_decides_the_screen(gpd: tuple[Any, str], tmp_path: Path) -> None:
    copy = tmp_path / "copy.pt.v1"
    copy.write_bytes(Path(gpd[1]).read_bytes())
    (tmp_path / "copy.json.v1").write_bytes(Path(gpd[1].replace(".pt", ".json")).read_bytes())
    assert GPD(weights=gpd[1]).fingerprint() == GPD(weights=str(copy)).fingerprint()
    assert GPD(weights=gpd[1]).fingerprint() != GPD(weights=gpd[1], screen_margin=None).fingerprint()
