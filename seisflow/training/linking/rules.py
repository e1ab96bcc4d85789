"""The rules that training sequences are made by, with the numbers of the paper as defaults.

References
----------
Ross et al. (2019), PhaseLink: A deep learning approach to seismic phase association, J. Geophys. Res.
124, 856-869, doi:10.1029/2018JB016674, section 4.3.1.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["Rules"]

Count = Annotated[int, Field(ge=0, le=10_000)]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Depth = Annotated[float, Field(allow_inf_nan=False)]


class Rules(BaseModel):
    """How a training sequence comes about; every random quantity is uniform between its bounds."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    max_events: Count = 20
    """Rule 1: a sequence has from none to so many events."""

    depth_km: tuple[Depth, Depth] = (0.0, 25.0)
    """Rule 2: depth of the hypocentre that the events of a sequence share; the epicentre is anywhere."""

    beyond_share: Annotated[float, Field(ge=0, le=5)] = 0.0
    """How far beyond the box around the stations epicentres lie, as a part of its height and width."""

    moved_share: Share = 0.1
    """Rule 3: part of the events that get a hypocentre of their own."""

    first_origin_s: tuple[float, float] = (-60.0, 60.0)
    """Rule 4: origin time of the first event after the sequence begins."""

    gap_s: tuple[Seconds, Seconds] = (3.0, 20.0)
    """Rule 5: time from one event to the next."""

    max_distance_km: tuple[Seconds, Seconds] = (20.0, 100.0)
    """Rule 6: the largest epicentral distance that an event is seen at."""

    missing_share: Share = 0.5
    """Rule 8: part of the picks that are discarded."""

    error_s: Seconds = 0.5
    """Rule 9: arrival times are wrong by at most so much."""

    max_false: Count = 500
    """Rule 10: from none to so many false picks, of either phase, at any station and time."""

    span_s: Annotated[float, Field(gt=0, le=3600)] = 120.0
    """Rule 11: length of a sequence."""

    n_picks: Annotated[int, Field(ge=2, le=10_000)] = 500
    """Rule 12: the first so many picks are kept."""

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        for name in ("depth_km", "first_origin_s", "gap_s", "max_distance_km"):
            low, high = getattr(self, name)
            if not low <= high:
                raise ValueError(f"{name}: the lower bound {low:g} exceeds the upper bound {high:g}")
        if self.max_events == 0 and self.max_false == 0:
            raise ValueError("max_events and max_false are both 0: there would be no picks")
        return self
