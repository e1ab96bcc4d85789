"""Every associator, subscribed to the contract."""

from __future__ import annotations

import pytest

from seisflow.association import Associator
from seisflow.association.gamma import Gamma
from seisflow.association.pyocto import PyOcto
from tests.association.contract import AssociatorContract
from tests.association.sequences import Sequence, made_sequence


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
