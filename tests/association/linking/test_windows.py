"""Windows and features, against those computed by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from seisflow.association.linking.features import N_FEATURES, Frame, fill_features
from seisflow.association.linking.windows import PADDING_STEP, padded_length, window_ends


def test_a_window_ends_after_its_span_or_its_number_of_picks() -> None:
    time_s = np.array([0.0, 1.0, 120.0, 120.5, 121.0, 300.0])
    np.testing.assert_array_equal(window_ends(time_s, 120.0, 500), [3, 5, 5, 5, 5, 6])
    np.testing.assert_array_equal(window_ends(time_s, 120.0, 2), [2, 3, 4, 5, 5, 6])


def test_lengths_are_padded_to_multiples() -> None:
    n = np.arange(1, 600)
    padded = padded_length(n)
    assert (padded % PADDING_STEP == 0).all()
    assert ((padded >= n) & (padded < n + PADDING_STEP)).all()


def test_features_are_those_of_the_paper() -> None:
    # Latitude and longitude as parts of the network's extent, time after the root over 120 s, 1 for S, and 1
    # for padding (section 4.1).
    stations = pd.DataFrame({"latitude": [34.0, 36.0, 35.5], "longitude": [132.0, 136.0, 133.0]})
    north, east = Frame.of_stations(stations).normalised(stations["latitude"], stations["longitude"])
    site, time_s = np.array([1, 0, 2, 1]), np.array([5.0, 10.0, 70.0, 124.0])
    features = np.full((2, 4, N_FEATURES), np.nan, np.float32)
    ends = window_ends(time_s, 120.0, 500)
    roots, is_s = np.array([0, 1]), np.array([False, True, False, True])
    fill_features(features, roots, ends[roots], north[site], east[site], time_s, is_s, 120.0)
    first = [
        [1.0, 1.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 5.0 / 120.0, 1.0, 0.0],
        [0.75, 0.25, 65.0 / 120.0, 0.0, 0.0],
        [1.0, 1.0, 119.0 / 120.0, 1.0, 0.0],
    ]
    second = [
        [0.0, 0.0, 0.0, 1.0, 0.0],
        [0.75, 0.25, 0.5, 0.0, 0.0],
        [1.0, 1.0, 114.0 / 120.0, 1.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 1.0],
    ]
    np.testing.assert_allclose(features, [first, second], atol=1e-6)


@pytest.mark.parametrize("shift_deg", [0.0, 177.9, -179.5])
def test_a_frame_may_straddle_the_date_line(shift_deg: float) -> None:
    longitude = np.array([1.0, 3.0, 2.5]) + shift_deg
    stations = pd.DataFrame(
        {"latitude": [-17.0, -16.0, -16.5], "longitude": (longitude + 180.0) % 360.0 - 180.0}
    )
    frame = Frame.of_stations(stations)
    north, east = frame.normalised(stations["latitude"], stations["longitude"])
    np.testing.assert_allclose(north, [0.0, 1.0, 0.5], atol=1e-6)
    np.testing.assert_allclose(east, [0.0, 1.0, 0.75], atol=1e-6)
    latitude, back = frame.degrees(north, east)
    np.testing.assert_allclose(latitude, stations["latitude"], atol=1e-6)
    np.testing.assert_allclose((back - stations["longitude"] + 180.0) % 360.0, 180.0, atol=1e-5)


def test_stations_on_one_meridian_have_a_frame() -> None:
    stations = pd.DataFrame({"latitude": [1.0, 2.0], "longitude": [7.0, 7.0]})
    _, east = Frame.of_stations(stations).normalised(stations["latitude"], stations["longitude"])
    assert np.isfinite(east).all()
