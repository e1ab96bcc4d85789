"""Simulated noise of stations: ground, people, machines, and what is no earthquake nearby.

References
----------
Peterson (1993), doi:10.3133/ofr93322: how strong noise is, from the microseism to 50 Hz.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from seisflow.training.chance import Chance
from seisflow.training.earthquakes import N_RECORD, RATE_HZ

__all__ = ["make_noises"]

KNOTS_HZ = (0.03, 0.08, 0.16, 0.3, 0.6, 1.2, 2.5, 5.0, 10.0, 20.0, 50.0)
N_SWELL = 24
"""Knots of the slow rise and fall of the noise of a record."""
BAND_HZ = (1.0, 20.0)
"""The root mean square of the steady noise in this band is 1, over all components."""


def make_noises(n: int, chance: Chance) -> Tensor:
    """Return noise, shape (record, component, sample)."""
    frequency_hz = torch.fft.rfftfreq(N_RECORD, 1 / RATE_HZ, device=chance.device)
    ground = _coloured(n, frequency_hz, chance)
    ground = ground * _swell(n, chance)
    ground += _lines(n, chance)
    for probability, slow in ((0.45, False), (0.35, False), (0.12, True)):
        ground += _bursts(n, probability, frequency_hz, slow, chance)
    return ground


def _coloured(n: int, frequency_hz: Tensor, chance: Chance) -> Tensor:
    """Return steady Gaussian noise of random spectra, partly common to the components."""
    slope = chance.uniform(-7.0, 3.0, n, 1)
    octave = torch.tensor(KNOTS_HZ, device=chance.device).log2()
    level_db = slope * octave + 4.0 * chance.normal(n, len(KNOTS_HZ)).cumsum(1) / 2
    microseism = (chance.uniform(-10.0, 55.0, n) * chance.happens(0.7, n))[:, None]
    peak_hz = chance.log_uniform(0.12, 0.35, n)[:, None]
    level_db += microseism.clamp(min=0) * (-(((octave - peak_hz.log2()) / 1.0) ** 2)).exp()
    level_db = level_db[:, None] + 3.0 * chance.normal(n, 3, 1) + 2.0 * chance.normal(n, 3, len(KNOTS_HZ))
    density = 10 ** (level_db @ _interpolation(frequency_hz) / 20)
    density[..., 0] = 0
    in_band = (frequency_hz > BAND_HZ[0]) & (frequency_hz < BAND_HZ[1])
    power = (density[..., in_band] ** 2).sum((1, 2), keepdim=True) * 2 / N_RECORD / 3
    common = chance.uniform(0.0, 0.7, n)[:, None, None]
    white = chance.normal(n, 4, N_RECORD)
    white = (1 - common**2).sqrt() * white[:, :3] + common * white[:, 3:]
    steady: Tensor = torch.fft.irfft(torch.fft.rfft(white) * density / power.sqrt(), N_RECORD)
    return steady


def _interpolation(frequency_hz: Tensor) -> Tensor:
    """Return weights from knots to frequencies, linear over the logarithm, shape (knot, frequency)."""
    knots = torch.tensor(KNOTS_HZ, device=frequency_hz.device).log()
    place = frequency_hz.clamp(KNOTS_HZ[0], KNOTS_HZ[-1]).log()
    high = torch.bucketize(place, knots).clamp(1, len(knots) - 1)
    part = (place - knots[high - 1]) / (knots[high] - knots[high - 1])
    weights = torch.zeros(len(knots), len(frequency_hz), device=frequency_hz.device)
    column = torch.arange(len(frequency_hz), device=frequency_hz.device)
    weights[high - 1, column] = 1 - part
    weights[high, column] += part
    return weights


def _swell(n: int, chance: Chance) -> Tensor:
    """Return how the strength of noise rises and falls, the same on all components."""
    depth = chance.uniform(0.0, 0.5, n) * chance.happens(0.6, n)
    knots = depth[:, None, None] * chance.normal(n, 1, N_SWELL)
    return torch.nn.functional.interpolate(knots, N_RECORD, mode="linear", align_corners=True).exp()


def _lines(n: int, chance: Chance) -> Tensor:
    """Return the hum of motors and mains: a tone with overtones, that may start or stop."""
    clock_s = torch.arange(N_RECORD, device=chance.device) / RATE_HZ
    tones = torch.zeros(n, 3, N_RECORD, device=chance.device)
    drift = chance.normal(n, 1) * 0.01
    base_hz = chance.log_uniform(1.0, 35.0, n)[:, None]
    begin_s = chance.uniform(-80.0, 80.0, n)[:, None]
    length_s = chance.log_uniform(2.0, 300.0, n)[:, None]
    present = chance.happens(0.25, n)[:, None]
    gate = torch.sigmoid((clock_s - begin_s) / 0.1) * torch.sigmoid((begin_s + length_s - clock_s) / 0.1)
    gate = torch.where(length_s > 60, torch.ones_like(gate), gate) * present
    for overtone in (1, 2, 3):
        f = overtone * base_hz * (1 + drift * clock_s / 40)
        phase = chance.uniform(0.0, 2 * math.pi, n)[:, None]
        tone = torch.sin(2 * math.pi * f * clock_s + phase) * gate * (f < 45)
        strength = chance.log_normal(0.6, 0.8, n, 3) * chance.uniform(0.0, 1.0, n, 1) ** (overtone - 1)
        tones += strength[..., None] * tone[:, None]
    return tones


def _bursts(n: int, probability: float, frequency_hz: Tensor, slow: bool, chance: Chance) -> Tensor:
    """Return one kind of transient: steps and vehicles, single or in a row; slow ones are far earthquakes."""
    clock_s = torch.arange(N_RECORD, device=chance.device) / RATE_HZ
    centre_hz = chance.log_uniform(0.12, 0.8, n) if slow else chance.log_uniform(1.5, 35.0, n)
    attack_s = chance.log_uniform(1.0, 8.0, n) if slow else chance.log_uniform(0.03, 4.0, n)
    decay_s = attack_s * (chance.log_uniform(2.0, 12.0, n) if slow else chance.log_uniform(0.6, 3.0, n))
    n_times = torch.where(chance.happens(0.3, n), 1 + chance.integers(12, n), 1)
    every_s = torch.where(
        chance.happens(0.5, n), chance.log_uniform(0.4, 3.0, n), chance.log_uniform(3.0, 30.0, n)
    )
    begin_s = chance.uniform(-15.0, 75.0, n)
    envelope = torch.zeros(n, N_RECORD, device=chance.device)
    for k in range(12):
        late_s = begin_s + k * every_s * (1 + 0.1 * chance.normal(n))
        since_s = clock_s - late_s[:, None]
        rise = (since_s / attack_s[:, None]).clamp(max=0).exp()
        fall = (-since_s / decay_s[:, None]).clamp(max=0).exp()
        strength = chance.log_normal(1.0, 0.4, n)[:, None] * (k < n_times)[:, None]
        envelope += strength * rise * fall
    width = chance.uniform(0.25, 0.9, n)[:, None]
    distance = (frequency_hz.clamp(min=0.02).log2() - centre_hz[:, None].log2()) / width
    band = (-0.5 * distance**2).exp()
    band = band / (band.square().mean(1, keepdim=True)).sqrt()
    level = chance.log_uniform(2.0, 100.0, n) if slow else chance.log_uniform(1.0, 20.0, n)
    level = (level * chance.happens(probability, n))[:, None] * chance.log_normal(1.0, 0.5, n, 3)
    white = chance.normal(n, 3, N_RECORD) * envelope[:, None]
    shaped = torch.fft.irfft(torch.fft.rfft(white) * band[:, None], N_RECORD)
    found: Tensor = shaped * level[..., None]
    return found
