"""From hypocentre to station: when waves arrive, how they left and how they come up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from seisflow.earth import TravelTimes
from seisflow.synthetic.scenario import Scenario, random_stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seisflow.synthetic.network import Site
    from seisflow.synthetic.sources import Source

__all__ = ["Ray", "trace_rays"]

STEP_KM = 0.01
"""Half the distance over which travel times are differentiated."""
SCATTER_LENGTH_KM = 25.0
"""Distance over which the scatter of travel times changes."""
N_WAVES = 24
"""Plane waves that make up the scatter of travel times of a station."""


@dataclass(frozen=True)
class Ray:
    """First arrival of a phase at a station.

    Parameters
    ----------
    phase : str
        P or S.
    time_s : float
        True travel time: that of the layered model, scattered.
    model_time_s : float
        Travel time in the layered model.
    distance_km : float
        Epicentral.
    hypocentral_km : float
        Length of the straight line, for geometrical spreading.
    azimuth_rad : float
        From the epicentre to the station, clockwise from north.
    takeoff : tuple of float
        Unit vector the ray leaves along: (away from the epicentre, up).
    incidence_rad : float
        Angle from the vertical at which the ray comes up under the station.
    source_speed_km_s : float
        Speed of the phase at the hypocentre.
    """

    phase: str
    time_s: float
    model_time_s: float
    distance_km: float
    hypocentral_km: float
    azimuth_rad: float
    takeoff: tuple[float, float]
    incidence_rad: float
    source_speed_km_s: float


def trace_rays(
    sources: Sequence[Source], sites: Sequence[Site], scenario: Scenario, seed: int
) -> list[list[dict[str, Ray]]]:
    """Return the P and S ray of each source (first index) to each site (second index).

    Directions come from the gradient of the travel time (the eikonal equation), so they hold for
    direct and head waves alike.
    """
    if not sources:
        return []
    travel_times = TravelTimes(scenario.velocity)
    east_km, north_km, depth_km = (
        np.array([[getattr(source, name)] for source in sources])
        for name in ("east_km", "north_km", "depth_km")
    )
    site_depth_km = np.array([[site.depth_km for site in sites]])
    east_km = np.array([[site.east_km for site in sites]]) - east_km
    north_km = np.array([[site.north_km for site in sites]]) - north_km
    distance_km = np.hypot(east_km, north_km)
    azimuth_rad = np.arctan2(east_km, north_km)
    hypocentral_km = np.hypot(distance_km, depth_km - site_depth_km)
    factor, delay_s = _disorder(sources, sites, scenario, seed)
    vp_vs = float(scenario.velocity.speed("P", 0.0) / scenario.velocity.speed("S", 0.0))

    rays: list[list[dict[str, Ray]]] = [[{} for _ in sites] for _ in sources]
    for phase in ("P", "S"):

        def time(away_km: float, down_km: float, phase: str = phase) -> NDArray[np.float64]:
            return np.asarray(
                travel_times.first_arrival(
                    phase, np.abs(distance_km + away_km), depth_km + down_km, site_depth_km
                )
            )

        model_time_s = time(0.0, 0.0)
        away = time(STEP_KM, 0.0) - time(-STEP_KM, 0.0)
        up = time(0.0, STEP_KM) - time(0.0, -STEP_KM)
        norm = np.hypot(away, up)
        true_time_s = model_time_s * factor + delay_s * (vp_vs if phase == "S" else 1.0)
        source_speed = np.broadcast_to(scenario.velocity.speed(phase, depth_km), distance_km.shape)
        surface_speed = scenario.velocity.speed(phase, site_depth_km)
        sine = np.clip(away / (2.0 * STEP_KM) * surface_speed, -0.999, 0.999)
        for i, k in np.ndindex(distance_km.shape):
            rays[i][k][phase] = Ray(
                phase=phase,
                time_s=float(true_time_s[i, k]),
                model_time_s=float(model_time_s[i, k]),
                distance_km=float(distance_km[i, k]),
                hypocentral_km=float(hypocentral_km[i, k]),
                azimuth_rad=float(azimuth_rad[i, k]),
                takeoff=(float(away[i, k] / norm[i, k]), float(up[i, k] / norm[i, k])),
                incidence_rad=float(np.arcsin(sine[i, k])),
                source_speed_km_s=float(source_speed[i, k]),
            )
    return rays


def _disorder(
    sources: Sequence[Source], sites: Sequence[Site], scenario: Scenario, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return by how much the true earth differs from the layers.

    Returns
    -------
    factor : ndarray, shape (n_sources, n_sites)
        True over modelled travel time: for each station a sum of plane waves over the hypocentres,
        so that neighbouring events share it and repeating ones have the same.
    delay_s : ndarray, shape (1, n_sites)
        Delay of P under the stations.
    """
    places = np.array([[source.east_km, source.north_km, source.depth_km] for source in sources])
    factor = np.ones((len(sources), len(sites)))
    delay_s = np.zeros((1, len(sites)))
    for k, site in enumerate(sites):
        stream = random_stream(seed, "disorder", site.station)
        delay_s[0, k] = stream.normal(0.0, scenario.station_delay_s)
        wavenumber = stream.normal(0.0, 1.0 / SCATTER_LENGTH_KM, (3, N_WAVES))
        phase_rad = stream.uniform(0.0, 2 * np.pi, N_WAVES)
        waves = np.cos(2 * np.pi * places @ wavenumber + phase_rad)
        factor[:, k] += scenario.path_scatter * waves.sum(axis=1) * np.sqrt(2.0 / N_WAVES)
    return factor, delay_s
