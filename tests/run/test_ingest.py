"""Ingest: the store holds every sample of the miniSEED once, whatever happens on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import obspy
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seisflow.archive import Archive, scan_archive
from seisflow.archive.zarr import Zarr
from seisflow.errors import LeaseError
from seisflow.keys import Period, Window
from seisflow.run import run_workflow
from seisflow.run.ingest import Ingest, ingest_archive
from seisflow.run.lease import Lease
from seisflow.run.results import read_catalog
from seisflow.run.status import read_status
from seisflow.run.store import Store
from seisflow.traces import ChannelTraces
from tests.run.clusters import wait_for
from tests.run.conftest import SmallArchive, write_channel, write_tables

PERIOD = Period("2020-01-01", "2020-01-04")
RATE_HZ = 25.0
MIDNIGHT = np.datetime64("2020-01-02", "ns")


def samples_of(archive: Archive, window: Window) -> list[tuple[str, int, int]]:
    """Return id, time (to 10 ns) and value of every sample that an archive holds in a window, sorted."""
    around = Period(window.start - np.timedelta64(1, "D"), window.end + np.timedelta64(1, "D"))
    uris = scan_archive(archive, around).holdings["uri"].tolist()
    found: list[tuple[str, int, int]] = []
    for channel in archive.read(uris, window).channels:
        found += zip(
            [channel.id] * len(channel.samples), times(channel), channel.samples.tolist(), strict=True
        )
    return sorted(found)


def times(channel: ChannelTraces) -> list[int]:
    parts = [
        start + np.rint(np.arange(n) * 1e9 / channel.rate_hz).astype(np.int64)
        for start, n in zip(channel.starts_ns, channel.lengths, strict=True)
    ]
    return (np.concatenate(parts) // 10).tolist()


def long_archive(folder: Path) -> SmallArchive:
    """Write three files of one channel that do not end at midnight, as digitisers leave them."""
    rng = np.random.default_rng(5)
    day = np.datetime64("2020-01-01", "ns")
    # The first reaches 7.32 s into the next day; its samples lie 13 ms beside the full second.
    for start_s, n in ((86000.013, 10183), (86400.0 + 7.333, 2000), (2 * 86400 + 100.0, 500)):
        start = day + np.timedelta64(round(start_s * 1e9), "ns")
        write_channel(folder / "sds", "AAA", "Z", start, rng.integers(-500, 500, n).astype(np.int32))
    write_tables(folder)
    return SmallArchive(folder, 3)


@pytest.fixture(scope="module")
def across_midnight(tmp_path_factory: pytest.TempPathFactory) -> tuple[Archive, Archive]:
    """Return an archive of miniSEED and the store made of it."""
    folder = tmp_path_factory.mktemp("long")
    workflow = long_archive(folder).load(folder / "run")
    assert ingest_archive(workflow, str(folder / "store")).exit_status == 0
    return workflow.archive, Zarr(root=str(folder / "store"))


def test_every_sample_is_there_once(across_midnight: tuple[Archive, Archive]) -> None:
    miniseed, store = across_midnight
    whole = samples_of(miniseed, PERIOD)
    assert len(whole) == 10183 + 2000 + 500
    assert samples_of(store, PERIOD) == whole


@given(st.integers(-500_000, 500_000), st.integers(1, 400_000))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_window_around_midnight_is_that_of_the_miniseed(
    across_midnight: tuple[Archive, Archive], start_ms: int, length_ms: int
) -> None:
    miniseed, store = across_midnight
    start = MIDNIGHT + np.timedelta64(start_ms, "ms")
    window = Window(start, start + np.timedelta64(length_ms, "ms"))
    assert samples_of(store, window) == samples_of(miniseed, window)


@pytest.mark.parametrize(
    ("start", "day"), [("2020-01-02T23:59:50", "2020-01-03"), ("2020-01-01T23:59:50", "2020-01-01")]
)
def test_samples_on_a_day_without_a_file_are_missed_aloud(tmp_path: Path, start: str, day: str) -> None:
    """The file is named after 2020-01-02; half of its 20 s lie on a day that no file is named after."""
    sds = tmp_path / "sds"
    write_channel(sds, "AAA", "Z", np.datetime64(start, "ns"), np.arange(500, dtype=np.int32))
    (path,) = sds.rglob("XX.*")
    path.rename(path.with_name("XX.AAA..HHZ.D.2020.002"))
    write_tables(tmp_path)
    workflow, root = SmallArchive(tmp_path, 3).load(tmp_path / "run"), str(tmp_path / "store")
    report = ingest_archive(workflow, root)
    ingested = report.store.read_table("tables/ingested.parquet", Ingest.schemas["ingested"])
    line = f"XX.AAA..HHZ.D.2020.002: 250 samples lie on {day}, a day without a file of its own"
    assert ingested["n_samples"].tolist() == [250]
    assert line in ingested["problems"][0]
    assert line in scan_archive(Zarr(root=root), PERIOD).rejected["reason"][0]

    other = np.datetime64(f"{day}T12:00", "ns")
    write_channel(sds, "AAA", "Z", other, np.arange(9, dtype=np.int32))
    ingested = ingest_archive(workflow, root).store.read_table(
        "tables/ingested.parquet", Ingest.schemas["ingested"]
    )
    assert ingested["n_samples"].sum() == 509
    assert set(ingested["problems"]) == {""}, "the day has a file now, and with it a unit that reads both"


def test_a_second_ingest_does_nothing_and_a_changed_file_is_done_again(
    make_archive: Callable[[int], SmallArchive], tmp_path: Path
) -> None:
    archive = make_archive(2)
    workflow, root = archive.load(tmp_path / "run"), str(tmp_path / "store")
    first = ingest_archive(workflow, root)
    assert [(s.computed, s.kept, s.n_rows) for s in first.stages] == [(8, 0, 24)]
    again = ingest_archive(workflow, root)
    assert [(s.computed, s.kept, s.n_rows) for s in again.stages] == [(0, 8, 24)]
    start = np.datetime64("2020-01-02T06:00", "ns")
    write_channel(archive.folder / "sds", "BBB", "Z", start, np.arange(9000, dtype=np.int32))
    changed = ingest_archive(workflow, root)
    assert changed.stages[0].computed == 2, "the day itself and the one that reads its file for midnight"
    assert samples_of(Zarr(root=root), PERIOD) == samples_of(workflow.archive, PERIOD)


def test_the_manifest_grows_with_periods_and_stations(small_archive: SmallArchive, tmp_path: Path) -> None:
    root = str(tmp_path / "store")
    load = partial(small_archive.load, tmp_path / "run")
    inventory = str(small_archive.folder / "stations.csv")
    first = {"start": "2020-01-01T10:00", "end": "2020-01-01T11:00"}  # whole days are ingested all the same
    ingest_archive(load(period=first, stations={"inventory": inventory, "select": ["XX.AAA"]}), root)
    holdings = scan_archive(Zarr(root=root), PERIOD).holdings
    assert set(zip(holdings["station"], holdings["day"].astype(str), strict=True)) == {("AAA", "2020-01-01")}
    assert len(samples_of(Zarr(root=root), PERIOD)) == 3 * 3000
    ingest_archive(load(stations={"inventory": inventory, "select": ["XX.BBB"]}), root)
    manifest = tmp_path / "store" / "_seisflow" / "manifest" / "2020-01.parquet"
    both = manifest.read_bytes()
    holdings = scan_archive(Zarr(root=root), PERIOD).holdings
    assert len(holdings) == 3 + 6
    manifest.write_bytes(both[:-100])
    ingest_archive(load(stations={"inventory": inventory, "select": ["XX.BBB"]}), root)
    assert manifest.read_bytes() == both, "a damaged manifest is made anew from the ledger"


def test_picks_of_the_store_are_those_of_the_miniseed(small_archive: SmallArchive, tmp_path: Path) -> None:
    ingest_archive(small_archive.load(tmp_path / "run"), str(tmp_path / "store"))
    direct = run_workflow(small_archive.load(tmp_path / "direct"))
    stored = run_workflow(
        small_archive.load(tmp_path / "stored", archive={"method": "zarr", "root": str(tmp_path / "store")})
    )
    assert stored.exit_status == 0
    one, other = (read_catalog(report.tables) for report in (direct, stored))
    assert len(one.picks) == 16
    assert one.picks.equals(other.picks)
    assert one.events.equals(other.events)


def test_a_damaged_shard_is_a_failed_unit_with_its_reason(
    small_archive: SmallArchive, tmp_path: Path
) -> None:
    ingest_archive(small_archive.load(tmp_path / "run"), str(tmp_path / "store"))
    shard = tmp_path / "store" / "XX" / "BBB" / "2020" / "002" / "HHN" / "c" / "0"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 16
    shard.write_bytes(content)
    report = run_workflow(
        small_archive.load(tmp_path / "stored", archive={"method": "zarr", "root": str(tmp_path / "store")})
    )
    assert report.exit_status == 1
    (row,) = report.failures.to_dict("records")
    assert row["unit"] == "XX.BBB.2020-01-02"
    assert "HHN is damaged" in row["reason"]


@pytest.mark.parametrize("fault", ["flip", "shard gone", "document gone"])
def test_verify_finds_what_is_damaged_and_ingests_it_again(
    small_archive: SmallArchive, tmp_path: Path, fault: str
) -> None:
    workflow, root = small_archive.load(tmp_path / "run"), tmp_path / "store"
    ingest_archive(workflow, str(root))
    array = root / "XX" / "BBB" / "2020" / "002" / "HHN"
    shard = (array / "c" / "0").read_bytes()
    if fault == "flip":
        (array / "c" / "0").write_bytes(shard[:-20] + bytes([shard[-20] ^ 1]) + shard[-19:])
    else:
        (array / ("c/0" if fault == "shard gone" else "zarr.json")).unlink()
    assert ingest_archive(workflow, str(root)).stages[0].computed == 0, "the ledger knows of no damage"
    report = ingest_archive(workflow, str(root), verify=True)
    assert (report.stages[0].computed, report.stages[0].kept, report.exit_status) == (1, 7, 0)
    assert (array / "c" / "0").read_bytes() == shard
    assert samples_of(Zarr(root=str(root)), PERIOD) == samples_of(workflow.archive, PERIOD)
    assert ingest_archive(workflow, str(root), verify=True).stages[0].computed == 0


def test_a_damaged_file_is_ingested_as_far_as_it_goes_and_says_so(
    make_archive: Callable[[int], SmallArchive], tmp_path: Path
) -> None:
    archive = make_archive(1)
    (path,) = (archive.folder / "sds").rglob("XX.CCC..HHE.D.2020.001")
    path.write_bytes(path.read_bytes()[:-100])
    workflow, root = archive.load(tmp_path / "run"), str(tmp_path / "store")
    report = ingest_archive(workflow, root)
    store = Zarr(root=root)
    assert samples_of(store, PERIOD) == samples_of(workflow.archive, PERIOD)
    scan = scan_archive(store, PERIOD)
    assert [Path(uri).name for uri in scan.rejected["uri"]] == ["HHE"], "the channels beside it are sound"
    assert "truncated" in scan.rejected["reason"][0]
    ledger = report.store.read_table("tables/ingested.parquet", Ingest.schemas["ingested"])
    assert ledger["sources"].map(lambda text: Path(text).name).tolist()[:1] == ["XX.AAA..HHE.D.2020.001"]


def test_a_killed_ingest_goes_on_and_nothing_half_written_is_seen(
    make_archive: Callable[[int], SmallArchive], tmp_path: Path
) -> None:
    archive = make_archive(6)
    root, path = tmp_path / "store", archive.workflow(tmp_path / "run")
    command = [sys.executable, "-m", "seisflow.cli", "ingest", str(path), "--to", str(root), "--json"]
    one_by_one = ["--set", "deployment.units_per_task=1"]
    driver = subprocess.Popen(
        command + one_by_one, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    ledger = root / "_seisflow" / "stages"
    wait_for(lambda: len(list(ledger.glob("*/ledger/*/*.parquet"))) >= 5, "the first records")
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    seen = scan_archive(Zarr(root=str(root)), Period("2020-01-01", "2020-01-07")).holdings
    assert 0 < len(seen) < 72, "the ingest must be killed in its middle"
    whole_days = seen.groupby(["station", "day"]).size()
    assert set(whole_days) == {3}, "a station-day is seen with all its channels, or not at all"

    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    counts = json.loads(again.stdout.splitlines()[-1])["stages"]["ingest"]
    assert counts["kept"] >= 5
    assert counts["computed"] + counts["kept"] == 24
    assert counts["rows"] == 72
    period = Period("2020-01-01", "2020-01-07")
    workflow = archive.load(tmp_path / "run")
    assert samples_of(Zarr(root=str(root)), period) == samples_of(workflow.archive, period)
    assert read_status(Store(str(root / "_seisflow"))).all_done


def test_a_writer_that_dies_between_shard_and_document_leaves_no_wrong_sample(
    make_archive: Callable[[int], SmallArchive], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = make_archive(1)
    workflow, root = archive.load(tmp_path / "run"), str(tmp_path / "store")
    ingest_archive(workflow, root)
    start = np.datetime64("2020-01-01T06:00", "ns")
    write_channel(archive.folder / "sds", "AAA", "Z", start, np.arange(3000, dtype=np.int32))
    write = Store.write_bytes

    def dying(self: Store, key: str, content: bytes) -> None:
        if key.endswith("HHZ/zarr.json"):
            raise KeyboardInterrupt
        write(self, key, content)

    monkeypatch.setattr(Store, "write_bytes", dying)
    with pytest.raises(KeyboardInterrupt):
        ingest_archive(workflow, root)
    monkeypatch.undo()
    report = run_workflow(archive.load(tmp_path / "picks", archive={"method": "zarr", "root": root}))
    assert [row.partition(":")[0] for row in report.failures["reason"]] == ["ArchiveError"]
    ingest_archive(workflow, root)
    assert samples_of(Zarr(root=root), PERIOD) == samples_of(workflow.archive, PERIOD)


@pytest.mark.parametrize("n_written", range(7))
def test_a_day_is_seen_whole_or_not_at_all_wherever_its_writer_dies(
    make_archive: Callable[[int], SmallArchive],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    n_written: int,
) -> None:
    archive = make_archive(1)
    root = str(tmp_path / "store")
    write, left = Store.write_bytes, n_written

    def dying(self: Store, key: str, content: bytes) -> None:
        nonlocal left
        if key.startswith("XX/AAA/2020/001/"):
            if not left:
                raise KeyboardInterrupt
            left -= 1
        write(self, key, content)

    workflow = archive.load(tmp_path / "run")
    monkeypatch.setattr(Store, "write_bytes", dying)
    with pytest.raises(KeyboardInterrupt):
        ingest_archive(workflow, root)
    scan = scan_archive(Zarr(root=root), PERIOD)
    assert scan.holdings.empty
    assert scan.rejected.empty


def test_one_driver_at_a_time_writes_to_a_store(small_archive: SmallArchive, tmp_path: Path) -> None:
    workflow, root = small_archive.load(tmp_path / "run"), str(tmp_path / "store")
    with Lease(Store(f"{root}/_seisflow")), pytest.raises(LeaseError):
        ingest_archive(workflow, root)


def test_workers_write_the_store_side_by_side(small_archive: SmallArchive, tmp_path: Path) -> None:
    from seisflow.deploy.local import Local

    workflow = small_archive.load(tmp_path / "run", deployment={"method": "local", "units_per_task": 1})
    with Local(workers=2, dashboard_port=0).connect() as client:
        assert ingest_archive(workflow, str(tmp_path / "parallel"), client).exit_status == 0
    ingest_archive(workflow, str(tmp_path / "serial"))

    def content(root: Path) -> dict[str, bytes]:
        files = (path for path in root.rglob("*") if path.is_file() and "stages" not in path.parts)
        return {str(p.relative_to(root)): p.read_bytes() for p in files if p.parts[-2] != "_seisflow"}

    one, other = (content(tmp_path / name) for name in ("parallel", "serial"))
    assert len(one) > 48
    assert {key for key in one if one[key] != other.get(key)} <= {"_seisflow/archive/plan.parquet"}
    assert set(one) == set(other)


def test_plain_zarr_and_xarray_open_the_store(small_archive: SmallArchive, tmp_path: Path) -> None:
    import xarray as xr

    root = tmp_path / "store"
    ingest_archive(small_archive.load(tmp_path / "run"), str(root))
    (path,) = (small_archive.folder / "sds").rglob("XX.AAA..HHZ.D.2020.001")
    truth = obspy.read(path)[0].data
    group = zarr.open_group(str(root), mode="r")
    np.testing.assert_array_equal(group["XX/AAA/2020/001/HHZ"][:], truth)
    assert sorted(group["XX"].group_keys()) == ["AAA", "BBB", "CCC", "DDD"]
    day = xr.open_zarr(str(root), group="XX/AAA/2020/001", consolidated=False)
    assert sorted(day) == ["HHE", "HHN", "HHZ"]
    np.testing.assert_array_equal(day["HHZ"].to_numpy(), truth)
