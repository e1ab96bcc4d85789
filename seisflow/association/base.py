"""What an associator is: parameters that turn picks of a network into events."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import Field, model_validator

from seisflow.method import Method

if TYPE_CHECKING:
    import pandas as pd

    from seisflow.earth import VelocityModel
    from seisflow.keys import Window
    from seisflow.tables import Catalog

__all__ = ["BORDER_S", "Associator", "associate_picks"]

BORDER_S = 10.0
"""Seconds by which the origin time of one earthquake may differ between two windows that see it."""

FASTEST_KM_S = 8.5
"""No wave of a crustal earthquake is faster on average over its whole path."""

Count = Annotated[int, Field(ge=0)]


class Associator(Method):
    """Base of every associator: how a period is cut, and what makes an event.

    A subclass promises that every arrival of an event lies between its origin time and `margin_s`
    after it.
    """

    room: ClassVar[str] = "association"
    neutral: ClassVar[frozenset[str]] = frozenset({"threads"})

    min_stations: Annotated[int, Field(ge=3)] = 4
    """Stations with a pick that an event has at least."""
    n_picks: Count = 7
    """Picks that an event has at least."""
    n_p_picks: Count = 3
    """P picks that an event has at least."""
    n_s_picks: Count = 2
    """S picks that an event has at least."""
    n_p_and_s_picks: Count = 2
    """Stations with both a P and an S pick that an event has at least."""
    window_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1200.0
    """Length of the windows picks are associated in, s; their borders are multiples of it since 1970."""
    cell_deg: Annotated[float, Field(ge=1, le=90)] | None = None
    """Side of the cells of latitude and longitude that a wide network is associated in, a divisor of 360
    degrees; an event is kept by the cell that holds its epicentre. None takes the network as a whole."""
    threads: Annotated[int, Field(ge=1)] = 1
    """Windows associated at the same time; without effect on the result."""

    @property
    @abstractmethod
    def margin_s(self) -> float:
        """Longest travel time that an event may have to a station of its own, s."""

    @property
    def reach_km(self) -> float:
        """Largest epicentral distance that a station of an event may have, km."""
        return self.margin_s * FASTEST_KM_S

    @abstractmethod
    def associate(self, picks: pd.DataFrame, stations: pd.DataFrame, velocity: VelocityModel) -> Catalog:
        """Return the events of one window of picks (margins included), with ids filled in.

        Equal rows give the same events; `associate_windows` hands them in order of time.
        """

    @model_validator(mode="after")
    def _window_holds_its_margins(self) -> Self:
        least = 2.0 * (self.margin_s + 2.0 * BORDER_S)
        if self.window_s < least:
            raise ValueError(
                f"window_s {self.window_s:g} s must be at least {least:g} s: twice the longest travel time "
                f"({self.margin_s:g} s) and {2 * BORDER_S:g} s for origin times near a border"
            )
        return self

    @model_validator(mode="after")
    def _cells_go_around(self) -> Self:
        if self.cell_deg is not None and not (360.0 / self.cell_deg).is_integer():
            raise ValueError(f"cell_deg {self.cell_deg:g} must divide 360 degrees, as 2.5, 5 and 10 do")
        return self

    def suffices(self, stations_p: set[str], stations_s: set[str], n_picks: int) -> bool:
        """Return whether picks are enough for an event, given the stations that have a P and an S pick."""
        return (
            n_picks >= self.n_picks
            and len(stations_p) >= self.n_p_picks
            and len(stations_s) >= self.n_s_picks
            and len(stations_p & stations_s) >= self.n_p_and_s_picks
            and len(stations_p | stations_s) >= self.min_stations
        )


def associate_picks(
    picks: pd.DataFrame,
    stations: pd.DataFrame,
    associator: Associator,
    velocity: VelocityModel,
    window: Window | None = None,
) -> Catalog:
    """Associate the picks of a network into events.

    The result does not depend on how a period is cut: the picks of many days at once give the
    same events as day by day with margins, given the same STATIONS.

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
