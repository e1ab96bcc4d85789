"""Every picker keeps the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from seisflow.picking import Picker
from seisflow.picking.bundled import Bundled
from seisflow.picking.phasenet import PhaseNet
from seisflow.picking.stalta import StaLta
from tests.picking.contract import PickerContract


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
