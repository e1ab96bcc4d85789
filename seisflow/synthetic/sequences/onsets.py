"""The onsets of earthquakes at stations, and onsets of nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from seisflow.earth import TravelTimes, VelocityModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seisflow.synthetic.sequences.sites import Sites

__all__ = ["PHASES", "Earthquakes", "Onsets", "distances_km", "false_onsets", "onsets_of"]

PHASES = ("P", "S")


@dataclass(frozen=True)
class Earthquakes:
    """Hypocentres on the plane of the sites.

    Parameters
    ----------
    time_s : array of float64, shape (n_event,)
        Origin times since the start of the sequence.
    east_km, north_km, depth_km, magnitude : array of float64, shape (n_event,)
        The magnitude is NaN where none is known.
    """

    time_s: NDArray[np.float64]
    east_km: NDArray[np.float64]
    north_km: NDArray[np.float64]
    depth_km: NDArray[np.float64]
    magnitude: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.time_s)


@dataclass(frozen=True)
class Onsets:
    """Onsets, true and false.

    Parameters
    ----------
    event : array of int64, shape (n,)
        Number of the earthquake; -1 for a false onset.
    site : array of int64, shape (n,)
        Number of the site.
    phase : array of int64, shape (n,)
        Index into `PHASES`.
    time_s : array of float64, shape (n,)
        Since the start of the sequence.
    error_s, distance_km : array of float64, shape (n,)
        What was added to the arrival time, and the epicentral distance; NaN for a false onset.
    """

    event: NDArray[np.int64]
    site: NDArray[np.int64]
    phase: NDArray[np.int64]
    time_s: NDArray[np.float64]
    error_s: NDArray[np.float64]
    distance_km: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.event)

    def joined(self, other: Onsets) -> Self:
        """Return these and others."""
        names = ("event", "site", "phase", "time_s", "error_s", "distance_km")
        return type(self)(*(np.concatenate([getattr(self, key), getattr(other, key)]) for key in names))


def distances_km(sources: Earthquakes, sites: Sites) -> NDArray[np.float64]:
    """Return epicentral distances, shape (n_event, n_site)."""
    distance: NDArray[np.float64] = np.hypot(
        sources.east_km[:, None] - sites.east_km, sources.north_km[:, None] - sites.north_km
    )
    return distance


def onsets_of(
    seen: NDArray[np.bool_],
    sources: Earthquakes,
    sites: Sites,
    velocity: VelocityModel,
) -> Onsets:
    """Return the onsets without error of those earthquakes, sites and phases that are seen.

    Parameters
    ----------
    seen : array of bool, shape (n_event, n_site, 2)
        Whether P and S of an earthquake are seen at a site.
    sources : Earthquakes
    sites : Sites
    velocity : VelocityModel
    """
    event, site, phase = np.nonzero(seen)
    distance = np.hypot(
        sources.east_km[event] - sites.east_km[site], sources.north_km[event] - sites.north_km[site]
    )
    time_s, times = sources.time_s[event], TravelTimes(velocity)
    for number, name in enumerate(PHASES):  # exact, to the true elevation
        of = phase == number
        receiver_km = -sites.elevation_m[site[of]] / 1000.0
        time_s[of] += times.first_arrival(name, distance[of], sources.depth_km[event[of]], receiver_km)
    return Onsets(event, site, phase, time_s, np.zeros(len(event)), distance)


def false_onsets(stream: np.random.Generator, n: int, n_site: int, span_s: tuple[float, float]) -> Onsets:
    """Return onsets of nothing: any site, either phase, any time of a span, all equally likely."""
    nothing = np.full(n, np.nan)
    return Onsets(
        np.full(n, -1),
        stream.integers(0, n_site, n),
        stream.integers(0, len(PHASES), n),
        stream.uniform(*span_s, n),
        nothing,
        nothing,
    )
