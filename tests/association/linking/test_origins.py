"""The quick location of clusters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from seisflow.association.linking.origins import SearchBox, Tables, locate_cluster
from seisflow.association.network import Network
from seisflow.earth import TravelTimes, VelocityModel

CRUST = VelocityModel(depth_km=(0.0, 4.0, 16.0), vp_km_s=(5.0, 6.0, 6.7), vs_km_s=(2.9, 3.46, 3.87))
BOX = SearchBox(-70.0, 70.0, -70.0, 70.0, 0.0, 25.0)


@pytest.mark.parametrize("n_wrong", [0, 3])
def test_sources_are_found_also_among_wrong_picks(n_wrong: int) -> None:
    rng = np.random.default_rng(0)
    stations = pd.DataFrame(
        {"latitude": 45 + rng.uniform(-0.5, 0.5, 15), "elevation_m": 800 * rng.random(15)}
    )
    network = Network.of(stations.assign(longitude=10 + rng.uniform(-0.7, 0.7, 15)))
    tables = Tables.of(network, CRUST, BOX)
    site, phase = np.repeat(np.arange(15), 2), np.tile([0, 1], 15)
    off_km = []
    for _ in range(20):
        east, north, depth = rng.uniform(-45, 45), rng.uniform(-45, 45), rng.uniform(3, 18)
        distance = np.hypot(network.east_km[site] - east, network.north_km[site] - north)
        travel = np.where(
            phase == 0,
            *(
                TravelTimes(CRUST).first_arrival(code, distance, depth, -network.elevation_km[site])
                for code in "PS"
            ),
        )
        time_s = 1000.0 + travel + rng.normal(0.0, 0.05, 30)
        time_s[rng.choice(30, n_wrong, replace=False)] += 15.0
        found = locate_cluster(time_s, site, phase, network.east_km, network.north_km, BOX, tables)
        off_km.append(np.hypot(found[0] - east, found[1] - north))
        assert abs(found[3] - 1000.0) < 1.0
        assert abs(found[2] - depth) < 10.0
    assert np.median(off_km) < 1.0
    assert np.max(off_km) < 8.0


def test_a_source_stays_in_the_box() -> None:
    rng = np.random.default_rng(1)
    stations = pd.DataFrame({"latitude": 45 + rng.uniform(-0.1, 0.1, 8), "elevation_m": 0.0})
    network = Network.of(stations.assign(longitude=10 + rng.uniform(-0.1, 0.1, 8)))
    tables = Tables.of(network, CRUST, BOX)
    site, phase = np.arange(8), np.zeros(8, np.int64)
    time_s = np.hypot(network.east_km - 300.0, network.north_km) / 6.0  # from far outside
    east, north, depth, _ = locate_cluster(
        time_s, site, phase, network.east_km, network.north_km, BOX, tables
    )
    assert east > 60.0
    assert BOX.west <= east <= BOX.east
    assert BOX.south <= north <= BOX.north
    assert BOX.top <= depth <= BOX.bottom
