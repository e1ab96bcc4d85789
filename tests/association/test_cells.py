"""A wide network cell by cell: events are neither lost nor doubled, and are those of each part alone."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from pyproj import Geod

from seisflow.association import Associator, associate_picks
from seisflow.association.cells import BORDER_KM, Cell, candidates_in_cells
from seisflow.association.pyocto import PyOcto
from seisflow.earth import VelocityModel, sites_of
from seisflow.errors import WorkflowError
from seisflow.tables import ASSIGNMENTS, EVENTS, PICKS, STATIONS, Catalog, event_id, pick_ids, validate
from tests.association.sequences import made_sequence

CRUST = VelocityModel(depth_km=(0.0,), vp_km_s=(6.0,), vs_km_s=(3.5,))
START = pd.Timestamp("2020-01-01", tz="UTC")
LINE_DEG = np.arange(-170.0, 171.0, 2.5)
"""Groups of five stations each, along the equator."""
KM_PER_DEG = 111.32


class Places(Associator):
    """Takes picks without a gap of 3 s for an event in the middle of their stations, more or less.

    By how much the longitude is wrong depends on all the picks seen, as it may with any associator.
    """

    name = "places"
    min_stations: int = 3
    n_picks: int = 3
    n_p_picks: int = 0
    n_s_picks: int = 0
    n_p_and_s_picks: int = 0
    window_s: float = 600.0
    jitter_km: float = 0.0

    @property
    def margin_s(self) -> float:
        return 20.0

    @property
    def reach_km(self) -> float:
        return 100.0

    def associate(self, picks: pd.DataFrame, stations: pd.DataFrame, velocity: VelocityModel) -> Catalog:
        sites = stations.iloc[sites_of(picks, stations)].reset_index(drop=True)
        breaks = (picks["time"].diff() > pd.Timedelta("3s")).cumsum()
        seen = "".join(picks["pick_id"]) + "".join(stations["station"])
        digest = int(hashlib.blake2b(seen.encode()).hexdigest()[:8], 16)
        events, assignments = [], []
        for number, own in picks.groupby(breaks):
            wrong_deg = self.jitter_km / KM_PER_DEG * (((digest + 7919 * int(number)) % 2001) / 1000.0 - 1.0)
            name = event_id(own["pick_id"].tolist())
            places = sites.loc[own.index, "longitude"]
            apart = (places - places.iloc[0] + 180.0) % 360.0 - 180.0  # also across the date line
            middle = places.iloc[0] + apart.mean() + wrong_deg
            longitude = (middle + 180.0) % 360.0 - 180.0
            events.append({"event_id": name, "time": own["time"].iloc[0], "longitude": longitude})
            assignments.append(own[["pick_id"]].assign(event_id=name, residual_s=0.0, distance_km=1.0))
        frame = pd.DataFrame(events).assign(latitude=0.1, depth_km=0.0, n_p=0, n_s=0)
        frame = frame.assign(magnitude_type="", method="places", status="associated")
        return Catalog(validate(frame, EVENTS), validate(pd.concat(assignments), ASSIGNMENTS), picks)


def line_of_stations(offset_deg: float) -> pd.DataFrame:
    middle = np.repeat(LINE_DEG + offset_deg, 5)
    table = pd.DataFrame({"network": "XX", "station": [f"S{k:04d}" for k in range(len(middle))]})
    longitude = (middle + np.tile([-0.3, -0.1, 0.0, 0.1, 0.3], len(LINE_DEG)) + 180.0) % 360.0 - 180.0
    return validate(table.assign(location="", latitude=0.1, longitude=longitude, elevation_m=0.0), STATIONS)


def one_event_each(groups: list[int]) -> pd.DataFrame:
    """Return five picks at each group of stations, one group after the other, 30 s apart."""
    rows = [
        {"station": f"S{5 * group + k:04d}", "time": START + pd.Timedelta(30.0 * n + 0.5 * k, "s")}
        for n, group in enumerate(groups)
        for k in range(5)
    ]
    frame = pd.DataFrame(rows).assign(network="XX", location="", band="HH", phase="P", probability=1.0)
    frame = frame.assign(polarity="", method="made")
    return validate(frame.assign(pick_id=pick_ids(frame)), PICKS)


@settings(max_examples=15, deadline=None)
@given(
    groups=st.lists(st.integers(0, len(LINE_DEG) - 1), min_size=1, max_size=8),
    offset_deg=st.floats(0.0, 10.0),
    jitter_km=st.sampled_from([0.0, 20.0, BORDER_KM - 1.0]),
    cell_deg=st.sampled_from([5.0, 10.0]),
)
@example(groups=[70, 70, 70, 70, 72, 72, 72], offset_deg=0.0, jitter_km=BORDER_KM - 1.0, cell_deg=5.0)
def test_events_at_a_border_are_neither_lost_nor_doubled(
    groups: list[int], offset_deg: float, jitter_km: float, cell_deg: float
) -> None:
    """Group 70 stands at 5 degrees east, on a border."""
    associator = Places(cell_deg=cell_deg, jitter_km=jitter_km)
    picks = one_event_each(groups)
    catalog = associate_picks(picks, line_of_stations(offset_deg), associator, CRUST)
    assert len(catalog.events) == len(groups)
    assert len(catalog.assignments) == len(picks)


def test_no_pick_is_in_two_events_of_a_window() -> None:
    """Forty events on a border: some are claimed by both cells, some by neither, and some by one."""
    associator = Places(cell_deg=5.0, jitter_km=BORDER_KM - 1.0)
    picks = one_event_each([70] * 40)
    events = candidates_in_cells(picks, line_of_stations(0.0), associator, CRUST)
    assigned = [arrival.pick_id for event in events for arrival in event.arrivals]
    assert sorted(assigned) == sorted(picks["pick_id"])


def test_two_networks_far_apart_have_the_events_of_each_alone() -> None:
    east = made_sequence(3, n_events=8, centre=(45.0, 10.0))
    west = made_sequence(4, n_events=8, centre=(41.0, -8.0))
    renamed = [table.assign(network="YY") for table in (west.picks, west.stations)]
    renamed[0]["pick_id"] = pick_ids(renamed[0])
    picks = pd.concat([east.picks, renamed[0]], ignore_index=True)
    stations = pd.concat([east.stations, renamed[1]], ignore_index=True)
    mine = PyOcto(max_distance_km=150.0)
    both = associate_picks(picks, stations, mine.model_copy(update={"cell_deg": 5.0}), east.velocity)
    alone = [
        associate_picks(east.picks, east.stations, mine, east.velocity),
        associate_picks(renamed[0], renamed[1], mine, east.velocity),
    ]
    events = pd.concat([part.events for part in alone]).sort_values(["time", "event_id"], ignore_index=True)
    assert len(events) >= 14
    assert_frame_equal(both.events, events)
    assert set(both.assignments["pick_id"]) == set().union(*(part.assignments["pick_id"] for part in alone))


@given(
    south=st.integers(-17, 16),
    west=st.integers(-36, 35),
    latitude=st.floats(-89.0, 89.0),
    longitude=st.floats(-180.0, 180.0),
)
@settings(max_examples=200, deadline=None)
def test_no_point_within_reach_of_a_cell_counts_as_farther(
    south: int, west: int, latitude: float, longitude: float
) -> None:
    """The distance is never more than that to any point of the cell."""
    cell = Cell(5.0 * south, 5.0 * west, 5.0)
    inside = np.array([[cell.south + i, cell.west + k] for i in range(6) for k in range(6)])
    _, _, distance_m = Geod(ellps="WGS84").inv(
        np.full(36, longitude), np.full(36, latitude), inside[:, 1], inside[:, 0]
    )
    nearest_km = float(np.min(distance_m)) / 1000.0
    claimed = float(cell.distance_km(np.array([latitude]), np.array([longitude]))[0])
    if nearest_km < 1500.0:  # the plane holds as far as any station is asked for
        assert claimed <= nearest_km + 1e-6
    assert cell.holds(cell.south + 2.5, cell.west + 2.5)


def test_says_which_cells_do_not_go_around_the_globe() -> None:
    with pytest.raises(WorkflowError, match="cell_deg 7 must divide 360"):
        PyOcto.parse({"cell_deg": 7.0})
