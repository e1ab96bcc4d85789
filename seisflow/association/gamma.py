"""GaMMA: association as a mixture of Gaussians, one around the arrivals of each earthquake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import pandas as pd
from pydantic import Field

from seisflow.association.arrivals import arrivals_of, events_of, timed_arrivals
from seisflow.association.network import Network
from seisflow.association.search import Box, SourceSearch
from seisflow.earth import TravelTimes, VelocityModel
from seisflow.errors import DependencyError
from seisflow.tables import ASSIGNMENTS, EVENTS, Catalog, empty

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

__all__ = ["Gamma"]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

STEP_KM = 1.0
"""Of the travel-time table, which is read by bilinear interpolation."""
COORDINATES = ["x(km)", "y(km)", "z(km)"]


class Gamma(SourceSearch):
    """Associator that fits a Bayesian Gaussian mixture to the arrival times (GaMMA, PyPI name GMMA).

    Picks are cut into groups without gaps in time and space (DBSCAN), and each group is fitted with
    several times as many sources as there may be events; sources that keep too few picks vanish.
    Travel times are those of the velocity model, by a table of our own. Amplitudes are not used.

    References
    ----------
    Zhu, McBrearty, Mousavi, Ellsworth & Beroza (2022), Earthquake phase association using a Bayesian
    Gaussian mixture model, JGR Solid Earth 127, doi:10.1029/2021JB023249.
    """

    name: ClassVar[str] = "gamma"

    oversample_factor: Annotated[int, Field(ge=1)] = 5
    """Sources tried for each pick of the station and phase that has most of them in a group."""
    dbscan_eps_s: Positive | None = None
    """Gap between picks, in time and in P travel time between their stations, that ends a group, s; None
    takes what GaMMA estimates from the distances between neighbouring stations."""
    dbscan_min_samples: Annotated[int, Field(ge=1)] = 3
    """Picks within `dbscan_eps_s` of one that belongs to a group."""
    max_sigma_s: Positive = 2.0
    """Largest residual of a pick, s."""

    def associate(self, picks: pd.DataFrame, stations: pd.DataFrame, velocity: VelocityModel) -> Catalog:
        """Return the events of one window of picks, located by GaMMA, residuals of exact travel times."""
        gamma = _package()
        arrivals, network = arrivals_of(picks, stations), Network.of(stations)
        if len(arrivals) < self.n_picks:
            return Catalog(empty(EVENTS), empty(ASSIGNMENTS), picks)
        box = self.box(network)
        config = self._config(box, network, velocity)
        position = np.column_stack([network.east_km, network.north_km, -network.elevation_km])
        data = {
            "data": arrivals[["time_s"]].to_numpy(),
            "locs": position[arrivals["site"].to_numpy()],
            "phase_type": arrivals["phase"].str.lower().to_numpy(dtype=object),
            "phase_weight": np.ones((len(arrivals), 1)),
        }
        names = (arrivals["station"] + "_" + arrivals["phase"]).to_numpy(dtype=object)
        vel = config["vel"]
        groups = self._groups(gamma, data, position[np.unique(arrivals["site"])], vel)
        found: list[dict[str, Any]] = []
        event = np.full(len(arrivals), -1)
        for group in np.unique(groups[groups >= 0]):
            events, assigned = gamma.associate(
                group, groups, *data.values(), np.arange(len(arrivals)), names, config, 0.0, vel, "BGMM", -1
            )
            for row, number, _ in assigned:
                event[row] = number + len(found)
            found += events
        if not found:
            return Catalog(empty(EVENTS), empty(ASSIGNMENTS), picks)
        sources = _sources(found)
        own = timed_arrivals(
            arrivals.assign(event=event)[event >= 0], sources, network, velocity, box.max_distance_km
        )
        return events_of(own, sources, network, self, picks)

    def _groups(
        self,
        gamma: ModuleType,
        data: dict[str, NDArray[Any]],
        position: NDArray[np.float64],
        vel: dict[str, float],
    ) -> NDArray[np.int64]:
        """Return the number of the group of each pick, -1 where it is in none."""
        eps_s = self.dbscan_eps_s or gamma.estimate_eps(pd.DataFrame(position, columns=COORDINATES), vel["p"])
        groups: NDArray[np.int64] = gamma.hierarchical_dbscan_clustering(
            *data.values(), vel, eps=eps_s, min_samples=self.dbscan_min_samples
        )
        return groups

    def _config(self, box: Box, network: Network, velocity: VelocityModel) -> dict[str, Any]:
        """Return what GaMMA is told: what to search, what to keep, and the travel times."""
        limits = (box.east_km, box.north_km, box.depth_km)
        middle_km = 0.5 * sum(box.depth_km)
        return {
            "dims": COORDINATES,
            **dict(zip(COORDINATES, limits, strict=True)),
            "bfgs_bounds": [*limits, (None, None)],
            "use_amplitude": False,
            "oversample_factor": self.oversample_factor,
            "min_picks_per_eq": self.n_picks,
            "min_p_picks_per_eq": self.n_p_picks,
            "min_s_picks_per_eq": self.n_s_picks,
            "min_stations": self.min_stations,
            "max_sigma11": self.max_sigma_s,
            "vel": {phase.lower(): float(velocity.speed(phase, middle_km)) for phase in ("P", "S")},
            "eikonal": _tables(box, network, velocity),
        }


def _package() -> ModuleType:
    """Return the module of GaMMA 1.2.12, made to run with scikit-learn of today and told not to print."""
    try:
        from gamma import _base, utils
    except ImportError as error:
        raise DependencyError(
            "the associator gamma needs the package GMMA, which is not installed; "
            "run: pip install 'seisflow[gamma]'"
        ) from error
    # It prints a dot for each group. Redirecting standard output would redirect that of every thread.
    for silent in (utils, _base):
        vars(silent)["print"] = lambda *_, **__: None
    # scikit-learn 1.6 took this check away. GMMA 1.2.17 does without, but wants scikit-learn 1.7.0.
    _base.BaseMixture._check_n_features = lambda *_, **__: None
    module: ModuleType = utils
    return module


def _tables(box: Box, network: Network, velocity: VelocityModel) -> dict[str, Any]:
    """Return travel times and their gradients over distance and depth below the receiver for GaMMA.

    Depths count from the median elevation of the stations; a higher station sees its sources deeper.
    """
    top_km, bottom_km = box.depth_km
    highest_km, lowest_km = float(network.elevation_km.max()), float(network.elevation_km.min())
    distance_km = np.arange(0.0, box.diagonal_km + 2.0 * STEP_KM, STEP_KM)
    below_km = np.arange(top_km + lowest_km, bottom_km + highest_km + 2.0 * STEP_KM, STEP_KM)
    tables: dict[str, Any] = {
        "rgrid": distance_km,
        "zgrid": below_km,
        "nr": len(distance_km),
        "nz": len(below_km),
        "h": STEP_KM,
    }
    for phase, name in (("P", "up"), ("S", "us")):
        times = TravelTimes(velocity).table(phase, network.datum_km, distance_km, network.datum_km + below_km)
        tables[name] = times.ravel()
        tables[f"grad_{name}"] = np.array([slope.ravel() for slope in np.gradient(times, STEP_KM)])
    return tables


def _sources(events: list[dict[str, Any]]) -> pd.DataFrame:
    """Return the sources of GaMMA's events, in the order of their numbers."""
    table = pd.DataFrame(events)
    time_s = table["time"].to_numpy(dtype="datetime64[ns]").astype("int64") * 1e-9
    sources = table[COORDINATES].set_axis(["east_km", "north_km", "depth_km"], axis=1)
    return sources.assign(time_s=time_s)
