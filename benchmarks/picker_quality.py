"""How well the pickers pick: real records with analysts' picks, simulated ones, hours without earthquakes.

Usage: python benchmarks/picker_quality.py [--json] [--quick] [--records FOLDER] [--noise FILE ...]
           [--phasenet WEIGHTS] [--bundled WEIGHTS]

FOLDER holds ``waveform.csv`` (fname, itp, its, channels) and ``waveform_train/*.npz``, 100 Hz, components E,
N, Z: PhaseNet's sample data. Its stations are sorted and dealt out in turn: the records of the first,
third, ... are the `development` half, on which choices were made; those of the others are `held out`; `real`
is both. `simulated` records are of seeds that no training uses. Records, noise and weights are by default
those below the folder that SEISFLOW_SHARED names; what is not there is skipped, and said to be.

Pickers have their default parameters. An analyst's onset is found by one pick within the tolerance; other
picks are false, also those of earthquakes that the analyst left out. `ar` is obspy's `ar_pick`: it needs
three components, and gives one P and one S for whatever it is shown.

False picks are counted per hour in the 29 s before each P of a record, and in the NOISE files: in all hours,
and in the `quiet` half of them, those whose loudest second stands out least from the median one (1 to 15 Hz).
`thresholds` shows F1 at 0.5 s, and P and S together per hour before P and in quiet hours, at other
thresholds. At the end of a full run stands which of the bars that the project has set itself are reached.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import obspy
import pandas as pd
import torch
import xarray as xr
from obspy.signal.trigger import ar_pick

from seisflow.picking import Picker, pick_phases
from seisflow.picking.bundled import Bundled
from seisflow.picking.network import NetworkPicker
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
N_SIMULATED, N_SIMULATED_QUICK, N_MADE, SEED = 1200, 80, 600, 987_654
QUICK = 5
"""In a quick run every fifth record is looked at."""
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
QUIET_BAND_HZ = (1.0, 15.0)
SHARED = Path(os.environ.get("SEISFLOW_SHARED", Path(__file__).resolve().parents[2] / "shared"))
Onsets = dict[str, np.ndarray]
Finder = Callable[[np.ndarray], Onsets]


class Record(NamedTuple):
    """Samples (component, sample), known onsets of each phase, s, and those that nobody can see."""

    data: np.ndarray
    known: Onsets
    hidden: Onsets


class Noise(NamedTuple):
    """A waveform file, and the starts of its hours, those with quiet ones among them."""

    file: Path
    hours: np.ndarray
    quiet: np.ndarray


def dataset(data: np.ndarray) -> xr.Dataset:
    """Return E, N, Z as waveforms."""
    step = np.arange(data.shape[1]) * np.timedelta64(10, "ms")
    place = {"network": "XX", "station": "AAA", "location": "", "band": "HH"}
    return xr.Dataset(
        {"waveform": (("component", "time"), data.astype(np.float32))},
        coords={"component": list("ENZ"), "time": START + step, **place},
        attrs={"sampling_rate_hz": RATE_HZ},
    )


def onsets_of(picker: Picker) -> Finder:
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
    unrest = np.random.default_rng(0).normal(size=data.shape) * 1e-6 * data.std(axis=1, keepdims=True)
    east, north, up = data - data.mean(axis=1, keepdims=True) + unrest  # lest it takes logarithms of zero
    p, s = ar_pick(up, north, east, RATE_HZ, 1.0, 20.0, 1.0, 0.1, 4.0, 1.0, 2, 8, 0.1, 0.2)
    return {"P": np.array([p]), "S": np.array([s])}


def real_records(folder: Path) -> dict[str, list[Record]]:
    """Return the development half and the other half of the labelled records, by stations."""
    with (folder / "waveform.csv").open() as file:
        rows = list(csv.DictReader(file))
    stations = sorted({tuple(row["fname"].split("_")[:2]) for row in rows})
    halves: dict[str, list[Record]] = {"development": [], "held out": []}
    nothing = {"P": np.zeros(0), "S": np.zeros(0)}
    for row in rows:
        data = np.load(folder / "waveform_train" / row["fname"])["data"].T
        known = {"P": np.array([int(row["itp"]) / RATE_HZ]), "S": np.array([int(row["its"]) / RATE_HZ])}
        first = stations.index(tuple(row["fname"].split("_")[:2])) % 2 == 0
        halves["development" if first else "held out"].append(Record(data, known, nothing))
    return halves


def simulated_records(n: int) -> list[Record]:
    """Return simulated records that no training uses; onsets hidden in noise need not be found."""
    torch.set_num_threads(1)
    n_made = min(N_MADE, n)
    earthquakes = make_earthquakes(n_made, Chance(SEED, "benchmark", 0))
    noises = make_noises(n_made, Chance(SEED, "benchmark", 1))
    examples = mix(n, earthquakes, noises, Chance(SEED, "mix", 0))
    onsets = examples.onsets.numpy()
    records = []
    for number, traces in enumerate(examples.traces.numpy()):
        here = onsets[onsets[:, 0] == number]
        seen, unseen = (
            {phase: part[part[:, 1] == code, 2] / RATE_HZ for code, phase in enumerate("PS", start=1)}
            for part in (here[here[:, 3] > 0], here[here[:, 3] <= 0])
        )
        records.append(Record(traces, seen, unseen))
    return records


def scores(found: list[Onsets], records: list[Record]) -> dict[str, Any]:
    """Return precision, recall, F1 and residuals of both phases at both tolerances."""
    table: dict[str, Any] = {}
    for phase in "PS":
        for tolerance_s in TOLERANCES_S:
            total = Score(0, 0, 0, np.zeros(0))
            for picks, (_, known, hidden) in zip(found, records, strict=True):
                total += score_onsets(picks[phase], known[phase], tolerance_s, hidden[phase])
            residuals = total.residuals_s if total.n_true else np.full(1, np.nan)
            table[f"{phase} {tolerance_s:g} s"] = {
                "precision": round(total.precision, 3),
                "recall": round(total.recall, 3),
                "f1": round(total.f1, 3),
                "mean_s": round(float(residuals.mean()), 3),
                "median_s": round(float(np.median(residuals)), 3),
                "deviation_s": round(float(residuals.std()), 3),
            }
    return table


def before_p(found: list[Onsets]) -> dict[str, float]:
    """Return picks per hour in what precedes P."""
    hours = len(found) * N_BEFORE_P / RATE_HZ / 3600
    counts = {phase: sum(int(np.sum(of[phase] < N_BEFORE_P / RATE_HZ)) for of in found) for phase in "PS"}
    return {phase: round(count / max(hours, 1e-9), 1) for phase, count in counts.items()}


def noise_of(file: Path) -> Noise:
    """Return the whole hours of a file; quiet is the half whose loudest second stands out least."""
    trace = obspy.read(str(file))[0].detrend("demean")
    trace.filter("bandpass", freqmin=QUIET_BAND_HZ[0], freqmax=QUIET_BAND_HZ[1])
    n_second = round(trace.stats.sampling_rate)
    n_hours = len(trace.data) // (3600 * n_second)
    seconds = trace.data[: n_hours * 3600 * n_second].reshape(n_hours, 3600, n_second)
    loudness = np.sqrt(np.square(seconds).mean(axis=2))
    excess = loudness.max(axis=1) / np.median(loudness, axis=1)
    hours = np.datetime64(trace.stats.starttime.ns, "ns") + np.arange(n_hours) * np.timedelta64(1, "h")
    return Noise(file, hours, np.sort(np.argsort(excess)[: n_hours // 2]))


def picks_in(picker: Picker, noises: list[Noise]) -> pd.DataFrame:
    """Return the picks in whole hours of noise files, and whether their hour is quiet."""
    settings = [f"{key}={value}" for key, value in picker.model_dump(exclude_defaults=True).items()]
    found = []
    for noise in noises:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "picks.parquet"
            pick_files([noise.file], out, picker.name, settings)
            picks = pd.read_parquet(out)
        times = picks["time"].dt.tz_localize(None).to_numpy(dtype="datetime64[ns]")
        hour = np.searchsorted(noise.hours, times, side="right") - 1
        picks["quiet"] = np.isin(hour, noise.quiet)
        inside = (hour >= 0) & (times < noise.hours[-1] + np.timedelta64(1, "h"))
        found.append(picks.loc[inside, ["phase", "probability", "quiet"]])
    return pd.concat(found)


def per_hour(picks: pd.DataFrame, noises: list[Noise]) -> dict[str, dict[str, float]]:
    """Return picks per hour in all hours of noise files, and in the quiet ones."""
    parts = {
        "all hours": (picks, sum(len(noise.hours) for noise in noises)),
        "quiet hours": (picks[picks["quiet"]], sum(len(noise.quiet) for noise in noises)),
    }
    return {
        part: {phase: round(int((of["phase"] == phase).sum()) / max(n_hours, 1), 2) for phase in "PS"}
        for part, (of, n_hours) in parts.items()
    }


def sweep(picker: Picker, inputs: Inputs) -> dict[str, Any]:
    """Return F1 at 0.5 s and false picks at other thresholds than the default."""
    table = {}
    lowest = {"p_threshold": THRESHOLDS[0], "s_threshold": THRESHOLDS[0]}
    noise = picks_in(picker.model_copy(update=lowest), inputs.noises) if inputs.noises else None
    for threshold in THRESHOLDS:
        find = onsets_of(picker.model_copy(update=dict.fromkeys(lowest, threshold)))
        row: dict[str, float] = {}
        everywhere = []
        for half, records in inputs.halves.items():
            found = [find(record.data) for record in records]
            everywhere += found
            of_half = scores(found, records)
            row |= {f"{phase} {half}": of_half[f"{phase} 0.5 s"]["f1"] for phase in "PS"}
        row["before P"] = round(sum(before_p(everywhere).values()), 1)
        if noise is not None:
            left = noise[noise["probability"] >= threshold]
            row["quiet hours"] = round(sum(per_hour(left, inputs.noises)["quiet hours"].values()), 2)
        table[f"{threshold:g}"] = row
    return table


def measured(find: Finder, picker: Picker | None, inputs: Inputs) -> dict[str, Any]:
    """Return all figures of one picker; None is that of obspy."""
    result: dict[str, Any] = {}
    if inputs.halves:
        found = {half: [find(record.data) for record in of] for half, of in inputs.halves.items()}
        parts = inputs.halves | {"real": [record for of in inputs.halves.values() for record in of]}
        found["real"] = [onsets for of in found.values() for onsets in of]
        result |= {part: scores(found[part], records) for part, records in parts.items()}
        false = found["real"]
        if picker is None:  # one P a record is that of the earthquake: it must not see that
            seen = [record.data[:, :N_BEFORE_P] for record in parts["real"]]
            false = [find(data) for data in seen if all(trace.any() for trace in data)]
        result["per hour"] = {"before P": before_p(false)}
    result["simulated"] = scores([find(record.data) for record in inputs.simulated], inputs.simulated)
    if picker is not None and inputs.noises:
        result["per hour"] = result.get("per hour", {}) | per_hour(
            picks_in(picker, inputs.noises), inputs.noises
        )
    if (
        inputs.sweeps
        and inputs.halves
        and isinstance(picker, NetworkPicker)
        and getattr(picker, "mode", "") != "windowed"
    ):
        result["thresholds"] = sweep(picker, inputs)
    return result


class Inputs(NamedTuple):
    """What all pickers are measured on."""

    halves: dict[str, list[Record]]
    simulated: list[Record]
    noises: list[Noise]
    sweeps: bool


def bars(result: dict[str, Any]) -> dict[str, bool]:
    """Return whether the bars are reached that can be judged with what was measured."""
    reached = {}
    for part in ("real", "simulated"):
        f1 = {
            (name, key): row["f1"]
            for name, parts in result.items()
            for key, row in parts.get(part, {}).items()
        }
        for key in (f"{phase} {tolerance_s:g} s" for phase in "PS" for tolerance_s in TOLERANCES_S):
            if ("phasenet continuous", key) in f1:
                reached[f"{part} {key}: phasenet continuous at least as good as windowed"] = (
                    f1["phasenet continuous", key] >= f1["phasenet windowed", key]
                )
        for key, least in (("P 0.5 s", 0.85), ("S 0.5 s", 0.75)):
            if part == "real" and ("bundled", key) in f1:
                reached[f"{part} {key}: bundled at least {least}"] = f1["bundled", key] >= least
            for other in ("ar", "stalta"):
                if ("bundled", key) in f1:
                    reached[f"{part} {key}: bundled better than {other}"] = (
                        f1["bundled", key] > f1[other, key]
                    )
    return reached


def inputs_of(options: argparse.Namespace) -> tuple[Inputs, list[str]]:
    """Return what to measure on, and what of it is not there."""
    missing = [str(path) for path in [options.records, *options.noise] if not path.exists()]
    halves = real_records(options.records) if options.records.is_dir() else {}
    noises = [noise_of(file) for file in options.noise if file.is_file()]
    simulated = simulated_records(N_SIMULATED_QUICK if options.quick else N_SIMULATED)
    if options.quick:
        halves = {half: records[::QUICK] for half, records in halves.items()}
        noises = []
    return Inputs(halves, simulated, noises, sweeps=not options.quick), missing


def main() -> int:
    """Measure every picker and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data = SHARED / "data"
    days = [data / "socal_days_2022" / f"CI{station}__BHN___2022002.ms" for station in ("CCA", "HEC")]
    parser.add_argument("--records", type=Path, default=data / "phasenet_ncedc")
    parser.add_argument("--noise", type=Path, nargs="*", default=days)
    parser.add_argument("--phasenet", default=SHARED / "weights" / "original.pt.v1", help="name or file")
    parser.add_argument("--bundled", default="bundled", help="weights of the bundled picker")
    parser.add_argument("--quick", action="store_true", help="every fifth record, no noise files")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    inputs, missing = inputs_of(options)
    pickers: dict[str, Picker] = {"bundled": Bundled(weights=options.bundled, threads=1), "stalta": StaLta()}
    if isinstance(options.phasenet, str) or options.phasenet.is_file():
        for mode in ("continuous", "windowed"):
            pickers[f"phasenet {mode}"] = PhaseNet(weights=str(options.phasenet), mode=mode, threads=1)
    else:
        missing.append(str(options.phasenet))
    result = {name: measured(onsets_of(picker), picker, inputs) for name, picker in pickers.items()}
    result["ar"] = measured(ar_onsets, None, inputs)
    reached = {} if options.quick else bars(result)
    for path in missing:
        print(f"skipped: there is no {path}", file=sys.stderr)
    if options.json:
        print(json.dumps(result | {"bars": reached, "skipped": missing}))
    else:
        show(result, reached)
    return 0


def show(result: dict[str, Any], reached: dict[str, bool]) -> None:
    """Print a line for each figure."""
    for name, parts in result.items():
        for part, rows in parts.items():
            for row, values in rows.items():
                line = "  ".join(f"{key} {value:6.3f}" for key, value in values.items())
                print(f"{name:<19} {part:<20} {row:<11} {line}")
    for bar, is_reached in reached.items():
        print(f"{'reached' if is_reached else 'MISSED':<8} {bar}")


if __name__ == "__main__":
    sys.exit(main())
