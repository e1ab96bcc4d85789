"""What goes wrong between ground and disk: spikes, steps, calibration pulses and gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from seisflow.synthetic.scenario import poisson_times, random_stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seisflow.synthetic.network import Site
    from seisflow.synthetic.scenario import Scenario

__all__ = ["add_glitches", "make_gaps"]

GLITCHES = ("spike", "step", "pulse")
LONGEST_S = 60.0
"""No glitch lasts longer, s."""


def add_glitches(
    counts: NDArray[np.float32], site: Site, component: int, start: int, scenario: Scenario, seed: int
) -> None:
    """Add the glitches of one component to counts that begin at sample `start`.

    A spike is one to three samples; a step is a jump that the instrument's high-pass takes back; a
    calibration pulse is a step of the mass and its return after 20 s. Sizes are lognormal.
    """
    rate_hz = site.sampling_rate_hz
    stream = random_stream(seed, "glitches", site.station, component)
    for time_s in poisson_times(stream, scenario.glitches_per_day, scenario.duration_s):
        kind = GLITCHES[stream.choice(len(GLITCHES), p=(0.7, 0.2, 0.1))]
        size = stream.lognormal(9.0, 1.0) * stream.choice((-1.0, 1.0))
        n_spike = int(stream.integers(1, 4))
        begin = int(time_s * rate_hz) - start
        low, high = max(begin, 0), min(begin + round(LONGEST_S * rate_hz), len(counts))
        if low >= high:
            continue
        if kind == "spike":
            shape = np.zeros(round(LONGEST_S * rate_hz))
            shape[:n_spike] = 1.0
        else:
            shape = _step(site, switched_off_s=20.0 if kind == "pulse" else None)
        counts[low:high] += (size * shape[low - begin : high - begin]).astype(np.float32)


def _step(site: Site, switched_off_s: float | None) -> NDArray[np.float64]:
    """Return the answer of the instrument to a step, and to its return where it is switched off again."""
    rate_hz = site.sampling_rate_hz
    time_s = np.arange(round(LONGEST_S * rate_hz)) / rate_hz
    decay = 2 * np.pi * max(site.instrument.corner_hz, 0.05)
    step = np.exp(-decay * time_s)
    if switched_off_s is not None:
        step = step - np.where(time_s >= switched_off_s, np.exp(-decay * (time_s - switched_off_s)), 0.0)
    # The end of the window: what is left fades out.
    fade: NDArray[np.float64] = np.clip((LONGEST_S - time_s) / 10.0, 0.0, 1.0)
    return step * fade


def make_gaps(site: Site, scenario: Scenario, seed: int) -> NDArray[np.int64]:
    """Return the gaps of a station, all components alike.

    Returns
    -------
    ndarray, shape (n, 2)
        First missing and first present sample, counted from the start of the archive; gaps neither
        touch nor overlap.
    """
    stream = random_stream(seed, "gaps", site.station)
    begin_s = poisson_times(stream, scenario.gaps_per_day, scenario.duration_s)
    length_s = np.exp(stream.uniform(np.log(0.1), np.log(600.0), len(begin_s)))
    gaps: list[list[int]] = []
    for first_s, last_s in zip(begin_s, begin_s + length_s, strict=True):
        first, last = int(first_s * site.sampling_rate_hz), int(last_s * site.sampling_rate_hz) + 1
        if gaps and first <= gaps[-1][1] + 1:
            gaps[-1][1] = max(gaps[-1][1], last)
        else:
            gaps.append([first, last])
    return np.array(gaps, dtype=np.int64).reshape(-1, 2)
