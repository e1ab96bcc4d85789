"""Associators that search for sources in a box around the network, and how large that box is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from seisflow.association.base import Associator

if TYPE_CHECKING:
    from seisflow.association.network import Network

__all__ = ["Box", "SourceSearch"]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

SLOW_S_KM_S = 2.5
"""No S wave is slower on average over its whole path."""
LOCAL_KM = 300.0
"""Networks with a longer diagonal are regional: they see deeper and farther sources."""
SHALLOW_KM, DEEP_KM = 30.0, 200.0
"""Depth searched below a local network, and at most."""
NEAR_KM, FAR_KM = 200.0, 400.0
"""Largest epicentral distance in a local network, and at most."""


class Box(NamedTuple):
    """What is searched: km east, km north and km below sea level, and how far picks may come from."""

    east_km: tuple[float, float]
    north_km: tuple[float, float]
    depth_km: tuple[float, float]
    max_distance_km: float

    @property
    def diagonal_km(self) -> float:
        """Horizontal diagonal: the longest distance from a source to a station."""
        return float(np.hypot(self.east_km[1] - self.east_km[0], self.north_km[1] - self.north_km[0]))

    @property
    def longest_s(self) -> float:
        """Travel time of a slow S wave over the longest path there may be, s."""
        return float(np.hypot(self.max_distance_km, self.depth_km[1] - self.depth_km[0])) / SLOW_S_KM_S


class SourceSearch(Associator):
    """Base of the associators that locate while they associate; None takes what the network implies."""

    n_p_picks: Annotated[int, Field(ge=0)] = 2
    """P picks that an event has at least."""
    n_p_and_s_picks: Annotated[int, Field(ge=0)] = 1
    """Stations with both a P and an S pick that an event has at least."""
    max_distance_km: Positive | None = None
    """Largest epicentral distance of a pick, km; it says how long after an event its picks may come. None
    takes 200 km, and more, to 400 km, where the diagonal of the network is longer than 300 km."""
    depth_min_km: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    """Shallowest source searched, km below sea level."""
    depth_max_km: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """Deepest source searched, km below sea level. None takes 30 km, and more, to 200 km, where the diagonal
    of the network is longer than 300 km."""
    edge_km: Positive | None = None
    """How far beyond the outermost stations sources are searched, km; None takes a quarter of the
    diagonal of the network, 10 to 50 km."""

    @model_validator(mode="after")
    def _depths_in_order(self) -> Self:
        if self.depth_max_km is not None and not self.depth_min_km < self.depth_max_km:
            raise ValueError(
                f"depth_max_km {self.depth_max_km:g} must exceed depth_min_km {self.depth_min_km:g}"
            )
        return self

    @property
    def margin_s(self) -> float:
        """Travel time of a slow S wave over the longest path that any network implies, s."""
        distance_km = self.max_distance_km or FAR_KM
        return float(np.hypot(distance_km, self._deepest_km(DEEP_KM) - self.depth_min_km)) / SLOW_S_KM_S

    @property
    def reach_km(self) -> float:
        """Largest epicentral distance that any network implies, km."""
        return self.max_distance_km or FAR_KM

    def box(self, network: Network) -> Box:
        """Return what is searched around a network.

        A diagonal of 600 km or more gives the largest depth and distance.
        """
        edge_km = self.edge_km or float(np.clip(0.25 * network.diagonal_km, 10.0, 50.0))
        regional = float(np.clip(network.diagonal_km / LOCAL_KM - 1.0, 0.0, 1.0))
        deepest_km = self._deepest_km(SHALLOW_KM + regional * (DEEP_KM - SHALLOW_KM))
        distance_km = self.max_distance_km or NEAR_KM + regional * (FAR_KM - NEAR_KM)
        return Box(*network.limits_km(edge_km), (self.depth_min_km, deepest_km), distance_km)

    def _deepest_km(self, implied_km: float) -> float:
        if self.depth_max_km is not None:
            return self.depth_max_km
        return max(implied_km, self.depth_min_km + SHALLOW_KM)
