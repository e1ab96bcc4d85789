"""How well the pickers pick: real records with analysts' picks, simulated ones, hours without earthquakes.

Usage: python benchmarks/picker_quality.py [--records FOLDER] [--noise FILE ...] [--phasenet WEIGHTS] [--json]

FOLDER holds ``waveform.csv`` (fname, itp, its, channels) and ``waveform_train/*.npz``, 100 Hz, components E,
N, Z: PhaseNet's sample data. Its stations are sorted and dealt out in turn: the records of the first,
third, ... are the development half, on which choices were made; the others are reported apart. Of NOISE,
waveform files of which little is known, the number of picks is reported.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from obspy.signal.trigger import ar_pick

from seisflow.picking import Picker, pick_phases
from seisflow.picking.bundled import Bundled
from seisflow.picking.phasenet import PhaseNet
from seisflow.picking.stalta import StaLta
from seisflow.plain import pick_files
from seisflow.training.chance import Chance
from seisflow.training.earthquakes import make_earthquakes
from seisflow.training.examples import mix
from seisflow.training.noises import make_noises
from seisflow.training.scores import Score, score_onsets

START = np.datetime64("2020-01-01", "ns")
RATE_HZ = 100.0
TOLERANCES_S = (0.1, 0.5)
N_BEFORE_P = 2900
"""Samples of a real record in which there should be no onset: P lies at 3,000."""
N_SIMULATED, SEED = 400, 987_654
Onsets = dict[str, np.ndarray]
Record = tuple[np.ndarray, Onsets]


def dataset(data: np.ndarray) -> xr.Dataset:
    """Return E, N, Z as waveforms."""
    step = np.arange(data.shape[1]) * np.timedelta64(10, "ms")
    place = {"network": "XX", "station": "AAA", "location": "", "band": "HH"}
    return xr.Dataset(
        {"waveform": (("component", "time"), data.astype(np.float32))},
        coords={"component": list("ENZ"), "time": START + step, **place},
        attrs={"sampling_rate_hz": RATE_HZ},
    )


def onsets_of(picker: Picker) -> Callable[[np.ndarray], Onsets]:
    """Return a function from a record to the onsets a picker finds, s."""

    def find(data: np.ndarray) -> Onsets:
        picks = pick_phases(dataset(data), picker)
        times = picks["time"].dt.tz_localize(None).to_numpy(dtype="datetime64[ns]")
        seconds = (times - START) / np.timedelta64(1, "s")
        return {phase: seconds[(picks["phase"] == phase).to_numpy()] for phase in "PS"}

    return find


def ar_onsets(data: np.ndarray) -> Onsets:
    """Return the one P and S that obspy's AR picker finds in a record with three components."""
    if not all(trace.any() for trace in data):
        return {"P": np.zeros(0), "S": np.zeros(0)}
    east, north, up = (trace - trace.mean() for trace in np.asarray(data, np.float64))
    p, s = ar_pick(up, north, east, RATE_HZ, 1.0, 20.0, 1.0, 0.1, 4.0, 1.0, 2, 8, 0.1, 0.2)
    return {"P": np.array([p]), "S": np.array([s])}


def real_records(folder: Path) -> dict[str, list[Record]]:
    """Return the development half and the other half of the labelled records, by stations."""
    with (folder / "waveform.csv").open() as file:
        rows = list(csv.DictReader(file))
    stations = sorted({tuple(row["fname"].split("_")[:2]) for row in rows})
    halves: dict[str, list[Record]] = {"development": [], "held out": []}
    for row in rows:
        data = np.load(folder / "waveform_train" / row["fname"])["data"].T
        known = {"P": np.array([int(row["itp"]) / RATE_HZ]), "S": np.array([int(row["its"]) / RATE_HZ])}
        first = stations.index(tuple(row["fname"].split("_")[:2])) % 2 == 0
        halves["development" if first else "held out"].append((data, known))
    return halves


def simulated_records() -> list[Record]:
    """Return simulated records that no training uses; onsets hidden in noise are left out."""
    torch.set_num_threads(1)
    earthquakes = make_earthquakes(200, Chance(SEED, "benchmark", 0))
    noises = make_noises(200, Chance(SEED, "benchmark", 1))
    examples = mix(N_SIMULATED, earthquakes, noises, Chance(SEED, "mix", 0))
    onsets = examples.onsets.numpy()
    records = []
    for number, traces in enumerate(examples.traces.numpy()):
        here = onsets[(onsets[:, 0] == number) & (onsets[:, 3] > 0)]
        known = {phase: here[here[:, 1] == code, 2] / RATE_HZ for code, phase in enumerate("PS", start=1)}
        records.append((traces, known))
    return records


def scores(find: Callable[[np.ndarray], Onsets], records: list[Record]) -> dict[str, Any]:
    """Return precision, recall, F1 and residuals of both phases at both tolerances."""
    found = [find(data) for data, _ in records]
    table: dict[str, Any] = {}
    for phase in "PS":
        for tolerance_s in TOLERANCES_S:
            total = Score(0, 0, 0, np.zeros(0))
            for picks, (_, known) in zip(found, records, strict=True):
                total += score_onsets(picks[phase], known[phase], tolerance_s)
            residuals = total.residuals_s if total.n_true else np.full(1, np.nan)
            table[f"{phase} {tolerance_s:g} s"] = {
                "precision": round(total.precision, 3),
                "recall": round(total.recall, 3),
                "f1": round(total.f1, 3),
                "mean_s": round(float(residuals.mean()), 3),
                "deviation_s": round(float(residuals.std()), 3),
            }
    return table


def before_p(find: Callable[[np.ndarray], Onsets], records: list[Record]) -> dict[str, float]:
    """Return picks per hour in what precedes P."""
    hours = len(records) * N_BEFORE_P / RATE_HZ / 3600
    counts = dict.fromkeys("PS", 0)
    for data, _ in records:
        for phase, onsets in find(data).items():
            counts[phase] += int(np.sum(onsets < N_BEFORE_P / RATE_HZ))
    return {phase: round(count / hours, 2) for phase, count in counts.items()}


def on_files(picker: Picker, files: list[Path]) -> dict[str, dict[str, int]]:
    """Return how many picks there are in each file."""
    settings = [f"{key}={value}" for key, value in picker.model_dump(exclude_defaults=True).items()]
    counts = {}
    for file in files:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "picks.parquet"
            pick_files([file], out, picker.name, settings)
            picks = pd.read_parquet(out)
        counts[file.name] = {phase: int((picks["phase"] == phase).sum()) for phase in "PS"}
    return counts


def main() -> int:
    """Measure every picker and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=Path)
    parser.add_argument("--noise", type=Path, nargs="*", default=[])
    parser.add_argument("--phasenet", help="weights of PhaseNet, name or file")
    parser.add_argument("--bundled", default="bundled", help="weights of the bundled picker")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    pickers: dict[str, Picker] = {"bundled": Bundled(weights=options.bundled, threads=1), "stalta": StaLta()}
    if options.phasenet:
        for mode in ("continuous", "windowed"):
            pickers[f"phasenet {mode}"] = PhaseNet(weights=options.phasenet, mode=mode, threads=1)
    finders = {name: onsets_of(picker) for name, picker in pickers.items()} | {"ar": ar_onsets}
    records = real_records(options.records) if options.records else {}
    result: dict[str, Any] = {}
    for name, find in finders.items():
        result[name] = {half: scores(find, found) for half, found in records.items()}
        if name in pickers:
            result[name]["simulated"] = scores(find, simulated_records())
            result[name]["before P, per hour"] = {
                half: before_p(find, rows) for half, rows in records.items()
            }
            result[name]["noise files"] = on_files(pickers[name], options.noise)
    if options.json:
        print(json.dumps(result))
        return 0
    for name, parts in result.items():
        for part, rows in parts.items():
            for row, values in rows.items():
                print(f"{name:<19} {part:<20} {row:<8} {values}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
