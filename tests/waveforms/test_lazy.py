"""The lazy dataset reads nothing before it is computed, and then what the files hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask
import numpy as np
import obspy
import pandas as pd
import pytest

from seisflow.archive.sds import Sds
from seisflow.errors import MetadataError, WaveformError
from seisflow.keys import Period, Window
from seisflow.tables import STATIONS, validate
from seisflow.traces import Traces
from seisflow.waveforms import Preparation, lazy, open_waveforms

PERIOD = Period("2014-08-24T00:00:00", "2014-08-26T06:00:00")
AT_20 = Preparation(sampling_rate_hz=20.0)
STATIONS_TABLE = validate(
    pd.DataFrame(
        {
            "network": "Z7",
            "station": ["AAA", "BBB", "CCC"],
            "location": "",
            "latitude": [64.0, 64.1, 64.2],
            "longitude": -17.0,
            "elevation_m": [100.0, 200.0, 300.0],
            "start": None,
            "end": None,
        }
    ),
    STATIONS,
)


def signal(start: obspy.UTCDateTime, n: int, rate_hz: float) -> np.ndarray:
    times_s = (start - obspy.UTCDateTime("2014-08-24")) + np.arange(n) / rate_hz
    return (1e4 * np.sin(2 * np.pi * times_s / 7.0)).astype(np.float32)


@pytest.fixture
def archive(tmp_path: Path) -> Sds:
    """Return AAA with Z, N, E at 20 Hz, three days; BBB with Z, 1, 2 at 40 Hz, the second day only."""
    plan = [("AAA", channel, day, 20.0) for channel in ("HHZ", "HHN", "HHE") for day in (24, 25, 26)]
    plan += [("BBB", channel, 25, 40.0) for channel in ("BHZ", "BH1", "BH2")]
    for station, channel, day, rate_hz in plan:
        start = obspy.UTCDateTime(2014, 8, day) + 0.003
        n = round(86400 * rate_hz)
        header = {"network": "Z7", "station": station, "channel": channel, "sampling_rate": rate_hz}
        part = obspy.Trace(signal(start, n, rate_hz), {**header, "starttime": start})
        folder = tmp_path / "2014" / "Z7" / station / f"{channel}.D"
        folder.mkdir(parents=True, exist_ok=True)
        part.write(str(folder / f"Z7.{station}..{channel}.D.2014.{start.julday:03d}"), format="MSEED")
    return Sds(root=str(tmp_path))


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("something was computed")


def test_opening_computes_and_reads_nothing(archive: Sds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lazy, "read_traces", refuse)
    with dask.config.set(scheduler=refuse):
        dataset = open_waveforms(archive, PERIOD, STATIONS_TABLE, AT_20)
        part = dataset.waveform.sel(station="Z7.AAA", time=slice("2014-08-25", "2014-08-26"))
        with pytest.raises(AssertionError, match="computed"):
            part.compute()
    assert dataset.waveform.dims == ("station", "component", "time")
    assert dataset.waveform.chunks == ((1, 1), (3,), (1_728_000, 1_728_000, 432_000))
    assert dataset.station.values.tolist() == ["Z7.AAA", "Z7.BBB"]
    assert dataset.latitude.values.tolist() == [64.0, 64.1]
    assert len(dataset.waveform.data.dask.layers) == 1


def test_what_is_computed_is_what_the_files_hold(archive: Sds) -> None:
    dataset = open_waveforms(archive, PERIOD, STATIONS_TABLE, AT_20)
    midnight = dataset.waveform.sel(time=slice("2014-08-24T23:59:00", "2014-08-25T00:01:00")).compute()
    times_s = (midnight.time.values - np.datetime64("2014-08-24", "ns")).astype("int64") * 1e-9
    assert (np.diff(midnight.time.values) == np.timedelta64(50, "ms")).all()
    aaa = midnight.sel(station="Z7.AAA")
    assert np.isfinite(aaa).all()
    # 20 Hz data move to the nearest sample of the grid, by 3 ms.
    np.testing.assert_allclose(aaa.values[0], 1e4 * np.sin(2 * np.pi * (times_s + 0.003) / 7.0), atol=1.0)
    bbb = midnight.sel(station="Z7.BBB").values
    np.testing.assert_array_equal(np.isnan(bbb), np.broadcast_to(times_s < 86400.003, bbb.shape))
    inside = times_s > 86402.0
    np.testing.assert_allclose(bbb[1][inside], 1e4 * np.sin(2 * np.pi * times_s[inside] / 7.0), atol=1.0)


def test_each_chunk_reads_its_own_station_and_days(archive: Sds, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def watched(archive: Sds, uris: list[str], window: Window, **more: Any) -> Traces:
        seen.extend(Path(uri).name for uri in uris)
        return archive.read(uris, window, **more)

    monkeypatch.setattr(lazy, "read_traces", watched)
    dataset = open_waveforms(archive, PERIOD, STATIONS_TABLE, AT_20)
    chunk = dataset.waveform.isel(station=0, time=slice(0, 10)).compute(scheduler="synchronous")
    assert np.isfinite(chunk.values[:, 1:]).all()
    assert sorted({name[-8:] for name in seen}) == ["2014.236", "2014.237"]
    assert {name.split(".")[1] for name in seen} == {"AAA"}
    assert len(seen) == 6


def test_select_and_errors(archive: Sds) -> None:
    chosen = open_waveforms(archive, PERIOD, STATIONS_TABLE, AT_20, select=["*.B*"])
    assert chosen.station.values.tolist() == ["Z7.BBB"]
    with pytest.raises(WaveformError, match="holds nothing"):
        open_waveforms(archive, PERIOD, STATIONS_TABLE, AT_20, select=["XX.*"])
    with pytest.raises(WaveformError, match="set sampling_rate_hz"):
        open_waveforms(archive, PERIOD, STATIONS_TABLE, Preparation(sampling_rate_hz=None))
    with pytest.raises(MetadataError, match=r"no coordinates for Z7\.AAA"):
        open_waveforms(archive, PERIOD, STATIONS_TABLE[1:], AT_20)
