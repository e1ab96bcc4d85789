"""What is searched where the user says nothing: it follows from the network."""

from __future__ import annotations

import numpy as np
import pytest

from seisflow.association import associate_picks
from seisflow.association.network import Network
from seisflow.association.pyocto import PyOcto
from seisflow.association.search import SourceSearch
from seisflow.synthetic import compare_associations
from seisflow.synthetic.sequences import SequenceScenario, Shallow, Subduction
from tests.association.sequences import made_sequence


def network_of(size_km: float) -> Network:
    stations = made_sequence(1, n_events=1, size_km=size_km).stations
    return Network.of(stations)


@pytest.mark.parametrize("size_km", [1.0, 50.0, 150.0])
def test_a_local_network_is_searched_to_30_km(size_km: float) -> None:
    box = PyOcto().box(network_of(size_km))
    assert box.depth_km == (0.0, 30.0)
    assert box.max_distance_km == 200.0


def test_a_regional_network_is_searched_deeper_and_farther_up_to_a_limit() -> None:
    boxes = [PyOcto().box(network_of(size_km)) for size_km in (300.0, 400.0, 900.0)]
    depths = [box.depth_km[1] for box in boxes]
    assert 30.0 < depths[0] < depths[1] <= depths[2] == 200.0
    assert 200.0 < boxes[0].max_distance_km < boxes[1].max_distance_km <= boxes[2].max_distance_km == 400.0


@pytest.mark.parametrize("size_km", [1.0, 300.0, 2000.0])
def test_no_network_implies_more_than_the_margin(size_km: float) -> None:
    """Chunks are cut before the network is known: the margin must hold for any."""
    for mine in (
        PyOcto(),
        PyOcto(depth_min_km=-3.0),
        PyOcto(depth_min_km=190.0),
        PyOcto(max_distance_km=50.0),
    ):
        assert mine.box(network_of(size_km)).longest_s <= mine.margin_s + 1e-9


def test_what_is_given_holds() -> None:
    mine = PyOcto(max_distance_km=70.0, depth_min_km=-1.0, depth_max_km=12.0, edge_km=3.0)
    network = network_of(800.0)
    box = mine.box(network)
    assert (box.depth_km, box.max_distance_km) == ((-1.0, 12.0), 70.0)
    assert box.east_km[0] == pytest.approx(float(network.east_km.min()) - 3.0)
    assert mine.margin_s == pytest.approx(np.hypot(70.0, 13.0) / 2.5)
    assert PyOcto(depth_min_km=40.0).box(network_of(50.0)).depth_km == (40.0, 70.0)


def test_every_search_shares_them() -> None:
    assert issubclass(PyOcto, SourceSearch)


@pytest.mark.parametrize(
    "scenario", [Shallow(n_events=25), Subduction(n_events=25)], ids=lambda one: one.name
)
def test_finds_the_events_without_tuning(scenario: SequenceScenario) -> None:
    """Depths to 30 km below a local network, to 150 km below a regional one, by the same defaults."""
    sequence = scenario.make(1)
    catalog = associate_picks(sequence.picks, sequence.stations, PyOcto(), sequence.velocity)
    scores = compare_associations(catalog, sequence.truth, min_picks=10)
    assert scores.event_recall >= 0.95
    assert scores.event_precision >= 0.9
