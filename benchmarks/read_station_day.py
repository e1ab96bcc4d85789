"""From miniSEED files to the prepared float32 station-day, beside obspy's read and merge.

Usage: python benchmarks/read_station_day.py [--json] [--quick]

One three-component 100 Hz day in 512-byte Steim-2 records, once clean and once with 5,000 gaps. Both
sides read the same files alternately; the best of the rounds counts. obspy does what its users do:
read, merge (method 1, masked gaps), float32 with NaN.
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

from seisflow.archive.sds import Sds
from seisflow.keys import Window
from seisflow.waveforms import Preparation, prepare_waveforms

DAY = np.datetime64("2024-03-01", "ns")
RATE_HZ = 100.0
SITE = {"network": "XX", "station": "AAA", "latitude": 0.0, "longitude": 0.0, "elevation_m": 0.0}


def write_day(folder: Path, n_gaps: int, duration_s: float) -> list[str]:
    """Write three channels of noise with gaps of 0.5 s and return the files."""
    rng = np.random.default_rng(1)
    n = int(duration_s * RATE_HZ)
    uris = []
    for component in "ZNE":
        counts = np.cumsum(rng.normal(0.0, 30.0, n)).astype(np.int32)
        borders = np.linspace(0, n, n_gaps + 2).astype(int)
        stream = obspy.Stream()
        for low, high in itertools.pairwise(borders):
            start = obspy.UTCDateTime(str(DAY)) + low / RATE_HZ
            header = {"network": "XX", "station": "AAA", "channel": f"HH{component}", "starttime": start}
            samples = counts[low : high - (50 if n_gaps else 0)]
            stream.append(obspy.Trace(samples, header | {"sampling_rate": RATE_HZ}))
        path = folder / f"XX.AAA..HH{component}.D.2024.061"
        stream.write(str(path), format="MSEED", reclen=512, encoding="STEIM2")
        uris.append(str(path))
    return uris


def with_seisflow(uris: list[str], window: Window) -> float:
    """Read and prepare; return the mean of the samples there are, as a check."""
    archive = Sds(root=str(Path(uris[0]).parent))
    waveforms = prepare_waveforms(archive.read(uris, window), Preparation(), window, SITE)
    return float(np.nanmean(waveforms["waveform"].to_numpy(), dtype=float))


def with_obspy(uris: list[str], window: Window) -> float:
    """Read and merge with obspy; return the mean of the samples there are, as a check."""
    stream = obspy.Stream()
    for uri in uris:
        stream += obspy.read(uri)
    stream.merge(method=1)
    start, end = (obspy.UTCDateTime(str(time)) for time in (window.start, window.end))
    stream.trim(start, end - 1.0 / RATE_HZ, pad=True)
    arrays = [np.ma.filled(trace.data.astype(np.float32), np.nan) for trace in stream]
    return float(np.nanmean(np.stack(arrays), dtype=float))


def measure(uris: list[str], window: Window, rounds: int) -> dict[str, float]:
    """Return the best seconds of each side, run alternately."""
    sides: dict[str, Callable[[list[str], Window], float]] = {"seisflow": with_seisflow, "obspy": with_obspy}
    seconds = dict.fromkeys(sides, np.inf)
    means = {}
    for _ in range(rounds):
        for name, side in sides.items():
            started = time.perf_counter()
            means[name] = side(uris, window)
            seconds[name] = min(seconds[name], time.perf_counter() - started)
    if abs(means["seisflow"] - means["obspy"]) > 1e-3 * abs(means["obspy"]):
        raise SystemExit(f"the two sides do not read the same data: {means}")
    return seconds


def main() -> None:
    """Measure, print a table, and with --json a line of figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="a tenth of a day, 500 gaps")
    arguments = parser.parse_args()
    part = 0.1 if arguments.quick else 1.0
    duration_s, n_gaps = 86400.0 * part, int(5000 * part)
    window = Window(DAY, DAY + np.timedelta64(int(duration_s), "s"))
    results = {}
    for case, gaps, rounds in (("clean", 0, 5), (f"{n_gaps} gaps", n_gaps, 1)):
        with tempfile.TemporaryDirectory() as folder:
            uris = write_day(Path(folder), gaps, duration_s)
            with_seisflow(uris, window)  # numba compiles, files are in the cache
            results[case] = measure(uris, window, rounds)
    print(f"{'case':<12}{'seisflow s':>12}{'obspy s':>12}{'ratio':>8}")
    for case, seconds in results.items():
        ratio = seconds["obspy"] / seconds["seisflow"]
        print(f"{case:<12}{seconds['seisflow']:>12.3f}{seconds['obspy']:>12.3f}{ratio:>8.2f}")
    if arguments.json:
        clean, messy = results.values()
        figures = {
            "speedup_vs_obspy": clean["obspy"] / clean["seisflow"],
            "speedup_vs_obspy_gaps": messy["obspy"] / messy["seisflow"],
            "messy_over_clean": messy["seisflow"] / clean["seisflow"],
        }
        print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
