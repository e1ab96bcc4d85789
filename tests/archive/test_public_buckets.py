"""The layouts of SCEDC and NCEDC in real buckets: read without credentials, with the same picks as an SDS."""

from __future__ import annotations

import io
from datetime import date, datetime
from pathlib import Path

import pytest

from seisflow.archive import Archive, scan_archive
from seisflow.archive.keys_by_day import ChannelDay, KeysByDay
from seisflow.archive.ncedc import Ncedc
from seisflow.archive.scedc import Scedc
from seisflow.errors import AccessError
from seisflow.keys import Period
from seisflow.run import run_workflow
from tests.archive import test_keys_by_day as layouts
from tests.archive.test_fdsn_run import PICKS_ONLY, metadata, picks_of
from tests.archive.test_s3 import OnS3
from tests.run.conftest import SmallArchive, make_small_archive
from tests.services.s3 import S3Server


class TestScedcOnS3(OnS3, layouts.TestScedc):
    def open(self, root: str) -> Archive:
        return Scedc(root=root, storage_options=self.server.storage_options)


class TestNcedcOnS3(OnS3, layouts.TestNcedc):
    def open(self, root: str) -> Archive:
        return Ncedc(root=root, storage_options=self.server.storage_options)


METADATA = {
    Scedc: "FDSNstationXML/unauthoritative-XML/{net}_{sta}.xml",
    Ncedc: "FDSNstationXML/{net}/{net}.{sta}.xml",
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallArchive:
    """Return a small archive of two days."""
    return make_small_archive(tmp_path_factory.mktemp("small"))


def fill(server: S3Server, bucket: str, layout: type[KeysByDay], sds: Path) -> None:
    """Write the files of an SDS tree, and the metadata of its stations, under the keys of a layout."""
    for path in sds.glob("*/*/*/*/*"):
        network, station, location, channel, _, year, day = path.name.split(".")
        when = datetime.strptime(f"{year} {day}", "%Y %j").date()
        key = layout.key_of(ChannelDay(network, station, location, channel, when))
        server.put(f"{bucket}/{key}", path.read_bytes())
    inventory = metadata()
    for station in inventory[0]:
        body = io.BytesIO()
        inventory.select(station=station.code).write(body, format="STATIONXML")
        key = METADATA[layout].format(net="XX", sta=station.code)
        server.put(f"{bucket}/{key}", body.getvalue())


@pytest.fixture(params=[Scedc, Ncedc], ids=["scedc", "ncedc"])
def layout(request: pytest.FixtureRequest) -> type[KeysByDay]:
    layout: type[KeysByDay] = request.param
    return layout


@pytest.fixture
def bucket(s3: S3Server, small: SmallArchive, layout: type[KeysByDay]) -> str:
    """Return a public bucket in a layout."""
    url = s3.bucket(public=True)
    fill(s3, url, layout, small.folder / "sds")
    return url


def test_picks_of_a_public_bucket_equal_those_of_the_same_data_as_sds(
    s3: S3Server, small: SmallArchive, layout: type[KeysByDay], bucket: str, tmp_path: Path
) -> None:
    here = small.load(tmp_path / "here", **PICKS_ONLY)
    # As a user writes it for the true bucket; root and endpoint are what differs on loopback.
    block = {"method": layout.name, "root": bucket, "storage_options": {"endpoint_url": s3.endpoint}}
    there = small.load(tmp_path / "there", archive=block, stations={"select": ["XX.*"]}, **PICKS_ONLY)
    assert there.archive.storage_options["anon"] is True
    first, second = run_workflow(here), run_workflow(there)
    assert second.exit_status == 0
    expected = picks_of(here, first.tables)
    assert len(expected) >= 8
    assert picks_of(there, second.tables) == expected


def test_a_bucket_that_is_not_public_ends_it_clearly(
    s3: S3Server, small: SmallArchive, layout: type[KeysByDay]
) -> None:
    url = s3.bucket()
    fill(s3, url, layout, small.folder / "sds")
    closed = layout.parse({"root": url, "storage_options": {"endpoint_url": s3.endpoint}})
    assert isinstance(closed, KeysByDay)
    with pytest.raises(AccessError):
        scan_archive(closed, Period("2020-01-01", "2020-01-02"))
    mine = layout.parse({"root": url, "storage_options": s3.storage_options})
    assert isinstance(mine, KeysByDay)
    assert len(scan_archive(mine, Period("2020-01-01", "2020-01-02")).holdings) == 12


def test_a_long_period_is_scanned_month_by_month(
    s3: S3Server, layout: type[KeysByDay], tmp_path: Path
) -> None:
    for day in (date(2019, 12, 31), date(2020, 1, 1), date(2020, 2, 29), date(2020, 3, 1)):
        path = tmp_path / layout.key_of(ChannelDay("XX", "AAA", "", "HHZ", day))
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x" * 512)
    archive = layout.parse({"root": str(tmp_path)})
    assert isinstance(archive, KeysByDay)
    scans = list(archive.scans(Period("2019-12-31", "2020-03-02"), None))
    assert [[str(day) for day in scan.holdings["day"]] for scan in scans] == [
        ["2019-12-31"],
        ["2020-01-01"],
        ["2020-02-29"],
        ["2020-03-01"],
    ]
