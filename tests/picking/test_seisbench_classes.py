"""Every class of SeisBench that `seisbench` offers: its picks and curves, whatever the record looks like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seisflow.errors import WorkflowError
from seisflow.method import build
from seisflow.picking.network import NetworkPicker
from seisflow.picking.seisbench import SeisBench
from tests.picking.records import START, dataset, swarm
from tests.picking.seisbench_models import (
    assert_same,
    gappy,
    lively,
    obspy,
    own_picks,
    seisbench_picks,
    stream,
)

CLASSES: dict[str, dict[str, Any]] = {
    "BasicPhaseAE": {},
    "EQTP": {},
    "EQTransformer": {},
    "GPD": {"phases": "PSN"},
    "LFEDetect": {},
    "OBSTransformer": {},
    "PhaseNet": {},
    "PhaseNetLight": {},
    "Skynet": {},
    "VariableLengthPhaseNet": {},
}


def both(name: str, folder: Path, **more: Any) -> tuple[Any, NetworkPicker]:
    """Return a model, and the picker with its weights."""
    model, weights = lively(name, folder, **CLASSES[name], **more)
    return model, SeisBench(model=name, weights=weights, grid="segment", threads=1)


def record(name: str, kind: str) -> tuple[NDArray[np.float64], str]:
    """Return a record, hard in one way and some windows of a class long, and its components."""
    n = {"Skynet": 100_000, "GPD": 12_000, "EQTP": 40_000 if kind == "gappy" else 14_000}.get(name, 40_000)
    data = gappy(n) if kind == "gappy" else swarm(6, duration_s=n / 100)[0]
    components = {"vertical": "Z", "two": "EZ", "level": "NE", "numbered": "Z12"}.get(kind, "ZNE")
    names = {"1": "N", "2": "E"}
    return data[["ZNE".index(names.get(letter, letter)) for letter in components]], components


@pytest.mark.parametrize("kind", ["gappy", "vertical", "two", "level", "numbered"])
@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_class_gives_seisbenchs_picks(tmp_path: Path, name: str, kind: str) -> None:
    model, picker = both(name, tmp_path)
    data, components = record(name, kind)
    assert_same(seisbench_picks(model, data, components), own_picks(picker, data, components), 1, 1e-3)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_class_gives_seisbenchs_curves(tmp_path: Path, name: str) -> None:
    model, picker = both(name, tmp_path)
    data, _ = record(name, "gappy")
    ours = picker.probabilities(dataset(data))
    n_compared = 0
    for trace in model.annotate(stream(data)):
        phase = trace.stats.channel.rpartition("_")[2]
        if phase not in ours:
            continue
        first = (trace.stats.starttime - obspy.UTCDateTime(str(START))) * 100
        samples = np.round(first + np.arange(len(trace)) * 100 / trace.stats.sampling_rate).astype(int)
        known = np.isfinite(trace.data)
        np.testing.assert_allclose(ours[phase][samples[known]], trace.data[known], atol=1e-3)
        n_compared += int(known.sum())
    assert n_compared > 1000


@pytest.mark.parametrize("n_samples", [0, 1, 599, 5999])
@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_record_shorter_than_a_window_gives_what_seisbench_gives(
    tmp_path: Path, name: str, n_samples: int
) -> None:
    model, picker = both(name, tmp_path)
    data = record(name, "whole")[0][:, 5000 : 5000 + n_samples]
    assert_same(seisbench_picks(model, data) if n_samples else {}, own_picks(picker, data), 0, 1e-3)


@pytest.mark.parametrize("rate_hz", [40.0, 200.0])
@pytest.mark.parametrize("name", ["EQTransformer", "GPD", "PhaseNet", "VariableLengthPhaseNet"])
def test_weights_of_another_rate_pick_at_their_rate(tmp_path: Path, name: str, rate_hz: float) -> None:
    model, picker = both(name, tmp_path, sampling_rate=rate_hz)
    assert picker.sampling_rate_hz == rate_hz
    data, _ = record(name, "gappy")
    assert_same(
        seisbench_picks(model, data, rate_hz=rate_hz), own_picks(picker, data, rate_hz=rate_hz), 1, 1e-3
    )


@pytest.mark.parametrize("order", ["Z12H", "HZNE"])
def test_a_hydrophone_that_is_absent_is_zero(tmp_path: Path, order: str) -> None:
    """PickBlue: PhaseNet and EQTransformer with a fourth component."""
    model, picker = both("PhaseNet", tmp_path, component_order=order, in_channels=4)
    data, components = record("PhaseNet", "numbered" if "1" in order else "whole")
    assert_same(seisbench_picks(model, data, components), own_picks(picker, data, components), 1, 1e-3)


@pytest.mark.parametrize(
    "name",
    ["CRED", "DKPN", "DPPDetector", "DPPPicker", "DeepDenoiser", "DepthPhaseNet", "EQCCTP", "PhaseTEAM"],
)
def test_a_class_that_does_not_fit_is_refused_with_those_that_do(name: str) -> None:
    with pytest.raises(WorkflowError, match=f"model.*'GPD'.*found '{name}'"):
        build("picking", {"method": "seisbench", "model": name})
