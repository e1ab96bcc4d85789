"""Station metadata: epochs, duplicates and contradictions."""

from __future__ import annotations

from pathlib import Path

import obspy
import pandas as pd
import pytest
from obspy import UTCDateTime
from obspy.core.inventory import Channel, Inventory, Network, Station

from seisflow.archive import read_stations
from seisflow.archive.stations import read_inventory
from seisflow.errors import MetadataError
from seisflow.tables import STATIONS, validate


def inventory(*channels: Channel, station: str = "AAA") -> Inventory:
    """Return an inventory of one station."""
    site = Station(station, 64.0, -17.0, 100.0, channels=list(channels), start_date=UTCDateTime("2010-01-01"))
    return Inventory([Network("Z7", [site])], source="test")


def channel(
    code: str,
    start: str,
    end: str | None,
    latitude: float = 64.0,
    location: str = "",
    elevation_m: float = 90.0,
) -> Channel:
    return Channel(
        code,
        location,
        latitude,
        -17.0,
        elevation_m,
        10.0,
        start_date=UTCDateTime(start),
        end_date=UTCDateTime(end) if end else None,
    )


def read_back(tmp_path: Path, *parts: Inventory) -> pd.DataFrame:
    for i, part in enumerate(parts):
        part.write(str(tmp_path / f"{i}.xml"), format="STATIONXML")
    return read_stations(tmp_path)


def test_channels_and_epochs_of_one_site_are_one_row(tmp_path: Path) -> None:
    table = read_back(
        tmp_path,
        inventory(
            channel("HHZ", "2010-01-01", "2012-01-01"),
            channel("HHN", "2010-01-01", "2012-01-01"),
            channel("HHZ", "2012-01-01", "2599-12-31"),
            channel("BHZ", "2011-06-01", None),
        ),
        inventory(channel("HHZ", "2010-01-01", "2012-01-01")),
    )
    validate(table, STATIONS)
    assert len(table) == 1
    assert table["start"][0] == pd.Timestamp("2010-01-01", tz="UTC")
    assert pd.isna(table["end"][0])  # 2599 is 'still running', and does not overflow nanoseconds
    assert table["elevation_m"][0] == 90.0  # the sensor's: StationXML's depth is already taken off


def test_a_station_that_moved_or_paused_has_a_row_for_each_epoch(tmp_path: Path) -> None:
    table = read_back(
        tmp_path,
        inventory(
            channel("HHZ", "2010-01-01", "2012-01-01"),
            channel("HHZ", "2012-01-01", "2013-01-01", latitude=64.5),
            channel("HHZ", "2014-01-01", None, latitude=64.5),
            channel("HHZ", "2010-01-01", None, location="10"),
        ),
    )
    assert table["location"].tolist() == ["", "", "", "10"]
    assert table["latitude"].tolist() == [64.0, 64.5, 64.5, 64.0]
    assert table["start"].is_monotonic_increasing or table["start"][:3].is_monotonic_increasing


def test_two_places_at_one_time_are_a_contradiction(tmp_path: Path) -> None:
    broken = inventory(channel("HHZ", "2010-01-01", None), channel("HHN", "2010-01-01", None, latitude=64.1))
    with pytest.raises(MetadataError, match=r"Z7\.AAA\. stands in two places .* 11\.1 km apart"):
        read_back(tmp_path, broken)


def test_a_csv_of_people(tmp_path: Path) -> None:
    path = tmp_path / "stations.csv"
    path.write_text(
        "Network, Station, Latitude, Longitude, Elevation_km, Start, End\n"
        "Z7, BBB, 64.5, -17.25, 1.381, 2014-08-01T00:00:00Z, 2599-12-31\n"
        "Z7, AAA, 64.0, -17.00, -0.020, ,\n"
    )
    table = read_stations(path)
    assert table["station"].tolist() == ["AAA", "BBB"]
    assert table["elevation_m"].tolist() == [-20.0, 1381.0]
    assert table["location"].tolist() == ["", ""]
    assert pd.isna(table["start"][0])
    assert table["start"][1] == pd.Timestamp("2014-08-01", tz="UTC")
    assert pd.isna(table["end"][1])


def test_codes_of_a_csv_stay_text(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(
        "network,station,location,latitude,longitude,elevation\nNA,001,00,1,2,3\n"
    )
    row = read_stations(tmp_path / "s.csv").iloc[0]
    assert (row["network"], row["station"], row["location"], row["elevation_m"]) == ("NA", "001", "00", 3.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("station,latitude,longitude,elevation_m\nA,1,2,3\n", "no column network"),
        (
            "network,station,latitude,longitude,elevation_m\nZ7,A,north,2,3\n",
            "latitude is no number in row 1: 'north'",
        ),
        ("network,station,latitude,longitude,elevation_m,start\nZ7,A,1,2,3,monday\n", "no time"),
        ("network,station,latitude,longitude,elevation_m\n", "names no station"),
    ],
)
def test_a_wrong_csv_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(MetadataError, match=message):
        read_stations(tmp_path / "s.csv")


def test_missing_and_wrong_files(tmp_path: Path) -> None:
    with pytest.raises(MetadataError, match="no folder or file"):
        read_stations(tmp_path / "nowhere")
    with pytest.raises(MetadataError, match="holds no StationXML"):
        read_stations(tmp_path)
    (tmp_path / "a.xml").write_text("<html>")
    with pytest.raises(MetadataError, match="is no StationXML"):
        read_stations(tmp_path / "a.xml")
    (tmp_path / "a.csv").write_text("x")
    with pytest.raises(MetadataError, match="no responses"):
        read_inventory(tmp_path / "a.csv")


def test_an_inventory_is_read_once_until_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    inventory(channel("HHZ", "2010-01-01", None)).write(str(path), format="STATIONXML")
    first = read_inventory(path)
    assert isinstance(first, obspy.Inventory)
    assert read_inventory(path) is first
    inventory(channel("HHZ", "2010-01-01", None), station="BBBBBB").write(str(path), format="STATIONXML")
    assert read_inventory(path)[0][0].code == "BBBBBB"


def test_real_metadata(shared: Path) -> None:
    table = read_stations(shared / "data" / "socal_days_2022")
    assert table["station"].tolist() == ["CCA", "HEC"]
    assert table["latitude"].round(4).tolist() == [35.1525, 34.8294]
    assert table["end"].isna().all()
    dike = shared / "data" / "iceland_dike_2014" / "iceland_stations.txt"
    stations = read_stations(dike, network="Z7", elevation_unit="km")
    assert len(stations) == 12
    assert stations.set_index("station")["elevation_m"]["DYJN"] == pytest.approx(1381.0)
