"""The join of picks and stations: epochs, location codes, what is missing."""

from __future__ import annotations

import pandas as pd
import pytest

from seisflow.earth import sites_of
from seisflow.earth.sites import active_sites
from seisflow.errors import MetadataError
from seisflow.keys import Window
from seisflow.tables import STATIONS, validate

STATIONS_TABLE = validate(
    pd.DataFrame(
        [
            ("XX", "MOVED", "", 1.0, None, "2015-01-01"),
            ("XX", "MOVED", "", 2.0, "2015-01-01", None),
            ("XX", "TWO", "00", 3.0, None, None),
            ("XX", "TWO", "10", 4.0, None, None),
        ],
        columns=["network", "station", "location", "latitude", "start", "end"],
    ).assign(longitude=0.0, elevation_m=0.0),
    STATIONS,
)


def picks(*rows: tuple[str, str, str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["station", "location", "time"])
    return frame.assign(network="XX", time=pd.to_datetime(frame["time"], utc=True, format="ISO8601"))


def test_the_epoch_that_holds_the_time_wins() -> None:
    table = picks(("MOVED", "", "2014-12-31T23:59:59"), ("MOVED", "", "2015-01-01T00:00:00"))
    assert sites_of(table, STATIONS_TABLE).tolist() == [0, 1]


def test_own_location_code_first_then_another() -> None:
    table = picks(("TWO", "10", "2015-01-01"), ("TWO", "00", "2015-01-01"), ("TWO", "20", "2015-01-01"))
    assert sites_of(table, STATIONS_TABLE).tolist() == [3, 2, 2]


def test_station_without_coordinates_is_named() -> None:
    with pytest.raises(MetadataError, match=r"1 picks of XX\.LOST have no station coordinates"):
        sites_of(picks(("LOST", "", "2015-01-01"), ("TWO", "00", "2015-01-01")), STATIONS_TABLE)


def test_no_picks_have_no_sites() -> None:
    assert sites_of(picks(("TWO", "00", "2015-01-01"))[:0], STATIONS_TABLE).tolist() == []


def test_active_sites_are_those_whose_epoch_touches_the_window() -> None:
    assert active_sites(STATIONS_TABLE, Window.of_day("2014-06-01")).index.tolist() == [0, 2, 3]
    assert active_sites(STATIONS_TABLE, Window("2014-12-31", "2015-01-02")).index.tolist() == [0, 1, 2, 3]
