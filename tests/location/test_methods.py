"""Every locator subscribes to the contract of the room here."""

from __future__ import annotations

from seisflow.location import Locator
from seisflow.location.nonlinear import Nonlinear
from tests.location.contract import LocatorContract


class TestNonlinear(LocatorContract):
    def locator(self) -> Locator:
        return Nonlinear(model_error_fraction=0.0)


class TestNonlinearL1(LocatorContract):
    def locator(self) -> Locator:
        return Nonlinear(model_error_fraction=0.0, likelihood="l1")
