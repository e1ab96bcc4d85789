"""Folders of StationXML as data centres keep them: a file for each station, read where it is asked for."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest
import yaml

from seisflow.archive import read_stations
from seisflow.archive import stationxml as module
from seisflow.archive.stations import read_inventory
from seisflow.errors import MetadataError, WorkflowError
from seisflow.storage import open_place
from seisflow.workflow import load_workflow
from tests.archive.test_stations import channel, inventory

HHZ = channel("HHZ", "2010-01-01", None)


def xml(station: str, network: str = "CI", latitude: float = 64.0) -> bytes:
    """Return the StationXML of one station."""
    import io

    made = inventory(channel("HHZ", "2010-01-01", None, latitude), station=station)
    made.networks[0].code = network
    buffer = io.BytesIO()
    made.write(buffer, format="STATIONXML")
    return buffer.getvalue()


@pytest.fixture
def bucket(tmp_path: Path) -> str:
    """Return a root with the metadata of four stations, named as SCEDC names them."""
    root = f"memory://{tmp_path.name}"
    for key, content in {
        "CI/CI_ABC.xml": xml("ABC"),
        "CI/CI_ABD.xml": xml("ABD"),
        "CI/CI_XYZ.xml": b"no StationXML",
        "unauthoritative-XML/BK_THIS.xml": xml("THIS", "BK"),
        "unauthoritative-XML/PB.B079.xml": xml("B079", "PB"),
        "unauthoritative-XML/CI_ABC.xml": xml("ABC", latitude=10.0),  # elsewhere: must not be believed
    }.items():
        fsspec.filesystem("memory").pipe(f"/{tmp_path.name}/FDSNstationXML/{key}", content)
    return root


def test_only_the_files_of_selected_stations_are_read(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    place = type(open_place(bucket))
    read_bytes = place.read_bytes
    monkeypatch.setattr(place, "read_bytes", lambda self: (read.append(self.name), read_bytes(self))[1])
    module._networks.cache_clear()
    table = read_stations(f"{bucket}/FDSNstationXML", select=["CI.AB*", "PB.B079"])
    assert list(zip(table["network"], table["station"], table["latitude"], strict=True)) == [
        ("CI", "ABC", 64.0),
        ("CI", "ABD", 64.0),
        ("PB", "B079", 64.0),
    ]
    assert sorted(read) == ["CI_ABC.xml", "CI_ABD.xml", "PB.B079.xml"]


def test_responses_of_one_station_are_read_from_its_file(bucket: str) -> None:
    found = read_inventory(f"{bucket}/FDSNstationXML", select=["BK.THIS"])
    assert [station.code for network in found for station in network] == ["THIS"]


def test_a_file_that_is_no_stationxml_is_an_error_if_it_is_asked_for_alone(bucket: str) -> None:
    with pytest.raises(MetadataError, match="can be read"):
        read_stations(f"{bucket}/FDSNstationXML", select=["CI.XYZ"])


def test_stations_that_are_not_there_say_what_to_check(bucket: str) -> None:
    with pytest.raises(MetadataError, match=r"no StationXML file"):
        read_stations(f"{bucket}/FDSNstationXML", select=["CI.NONE"])


def workflow(folder: Path, **changes: object) -> Path:
    """Write a workflow that says only what archive it is."""
    content: dict[str, object] = {
        "name": "small",
        "period": {"start": "2020-01-01", "end": "2020-01-02"},
        "stations": {"select": ["CI.ABC"]},
        "archive": {"method": "scedc"},
        "picking": {"method": "stalta"},
    }
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(content | changes))
    return path


def test_a_workflow_takes_the_metadata_that_the_archive_keeps(bucket: str, tmp_path: Path) -> None:
    public = load_workflow(workflow(tmp_path)).stations
    assert public.inventory == "s3://scedc-pds/FDSNstationXML"
    assert public.storage_options["anon"] is True
    archive = {"method": "scedc", "root": bucket}
    assert list(load_workflow(workflow(tmp_path, archive=archive)).stations.read()["station"]) == ["ABC"]
    inside = {"inventory": "s3://scedc-pds/FDSNstationXML/CI/", "select": ["CI.*"]}
    assert load_workflow(workflow(tmp_path, stations=inside)).stations.storage_options["anon"] is True
    elsewhere = {"inventory": "s3://my-bucket/stations.xml", "storage_options": {"profile": "me"}}
    assert load_workflow(workflow(tmp_path, stations=elsewhere)).stations.storage_options == {"profile": "me"}


def test_an_archive_without_metadata_says_that_an_inventory_is_needed(tmp_path: Path) -> None:
    archive = {"method": "sds", "root": str(tmp_path)}
    with pytest.raises(WorkflowError, match="'sds' keeps no metadata of stations; give a StationXML"):
        load_workflow(workflow(tmp_path, archive=archive))


def test_credentials_are_not_among_the_parameters_that_are_shown(tmp_path: Path) -> None:
    archive = {"method": "scedc", "storage_options": {"key": "AKIA", "secret": "hush", "profile": "me"}}
    loaded = load_workflow(workflow(tmp_path, archive=archive))
    assert loaded.archive.storage_options["secret"] == "hush"
    shown = yaml.safe_dump(loaded.parameters())
    assert "hush" not in shown and "AKIA" not in shown
    assert "profile: me" in shown


def test_metadata_of_a_download_that_did_not_happen_say_what_to_do(tmp_path: Path) -> None:
    archive = {"method": "fdsn", "provider": "ETH", "root": str(tmp_path / "sds")}
    with pytest.raises(MetadataError, match="seisflow download"):
        load_workflow(workflow(tmp_path, archive=archive)).stations.read()
