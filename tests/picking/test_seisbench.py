"""SeisBench's pickers: its picks, sample for sample, in the engine of this package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seisflow.errors import WeightsError
from seisflow.picking.eqtransformer import EQTransformer
from seisflow.picking.gpd import GPD
from seisflow.picking.network import NetworkPicker
from seisflow.picking.phasenet import PhaseNet
from tests.picking.records import dataset
from tests.picking.seisbench_models import assert_same, gappy, lively, models, own_picks, seisbench_picks


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
