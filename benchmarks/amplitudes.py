"""Amplitudes of picks in m/s, beside obspy's `remove_response`: around each pick, and of the whole day.

Usage: python benchmarks/amplitudes.py [--json] [--quick]

A station-day of three components with 1,000 picks. With the folder that SEISFLOW_SHARED names it is the
real day CI.CCA..BHN (40 Hz) with its own StationXML; north and east are the same record, moved by five and
eleven hours, with its response. Without it, it is random noise at 100 Hz, and the response is that of a
synthetic broadband station. After each onset a wavelet is added, from smaller
than the noise to a thousand times larger. --quick takes three hours with 125 picks.

The reference is `remove_response` of the whole day in the same band, without water level. What users write
is timed in turns with seisflow: for each pick, cut the stream with some padding, `remove_response`, and
take the peak. The padding is the shortest of 4 to 64 s with which it gives the reference within 1% at every
pick (or 64 s); seisflow gets no padding, it has its own. All read the same arrays from memory, with
one thread; the best of the rounds counts. `amplitude_speedup` is the ratio of the times of this process,
which other work on the machine disturbs less than elapsed ones; those are given too.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import obspy
import xarray as xr
from obspy.core.inventory import Channel, Inventory, Network, Response, Station

from seisflow.keys import Window
from seisflow.picking.amplitudes import NOISE_S, measured, with_amplitudes
from seisflow.synthetic.instruments import BROADBAND
from seisflow.tables import PICKS, empty
from seisflow.traces import Traces
from seisflow.waveforms import Amplitudes, Preparation, prepare_waveforms, restore_motion

START = np.datetime64("2022-01-02T00:00:00.019538", "ns")
WINDOW_S = 3.0
SETTINGS = Amplitudes()
SITE = {"network": "CI", "station": "CCA", "latitude": 0.0, "longitude": 0.0, "elevation_m": 0.0}
PADDINGS_S = (4.0, 8.0, 16.0, 32.0, 64.0)


def real_day(folder: Path) -> tuple[np.ndarray, float, Response]:
    """Return three components of counts, their rate and response."""
    trace = obspy.read(str(folder / "CICCA__BHN___2022002.ms"))[0]
    response = obspy.read_inventory(str(folder / "CI_CCA.xml")).get_response(trace.id, trace.stats.starttime)
    rate_hz = float(trace.stats.sampling_rate)
    shifts = [round(hours * 3600 * rate_hz) for hours in (0, 5, 11)]
    return np.stack([np.roll(trace.data, shift) for shift in shifts]), rate_hz, response


def made_day(rng: np.random.Generator) -> tuple[np.ndarray, float, Response]:
    """Return the same of random noise, and of a sensor of 120 s."""
    rate_hz = 100.0
    noise = np.cumsum(rng.normal(0, 20, (3, 8_640_000)), axis=1)
    return noise - noise.mean(axis=1, keepdims=True), rate_hz, BROADBAND.stages(rate_hz)


def with_earthquakes(
    data: np.ndarray, onsets: np.ndarray, rate_hz: float, rng: np.random.Generator
) -> np.ndarray:
    """Return counts with a wavelet of 1 to 10 Hz after each onset."""
    data = data.astype(np.float64)
    noise = np.median(np.abs(np.diff(data, axis=1))) * 5
    clock = np.arange(round(8 * rate_hz)) / rate_hz
    for onset in onsets:
        size, frequency = noise * 10 ** rng.uniform(-0.5, 3, 3), rng.uniform(1, 10)
        wavelet = clock * np.exp(-clock * 2) * np.sin(2 * np.pi * frequency * clock)
        data[:, onset : onset + len(clock)] += size[:, None] * wavelet
    return np.rint(data).astype(np.int32)


def described(data: np.ndarray, rate_hz: float, response: Response) -> tuple[obspy.Stream, Inventory]:
    """Return the day as a stream and its metadata."""
    stream, channels = obspy.Stream(), []
    for letter, counts in zip("ZNE", data, strict=True):
        header = {"network": "CI", "station": "CCA", "channel": f"BH{letter}", "sampling_rate": rate_hz}
        stream.append(obspy.Trace(counts, header | {"starttime": obspy.UTCDateTime(str(START))}))
        channel = Channel(f"BH{letter}", "", 35.0, -118.0, 0.0, 0.0, sample_rate=rate_hz, response=response)
        channels.append(channel)
    station = Station("CCA", 35.0, -118.0, 0.0, channels=channels)
    return stream, Inventory(networks=[Network("CI", stations=[station])])


def with_seisflow(waveforms: xr.Dataset, inventory: Inventory, times: np.ndarray) -> np.ndarray:
    """Return the amplitudes of picks, m/s."""
    picks = empty(PICKS).reindex(range(len(times))).assign(time=times)
    sized = with_amplitudes(
        picks,
        waveforms,
        WINDOW_S,
        lambda spans: restore_motion(waveforms, spans, inventory, SETTINGS.lowest_frequency_hz),
    )
    assert (sized["amplitude_unit"] == "m/s").all()
    return sized["amplitude"].to_numpy(np.float64)


def removed(stream: obspy.Stream, inventory: Inventory) -> np.ndarray:
    """Return a stream's ground velocity by obspy, shape (component, sample)."""
    nyquist_hz, low_hz = stream[0].stats.sampling_rate / 2, SETTINGS.lowest_frequency_hz
    band = (low_hz / 2, low_hz, 0.8 * nyquist_hz, 0.95 * nyquist_hz)
    moved = stream.copy().remove_response(
        inventory, output="VEL", pre_filt=band, water_level=None, taper=False
    )
    return np.stack([trace.data for trace in moved])


def with_obspy(
    stream: obspy.Stream, inventory: Inventory, onsets: np.ndarray, padding_s: float
) -> np.ndarray:
    """Return the amplitudes of picks, a piece of record for each."""
    rate_hz, start = stream[0].stats.sampling_rate, stream[0].stats.starttime
    peaks = np.empty(len(onsets))
    for k, onset in enumerate(onsets):
        time_ = start + onset / rate_hz
        piece = stream.slice(time_ - NOISE_S[0] - padding_s, time_ + WINDOW_S + padding_s)
        first = round((time_ - piece[0].stats.starttime) * rate_hz)
        moved = removed(piece, inventory)
        level = moved[:, first - round(NOISE_S[0] * rate_hz) : first - round(NOISE_S[1] * rate_hz)].mean(
            axis=1
        )
        peaks[k] = np.abs(moved[:, first : first + round(WINDOW_S * rate_hz)] - level[:, None]).max()
    return peaks


def timed(side: Callable[[], np.ndarray]) -> tuple[float, float, np.ndarray]:
    """Return seconds of this process, elapsed seconds, and the result."""
    elapsed, own = time.perf_counter(), time.process_time()
    result = side()
    return time.process_time() - own, time.perf_counter() - elapsed, result


def shortest_padding(
    stream: obspy.Stream, inventory: Inventory, onsets: np.ndarray, reference: np.ndarray
) -> float:
    """Return the padding with which pieces give the reference."""
    for padding_s in PADDINGS_S:
        error = np.abs(with_obspy(stream, inventory, onsets, padding_s) / reference - 1)
        if error.max() <= 0.01:
            return padding_s
    return PADDINGS_S[-1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="three hours and one round")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", module="obspy")
    rng = np.random.default_rng(1)
    folder = Path(os.environ.get("SEISFLOW_SHARED", "nowhere")) / "data" / "socal_days_2022"
    data, rate_hz, response = real_day(folder) if folder.is_dir() else made_day(rng)
    n_picks, n_rounds = (125, 1) if arguments.quick else (1000, 3)
    data = data[:, : data.shape[1] // 8] if arguments.quick else data
    slots = np.linspace(80 * rate_hz, data.shape[1] - 100 * rate_hz, n_picks).astype(int)
    onsets = slots + rng.integers(0, round(20 * rate_hz), n_picks)
    stream, inventory = described(with_earthquakes(data, onsets, rate_hz, rng), rate_hz, response)
    window = Window(START, START + np.timedelta64(round(data.shape[1] / rate_hz * 1e9), "ns"))
    waveforms = prepare_waveforms(Traces.of_stream(stream), Preparation(sampling_rate_hz=None), window, SITE)
    times = waveforms["time"].to_numpy()[onsets]

    day_s, day_elapsed_s, whole = timed(lambda: removed(stream, inventory))
    reference = measured(whole, onsets, rate_hz, WINDOW_S).amplitude.astype(np.float64)
    padding_s = shortest_padding(stream, inventory, onsets, reference)
    with_seisflow(waveforms, inventory, times)  # compiles
    ours, theirs = [], []
    for _ in range(n_rounds):
        ours.append(timed(lambda: with_seisflow(waveforms, inventory, times)))
        theirs.append(timed(lambda: with_obspy(stream, inventory, onsets, padding_s)))
    (own_s, elapsed_s), (peer_s, peer_elapsed_s) = (
        (min(r[0] for r in rounds), min(r[1] for r in rounds)) for rounds in (ours, theirs)
    )
    error, peer_error = (np.abs(rounds[0][2] / reference - 1) for rounds in (ours, theirs))
    figures = {
        "amplitude_speedup": peer_s / own_s,
        "amplitude_speedup_elapsed": peer_elapsed_s / elapsed_s,
        "amplitude_speedup_whole_day": day_s / own_s,
        "amplitude_median_error": float(np.median(error)),
        "amplitude_largest_error": float(error.max()),
        "peer_median_error": float(np.median(peer_error)),
        "peer_largest_error": float(peer_error.max()),
        "peer_padding_s": padding_s,
        "seconds": own_s,
        "peer_seconds": peer_s,
        "whole_day_seconds": day_s,
        "whole_day_elapsed_seconds": day_elapsed_s,
        "n_picks": n_picks,
        "is_real": folder.is_dir(),
    }
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:32s} {value:.4g}")


if __name__ == "__main__":
    main()
