"""Archives in S3 buckets: the contract of every layout, and the same result in a storm as in quiet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seisflow.archive import Archive, read_traces, scan_archive
from seisflow.archive.folder import Folder
from seisflow.archive.sds import Sds
from seisflow.errors import AccessError, ArchiveError
from tests.archive import test_methods as layouts
from tests.archive.contract import PERIOD, day_trace, mseed
from tests.services.s3 import S3Server
from tests.services.storms import Fault, Storm


class OnS3:
    """Puts the files of a contract into a fresh bucket."""

    server: S3Server

    @pytest.fixture
    def root(self, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
        monkeypatch.setenv("SEISFLOW_CACHE", str(tmp_path / "cache"))
        self.server = s3_server
        return f"{s3_server.bucket()}/archive [1]"

    def put_file(self, root: str, relative: str, content: bytes) -> None:
        self.server.put(f"{root}/{relative}", content)


class TestFolderOnS3(OnS3, layouts.TestFolder):
    def open(self, root: str) -> Archive:
        return Folder(root=root, storage_options=self.server.storage_options)


class TestSdsOnS3(OnS3, layouts.TestSds):
    def open(self, root: str) -> Archive:
        return Sds(root=root, storage_options=self.server.storage_options)


@pytest.fixture(params=[Folder, Sds], ids=["folder", "sds"])
def layout(request: pytest.FixtureRequest) -> type[Archive]:
    layout: type[Archive] = request.param
    return layout


@pytest.fixture
def root(any_storm: Storm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return an SDS tree of two stations and two days in a bucket."""
    monkeypatch.setenv("SEISFLOW_CACHE", str(tmp_path / "cache"))
    url = any_storm.server.bucket()
    for day in ("2014-08-24", "2014-08-25"):
        for channel in ("AAA..HHZ", "AAA..HHN", "BBB.00.EHZ"):
            content = mseed(day_trace(f"Z7.{channel}", day, n=100_000))
            any_storm.server.put(f"{url}/{layouts.sds_path(f'Z7.{channel}', day)}", content)
    any_storm.forget()
    return url


def opened(layout: type[Archive], storm: Storm, root: str, **fields: Any) -> Archive:
    options = {**storm.server.storage_options, "config_kwargs": {"read_timeout": 1.0}}
    return layout.parse({"root": root, "storage_options": options, **fields})


def samples(archive: Archive) -> dict[str, list[np.ndarray]]:
    """Return what an archive holds: every sample of every file."""
    holdings, rejected = scan_archive(archive, PERIOD)
    assert rejected.empty
    traces = read_traces(archive, holdings["uri"].tolist(), PERIOD)
    assert traces.problems == []
    found: dict[str, list[np.ndarray]] = {}
    for trace in sorted(traces.to_stream(), key=lambda trace: (trace.id, trace.stats.starttime)):
        found.setdefault(trace.id, []).append(trace.data)
    return found


def assert_same(found: dict[str, list[np.ndarray]], quiet: dict[str, list[np.ndarray]]) -> None:
    assert list(found) == list(quiet)
    for name in quiet:
        for one, other in zip(found[name], quiet[name], strict=True):
            np.testing.assert_array_equal(one, other)


STORMS = {
    "503": [Fault(share=0.5, first=8)],
    "500 and resets": [
        Fault(status=500, code="InternalError", share=0.4, first=4),
        Fault("reset", after_bytes=600, share=0.4, first=4),
        Fault("lost", share=0.4, first=3),
    ],
    "stalls and cut bodies": [
        Fault("stall", after_bytes=600, share=0.4, first=2),
        Fault("truncate", after_bytes=600, share=0.4, first=4),
    ],
}


@pytest.mark.parametrize("faults", STORMS.values(), ids=STORMS)
def test_a_storm_changes_no_sample(
    layout: type[Archive],
    any_storm: Storm,
    root: str,
    faults: list[Fault],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    archive = opened(layout, any_storm, root)
    quiet = samples(archive)
    assert sum(len(data) for parts in quiet.values() for data in parts) == 600_000
    monkeypatch.setenv("SEISFLOW_CACHE", str(tmp_path / "another"))  # headers are read again
    any_storm.faults = [replace(fault) for fault in faults]
    assert_same(samples(archive), quiet)
    assert [fault.struck for fault in any_storm.faults] == [fault.first for fault in faults]


def test_files_fetched_before_are_not_fetched_again(
    layout: type[Archive], any_storm: Storm, root: str
) -> None:
    archive = opened(layout, any_storm, root)
    quiet = samples(archive)
    uris = scan_archive(archive, PERIOD).holdings["uri"].tolist()
    any_storm.forget()
    contents = archive.fetch(uris)
    assert sorted(contents) == sorted(uris)
    assert len(any_storm.requests) == len(uris) == 6
    any_storm.forget()
    traces = read_traces(archive, uris, PERIOD, contents)
    assert not any_storm.requests
    assert len(traces.to_stream()) == sum(map(len, quiet.values()))


def test_an_outage_that_lasts_ends_with_the_patience(
    layout: type[Archive], any_storm: Storm, root: str
) -> None:
    archive = opened(layout, any_storm, root, patience_s=1.5)
    uris = scan_archive(archive, PERIOD).holdings["uri"].tolist()
    any_storm.faults = [Fault()]
    for ask in (lambda: read_traces(archive, uris, PERIOD), lambda: scan_archive(archive, PERIOD)):
        with pytest.raises(ArchiveError, match=r"SlowDown \(HTTP 503\).*given up after"):
            ask()


def test_wrong_credentials_end_a_scan_at_once(layout: type[Archive], any_storm: Storm, root: str) -> None:
    stranger = any_storm.server._replace(secret="wrong")
    archive = layout.parse({"root": root, "storage_options": stranger.storage_options})
    with pytest.raises(AccessError, match="the secret key is wrong"):
        scan_archive(archive, PERIOD)
    assert len(any_storm.requests) == 1


def test_patience_is_no_part_of_the_identity(layout: type[Archive]) -> None:
    one, other = layout.parse({"root": "s3://b"}), layout.parse({"root": "s3://b", "patience_s": 1.0})
    assert one.fingerprint() == other.fingerprint()


def test_a_public_archive_is_read_without_credentials(layout: type[Archive], s3_server: S3Server) -> None:
    url = s3_server.bucket(public=True)
    s3_server.put(
        f"{url}/{layouts.sds_path('Z7.AAA..HHZ', '2014-08-24')}",
        mseed(day_trace("Z7.AAA..HHZ", "2014-08-24")),
    )
    archive = layout.parse({"root": url, "storage_options": s3_server.anonymous_options})
    assert len(scan_archive(archive, PERIOD).holdings) == 1
