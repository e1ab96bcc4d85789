"""From miniSEED files to the prepared float32 station-day, beside obspy's read and merge.

Usage: python benchmarks/read_station_day.py [--json] [--quick]

One three-component 100 Hz day in 512-byte Steim-2 records, once clean and once with 5,000 gaps of 0.5 s
in each component. Both sides read the same files, from the disk's cache, and end in the same
xarray dataset: float32, NaN in gaps, on the samples of the window, with its time axis; the arrays are
compared sample for sample. obspy's side is what its users write: `read`, `merge(method=1)`, `trim` with
padding, float32 with NaN for the masked, one array of all components.

The clean day is read by both sides alternately, the best of the rounds counts; the compilation of
seisflow's kernels is not part of it. obspy's merge needs minutes for the day with gaps: it is left out
with --quick, where the samples are compared with those that were written instead.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import obspy
import xarray as xr

from seisflow.archive.sds import Sds
from seisflow.keys import Window
from seisflow.waveforms import Preparation, prepare_waveforms

DAY = np.datetime64("2024-03-01", "ns")
WINDOW = Window(DAY, DAY + np.timedelta64(1, "D"))
RATE_HZ = 100.0
N = round(86400 * RATE_HZ)
N_GAPS, GAP = 5000, 50
SITE = {"network": "XX", "station": "AAA", "latitude": 0.0, "longitude": 0.0, "elevation_m": 0.0}

Side = Callable[[list[str]], xr.Dataset]


def write_day(folder: Path, n_gaps: int) -> tuple[list[str], np.ndarray]:
    """Write three channels of noise with gaps; return the files and what they hold, NaN in gaps."""
    rng = np.random.default_rng(1)
    uris, truth = [], np.full((3, N), np.nan, dtype=np.float32)
    borders = np.linspace(0, N, n_gaps + 2).astype(int)
    for row, component in enumerate("ZNE"):
        counts = np.cumsum(rng.normal(0.0, 30.0, N)).astype(np.int32)
        stream = obspy.Stream()
        for low, high in itertools.pairwise(borders):
            stop = high - (GAP if n_gaps else 0)
            start = obspy.UTCDateTime(str(DAY)) + low / RATE_HZ
            header = {"network": "XX", "station": "AAA", "channel": f"HH{component}", "starttime": start}
            stream.append(obspy.Trace(counts[low:stop], header | {"sampling_rate": RATE_HZ}))
            truth[row, low:stop] = counts[low:stop]
        path = folder / f"XX.AAA..HH{component}.D.2024.061"
        stream.write(str(path), format="MSEED", reclen=512, encoding="STEIM2")
        uris.append(str(path))
    return uris, truth


def with_seisflow(uris: list[str]) -> xr.Dataset:
    """Read and prepare with seisflow."""
    archive = Sds(root=str(Path(uris[0]).parent))
    return prepare_waveforms(archive.read(uris, WINDOW), Preparation(), WINDOW, SITE)


def with_obspy(uris: list[str]) -> xr.Dataset:
    """Read, merge and put on the grid of the window with obspy."""
    stream = obspy.Stream()
    for uri in uris:
        stream += obspy.read(uri)
    stream.merge(method=1)
    start, end = (obspy.UTCDateTime(str(edge)) for edge in (WINDOW.start, WINDOW.end))
    stream.trim(start, end - 1.0 / RATE_HZ, pad=True)
    traces = [stream.select(component=letter)[0] for letter in "ZNE"]
    rows = [np.ma.filled(trace.data.astype(np.float32), np.nan) for trace in traces]
    times = WINDOW.start + np.arange(N) * np.timedelta64(round(1e9 / RATE_HZ), "ns")
    coordinates = {"component": ["Z", "N", "E"], "time": times}
    return xr.Dataset({"waveform": (("component", "time"), np.stack(rows))}, coordinates)


def measure(sides: dict[str, Side], uris: list[str], truth: np.ndarray, rounds: int) -> dict[str, float]:
    """Return the best seconds of each side, run alternately; stop where a side is wrong."""
    seconds = dict.fromkeys(sides, np.inf)
    for _ in range(rounds):
        for name, side in sides.items():
            started = time.perf_counter()
            dataset = side(uris)
            seconds[name] = min(seconds[name], time.perf_counter() - started)
            if not np.array_equal(dataset["waveform"].to_numpy(), truth, equal_nan=True):
                raise SystemExit(f"{name} does not give the samples that were written")
            if not (np.diff(dataset["time"].to_numpy()[[0, 1, -1]]).sum() == np.timedelta64(86399990, "ms")):
                raise SystemExit(f"{name} does not give the times that were written")
            del dataset
    return seconds


def main() -> None:
    """Measure, print a table, and with --json a line of figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print a line of figures")
    parser.add_argument("--quick", action="store_true", help="without obspy's day of 5,000 gaps")
    arguments = parser.parse_args()
    both: dict[str, Side] = {"seisflow": with_seisflow, "obspy": with_obspy}
    with tempfile.TemporaryDirectory() as clean_folder, tempfile.TemporaryDirectory() as messy_folder:
        clean_day, messy_day = write_day(Path(clean_folder), 0), write_day(Path(messy_folder), N_GAPS)
        with_seisflow(messy_day[0])  # the kernels are compiled or loaded
        clean = measure(both, *clean_day, rounds=7)
        messy = measure({"seisflow": with_seisflow}, *messy_day, rounds=5)
        if not arguments.quick:
            messy |= measure({"obspy": with_obspy}, *messy_day, rounds=1)
    figures = {
        "speedup_vs_obspy": clean["obspy"] / clean["seisflow"],
        "messy_over_clean": messy["seisflow"] / clean["seisflow"],
    }
    if "obspy" in messy:
        figures["speedup_vs_obspy_gaps"] = messy["obspy"] / messy["seisflow"]
    print(f"{'day':<14}{'seisflow s':>12}{'obspy s':>12}")
    for name, seconds in (("clean", clean), (f"{N_GAPS} gaps", messy)):
        print(f"{name:<14}{seconds['seisflow']:>12.3f}{seconds.get('obspy', np.nan):>12.3f}")
    if arguments.json:
        print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
