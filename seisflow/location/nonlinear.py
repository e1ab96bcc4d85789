"""Absolute location by an oct-tree search of the likelihood of arrival times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from seisflow.location.arrivals import EventArrivals, arrivals_of
from seisflow.location.base import Locator
from seisflow.location.grid import Frame, TableGrid, frame_of
from seisflow.location.posterior import azimuthal_gap_deg, depth_error_km, horizontal_error_km, matched_scale
from seisflow.tables import ASSIGNMENTS, EVENTS, Catalog, validate

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from seisflow.earth import VelocityModel
    from seisflow.location.kernels.likelihood import Arrivals, Noise

__all__ = ["Nonlinear"]

MIN_WEIGHT = 0.1
"""Picks that weigh less are not counted as used; under the defaults their residuals exceed six errors."""
DEPTH_LIMIT_KM = 0.005
DETAILS = ("residual_s", "distance_km", "weight")


class Solution(NamedTuple):
    """What became of one event."""

    status: str
    columns: dict[str, Any]
    """Values for its row in EVENTS."""
    residual_s: NDArray[np.float64]
    distance_km: NDArray[np.float64]
    weight: NDArray[np.float64]


class Posterior(NamedTuple):
    """Where an event may lie."""

    centres: NDArray[np.float64]
    probability: NDArray[np.float64]
    size: NDArray[np.float64]
    hypocentre: NDArray[np.float64]
    """East, north, depth of the most likely point, km."""
    origin_s: float


class Nonlinear(Locator):
    """Probabilistic location in a layered earth: global oct-tree search, robust likelihood, posterior errors.

    The hypocentre is the most likely point of a box around the stations of the event. Its errors
    come from the whole posterior, after the stated errors of the picks were widened to what the
    residuals show.

    Statuses: ``located``; ``depth_at_limit`` (the depth is a bound: the epicentre and its error hold, the
    depth error is null); ``outside_search_region``, ``too_few_picks``, ``too_few_stations`` and
    ``inconsistent_picks`` (fewer than `min_picks` agree) keep the preliminary hypocentre.

    References
    ----------
    Tarantola & Valette (1982), Inverse problems = quest for information, J. Geophys. 50, 159-170.
    Lomax et al. (2000), Probabilistic earthquake location in 3D and layered models, in Advances in
    Seismic Event Location, Kluwer, 101-134, doi:10.1007/978-94-015-9536-0_5.
    """

    name: ClassVar[str] = "nonlinear"

    p_error_s: Annotated[float, Field(gt=0)] = 0.05
    """Standard error of a P pick, s."""
    s_error_s: Annotated[float, Field(gt=0)] = 0.1
    """Standard error of an S pick, s."""
    model_error_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.01
    """Standard error of the velocity model's travel times, as a fraction of the travel time."""
    likelihood: Literal["student_t", "l1"] = "student_t"
    """How errors are distributed: Student's t, or Laplace, whose misfit is the sum of absolute residuals."""
    degrees_of_freedom: Annotated[float, Field(gt=2)] = 4.0
    """Of Student's t; the lower, the less outliers count."""
    depth_min_km: Annotated[float, Field(ge=-9, le=100)] = 0.0
    """Shallowest hypocentre, km below sea level; never above the highest station of the event."""
    depth_max_km: Annotated[float, Field(gt=-9, le=800)] = 30.0
    """Deepest hypocentre, km below sea level."""
    margin_km: Annotated[float, Field(gt=0, le=500)] = 50.0
    """How far beyond the box around the stations of an event its epicentre is sought, km."""
    min_picks: Annotated[int, Field(ge=4)] = 4
    """Fewest picks, P and S together, that an event is located from."""
    min_stations: Annotated[int, Field(ge=3)] = 3
    """Fewest stations that an event is located from."""

    @model_validator(mode="after")
    def _depth_range(self) -> Self:
        if not self.depth_min_km < self.depth_max_km:
            raise ValueError(
                f"depth_max_km must exceed depth_min_km, found {self.depth_max_km} and {self.depth_min_km}"
            )
        return self

    def locate(self, catalog: Catalog, stations: pd.DataFrame, velocity: VelocityModel) -> Catalog:
        """Return the catalogue with hypocentres, errors, residuals and weights; event ids stay.

        Where a station has several picks of a phase in an event, the most probable one counts and
        the others have weight 0.
        """
        frames = [
            frame_of(a, self.depth_min_km, self.depth_max_km, self.margin_km)
            for a in arrivals_of(catalog, stations)
        ]
        grid = TableGrid.of(frames, velocity)
        events, assignments = validate(catalog.events, EVENTS), validate(catalog.assignments, ASSIGNMENTS)
        status = np.full(len(events), "too_few_picks", dtype=object)
        rows: dict[int, dict[str, Any]] = {}
        details = {name: assignments[name].to_numpy(float, copy=True) for name in DETAILS}
        for frame in frames:
            event = frame.arrivals.event
            solution = self._refused(frame.arrivals) or self._solve(frame, grid)
            status[event] = solution if isinstance(solution, str) else solution.status
            if isinstance(solution, Solution):
                rows[event] = solution.columns
                for name in DETAILS:
                    details[name][frame.arrivals.assignment] = getattr(solution, name)
        return Catalog(_updated(events, rows, status), assignments.assign(**details), catalog.picks)

    def _refused(self, arrivals: EventArrivals) -> str:
        """Return why an event can not be located, or nothing."""
        if arrivals.leading.sum() < self.min_picks:
            return "too_few_picks"
        if len(np.unique(arrivals.station)) < self.min_stations:
            return "too_few_stations"
        return ""

    def _solve(self, frame: Frame, grid: TableGrid) -> Solution | str:
        """Return the solution of an event, or why there is none."""
        from seisflow.location.kernels.likelihood import dispersion, relative_weights

        arrivals, stated = frame.arrivals, self._noise(1.0)
        matched = matched_scale(stated.student, stated.freedom)
        every = grid.kernel_arrivals(frame, np.where(arrivals.is_s, self.s_error_s, self.p_error_s))
        leading = _selected(every, arrivals.leading)
        first = _search(frame, leading, grid, self._noise(matched), integrate=False)
        emission, variance = _emission(first.hypocentre, leading, grid, stated)
        noise = self._noise(matched * dispersion(emission, variance, first.origin_s))
        posterior = _search(frame, leading, grid, noise, integrate=True)
        if frame.at_side(posterior.hypocentre, posterior.size):
            return "outside_search_region"
        emission, variance = _emission(posterior.hypocentre, every, grid, noise)
        weight = np.empty(len(arrivals))
        relative_weights(emission, variance, posterior.origin_s, noise, weight)
        weight[~arrivals.leading] = 0.0
        used = weight > MIN_WEIGHT
        if used.sum() < self.min_picks or len(np.unique(arrivals.station[used])) < self.min_stations:
            return "inconsistent_picks"
        return _solution(frame, posterior, emission - posterior.origin_s, weight)

    def _noise(self, scale: float) -> Noise:
        from seisflow.location.kernels.likelihood import Noise

        return Noise(
            self.likelihood == "student_t", self.degrees_of_freedom, self.model_error_fraction, scale
        )


def _search(frame: Frame, arrivals: Arrivals, grid: TableGrid, noise: Noise, *, integrate: bool) -> Posterior:
    """Return the posterior of an event and its most likely point."""
    from seisflow.location.kernels.search import climb, octree

    centres, values, size = octree(frame.box, frame.first_cells, arrivals, grid.earth, noise, integrate)
    best = int(np.argmax(values))
    probability = np.exp(values - values[best])
    hypocentre, origin_s = climb(centres[best], size, frame.box, arrivals, grid.earth, noise)
    return Posterior(centres, probability / probability.sum(), size, hypocentre, origin_s)


def _selected(arrivals: Arrivals, wanted: NDArray[np.bool_]) -> Arrivals:
    """Return some of the arrivals."""
    return arrivals._replace(**{name: values[wanted] for name, values in arrivals._asdict().items()})


def _emission(
    hypocentre: NDArray[np.float64], arrivals: Arrivals, grid: TableGrid, noise: Noise
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the emission times (s) that the arrivals imply, and their variances (s2)."""
    from seisflow.location.kernels.likelihood import log_likelihood

    n = len(arrivals.time_s)
    work = np.empty((3, n))
    east, north, depth = hypocentre.tolist()
    log_likelihood(east, north, depth, 0.0, arrivals, grid.earth, noise, np.arange(n), work)
    return work[1], work[2]


def _solution(
    frame: Frame, posterior: Posterior, residual_s: NDArray[np.float64], weight: NDArray[np.float64]
) -> Solution:
    """Return the values for the tables."""
    arrivals, used = frame.arrivals, weight > MIN_WEIGHT
    east, north = frame.east_km - posterior.hypocentre[0], frame.north_km - posterior.hypocentre[1]
    latitude, longitude = frame.projection.to_degrees(*posterior.hypocentre[:2])
    depth_km = float(posterior.hypocentre[2])
    cells = (posterior.centres, posterior.probability, posterior.hypocentre)
    at_limit = bool(np.abs(frame.box[2] - depth_km).min() < DEPTH_LIMIT_KM)
    columns = {
        "time": frame.reference + round(posterior.origin_s * 1e9),
        "latitude": float(latitude),
        "longitude": float(longitude),
        "depth_km": depth_km,
        "n_p": int((used & ~arrivals.is_s).sum()),
        "n_s": int((used & arrivals.is_s).sum()),
        "rms_s": float(np.sqrt(np.sum(weight * residual_s**2) / np.sum(weight))),
        "gap_deg": azimuthal_gap_deg(east[used], north[used]),
        "horizontal_error_km": horizontal_error_km(*cells),
        "depth_error_km": np.nan if at_limit else depth_error_km(*cells, posterior.size[2]),
    }
    status = "depth_at_limit" if at_limit else "located"
    return Solution(status, columns, residual_s, np.hypot(east, north), weight)


def _updated(
    events: pd.DataFrame, rows: dict[int, dict[str, Any]], status: NDArray[np.object_]
) -> pd.DataFrame:
    """Return EVENTS with the new values of the located rows; the others lose their errors."""
    import pandas as pd

    updated = events.assign(status=status, horizontal_error_km=np.nan, depth_error_km=np.nan)
    if not rows:
        return updated
    found = pd.DataFrame.from_dict(rows, orient="index").assign(method=Nonlinear.name)
    found["time"] = pd.to_datetime(found["time"], utc=True)
    for name in found:
        updated[name] = found[name].reindex(events.index).combine_first(updated[name])
    return validate(updated, EVENTS)
