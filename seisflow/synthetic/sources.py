"""Earthquakes: when, where, how large, and how the fault slipped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from seisflow.earth import Projection
from seisflow.synthetic.scenario import Scenario, random_stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Source", "double_couple", "gutenberg_richter", "make_sources"]

CORNER_P, CORNER_S = 0.55, 0.37
"""Corner frequency over beta (stress drop / moment)^(1/3): S of Brune (1970), P 1.5 times higher."""
ON_FAULT = 0.6
"""Part of the earthquakes that lies on the fault; the others are scattered over the network."""

QUIET_END_S = 40.0
"""No earthquake strikes so shortly before the end that its waves would be cut off, s."""


@dataclass(frozen=True)
class Source:
    """One earthquake.

    Parameters
    ----------
    name : str
        Names what is random about its waveforms; family members share it.
    time_s : float
        Origin time, s since the start of the archive.
    latitude, longitude : float
        Epicentre, degree.
    depth_km : float
        Below sea level.
    east_km, north_km : float
        Epicentre in the projection of the network.
    magnitude : float
        Moment magnitude.
    strike_deg, dip_deg, rake_deg : float
        Double couple after Aki & Richards.
    stress_drop_mpa : float
    family : int
        Number of its family, -1 where it has none.
    """

    name: str
    time_s: float
    latitude: float
    longitude: float
    depth_km: float
    east_km: float
    north_km: float
    magnitude: float
    strike_deg: float
    dip_deg: float
    rake_deg: float
    stress_drop_mpa: float
    family: int = -1

    @property
    def moment_n_m(self) -> float:
        """Seismic moment (Hanks & Kanamori 1979), N m."""
        return float(10.0 ** (1.5 * self.magnitude + 9.1))

    def corner_hz(self, phase: str, vs_km_s: float) -> float:
        """Return the corner frequency of P or S after Brune (1970), Hz."""
        factor = CORNER_P if phase == "P" else CORNER_S
        ratio = self.stress_drop_mpa * 1e6 / self.moment_n_m
        return float(factor * vs_km_s * 1000.0 * ratio ** (1.0 / 3.0))


def double_couple(strike_deg: float, dip_deg: float, rake_deg: float) -> NDArray[np.float64]:
    """Return the unit moment tensor of a double couple in east, north, up axes, shape (3, 3).

    References
    ----------
    Aki & Richards (2002), Quantitative Seismology, 2nd ed., chapter 4: slip and normal vectors.
    """
    strike, dip, rake = np.radians([strike_deg, dip_deg, rake_deg])
    slip_north = np.cos(rake) * np.cos(strike) + np.cos(dip) * np.sin(rake) * np.sin(strike)
    slip_east = np.cos(rake) * np.sin(strike) - np.cos(dip) * np.sin(rake) * np.cos(strike)
    slip_up = np.sin(rake) * np.sin(dip)
    normal_north = -np.sin(dip) * np.sin(strike)
    normal_east = np.sin(dip) * np.cos(strike)
    normal_up = np.cos(dip)
    slip = np.array([slip_east, slip_north, slip_up])
    normal = np.array([normal_east, normal_north, normal_up])
    tensor: NDArray[np.float64] = np.outer(slip, normal) + np.outer(normal, slip)
    return tensor


def gutenberg_richter(
    stream: np.random.Generator, n: int, b_value: float, magnitude_range: tuple[float, float]
) -> NDArray[np.float64]:
    """Return magnitudes of a Gutenberg-Richter law cut at both ends, shape (n,).

    The distribution is inverted at one random place in each of n equal steps of probability, so
    that the largest magnitude of a small catalogue does not hang on a single draw.
    """
    low, high = magnitude_range
    beta = b_value * np.log(10.0)
    probability = (stream.permutation(n) + stream.uniform(0.0, 1.0, n)) / max(n, 1)
    magnitude: NDArray[np.float64] = low - np.log1p(-probability * -np.expm1(-beta * (high - low))) / beta
    return magnitude


def make_sources(scenario: Scenario, seed: int) -> tuple[Source, ...]:
    """Return the earthquakes of a scenario, by origin time.

    Most lie on a dipping fault through the network, the others anywhere below it. Origin times are
    uniform; a part of the events is then moved to strike shortly after another one. Members of a
    family share hypocentre, mechanism and stress drop and have their own magnitude and time.
    """
    stream = random_stream(seed, "sources")
    n = scenario.n_events
    projection = Projection(scenario.latitude, scenario.longitude)
    east_km, north_km, depth_km = _hypocentres(scenario, stream)
    latitude, longitude = projection.to_degrees(east_km, north_km)
    magnitude = gutenberg_richter(stream, n, scenario.b_value, scenario.magnitude_range)
    strike_deg = stream.uniform(0, 360, n)
    dip_deg = stream.uniform(30, 90, n)
    rake_deg = stream.uniform(-180, 180, n)
    stress_drop_mpa = scenario.stress_drop_mpa * np.exp(stream.normal(0, np.log(2.0), n))
    time_s = _origin_times(scenario, stream)
    sources = [
        Source(
            name=f"event-{k}",
            time_s=float(time_s[k]),
            latitude=float(latitude[k]),
            longitude=float(longitude[k]),
            depth_km=float(depth_km[k]),
            east_km=float(east_km[k]),
            north_km=float(north_km[k]),
            magnitude=float(magnitude[k]),
            strike_deg=float(strike_deg[k]),
            dip_deg=float(dip_deg[k]),
            rake_deg=float(rake_deg[k]),
            stress_drop_mpa=float(stress_drop_mpa[k]),
        )
        for k in range(n)
    ]
    for family in range(scenario.n_families):
        first = family * scenario.family_size
        for k in range(first, first + scenario.family_size):
            sources[k] = replace(
                sources[first],
                name=f"family-{family}",
                time_s=sources[k].time_s,
                magnitude=sources[k].magnitude,
                family=family,
            )
    return tuple(sorted(sources, key=lambda source: source.time_s))


def _hypocentres(
    scenario: Scenario, stream: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return kilometres east, north and down of every event."""
    n = scenario.n_events
    radius_km = 0.5 * scenario.aperture_km
    top_km, bottom_km = scenario.depth_range_km
    depth_km = top_km + (bottom_km - top_km) * stream.beta(2.0, 2.0, n)
    strike_rad = stream.uniform(0, np.pi)
    along_km = stream.uniform(-0.8, 0.8, n) * radius_km
    across_km = (depth_km - depth_km.mean() if n else depth_km) / np.tan(np.radians(65.0))
    across_km = across_km + stream.normal(0, 0.5, n)
    distance_km = 0.9 * radius_km * np.sqrt(stream.uniform(0, 1, n))
    turn_rad = stream.uniform(0, 2 * np.pi, n)
    on_fault = stream.uniform(0, 1, n) < ON_FAULT
    fault_east_km = along_km * np.sin(strike_rad) + across_km * np.cos(strike_rad)
    fault_north_km = along_km * np.cos(strike_rad) - across_km * np.sin(strike_rad)
    east_km = np.where(on_fault, fault_east_km, distance_km * np.sin(turn_rad))
    north_km = np.where(on_fault, fault_north_km, distance_km * np.cos(turn_rad))
    return east_km, north_km, depth_km


def _origin_times(scenario: Scenario, stream: np.random.Generator) -> NDArray[np.float64]:
    """Return origin times, s since the start, the last ones shortly after an earlier one."""
    n = scenario.n_events
    last_s = scenario.duration_s - min(QUIET_END_S, 0.5 * scenario.duration_s)
    time_s = stream.uniform(0.0, last_s, n)
    n_overlapping = min(round(scenario.overlap_fraction * n), n // 2)
    if n_overlapping:
        followed = stream.choice(n - n_overlapping, n_overlapping, replace=False)
        lag_s = stream.uniform(*scenario.overlap_s, n_overlapping)
        time_s[n - n_overlapping :] = np.minimum(time_s[followed] + lag_s, last_s)
    return time_s
