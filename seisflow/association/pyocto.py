"""PyOcto: association by following picks into ever smaller cells of space and time."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
import pandas as pd
from pydantic import Field

from seisflow.association.arrivals import arrivals_of, events_of, timed_arrivals
from seisflow.association.network import Network
from seisflow.association.search import Box, SourceSearch
from seisflow.earth import VelocityModel
from seisflow.errors import DependencyError
from seisflow.tables import ASSIGNMENTS, EVENTS, Catalog, empty

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from pyocto import OctoAssociator

__all__ = ["PyOcto"]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

STEPS_PER_NODE = 5.0
"""Steps of the travel-time table across a node, 1 km at most each."""
NODE_PER_LOCATION = 7.0
"""How much finer than a node sources are located."""
CLEAR = {"n_picks": 3, "n_p_picks": 1, "n_s_picks": 1, "n_p_and_s_picks": 2}
"""What an event must have beyond the least in the first pass."""


@dataclass(frozen=True)
class _Scale:
    """The lengths and tolerances of a search, those that follow from the network filled in."""

    box: Box
    node_km: float
    near_km: float
    tolerance_s: float
    match_s: float

    @classmethod
    def of(cls, octree: PyOcto, network: Network) -> _Scale:
        tolerance_s = octree.tolerance_s or min(2.0, 0.3 + 0.02 * network.spacing_km)
        return cls(
            box=octree.box(network),
            node_km=octree.min_node_size_km or float(np.clip(0.5 * network.spacing_km, 1.0, 10.0)),
            near_km=octree.near_km or max(30.0, 5.0 * network.spacing_km),
            tolerance_s=tolerance_s,
            match_s=octree.pick_match_tolerance_s or tolerance_s,
        )

    @property
    def unit(self) -> float:
        """Kilometres, and seconds, of the unit that PyOcto is given lengths and times in.

        PyOcto 0.1 takes a step of its travel-time table for 1 km where it looks for the earliest time
        in a cell, and compares lengths with durations by a speed of 5 km/s. Scaled alike, speeds stay
        as they are, the step is 1, and small networks get the fine table they need.
        """
        return min(1.0, self.node_km / STEPS_PER_NODE)


class PyOcto(SourceSearch):
    """Associator that splits space and time where enough picks agree, until an event remains.

    Lengths and tolerances that are None follow from the geometry of the network.

    Sources are found in two passes: the clear ones first, then those with the least number of
    picks among the picks that are left. So small events do not take picks of large ones.

    References
    ----------
    Münchmeyer (2024), PyOcto: A high-throughput seismic phase associator, Seismica 3 (1),
    doi:10.26443/seismica.v3i1.1130.
    """

    name: ClassVar[str] = "pyocto"
    version: ClassVar[int] = 2

    min_node_size_km: Positive | None = None
    """Cells of this size are tried as events, km; None takes half the station spacing, 1 to 10 km."""
    near_km: Positive | None = None
    """Stations within this distance of a cell decide whether it holds an event, km; None takes five
    station spacings, at least 30 km. Farther ones join when the event stands."""
    tolerance_s: Positive | None = None
    """How far a pick may be from the times a cell allows, s; None takes 0.3 s and 0.02 s for each
    kilometre of station spacing, at most 2 s."""
    pick_match_tolerance_s: Positive | None = None
    """How far a pick may be from the time an event predicts, s; None takes `tolerance_s`."""
    min_interevent_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    """Of two events whose origin times are closer than this the one with more picks is kept, s."""
    min_pick_fraction: Annotated[float, Field(ge=0, le=1)] = 0.25
    """Share of the stations nearer to an event that must have picks for a far station to count; 0 is
    twice as fast and finds more false events."""

    def associate(self, picks: pd.DataFrame, stations: pd.DataFrame, velocity: VelocityModel) -> Catalog:
        """Return the events of one window of picks, located by PyOcto, residuals of exact travel times."""
        arrivals = arrivals_of(picks, stations)
        network = Network.of(stations)
        sources = pd.DataFrame(columns=["east_km", "north_km", "depth_km", "time_s"], dtype=float)
        for extra in (CLEAR, dict.fromkeys(CLEAR, 0)):
            left = arrivals[arrivals["event"] < 0]
            if len(left) >= self.n_picks + extra["n_picks"]:
                found, event = self._search(left, network, velocity, extra)
                arrivals.loc[event.index, "event"] = event + len(sources)
                sources = pd.concat([sources, found], ignore_index=True)
        if sources.empty:
            return Catalog(empty(EVENTS), empty(ASSIGNMENTS), picks)
        found = arrivals[arrivals["event"] >= 0]
        own = timed_arrivals(found, sources, network, velocity, self.box(network).max_distance_km)
        return events_of(own, sources, network, self, picks)

    def _search(
        self, arrivals: pd.DataFrame, network: Network, velocity: VelocityModel, extra: Mapping[str, int]
    ) -> tuple[pd.DataFrame, pd.Series[int]]:
        """Return sources, and the number of the source for each arrival that has one."""
        scale = _Scale.of(self, network)
        # One slice for all: slices would share picks, and begin where the first pick happens to be.
        span_s = float(arrivals["time_s"].iloc[-1]) + 2.0 * scale.box.longest_s
        picks = pd.DataFrame(
            {
                "station": arrivals["site"].map("{:06d}".format),
                "phase": arrivals["phase"],
                "time": arrivals["time_s"] / scale.unit,
            }
        )
        sites = self._sites(np.unique(arrivals["site"]), network, velocity, scale.unit)
        with tempfile.NamedTemporaryFile(suffix=".traveltimes") as file:
            file.write(network.table(velocity, scale.box.depth_km, scale.box.diagonal_km, scale.unit))
            file.flush()
            octree = self._octree(scale, file.name, span_s, extra)
            events, assignments = octree.associate(picks, sites)
        if events.empty:
            return pd.DataFrame(), pd.Series(dtype=int)
        columns = ["east_km", "north_km", "depth_km", "time_s"]
        sources = (events[["x", "y", "z", "time"]] * scale.unit).set_axis(columns, axis=1)
        sources["depth_km"] += self.depth_min_km
        rows = arrivals.index[assignments["pick_idx"].to_numpy()]
        return sources, pd.Series(assignments["event_idx"].to_numpy(), index=rows)

    def _octree(self, scale: _Scale, path: str, span_s: float, extra: Mapping[str, int]) -> OctoAssociator:
        """Return PyOcto's associator, in units of `scale.unit`."""
        try:
            from pyocto import OctoAssociator, VelocityModel1D
        except ImportError as error:
            raise DependencyError(
                "the associator pyocto needs the package pyocto, which is not installed; "
                "run: pip install 'seisflow[association]'"
            ) from error
        unit = scale.unit
        box = scale.box
        least = {key: getattr(self, key) + more for key, more in extra.items()}
        least["n_p_picks"] = max(least["n_p_picks"], least["n_p_and_s_picks"])
        least["n_s_picks"] = max(least["n_s_picks"], least["n_p_and_s_picks"])
        least["n_picks"] = max(least["n_picks"], least["n_p_picks"] + least["n_s_picks"])
        model = VelocityModel1D(
            path, scale.tolerance_s / unit, association_cutoff_distance=scale.near_km / unit
        )
        return OctoAssociator(
            xlim=(box.east_km[0] / unit, box.east_km[1] / unit),
            ylim=(box.north_km[0] / unit, box.north_km[1] / unit),
            zlim=(0.0, (box.depth_km[1] - box.depth_km[0]) / unit),
            velocity_model=model,
            time_before=box.longest_s / unit,
            time_slicing=span_s / unit,
            min_node_size=scale.node_km / unit,
            min_node_size_location=scale.node_km / NODE_PER_LOCATION / unit,
            pick_match_tolerance=scale.match_s / unit,
            min_interevent_time=self.min_interevent_s / unit,
            min_pick_fraction=self.min_pick_fraction,
            n_threads=1,
            **least,
        )

    def _sites(
        self, sites: NDArray[np.int64], network: Network, velocity: VelocityModel, unit: float
    ) -> pd.DataFrame:
        """Return the sites that have picks as PyOcto wants them: at the datum, with terms for elevation."""
        terms = {phase: network.elevation_terms_s(phase, velocity, self.depth_min_km) for phase in ("P", "S")}
        return pd.DataFrame(
            {
                "id": [f"{site:06d}" for site in sites],
                "x": network.east_km[sites] / unit,
                "y": network.north_km[sites] / unit,
                "z": 0.0,
                "p_residual": terms["P"][sites] / unit,
                "s_residual": terms["S"][sites] / unit,
            }
        )
