"""What a station records of an earthquake without noise: P, S and their codas, in counts.

The far field of a point source: Brune's spectrum, the radiation of a double couple, geometrical
spreading, attenuation along the path and under the station, twice the amplitude at the free
surface, and scattered waves behind P and S. Everything is made in the frequency domain, so an onset
lies where it belongs between two samples.

References
----------
Aki & Richards (2002), Quantitative Seismology, 2nd ed., chapter 4: far field of a double couple.
Brune (1970), doi:10.1029/JB075i026p04997: source spectrum.
Azimi et al. (1968), in Aki & Richards (2002), section 5.5: attenuation with its dispersion.
Aki & Chouet (1975), doi:10.1029/JB080i023p03322: coda, Q that grows with frequency.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from seisflow.synthetic.scenario import random_stream
from seisflow.synthetic.sources import double_couple
from seisflow.synthetic.spectra import antialias, delay, frequencies

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seisflow.synthetic.network import Site
    from seisflow.synthetic.propagation import Ray
    from seisflow.synthetic.sources import Source

__all__ = ["Seismogram", "radiation", "seismogram"]

DENSITY_KG_M3 = 2700.0
QUALITY = {"P": 300.0, "S": 150.0}
"""Q of the path."""
REFERENCE_HZ = 100.0
"""Waves of this frequency travel at the speed of the model; slower ones of lower frequency come later."""
FREE_SURFACE = 2.0
MEAN_RADIATION = {"P": np.sqrt(4.0 / 15.0), "S": np.sqrt(2.0 / 5.0)}
"""Root mean square of the radiation pattern over the focal sphere (Aki & Richards)."""
SCATTERING = {"P": 1.5, "S": 1.3}
"""Strength of scattered waves just after the onset, s^-1/2."""
CODA_BANDS_HZ = (1.5, 4.0, 10.0, 25.0)
CODA_Q0, CODA_Q_POWER = 70.0, 0.9
"""Coda Q at 1 Hz and how it grows with frequency."""
CODA_PARTITION = {"P": (1.0, 0.6, 0.6), "S": (0.7, 1.0, 1.0)}
"""Strength of the coda up, north and east."""
BEFORE_S = 5.0
"""Seismograms begin this long before P, s."""


class Seismogram(NamedTuple):
    """What one station records of one earthquake.

    Attributes
    ----------
    start : int
        Sample of the archive that the seismogram begins at; may be negative.
    counts : ndarray, float32, shape (n_components, n_samples)
        In the order of the station's components.
    """

    start: int
    counts: NDArray[np.float32]


def radiation(source: Source, ray: Ray) -> NDArray[np.float64]:
    """Return the motion of a phase under the station, radiation pattern included.

    Returns
    -------
    ndarray, shape (3,)
        Up, north, east; a P wave of unit length has radiation 1. Polarisation is carried along the
        ray, which stays in the vertical plane through source and station.
    """
    away = np.array([np.sin(ray.azimuth_rad), np.cos(ray.azimuth_rad), 0.0])
    across = np.array([np.cos(ray.azimuth_rad), -np.sin(ray.azimuth_rad), 0.0])
    up = np.array([0.0, 0.0, 1.0])
    forward, rise = ray.takeoff
    leaving = forward * away + rise * up
    arriving = np.sin(ray.incidence_rad) * away + np.cos(ray.incidence_rad) * up
    motion: NDArray[np.float64]
    push = double_couple(source.strike_deg, source.dip_deg, source.rake_deg) @ leaving
    if ray.phase == "P":
        motion = (leaving @ push) * arriving
    else:
        sv_leaving = -rise * away + forward * up
        sv_arriving = -np.cos(ray.incidence_rad) * away + np.sin(ray.incidence_rad) * up
        motion = (sv_leaving @ push) * sv_arriving + (across @ push) * across
    return motion[::-1]


def seismogram(source: Source, site: Site, rays: dict[str, Ray], seed: int) -> Seismogram:
    """Return what a station records of an earthquake, without noise.

    Parameters
    ----------
    source : Source
    site : Site
    rays : dict
        The P and the S ray of the source to the site.
    seed : int
    """
    rate_hz = site.sampling_rate_hz
    n = _n_samples(source, rate_hz)
    frequency_hz = frequencies(n, rate_hz)
    onset = (source.time_s + rays["P"].time_s - BEFORE_S) * rate_hz
    start = int(np.floor(onset))
    between_s = rays["S"].time_s - rays["P"].time_s
    vs_km_s = rays["S"].source_speed_km_s
    pulses = {
        "P": _pulse(source, site, rays["P"], vs_km_s, frequency_hz),
        "S": _pulse(source, site, rays["S"], vs_km_s, frequency_hz) * delay(frequency_hz, between_s),
    }
    spectrum = np.zeros((3, len(frequency_hz)), dtype=complex)
    for phase, pulse in pulses.items():
        spectrum += radiation(source, rays[phase])[:, np.newaxis] * pulse
    spectrum += _coda(source, site, rays, pulses, frequency_hz, n, seed)
    spectrum *= site.instrument.response(frequency_hz) * antialias(frequency_hz, rate_hz)
    spectrum *= delay(frequency_hz, BEFORE_S + (onset - start) / rate_hz)
    ground = np.fft.irfft(spectrum * rate_hz, n, axis=1)
    n_end = n // 8
    ground[:, n - n_end :] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(n_end) / n_end)
    return Seismogram(start, _oriented(ground, site).astype(np.float32))


def _n_samples(source: Source, rate_hz: float) -> int:
    """Return a length that holds the coda; a number whose Fourier transform is fast."""
    duration_s = 80.0 if source.magnitude < 1.5 else 160.0 if source.magnitude < 2.5 else 240.0
    return int(round(duration_s * rate_hz / 2.0) * 2)


def _pulse(
    source: Source, site: Site, ray: Ray, vs_km_s: float, frequency_hz: NDArray[np.float64]
) -> NDArray[np.complex128]:
    """Return the spectrum of ground velocity (m) for a radiation of 1, with its onset at time zero."""
    speed_m_s = ray.source_speed_km_s * 1000.0
    level_m_s = source.moment_n_m * FREE_SURFACE * site.amplification
    level_m_s /= 4.0 * np.pi * DENSITY_KG_M3 * speed_m_s**3 * ray.hypocentral_km * 1000.0
    corner_hz = source.corner_hz(ray.phase, vs_km_s)
    brune = 2j * np.pi * frequency_hz / (1.0 + 1j * frequency_hz / corner_hz) ** 2
    t_star_s = ray.time_s / QUALITY[ray.phase] + site.kappa_s
    loss = np.zeros(len(frequency_hz), dtype=complex)
    positive = frequency_hz[1:]
    loss[1:] = -np.pi * positive * t_star_s - 2j * positive * t_star_s * np.log(REFERENCE_HZ / positive)
    pulse: NDArray[np.complex128] = np.exp(loss)
    pulse *= level_m_s * brune
    return pulse


def _coda(
    source: Source,
    site: Site,
    rays: dict[str, Ray],
    pulses: dict[str, NDArray[np.complex128]],
    frequency_hz: NDArray[np.float64],
    n: int,
    seed: int,
) -> NDArray[np.complex128]:
    """Return the spectra of scattered waves up, north and east: the pulses behind random scatterers."""
    rate_hz = site.sampling_rate_hz
    between_s = rays["S"].time_s - rays["P"].time_s
    time_s = np.arange(n) / rate_hz
    step = np.sqrt(1.0 / rate_hz)
    p_envelope = SCATTERING["P"] * step * _rise(time_s) * np.exp(-time_s / (1.0 + 0.7 * between_s))
    p_envelope /= 1.0 + time_s
    lapse = 1.0 + time_s / rays["S"].time_s
    decay = np.array([[np.pi * band_hz / _coda_q(band_hz)] for band_hz in CODA_BANDS_HZ])
    s_envelopes = SCATTERING["S"] * step * _rise(time_s) / lapse * np.exp(-decay * time_s)
    envelopes = np.concatenate([p_envelope[np.newaxis], s_envelopes]).astype(np.float32)
    shares = _band_shares(frequency_hz)
    spectra = np.empty((3, len(frequency_hz)), dtype=complex)
    for k, share_p, share_s in zip(range(3), CODA_PARTITION["P"], CODA_PARTITION["S"], strict=True):
        stream = random_stream(seed, "coda", source.name, site.station, k)
        scatterers = stream.standard_normal((n, 2), dtype=np.float32)
        p_coda, *s_codas = np.fft.rfft(scatterers.T[[0, 1, 1, 1, 1]] * envelopes)
        spectra[k] = pulses["P"] * p_coda * (MEAN_RADIATION["P"] * share_p)
        spectra[k] += pulses["S"] * (shares * s_codas).sum(axis=0) * (MEAN_RADIATION["S"] * share_s)
    return spectra


def _rise(time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    rise: NDArray[np.float64] = -np.expm1(-time_s / 0.15)
    return rise


def _coda_q(frequency_hz: float) -> float:
    return float(CODA_Q0 * frequency_hz**CODA_Q_POWER)


def _band_shares(frequency_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much of each frequency belongs to each coda band: triangles on a log axis, sum 1."""
    centres = np.log(CODA_BANDS_HZ)
    place = np.log(np.maximum(frequency_hz, 1e-3))
    return np.array([np.interp(place, centres, row) for row in np.eye(len(centres))], dtype=np.float32)


def _oriented(ground: NDArray[np.float64], site: Site) -> NDArray[np.float64]:
    """Return up, north and east as the components of the station see them."""
    vertical, north, east = ground
    if site.components == ("Z",):
        return ground[:1]
    azimuth_rad = np.radians(site.azimuth_deg)
    first = north * np.cos(azimuth_rad) + east * np.sin(azimuth_rad)
    second = east * np.cos(azimuth_rad) - north * np.sin(azimuth_rad)
    return np.stack([vertical, first, second])
