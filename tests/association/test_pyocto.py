"""PyOcto on real picks, and what is done around it: travel-time file, units, elevations."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seisflow.association import associate_picks
from seisflow.association.network import Network
from seisflow.association.pyocto import PyOcto
from seisflow.association.stitching import stitching_margin_s
from seisflow.earth import TravelTimes
from seisflow.errors import WorkflowError
from tests.association.contract import in_chunks, same
from tests.association.sequences import CRUST, amatrice, iceland_dike, made_sequence, recovered, scores


def test_finds_the_dike_swarm(shared: Path) -> None:
    """27 earthquakes in nine minutes; four have one or two P picks, some reference picks are wrong."""
    swarm = iceland_dike(shared)
    catalog = associate_picks(swarm.picks, swarm.stations, PyOcto(), swarm.velocity)
    assert len(recovered(catalog, swarm, 1.0, 5.0)) >= 24
    assert len(catalog.events) <= 28
    source = catalog.assignments["pick_id"].map(swarm.source)
    strangers = source.groupby(catalog.assignments["event_id"]).apply(
        lambda own: (own != own.mode()[0]).sum()
    )
    assert strangers.sum() <= 0.02 * len(source)


def test_a_real_aftershock_sequence_does_not_depend_on_cuts(shared: Path) -> None:
    sequence = amatrice(shared)
    hours = sequence.picks["time"].between("2016-10-14T02:00", "2016-10-14T02:30", inclusive="left")
    sequence = sequence._replace(picks=sequence.picks[hours])
    fast = PyOcto(
        window_s=600.0, n_picks=10, n_s_picks=3, n_p_and_s_picks=3, min_pick_fraction=0.0, threads=2
    )
    whole = associate_picks(sequence.picks, sequence.stations, fast, sequence.velocity)
    assert len(whole.events) > 40
    same(whole, in_chunks(sequence, fast, ["2016-10-14", "2016-10-14T02:14:15.92", "2016-10-15"]))


@pytest.mark.parametrize("size_km", [10.0, 300.0])
def test_defaults_follow_the_size_of_the_network(size_km: float) -> None:
    sequence = made_sequence(3, n_stations=25, size_km=size_km, error_s=0.02 + 0.0005 * size_km)
    catalog = associate_picks(sequence.picks, sequence.stations, PyOcto(), sequence.velocity)
    recall, precision = scores(catalog, sequence, PyOcto())
    assert recall >= 0.9
    assert precision >= 0.9


def test_a_network_of_a_few_hundred_metres_is_a_matter_of_scale() -> None:
    sequence = made_sequence(4, n_events=12, n_stations=15, size_km=1.0, error_s=0.005)
    mine = PyOcto(edge_km=0.5, min_node_size_km=0.25, tolerance_s=0.05, depth_max_km=20.0)
    catalog = associate_picks(sequence.picks, sequence.stations, mine, sequence.velocity)
    recall, precision = scores(catalog, sequence, mine)
    assert recall >= 0.9
    assert precision >= 0.9


def test_the_travel_time_file_holds_our_travel_times() -> None:
    network = Network.of(made_sequence(1).stations)
    content = network.table(CRUST, depth_km=(-1.0, 9.0), farthest_km=160.0, unit_km=0.5)
    n_distance, n_depth, step = struct.unpack_from("iid", content)
    times = np.frombuffer(content, offset=16).reshape(2, n_distance, n_depth)
    assert step == 1.0
    expected = TravelTimes(CRUST).first_arrival("S", 40 * 0.5, -1.0 + 6 * 0.5, network.datum_km)
    assert times[1, 40, 6] * 0.5 == pytest.approx(float(expected))
    assert 0.5 * (n_distance - 2) >= 160.0
    assert -1.0 + 0.5 * (n_depth - 2) >= 9.0


def test_elevation_terms_are_those_of_steep_rays() -> None:
    """A ray that comes up steeply takes the height over the velocity longer, and never more."""
    sequence = made_sequence(1)
    network = Network.of(sequence.stations)
    height = network.elevation_km + network.datum_km
    for phase, speed in (("P", 5.0), ("S", 2.9)):
        terms = network.elevation_terms_s(phase, CRUST, 0.0)
        assert (np.abs(terms) <= np.abs(height) / speed + 1e-6).all()
        np.testing.assert_allclose(terms, height / speed, rtol=0.5, atol=0.01)


def test_leaves_no_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    sequence = made_sequence(1, n_events=5)
    associate_picks(sequence.picks, sequence.stations, PyOcto(), sequence.velocity)
    assert not list(tmp_path.iterdir())


def test_both_epochs_of_a_station_serve() -> None:
    """A station that moves to another sensor in the middle keeps its picks on both sides."""
    sequence = made_sequence(7, n_events=10)
    change = sequence.truth["time"].iloc[5]
    before = sequence.stations.assign(end=change)
    after = sequence.stations.assign(start=change)
    stations = pd.concat([before, after], ignore_index=True)
    one = associate_picks(sequence.picks, sequence.stations, PyOcto(), sequence.velocity)
    two = associate_picks(sequence.picks, stations, PyOcto(), sequence.velocity)
    assert set(one.assignments["pick_id"]) == set(two.assignments["pick_id"])


def test_margins_follow_the_largest_distance() -> None:
    mine = PyOcto(max_distance_km=200.0, depth_max_km=30.0)
    assert mine.margin_s == pytest.approx(np.hypot(200.0, 30.0) / 2.5)
    assert stitching_margin_s(mine) == pytest.approx(1.5 * 1200.0 + mine.margin_s + 10.0)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"depth_max_km": -1.0}, "depth_max_km -1 must exceed depth_min_km 0"),
        ({"max_distance_km": 2000.0}, "window_s 1200 s must be at least"),
        ({"min_stations": 2}, "greater than or equal to 3"),
    ],
)
def test_says_what_is_wrong_with_parameters(block: dict[str, float], message: str) -> None:
    with pytest.raises(WorkflowError, match=message):
        PyOcto.parse(block)
