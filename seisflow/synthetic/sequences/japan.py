"""The stress test of Ross et al. (2019, section 5.2): ever less time between earthquakes."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from seisflow.earth import Projection
from seisflow.synthetic.scenario import random_stream
from seisflow.synthetic.sequences.onsets import Earthquakes, distances_km, onsets_of
from seisflow.synthetic.sequences.sequence import (
    PickSequence,
    SequenceScenario,
    sequence_of,
    with_errors,
    with_false_onsets,
)
from seisflow.synthetic.sequences.sites import Sites, spread
from seisflow.synthetic.sequences.velocities import IASP91

__all__ = ["MEAN_GAPS_S", "Japan"]

MEAN_GAPS_S = (64.0, 32.0, 16.0, 12.0, 10.0, 8.0, 6.0, 5.0)
"""Mean times between origins of the eight sequences, s."""

CENTRE = (35.0, 133.1)
WIDTH_KM, HEIGHT_KM = 200.0, 205.0
"""Box of the stations and the epicentres: with 88 stations the spacing of Hi-net, and the 100,000
picks of the paper."""
TOP_M = 800.0
"""Highest station, m."""


class Japan(SequenceScenario):
    """Earthquakes anywhere below 88 stations, the times between them uniform from 0.

    What the paper gives: times between origins U(0, 2 x mean), hypocentres uniform in a box, epicentral
    distance of the farthest pick U(20, 100) km, half of the picks within it discarded (its rule 8), errors
    U(-0.5, 0.5) s. What it does not: the coordinates of the stations (here spread over a box of 200
    by 205 km) and the layers of its velocity model (here IASP91).

    References
    ----------
    Ross, Yue, Meier, Hauksson & Heaton (2019), PhaseLink: A deep learning approach to seismic phase
    association, JGR Solid Earth 124, doi:10.1029/2018JB016674.
    """

    name: ClassVar[str] = "japan"

    mean_gap_s: Annotated[float, Field(gt=0)] = 64.0
    """Mean time between origins, s."""
    n_events: Annotated[int, Field(ge=1)] = 5000
    """Earthquakes, those without any pick included."""
    kept_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Probability that a pick within reach is kept."""

    def make(self, seed: int) -> PickSequence:
        """Return the sequence of a seed."""
        stream = random_stream(seed, self.name)
        sites, n = japan_sites(), self.n_events
        sources = Earthquakes(
            time_s=np.cumsum(stream.uniform(0.0, 2.0 * self.mean_gap_s, n)),
            east_km=stream.uniform(-0.5, 0.5, n) * WIDTH_KM,
            north_km=stream.uniform(-0.5, 0.5, n) * HEIGHT_KM,
            depth_km=stream.uniform(0.0, 25.0, n),
            magnitude=np.full(n, np.nan),
        )
        within = distances_km(sources, sites) <= stream.uniform(20.0, 100.0, n)[:, None]
        seen = within[..., None] & (stream.random((n, len(sites), 2)) < self.kept_share)
        onsets = onsets_of(seen, sources, sites, IASP91)
        onsets = with_errors(onsets, stream.uniform(-0.5, 0.5, len(onsets)))
        onsets = with_false_onsets(stream, onsets, self.false_factor, len(sites))
        return sequence_of(sources, sites, onsets, IASP91, self.start)


@lru_cache(maxsize=1)
def japan_sites() -> Sites:
    """Return the 88 stations."""
    stream = random_stream(0, "japan", "network")
    east_km, north_km = spread(stream, 88, WIDTH_KM, HEIGHT_KM)
    return Sites(Projection(*CENTRE), "JP", east_km, north_km, np.round(stream.uniform(0.0, TOP_M, 88)))
