"""Records of one station with onsets at known times."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

START = np.datetime64("2020-01-01T23:50:00", "ns")


class Truth(NamedTuple):
    """Onset times of one earthquake, seconds after the start of the record."""

    p_s: float
    s_s: float


def dataset(
    data: NDArray[np.floating], components: str = "ZNE", rate_hz: float = 100.0, start: np.datetime64 = START
) -> xr.Dataset:
    """Return waveforms (component, time) as the room expects them."""
    step = np.round(np.arange(data.shape[1]) / rate_hz * 1e9).astype("timedelta64[ns]")
    coordinates = {"network": "XX", "station": "AAA", "location": "", "band": "HH"}
    return xr.Dataset(
        {"waveform": (("component", "time"), data.astype(np.float32))},
        coords={"component": list(components), "time": start + step, **coordinates},
        attrs={"sampling_rate_hz": rate_hz},
    )


def noise(rng: np.random.Generator, n: int, rate_hz: float = 100.0) -> NDArray[np.float64]:
    """Return three components of noise: microseism and a broad band of unit standard deviation."""
    slow = sosfilt(butter(2, [0.1, 0.4], "band", fs=rate_hz, output="sos"), rng.standard_normal((3, n)))
    return 4 * slow / slow.std() + rng.standard_normal((3, n))


def add_earthquake(
    data: NDArray[np.floating],
    truth: Truth,
    rng: np.random.Generator,
    amplitude: float,
    rate_hz: float = 100.0,
) -> None:
    """Add P, mostly vertical, and S, mostly horizontal and four times as large, to Z, N and E."""
    for onset_s, size, share, decay_s in (
        (truth.p_s, amplitude, (1.0, 0.35, 0.35), 1.0),
        (truth.s_s, 4 * amplitude, (0.35, 0.9, 0.9), 2.5),
    ):
        first = int(np.ceil(onset_s * rate_hz))
        n = min(int(8 * decay_s * rate_hz), data.shape[1] - first)
        clock = np.arange(n) / rate_hz
        carrier = sosfilt(
            butter(2, [3, 12], "band", fs=rate_hz, output="sos"), rng.standard_normal((3, n + 200))
        )
        carrier /= carrier.std()
        envelope = size * (1 - np.exp(-clock / 0.02)) * np.exp(-clock / decay_s)
        data[:, first : first + n] += np.array(share)[:, None] * envelope * carrier[:, 200:]


def swarm(
    seed: int, duration_s: float = 900.0, every_s: float = 40.0, amplitude: float = 30.0
) -> tuple[NDArray[np.float64], list[Truth]]:
    """Return Z, N and E of a record with an earthquake about every `every_s` seconds, and when they come."""
    rng = np.random.default_rng(seed)
    data = noise(rng, round(duration_s * 100))
    truths = []
    for origin_s in np.arange(30.0, duration_s - 30.0, every_s):
        p_s = origin_s + rng.uniform(0, 5)
        truths.append(Truth(p_s, p_s + rng.uniform(2.0, 8.0)))
        add_earthquake(data, truths[-1], rng, amplitude * rng.lognormal(0, 0.5))
    return data, truths


def seconds_of(picks: pd.DataFrame, phase: str, start: np.datetime64 = START) -> NDArray[np.float64]:
    """Return the times of the picks of a phase, seconds after the start of the record."""
    times = picks.loc[picks["phase"] == phase, "time"].dt.tz_localize(None).to_numpy()
    return np.asarray((times - start) / np.timedelta64(1, "ns") * 1e-9, float)


def residuals(found_s: NDArray[np.float64], true_s: list[float]) -> NDArray[np.float64]:
    """Return for each true time how far the nearest pick lies from it, s; infinite without picks."""
    if not len(found_s):
        return np.full(len(true_s), np.inf)
    distance = found_s[None, :] - np.asarray(true_s)[:, None]
    return distance[np.arange(len(true_s)), np.abs(distance).argmin(axis=1)]
