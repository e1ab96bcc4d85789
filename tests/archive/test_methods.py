"""Every archive layout under the contract, and what is special to each."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import obspy
import pytest

from seisflow.archive import Archive, scan_archive
from seisflow.archive import headers as headers_module
from seisflow.archive.folder import Folder
from seisflow.archive.sds import Sds
from seisflow.errors import ArchiveError
from seisflow.keys import Period
from tests.archive.contract import PERIOD, ArchiveContract, day_trace, mseed


def sds_path(channel_id: str, day: str) -> str:
    """Return the path of a channel and day in an SDS tree."""
    network, station, location, channel = channel_id.split(".")
    when = date.fromisoformat(day).timetuple()
    name = f"{network}.{station}.{location}.{channel}.D.{when.tm_year}.{when.tm_yday:03d}"
    return f"{when.tm_year}/{network}/{station}/{channel}.D/{name}"


class TestFolder(ArchiveContract):
    def open(self, root: str) -> Archive:
        return Folder(root=root)

    def path_of(self, channel_id: str, day: str) -> str:
        return f"disk {day[-1]}/{channel_id}_{day}.mseed"


class TestSds(ArchiveContract):
    def open(self, root: str) -> Archive:
        return Sds(root=root)

    def path_of(self, channel_id: str, day: str) -> str:
        return sds_path(channel_id, day)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEISFLOW_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the files whose headers are read."""
    seen: list[str] = []
    decode = headers_module.decode_file

    def watched(uri: str, **keywords: object) -> object:
        seen.append(Path(uri).name)
        return decode(uri, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(headers_module, "decode_file", watched)
    return seen


def write(path: Path, *traces: obspy.Trace) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(mseed(*traces))


def test_a_file_of_several_days_and_stations_stands_in_each(tmp_path: Path, cache: Path) -> None:
    long = day_trace("Z7.AAA..HHZ", "2014-08-24", offset_s=86390, n=86420 * 20)
    write(tmp_path / "a" / "mixed.m", long, day_trace("Z7.BBB.00.BHN", "2014-08-25", n=100))
    holdings = scan_archive(Folder(root=str(tmp_path / "a")), Period("2014-08-01", "2014-09-01")).holdings
    found = sorted(
        (s, b, str(d)) for s, b, d in zip(holdings.station, holdings.band, holdings.day, strict=True)
    )
    assert found == [
        ("AAA", "HH", "2014-08-24"),
        ("AAA", "HH", "2014-08-25"),
        ("AAA", "HH", "2014-08-26"),
        ("BBB", "BH", "2014-08-25"),
    ]


def test_the_last_sample_before_midnight_and_the_first_at_midnight_name_their_own_day(
    tmp_path: Path, cache: Path
) -> None:
    write(tmp_path / "a" / "before.m", day_trace("Z7.AAA..HHZ", "2014-08-24", offset_s=86399, n=20))
    write(tmp_path / "a" / "at.m", day_trace("Z7.BBB..HHZ", "2014-08-24", offset_s=86399, n=21))
    holdings = scan_archive(Folder(root=str(tmp_path / "a")), PERIOD).holdings
    assert [(s, str(d)) for s, d in zip(holdings.station, holdings.day, strict=True)] == [
        ("AAA", "2014-08-24"),
        ("BBB", "2014-08-24"),
        ("BBB", "2014-08-25"),
    ]


def test_a_second_scan_opens_only_what_is_new_or_changed(
    tmp_path: Path, cache: Path, opened: list[str]
) -> None:
    for name in "abc":
        write(tmp_path / "x" / f"{name}.m", day_trace(f"Z7.{name.upper()}..HHZ", "2014-08-24", n=1000))
    (tmp_path / "x" / "bad.mseed").write_text("no seismogram" * 50)
    archive = Folder(root=str(tmp_path / "x"))
    scan_archive(archive, PERIOD)
    assert sorted(opened) == ["a.m", "b.m", "bad.mseed", "c.m"]
    opened.clear()
    again = scan_archive(archive, PERIOD)
    assert opened == []
    assert len(again.holdings) == 3
    assert len(again.rejected) == 1
    write(tmp_path / "x" / "b.m", day_trace("Z7.NEW..HHZ", "2014-08-24", n=3000))
    (tmp_path / "x" / "c.m").unlink()
    write(tmp_path / "x" / "d.m", day_trace("Z7.D..HHZ", "2014-08-24", n=1000))
    changed = scan_archive(archive, PERIOD)
    assert sorted(opened) == ["b.m", "d.m"]
    assert sorted(changed.holdings["station"]) == ["A", "D", "NEW"]


def test_a_damaged_cache_costs_only_time(tmp_path: Path, cache: Path, opened: list[str]) -> None:
    write(tmp_path / "x" / "a.m", day_trace("Z7.AAA..HHZ", "2014-08-24", n=1000))
    archive = Folder(root=str(tmp_path / "x"))
    scan_archive(archive, PERIOD)
    (kept,) = cache.iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    assert len(scan_archive(archive, PERIOD).holdings) == 1
    assert opened == ["a.m", "a.m"]
    assert [path.suffix for path in cache.iterdir()] == [".parquet"]


def test_many_files_are_inspected_by_processes(tmp_path: Path, cache: Path) -> None:
    content = mseed(day_trace("Z7.AAA..HHZ", "2014-08-24", n=200))
    (tmp_path / "x").mkdir()
    for i in range(headers_module._WORTH_PROCESSES + 5):
        (tmp_path / "x" / f"{i}.m").write_bytes(content)
    scan = scan_archive(Folder(root=str(tmp_path / "x"), processes=2), PERIOD)
    assert len(scan.holdings) == headers_module._WORTH_PROCESSES + 5


def test_what_is_plainly_no_waveform_is_left_alone(tmp_path: Path, cache: Path) -> None:
    write(tmp_path / "x" / "sub" / "a.m", day_trace("Z7.AAA..HHZ", "2014-08-24", n=100))
    for name in ("stations.xml", "README.md", "notes.TXT", ".hidden", ".git/object"):
        path = tmp_path / "x" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("words")
    scan = scan_archive(Folder(root=str(tmp_path / "x")), PERIOD)
    assert (len(scan.holdings), len(scan.rejected)) == (1, 0)
    chosen = scan_archive(Folder(root=str(tmp_path / "x"), pattern="*/other*"), PERIOD)
    assert chosen.holdings.empty


def test_folder_reads_other_formats(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "x").mkdir()
    trace = day_trace("Z7.AAA..HHZ", "2014-08-24", n=500)
    trace.write(str(tmp_path / "x" / "a.sac"), format="SAC")
    trace.write(str(tmp_path / "x" / "a.gse2"), format="GSE2")
    archive = Folder(root=str(tmp_path / "x"))
    holdings = scan_archive(archive, PERIOD).holdings
    assert len(holdings) == 2
    for channel in archive.read(holdings["uri"].tolist(), PERIOD).channels:
        np.testing.assert_array_equal(channel.samples, trace.data)


def test_faults_of_other_days_and_stations_are_not_reported(tmp_path: Path, cache: Path) -> None:
    content = mseed(day_trace("Z7.AAA..HHZ", "2014-07-01"))
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "old.m").write_bytes(content[:-100])
    assert scan_archive(Folder(root=str(tmp_path / "x")), PERIOD).rejected.empty
    july = Period("2014-07-01", "2014-07-02")
    assert len(scan_archive(Folder(root=str(tmp_path / "x")), july).rejected) == 1
    assert scan_archive(Folder(root=str(tmp_path / "x")), july, ["XX.*"]).rejected.empty


def test_real_folder_holds_twelve_stations_in_each_file(shared: Path, cache: Path) -> None:
    scan = scan_archive(Folder(root=str(shared / "data" / "iceland_dike_2014" / "waveforms")), PERIOD)
    assert scan.rejected.empty
    assert scan.holdings["station"].nunique() == 12
    assert len(scan.holdings) == 27 * 12
    assert set(scan.holdings["band"]) == {"HH"}


def test_sds_opens_no_file(tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / sds_path("Z7.AAA.--.HHZ", "2014-08-24")
    write(path, day_trace("Z7.AAA..HHZ", "2014-08-24", n=100))
    path.chmod(0)
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("a file was opened"))
    holdings = scan_archive(Sds(root=str(tmp_path)), PERIOD).holdings
    assert holdings[["location", "band"]].to_numpy().tolist() == [["", "HH"]]


def test_sds_rejects_names_that_do_not_parse_and_skips_logs(tmp_path: Path) -> None:
    good = tmp_path / sds_path("Z7.AAA..HHZ", "2014-08-24")
    write(good, day_trace("Z7.AAA..HHZ", "2014-08-24", n=100))
    write(good.parent / "backup of monday", day_trace("Z7.AAA..HHZ", "2014-08-24", n=100))
    write(good.parent / "Z7.AAA..HHZ.D.2014.366", day_trace("Z7.AAA..HHZ", "2014-08-24", n=100))
    write(
        good.parent.parent / "LOG.L" / "Z7.AAA..LOG.L.2014.236", day_trace("Z7.AAA..HHZ", "2014-08-24", n=100)
    )
    holdings, rejected = scan_archive(Sds(root=str(tmp_path)), PERIOD)
    assert holdings["uri"].tolist() == [str(good)]
    reasons = dict(zip((Path(uri).name for uri in rejected["uri"]), rejected["reason"], strict=True))
    assert set(reasons) == {"backup of monday", "Z7.AAA..HHZ.D.2014.366"}
    assert "day 366" in reasons["Z7.AAA..HHZ.D.2014.366"]
    assert "no SDS name" in reasons["backup of monday"]


def test_sds_crosses_new_year(tmp_path: Path) -> None:
    for day in ("2012-12-31", "2013-01-01"):
        write(tmp_path / sds_path("Z7.AAA..HHZ", day), day_trace("Z7.AAA..HHZ", day, n=100))
    holdings = scan_archive(Sds(root=str(tmp_path)), Period("2012-12-30", "2013-01-03")).holdings
    assert [str(day) for day in holdings["day"]] == ["2012-12-31", "2013-01-01"]  # 2012 has a day 366


def test_a_tree_that_is_no_sds_says_what_to_use(tmp_path: Path) -> None:
    (tmp_path / "waveforms").mkdir()
    with pytest.raises(ArchiveError, match=r"found waveforms; .* 'folder'"):
        scan_archive(Sds(root=str(tmp_path)), PERIOD)


@pytest.mark.parametrize("layout", [Folder, Sds])
def test_links_are_followed_and_loops_end(tmp_path: Path, cache: Path, layout: type[Archive]) -> None:
    path = tmp_path / "elsewhere" / sds_path("Z7.AAA..HHZ", "2014-08-24")
    write(path, day_trace("Z7.AAA..HHZ", "2014-08-24", n=100))
    linked = tmp_path / "archive" / "2014" / "Z7"
    linked.mkdir(parents=True)
    (linked / "AAA").symlink_to(path.parent.parent)
    (linked / "AAA" / "HHZ.D" / "loop").symlink_to(path.parent.parent)
    (tmp_path / "copy.ms").write_bytes(path.read_bytes())
    file_link = linked / "AAA" / "HHN.D" / "Z7.AAA..HHN.D.2014.236"
    file_link.parent.mkdir()
    file_link.symlink_to(tmp_path / "copy.ms")
    holdings = scan_archive(layout(root=str(tmp_path / "archive")), PERIOD).holdings
    assert sorted(Path(uri).name[:11] for uri in holdings["uri"]) == ["Z7.AAA..HHN", "Z7.AAA..HHZ"]
