"""Travel-time tables of the locator against exact travel times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seisflow.earth import TravelTimes, VelocityModel
from seisflow.location.arrivals import EventArrivals
from seisflow.location.grid import TableGrid, frame_of
from tests.location.truth import CENTRE, CRUST

LID = VelocityModel(
    depth_km=(-2.0, 1.0, 4.0, 9.0, 25.0), vp_km_s=(3.0, 6.2, 4.5, 6.5, 8.0), vs_km_s=(1.6, 3.5, 2.6, 3.7, 4.6)
)


def interpolation_error_s(velocity: VelocityModel, n_points: int = 1000) -> np.ndarray:
    """Return interpolated minus exact travel times of P and S at four elevations and random sources."""
    from seisflow.location.kernels.likelihood import travel_times

    n, rng = 8, np.random.default_rng(0)
    latitude, longitude = CENTRE.to_degrees(rng.uniform(-60, 60, n), rng.uniform(-60, 60, n))
    elevation_km = np.repeat([-0.1, 0.0, 0.7, 1.37], 2)
    zeros = np.zeros(n, dtype=np.int64)
    arrivals = EventArrivals(
        0, zeros, latitude, longitude, elevation_km, np.arange(n), np.arange(n) % 2 == 1, zeros, zeros == 0
    )
    frame = frame_of(arrivals, 0.0, 30.0, 50.0)
    grid = TableGrid.of([frame], velocity)
    kernel = grid.kernel_arrivals(frame, np.ones(n))
    points, found, exact = rng.uniform(frame.box[:, 0], frame.box[:, 1], (n_points, 3)), [], []
    for east, north, depth in points:
        times = np.empty(n)
        travel_times(east, north, depth, kernel, grid.earth, times)
        found.append(times)
    distance = np.hypot(points[:, :1] - frame.east_km, points[:, 1:2] - frame.north_km)
    for i, is_s in enumerate(arrivals.is_s):
        phase = "S" if is_s else "P"
        exact.append(
            TravelTimes(velocity).first_arrival(phase, distance[:, i], points[:, 2], -elevation_km[i])
        )
    return np.array(found) - np.array(exact).T


@pytest.mark.parametrize("velocity", [CRUST, LID], ids=["crust", "low-velocity layer"])
def test_tables_interpolate_to_milliseconds(velocity: VelocityModel) -> None:
    error = np.abs(interpolation_error_s(velocity))
    # Where two arrivals cross over, travel times have a kink that no table holds.
    assert np.quantile(error, 0.99) < 0.002
    assert np.quantile(error, 0.999) < 0.02


@pytest.mark.parametrize("interpolation", ["constant", "linear"])
def test_tables_interpolate_a_published_model(shared: Path, interpolation: str) -> None:
    path = shared / "data/iceland_dike_2014/iceland_vmodel.txt"
    error = np.abs(interpolation_error_s(VelocityModel.read(path, interpolation)))
    # Where two arrivals cross over, travel times have a kink that no table holds.
    assert np.quantile(error, 0.99) < 0.002
    assert np.quantile(error, 0.999) < 0.02
