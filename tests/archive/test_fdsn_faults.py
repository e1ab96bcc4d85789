"""A data centre that fails: what passes leaves no trace, what stays is recorded, and nothing hangs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import obspy
import pytest

from seisflow.archive import scan_archive
from seisflow.archive.download import downloader
from seisflow.errors import ArchiveError
from seisflow.keys import Period
from tests.archive.conftest import HOUR, PERIOD, fdsn, files_of, of_period, without_day_before
from tests.archive.test_methods import sds_path
from tests.services.fdsn import DataCentre, Fault


@pytest.mark.parametrize("kind", ["429", "500", "502", "503", "reset", "short", "truncated", "page", "stall"])
def test_a_fault_that_passes_leaves_no_trace(
    centre: DataCentre, truth: Path, tmp_path: Path, kind: str
) -> None:
    centre.faults.append(Fault(kind, times=2, when=lambda lines: "BBB" in lines))
    archive = fdsn(centre, tmp_path / "sds", timeout_s=2.0 if kind == "stall" else 10.0)
    archive.acquire(PERIOD, ["Z7.*"])
    assert centre.faults[0].times == 0
    assert centre.given_up == ([True, True] if kind == "stall" else [])
    assert without_day_before(tmp_path / "sds") == of_period(truth)
    assert scan_archive(archive, PERIOD).rejected.empty


@pytest.mark.parametrize("kind", ["503", "reset", "truncated", "page", "400"])
def test_a_fault_that_stays_is_recorded_and_the_rest_goes_on(
    centre: DataCentre, truth: Path, tmp_path: Path, kind: str
) -> None:
    centre.faults.append(Fault(kind, times=1000, when=lambda lines: "BBB" in lines and "08-25" in lines))
    archive = fdsn(centre, tmp_path / "sds", attempts=3)
    archive.acquire(PERIOD, ["Z7.*"])
    lost = {sds_path(f"Z7.BBB..HH{c}", "2014-08-25") for c in "ZN"}
    assert set(of_period(truth)) - set(files_of(tmp_path / "sds")) == lost
    scan = scan_archive(archive, PERIOD)
    assert {str(Path(uri).relative_to(tmp_path / "sds")) for uri in scan.rejected["uri"]} == lost
    assert scan.rejected["reason"].str.startswith("could not be downloaded").all()
    assert scan_archive(archive, PERIOD, ["Z7.AAA"]).rejected.empty
    # The next download asks for what failed, and for nothing else.
    centre.faults.clear()
    centre.requests.clear()
    archive.acquire(PERIOD, ["Z7.*"])
    assert {(line.split()[1], line.split()[4][:10]) for line in centre.asked()} == {("BBB", "2014-08-25")}
    assert without_day_before(tmp_path / "sds") == of_period(truth)
    assert scan_archive(archive, PERIOD).rejected.empty


@pytest.mark.parametrize("status", ["429", "503"])
def test_all_connections_rest_when_the_server_asks_for_it(
    centre: DataCentre, tmp_path: Path, status: str
) -> None:
    centre.faults.append(Fault(status, retry_after="1"))
    fdsn(centre, tmp_path / "sds").acquire(PERIOD, ["Z7.*"])
    times = centre.waveform_requests()
    gaps = np.diff(times)
    assert gaps.max() >= 0.9
    # Nothing but what was under way already was asked for before the rest was over.
    assert (np.array(times) < times[int(np.argmax(gaps)) + 1]).sum() <= 2


def test_a_server_that_asks_to_wait_for_hours_is_not_waited_for(centre: DataCentre, tmp_path: Path) -> None:
    centre.faults.append(Fault("503", retry_after="86400", when=lambda lines: "CCC" in lines))
    archive = fdsn(centre, tmp_path / "sds", connections=1)
    archive._client()  # it answers
    period = Period("2014-08-24", "2014-08-25")
    archive.acquire(period, ["Z7.CCC"])
    assert "asks to wait for 86400 s" in scan_archive(archive, period).rejected["reason"].iloc[0]


def test_a_request_that_is_too_large_is_split_and_nothing_doubles(
    centre: DataCentre, truth: Path, tmp_path: Path
) -> None:
    def too_large(lines: str) -> bool:
        *_, start, end = lines.splitlines()[-1].split()
        return len(lines.splitlines()) > 1 or obspy.UTCDateTime(end) - obspy.UTCDateTime(start) > 6.1 * HOUR

    centre.faults.append(Fault("413", times=1000, when=too_large))
    fdsn(centre, tmp_path / "sds").acquire(PERIOD, ["Z7.*"])
    assert without_day_before(tmp_path / "sds") == of_period(truth)


def test_credentials_that_are_refused_end_it_at_once(centre: DataCentre, tmp_path: Path) -> None:
    centre.faults.append(Fault("401", times=1000))
    archive = fdsn(centre, tmp_path / "sds", user="me", password="wrong", connections=1)
    with pytest.raises(
        ArchiveError, match=r"does not accept the credentials \(401\).*check user and password"
    ):
        archive.acquire(PERIOD, ["Z7.*"])
    assert len(centre.asked()) <= 4
    assert "wrong" not in json.dumps(archive.model_dump(mode="json"))
    assert "wrong" not in repr(archive)


def test_restricted_data_are_recorded_and_the_rest_goes_on(centre: DataCentre, tmp_path: Path) -> None:
    centre.faults.append(Fault("403", times=1000, when=lambda lines: "AAA" in lines))
    archive = fdsn(centre, tmp_path / "sds")
    archive.acquire(PERIOD, ["Z7.*"])
    rejected = scan_archive(archive, PERIOD).rejected
    assert len(rejected) == 4
    assert rejected["reason"].str.contains("refused").all()


def test_a_refusal_is_an_answer_however_many_there_are(
    centre: DataCentre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service does not fail: it is asked for all that is wanted."""
    centre.faults.append(Fault("403", times=1000))
    monkeypatch.setattr(downloader, "_FAILURES_IN_A_ROW", 2)
    archive = fdsn(centre, tmp_path / "sds")
    archive.acquire(PERIOD, ["Z7.*"])
    rejected = scan_archive(archive, PERIOD).rejected
    assert len(rejected) > 4
    assert rejected["reason"].str.contains("refused").all()


def test_a_service_that_fails_all_the_time_is_left_alone(
    centre: DataCentre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    centre.faults.append(Fault("503", times=1000))
    monkeypatch.setattr(downloader, "_FAILURES_IN_A_ROW", 3)
    archive = fdsn(centre, tmp_path / "sds", attempts=2)
    with pytest.raises(ArchiveError, match=r"failed 3 times in a row.*goes on from here"):
        archive.acquire(PERIOD, ["Z7.*"])
    assert len(scan_archive(archive, PERIOD).rejected) == 6
