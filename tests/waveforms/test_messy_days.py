"""Days as archives hold them: from the bytes of files to the dataset, against the truth."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import obspy
import pytest
import xarray as xr
from obspy.core.inventory import Channel, Inventory, Network, Response, Site, Station
from obspy.core.inventory.response import InstrumentSensitivity

from seisflow.archive.decode import read_files
from seisflow.archive.stations import read_stations
from seisflow.earth.sites import site_index
from seisflow.errors import MetadataError
from seisflow.keys import Window
from seisflow.waveforms import Preparation, prepare_waveforms
from tests.archive.records import RECORD, count_of, miniseed, record

DAY = Window.of_day("2014-08-24")
MIDNIGHT = obspy.UTCDateTime("2014-08-24")
N = 864_000
"""Samples of a day of 10 Hz: a day of truth that is quickly written."""
AT_10 = Preparation(sampling_rate_hz=10.0)
SITE = {"network": "Z7", "station": "AAA", "latitude": 64.0, "longitude": -17.0, "elevation_m": 900.0}
SIGNAL = np.cumsum(np.random.default_rng(11).normal(0.0, 30.0, N)).astype(np.int32)


def piece(first: int, stop: int, data: np.ndarray = SIGNAL, **more: Any) -> bytes:
    """Return samples ``[first, stop)`` of a 10 Hz day as miniSEED."""
    return miniseed(data[first:stop], str(MIDNIGHT + first / 10.0), **{"rate_hz": 10.0, **more})


def day_of(
    *files: bytes, preparation: Preparation = AT_10, window: Window = DAY, **more: Any
) -> tuple[xr.Dataset, list[str]]:
    """Return the dataset of some files, and every line about them."""
    contents = {f"{i}.m": content for i, content in enumerate(files)}
    wanted = window.widened(preparation.margin_s)
    traces = read_files(list(contents), wanted, contents=contents, bands=preparation.bands)
    dataset = prepare_waveforms(traces, preparation, window, SITE, **more)
    return dataset, [*traces.problems, *dataset.attrs["problems"]]


def vertical(dataset: xr.Dataset) -> np.ndarray:
    """Return the samples of the vertical."""
    values: np.ndarray = dataset["waveform"].sel(component="Z").to_numpy()
    return values


def records_of(content: bytes) -> list[bytes]:
    """Return the records of a file."""
    return [record(i, content) for i in range(len(content) // RECORD)]


def test_a_day_of_five_thousand_gaps_in_its_files() -> None:
    rng = np.random.default_rng(2)
    signal = np.cumsum(rng.normal(0.0, 200.0, 8_640_000)).astype(np.int32)
    whole = records_of(miniseed(signal, str(MIDNIGHT), 100.0))
    edges = np.concatenate([[0], np.cumsum([count_of(one) for one in whole])])
    gone = np.sort(rng.choice(len(whole) // 2, 5000, replace=False)) * 2  # never two in a row
    expected = signal.astype(np.float32)
    for i in gone:
        expected[edges[i] : edges[i + 1]] = np.nan
    kept = b"".join(
        one for one, is_gone in zip(whole, np.isin(np.arange(len(whole)), gone), strict=True) if not is_gone
    )
    dataset, problems = day_of(kept, preparation=Preparation())
    np.testing.assert_array_equal(vertical(dataset), expected)
    assert problems == []


def test_a_rate_that_changes_at_noon() -> None:
    seconds = np.arange(N) / 10.0
    wave = 1e5 * np.sin(2 * np.pi * seconds / 8.0)
    noon = N // 2
    morning = piece(0, noon, wave.astype(np.int32))
    afternoon = miniseed(wave[noon::2].astype(np.int32), str(MIDNIGHT + 43200), 5.0)
    dataset, problems = day_of(morning + afternoon)
    values = vertical(dataset)
    np.testing.assert_array_equal(values[:noon], wave[:noon].astype(np.int32))
    inner = slice(noon + 400, -400)  # the filter reaches over the ends of the record
    np.testing.assert_allclose(values[inner], wave[inner], atol=100.0)
    assert np.isfinite(values[:-2]).all()
    assert any("2 sampling rates: 5, 10 Hz" in line for line in problems)


def test_100_and_100_01_hz_keep_their_own_time() -> None:
    """Merged as one rate the afternoon would end 4.3 s late."""
    wave = lambda seconds: 1e5 * np.sin(2 * np.pi * seconds / 8.0)  # noqa: E731
    noon = N // 2
    late_s = 43200 + np.arange(432_043) / 10.001
    morning = piece(0, noon, wave(np.arange(N) / 10.0).astype(np.int32))
    afternoon = miniseed(wave(late_s).astype(np.int32), str(MIDNIGHT + 43200), 10.001)
    dataset, problems = day_of(morning + afternoon)
    inner = slice(noon + 400, -400)
    expected = wave(np.arange(N) / 10.0)
    np.testing.assert_allclose(vertical(dataset)[inner], expected[inner], atol=100.0)
    assert any("sampling rates" in line for line in problems)


def test_two_location_codes_are_not_mixed() -> None:
    short, long = piece(0, 500_000, location="00"), piece(0, N, SIGNAL + 7, location="10")
    dataset, _ = day_of(short, long)
    assert dataset["location"].item() == "10"
    np.testing.assert_array_equal(vertical(dataset), (SIGNAL + 7).astype(np.float32))


def test_overlapping_files_that_disagree() -> None:
    other = SIGNAL.copy()
    other[450_000:460_000] += 1
    dataset, problems = day_of(piece(0, 500_000), piece(400_000, N, other))
    expected = SIGNAL.astype(np.float32)
    expected[450_000:460_000] = np.nan
    np.testing.assert_array_equal(vertical(dataset), expected)
    (line,) = problems
    assert "10000 samples from 2014-08-24T12:30:00" in line
    assert "differ between traces" in line


def inventory_of_two_sensors() -> Inventory:
    """Return a station whose sensor was swapped, and moved, at noon."""
    epochs = []
    for start, end, counts, latitude in (
        ("2010-01-01", "2014-08-24T12:00:00", 1000.0, 64.0),
        ("2014-08-24T12:00:00", None, 250.0, 64.5),
    ):
        sensitivity = InstrumentSensitivity(counts, 1.0, "M/S", "COUNTS")
        epochs.append(
            Channel(
                "HHZ",
                "",
                latitude,
                -17.0,
                900.0,
                0.0,
                start_date=obspy.UTCDateTime(start),
                end_date=obspy.UTCDateTime(end) if end else None,
                response=Response(instrument_sensitivity=sensitivity),
            )
        )
    station = Station("AAA", 64.0, -17.0, 900.0, channels=epochs, site=Site(""))
    return Inventory([Network("Z7", [station])])


def test_a_sensor_swap_at_noon_gives_each_half_its_own_response(tmp_path: Path) -> None:
    motion = np.random.default_rng(3).integers(-1000, 1000, N)
    counts = np.where(np.arange(N) < N // 2, motion * 1000, motion * 250).astype(np.int32)
    inventory = inventory_of_two_sensors()
    preparation = Preparation(sampling_rate_hz=10.0, remove_response="sensitivity")
    dataset, problems = day_of(piece(0, N, counts), preparation=preparation, inventory=inventory)
    np.testing.assert_array_equal(vertical(dataset), motion.astype(np.float32))
    assert dataset.attrs["units"] == "m/s"
    assert problems == []
    inventory.write(str(tmp_path / "a.xml"), format="STATIONXML")
    stations = read_stations(tmp_path / "a.xml")
    times = np.array(["2014-08-24T06", "2014-08-24T18"], dtype="datetime64[ns]")
    network, station, blank = (np.array([code] * 2, dtype=object) for code in ("Z7", "AAA", ""))
    rows = site_index(network, station, blank, times, stations)
    assert stations["latitude"].to_numpy()[rows].tolist() == [64.0, 64.5]


def test_no_metadata_leaves_counts_and_refuses_motion() -> None:
    dataset, _ = day_of(piece(0, N))
    assert dataset.attrs["units"] == "count"
    with pytest.raises(MetadataError, match="no inventory"):
        day_of(piece(0, N), preparation=Preparation(remove_response="sensitivity"))
    elsewhere = inventory_of_two_sensors()
    elsewhere[0].code = "XX"
    with pytest.raises(MetadataError, match=r"Z7\.AAA\.\.HHZ has no response"):
        day_of(
            piece(0, N),
            preparation=Preparation(sampling_rate_hz=10.0, remove_response="sensitivity"),
            inventory=elsewhere,
        )


def test_one_component_and_log_channels() -> None:
    log = obspy.Trace(np.frombuffer(b"clock locked" * 10, dtype="S1"), {"station": "AAA", "network": "Z7"})
    log.stats.channel, log.stats.starttime = "LOG", MIDNIGHT
    log.stats.sampling_rate = 1.0
    import io

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        log.write(buffer, format="MSEED", reclen=512)
    dataset, problems = day_of(buffer.getvalue() + piece(0, N, channel="HHE") + piece(0, 3000, channel="LOG"))
    assert dataset["component"].values.tolist() == ["E"]
    np.testing.assert_array_equal(dataset["waveform"].to_numpy()[0], SIGNAL.astype(np.float32))
    assert problems == []


def test_a_clock_that_runs_backwards() -> None:
    """Half an hour is recorded twice, the second time under the same times, and records come late."""
    twice = records_of(piece(0, 400_000)) + records_of(piece(382_000, N))
    late = twice[:50] + twice[60:90] + twice[50:60] + twice[90:]
    dataset, problems = day_of(b"".join(late))
    np.testing.assert_array_equal(vertical(dataset), SIGNAL.astype(np.float32))
    assert any("go back in time" in line for line in problems)


def test_a_clock_that_is_set_back_leaves_out_what_can_not_be_told_apart() -> None:
    """At noon the clock is set back by a minute: a minute of the day is claimed twice."""
    noon, minute = N // 2, 600
    after = miniseed(SIGNAL[noon:], str(MIDNIGHT + 43200 - 60), 10.0)
    dataset, problems = day_of(piece(0, noon) + after)
    expected = np.full(N, np.nan, np.float32)
    expected[: noon - minute] = SIGNAL[: noon - minute]
    expected[noon : N - minute] = SIGNAL[noon + minute :]
    is_equal = SIGNAL[noon - minute : noon] == SIGNAL[noon : noon + minute]
    expected[noon - minute : noon][is_equal] = SIGNAL[noon - minute : noon][is_equal]
    np.testing.assert_array_equal(vertical(dataset), expected)
    assert any("go back in time" in line for line in problems)
    assert any("differ between traces" in line for line in problems)


def shuffled(parts: list[bytes], seed: int) -> Iterable[bytes]:
    """Return parts in a random order."""
    return (parts[i] for i in np.random.default_rng(seed).permutation(len(parts)))


def test_many_overlapping_duplicates() -> None:
    records = records_of(piece(0, N))
    other_cut = [piece(i, min(i + 1700, N)) for i in range(0, N, 1000)]  # the same samples, cut otherwise
    files = [b"".join(shuffled(records * 3, 1)), b"".join(shuffled(other_cut, 2))]
    dataset, problems = day_of(*files)
    np.testing.assert_array_equal(vertical(dataset), SIGNAL.astype(np.float32))
    assert any(f"({2 * len(records)} records) repeat an earlier record" in line for line in problems)


def test_a_200_hz_day_of_six_channels_fits_a_small_worker(tmp_path: Path) -> None:
    """HH and HN, Z N E each: below 600 MB beyond the imports, files, time axis and result included."""
    n = 200 * 86_400
    counts = np.cumsum(np.random.default_rng(5).normal(0.0, 30.0, n)).astype(np.int32)
    content = np.frombuffer(miniseed(counts, str(MIDNIGHT), 200.0), np.uint8).reshape(-1, RECORD).copy()
    uris = []
    for channel in ("HHZ", "HHN", "HHE", "HNZ", "HNN", "HNE"):
        content[:, 15:18] = np.frombuffer(channel.encode(), np.uint8)
        uris.append(str(tmp_path / channel))
        content.tofile(uris[-1])
    del content, counts
    code = f"""
import sys, numpy as np
from pathlib import Path
from seisflow.archive.decode import read_files
from seisflow.keys import Window
from seisflow.waveforms import Preparation, prepare_waveforms
def peak_mb():
    line = [l for l in Path("/proc/self/status").read_text().splitlines() if l.startswith("VmHWM")][0]
    return int(line.split()[1]) / 1024
def day(uris, window):
    preparation = Preparation(sampling_rate_hz=None)
    traces = read_files(uris, window, bands=preparation.bands)
    return prepare_waveforms(traces, preparation, window, {SITE!r})
day(sys.argv[1:], Window("2014-08-24T00:00:00", "2014-08-24T00:10:00"))
before = peak_mb()
dataset = day(sys.argv[1:], Window.of_day("2014-08-24"))
print(before, peak_mb(), dataset["waveform"].shape, np.isfinite(dataset["waveform"].to_numpy()).all())
"""
    found = subprocess.run([sys.executable, "-c", code, *uris], capture_output=True, text=True, check=True)
    before_mb, peak_mb, rest = found.stdout.split(" ", 2)
    assert rest.strip() == f"(3, {n}) True"
    assert float(peak_mb) - float(before_mb) < 600.0
    print(before_mb, peak_mb)
