"""Every picker keeps the contract."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisflow.picking import Picker
from seisflow.picking.bundled import Bundled
from seisflow.picking.eqtransformer import EQTransformer
from seisflow.picking.gpd import GPD
from seisflow.picking.phasenet import PhaseNet
from seisflow.picking.seisbench import SeisBench
from seisflow.picking.stalta import StaLta
from tests.picking.contract import UNHARMFUL, PickerContract


class TestStaLta(PickerContract):
    @pytest.fixture
    def picker(self) -> Picker:
        return StaLta()


class TestPhaseNet(PickerContract):
    """With random weights it picks noise, all the more of it to cut and to find again."""

    @pytest.fixture
    def picker(self, random_weights: Path) -> Picker:
        return PhaseNet(weights=str(random_weights), p_threshold=0.2, s_threshold=0.2, threads=1)


class TestWindowedPhaseNet(PickerContract):
    """Windows on the absolute grid: wherever a record is cut, the same data meet the same windows."""

    @pytest.fixture
    def picker(self, sharp_weights: Path) -> Picker:
        return PhaseNet(
            weights=str(sharp_weights),
            mode="windowed",
            grid="absolute",
            p_threshold=0.5,
            s_threshold=0.5,
            threads=1,
        )


class TestBundled(PickerContract):
    @pytest.fixture
    def picker(self) -> Picker:
        return Bundled(threads=1)


class TestEQTransformer(PickerContract):
    rounding = 1e-4

    @pytest.fixture
    def picker(self, tmp_path: Path) -> Picker:
        seisbench_models = pytest.importorskip("tests.picking.seisbench_models")
        _, weights = seisbench_models.lively("EQTransformer", tmp_path)
        return EQTransformer(weights=weights, p_threshold=0.1, s_threshold=0.1, threads=1)

    @pytest.mark.parametrize("components", ["Z", "ZN", "Z12"])
    def test_any_set_of_components_is_picked(self, picker: Picker, components: str) -> None:
        """Without a vertical these random weights pick nothing here, in SeisBench neither."""
        super().test_any_set_of_components_is_picked(picker, components)


class TestGPD(PickerContract):
    rounding = 1.1e-5

    @pytest.fixture
    def picker(self, tmp_path: Path) -> Picker:
        seisbench_models = pytest.importorskip("tests.picking.seisbench_models")
        _, weights = seisbench_models.lively("GPD", tmp_path, phases="PSN")
        return GPD(weights=weights, threads=1)

    @settings(max_examples=2, suppress_health_check=UNHARMFUL)
    @given(cut=st.integers(1, 29_999), seed=st.integers(0, 3))
    def test_every_pick_is_found_once_wherever_the_record_is_cut(
        self, picker: Picker, cut: int, seed: int
    ) -> None:
        """Fewer examples: at low thresholds most windows are computed twice."""
        self.find_once(picker, cut, seed)


class TestSeisBench(PickerContract):
    rounding = 1.1e-5

    @pytest.fixture
    def picker(self, tmp_path: Path) -> Picker:
        seisbench_models = pytest.importorskip("tests.picking.seisbench_models")
        _, weights = seisbench_models.lively("VariableLengthPhaseNet", tmp_path)
        return SeisBench(
            model="VariableLengthPhaseNet", weights=weights, p_threshold=0.7, s_threshold=0.7, threads=1
        )
