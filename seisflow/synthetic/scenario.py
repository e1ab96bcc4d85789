"""What to simulate: the size of the network, how the earth shakes, and what goes wrong with the data."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from seisflow.earth import VelocityModel
from seisflow.keys import Period, as_time, seconds

__all__ = ["Scenario", "random_stream"]

Count = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(ge=0)]


class Scenario(BaseModel):
    """Parameters of a synthetic archive; with a seed they decide every byte of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: str = "2024-03-01"
    """First sample, UTC, on a whole second."""
    duration_s: Annotated[float, Field(ge=60)] = 86400.0
    """Length of the archive, s; files are cut at midnight."""
    network: Annotated[str, Field(pattern=r"^[A-Z0-9]{1,2}$")] = "SF"
    """Network code."""
    latitude: Annotated[float, Field(ge=-80, le=80)] = 46.0
    """Centre of the network, degree."""
    longitude: Annotated[float, Field(ge=-180, le=180)] = 8.0
    """Centre of the network, degree."""
    n_stations: Annotated[int, Field(ge=1, le=999)] = 12
    """Stations."""
    aperture_km: Annotated[float, Field(gt=0, le=300)] = 70.0
    """Diameter of the network, km."""
    sampling_rate_hz: Annotated[float, Field(ge=20, le=1000)] = 100.0
    """Sampling rate, Hz."""
    n_oblique: Count = 1
    """Stations whose horizontals are not aligned with north: components Z12."""
    n_vertical_only: Count = 0
    """Stations with a vertical component only."""
    n_half_rate: Count = 0
    """Stations that sample at half of `sampling_rate_hz`."""
    velocity: VelocityModel = VelocityModel(
        depth_km=(0.0, 2.0, 8.0, 18.0, 32.0),
        vp_km_s=(5.0, 5.8, 6.2, 6.8, 8.0),
        vs_km_s=(2.87, 3.35, 3.58, 3.93, 4.62),
    )
    """Layered velocity model: what is written next to the archive, and what travel times start from."""
    path_scatter: Annotated[float, Field(ge=0, le=0.1)] = 0.005
    """Standard deviation of true over modelled travel time; for each station smooth in the hypocentre."""
    station_delay_s: Annotated[float, Field(ge=0, le=1)] = 0.03
    """Standard deviation of the P delay under each station, s; the S delay is larger by Vp/Vs."""
    n_events: Count = 150
    """Earthquakes, family members and overlapping events included."""
    depth_range_km: tuple[float, float] = (2.0, 15.0)
    """Shallowest and deepest hypocentre, km below sea level."""
    b_value: Annotated[float, Field(gt=0)] = 1.0
    """Slope of the Gutenberg-Richter law."""
    magnitude_range: tuple[float, float] = (1.4, 3.8)
    """Smallest and largest moment magnitude."""
    stress_drop_mpa: Annotated[float, Field(gt=0)] = 3.0
    """Median stress drop, MPa; it scatters by a factor of two."""
    n_families: Count = 4
    """Families of repeating earthquakes: one hypocentre and mechanism each."""
    family_size: Annotated[int, Field(ge=2)] = 5
    """Members of each family."""
    overlap_fraction: Annotated[float, Field(ge=0, le=1)] = 0.04
    """Part of the events that strikes within `overlap_s` after another one."""
    overlap_s: tuple[float, float] = (3.0, 12.0)
    """Shortest and longest time between origins of overlapping events, s."""
    gaps_per_day: Rate = 2.0
    """Gaps in each station and day, mean of a Poisson process; 0.1 s to 10 min long."""
    glitches_per_day: Rate = 8.0
    """Spikes, steps and calibration pulses on each channel and day, mean of a Poisson process."""
    bursts_per_day: Rate = 30.0
    """Vehicles and other local transients at each station and day, mean; most at noisy sites and by day."""

    @field_validator("start")
    @classmethod
    def _whole_second(cls, value: str) -> str:
        if as_time(value) != as_time(value).astype("datetime64[s]"):
            raise ValueError("the start must lie on a whole second")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Scenario:
        for name in ("depth_range_km", "magnitude_range", "overlap_s"):
            low, high = getattr(self, name)
            if not low <= high:
                raise ValueError(f"{name} must be (smallest, largest), found {(low, high)}")
        if self.n_families * self.family_size > self.n_events:
            raise ValueError(
                f"n_events is {self.n_events}, too few for {self.n_families} families of {self.family_size}"
            )
        if self.n_oblique + self.n_vertical_only + self.n_half_rate > self.n_stations:
            raise ValueError(
                f"n_stations is {self.n_stations}, too few for {self.n_oblique} oblique, "
                f"{self.n_vertical_only} vertical-only and {self.n_half_rate} half-rate stations"
            )
        return self

    @property
    def period(self) -> Period:
        """The span of time the archive covers."""
        start = as_time(self.start)
        return Period(start, start + seconds(self.duration_s))


def random_stream(seed: int, *key: str | int) -> np.random.Generator:
    """Return the random numbers of one thing: they depend on the seed and its name, on nothing else.

    Results therefore do not depend on the order things are simulated in, nor on by how many workers.
    """
    words: list[int] = [seed]
    for part in key:
        words.extend(part.encode() if isinstance(part, str) else [part])
        words.append(256)
    return np.random.default_rng(words)


def poisson_times(stream: np.random.Generator, rate_per_day: float, duration_s: float) -> NDArray[np.float64]:
    """Return sorted instants of a Poisson process, s since the start, shape (n,)."""
    n = stream.poisson(rate_per_day * duration_s / 86400.0)
    times: NDArray[np.float64] = np.sort(stream.uniform(0.0, duration_s, n))
    return times
