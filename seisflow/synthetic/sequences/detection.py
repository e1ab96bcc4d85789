"""Which onsets a network picks, as a function of magnitude and distance: the rule of PyOcto's tests."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from seisflow.synthetic.scenario import random_stream
from seisflow.synthetic.sequences.onsets import Earthquakes, Onsets, distances_km, onsets_of
from seisflow.synthetic.sequences.sequence import (
    PickSequence,
    SequenceScenario,
    sequence_of,
    with_errors,
    with_false_onsets,
)
from seisflow.synthetic.sequences.velocities import IASP91
from seisflow.synthetic.sources import gutenberg_richter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seisflow.earth import VelocityModel
    from seisflow.synthetic.sequences.sites import Sites

__all__ = ["DetectionScenario"]

DAY_S = 86400.0

REACH_KM, REACH_PER_MAGNITUDE_KM = 80.0, 120.0
EDGE_SHARE, EDGE_LEAST_KM = 0.1, 30.0
PICKED = 0.8
"""Probability of a pick close to the source."""
CORRELATION = 0.5
"""Of P and S picks at a station."""
MIN_PICKS, MIN_BOTH = 10, 4
"""Picks, and stations with P and S, without which an earthquake is left out."""
ERROR_SHARE, ERROR_LEAST_S = 0.01, 0.4
"""Standard deviation of a pick: this share of the travel time, at least so many seconds."""
MAGNITUDES = (-0.5, 7.0)
BATCH = 4000


class DetectionScenario(SequenceScenario):
    """A day of earthquakes, each picked where its magnitude and distance let it be seen.

    References
    ----------
    Münchmeyer (2024), PyOcto: A high-throughput seismic phase associator, Seismica 3 (1),
    doi:10.26443/seismica.v3i1.1130, section on synthetic scenarios.
    """

    n_events: Annotated[int, Field(ge=1)] = 500
    """Earthquakes in the day."""
    false_factor: Annotated[float, Field(ge=0)] = 0.3
    """False picks for each true one."""

    @abstractmethod
    def sites(self) -> Sites:
        """Return the stations."""

    @abstractmethod
    def places(self, stream: np.random.Generator, n: int) -> tuple[NDArray[np.float64], ...]:
        """Draw n places of earthquakes: east, north and depth, km, shape (n,) each."""

    def make(self, seed: int) -> PickSequence:
        """Return the sequence of a seed."""
        stream, sites = random_stream(seed, self.name), self.sites()
        sources, seen = self._sources(stream, sites)
        onsets = _picked(stream, seen, sources, sites, IASP91)
        onsets = with_false_onsets(stream, onsets, self.false_factor, len(sites), (0.0, DAY_S))
        return sequence_of(sources, sites, onsets, IASP91, self.start)

    def _sources(self, stream: np.random.Generator, sites: Sites) -> tuple[Earthquakes, NDArray[np.bool_]]:
        """Return earthquakes that are seen well enough, by origin time, and which of their phases are seen.

        Magnitudes follow Gutenberg and Richter's law with b = 1; most small ones are drawn in vain. The
        second array has the shape (n_event, n_site, 2).
        """
        kept: list[tuple[NDArray[np.float64], ...]] = []
        masks: list[NDArray[np.bool_]] = []
        while sum(map(len, masks)) < self.n_events:
            east_km, north_km, depth_km = self.places(stream, BATCH)
            magnitude = gutenberg_richter(stream, BATCH, 1.0, MAGNITUDES)
            time_s = stream.uniform(0.0, DAY_S, BATCH)
            seen = _seen(stream, Earthquakes(time_s, east_km, north_km, depth_km, magnitude), sites)
            enough = (seen.sum(axis=(1, 2)) >= MIN_PICKS) & (seen.all(axis=2).sum(axis=1) >= MIN_BOTH)
            kept.append(tuple(part[enough] for part in (time_s, east_km, north_km, depth_km, magnitude)))
            masks.append(seen[enough])
        parts = [np.concatenate(part)[: self.n_events] for part in zip(*kept, strict=True)]
        order = np.argsort(parts[0])
        mask = np.concatenate(masks)[: self.n_events]
        return Earthquakes(*(part[order] for part in parts)), mask[order]


def _picked(
    stream: np.random.Generator,
    seen: NDArray[np.bool_],
    sources: Earthquakes,
    sites: Sites,
    velocity: VelocityModel,
) -> Onsets:
    """Return the onsets that are seen, with normal errors that grow with the travel time."""
    onsets = onsets_of(seen, sources, sites, velocity)
    travel_s = onsets.time_s - sources.time_s[onsets.event]
    deviation_s = np.maximum(ERROR_SHARE * travel_s, ERROR_LEAST_S)
    return with_errors(onsets, stream.normal(0.0, deviation_s))


def _seen(stream: np.random.Generator, sources: Earthquakes, sites: Sites) -> NDArray[np.bool_]:
    """Return which phases are picked where, shape (n_event, n_site, 2)."""
    slant_km = np.hypot(distances_km(sources, sites), sources.depth_km[:, None] + sites.elevation_m / 1000.0)
    reach_km = (REACH_KM + REACH_PER_MAGNITUDE_KM * sources.magnitude)[:, None]
    edge_km = np.maximum(EDGE_SHARE * reach_km, EDGE_LEAST_KM)
    picked = PICKED / (1.0 + np.exp((slant_km - reach_km) / edge_km))
    p, u = stream.random((2, *picked.shape))
    has_p = p < picked
    given_p = picked + CORRELATION * np.where(has_p, 1.0 - picked, -picked)
    return np.stack([has_p, u < given_p], axis=-1)
