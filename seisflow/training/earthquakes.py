"""Simulated records of local and regional earthquakes, many at once.

A record is a series of arrivals and of scattered energy (what the Earth does to a spike at the source),
filtered by the source, the path, the site and the instrument. P and S are filtered apart; scattering
decays slower at low frequencies, so each of them is made of two bands. Onsets lie between samples.

References
----------
Aki & Richards (2002), Quantitative Seismology, 2nd ed.: far field of a double
    couple (section 4.3), attenuation (5.5).
Brune (1970), doi:10.1029/JB075i026p04997: source spectrum.
Aki & Chouet (1975), doi:10.1029/JB080i023p03322: coda.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from seisflow.training.chance import Chance

__all__ = ["N_RECORD", "ONSET", "RATE_HZ", "Earthquakes", "make_earthquakes"]

RATE_HZ = 100.0
N_RECORD = 8192
ONSET = 1024
"""P arrives at this sample or up to one after it."""
N_EXTRA = 5
"""Later arrivals behind P, and as many behind S."""
N_FORWARD = 4
"""Scattered arrivals within half a second of the first."""
REFERENCE_HZ = 40.0
"""Waves of this frequency arrive at the onset; lower ones later."""
SPLIT_HZ = 4.0
"""Between the band whose scattered energy decays slowly and that in which it decays fast."""


@dataclass(frozen=True)
class Earthquakes:
    """Records without noise.

    Attributes
    ----------
    traces : Tensor, shape (record, component, sample)
        Components E, N, Z; the largest value of each record is 1.
    p, s : Tensor, shape (record,)
        Onsets, in samples from the start.
    p_peak, s_peak : Tensor, shape (record, component)
        Largest amplitude above 1 Hz in the second after the onset.
    before_s : Tensor, shape (record, component)
        Largest amplitude above 1 Hz in the half second that ends 0.1 s before S.
    """

    traces: Tensor
    p: Tensor
    s: Tensor
    p_peak: Tensor
    s_peak: Tensor
    before_s: Tensor


def make_earthquakes(n: int, chance: Chance) -> Earthquakes:
    """Return `n` records of random earthquakes at random distances, at random sites and instruments."""
    path = _paths(n, chance)
    p = ONSET + chance.uniform(0.0, 1.0, n)
    s = p + path["s_minus_p_s"] * RATE_HZ
    frequency_hz = torch.fft.rfftfreq(N_RECORD, 1 / RATE_HZ, device=chance.device)
    low_pass = 1 / (1 + (frequency_hz / SPLIT_HZ) ** 4)
    series = _series(n, p, s, path, chance)
    spectrum = torch.zeros(n, 3, len(frequency_hz), dtype=torch.complex64, device=chance.device)
    for phase in "PS":
        low, high = (torch.fft.rfft(part) for part in series[phase])
        filtered = low * low_pass + high * (1 - low_pass)
        spectrum += filtered * _pulse(phase, path, frequency_hz, chance)[:, None]
    spectrum *= _site(n, frequency_hz, chance) * _instrument(n, frequency_hz, chance)[:, None]
    traces = torch.fft.irfft(spectrum, N_RECORD)
    traces /= traces.abs().amax((1, 2), keepdim=True).clamp(min=1e-20)
    # What wraps around lies before P; P is causal within a few samples.
    ramp = ((torch.arange(N_RECORD, device=chance.device) - (ONSET - 40)) / 30).clamp(0, 1)
    traces *= ramp
    peaks = _peaks(traces, p, s)
    return Earthquakes(traces, p, s, *peaks)


def _paths(n: int, chance: Chance) -> dict[str, Tensor]:
    """Draw earthquakes and paths: S minus P, corner frequencies, attenuation."""
    near = chance.log_normal(2.0, 0.9, n)
    s_minus_p = torch.where(chance.happens(0.75, n), near, chance.log_uniform(0.3, 40.0, n)).clamp(0.25, 45.0)
    ratio = (1.75 + 0.07 * chance.normal(n)).clamp(1.55, 2.2)
    travel_p = s_minus_p / (ratio - 1)
    distance_km = (6.0 * travel_p).clamp(min=1.0)
    smallest = -1.0 + 1.6 * torch.log10(distance_km / 3)
    magnitude = (smallest + chance.exponential(0.9, n)).clamp(-1.0, 6.5)
    moment = 10 ** (1.5 * magnitude + 9.1)
    stress_pa = chance.log_normal(3e6, 1.2, n)
    corner_s = 0.37 * 3400.0 * (16 / 7 * stress_pa / moment) ** (1 / 3)
    quality = chance.log_normal(350.0, 0.6, n)
    kappa = chance.log_uniform(0.003, 0.05, n)
    return {
        "s_minus_p_s": s_minus_p,
        "ratio": ratio,
        "magnitude": magnitude,
        "corner_S": corner_s.clamp(0.05, 80.0),
        "corner_P": (corner_s * chance.uniform(1.0, 1.6, n)).clamp(0.05, 100.0),
        "loss_P": travel_p / quality + kappa,
        "loss_S": travel_p * ratio / (quality * chance.uniform(0.4, 1.0, n))
        + kappa * chance.uniform(1.0, 2.0, n),
        "loss_power": chance.uniform(0.0, 0.5, n),
    }


def _series(
    n: int, p: Tensor, s: Tensor, path: dict[str, Tensor], chance: Chance
) -> dict[str, tuple[Tensor, Tensor]]:
    """Return what arrives of a spike at the source: for P and S a slowly and a fast decaying series."""
    up, radial, across = _frame(n, chance)
    incidence = chance.log_normal(0.45, 0.5, n).clamp(0.03, 1.1)[:, None]
    along_p = incidence.cos() * up + incidence.sin() * radial
    along_sv = incidence.cos() * radial - incidence.sin() * up
    p_amplitude, sv, sh = _radiation(n, chance)
    gain = path["ratio"] ** 3 * chance.log_normal(0.8, 0.3, n)
    motion_p = p_amplitude[:, None] * along_p
    motion_s = (gain * sv)[:, None] * along_sv + (gain * sh)[:, None] * across
    found = {}
    for phase, onset, motion in (("P", p, motion_p), ("S", s, motion_s)):
        spikes = torch.zeros(n, 3, N_RECORD, device=chance.device)
        _add_first(spikes, phase, onset, motion, chance)
        # Scattered waves left the source in all directions: they do not know of a node.
        mean = 0.5 * (0.52 if phase == "P" else 0.63 * gain[:, None])
        strength = (motion.square().sum(1, keepdim=True) + mean**2).sqrt()
        for _ in range(N_EXTRA):
            _add_later(spikes, onset, strength, motion, path, chance)
        if phase == "P":
            _add_conversion(spikes, onset, strength * incidence.sin(), radial, 1.0, chance)
        else:
            _add_conversion(spikes, onset, 0.4 * strength, up, -1.0, chance)
        found[phase] = _with_coda(spikes, phase, onset, strength, path, chance)
    return found


def _frame(n: int, chance: Chance) -> tuple[Tensor, Tensor, Tensor]:
    """Return the vectors up, away from the source, and across, in E, N, Z."""
    azimuth = chance.uniform(0.0, 2 * math.pi, n)
    zero = torch.zeros_like(azimuth)
    up = torch.stack([zero, zero, zero + 1], 1)
    return (
        up,
        torch.stack([azimuth.sin(), azimuth.cos(), zero], 1),
        torch.stack([azimuth.cos(), -azimuth.sin(), zero], 1),
    )


def _radiation(n: int, chance: Chance) -> tuple[Tensor, Tensor, Tensor]:
    """Return P, SV and SH amplitudes of random double couples, with a little of what scattering adds."""
    normal = torch.nn.functional.normalize(chance.normal(n, 3), dim=1)
    slip = torch.linalg.cross(normal, chance.normal(n, 3))
    slip = torch.nn.functional.normalize(slip, dim=1)
    p = 2 * normal[:, 2] * slip[:, 2]
    sv = normal[:, 2] * slip[:, 0] + normal[:, 0] * slip[:, 2]
    sh = normal[:, 2] * slip[:, 1] + normal[:, 1] * slip[:, 2]
    floor = 0.3 * chance.normal(3, n)
    return p + floor[0], sv + floor[1], sh + floor[2]


def _add_spike(series: Tensor, onset: Tensor, motion: Tensor) -> None:
    """Add an arrival between two samples; `motion` has shape (record, component)."""
    first = onset.floor()
    part = (onset - first)[:, None]
    index = first.long().clamp(0, N_RECORD - 2)[:, None, None].expand(-1, 3, 1)
    series.scatter_add_(2, index, (motion * (1 - part))[..., None])
    series.scatter_add_(2, index + 1, (motion * part)[..., None])


def _add_first(series: Tensor, phase: str, onset: Tensor, motion: Tensor, chance: Chance) -> None:
    """Add the first arrival: a weak beginning, and what scatters forward and comes a little later."""
    n = len(onset)
    weak = chance.log_uniform(0.08, 1.0, n) if phase == "P" else chance.log_uniform(0.25, 1.0, n)
    length_s = chance.log_uniform(0.03, 0.5, n) if phase == "P" else chance.log_uniform(0.02, 0.3, n)
    _add_spike(series, onset, motion * weak[:, None])
    for _ in range(N_FORWARD):
        delay = chance.uniform(0.0, 1.0, n) * length_s * RATE_HZ
        sign = torch.where(chance.happens(0.65, n), 1.0, -1.0)
        weight = (sign * chance.log_normal(0.6, 0.4, n))[:, None]
        other = 0.4 * motion.norm(dim=1, keepdim=True) * chance.normal(n, 3)
        _add_spike(series, onset + delay, weight * (motion + other))


def _add_later(
    series: Tensor, onset: Tensor, strength: Tensor, motion: Tensor, path: dict[str, Tensor], chance: Chance
) -> None:
    """Add a reflected, refracted or scattered arrival, which moves rather like the first one."""
    n = len(onset)
    part = chance.log_uniform(0.03, 1.0, n)
    delay = part * (0.3 + path["s_minus_p_s"]) * RATE_HZ
    weight = (chance.log_normal(0.4, 0.6, n) * (-2 * part).exp() * chance.happens(0.6, n))[:, None]
    sign = torch.where(chance.happens(0.5, n), 1.0, -1.0)[:, None]
    other = 0.5 * strength * chance.normal(n, 3)
    _add_spike(series, onset + delay, weight * (sign * motion + other))


def _add_conversion(
    series: Tensor, onset: Tensor, strength: Tensor, along: Tensor, side: float, chance: Chance
) -> None:
    """Add what converts under the station: from P to S after P, from S to P before S."""
    n = len(onset)
    delay = chance.log_uniform(0.03, 1.0, n) * RATE_HZ
    weight = chance.uniform(-1.0, 1.0, n)[:, None] * chance.happens(0.5, n)[:, None]
    _add_spike(series, onset + side * delay, weight * strength * along)


def _with_coda(
    spikes: Tensor, phase: str, onset: Tensor, strength: Tensor, path: dict[str, Tensor], chance: Chance
) -> tuple[Tensor, Tensor]:
    """Return the arrivals with scattered waves, as they decay at low and at high frequencies."""
    n = len(onset)
    since_s = (torch.arange(N_RECORD, device=chance.device) - onset[:, None]) / RATE_HZ
    after = since_s > 0
    since_s = since_s.clamp(min=0)
    rise_s = chance.log_uniform(0.02, 0.6, n)[:, None]
    begin_s = (chance.log_uniform(0.15, 1.5, n) * (0.5 + path["s_minus_p_s"]))[:, None]
    power = chance.uniform(0.4, 1.6, n)[:, None]
    level = chance.log_normal(2.2 if phase == "P" else 2.6, 0.6, n)[:, None] / math.sqrt(RATE_HZ)
    shape = level * strength * (1 - (-since_s / rise_s).exp()) * (1 + since_s / begin_s) ** -power * after
    partition = torch.tensor([0.85, 0.85, 1.0] if phase == "P" else [1.0, 1.0, 0.7], device=chance.device)
    partition = partition * chance.log_normal(1.0, 0.25, n, 3)
    noise = chance.normal(n, 3, N_RECORD) * partition[..., None]
    slow_s = chance.log_uniform(1.5, 25.0, n)[:, None] * (0.5 + path["s_minus_p_s"][:, None] / 4).clamp(
        max=3.0
    )
    fast_s = slow_s * chance.uniform(0.15, 0.8, n)[:, None]
    more = chance.log_normal(1.0, 0.5, n)[:, None]
    low = more * shape * (-since_s / slow_s).exp()
    high = shape * (-since_s / fast_s).exp()
    return spikes + noise * low[:, None], spikes + noise * high[:, None]


def _pulse(phase: str, path: dict[str, Tensor], frequency_hz: Tensor, chance: Chance) -> Tensor:
    """Return the spectrum of ground velocity for a spike: source and path, shape (record, frequency)."""
    n = len(path["ratio"])
    f = frequency_hz.clamp(min=frequency_hz[1])
    omega = 2 * math.pi * f
    corner = path[f"corner_{phase}"][:, None]
    brune = 1j * omega / (1 + 1j * f / corner) ** 2
    loss = path[f"loss_{phase}"][:, None]
    damping = -math.pi * f * loss * (f / 5).clamp(min=0.2) ** -path["loss_power"][:, None]
    lag = -2 * f * loss * (REFERENCE_HZ / f).log().clamp(min=-1.0)
    # Slip does not begin at once: two more corners make the first motion smooth.
    rise = 1 / (1 + 1j * f / (corner * chance.log_uniform(1.0, 6.0, n)[:, None]).clamp(5.0, 60.0)) ** 2
    pulse: Tensor = brune * rise * torch.exp(torch.complex(damping, lag))
    for _ in range(2):  # the rupture goes on: further pulses within a few corner periods
        weight = chance.uniform(0.0, 1.2, n)[:, None] * chance.happens(0.35, n)[:, None]
        delay = chance.exponential(0.8, n)[:, None] / path["corner_S"][:, None]
        pulse = pulse * (1 + weight * torch.exp(-1j * omega * delay))
    pulse[:, 0] = 0
    return pulse


def _site(n: int, frequency_hz: Tensor, chance: Chance) -> Tensor:
    """Return the resonance of soft layers under the station, shape (record, component, frequency)."""
    delay_s = chance.log_uniform(0.04, 0.8, n)[:, None]
    strength = (chance.uniform(-0.6, 0.75, n) * chance.happens(0.7, n))[:, None]
    horizontal = 1 / (1 + strength * torch.exp(-2j * math.pi * frequency_hz * delay_s))
    vertical = 1 / (1 + 0.6 * strength * torch.exp(-2j * math.pi * frequency_hz * delay_s / 1.9))
    return torch.stack([horizontal, horizontal, vertical], 1)


def _instrument(n: int, frequency_hz: Tensor, chance: Chance) -> Tensor:
    """Return responses of broadband, short-period and strong-motion instruments."""
    kind = chance.choice([0.35, 0.4, 0.25], n)[:, None]
    natural_hz = chance.log_uniform(0.8, 4.8, n)[:, None]
    damping = chance.uniform(0.5, 0.85, n)[:, None]
    f = frequency_hz[None]
    short = f**2 / (f**2 - natural_hz**2 - 2j * damping * natural_hz * f + 1e-9)
    acceleration = 2j * math.pi * f
    broad = f**2 / (f**2 - 0.02**2 - 2j * 0.7 * 0.02 * f + 1e-9)
    response = torch.where(kind == 0, broad, torch.where(kind == 1, short, acceleration))
    stop = chance.uniform(0.7, 1.0, n)[:, None] * RATE_HZ / 2
    keep: Tensor = response * ((stop - f) / (0.2 * stop)).clamp(0, 1)
    return keep


def _peaks(traces: Tensor, p: Tensor, s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the largest amplitudes above 1 Hz after P, after S and before S."""
    smooth = torch.nn.functional.avg_pool1d(traces, 101, 1, 50)
    size = (traces - smooth).abs()
    clock = torch.arange(N_RECORD, device=traces.device)
    found = []
    for onset, low, high in ((p, -2, 100), (s, -2, 100), (s, -60, -10)):
        lag = clock - onset[:, None]
        found.append((size * ((lag >= low) & (lag <= high))[:, None]).amax(2))
    return found[0], found[1], found[2]
