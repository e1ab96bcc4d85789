"""What every archive layout must do, on a disk and behind a URL: subclass and give two hooks."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import fsspec
import numpy as np
import obspy
import pytest

from seisflow.archive import Archive, read_traces, scan_archive
from seisflow.errors import ArchiveError
from seisflow.keys import Period, Window
from seisflow.tables import HOLDINGS, REJECTED, validate

RATE_HZ = 20.0
ORIGIN = obspy.UTCDateTime("2014-08-20")
PERIOD = Period("2014-08-24", "2014-08-26")


def day_trace(channel_id: str, day: str, *, offset_s: float = 0.0, n: int | None = None) -> obspy.Trace:
    """Return a day of 20 Hz whose samples count on from zero at `ORIGIN`: the value tells the time."""
    network, station, location, channel = channel_id.split(".")
    start = obspy.UTCDateTime(day) + offset_s
    first = round((start - ORIGIN) * RATE_HZ)
    n = n if n is not None else round((86400 - offset_s) * RATE_HZ)
    header = {
        "network": network,
        "station": station,
        "location": location,
        "channel": channel,
        "sampling_rate": RATE_HZ,
        "starttime": start,
    }
    return obspy.Trace(np.arange(first, first + n, dtype=np.int32), header)


def mseed(*traces: obspy.Trace) -> bytes:
    """Return traces as miniSEED."""
    buffer = io.BytesIO()
    obspy.Stream(list(traces)).write(buffer, format="MSEED", reclen=512)
    return buffer.getvalue()


class ArchiveContract(ABC):
    """Tests of one layout; `put` writes the file of one channel and day as the layout wants it."""

    @abstractmethod
    def open(self, root: str) -> Archive:
        """Return the archive at a root."""

    @abstractmethod
    def path_of(self, channel_id: str, day: str) -> str:
        """Return the path below the root of the file of a channel and day."""

    @pytest.fixture(params=["disk", "memory"])
    def root(
        self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[str]:
        monkeypatch.setenv("SEISFLOW_CACHE", str(tmp_path / "cache"))
        if request.param == "disk":
            yield str(tmp_path / "archive [1]")  # brackets must not be taken for a pattern
            return
        url = f"memory://{uuid4().hex}"
        yield url
        fs, path = fsspec.core.url_to_fs(url)
        if fs.exists(path):
            fs.rm(path, recursive=True)

    def put(self, root: str, channel_id: str, day: str, content: bytes | None = None) -> None:
        """Write the file of one channel and day."""
        self.put_file(root, self.path_of(channel_id, day), content or mseed(day_trace(channel_id, day)))

    def put_file(self, root: str, relative: str, content: bytes) -> None:
        with fsspec.open(f"{root}/{relative}", "wb", auto_mkdir=True) as file:
            file.write(content)

    @pytest.fixture
    def archive(self, root: str) -> Archive:
        for day in ("2014-08-23", "2014-08-24", "2014-08-25"):
            for channel in ("HHZ", "HHN", "HHE"):
                self.put(root, f"Z7.AAA..{channel}", day)
        self.put(root, "Z7.BBB.00.EHZ", "2014-08-24")
        return self.open(root)

    def test_holdings_list_each_day_of_each_group(self, archive: Archive) -> None:
        holdings, rejected = scan_archive(archive, PERIOD)
        validate(holdings, HOLDINGS)
        groups = holdings.groupby(["network", "station", "location", "band", "day"]).size()
        assert {tuple(map(str, key)): n for key, n in groups.items()} == {
            ("Z7", "AAA", "", "HH", "2014-08-24"): 3,
            ("Z7", "AAA", "", "HH", "2014-08-25"): 3,
            ("Z7", "BBB", "00", "EH", "2014-08-24"): 1,
        }
        assert rejected.empty
        assert (holdings["n_bytes"] > 512).all()

    def test_a_second_scan_agrees(self, archive: Archive) -> None:
        first, second = scan_archive(archive, PERIOD), scan_archive(archive, PERIOD)
        assert first.holdings.equals(second.holdings)

    def test_patterns_choose_stations(self, archive: Archive) -> None:
        assert set(scan_archive(archive, PERIOD, ["*.B?B"]).holdings["station"]) == {"BBB"}
        assert scan_archive(archive, PERIOD, ["XX.*"]).holdings.empty

    def test_reading_gives_the_samples_of_the_window_and_no_others(self, archive: Archive) -> None:
        window = Window("2014-08-24T23:59:59.03", "2014-08-25T00:00:01")
        uris = scan_archive(archive, PERIOD, ["Z7.AAA"]).holdings["uri"].tolist()
        traces = read_traces(archive, uris, window)
        assert traces.problems == []
        values = np.sort(np.concatenate([c.samples for c in traces.channels if c.channel == "HHZ"]))
        midnight = 5 * 86400 * round(RATE_HZ)
        # 23:59:59.05 is the first multiple of 0.05 s at or after the start; the end is not in.
        np.testing.assert_array_equal(values, np.arange(midnight - 19, midnight + 20))
        for trace in traces.to_stream():
            assert trace.data[0] == round((trace.stats.starttime - ORIGIN) * RATE_HZ)

    def test_bytes_that_are_here_already_are_not_fetched(self, archive: Archive) -> None:
        uri = scan_archive(archive, PERIOD, ["Z7.BBB"]).holdings["uri"].iloc[0]
        content = mseed(day_trace("Z7.BBB.00.EHZ", "2014-08-24", n=1000))
        (channel,), _ = read_traces(archive, [uri], PERIOD, {uri: content})
        assert len(channel.samples) == 1000

    def test_an_empty_file_is_rejected(self, archive: Archive, root: str) -> None:
        self.put_file(root, self.path_of("Z7.CCC..HHZ", "2014-08-24"), b"")
        holdings, rejected = scan_archive(archive, PERIOD)
        validate(rejected, REJECTED)
        assert "CCC" not in set(holdings["station"])
        assert len(rejected) == 1
        assert "empty" in rejected["reason"].iloc[0]

    def test_a_truncated_file_is_read_as_far_as_it_goes(self, archive: Archive, root: str) -> None:
        content = mseed(day_trace("Z7.CCC..HHZ", "2014-08-24"))
        n = len(content) // 1024 * 512
        self.put(root, "Z7.CCC..HHZ", "2014-08-24", content[: n + 100])
        holdings, rejected = scan_archive(archive, PERIOD, ["Z7.CCC"])
        (channel,), problems = read_traces(archive, holdings["uri"].tolist(), PERIOD)
        expected = obspy.read(io.BytesIO(content[:n]))[0]
        np.testing.assert_array_equal(channel.samples, expected.data)
        assert len(problems) == 1
        assert "truncated" in problems[0]
        assert set(rejected["uri"]) <= set(holdings["uri"])

    def test_a_file_that_is_no_waveform_gives_its_reason(self, archive: Archive, root: str) -> None:
        self.put(root, "Z7.CCC..HHZ", "2014-08-24", b"this is a letter, not a seismogram\n" * 100)
        holdings, rejected = scan_archive(archive, PERIOD, ["Z7.CCC"])
        uris = [*holdings["uri"], *rejected["uri"]]
        channels, problems = read_traces(archive, uris, PERIOD)
        assert channels == []
        assert "no waveform format" in problems[0]

    def test_a_file_that_is_gone_is_an_error(self, archive: Archive) -> None:
        uri = scan_archive(archive, PERIOD, ["Z7.BBB"]).holdings["uri"].iloc[0]
        with pytest.raises(ArchiveError, match="can not be read"):
            read_traces(archive, [uri + ".gone"], PERIOD)

    def test_a_root_that_is_not_there_is_an_error(self, root: str) -> None:
        with pytest.raises(ArchiveError, match="there is no folder"):
            scan_archive(self.open(f"{root}/nowhere"), PERIOD)

    def test_the_root_is_no_part_of_the_identity(self, root: str) -> None:
        assert self.open(root).fingerprint() == self.open("/somewhere/else").fingerprint()

    def test_days_are_found_by_what_the_file_covers(self, archive: Archive) -> None:
        day = Period("2014-08-23", "2014-08-24")
        stations = scan_archive(archive, day).holdings
        assert set(stations["station"]) == {"AAA"}
        assert {str(d) for d in stations["day"]} == {str(np.datetime64("2014-08-24") - timedelta(days=1))}
