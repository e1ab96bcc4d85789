"""From miniSEED files to picks, beside SeisBench's classify with the same weights.

Usage: python benchmarks/pick_station_day.py [--json] [--quick] [--weights FILE]

A three-component 100 Hz day of noise with 240 earthquakes in it, in three miniSEED files. PhaseNet has the
weights of a file (`--weights`, or ``weights/original.pt.v1`` below the folder that SEISFLOW_SHARED names), or
else seeded random ones. EQTransformer and GPD have seeded random weights. Of random weights the last layer is
fitted to the earthquakes of the first hours, and its bias set so that they pick about as often as there are
onsets: they are bad pickers, but neither silent nor busy with picks. EQTransformer and GPD see the first
hours of the day only.

Both sides read the same files, from the disk's cache, with two threads, alternately; the best of the
rounds counts, compilation is not part of it. SeisBench's side is what its users write: obspy.read and
classify, with its default batch of 256 windows and with 64. Beside the ratios of elapsed time those of
processor time are given, which other work on the machine disturbs less. A pick is the same if SeisBench has
one of the same phase with the same first, largest and last sample, and a probability within 1e-5.
The memory is that of another process, which reads the day and picks it in both modes and does nothing
else. The day with gaps has 5,000 of half a second in each component, all at different times.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from random_weights import random_weights

from seisflow.archive.sds import Sds
from seisflow.keys import Window
from seisflow.picking import Picker, pick_phases
from seisflow.picking.eqtransformer import EQTransformer
from seisflow.picking.gpd import GPD
from seisflow.picking.network import NetworkPicker
from seisflow.picking.phasenet import PhaseNet
from seisflow.waveforms import Preparation, prepare_waveforms

if TYPE_CHECKING:  # and imported in functions: the process whose memory is measured does not need it
    import obspy

DAY = np.datetime64("2024-03-01", "ns")
WINDOW = Window(DAY, DAY + np.timedelta64(1, "D"))
RATE_HZ = 100.0
N = round(86400 * RATE_HZ)
N_EVENTS, N_GAPS, GAP = 240, 5000, 50
SITE = {"network": "XX", "station": "AAA", "latitude": 0.0, "longitude": 0.0, "elevation_m": 0.0}
THREADS = 2
TOLERANCE = 1e-5

Picks = dict[tuple[str, int, int, int], float]
Side = Callable[[list[str]], object]


def earthquakes(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a day of coloured noise with earthquakes, shape (component, sample), in counts, and P and S."""
    from scipy.signal import butter, sosfilt

    slow = butter(2, [0.1, 0.4], "band", fs=RATE_HZ, output="sos")
    quick = butter(2, [2.0, 12.0], "band", fs=RATE_HZ, output="sos")
    data = np.empty((3, N), np.float32)
    for trace in data:
        microseism = sosfilt(slow, rng.standard_normal(N))
        trace[:] = 50 * rng.standard_normal(N) + 200 * microseism / microseism.std()
    onsets = []
    for slot in np.linspace(6000, N - 12000, N_EVENTS):
        p = int(slot + rng.integers(0, 3000))
        s = p + int(rng.integers(200, 1000))
        onsets.append((p, s))
        size = 50 * 10 ** rng.uniform(0.5, 2.0)
        for first, factor, shares in ((p, 1.0, (1.0, 0.35, 0.35)), (s, 3.0, (0.35, 0.9, 0.9))):
            clock = np.arange(1500)
            envelope = (1 - np.exp(-clock / 3.0)) * np.exp(-clock / 250.0)
            waves = sosfilt(quick, rng.standard_normal((3, 1700)))[:, 200:]
            waves *= size * factor / waves.std()
            data[:, first : first + 1500] += (np.array(shares)[:, None] * waves * envelope).astype(np.float32)
    return np.rint(data).astype(np.int32), np.array(onsets)


def write_day(folder: Path, data: np.ndarray, rng: np.random.Generator | None = None) -> list[str]:
    """Write three channels, with gaps at random if `rng` is given; return the files."""
    import obspy

    uris = []
    folder.mkdir()
    for component, counts in zip("ZNE", data, strict=True):
        gaps = [N] if rng is None else np.sort(rng.choice(N // (2 * GAP), N_GAPS, replace=False)) * 2 * GAP
        stream, first = obspy.Stream(), 0
        header = {"network": "XX", "station": "AAA", "channel": f"HH{component}", "sampling_rate": RATE_HZ}
        for gap in [*np.asarray(gaps).tolist(), N]:
            if gap > first:
                start = obspy.UTCDateTime(str(DAY)) + first / RATE_HZ
                stream.append(obspy.Trace(counts[first:gap], header | {"starttime": start}))
            first = gap + GAP
        path = folder / f"XX.AAA..HH{component}.D.2024.061"
        stream.write(str(path), format="MSEED", encoding="STEIM2")
        uris.append(str(path))
    return uris


def read(uris: list[str], window: Window = WINDOW) -> xr.Dataset:
    """Read and prepare with seisflow."""
    archive = Sds(root=str(Path(uris[0]).parent))
    return prepare_waveforms(archive.read(uris, window), Preparation(), window, SITE)


def with_seisflow(picker: Picker, window: Window = WINDOW) -> Side:
    """Return what makes a table of picks of files."""
    return lambda uris: pick_phases(read(uris, window), picker)


def with_seisbench(model: Any, window: Window = WINDOW, **arguments: Any) -> Side:
    """Return what makes SeisBench's picks of files."""
    import obspy

    def side(uris: list[str]) -> object:
        end = obspy.UTCDateTime(str(window.end)) - 1 / RATE_HZ
        stream = obspy.Stream()
        for uri in uris:
            stream += obspy.read(uri, endtime=None if window is WINDOW else end)
        return model.classify(stream, **arguments).picks

    return side


def picks_of_seisflow(picker: NetworkPicker, uris: list[str], window: Window = WINDOW) -> Picks:
    """Return samples and probabilities."""
    return {
        (phase, start, peak, end): probability
        for phase, onsets in picker.onsets(read(uris, window)).items()
        for start, peak, end, probability in zip(*(column.tolist() for column in onsets), strict=True)
    }


def picks_of_seisbench(picks: Any) -> Picks:
    """Return samples and probabilities."""
    import obspy

    day = obspy.UTCDateTime(str(DAY))

    def sample(when: obspy.UTCDateTime) -> int:
        return round((when - day) * RATE_HZ)

    return {
        (pick.phase, sample(pick.start_time), sample(pick.peak_time), sample(pick.end_time)): float(
            pick.peak_value
        )
        for pick in picks
    }


def identical(theirs: Picks, ours: Picks, tolerance: float = TOLERANCE) -> float:
    """Return the part of their picks that we have too; picks of ours that they lack count against it."""
    same = sum(abs(ours.get(key, np.inf) - value) <= tolerance for key, value in theirs.items())
    return same / max(len(theirs | ours), 1)


def measure(sides: dict[str, Side], uris: list[str], rounds: int) -> dict[str, tuple[float, float]]:
    """Return the best elapsed and processor seconds of each side, run alternately."""
    best = dict.fromkeys(sides, (np.inf, np.inf))
    for _ in range(rounds):
        for name, side in sides.items():
            elapsed, processor = time.perf_counter(), time.process_time()
            side(uris)
            seconds = time.perf_counter() - elapsed, time.process_time() - processor
            best[name] = min(best[name][0], seconds[0]), min(best[name][1], seconds[1])
    return best


def seisbench_model(name: str, weights: str) -> Any:
    """Return SeisBench's model with weights in a file."""
    import seisbench
    import seisbench.models

    seisbench.logger.setLevel(logging.ERROR)
    return getattr(seisbench.models, name).load(Path(weights.removesuffix(".pt.v1")), version_str="1")


def fitted_on(uris: list[str]) -> np.ndarray:
    """Return the samples that the last layer of random weights is fitted to."""
    return read(uris, Window(DAY, DAY + np.timedelta64(2, "h")))["waveform"].to_numpy()


def peak_memory(uris: list[str], weights: str) -> float:
    """Return the MB that a process needs at most that picks the day in both modes."""
    command = [sys.executable, __file__, "--memory", weights, *uris]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def pick_for_memory(weights: str, uris: list[str]) -> None:
    """Pick a day in both modes; print the most memory it took, MB."""
    for mode in ("windowed", "continuous"):
        with_seisflow(PhaseNet(weights=weights, mode=mode, threads=THREADS))(uris)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def of_phasenet(uris: list[str], gappy: list[str], weights: str, rounds: int) -> dict[str, float]:
    """Return the figures of PhaseNet."""
    model = seisbench_model("PhaseNet", weights)
    windowed = PhaseNet(weights=weights, mode="windowed", grid="segment", threads=THREADS, device="cpu")
    continuous = PhaseNet(weights=weights, mode="continuous", threads=THREADS, device="cpu")
    theirs = picks_of_seisbench(with_seisbench(model)(uris))
    ours = picks_of_seisflow(windowed, uris)
    continuous.onsets(read(uris))  # compiled
    sides = {
        "seisbench": with_seisbench(model),
        "windowed": with_seisflow(windowed),
        "seisbench, batches of 64": with_seisbench(model, batch_size=64),
        "continuous": with_seisflow(continuous),
    }
    clean = measure(sides, uris, rounds)
    messy_sides = {name: sides[name] for name in ("windowed", "continuous")}
    messy = measure(messy_sides, gappy, rounds)
    table(clean)
    table({f"{name}, {N_GAPS} gaps": seconds for name, seconds in messy.items()})
    figures = {"n_picks": float(len(theirs)), "identical_picks": identical(theirs, ours)}
    for kind, prefix in ((0, ""), (1, "cpu_")):
        default, b64 = clean["seisbench"][kind], clean["seisbench, batches of 64"][kind]
        figures |= {
            f"{prefix}speedup_default": default / clean["windowed"][kind],
            f"{prefix}speedup_batch64": b64 / clean["windowed"][kind],
            f"{prefix}speedup_continuous": default / clean["continuous"][kind],
            f"{prefix}gappy_over_clean": max(messy[name][kind] / clean[name][kind] for name in messy),
        }
    return figures


def of_other(
    picker: type[NetworkPicker],
    key: str,
    window: Window,
    folder: Path,
    uris: list[str],
    onsets: np.ndarray,
    rounds: int,
) -> dict[str, float]:
    """Return the figures of a network with random weights."""
    name = picker.__name__
    weights = random_weights(folder, name, fitted_on(uris), onsets)
    model = seisbench_model(name, weights)
    options = {} if name == "GPD" else {"batch_size": 64}
    ours = picker(weights=weights, grid="segment", threads=THREADS, device="cpu")
    mine = picks_of_seisflow(ours, uris, window)
    theirs = picks_of_seisbench(with_seisbench(model, window, **options)(uris))
    sides = {
        f"seisbench {name}": with_seisbench(model, window, **options),
        name: with_seisflow(ours, window),
    }
    seconds = measure(sides, uris, rounds)
    table(seconds)
    reference, own = seconds.values()
    return {
        key: reference[0] / own[0],
        f"cpu_{key}": reference[1] / own[1],
        f"{name.lower()}_n_picks": float(len(theirs)),
        f"{name.lower()}_identical_picks": identical(theirs, mine),
    }


def table(seconds: dict[str, tuple[float, float]]) -> None:
    """Print what was measured."""
    for name, (elapsed, processor) in seconds.items():
        print(f"{name:<32}{elapsed:>10.2f} s elapsed{processor:>10.2f} s processor", flush=True)


def main() -> None:
    """Measure, print a table, and with --json a line of figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print a line of figures")
    parser.add_argument("--quick", action="store_true", help="one round, and less of the slow networks")
    parser.add_argument("--weights", help="weights of PhaseNet: original.pt.v1, with its JSON beside it")
    parser.add_argument("--memory", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory:
        pick_for_memory(arguments.memory[0], arguments.memory[1:])
        return
    import torch

    torch.set_num_threads(THREADS)
    warnings.simplefilter("ignore")
    rounds = 1 if arguments.quick else 3
    shared = Path(os.environ.get("SEISFLOW_SHARED", ".")) / "weights" / "original.pt.v1"
    with tempfile.TemporaryDirectory() as scratch:
        rng = np.random.default_rng(1)
        data, onsets = earthquakes(rng)
        uris = write_day(Path(scratch) / "clean", data)
        gappy = write_day(Path(scratch) / "gaps", data, rng)
        weights = arguments.weights or (str(shared) if shared.is_file() else None)
        weights = weights or random_weights(Path(scratch), "PhaseNet", fitted_on(uris), onsets)
        figures = {"peak_rss_mb": peak_memory(uris, weights)}
        figures |= of_phasenet(uris, gappy, weights, rounds)
        hours = {EQTransformer: 1 if arguments.quick else 6, GPD: 0.2 if arguments.quick else 0.5}
        for picker, key in ((EQTransformer, "eqt_speedup_batch64"), (GPD, "gpd_speedup")):
            window = Window(DAY, DAY + np.timedelta64(round(3600 * hours[picker]), "s"))
            figures |= of_other(picker, key, window, Path(scratch), uris, onsets, min(rounds, 2))
    for name, value in figures.items():
        print(f"{name:<32}{value:>10.3f}")
    if arguments.json:
        print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
