"""A swarm among as many false picks: after the Borrego Springs test of Ross et al. (2019, section 5.1)."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
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
from seisflow.synthetic.sequences.velocities import HADLEY_KANAMORI

__all__ = ["Borrego"]

FAULT = (33.29, -116.44)
STRIKE_DEG = 315.0
DAY_S = 86400.0
SPAN_DAYS, MAINSHOCK_DAY = 30.0, 9.0
BACKGROUND = 0.1
"""Part of the earthquakes that comes at any time of the month."""
OMORI_C_DAY = 0.05
"""Aftershocks go with 1 / (time + this), days."""
N_FAR, N_NEAR = 120, 60
FAR_KM, NEAR_KM = (440.0, 380.0), (100.0, 100.0)
"""Stations over southern California, and the denser network around the fault; east by north."""


class Borrego(SequenceScenario):
    """A mainshock and its aftershocks in a month, half of all picks false.

    The paper takes the 73,353 analyst picks of 1,708 real earthquakes (43 each) and adds as many false
    ones, uniform over the network and the month. Here as many earthquakes lie on a fault segment, their rate
    decays as 1 / time after a mainshock, and as many picks each are made: P and S within a distance
    U(20, 78) km, a share kept, errors U(-0.5, 0.5) s.
    """

    name: ClassVar[str] = "borrego"

    false_factor: Annotated[float, Field(ge=0)] = 1.0
    """False picks for each true one."""
    n_events: Annotated[int, Field(ge=1)] = 1708
    """Earthquakes."""
    kept_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Probability that a pick within reach is kept."""

    def make(self, seed: int) -> PickSequence:
        """Return the sequence of a seed."""
        stream = random_stream(seed, self.name)
        sites, n = borrego_sites(), self.n_events
        along_km, across_km = stream.normal(0.0, 3.0, n), stream.normal(0.0, 1.0, n)
        strike = np.radians(STRIKE_DEG)
        sources = Earthquakes(
            time_s=np.sort(_origin_times_s(stream, n)),
            east_km=along_km * np.sin(strike) + across_km * np.cos(strike),
            north_km=along_km * np.cos(strike) - across_km * np.sin(strike),
            depth_km=stream.uniform(7.0, 15.0, n),
            magnitude=np.full(n, np.nan),
        )
        within = distances_km(sources, sites) <= stream.uniform(20.0, 78.0, n)[:, None]
        seen = within[..., None] & (stream.random((n, len(sites), 2)) < self.kept_share)
        onsets = onsets_of(seen, sources, sites, HADLEY_KANAMORI)
        onsets = with_errors(onsets, stream.uniform(-0.5, 0.5, len(onsets)))
        month = (0.0, SPAN_DAYS * DAY_S)
        onsets = with_false_onsets(stream, onsets, self.false_factor, len(sites), month)
        return sequence_of(sources, sites, onsets, HADLEY_KANAMORI, self.start)


def _origin_times_s(stream: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Return a background uniform in the month, and aftershocks by Omori's law."""
    after = SPAN_DAYS - MAINSHOCK_DAY
    omori = OMORI_C_DAY * ((1.0 + after / OMORI_C_DAY) ** stream.random(n) - 1.0)
    any_day = stream.uniform(0.0, SPAN_DAYS, n)
    days = np.where(stream.random(n) < BACKGROUND, any_day, MAINSHOCK_DAY + omori)
    times: NDArray[np.float64] = days * DAY_S
    return times


@lru_cache(maxsize=1)
def borrego_sites() -> Sites:
    """Return the stations, the fault at (0, 0) km."""
    stream = random_stream(0, "borrego", "network")
    far, near = spread(stream, N_FAR, *FAR_KM), spread(stream, N_NEAR, *NEAR_KM)
    # The fault lies in the south-east of the region.
    east_km = np.concatenate([far[0] - 0.2 * FAR_KM[0], near[0]])
    north_km = np.concatenate([far[1] + 0.2 * FAR_KM[1], near[1]])
    elevation_m = np.round(stream.uniform(0.0, 2000.0, N_FAR + N_NEAR))
    return Sites(Projection(*FAULT), "CI", east_km, north_km, elevation_m)
