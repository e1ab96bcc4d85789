"""The compiled PhaseNet: torch's numbers, the same bits for any batch, threads and cut, on any CPU."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from seisflow.errors import WaveformError, WeightsError

torch = pytest.importorskip("torch")

Floats = NDArray[np.float32]

CLOSE = 5e-6
"""Rounding of float32, at random weights."""


def network(seed: int = 1, **arguments: int) -> Any:
    """Return a network whose numbers, those of the normalisations too, are random."""
    from seisflow.picking.networks.phasenet import PhaseNetNetwork

    torch.manual_seed(seed)
    made = PhaseNetNetwork(**arguments)
    for name, value in made.state_dict().items():
        if value.is_floating_point() and value.ndim == 1:
            value.copy_(torch.rand_like(value) + (0.5 if name.endswith(("var", "weight")) else -0.5))
    return made.eval()


@pytest.fixture(scope="module")
def torch_network() -> Any:
    return network()


@pytest.fixture(scope="module")
def direct(torch_network: Any) -> Any:
    from seisflow.picking.networks.direct import DirectPhaseNet

    return DirectPhaseNet(torch_network.state_dict())


@pytest.fixture(scope="module")
def by_torch(torch_network: Any) -> Callable[[Floats], Floats]:
    def forward(windows: Floats) -> Floats:
        with torch.inference_mode():
            probabilities: Floats = torch_network(torch.from_numpy(windows)).numpy()
        return probabilities

    return forward


def samples(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


@given(n=st.integers(1, 5000), n_windows=st.integers(0, 3), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_probabilities_are_those_of_torch(
    direct: Any, by_torch: Callable[[Floats], Floats], n: int, n_windows: int, seed: int
) -> None:
    windows = samples(n_windows, 3, n, seed=seed)
    probabilities = direct.forward(windows)
    assert probabilities.shape == windows.shape
    assert np.abs(probabilities - by_torch(windows)).max(initial=0) < CLOSE


@pytest.mark.parametrize("n", [3000, 3001, 3008, 32_768 + 2 * 2816, 8192])
def test_windows_of_the_usual_lengths_are_those_of_torch(
    direct: Any, by_torch: Callable[[Floats], Floats], n: int
) -> None:
    windows = samples(2, 3, n)
    assert np.abs(direct.forward(windows) - by_torch(windows)).max() < CLOSE


@pytest.mark.parametrize("n", [18_000, 21_000, 100_000, 65_536, 50_001, 50_002, 50_003])
def test_a_trace_in_pieces_is_the_whole_trace_bit_for_bit(
    direct: Any, by_torch: Callable[[Floats], Floats], n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import seisflow.picking.networks.direct as module

    trace = samples(3, n)
    monkeypatch.setattr(module, "PIECE", 4096)
    pieces = direct.forward_trace(trace, threads=3)
    monkeypatch.setattr(module, "PIECE", n)
    whole = direct.forward_trace(trace)
    assert np.array_equal(pieces, whole)
    assert np.abs(whole - by_torch(trace[None])[0]).max() < CLOSE


@given(data=st.data(), n=st.sampled_from([1, 300, 3001, 5000, 50_001]))
@settings(deadline=None, max_examples=40)
def test_samples_kept_are_those_of_the_whole(direct: Any, data: st.DataObject, n: int) -> None:
    first = data.draw(st.integers(0, n))
    last = data.draw(st.integers(first, n))
    windows = samples(2, 3, n)
    kept = direct.forward(windows, 2, keep=(first, last))
    assert np.array_equal(kept, direct.forward(windows)[..., first:last])


@pytest.mark.parametrize("keep", [(-1, 50), (60, 50), (0, 101)])
def test_samples_outside_of_the_windows_cannot_be_kept(direct: Any, keep: tuple[int, int]) -> None:
    with pytest.raises(WaveformError, match="they must lie inside"):
        direct.forward(samples(1, 3, 100), keep=keep)


@given(n=st.sampled_from([700, 3000, 3001]), n_windows=st.integers(1, 40), threads=st.integers(1, 5))
@settings(deadline=None, max_examples=20)
def test_bits_do_not_depend_on_batch_and_threads(direct: Any, n: int, n_windows: int, threads: int) -> None:
    windows = samples(n_windows, 3, n)
    together = direct.forward(windows, threads)
    alone = np.concatenate([direct.forward(window[None]) for window in windows])
    assert np.array_equal(together, alone)


def test_calls_from_several_threads_do_not_disturb_each_other(direct: Any) -> None:
    batches = [samples(9, 3, n, seed=n) for n in (3001, 1000, 2048, 3000, 257, 5000)]
    expected = [direct.forward(batch) for batch in batches]
    with ThreadPoolExecutor(6) as pool:
        for _ in range(5):
            found = pool.map(lambda batch: direct.forward(batch, 2), batches)
            assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def test_windows_may_be_views_of_a_trace_that_cannot_be_written(direct: Any) -> None:
    views = np.lib.stride_tricks.sliding_window_view(samples(3, 9000), 3001, axis=1)[:, ::1500].swapaxes(0, 1)
    assert not views.flags.writeable
    out = np.empty(views.shape, np.float32)
    assert direct.forward(views, out=out) is out
    assert np.array_equal(out, direct.forward(np.ascontiguousarray(views)))


def test_windows_may_have_any_strides(direct: Any) -> None:
    every_other = samples(4, 3, 6002)[::2, ::-1, ::2]
    assert np.array_equal(direct.forward(every_other), direct.forward(every_other.copy()))


def test_extreme_amplitudes_and_silence_are_those_of_torch(
    direct: Any, by_torch: Callable[[Floats], Floats]
) -> None:
    windows = samples(5, 3, 3001) * np.float32([0, 1e-30, 1e-3, 1e3, 1e6])[:, None, None]
    probabilities = direct.forward(windows)
    assert np.abs(probabilities - by_torch(windows)).max() < 2e-4  # 1e6 times the rounding of a logit
    assert np.abs(probabilities.sum(axis=1) - 1).max() < 1e-6


def test_a_nan_stays_a_nan_as_far_as_the_network_sees_it(
    direct: Any, by_torch: Callable[[Floats], Floats]
) -> None:
    windows = samples(2, 3, 12_000)
    windows[0, 1, 6000] = np.nan
    probabilities = direct.forward(windows)
    expected = by_torch(windows)
    assert np.isnan(probabilities[np.isnan(expected)]).all()
    assert np.isnan(probabilities).sum() <= 1.5 * np.isnan(expected).sum()
    assert not np.isnan(probabilities[1]).any()
    far = ~np.isnan(probabilities)
    assert np.abs(probabilities[far] - expected[far]).max() < CLOSE


@pytest.mark.parametrize("arguments", [{"filter_factor": 2}, {"in_channels": 1}, {"in_channels": 4}])
def test_wider_networks_and_other_components(arguments: dict[str, int]) -> None:
    from seisflow.picking.networks.direct import DirectPhaseNet

    other = network(**arguments)
    windows = samples(2, other.inc.in_channels, 3001)
    with torch.inference_mode():
        expected = other(torch.from_numpy(windows)).numpy()
    assert np.abs(DirectPhaseNet(other.state_dict()).forward(windows) - expected).max() < CLOSE


def test_other_numbers_of_classes_are_refused() -> None:
    from seisflow.picking.networks.direct import DirectPhaseNet

    with pytest.raises(WeightsError, match="found weights for 2"):
        DirectPhaseNet(network(classes=2).state_dict())


@pytest.mark.parametrize(
    "windows", [np.zeros((2, 3, 100)), np.zeros((2, 2, 100), np.float32), np.zeros((3, 100), np.float32)]
)
def test_other_shapes_and_types_are_refused(direct: Any, windows: NDArray[Any]) -> None:
    with pytest.raises(WaveformError, match="expected float32 windows"):
        direct.forward(windows)


@pytest.mark.parametrize(
    "out",
    [np.zeros((2, 3, 99), np.float32), np.zeros((2, 3, 100)), np.zeros((2, 3, 200), np.float32)[..., ::2]],
)
def test_other_outputs_are_refused(direct: Any, out: NDArray[Any]) -> None:
    with pytest.raises(WaveformError, match="to write to"):
        direct.forward(samples(2, 3, 100), out=out)


CPUS = {
    "AVX2": ("haswell", "+avx,+avx2,+fma,+sse4.2"),
    "SSE": ("x86-64", "+sse2"),
}


@pytest.mark.skipif("x86" not in os.uname().machine, reason="names CPUs of the x86 family")
@pytest.mark.parametrize("cpu", CPUS)
def test_a_cpu_with_narrow_registers_gives_the_same_numbers(direct: Any, tmp_path: Path, cpu: str) -> None:
    name, features = CPUS[cpu]
    program = """
        import sys
        import numpy as np
        from tests.picking.test_direct import network, samples
        from seisflow.picking.kernels.vectors import LANES
        from seisflow.picking.networks.direct import DirectPhaseNet
        found = DirectPhaseNet(network().state_dict()).forward(samples(2, 3, 3001), threads=2)
        np.savez(sys.argv[1], found=found, lanes=LANES)
    """
    environment = os.environ | {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features}
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "found.npz")]
    subprocess.run(command, env=environment, check=True)
    with np.load(tmp_path / "found.npz") as file:
        assert file["lanes"] == (8 if "avx2" in features else 4)
        assert np.abs(file["found"] - direct.forward(samples(2, 3, 3001))).max() < CLOSE


def test_real_records_are_those_of_torch(shared: Path) -> None:
    from seisflow.picking.networks.direct import DirectPhaseNet
    from seisflow.picking.networks.phasenet import PhaseNetNetwork

    trained = PhaseNetNetwork()
    trained.load_seisbench(torch.load(shared / "weights" / "original.pt.v1", weights_only=True))
    trained.eval()
    records = sorted((shared / "data" / "phasenet_ncedc" / "waveform_train").glob("*.npz"))[:40]
    windows = np.stack([np.load(record)["data"][:3001].T for record in records]).astype(np.float32)
    windows -= windows.mean(axis=2, keepdims=True)
    windows /= np.maximum(windows.std(axis=2, keepdims=True), np.float32(1e-9))
    with torch.inference_mode():
        expected = trained(torch.from_numpy(windows)).numpy()
    assert (expected[:, 1:] > 0.5).any()
    assert np.abs(DirectPhaseNet(trained.state_dict()).forward(windows, 2) - expected).max() < CLOSE
