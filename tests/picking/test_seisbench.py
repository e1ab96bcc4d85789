"""SeisBench's pickers: its picks, sample for sample, in the engine of this package."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seisflow.errors import WeightsError
from seisflow.picking.eqtransformer import EQTransformer
from seisflow.picking.gpd import GPD
from seisflow.picking.network import NetworkPicker
from seisflow.picking.phasenet import PhaseNet
from seisflow.picking.seisbench import SeisBench
from tests.picking.records import START, dataset, noise, swarm

torch = pytest.importorskip("torch")
obspy = pytest.importorskip("obspy")
models = pytest.importorskip("seisbench.models")
logging.getLogger("seisbench").setLevel(logging.ERROR)

Picks = dict[tuple[str, int, int, int], float]


def stream(data: NDArray[np.floating], components: str = "ZNE") -> Any:
    """Return what obspy reads of a record: a trace for each run of samples."""
    traces = []
    for letter, row in zip(components, np.asarray(data, np.float32), strict=True):
        edges = np.flatnonzero(np.diff(np.isfinite(row).astype(int), prepend=0, append=0)).reshape(-1, 2)
        for first, stop in edges.tolist():
            header = {
                "network": "XX",
                "station": "AAA",
                "channel": f"HH{letter}",
                "sampling_rate": 100.0,
                "starttime": obspy.UTCDateTime(str(START)) + first / 100,
            }
            traces.append(obspy.Trace(row[first:stop].copy(), header))
    return obspy.Stream(traces)


def seisbench_picks(model: Any, data: NDArray[np.floating], components: str = "ZNE") -> Picks:
    """Return SeisBench's picks as samples, and their probabilities."""
    start = obspy.UTCDateTime(str(START))

    def sample(when: Any) -> int:
        return round((when - start) * 100)

    return {
        (pick.phase, sample(pick.start_time), sample(pick.peak_time), sample(pick.end_time)): pick.peak_value
        for pick in model.classify(stream(data, components)).picks
    }


def own_picks(picker: NetworkPicker, data: NDArray[np.floating], components: str = "ZNE") -> Picks:
    """Return our picks as samples, and their probabilities."""
    return {
        (phase, start, peak, end): probability
        for phase, onsets in picker.onsets(dataset(data, components)).items()
        for start, peak, end, probability in zip(*(column.tolist() for column in onsets), strict=True)
    }


def assert_same(theirs: Picks, ours: Picks, least: int, tolerance: float) -> None:
    assert len(theirs) >= least
    assert set(theirs) == set(ours)
    assert max(abs(ours[key] - value) for key, value in theirs.items()) < tolerance


def lively(name: str, folder: Path, **arguments: Any) -> tuple[Any, str]:
    """Return a SeisBench model with seeded weights that picks now and then, and the file it is in."""
    torch.manual_seed(3)
    model = getattr(models, name)(component_order="ZNE", **arguments).eval()
    for part in model.modules():
        if isinstance(part, torch.nn.Conv1d | torch.nn.ConvTranspose1d | torch.nn.Linear):
            torch.nn.init.kaiming_normal_(part.weight)
        if isinstance(part, torch.nn.BatchNorm1d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 2)
            part.weight.data.uniform_(0.5, 1.5)
    data = noise(np.random.default_rng(1), 20 * model.in_samples)
    windows = torch.tensor(data.reshape(3, 20, -1).swapaxes(0, 1), dtype=torch.float32)
    last = {"EQTransformer": "pick_convs", "OBSTransformer": "pick_convs", "GPD": "fc3"}.get(name, "out")
    layers = getattr(model, last)
    for layer in layers if isinstance(layers, torch.nn.ModuleList) else [layers]:
        seen: list[Any] = []
        hook = layer.register_forward_hook(lambda *call, seen=seen: seen.append(call[2]))
        with torch.inference_mode():
            model(model.annotate_batch_pre(windows, {}))
        hook.remove()
        n = seen[0].shape[-1]
        values = seen[0][..., n // 4 : -n // 4] if seen[0].ndim == 3 else seen[0][..., None]
        with torch.no_grad():
            factor = 2.0 / values.std(dim=(0, 2))
            shape = [1] * layer.weight.ndim
            shape[1 if isinstance(layer, torch.nn.ConvTranspose1d) else 0] = -1
            layer.weight.mul_(factor.reshape(shape))
            layer.bias.copy_((layer.bias - values.mean(dim=(0, 2))) * factor)
            quiet = [label != "N" for label in model.labels][: len(layer.bias)]
            layer.bias.sub_(3.0 * torch.tensor(quiet if len(layer.bias) > 1 else [True]))
    model.save(str(folder / "own"), version_str="1")
    return model, str(folder / "own.pt.v1")


def gappy(n: int) -> NDArray[np.float64]:
    """Return a swarm with gaps common to all components, gaps of single ones, and single samples."""
    data, _ = swarm(6, duration_s=n / 100)
    rng = np.random.default_rng(6)
    for first in rng.integers(0, n, 8):
        data[:, first : first + rng.integers(1, 300)] = np.nan
    for first in rng.integers(0, n, 25):
        component = rng.integers(3)
        data[component, first : first + rng.integers(1, 700)] = np.nan
        data[component, first - 2 : first - 1] = np.nan
    return data


@pytest.mark.parametrize("components", ["ZNE", "Z", "EZ", "Z12"])
def test_windowed_phasenet_gives_seisbenchs_picks(sharp_weights: Path, components: str) -> None:
    model = models.PhaseNet.load(sharp_weights.with_name("sharp"), version_str="1")
    names = {"1": "N", "2": "E"}
    data = gappy(60_000)[["ZNE".index(names.get(letter, letter)) for letter in components]]
    data = (100 * data).round() + 1000
    picker = PhaseNet(weights=str(sharp_weights), mode="windowed", threads=1)
    assert_same(seisbench_picks(model, data, components), own_picks(picker, data, components), 20, 1e-5)


@pytest.mark.parametrize(
    "arguments",
    [
        {"norm": "peak"},
        {"norm_detrend": True},
        {"norm_amp_per_comp": True},
        {"filter_args": ["highpass"], "filter_kwargs": {"freq": 0.5}},
    ],
    ids=str,
)
def test_windowed_phasenet_normalises_as_its_weights_say(tmp_path: Path, arguments: dict[str, Any]) -> None:
    model, weights = lively("PhaseNet", tmp_path, **arguments)
    data = gappy(30_000)
    picker = PhaseNet(weights=weights, mode="windowed", threads=1)
    assert_same(seisbench_picks(model, data), own_picks(picker, data), 10, 1e-4)


@pytest.mark.parametrize(
    "arguments",
    [{}, {"norm": "peak"}, {"original_compatible": "non-conservative", "norm_detrend": True}],
    ids=str,
)
def test_eqtransformer_gives_seisbenchs_picks(tmp_path: Path, arguments: dict[str, Any]) -> None:
    model, weights = lively("EQTransformer", tmp_path, **arguments)
    data = gappy(60_000)
    picker = EQTransformer(weights=weights, grid="segment", threads=1)
    assert_same(seisbench_picks(model, data), own_picks(picker, data), 5, 1e-3)


@pytest.mark.parametrize("margin", [1.5, None])
@pytest.mark.parametrize("original", [False, True])
def test_gpd_gives_seisbenchs_picks(tmp_path: Path, original: bool, margin: float | None) -> None:
    model, weights = lively("GPD", tmp_path, phases="PSN", original_compatible=original)
    data = gappy(20_000)
    picker = GPD(weights=weights, grid="segment", threads=1, screen_margin=margin)
    assert_same(seisbench_picks(model, data), own_picks(picker, data), 10, 1e-4)


@pytest.mark.parametrize("name", ["PhaseNet", "PhaseNetLight", "VariableLengthPhaseNet", "OBSTransformer"])
def test_others_run_by_the_name_of_their_class(tmp_path: Path, name: str) -> None:
    model, weights = lively(name, tmp_path)
    data = gappy(30_000)
    picker = SeisBench(model=name, weights=weights, grid="segment", threads=1)
    assert_same(seisbench_picks(model, data), own_picks(picker, data), 5, 1e-4)


def test_thresholds_are_those_of_the_weights_or_the_class(tmp_path: Path) -> None:
    model, weights = lively("GPD", tmp_path, phases="PSN")
    assert GPD(weights=weights).thresholds() == {"P": 0.7, "S": 0.7}
    model.default_args["P_threshold"] = 0.42
    model.save(str(tmp_path / "own"), version_str="1")
    assert GPD(weights=weights).thresholds() == {"P": 0.42, "S": 0.7}
    assert GPD(weights=weights, s_threshold=0.3).thresholds() == {"P": 0.42, "S": 0.3}


def test_weights_without_p_and_s_are_refused(tmp_path: Path) -> None:
    models.CRED().save(str(tmp_path / "own"), version_str="1")
    with pytest.raises(WeightsError, match="do not fit"):
        EQTransformer(weights=str(tmp_path / "own.pt.v1")).onsets(dataset(np.zeros((3, 7000))))
    models.GPD().save(str(tmp_path / "own"), version_str="1")
    with pytest.raises(WeightsError, match="marks no P and S"):
        GPD(weights=str(tmp_path / "own.pt.v1")).onsets(dataset(np.zeros((3, 7000))))


@pytest.mark.parametrize("picker", [EQTransformer, GPD])
def test_an_unreachable_hub_says_where_to_put_which_files(
    picker: type[NetworkPicker], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(name: str) -> None:
        raise ConnectionError("no route to the hub")

    monkeypatch.setattr(getattr(models, picker.__name__), "from_pretrained", unreachable)
    where = rf"no route.*stead\.pt\.v1 and stead\.json\.v1.*models/v3/{picker.name}/"
    with pytest.raises(WeightsError, match=where):
        picker(weights="stead").fingerprint()
