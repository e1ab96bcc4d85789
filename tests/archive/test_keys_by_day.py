"""The public buckets of SCEDC and NCEDC: true names of keys, both ways, and what a scan lists."""

from __future__ import annotations

import string
from datetime import date
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisflow.archive import Archive, scan_archive
from seisflow.archive.keys_by_day import ChannelDay, KeysByDay, shortest_starts
from seisflow.archive.ncedc import Ncedc
from seisflow.archive.scedc import Scedc
from seisflow.keys import Period
from seisflow.method import build
from tests.archive.contract import PERIOD, ArchiveContract, day_trace, mseed

CODES = string.ascii_uppercase + string.digits
CHANNEL_DAYS = st.builds(
    ChannelDay,
    st.text(CODES, min_size=1, max_size=2),
    st.text(CODES, min_size=1, max_size=5),
    st.sampled_from(["", "00", "10", "A", "2C", "R1"]),
    st.text(CODES, min_size=3, max_size=3),
    st.dates(date(1980, 1, 1), date(2049, 12, 31)),
)
# Names of files that the data centres publish: documentation, examples and download lists.
SCEDC_KEYS = {
    "2019/2019_062/CIBAR__BHZ___2019062.ms": ("CI", "BAR", "", "BHZ", "2019-03-03"),
    "2019/2019_061/CIAGO__HNZ___2019061.ms": ("CI", "AGO", "", "HNZ", "2019-03-02"),
    "2022/2022_002/BKTHIS_LHZ00_2022002.ms": ("BK", "THIS", "00", "LHZ", "2022-01-02"),
    "2022/2022_002/CIFOX2_LHZ___2022002.ms": ("CI", "FOX2", "", "LHZ", "2022-01-02"),
}
NCEDC_KEYS = {
    "BG/2023/2023.022/CLV.BG.DPN..D.2023.022": ("BG", "CLV", "", "DPN", "2023-01-22"),
    "BK/2022/2022.254/MERC.BK.HNZ.00.D.2022.254": ("BK", "MERC", "00", "HNZ", "2022-09-11"),
    "NC/2018/2018.023/KBG.NC.HHZ..D.2018.023": ("NC", "KBG", "", "HHZ", "2018-01-23"),
    "NC/2021/2021.034/KCPB.NC.HHN..D.2021.034": ("NC", "KCPB", "", "HHN", "2021-02-03"),
}


def channel_day(channel_id: str, day: str) -> ChannelDay:
    """Return the record of a SEED identifier and day."""
    return ChannelDay(*channel_id.split("."), date.fromisoformat(day))


class TestScedc(ArchiveContract):
    def open(self, root: str) -> Archive:
        return Scedc(root=root)

    def path_of(self, channel_id: str, day: str) -> str:
        return Scedc.key_of(channel_day(channel_id, day))


class TestNcedc(ArchiveContract):
    def open(self, root: str) -> Archive:
        return Ncedc(root=root)

    def path_of(self, channel_id: str, day: str) -> str:
        return Ncedc.key_of(channel_day(channel_id, day))


@pytest.mark.parametrize("layout", [Scedc, Ncedc])
@given(of=CHANNEL_DAYS)
def test_a_key_says_all_that_went_into_it(layout: type[KeysByDay], of: ChannelDay) -> None:
    key = layout.key_of(of)
    assert layout.parse_name(key.rsplit("/", 1)[-1]) == of


@pytest.mark.parametrize(
    ("layout", "keys"), [(Scedc, SCEDC_KEYS), (Ncedc, NCEDC_KEYS)], ids=["scedc", "ncedc"]
)
def test_published_keys_are_understood_and_made(
    layout: type[KeysByDay], keys: dict[str, tuple[str, ...]]
) -> None:
    for key, (*codes, day) in keys.items():
        of = ChannelDay(*codes, date.fromisoformat(day))
        assert layout.parse_name(key.rsplit("/", 1)[-1]) == of
        assert layout.key_of(of) == f"continuous_waveforms/{key}"


@pytest.mark.parametrize("location", ["__", "--", ""])
def test_a_blank_location_of_ncedc_may_be_written_in_three_ways(location: str) -> None:
    assert Ncedc.parse_name(f"KBG.NC.HHZ.{location}.D.2018.023").location == ""


@pytest.mark.parametrize(
    ("layout", "name", "reason"),
    [
        (Scedc, "index.html", "no SCEDC name"),
        (Scedc, "CIBAR__BHZ__2019062.ms", "no SCEDC name"),  # a filler is missing
        (Scedc, "CIBAR__BHZ___2019366.ms", "day 366"),
        (Scedc, "CI_BAR_BHZ___2019062.ms", "no SEED codes"),
        (Ncedc, "KBG.NC.HHZ.D.2018.023", "no NCEDC name"),
        (Ncedc, "KBG.NC.HHZ..D.2018.000", "day 000"),
        (Ncedc, "KBG.NC.HHZ..D.2018.023.part", "no NCEDC name"),
    ],
)
def test_a_name_that_is_none_says_why(layout: type[KeysByDay], name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        layout.parse_name(name)


def put(root: Path, key: str, content: bytes = b"x" * 512) -> None:
    """Write a file below a root."""
    path = root / "continuous_waveforms" / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("layout", "folder", "good", "bad"),
    [
        (Scedc, "2018/2018_001", "CIABC__BHZ___2018001.ms", "CIABC__BHZ___2018002.ms"),
        (Ncedc, "NC/2018/2018.001", "ABC.NC.BHZ..D.2018.001", "ABC.NC.BHZ..D.2018.002"),
    ],
    ids=["scedc", "ncedc"],
)
def test_keys_that_are_wrong_are_rejected_with_a_reason(
    tmp_path: Path, layout: type[KeysByDay], folder: str, good: str, bad: str
) -> None:
    for name in (good, bad, "notes"):
        put(tmp_path, f"{folder}/{name}")
    holdings, rejected = scan_archive(layout(root=str(tmp_path)), Period("2018-01-01", "2018-01-02"))
    assert [Path(uri).name for uri in holdings["uri"]] == [good]
    reasons = {
        Path(uri).name: reason for uri, reason in zip(rejected["uri"], rejected["reason"], strict=True)
    }
    assert set(reasons) == {bad, "notes"}
    assert "another day than its folder" in reasons[bad]


@pytest.mark.parametrize("layout", [Scedc, Ncedc])
def test_a_scan_lists_the_days_of_the_period_and_opens_nothing(
    tmp_path: Path, layout: type[KeysByDay], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = f"memory://{tmp_path.name}"
    fs = fsspec.filesystem("memory")
    for day in ("2012-12-30", "2012-12-31", "2013-01-01", "2013-01-02"):
        fs.pipe(f"/{tmp_path.name}/{layout.key_of(channel_day('NC.ABC..HHZ', day))}", b"x" * 512)
    listed: list[str] = []
    find = fs.find

    def watched(path: str, **options: object) -> object:
        listed.append(path.rsplit("/", 1)[-1])
        return find(path, **options)

    monkeypatch.setattr(type(fs), "find", lambda _, path, **options: watched(path, **options))
    monkeypatch.setattr(type(fs), "cat_file", lambda *_, **__: pytest.fail("a file was read"))
    holdings = scan_archive(layout(root=root), Period("2012-12-31", "2013-01-02")).holdings
    assert [str(day) for day in holdings["day"]] == ["2012-12-31", "2013-01-01"]
    assert sorted(listed) == sorted(
        {name.replace(".", "_") for name in listed} if layout is Scedc else listed
    )
    assert sorted(name.replace(".", "_") for name in listed) == ["2012_366", "2013_001"]
    fs.rm(f"/{tmp_path.name}", recursive=True)


def test_slow_channels_and_logs_are_left_alone_unless_asked_for(tmp_path: Path) -> None:
    for channel in ("HHZ", "HNZ", "LHZ", "VHZ", "ACE", "LOG"):
        put(tmp_path, f"2018/2018_001/CIABC__{channel}___2018001.ms")
    day = Period("2018-01-01", "2018-01-02")
    scan = scan_archive(Scedc(root=str(tmp_path)), day)
    assert sorted(scan.holdings["band"]) == ["HH", "HN"]
    assert scan.rejected.empty
    every = scan_archive(Scedc(root=str(tmp_path), channels=("LH?",)), day)
    assert list(every.holdings["band"]) == ["LH"]


def test_an_archive_without_the_network_or_year_holds_nothing(tmp_path: Path) -> None:
    put(tmp_path, "NC/2018/2018.001/ABC.NC.BHZ..D.2018.001")
    archive = Ncedc(root=str(tmp_path))
    assert scan_archive(archive, Period("2019-01-01", "2019-01-03")).holdings.empty
    assert scan_archive(archive, Period("2018-01-01", "2018-01-03"), ["BK.*"]).holdings.empty
    assert len(scan_archive(archive, Period("2018-01-01", "2018-01-03"), ["*"]).holdings) == 1
    assert len(scan_archive(archive, Period("2018-01-01", "2018-01-03"), ["BK.*", "N?.ABC"]).holdings) == 1


@pytest.mark.parametrize(
    ("starts", "expected"),
    [
        (["CI", "CIABC__"], ("CI",)),
        (["CIB", "CIA"], ("CIA", "CIB")),
        (["CI", ""], ("",)),
        (list("abcdefghi"), ("",)),
    ],
)
def test_listings_do_not_overlap(starts: list[str], expected: tuple[str, ...]) -> None:
    assert shortest_starts(starts) == expected


@pytest.mark.parametrize(("name", "region"), [("scedc", "us-west-2"), ("ncedc", "us-east-2")])
def test_a_workflow_needs_to_say_nothing_but_the_name(name: str, region: str) -> None:
    archive = build("archive", name)
    assert isinstance(archive, KeysByDay)
    assert archive.root == f"s3://{name}-pds"
    assert archive.inventory() == f"s3://{name}-pds/FDSNstationXML"
    assert archive.storage_options == {"anon": True, "client_kwargs": {"region_name": region}}
    elsewhere = build("archive", {"method": name, "storage_options": {"endpoint_url": "http://localhost:1"}})
    assert isinstance(elsewhere, KeysByDay)
    assert elsewhere.storage_options["anon"] is True
    assert elsewhere.fingerprint() == archive.fingerprint()
    mine = build("archive", {"method": name, "storage_options": {"profile": "me"}})
    assert isinstance(mine, KeysByDay)
    assert "anon" not in mine.storage_options
    on_disk = build("archive", {"method": name, "root": "/data"})
    assert isinstance(on_disk, KeysByDay)
    assert on_disk.storage_options == {}


def test_the_same_days_are_read_as_from_any_other_layout(tmp_path: Path) -> None:
    content = mseed(day_trace("CI.ABC.00.HHZ", "2014-08-24"))
    for layout in (Scedc, Ncedc):
        path = tmp_path / layout.name / layout.key_of(channel_day("CI.ABC.00.HHZ", "2014-08-24"))
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        holdings = scan_archive(layout(root=str(tmp_path / layout.name)), PERIOD).holdings
        row = holdings.iloc[0]
        assert (row.network, row.station, row.location, row.band) == ("CI", "ABC", "00", "HH")
        assert row.n_bytes == len(content)
