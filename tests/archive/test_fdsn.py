"""Downloading from a data centre: everything comes once, politely, and nothing is lost in silence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import obspy
import pytest

from seisflow.archive import read_traces, scan_archive
from seisflow.archive.fdsn import Fdsn
from seisflow.archive.sds import Sds
from seisflow.errors import ArchiveError, WorkflowError
from seisflow.keys import Period, Window
from seisflow.method import build
from tests.archive.conftest import HOUR, PERIOD, STATIONS, fdsn, files_of, of_period, without_day_before
from tests.archive.contract import RATE_HZ
from tests.archive.test_methods import sds_path
from tests.services.fdsn import DataCentre


def test_a_download_gives_what_the_data_centre_has_byte_for_byte(
    centre: DataCentre, truth: Path, tmp_path: Path
) -> None:
    archive = fdsn(centre, tmp_path / "sds")
    archive.acquire(PERIOD, ["Z7.*"])
    assert without_day_before(tmp_path / "sds") == of_period(truth)
    # Days outside of an epoch are not asked for, and each channel and day is asked for once.
    asked = sorted(line.split()[1] + line.split()[4][:10] for line in centre.asked())
    assert asked == sorted(
        f"{station}{day}"
        for station in STATIONS
        for day in ("2014-08-24", "2014-08-25")
        if (station, day) != ("CCC", "2014-08-25")
        for _ in "ZN"
    )
    here, there = scan_archive(archive, PERIOD), scan_archive(Sds(root=str(truth)), PERIOD, ["Z7.[AB]*"])
    assert here.rejected.empty
    keys = ["network", "station", "location", "band", "day", "n_bytes"]
    of_both = here.holdings[here.holdings["station"] != "CCC"].reset_index(drop=True)
    assert of_both[keys].equals(there.holdings[keys])


def test_no_sample_at_midnight_is_lost(centre: DataCentre, tmp_path: Path) -> None:
    archive = fdsn(centre, tmp_path / "sds")
    archive.acquire(PERIOD, ["Z7.AAA"])
    wide = Period("2014-08-23", "2014-08-26")
    uris = scan_archive(archive, wide).holdings["uri"].tolist()
    for start, end in (("2014-08-24T00:00", "2014-08-24T01:00"), ("2014-08-24T23:30", "2014-08-25T00:30")):
        traces = read_traces(archive, uris, Window(start, end))
        assert traces.problems == []
        values = np.sort(np.concatenate([c.samples for c in traces.channels if c.channel == "HHZ"]))
        first = round((obspy.UTCDateTime(start) - obspy.UTCDateTime("2014-08-20")) * RATE_HZ)
        np.testing.assert_array_equal(values, np.arange(first, first + HOUR * RATE_HZ))


def test_a_second_download_asks_for_no_waveforms(centre: DataCentre, tmp_path: Path) -> None:
    said: list[str] = []
    for _ in range(2):
        fdsn(centre, tmp_path / "sds").acquire(PERIOD, ["Z7.*"], said.append)
    assert len(centre.asked()) == 10
    assert "5 were there" in said[-1]


def test_a_file_that_is_lost_or_cut_is_downloaded_again(
    centre: DataCentre, truth: Path, tmp_path: Path
) -> None:
    root = tmp_path / "sds"
    fdsn(centre, root).acquire(PERIOD, ["Z7.*"])
    centre.requests.clear()
    (root / sds_path("Z7.AAA..HHZ", "2014-08-24")).unlink()
    cut = root / sds_path("Z7.BBB..HHN", "2014-08-25")
    cut.write_bytes(cut.read_bytes()[:-4096])
    fdsn(centre, root).acquire(PERIOD, ["Z7.*"])
    assert sorted(line.split()[1] + line.split()[3] for line in centre.asked()) == ["AAAHHZ", "BBBHHN"]
    assert without_day_before(root) == of_period(truth)


def test_days_that_the_availability_service_does_not_know_are_not_asked_for(
    centre: DataCentre, truth: Path, tmp_path: Path
) -> None:
    centre.tells_availability = True
    archive = fdsn(centre, tmp_path / "sds")
    archive.acquire(Period("2014-07-01", "2014-08-26"), ["Z7.*"])
    days = {(line.split()[1], line.split()[4][:10]) for line in centre.asked()}
    assert min(day for _, day in days) == "2014-08-23"
    assert ("CCC", "2014-08-25") in days  # the service knows better than the epoch
    assert files_of(tmp_path / "sds") == {
        name: content for name, content in files_of(truth).items() if not name.endswith("2014.238")
    }


def test_more_channels_later_are_asked_for_alone(centre: DataCentre, tmp_path: Path) -> None:
    fdsn(centre, tmp_path / "sds", channels=["HHZ"]).acquire(PERIOD, ["Z7.AAA"])
    centre.requests.clear()
    fdsn(centre, tmp_path / "sds").acquire(PERIOD, ["Z7.AAA"])
    assert {line.split()[3] for line in centre.asked()} == {"HHN"}


def test_what_the_data_centre_does_not_have_is_asked_for_again_after_some_days(
    centre: DataCentre, tmp_path: Path
) -> None:
    july = Period("2014-07-01", "2014-07-02")
    archive = fdsn(centre, tmp_path / "sds")
    for _ in range(2):
        archive.acquire(july, ["Z7.AAA"])
    assert len(centre.asked()) == 2
    scan = scan_archive(archive, july)
    assert scan.holdings.empty
    assert scan.rejected.empty  # there is nothing: that is no failure
    fdsn(centre, tmp_path / "sds", ask_again_days=0.0).acquire(july, ["Z7.AAA"])
    assert len(centre.asked()) == 4


def test_a_data_centre_is_asked_no_harder_than_allowed(centre: DataCentre, tmp_path: Path) -> None:
    centre.delay_s = 0.03
    archive = fdsn(centre, tmp_path / "sds", requests_per_second=20.0, connections=2, responses=False)
    archive.acquire(Period("2014-08-20", "2014-08-26"), ["Z7.*"])
    times = centre.waveform_requests()
    assert len(times) > 10
    assert centre.most_at_once <= 2
    # The server sees them arrive late or early by what the loopback and a busy machine add.
    assert times[-1] - times[0] >= 0.9 * (len(times) - 1) / 20.0


def test_one_connection_is_one_connection(centre: DataCentre, tmp_path: Path) -> None:
    centre.delay_s = 0.02
    fdsn(centre, tmp_path / "sds", connections=1).acquire(PERIOD, ["Z7.*"])
    during = [at for at, path, _ in centre.requests if path.endswith("query")]
    assert during
    centre.most_at_once = 0
    fdsn(centre, tmp_path / "other", connections=1, responses=False).acquire(PERIOD, ["Z7.*"])
    assert centre.most_at_once <= 2  # obspy looks up the two services at once, before anything else


DOWNLOAD = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background of a shell it is ignored
from seisflow.archive.fdsn import Fdsn
from seisflow.keys import Period
archive = Fdsn(root=sys.argv[1], provider=sys.argv[2], channels=("HH?",), requests_per_second=8.0)
archive.acquire(Period("2014-08-20", "2014-08-26"), ["Z7.*"], print)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_download_that_is_killed_goes_on_where_it_stopped(
    centre: DataCentre, truth: Path, tmp_path: Path, how: signal.Signals
) -> None:
    root = tmp_path / "sds"
    process = subprocess.Popen(
        [sys.executable, "-c", DOWNLOAD, str(root), centre.url],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.DEVNULL,
    )
    journal = root / ".seisflow" / "download.jsonl"
    end = time.monotonic() + 60
    while time.monotonic() < end and (not journal.exists() or journal.read_bytes().count(b"\n") < 5):
        time.sleep(0.01)
    process.send_signal(how)
    assert process.wait(20) != 0
    with journal.open("ab") as file:
        file.write(b'{"station":"Z7.AAA","da')  # what a crash of the machine may leave
    done = {
        (line["station"], line["day"]) for line in map(json.loads, journal.read_bytes().splitlines()[:-1])
    }
    assert 5 <= len(done) < 16
    centre.requests.clear()
    fdsn(centre, root).acquire(Period("2014-08-20", "2014-08-26"), ["Z7.*"])
    asked = {(f"Z7.{line.split()[1]}", line.split()[4][:10]) for line in centre.asked()}
    assert not asked & done
    assert len(asked) + len(done) == 17  # six days of two stations, five of one
    found = files_of(root)
    assert {name: found[name] for name in of_period(truth)} == of_period(truth)
    centre.requests.clear()
    fdsn(centre, root).acquire(Period("2014-08-20", "2014-08-26"), ["Z7.*"])
    assert centre.asked() == []  # no line was lost to the torn one


def test_a_full_disk_ends_it_and_leaves_no_half_file(
    centre: DataCentre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ArchiveError, match=r"No space left"):
        fdsn(centre, tmp_path / "sds").acquire(PERIOD, ["Z7.*"])
    assert files_of(tmp_path / "sds") == {}


def test_a_file_is_seen_when_it_is_whole_and_not_before(
    centre: DataCentre, truth: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(handle: int) -> None:
        raise KeyboardInterrupt

    root = tmp_path / "sds"
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", killed)
        with pytest.raises(KeyboardInterrupt):
            fdsn(centre, root).acquire(PERIOD, ["Z7.*"])
    left = [path for path in root.glob("[0-9]*/**/*") if path.is_file()]
    assert left and all(path.name.startswith(".") for path in left)
    assert scan_archive(Sds(root=str(root)), PERIOD).holdings.empty
    fdsn(centre, root).acquire(PERIOD, ["Z7.*"])
    assert without_day_before(root) == of_period(truth)  # and nothing of the attempt is left over


def test_two_downloads_into_one_folder_do_not_meet(centre: DataCentre, tmp_path: Path) -> None:
    from seisflow.archive.download.journal import Journal

    with (
        Journal(tmp_path).writing(),
        pytest.raises(ArchiveError, match="another process downloads into"),
    ):
        fdsn(centre, tmp_path).acquire(PERIOD, ["Z7.*"])


def test_the_metadata_come_with_the_waveforms(centre: DataCentre, tmp_path: Path) -> None:
    from seisflow.archive import read_stations

    archive = fdsn(centre, tmp_path / "sds")
    archive.acquire(PERIOD, ["Z7.*"])
    table = read_stations(archive.inventory(), select=["Z7.AAA"])
    assert table["station"].tolist() == ["AAA"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"provider": "NOWHERE"}, "NOWHERE"),
        ({"provider": "http://127.0.0.1:44444", "attempts": 1}, "does not answer"),
    ],
)
def test_a_provider_that_is_none_says_so(
    centre: DataCentre, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ArchiveError, match=message):
        fdsn(centre, tmp_path, **changes).acquire(PERIOD, ["Z7.*"])


def test_stations_that_no_service_knows_say_what_to_check(centre: DataCentre, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"has no channels HH\? of XX\.\*.*check archive\.provider"):
        fdsn(centre, tmp_path).acquire(PERIOD, ["XX.*"])


def test_a_download_goes_to_a_disk(tmp_path: Path) -> None:
    with pytest.raises(WorkflowError, match="a folder on a disk"):
        build("archive", {"method": "fdsn", "provider": "ETH", "root": "s3://bucket/sds"})
    with pytest.raises(ArchiveError, match="nothing is downloaded yet"):
        scan_archive(Fdsn(root=str(tmp_path / "none"), provider="ETH"), PERIOD)
