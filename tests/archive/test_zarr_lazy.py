"""The ingested store in a notebook: `open_waveforms` reads what is computed, and no more."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import obspy
import pandas as pd
import pytest

from seisflow import open_waveforms
from seisflow.archive.zarr import Zarr
from seisflow.keys import Period, StationDay, Window
from seisflow.run.ingest import write_station_day
from seisflow.run.store import Store
from seisflow.storage import Place
from seisflow.tables import STATIONS, validate
from seisflow.traces import Traces
from seisflow.waveforms import Preparation
from tests.archive.contract import ORIGIN, PERIOD, RATE_HZ, day_trace

PREPARATION = Preparation(sampling_rate_hz=RATE_HZ)


@pytest.fixture
def archive(tmp_path: Path) -> Zarr:
    store = Store(str(tmp_path / "store"))
    for station in ("AAA", "BBB"):
        for day in ("2014-08-24", "2014-08-25"):
            stream = obspy.Stream([day_trace(f"Z7.{station}..HH{c}", day) for c in "ZNE"])
            key = StationDay("Z7", station, Window.of_day(day))
            write_station_day(store, key, {"a.mseed": Traces.of_stream(stream)})
    return Zarr(root=store.root)


@pytest.fixture
def stations() -> pd.DataFrame:
    rows = {"network": "Z7", "station": ["AAA", "BBB"], "location": ""}
    return validate(pd.DataFrame(rows | {"latitude": 0.0, "longitude": 0.0, "elevation_m": 0.0}), STATIONS)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Collect the bytes that are read of each object."""
    seen: dict[str, int] = {}
    read_bytes = Place.read_bytes

    def counted(self: Place, start: int | None = None, end: int | None = None) -> bytes:
        content = read_bytes(self, start, end)
        seen[self.uri] = seen.get(self.uri, 0) + len(content)
        return content

    monkeypatch.setattr(Place, "read_bytes", counted)
    return seen


def shards(read: dict[str, int]) -> dict[str, int]:
    """Return station and day of the shards that were read, and the bytes."""
    found: dict[str, int] = {}
    for uri, n in read.items():
        if uri.endswith("/c/0"):
            station, _, day = uri.split("/")[-6:-3]
            found[f"{station} {day}"] = found.get(f"{station} {day}", 0) + n
    return found


def test_a_cut_of_a_minute_reads_the_station_days_it_lies_in(
    archive: Zarr, stations: pd.DataFrame, read: dict[str, int]
) -> None:
    waveforms = open_waveforms(archive, PERIOD, stations, PREPARATION)["waveform"]
    assert shards(read) == {}, "nothing is read before it is computed"
    assert waveforms.chunks[0] == (1, 1)
    assert waveforms.chunks[2] == (86400 * RATE_HZ,) * 2
    times = slice("2014-08-25T12:00:00", "2014-08-25T12:00:59.95")
    cut = waveforms.sel(station="Z7.BBB", time=times).compute()
    first = round((obspy.UTCDateTime("2014-08-25T12:00:00") - ORIGIN) * RATE_HZ)
    np.testing.assert_array_equal(cut[0], np.float32(np.arange(first, first + 60 * RATE_HZ)))
    # A chunk is a station-day with its margin before: the day's shards whole, the last chunk of those before.
    found = shards(read)
    assert set(found) == {"BBB 236", "BBB 237"}
    assert found["BBB 236"] < 0.1 * found["BBB 237"]


def test_a_period_of_a_minute_reads_the_chunks_it_lies_in(
    archive: Zarr, stations: pd.DataFrame, read: dict[str, int]
) -> None:
    minute = Period("2014-08-25T12:00:00", "2014-08-25T12:01:00")
    waveforms = open_waveforms(archive, minute, stations, PREPARATION, select=["Z7.AAA"])["waveform"]
    assert waveforms.shape == (1, 3, 60 * RATE_HZ)
    assert np.isfinite(waveforms.compute()).all()
    whole = sum(path.stat().st_size for path in Path(archive.root).glob("Z7/AAA/2014/237/*/c/0"))
    assert set(shards(read)) == {"AAA 237"}
    assert shards(read)["AAA 237"] < 0.1 * whole


def test_the_examples_of_the_page_run(
    archive: Zarr, stations: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "ingest.md").read_text()
    stations.drop(columns=["start", "end"]).to_csv(tmp_path / "stations.csv", index=False)
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(block, found)
    first = round((obspy.UTCDateTime("2014-08-25T12:00:00") - ORIGIN) * RATE_HZ)
    expected = np.float32(np.arange(first, first + 60 * RATE_HZ))
    np.testing.assert_array_equal(found["cut"][0], expected)
    np.testing.assert_array_equal(found["minute"].waveform[0, 0], expected)
    assert [len(channel.samples) for channel in found["channels"]] == [60 * RATE_HZ] * 3
    assert found["counts"][:3].tolist() == list(found["channels"][2].samples[:3] - 36000 * RATE_HZ)
    assert found["lengths"] == [86400 * RATE_HZ]
