"""A pick sequence, and what makes one."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from seisflow.earth import VelocityModel
from seisflow.keys import as_time
from seisflow.synthetic.sequences.onsets import PHASES, Earthquakes, Onsets, false_onsets
from seisflow.tables import ASSIGNMENTS, EVENTS, PICKS, Catalog, event_id, pick_ids, validate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seisflow.synthetic.sequences.sites import Sites

__all__ = ["PickSequence", "SequenceScenario", "sequence_of", "with_errors", "with_false_onsets"]


@dataclass(frozen=True)
class PickSequence:
    """Picks of known earthquakes, false ones among them.

    Parameters
    ----------
    truth : Catalog
        EVENTS and ASSIGNMENTS that are true (method and status ``truth``, residuals are the pick
        errors), and all PICKS by time; those without an assignment are false. Nothing in PICKS tells
        true from false ones.
    stations : STATIONS table
    velocity : VelocityModel
        The model that the arrival times come from.
    """

    truth: Catalog
    stations: pd.DataFrame
    velocity: VelocityModel

    @property
    def picks(self) -> pd.DataFrame:
        """All picks, a PICKS table."""
        return self.truth.picks

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """For each pick the row of its event in the true EVENTS, -1 for a false pick."""
        number = pd.Series(np.arange(len(self.truth.events)), index=self.truth.events["event_id"])
        event = self.truth.assignments.set_index("pick_id")["event_id"].map(number)
        labels: NDArray[np.int64] = (
            event.reindex(self.picks["pick_id"]).fillna(-1).to_numpy().astype(np.int64)
        )
        return labels


class SequenceScenario(BaseModel):
    """Parameters of a pick sequence; with a seed they decide every pick. The network has no seed."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: ClassVar[str]
    start: ClassVar[str] = "2020-01-01"

    false_factor: Annotated[float, Field(ge=0)] = 0.0
    """False picks for each true one."""

    @abstractmethod
    def make(self, seed: int) -> PickSequence:
        """Return the sequence of a seed."""


def sequence_of(
    sources: Earthquakes, sites: Sites, onsets: Onsets, velocity: VelocityModel, start: str
) -> PickSequence:
    """Return onsets as tables, in order of time; earthquakes without an onset are left out."""
    order = np.argsort(onsets.time_s, kind="stable")
    picks = pd.DataFrame(
        {
            "network": sites.network,
            "station": sites.names[onsets.site[order]],
            "location": "",
            "band": "HH",
            "phase": np.array(PHASES)[onsets.phase[order]],
            "time": _instants(onsets.time_s[order], start),
            "probability": 1.0,
            "polarity": "",
            "method": "synthetic",
        }
    )
    picks["pick_id"] = pick_ids(picks)
    first = ~picks["pick_id"].duplicated().to_numpy()  # two onsets in one microsecond are one pick
    event = onsets.event[order]
    assigned = picks[["pick_id", "phase"]].assign(
        event=event, residual_s=onsets.error_s[order], distance_km=onsets.distance_km[order], weight=1.0
    )
    own = assigned[first & (event >= 0)].sort_values("event", kind="stable")
    names = own.groupby("event")["pick_id"].agg(lambda ids: event_id(ids.tolist()))
    assignments = own.assign(event_id=names.reindex(own["event"]).to_numpy())
    events = _events(sources, sites, own, names, start)
    truth = Catalog(events, validate(assignments, ASSIGNMENTS), validate(picks[first], PICKS))
    return PickSequence(truth, sites.table(), velocity)


def with_false_onsets(
    stream: np.random.Generator,
    onsets: Onsets,
    factor: float,
    n_site: int,
    span_s: tuple[float, float] | None = None,
) -> Onsets:
    """Return onsets with `factor` false ones for each, over a span of time; None is from first to last."""
    if not len(onsets):
        return onsets
    span_s = span_s or (float(onsets.time_s.min()), float(onsets.time_s.max()))
    return onsets.joined(false_onsets(stream, round(factor * len(onsets)), n_site, span_s))


def with_errors(onsets: Onsets, error_s: NDArray[np.float64]) -> Onsets:
    """Return onsets of earthquakes, an error added to each."""
    return replace(onsets, time_s=onsets.time_s + error_s, error_s=error_s)


def _events(
    sources: Earthquakes, sites: Sites, own: pd.DataFrame, names: pd.Series[str], start: str
) -> pd.DataFrame:
    """Return the EVENTS that have picks, in order of time."""
    row = names.index.to_numpy()
    latitude, longitude = sites.projection.to_degrees(sources.east_km[row], sources.north_km[row])
    n_p = (own["phase"] == "P").groupby(own["event"]).sum()
    n_s = (own["phase"] == "S").groupby(own["event"]).sum()
    events = pd.DataFrame(
        {
            "event_id": names.to_numpy(),
            "time": _instants(sources.time_s[row], start),
            "latitude": latitude,
            "longitude": longitude,
            "depth_km": sources.depth_km[row],
            "n_p": n_p.reindex(row).to_numpy(),
            "n_s": n_s.reindex(row).to_numpy(),
            "magnitude": sources.magnitude[row],
            "magnitude_type": np.where(np.isnan(sources.magnitude[row]), "", "M"),
            "method": "truth",
            "status": "truth",
        }
    )
    return validate(events.sort_values("time", kind="stable"), EVENTS)


def _instants(time_s: NDArray[np.float64], start: str) -> pd.DatetimeIndex:
    offset = np.round(time_s * 1e6).astype("int64").astype("timedelta64[us]")
    return pd.DatetimeIndex(as_time(start) + offset, tz="UTC")
