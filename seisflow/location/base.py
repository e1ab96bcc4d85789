"""What a locator is: parameters that turn associated picks into hypocentres."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from seisflow.method import Method

if TYPE_CHECKING:
    import pandas as pd

    from seisflow.earth import VelocityModel
    from seisflow.tables import Catalog

__all__ = ["Locator", "locate_events"]


class Locator(Method):
    """Base of every absolute locator."""

    room: ClassVar[str] = "location"

    @abstractmethod
    def locate(self, catalog: Catalog, stations: pd.DataFrame, velocity: VelocityModel) -> Catalog:
        """Return the catalogue with hypocentres, errors, residuals and weights; event ids stay."""


def locate_events(
    catalog: Catalog, stations: pd.DataFrame, velocity: VelocityModel, locator: Locator
) -> Catalog:
    """Locate every event of a catalogue from its assigned picks.

    Each event is located by itself, so any cut of a catalogue gives the same hypocentres. Events
    that can not be located keep their row with a status that says why.

    Returns
    -------
    Catalog
        EVENTS with `status` ``located`` or the reason, ASSIGNMENTS with residual, distance and
        weight, PICKS unchanged.
    """
    return locator.locate(catalog, stations, velocity)
