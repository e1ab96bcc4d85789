"""Measures of ground motion around onsets: how much energy rises, on which components, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seisflow.picking.characteristic import Trace, bandpassed, gather

__all__ = [
    "Band",
    "horizontality",
    "is_glitch",
    "largest_rise",
    "mean_energy",
    "signal_to_noise",
    "strongest",
]

NOISE_S = 3.0
SIGNAL_S = 0.6
GUARD_S = 0.05
TINY = 1e-30
RISE_POWER = 0.75
SEARCH_BATCH = 256


@dataclass(frozen=True)
class Band:
    """Traces of one station in one band of frequency, gaps NaN.

    Attributes
    ----------
    rate_hz : float
    raw, filtered : ndarray of float32, shape (component, sample)
        Before and after the band-pass; there may be no component.
    energy : ndarray of float32, shape (sample,)
        Squared filtered traces summed over components.
    """

    rate_hz: float
    raw: NDArray[np.float32]
    filtered: NDArray[np.float32]
    energy: Trace

    @classmethod
    def of(cls, raw: NDArray[np.float32], rate_hz: float, low_hz: float, high_hz: float) -> Band:
        """Filter traces.

        Raises
        ------
        WaveformError
            If the sampling rate is too low for the band.
        """
        filtered = np.empty_like(raw)
        energy = np.zeros(raw.shape[1], np.float32) if len(raw) else np.full(raw.shape[1], np.nan, np.float32)
        for i, trace in enumerate(raw):
            filtered[i] = bandpassed(trace, rate_hz, low_hz, high_hz)
            energy += np.square(filtered[i])
        return cls(rate_hz, raw, filtered, energy)

    def rise(self, onsets: NDArray[np.int64], after_s: float) -> NDArray[np.float64]:
        """Return by how much the mean energy of `after_s` after each onset exceeds that of 1.5 s before."""
        n_before, n_guard = round(NOISE_S / 2 * self.rate_hz), round(GUARD_S * self.rate_hz)
        before = mean_energy(self.energy, onsets - n_before, n_before - n_guard)
        return mean_energy(self.energy, onsets, round(after_s * self.rate_hz)) - before


def horizontality(up: Band, across: Band, onsets: NDArray[np.int64], after_s: float) -> NDArray[np.float64]:
    """Return how many times more the horizontal energy rises than the vertical in `after_s` after onsets."""
    horizontal = across.rise(onsets, after_s)
    ratio: NDArray[np.float64] = horizontal / np.maximum(
        up.rise(onsets, after_s), 1e-3 * np.abs(horizontal) + TINY
    )
    return ratio


def mean_energy(energy: Trace, starts: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """Return the mean of `n` samples from each start; missing samples do not count, zero if all are."""
    windows = gather(energy, starts, max(n, 1)).astype(np.float64)
    present = np.isfinite(windows)
    mean: NDArray[np.float64] = np.where(present, windows, 0).sum(axis=1) / np.maximum(present.sum(axis=1), 1)
    return mean


def signal_to_noise(
    energy: Trace, onsets: NDArray[np.int64], rate_hz: float, noise_s: float = NOISE_S
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return amplitude ratios of the first 0.6 s after each onset, and of the next, to the noise before."""
    n_noise, n_signal = round(noise_s * rate_hz), max(round(SIGNAL_S * rate_hz), 2)
    n_guard = round(GUARD_S * rate_hz)
    noise = np.maximum(mean_energy(energy, onsets - n_noise, n_noise - n_guard), TINY)
    first = np.sqrt(mean_energy(energy, onsets, n_signal) / noise)
    second = np.sqrt(mean_energy(energy, onsets + n_signal, n_signal) / noise)
    return first, second


def is_glitch(
    traces: NDArray[np.float32], onsets: NDArray[np.int64], rate_hz: float, excess: float
) -> NDArray[np.bool_]:
    """Return which onsets are spikes or steps of the recorder rather than motion of the ground.

    A glitch is one or two large jumps between neighbouring samples, an earthquake has many: in the
    second around the onset the largest jump exceeds `excess` times that which 15 % of the jumps exceed.
    """
    n = max(round(1.2 * rate_hz), 12)
    many = int(0.85 * (n - 1))
    found = np.zeros(len(onsets), bool)
    for trace in traces:
        jumps = np.abs(np.diff(gather(trace, onsets - round(0.2 * rate_hz), n), axis=1))
        jumps = np.partition(np.nan_to_num(jumps), (many, -1), axis=1)
        found |= jumps[:, -1] > excess * np.maximum(jumps[:, many], TINY)
    return found


def strongest(onsets: NDArray[np.int64], strength: NDArray[np.float64], n_apart: int) -> NDArray[np.int64]:
    """Return the indices of onsets that are the strongest within `n_apart` samples, in order of time.

    Whether one is kept depends on that neighbourhood only; of equals the first stays.
    """
    order = np.lexsort((-strength, onsets))
    onsets, strength = onsets[order], strength[order]
    low = np.searchsorted(onsets, onsets - n_apart)
    high = np.searchsorted(onsets, onsets + n_apart, side="right")
    own = np.arange(len(order))
    largest, earlier = _largest(strength, low, high), _largest(strength, low, own)
    kept: NDArray[np.int64] = order[(strength >= largest) & (strength > earlier)]
    return kept


def _largest(
    values: NDArray[np.float64], first: NDArray[np.int64], last: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the largest of ``values[first:last]`` for each range, minus infinity for empty ones."""
    if not len(first):
        return np.zeros(0)
    edges = np.stack([first, last], axis=1).ravel()
    largest = np.maximum.reduceat(np.append(values, -np.inf), edges)[::2]
    return np.where(first < last, largest, -np.inf)


def largest_rise(
    energy: Trace,
    onsets: NDArray[np.int64],
    rate_hz: float,
    *,
    first_s: float,
    last_s: float,
    at_least: float,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return where energy rises most in a while after each onset, and whether it rises enough.

    A rise is the mean energy of the next 0.5 s over that of the last 1 s (since the onset at most). Of rises
    above `at_least` that counts which is largest when multiplied by the energy it leads to, to
    the power 0.75: a strong rise out of the coda of P is S, a weak one is a scattered wave.

    Parameters
    ----------
    energy : ndarray of float32, shape (sample,)
        Gaps NaN.
    onsets : ndarray of int, shape (onset,)
    rate_hz : float
    first_s, last_s : float
        The rise is looked for so long after the onset.
    at_least : float
    """
    n_after, n_before = max(round(0.5 * rate_hz), 2), max(round(1.0 * rate_hz), 2)
    lags = np.arange(max(round(first_s * rate_hz), 2), round(last_s * rate_hz))
    where = np.zeros(len(onsets), np.int64)
    found = np.zeros(len(onsets), bool)
    for low in range(0, len(onsets), SEARCH_BATCH):
        part = slice(low, low + SEARCH_BATCH)
        windows = np.nan_to_num(gather(energy, onsets[part], lags[-1] + n_after + 1).astype(np.float64))
        total = np.cumsum(windows, axis=1)
        after = (total[:, lags + n_after - 1] - total[:, lags - 1]) / n_after
        begin = np.maximum(lags - n_before, 0)
        before = (total[:, lags - 1] - total[:, begin] + windows[:, begin]) / (lags - begin)
        rise = after / np.maximum(before, TINY)
        score = np.where(rise > at_least, rise * after**RISE_POWER, 0)
        best = score.argmax(axis=1)
        where[part] = onsets[part] + lags[best]
        found[part] = score[np.arange(len(score)), best] > 0
    return where, found
