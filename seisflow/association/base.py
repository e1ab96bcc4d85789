"""What an associator is: parameters that turn picks of a network into events."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from seisflow.method import Method

if TYPE_CHECKING:
    import pandas as pd

    from seisflow.earth import VelocityModel
    from seisflow.keys import Window
    from seisflow.tables import Catalog

__all__ = ["Associator", "associate_picks"]


class Associator(Method):
    """Base of every associator."""

    room: ClassVar[str] = "association"

    window_s: float = 3600.0
    """Length of the windows picks are associated in; their borders are multiples of it since 1970."""

    @property
    @abstractmethod
    def margin_s(self) -> float:
        """Seconds of picks needed on each side of a window: more than the longest travel time."""

    @abstractmethod
    def associate(self, picks: pd.DataFrame, stations: pd.DataFrame, velocity: VelocityModel) -> Catalog:
        """Return the events of one window of picks (margins included), with ids filled in."""


def associate_picks(
    picks: pd.DataFrame,
    stations: pd.DataFrame,
    associator: Associator,
    velocity: VelocityModel,
    window: Window | None = None,
) -> Catalog:
    """Associate the picks of a network into events.

    The result does not depend on how a period is cut: the picks of many days at once give the
    same events as day by day with margins.

    Parameters
    ----------
    picks : PICKS table
        Where `window` is given it must reach `stitching_margin_s(associator)` beyond it.
    stations : STATIONS table
    associator : Associator
    velocity : VelocityModel
    window : Window, optional
        Keep only events with origin time in ``[start, end)``; None keeps all.

    Returns
    -------
    Catalog
        EVENTS (status ``associated``), ASSIGNMENTS, and PICKS (those given that lie in `window`,
        and those assigned to an event kept).

    Raises
    ------
    MetadataError
        If a station that has picks has no coordinates.
    """
    from seisflow.association.stitching import associate_windows

    return associate_windows(picks, stations, associator, velocity, window)
