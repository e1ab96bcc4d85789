"""What recorders do to ground motion: clip, round, drop out, spike, or lack components.

All but the last come after signal and noise are added, since they act on the sum.
"""

from __future__ import annotations

import torch
from torch import Tensor

from seisflow.training.chance import Chance
from seisflow.training.earthquakes import RATE_HZ

__all__ = ["components", "record", "with_gaps"]

LOW_RATES_HZ = (20.0, 31.25, 40.0, 50.0, 62.5, 80.0)
N_STEP_DECAY_S = (0.3, 10.0)


def record(traces: Tensor, chance: Chance) -> Tensor:
    """Return traces as a recorder of random rate, gain, range and resolution writes them.

    Parameters
    ----------
    traces : Tensor, shape (record, component, sample)
        Ground motion in units of the noise between 1 and 20 Hz; components E, N, Z.
    chance : Chance
    """
    traces = traces * chance.log_normal(1.0, 0.25, len(traces), 3)[..., None]
    traces = _at_low_rates(traces, chance)
    traces = traces + _glitches(traces, chance)
    traces = _clipped(traces, chance)
    return _rounded(traces, chance)


def _at_low_rates(traces: Tensor, chance: Chance) -> Tensor:
    """Return some records as if sampled at 20 to 80 Hz and resampled to the network's rate."""
    n = len(traces)
    kind = chance.integers(len(LOW_RATES_HZ), n)
    sharpness = chance.uniform(0.05, 0.3, n)
    chosen = torch.nonzero(chance.happens(0.2, n)).flatten()
    if not len(chosen):
        return traces
    stop_hz = 0.5 * torch.tensor(LOW_RATES_HZ, device=traces.device)[kind[chosen]]
    n_samples = traces.shape[-1]
    frequency_hz = torch.fft.rfftfreq(n_samples, 1 / RATE_HZ, device=traces.device)
    edge = 1 - frequency_hz / stop_hz[:, None]
    keep = (edge / sharpness[chosen][:, None]).clamp(0, 1)
    traces = traces.clone()
    spectrum = torch.fft.rfft(traces[chosen]) * keep[:, None]
    traces[chosen] = torch.fft.irfft(spectrum, n_samples)
    return traces


def _glitches(traces: Tensor, chance: Chance) -> Tensor:
    """Return spikes of one or two samples, steps that decay, and calibration pulses."""
    n, n_components, n_samples = traces.shape
    clock = torch.arange(n_samples, device=traces.device)
    glitches = torch.zeros_like(traces)
    sides = chance.happens(0.5, n, n_components) | chance.happens(0.4, n, 1)
    present = chance.happens(0.07, n)
    for _ in range(3):
        where, length = chance.integers(n_samples, n)[:, None], 1 + chance.integers(2, n)[:, None]
        spike = ((clock >= where) & (clock < where + length)).float()
        level = chance.log_uniform(5.0, 1000.0, n) * present
        signs = torch.where(chance.happens(0.5, n, n_components), 1.0, -1.0) * sides
        glitches += spike[:, None] * (level[:, None] * signs)[..., None]
    where = chance.integers(n_samples, n)[:, None]
    since_s = (clock - where).clamp(min=0) / RATE_HZ
    decay_s = chance.log_uniform(*N_STEP_DECAY_S, n)[:, None]
    ring_hz = (chance.log_uniform(0.5, 5.0, n) * chance.happens(0.5, n))[:, None]
    shape = (-since_s / decay_s).exp() * torch.cos(6.28 * ring_hz * since_s) * (clock >= where)
    level = chance.log_uniform(10.0, 1000.0, n) * chance.happens(0.05, n)
    signs = torch.where(chance.happens(0.5, n, n_components), 1.0, -1.0) * chance.log_normal(1.0, 0.3, n, 3)
    return glitches + shape[:, None] * (level[:, None] * signs * sides)[..., None]


def _clipped(traces: Tensor, chance: Chance) -> Tensor:
    """Return some records cut at a part of their largest value."""
    n = len(traces)
    limit = traces.abs().amax((1, 2)) * chance.log_uniform(0.05, 0.9, n)
    limit = torch.where(chance.happens(0.07, n), limit, torch.inf)[:, None, None]
    return torch.minimum(torch.maximum(traces, -limit), limit)


def _rounded(traces: Tensor, chance: Chance) -> Tensor:
    """Return some records with so few bits that the noise is a few counts, or none."""
    n = len(traces)
    count = torch.where(chance.happens(0.15, n), chance.log_uniform(0.2, 3.0, n), 1e-6)[:, None, None]
    return torch.round(traces / count) * count


def components(n: int, chance: Chance) -> Tensor:
    """Return which of E, N and Z records have, shape (record, component): all, Z alone, or one is dead."""
    there = torch.ones(n, 3, device=chance.device)
    kind = chance.choice([0.66, 0.26, 0.04, 0.04], n)
    there[:, 0] = ((kind == 0) | (kind == 3)).float()
    there[:, 1] = ((kind == 0) | (kind == 2)).float()
    there[:, 2] = (kind != 3).float()
    return there


def with_gaps(traces: Tensor, chance: Chance) -> tuple[Tensor, Tensor]:
    """Return records without mean, with dropouts as zeros, and which samples are there.

    Parameters
    ----------
    traces : Tensor, shape (record, component, sample)
    chance : Chance

    Returns
    -------
    traces : Tensor
    there : Tensor of bool, shape (record, sample)
        False in dropouts, and where a record has not begun or has ended.
    """
    n, _, n_samples = traces.shape
    clock = torch.arange(n_samples, device=traces.device)
    begin = torch.where(chance.happens(0.06, n), chance.uniform(0, 0.7, n) * n_samples, -1)[:, None]
    end = torch.where(chance.happens(0.06, n), chance.uniform(0.3, 1, n) * n_samples, n_samples)[:, None]
    there = (clock >= begin) & (clock < end)
    for _ in range(2):
        where = chance.uniform(0, 1, n)[:, None] * n_samples
        length = (chance.log_uniform(2, 1500, n) * chance.happens(0.06, n))[:, None]
        there &= (clock < where) | (clock >= where + length)
    n_there = there.sum(1).clamp(min=1)[:, None, None]
    mean = (traces * there[:, None]).sum(-1, keepdim=True) / n_there
    return (traces - mean * (traces != 0).any(-1, keepdim=True)) * there[:, None], there
