"""Every associator, subscribed to the contract."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from seisflow.association import Associator, associate_picks
from seisflow.association.gamma import Gamma
from seisflow.association.phaselink import PhaseLink
from seisflow.association.pyocto import PyOcto
from tests.association.contract import AssociatorContract
from tests.association.sequences import Sequence, made_sequence, recovered

SMALL_WEIGHTS = Path(__file__).parent / "small.phaselink.weights"
"""For the stations of `made_sequence` with network seed 0: 48 units a layer, 1,800 steps of 64 sequences."""


class TestPyOcto(AssociatorContract):
    @pytest.fixture(scope="class")
    @classmethod
    def associator(cls) -> Associator:
        return PyOcto()


class TestGamma(AssociatorContract):
    seeds = (2,)  # GaMMA is ten times slower

    @pytest.fixture(scope="class")
    @classmethod
    def associator(cls) -> Associator:
        pytest.importorskip("gamma", reason="needs GMMA: pip install 'seisflow[gamma]'")
        return Gamma()

    @pytest.fixture(scope="class")
    @classmethod
    def sequence(cls) -> Sequence:
        return made_sequence(1, n_events=24)


class TestPhaseLink(AssociatorContract):
    """With a small network that was trained for minutes; the full one is measured in the benchmarks."""

    least_recall: ClassVar[float] = 0.7
    least_precision: ClassVar[float] = 0.88
    least_near: ClassVar[float] = 0.65

    @pytest.fixture(scope="class")
    @classmethod
    def associator(cls) -> Associator:
        return PhaseLink(weights=str(SMALL_WEIGHTS), max_residual_s=4.0)

    @classmethod
    def made(cls, seed: int, **parameters: Any) -> Sequence:
        return made_sequence(seed, network_seed=0, **parameters)

    def test_across_the_date_line(self, associator: Associator, tmp_path: Path) -> None:
        from seisflow.association.linking.features import Frame
        from seisflow.association.linking.linker import read_linker, write_linker
        from seisflow.training.linking.ground import sites_to_train

        sequence = self.made(6, n_events=6, centre=(-17.0, 179.99))
        sites = sites_to_train(sequence.stations)
        places = {(row.network, row.station): (row.latitude, row.longitude) for row in sites.itertuples()}
        linker = read_linker(associator.weights)  # type: ignore[attr-defined]
        moved = replace(linker, frame=Frame.of_stations(sites), stations=places)
        write_linker(tmp_path / "moved.weights", moved, {})
        there = PhaseLink(weights=str(tmp_path / "moved.weights"), max_residual_s=4.0)
        catalog = associate_picks(sequence.picks, sequence.stations, there, sequence.velocity)
        assert len(recovered(catalog, sequence, 1.0, 5.0)) >= 3
