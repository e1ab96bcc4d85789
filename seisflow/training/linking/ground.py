"""What arrival times of training sequences follow from: a network, a box of hypocentres, travel times."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from seisflow.association.linking.features import Frame
from seisflow.association.network import Network
from seisflow.earth import TravelTimes, VelocityModel

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from seisflow.training.linking.rules import Rules

__all__ = ["STEP_KM", "Ground", "sites_to_train"]

STEP_KM = 1.0
"""Step of the travel-time tables in distance and depth."""
N_NODES = 33
"""Nodes, along each side, at which the box of hypocentres is projected."""


class Ground(NamedTuple):
    """Arrays that the generator of sequences works on.

    Attributes
    ----------
    east_km, north_km : array of float64, shape (n_station,)
    north, east : array of float32, shape (n_station,)
        Coordinates as parts of the frame.
    node_km : array of float64, shape (2, N_NODES, N_NODES)
        East and north of the nodes of the box of epicentres, by latitude, then longitude.
    travel_s : array of float64, shape (2, n_distance, n_depth)
        P and S times every `STEP_KM`.
    term_s : array of float64, shape (2, n_station)
        How much later P and S come for the elevation of the station.
    top_km : float
        Depth of the first row of the tables.
    """

    east_km: NDArray[np.float64]
    north_km: NDArray[np.float64]
    north: NDArray[np.float32]
    east: NDArray[np.float32]
    node_km: NDArray[np.float64]
    travel_s: NDArray[np.float64]
    term_s: NDArray[np.float64]
    top_km: float

    @classmethod
    def of(
        cls,
        stations: pd.DataFrame,
        frame: Frame,
        velocity: VelocityModel,
        rules: Rules,
    ) -> Self:
        """Return what follows from a STATIONS table, one row a station, and a velocity model."""
        network = Network.of(stations)
        north, east = frame.normalised(stations["latitude"], stations["longitude"])
        parts = np.linspace(-rules.beyond_share, 1.0 + rules.beyond_share, N_NODES)
        nodes = network.projection.to_km(*frame.degrees(*np.meshgrid(parts, parts, indexing="ij")))
        top, bottom = rules.depth_km
        distances = STEP_KM * np.arange(int(np.ceil(rules.max_distance_km[1] / STEP_KM)) + 2)
        depths = top + STEP_KM * np.arange(int(np.ceil((bottom - top) / STEP_KM)) + 2)
        times = TravelTimes(velocity)
        tables = [times.table(phase, network.datum_km, distances, depths) for phase in "PS"]
        terms = [network.elevation_terms_s(phase, velocity, top) for phase in "PS"]
        return cls(
            network.east_km,
            network.north_km,
            north,
            east,
            np.stack(nodes),
            np.stack(tables),
            np.stack(terms),
            top,
        )


def sites_to_train(stations: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each station of a STATIONS table: its first, in the order of names."""
    ordered = stations.sort_values(["network", "station", "location"], kind="stable")
    return ordered.drop_duplicates(["network", "station"], ignore_index=True)
