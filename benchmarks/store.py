"""The Zarr store that `ingest` writes, beside miniSEED read as people do: obspy.read and merge.

Usage: python benchmarks/store.py [--json] [--quick]

A station-day of three components at 100 Hz (noise, microseism, earthquakes) in 512-byte Steim-2 records
and in the store. Both sides read the same day, and the same windows of 60 s, alternately; the best of the
rounds counts. For a window obspy is told its start and end, which is the fastest it can do. Beside the
figures of the day without gaps stand those of a day with 24 gaps, of seisflow's own miniSEED reader, of plain
zarr-python on the same store and, where SEISFLOW_SHARED names them, of real days at 40 Hz.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import obspy
import zarr

from seisflow.archive.sds import Sds
from seisflow.archive.zarr import Zarr
from seisflow.keys import Period, StationDay, Window
from seisflow.run.ingest import write_station_day
from seisflow.run.store import Store
from seisflow.synthetic import Scenario, make_archive
from seisflow.traces import Traces

DAY = np.datetime64("2024-03-01")
Reader = Callable[[Window], obspy.Stream | Traces]


class Case:
    """A station-day on disk, as miniSEED and in a store."""

    def __init__(self, files: Sequence[Path], folder: Path, window: Window) -> None:
        self.files = [str(file) for file in files]
        self.window = window
        self.miniseed = Sds(root=str(folder))
        traces = self.miniseed.read(self.files, window)
        codes = traces.channels[0]
        store = Store(str(folder / "store"))
        key = StationDay(codes.network, codes.station, Window.of_day(window.start))
        self.table = write_station_day(
            store, key, {uri: self.miniseed.read([uri], window) for uri in self.files}
        )
        self.interval_s = 1.0 / codes.rate_hz
        self.store = Zarr(root=str(folder / "store"))
        found = self.store.scan(Period(key.window.start, key.window.end), None).holdings
        self.arrays = found["uri"].tolist()

    @property
    def bytes_vs_mseed(self) -> float:
        """Bytes of shards and documents over those of the files."""
        stored = sum(Path(uri, name).stat().st_size for uri in self.arrays for name in ("zarr.json", "c/0"))
        return stored / sum(Path(file).stat().st_size for file in self.files)

    def obspy(self, window: Window) -> obspy.Stream:
        """Read and merge; a part of a day by its start and end."""
        start, end = (obspy.UTCDateTime(str(time)) for time in (window.start, window.end))
        limits = {} if window == self.window else {"starttime": start, "endtime": end - self.interval_s}
        stream = obspy.Stream()
        for file in self.files:
            stream += obspy.read(file, **limits)
        return stream.merge(method=1)

    def seisflow_mseed(self, window: Window) -> Traces:
        """Read with seisflow's own miniSEED reader."""
        return self.miniseed.read(self.files, window)

    def seisflow_zarr(self, window: Window) -> Traces:
        """Read from the store."""
        return self.store.read(self.arrays, window)

    def plain_zarr(self, window: Window) -> list[Any]:
        """Read as many samples from the store with zarr-python alone."""
        n = round(window.duration_s * self.table["sampling_rate_hz"].iloc[0])
        return [zarr.open_array(uri, mode="r")[:n] for uri in self.arrays]


def content(read: obspy.Stream | Traces | list[Any]) -> tuple[int, int]:
    """Return the number and the sum of all samples, to see that two sides read the same."""
    parts = read.channels if isinstance(read, Traces) else read
    arrays = [getattr(part, "samples", getattr(part, "data", part)) for part in parts]
    return sum(int(np.ma.count(a)) for a in arrays), sum(int(np.ma.sum(a, dtype=np.int64)) for a in arrays)


def measure(readers: dict[str, Reader], windows: Sequence[Window], rounds: int) -> dict[str, float]:
    """Return the seconds of each side to read the windows one by one: the best of the rounds."""
    best = dict.fromkeys(readers, np.inf)
    for number in range(rounds):
        seconds = dict.fromkeys(readers, 0.0)
        for window in windows:
            contents = {}
            for name, reader in readers.items():
                started = time.perf_counter()
                result = reader(window)
                seconds[name] += time.perf_counter() - started
                contents[name] = content(result)
            _compare(contents)
        if number or rounds == 1:  # the first round fills caches and compiles
            best = {name: min(best[name], seconds[name]) for name in readers}
    return best


def _compare(contents: dict[str, tuple[int, int]]) -> None:
    """Stop if the sides differ; obspy takes the nearest sample at an end, which may be one more or less."""
    own = contents["seisflow zarr"]
    if contents["seisflow miniSEED"] != own or abs(contents["obspy"][0] - own[0]) > 3:
        raise SystemExit(f"the sides do not read the same samples (number, sum): {contents}")


def figures(case: Case, label: str, rounds: int, n_windows: int) -> dict[str, dict[str, float]]:
    """Measure a case, print a line a side, and return seconds by kind of read and side."""
    readers: dict[str, Reader] = {
        "obspy": case.obspy,
        "seisflow miniSEED": case.seisflow_mseed,
        "plain zarr": case.plain_zarr,
        "seisflow zarr": case.seisflow_zarr,
    }
    length_s = int(case.window.duration_s)
    offsets = np.random.default_rng(1).integers(0, length_s - 60, n_windows).astype("m8[s]")
    cuts = [Window(case.window.start + o, case.window.start + o + np.timedelta64(60, "s")) for o in offsets]
    seconds = {
        "day": measure(readers, [case.window], rounds),
        "60 s": {name: s / n_windows for name, s in measure(readers, cuts, 3).items()},
    }
    print(f"{label}: {case.bytes_vs_mseed:.3f} of the bytes of miniSEED")
    for name in readers:
        times = "".join(f"{kind:>8} {1e3 * of[name]:9.2f} ms" for kind, of in seconds.items())
        print(f"  {name:<20}{times}")
    return seconds


def synthetic_case(folder: Path, *, gaps: int, duration_s: float) -> Case:
    """Make a station-day and write it in 512-byte records."""
    scenario = Scenario(
        start=str(DAY), duration_s=duration_s, n_stations=1, n_oblique=0, n_events=60, gaps_per_day=gaps
    )
    make_archive(folder / "made", scenario, seed=1)
    files = []
    for path in sorted((folder / "made" / "sds").rglob("*.D.2024.061")):
        files.append(folder / path.name)
        obspy.read(path).write(files[-1], format="MSEED", reclen=512, encoding="STEIM2")
    return Case(files, folder, Window(scenario.period.start, scenario.period.end))


def real_cases(folder: Path) -> list[Case]:
    """Return the real days there are."""
    shared = Path(os.environ.get("SEISFLOW_SHARED", "")) / "data" / "socal_days_2022"
    window = Window.of_day("2022-01-02")
    cases = []
    for path in sorted(shared.glob("*_BHN___2022002.ms")):
        (folder / path.stem).mkdir()
        cases.append(Case([path], folder / path.stem, window))
    return cases


def main() -> None:
    """Measure, print, and with --json end with a line of figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="a quarter of a day, fewer rounds")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", module="zarr")
    duration_s, rounds, n_windows = (21600.0, 3, 10) if arguments.quick else (86400.0, 10, 30)
    with tempfile.TemporaryDirectory() as name:
        clean_folder, gaps_folder, real_folder = (Path(name) / part for part in ("clean", "gaps", "real"))
        for folder in (clean_folder, gaps_folder, real_folder):
            folder.mkdir()
        case = synthetic_case(clean_folder, gaps=0, duration_s=duration_s)
        clean = figures(case, "day without gaps", rounds, n_windows)
        messy = figures(
            synthetic_case(gaps_folder, gaps=24, duration_s=duration_s), "day with gaps", rounds, n_windows
        )
        ratios = {
            "zarr_vs_mseed_day_read": clean["day"]["obspy"] / clean["day"]["seisflow zarr"],
            "zarr_vs_mseed_60s_read": clean["60 s"]["obspy"] / clean["60 s"]["seisflow zarr"],
            "bytes_vs_mseed": case.bytes_vs_mseed,
            "zarr_vs_mseed_day_read_gaps": messy["day"]["obspy"] / messy["day"]["seisflow zarr"],
            "zarr_vs_own_mseed_day_read": clean["day"]["seisflow miniSEED"] / clean["day"]["seisflow zarr"],
            "zarr_vs_own_mseed_60s_read": clean["60 s"]["seisflow miniSEED"] / clean["60 s"]["seisflow zarr"],
            "plain_zarr_vs_mseed_day_read": clean["day"]["obspy"] / clean["day"]["plain zarr"],
        }
        for real in real_cases(real_folder):
            figures(real, f"real day, {Path(real.files[0]).name}", rounds, n_windows)
    if arguments.json:
        print(json.dumps({key: round(value, 3) for key, value in ratios.items()}))


if __name__ == "__main__":
    main()
