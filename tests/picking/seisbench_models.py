"""SeisBench's models with seeded weights, and the picks of both sides as samples."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seisflow.picking.network import NetworkPicker
from tests.picking.records import START, dataset, noise, swarm

torch = pytest.importorskip("torch")
obspy = pytest.importorskip("obspy")
models = pytest.importorskip("seisbench.models")
logging.getLogger("seisbench").setLevel(logging.ERROR)

LAST_LAYERS = {
    "EQTransformer": "pick_convs",
    "EQTP": "pick_convs",
    "OBSTransformer": "pick_convs",
    "GPD": "fc3",
    "Skynet": "dconv9",
}
Picks = dict[tuple[str, int, int, int], float]


def stream(data: NDArray[np.floating], components: str = "ZNE", rate_hz: float = 100.0) -> Any:
    """Return what obspy reads of a record: a trace for each run of samples."""
    traces = []
    for letter, row in zip(components, np.asarray(data, np.float32), strict=True):
        edges = np.flatnonzero(np.diff(np.isfinite(row).astype(int), prepend=0, append=0)).reshape(-1, 2)
        for first, stop in edges.tolist():
            header = {
                "network": "XX",
                "station": "AAA",
                "channel": f"HH{letter}",
                "sampling_rate": rate_hz,
                "starttime": obspy.UTCDateTime(str(START)) + first / rate_hz,
            }
            traces.append(obspy.Trace(row[first:stop].copy(), header))
    return obspy.Stream(traces)


def seisbench_picks(
    model: Any, data: NDArray[np.floating], components: str = "ZNE", rate_hz: float = 100.0
) -> Picks:
    """Return SeisBench's picks as samples, and their probabilities."""
    start = obspy.UTCDateTime(str(START))

    def sample(when: Any) -> int:
        return round((when - start) * rate_hz)

    return {
        (pick.phase, sample(pick.start_time), sample(pick.peak_time), sample(pick.end_time)): pick.peak_value
        for pick in model.classify(stream(data, components, rate_hz)).picks
    }


def own_picks(
    picker: NetworkPicker, data: NDArray[np.floating], components: str = "ZNE", rate_hz: float = 100.0
) -> Picks:
    """Return our picks as samples, and their probabilities."""
    return {
        (phase, start, peak, end): probability
        for phase, onsets in picker.onsets(dataset(data, components, rate_hz)).items()
        for start, peak, end, probability in zip(*(column.tolist() for column in onsets), strict=True)
    }


def assert_same(theirs: Picks, ours: Picks, least: int, tolerance: float) -> None:
    assert len(theirs) >= least
    assert set(theirs) == set(ours)
    assert max((abs(ours[key] - value) for key, value in theirs.items()), default=0.0) < tolerance


def lively(name: str, folder: Path, **arguments: Any) -> tuple[Any, str]:
    """Return a SeisBench model with seeded weights that picks now and then, and the file it is in."""
    torch.manual_seed(3)
    model = getattr(models, name)(**({"component_order": "ZNE"} | arguments)).eval()
    for part in model.modules():
        if isinstance(part, torch.nn.Conv1d | torch.nn.ConvTranspose1d | torch.nn.Linear):
            torch.nn.init.kaiming_normal_(part.weight)
        if isinstance(part, torch.nn.BatchNorm1d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 2)
            part.weight.data.uniform_(0.5, 1.5)
    data = noise(np.random.default_rng(1), 20 * model.in_samples)
    windows = torch.tensor(data.reshape(3, 20, -1).swapaxes(0, 1), dtype=torch.float32)
    n_more = len(model.component_order) - 3
    windows = torch.nn.functional.pad(windows, (0, 0, 0, n_more))
    layers = getattr(model, LAST_LAYERS.get(name, "out"))
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
