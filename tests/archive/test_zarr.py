"""The ingested store as an archive: the contract, the manifest, and what is missing or damaged."""

from __future__ import annotations

import io
from pathlib import Path

import fsspec
import numpy as np
import obspy
import pandas as pd
import pytest

from seisflow.archive import Archive, read_traces, scan_archive
from seisflow.archive.channel_days import encode_channel, group_document
from seisflow.archive.manifest import INGESTED
from seisflow.archive.zarr import Zarr
from seisflow.archive.zarr_layout import (
    array_name,
    month_key,
    parse_array_name,
    parse_code,
    parse_day,
    station_day_key,
    station_key,
)
from seisflow.errors import ArchiveError
from seisflow.keys import Period, StationDay, Window
from seisflow.run.ingest import write_station_day
from seisflow.run.store import Store
from seisflow.storage import Place
from seisflow.tables import concatenate
from seisflow.traces import ChannelTraces, Traces
from tests.archive.contract import PERIOD, ArchiveContract, day_trace, mseed

DAY = Window.of_day("2014-08-24")


class TestZarr(ArchiveContract):
    """`put` stores what the miniSEED holds; a store has no foreign files whose contents are in doubt."""

    def open(self, root: str) -> Archive:
        return Zarr(root=root)

    def path_of(self, channel_id: str, day: str) -> str:
        network, station, location, channel = channel_id.split(".")
        return f"{station_day_key(network, station, np.datetime64(day))}/{array_name(location, channel)}"

    def put(self, root: str, channel_id: str, day: str, content: bytes | None = None) -> None:
        stream = obspy.read(io.BytesIO(content or mseed(day_trace(channel_id, day))))
        (channel,) = Traces.of_stream(stream).channels
        stored = encode_channel(channel)
        array = self.path_of(channel_id, day)
        self.put_file(root, f"{array}/c/0", stored.shard)
        self.put_file(root, f"{array}/zarr.json", stored.document)
        self.put_file(root, f"{array.rpartition('/')[0]}/zarr.json", group_document({}))

    def test_bytes_that_are_here_already_are_not_fetched(self, archive: Archive) -> None:
        uri = scan_archive(archive, PERIOD, ["Z7.BBB"]).holdings["uri"].iloc[0]
        (channel,) = Traces.of_stream(obspy.Stream([day_trace("Z7.BBB.00.EHZ", "2014-08-24", n=9)])).channels
        stored = encode_channel(channel)
        here = {f"{uri}/zarr.json": stored.document, f"{uri}/c/0": stored.shard}
        (found,), _ = archive.read([uri], PERIOD, here)
        assert len(found.samples) == 9
        assert archive.fetch([uri]) == {}

    def test_an_empty_file_is_rejected(self, archive: Archive, root: str) -> None:
        for name in ("zarr.json", "c/0"):
            self.put(root, "Z7.CCC..HHZ", "2014-08-24")
            self.put_file(root, f"{self.path_of('Z7.CCC..HHZ', '2014-08-24')}/{name}", b"")
            uris = scan_archive(archive, PERIOD, ["Z7.CCC"]).holdings["uri"].tolist()
            with pytest.raises(ArchiveError, match="ingest this day again"):
                archive.read(uris, PERIOD)

    def test_a_truncated_file_is_read_as_far_as_it_goes(self, archive: Archive, root: str) -> None:
        """A shard is never cut: it appears whole. If it is all the same, nothing is read of it."""
        self.put(root, "Z7.CCC..HHZ", "2014-08-24")
        shard = f"{root}/{self.path_of('Z7.CCC..HHZ', '2014-08-24')}/c/0"
        with fsspec.open(shard, "rb") as file:
            content = file.read()
        self.put_file(root, shard.removeprefix(f"{root}/"), content[:-100])
        uris = scan_archive(archive, PERIOD, ["Z7.CCC"]).holdings["uri"].tolist()
        with pytest.raises(ArchiveError, match="cut short"):
            archive.read(uris, PERIOD)

    def test_a_file_that_is_no_waveform_gives_its_reason(self, archive: Archive, root: str) -> None:
        array = self.path_of("Z7.CCC..HHZ", "2014-08-24")
        self.put(root, "Z7.CCC..HHZ", "2014-08-24")
        self.put_file(root, f"{array}/zarr.json", b'{"zarr_format": 3, "node_type": "array"}' * 3)
        uris = scan_archive(archive, PERIOD, ["Z7.CCC"]).holdings["uri"].tolist()
        with pytest.raises(ArchiveError, match="not as seisflow ingest wrote it"):
            archive.read(uris, PERIOD)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


def ingest(store: Store, *traces: obspy.Trace, day: str = "2014-08-24", station: str = "AAA") -> pd.DataFrame:
    """Write traces as a station-day of Z7."""
    key = StationDay("Z7", station, Window.of_day(day))
    return write_station_day(store, key, {"a.mseed": Traces.of_stream(obspy.Stream(list(traces)))})


def write_manifest(store: Store, *tables: pd.DataFrame) -> None:
    store.write_table(month_key("2014-08"), concatenate(tables, INGESTED), INGESTED)


def same(one: ChannelTraces, other: ChannelTraces) -> bool:
    """Return whether two channels agree in everything, bit by bit."""
    return all(
        np.array_equal(a, b) and np.asarray(a).dtype == np.asarray(b).dtype
        for a, b in zip(one, other, strict=True)
    )


def test_the_manifest_says_what_must_be_there(store: Store) -> None:
    tables = [
        ingest(store, day_trace(f"Z7.{name}..HHZ", "2014-08-24", n=500), station=name) for name in ("A", "B")
    ]
    archive = Zarr(root=store.root)
    assert list(scan_archive(archive, PERIOD).holdings["station"]) == ["A", "B"]  # by listing
    write_manifest(store, tables[0])
    holdings = scan_archive(archive, PERIOD).holdings
    assert list(holdings["station"]) == ["A"]
    assert holdings["n_bytes"].tolist() == [Path(holdings["uri"][0], "c", "0").stat().st_size]
    (found,), _ = archive.read(holdings["uri"].tolist(), PERIOD)
    np.testing.assert_array_equal(found.samples, day_trace("Z7.A..HHZ", "2014-08-24", n=500).data)


def test_a_scan_with_a_manifest_lists_no_station(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    write_manifest(store, ingest(store, day_trace("Z7.AAA..HHZ", "2014-08-24", n=500)))
    monkeypatch.setattr(Place, "folders", lambda _: pytest.fail("the store was listed"))
    assert len(scan_archive(Zarr(root=store.root), PERIOD).holdings) == 1


@pytest.mark.parametrize("gone", ["c/0", "zarr.json"])
def test_what_is_missing_is_an_error_and_no_zeros(store: Store, gone: str) -> None:
    write_manifest(store, ingest(store, day_trace("Z7.AAA..HHZ", "2014-08-24", n=500)))
    archive = Zarr(root=store.root)
    (uri,) = scan_archive(archive, PERIOD).holdings["uri"]
    Path(uri, gone).unlink()
    with pytest.raises(ArchiveError, match=gone):
        archive.read([uri], PERIOD)


def test_a_damaged_manifest_says_so(store: Store) -> None:
    write_manifest(store, ingest(store, day_trace("Z7.AAA..HHZ", "2014-08-24", n=500)))
    path = Path(store.uri(month_key("2014-08")))
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ArchiveError, match="run seisflow ingest again"):
        scan_archive(Zarr(root=store.root), PERIOD)


def test_a_station_day_that_was_not_finished_is_not_listed(store: Store) -> None:
    ingest(store, day_trace("Z7.AAA..HHZ", "2014-08-24", n=500))
    store.delete(f"{station_day_key('Z7', 'AAA', np.datetime64('2014-08-24'))}/zarr.json")
    assert scan_archive(Zarr(root=store.root), PERIOD).holdings.empty


def test_problems_of_the_files_are_kept(store: Store) -> None:
    traces = Traces.of_stream(obspy.Stream([day_trace("Z7.AAA..HHZ", "2014-08-24", n=500)]))
    table = write_station_day(
        store,
        StationDay("Z7", "AAA", DAY),
        {"a.mseed": traces._replace(problems=["a.mseed: bytes 512 to 1024 lost"])},
    )
    write_manifest(store, table)
    archive = Zarr(root=store.root)
    scan = scan_archive(archive, PERIOD)
    assert scan.rejected["reason"].tolist() == ["a.mseed: bytes 512 to 1024 lost"]
    assert read_traces(archive, scan.holdings["uri"].tolist(), PERIOD).problems == [
        "a.mseed: bytes 512 to 1024 lost"
    ]


def test_rates_types_overlaps_and_locations_of_a_day_all_come_back(store: Store) -> None:
    first, second = (
        day_trace("Z7.AAA.00.HHZ", "2014-08-24", n=900),
        day_trace("Z7.AAA.00.HHZ", "2014-08-24", n=900),
    )
    second.data = -second.data  # two files that disagree
    faster = day_trace("Z7.AAA.00.HHZ", "2014-08-24", offset_s=43200, n=900)
    faster.stats.sampling_rate = 100.01
    as_float = day_trace("Z7.AAA.00.HHZ", "2014-08-24", offset_s=50000, n=900)
    as_float.data = as_float.data.astype(np.float32)
    other = day_trace("Z7.AAA.10.HHZ", "2014-08-24", n=900)
    foreign = day_trace("Z7.BBB.00.HHZ", "2014-08-24", n=900)
    traces = [
        Traces.of_stream(obspy.Stream([t])).channels[0] for t in (first, second, faster, as_float, other)
    ]
    table = ingest(store, first, second, faster, as_float, other, foreign)
    assert [key.rpartition("/")[2] for key in table["array"]] == [
        "00.HHZ",
        "00.HHZ_2",
        "00.HHZ_3",
        "10.HHZ",
    ]
    assert table["n_traces"].tolist() == [2, 1, 1, 1]
    archive = Zarr(root=store.root)
    holdings = scan_archive(archive, PERIOD).holdings
    assert set(holdings["location"]) == {"00", "10"}
    found = sorted(
        archive.read(holdings["uri"].tolist(), PERIOD).channels, key=lambda c: (c.id, c.starts_ns[0])
    )
    both = traces[0]._replace(
        starts_ns=np.concatenate([traces[0].starts_ns, traces[1].starts_ns]),
        lengths=np.concatenate([traces[0].lengths, traces[1].lengths]),
        samples=np.concatenate([traces[0].samples, traces[1].samples]),
    )
    assert all(same(one, other) for one, other in zip(found, [both, *traces[2:]], strict=True))


def test_a_day_that_is_written_again_replaces_what_was_there(store: Store) -> None:
    ingest(
        store,
        day_trace("Z7.AAA..HHZ", "2014-08-24", n=500),
        day_trace("Z7.AAA..HHN", "2014-08-24", n=500),
    )
    ingest(store, day_trace("Z7.AAA..HHZ", "2014-08-24", n=700))
    archive = Zarr(root=store.root)
    holdings = scan_archive(archive, PERIOD).holdings
    assert len(holdings) == 1
    assert len(archive.read(holdings["uri"].tolist(), PERIOD).channels[0].samples) == 700
    ingest(store)
    assert scan_archive(archive, PERIOD).holdings.empty
    assert store.keys("Z7/AAA") == []


def test_the_better_band_is_read_alone_where_one_is_asked_for(store: Store) -> None:
    ingest(
        store,
        day_trace("Z7.AAA..HHZ", "2014-08-24"),
        day_trace("Z7.AAA..BHZ", "2014-08-24"),
        day_trace("Z7.AAA..HNZ", "2014-08-24", n=500),
    )
    archive = Zarr(root=store.root)
    uris = scan_archive(archive, PERIOD).holdings["uri"].tolist()

    def bands(*wanted: str) -> list[str]:
        return sorted(c.channel[:2] for c in archive.read(uris, DAY, bands=wanted).channels)

    assert bands("HN", "HH", "BH") == ["HH", "HN"]  # HN ends before noon: what is next best is read too
    assert bands("BH", "HH") == ["BH"]
    assert len(archive.read(uris, DAY).channels) == 3


@pytest.mark.parametrize(
    ("codes", "key"),
    [
        (("Z7", "AAA", "", "HHZ"), "Z7/AAA HHZ"),
        (("Z7", "AAA", "00", "HHZ"), "Z7/AAA 00.HHZ"),
        (("", "A.B", "_1", "H/Z"), "--/A-2EB -5F1.H-2FZ"),
    ],
)
def test_codes_of_any_kind_have_keys_of_their_own(codes: tuple[str, str, str, str], key: str) -> None:
    network, station, location, channel = codes
    name = array_name(location, channel, 3)
    assert f"{station_key(network, station)} {array_name(location, channel)}" == key
    assert tuple(map(parse_code, station_key(network, station).split("/"))) == (network, station)
    assert parse_array_name(name) == (location, channel, 3)


@pytest.mark.parametrize("day", ["2012-12-31", "2013-01-01", "1969-03-01", "2050-02-28"])
def test_days_have_keys(day: str) -> None:
    year, number = station_day_key("Z7", "A", np.datetime64(day)).split("/")[-2:]
    assert str(parse_day(year, number)) == day


def test_a_store_crosses_new_year_and_months_without_a_manifest(store: Store) -> None:
    for day in ("2012-12-31", "2013-01-01"):
        ingest(store, day_trace("Z7.AAA..HHZ", day, n=100), day=day)
    holdings = scan_archive(Zarr(root=store.root), Period("2012-12-30", "2013-01-03")).holdings
    assert [str(day) for day in holdings["day"]] == ["2012-12-31", "2013-01-01"]
