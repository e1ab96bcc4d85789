"""The local projection: true lengths, back and forth, across the antimeridian."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from seisflow.earth import Projection


def stations(latitude: list[float], longitude: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"latitude": latitude, "longitude": longitude})


@settings(deadline=None, max_examples=60)
@given(
    centre=st.tuples(st.floats(-80, 80), st.floats(-180, 180)),
    east=st.floats(-300, 300),
    north=st.floats(-300, 300),
)
def test_there_and_back(centre: tuple[float, float], east: float, north: float) -> None:
    projection = Projection(*centre)
    back = projection.to_km(*projection.to_degrees(east, north))
    assert (float(back[0]), float(back[1])) == pytest.approx((east, north), abs=1e-5)


@pytest.mark.parametrize(("latitude", "longitude"), [(34.0, -118.0), (-17.0, 179.9), (64.7, -17.0)])
def test_lengths_are_those_of_the_ellipsoid(latitude: float, longitude: float) -> None:
    projection = Projection(latitude, longitude)
    for azimuth in (0.0, 70.0, 200.0):
        far_longitude, far_latitude, _ = Geod(ellps="WGS84").fwd(longitude, latitude, azimuth, 100_000.0)
        east, north = projection.to_km(far_latitude, far_longitude)
        assert np.hypot(east, north) == pytest.approx(100.0, abs=0.02)
        assert np.degrees(np.arctan2(east, north)) % 360 == pytest.approx(azimuth, abs=0.01)


def test_network_across_the_antimeridian_is_whole() -> None:
    table = stations([-17.0, -16.0, -16.5], [179.5, -179.5, 179.9])
    projection = Projection.of_stations(table)
    assert (projection.latitude, abs(projection.longitude)) == (-16.5, 180.0)
    east, _ = projection.to_km(table["latitude"], table["longitude"])
    assert np.ptp(east) == pytest.approx(107.0, abs=1.0)


def test_centre_is_the_middle_of_the_box() -> None:
    projection = Projection.of_stations(stations([10.0, 12.0, 12.0], [20.0, 26.0, 26.0]))
    assert (projection.latitude, projection.longitude) == (11.0, 23.0)
