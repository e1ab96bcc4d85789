"""PhaseLink: association by a network that says which picks belong to the event of a root pick."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from seisflow.association.arrivals import arrivals_of, events_of, timed_arrivals
from seisflow.association.base import Associator
from seisflow.association.network import Network
from seisflow.tables import ASSIGNMENTS, EVENTS, Catalog, empty
from seisflow.weightfile import read_weight_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seisflow.association.linking.linker import Linker
    from seisflow.association.linking.origins import SearchBox
    from seisflow.earth import VelocityModel

__all__ = ["PhaseLink"]

SPAN_S = 120.0
"""Length of the paper's windows, s."""
MOST_CUTS = 20
"""How often picks from before an origin are taken off and the origin time is formed anew."""


class PhaseLink(Associator):
    """PhaseLink as published, with weights trained for the network by ``seisflow train phaselink``.

    Each pick is the root of a window of the picks in the 120 s after it, 500 at most. A recurrent network
    says which of them are from the root's event; clusters form and merge root by root, backwards in time.
    What the paper leaves to others is a quick location, since events have an origin here; it changes no
    cluster but for picks that can not be of its event.

    References
    ----------
    Ross, Yue, Meier, Hauksson & Heaton (2019), PhaseLink: A deep learning approach to seismic phase
    association, J. Geophys. Res. 124, 856-869, doi:10.1029/2018JB016674.
    """

    name: ClassVar[str] = "phaselink"
    neutral: ClassVar[frozenset[str]] = Associator.neutral | {"device"}

    weights: str
    """File that ``seisflow train phaselink`` wrote for this network."""
    n_picks: Annotated[int, Field(ge=2)] = 8
    """Picks that an event has at least: the paper's n_min."""
    n_p_picks: Annotated[int, Field(ge=0)] = 0
    """P picks that an event has at least."""
    n_s_picks: Annotated[int, Field(ge=0)] = 0
    """S picks that an event has at least."""
    n_p_and_s_picks: Annotated[int, Field(ge=0)] = 0
    """Stations with both a P and an S pick that an event has at least."""
    n_nuc: Annotated[int, Field(ge=2)] = 8
    """Picks, the root included, that are linked where a cluster begins."""
    n_merge: Annotated[int, Field(ge=1)] | None = None
    """Picks that a cluster has in common with another which it joins; None takes `n_nuc` - 1."""
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Probability from which on a pick is linked."""
    edge_km: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """How far beyond the outermost stations origins are searched, km; None takes a quarter of the
    diagonal of the network, 10 to 50 km."""
    max_residual_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Linked picks farther than this from when they should come from the origin are left out, s; None keeps
    all but those from before the origin, as the paper does, which has no origins."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the network runs; auto takes a GPU where there is one."""

    @model_validator(mode="after")
    def _clusters_can_merge(self) -> Self:
        if self.n_merge is not None and self.n_merge >= self.n_nuc:
            raise ValueError(
                f"n_merge {self.n_merge} must be less than n_nuc {self.n_nuc}: of the picks linked to a "
                "root all but the root itself may be in another cluster"
            )
        return self

    @property
    def margin_s(self) -> float:
        """The longest window: all picks of an event lie in one that its first pick is the root of."""
        return SPAN_S

    @property
    def resources(self) -> dict[str, float]:
        """A GPU, where one is asked for by name; auto takes what the worker has."""
        return {"GPU": 1.0} if self.device == "cuda" else {}

    def identity(self) -> dict[str, Any]:
        """Return what decides the result; weights are named by their content, not by where they lie."""
        weights = read_weight_file(Path(self.weights).expanduser(), self.name)
        identity = super().identity()
        identity["parameters"]["weights"] = weights.digest
        return identity

    def associate(self, picks: pd.DataFrame, stations: pd.DataFrame, velocity: VelocityModel) -> Catalog:
        """Return the events of one window of picks.

        Raises
        ------
        WeightsError
            If the weights are not found, or are not for the stations that have picks.
        """
        from seisflow.association.linking.linker import read_linker

        linker = read_linker(self.weights)
        arrivals = arrivals_of(picks, stations)
        if len(arrivals) < self.n_nuc:
            return Catalog(empty(EVENTS), empty(ASSIGNMENTS), picks)
        linker.check(stations.iloc[np.unique(arrivals["site"])], velocity)
        clusters = self._clusters(arrivals, stations, linker)
        if not clusters:
            return Catalog(empty(EVENTS), empty(ASSIGNMENTS), picks)
        network = Network.of(stations)
        sources = self._sources(arrivals, clusters, network, linker, velocity)
        rows = np.concatenate(clusters)
        event = np.repeat(np.arange(len(clusters)), [len(cluster) for cluster in clusters])
        linked = arrivals.iloc[rows].assign(event=event).reset_index(drop=True)
        own = timed_arrivals(linked, sources, network, velocity, np.inf)
        if self.max_residual_s is not None:
            late_s = own["delay_s"].to_numpy() - sources["time_s"].to_numpy()[own["event"]]
            own = own[np.abs(late_s) <= self.max_residual_s]
        for _ in range(MOST_CUTS):
            possible = own["time_s"] >= own.groupby("event")["delay_s"].transform("mean")
            if possible.all():
                break
            own = own[possible]
        return events_of(own, sources, network, self, picks)

    def _clusters(
        self, arrivals: pd.DataFrame, stations: pd.DataFrame, linker: Linker
    ) -> list[NDArray[np.int64]]:
        """Return rows of `arrivals` for each cluster."""
        from seisflow.association.linking.aggregation import clusters_of
        from seisflow.association.linking.prediction import PickSeries, predict_links

        sites = stations.iloc[arrivals["site"].to_numpy()]
        north, east = linker.frame.normalised(sites["latitude"], sites["longitude"])
        series = PickSeries(arrivals["time_s"].to_numpy(), north, east, (arrivals["phase"] == "S").to_numpy())
        links = predict_links(linker, series, self.threshold, self._device, self.n_nuc)
        n_merge = self.n_nuc - 1 if self.n_merge is None else self.n_merge
        return clusters_of(links, self.n_nuc, n_merge, self.n_picks)

    def _sources(
        self,
        arrivals: pd.DataFrame,
        clusters: list[NDArray[np.int64]],
        network: Network,
        linker: Linker,
        velocity: VelocityModel,
    ) -> pd.DataFrame:
        """Return an origin for each cluster."""
        from seisflow.association.linking.origins import Tables, locate_cluster

        box = self._box(network, linker)
        tables = Tables.of(network, velocity, box)
        time_s, site = arrivals["time_s"].to_numpy(), arrivals["site"].to_numpy()
        phase = (arrivals["phase"] == "S").to_numpy().astype(np.int64)
        found = [
            locate_cluster(time_s[own], site[own], phase[own], network.east_km, network.north_km, box, tables)
            for own in clusters
        ]
        return pd.DataFrame(found, columns=["east_km", "north_km", "depth_km", "time_s"])

    def _box(self, network: Network, linker: Linker) -> SearchBox:
        """Return the box that holds the stations and the epicentres trained for, and some room."""
        from seisflow.association.linking.origins import SearchBox

        edge_km = self.edge_km or float(np.clip(0.25 * network.diagonal_km, 10.0, 50.0))
        (west, east), (south, north) = network.limits_km(edge_km)
        parts = np.array([-linker.beyond_share, 1.0 + linker.beyond_share])
        corners = network.projection.to_km(*linker.frame.degrees(*np.meshgrid(parts, parts)))
        return SearchBox(
            min(west, float(corners[0].min())),
            max(east, float(corners[0].max())),
            min(south, float(corners[1].min())),
            max(north, float(corners[1].max())),
            *linker.depth_km,
        )

    @property
    def _device(self) -> str:
        """The device that the network runs on."""
        if self.device != "auto":
            return self.device
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"
