"""Seismic noise of a site: microseism, the noise of the ground, people by day, and what drives past.

Noise is stationary and Gaussian within an hour and made in the frequency domain, hour by hour;
hours are blended where they meet, so that noise has no seam and can be made in any order.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from seisflow.synthetic.scenario import poisson_times, random_stream
from seisflow.synthetic.spectra import frequencies, waveband

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seisflow.synthetic.network import Site
    from seisflow.synthetic.scenario import Scenario

__all__ = ["band_rms", "hour_of_day", "make_noise", "noise_density"]

HOUR_S = 3600
BLEND_S = 30
"""Hours overlap by this much, s; 3630 has only small prime factors, so its Fourier transform is fast."""
MICROSEISM_LEVEL = 0.55
"""Place between the low and the high noise model below 1 Hz, the same for all stations."""
QUIET_HOUR = 1.0
"""Hour of the day with the least cultural noise; the loudest is twelve hours later."""
BURST_BAND_HZ = (5.0, 25.0)
# fmt: off
LOW_NOISE = (
    (0.1, -168.0), (0.17, -166.7), (0.4, -166.7), (0.8, -169.1), (1.24, -163.7), (2.4, -148.7),
    (4.3, -141.1), (5.0, -141.2), (6.0, -149.0), (10.0, -163.7), (12.0, -166.1), (15.6, -162.3),
    (21.9, -177.5), (31.6, -185.0), (45.0, -187.5), (70.0, -187.5), (101.0, -185.0), (154.0, -185.0),
    (328.0, -187.5),
)
"""Corners of Peterson's new low noise model: period (s) and acceleration (dB of (m/s^2)^2/Hz)."""
HIGH_NOISE = (
    (0.1, -91.5), (0.22, -97.4), (0.32, -110.5), (0.8, -119.9), (3.8, -98.0), (4.6, -96.5),
    (6.3, -101.1), (7.9, -113.4), (15.4, -120.2), (20.0, -138.2), (354.8, -126.0),
)
"""Corners of the new high noise model."""
# fmt: on


def noise_density(site: Site, frequency_hz: NDArray[np.float64], hour: float) -> NDArray[np.float64]:
    """Return the power spectral density of ground velocity, (m/s)^2/Hz.

    Parameters
    ----------
    site : Site
    frequency_hz : ndarray, shape (n,)
    hour : float
        Hour of the day, UTC.

    References
    ----------
    Peterson (1993), doi:10.3133/ofr93322: low and high noise model of acceleration.
    """
    quiet, cultural = _densities(site, frequency_hz)
    return quiet + _business(hour) * cultural


def band_rms(site: Site, hour: float) -> float:
    """Return the root mean square of the noise between 2 and 20 Hz, counts."""
    quiet, cultural = _band_powers(site)
    return float(np.sqrt(quiet + _business(hour) * cultural))


def make_noise(
    site: Site, component: int, start: int, n: int, scenario: Scenario, seed: int
) -> NDArray[np.float32]:
    """Return noise of one component, counts, float32, shape (n,).

    Parameters
    ----------
    site : Site
    component : int
        Which of the site's components.
    start, n : int
        First sample and number of samples, counted from the start of the archive.
    scenario : Scenario
    seed : int
    """
    n_hour, n_blend = (round(length_s * site.sampling_rate_hz) for length_s in (HOUR_S, BLEND_S))
    quiet, cultural = _powers(site, n_hour + n_blend)
    fade_in = np.sin(0.5 * np.pi * (np.arange(n_blend) + 0.5) / n_blend).astype(np.float32)
    noise = np.zeros(n, dtype=np.float32)
    for hour in range(start // n_hour - 1, (start + n - 1) // n_hour + 1):
        begin = hour * n_hour - start
        low, high = max(begin, 0), min(begin + n_hour + n_blend, n)
        if low >= high:
            continue
        stream = random_stream(seed, "noise", site.station, component, hour + 1)
        spectrum = stream.standard_normal(2 * len(quiet), dtype=np.float32).view(np.complex64)
        business = np.float32(_business(hour_of_day(scenario, HOUR_S * (hour + 0.5))))
        spectrum *= np.sqrt(quiet + business * cultural)
        piece = np.fft.irfft(spectrum, n_hour + n_blend).astype(np.float32, copy=False)
        piece[:n_blend] *= fade_in
        piece[n_hour:] *= fade_in[::-1]
        noise[low:high] += piece[low - begin : high - begin]
    _add_bursts(noise, site, component, start, scenario, seed)
    return noise


def _add_bursts(
    noise: NDArray[np.float32], site: Site, component: int, start: int, scenario: Scenario, seed: int
) -> None:
    """Add local transients (vehicles, cattle, wind) to noise that begins at sample `start`.

    They swell and fade within seconds on all components of one station, most often at noisy sites
    and by day, and are what a picker mistakes for earthquakes.
    """
    rate_hz = site.sampling_rate_hz
    stream = random_stream(seed, "bursts", site.station)
    noisiness = max(site.noise_level - 0.34, 0.0) / 0.17
    for k, time_s in enumerate(
        poisson_times(stream, 2.0 * scenario.bursts_per_day * noisiness, scenario.duration_s)
    ):
        hour = hour_of_day(scenario, time_s)
        shown, strength, width_s = stream.uniform(), stream.lognormal(1.4, 0.6), stream.uniform(0.7, 4.0)
        begin, n = int(time_s * rate_hz) - start, round(40 * rate_hz)
        low, high = max(begin, 0), min(begin + n, len(noise))
        if shown > _business(hour) or low >= high:
            continue
        frequency_hz = frequencies(n, rate_hz)
        white = random_stream(seed, "burst", site.station, component, k).standard_normal(n)
        coloured = np.fft.irfft(np.fft.rfft(white) * waveband(frequency_hz, BURST_BAND_HZ), n)
        envelope = np.exp(-0.5 * ((np.arange(n) / rate_hz - 20.0) / width_s) ** 2)
        burst = strength * band_rms(site, hour) * envelope * coloured / coloured.std()
        noise[low:high] += burst[low - begin : high - begin].astype(np.float32)


def hour_of_day(scenario: Scenario, time_s: float) -> float:
    """Return the hour of the day of an instant given in seconds since the start of the archive."""
    midnight = scenario.period.start.astype("datetime64[D]")
    start_s = float((scenario.period.start - midnight) / np.timedelta64(1, "s"))
    return (start_s + time_s) / 3600.0 % 24.0


def _business(hour: float) -> float:
    """Return how busy people are at an hour of the day, 0 to 1."""
    return float(0.5 - 0.5 * np.cos(2 * np.pi * (hour - QUIET_HOUR) / 24.0))


def _densities(
    site: Site, frequency_hz: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the density of ground velocity when people sleep, and what they add when busiest."""
    frequency_hz = np.maximum(frequency_hz, 1e-6)
    low_db, high_db = _model_db(LOW_NOISE, frequency_hz), _model_db(HIGH_NOISE, frequency_hz)
    above_1_hz = 1.0 / (1.0 + (1.0 / frequency_hz) ** 4)
    level = MICROSEISM_LEVEL + (site.noise_level - MICROSEISM_LEVEL) * above_1_hz
    quiet = 10.0 ** ((low_db + level * (high_db - low_db)) / 10.0) / (2 * np.pi * frequency_hz) ** 2
    cultural = quiet * above_1_hz * (10.0 ** (site.cultural_db / 10.0) - 1.0)
    return quiet, cultural


@lru_cache
def _band_powers(site: Site) -> tuple[float, float]:
    """Return both densities integrated from 2 to 20 Hz, counts squared."""
    frequency_hz = frequencies(4000, site.sampling_rate_hz)
    gain = np.abs(site.instrument.response(frequency_hz)) ** 2 * waveband(frequency_hz) ** 2
    quiet, cultural = (
        float(np.trapezoid(density * gain, frequency_hz)) for density in _densities(site, frequency_hz)
    )
    return quiet, cultural


def _model_db(
    model: tuple[tuple[float, float], ...], frequency_hz: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return a noise model, continued flat at both ends, dB of (m/s^2)^2/Hz."""
    period_s, level_db = np.array(model).T
    model_db: NDArray[np.float64] = np.interp(-np.log10(frequency_hz), np.log10(period_s), level_db)
    return model_db


def _powers(site: Site, n: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return both densities as squared amplitudes of a Fourier transform of n samples, in counts."""
    rate_hz = site.sampling_rate_hz
    frequency_hz = frequencies(n, rate_hz)
    # Densities change slowly with frequency: a coarse logarithmic grid serves.
    coarse_hz = np.geomspace(frequency_hz[1], frequency_hz[-1], 1000)
    gain = np.abs(site.instrument.response(coarse_hz)) ** 2 * n * rate_hz / 4.0
    powers = [np.interp(frequency_hz, coarse_hz, density * gain) for density in _densities(site, coarse_hz)]
    for power in powers:
        power[0] = 0.0
    return powers[0].astype(np.float32), powers[1].astype(np.float32)
