"""What the network learns from: windows with earthquakes in noise, and where P and S are in them.

Records of earthquakes and of noise are simulated apart and mixed anew for every step, with other places,
strengths, neighbours and recorders, so that one simulated record serves many examples.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from seisflow.training.chance import Chance
from seisflow.training.earthquakes import N_RECORD, ONSET, Earthquakes, make_earthquakes
from seisflow.training.noises import make_noises
from seisflow.training.recorders import components, record, with_gaps

__all__ = ["N_EXAMPLE", "Examples", "Pool", "labelled", "mix"]

N_EXAMPLE = 4096
N_SLOTS = 3
LABEL_WIDTH = 10.0
"""Standard deviation of the bell around an onset that is learned, samples."""
LEAD = 1.5
"""Labels lie so many samples before the first motion, as analysts' picks do: measured on real records."""
N_DOUBT = 60
"""Around an onset hidden in noise nothing is learned, samples."""
CLEAR, CLEAR_OF_P = 2.5, 1.3
"""An onset is visible if it is so much larger than what is around, and S than the half second before."""
N_AROUND = 150
"""What is around: so many samples on both sides."""


@dataclass(frozen=True)
class Examples:
    """Windows and what the network shall say about them.

    Attributes
    ----------
    traces : Tensor, shape (example, 3, sample)
        Components E, N, Z without mean; missing samples zero.
    labels : Tensor, shape (example, 3, sample)
        Probabilities of noise, P and S.
    weight : Tensor, shape (example, sample)
        Zero where nothing is known.
    onsets : Tensor, shape (onset, 4)
        Example, phase (1 P, 2 S), sample, and whether it is visible.
    """

    traces: Tensor
    labels: Tensor
    weight: Tensor
    onsets: Tensor

    def joined(self, other: Examples) -> Examples:
        """Return both sets in one."""
        onsets = other.onsets.clone()
        onsets[:, 0] += len(self.traces)
        return Examples(
            torch.cat([self.traces, other.traces]),
            torch.cat([self.labels, other.labels]),
            torch.cat([self.weight, other.weight]),
            torch.cat([self.onsets, onsets]),
        )


@dataclass
class Pool:
    """Simulated records kept for some steps; shard after shard the oldest ones are replaced.

    Parameters
    ----------
    seed : int
    n_shards, n_each : int
        Shards kept, and earthquakes and noises in each.
    device : str
    purpose : str
        Pools of different purpose share nothing.
    """

    seed: int
    n_shards: int
    n_each: int
    device: str = "cpu"
    purpose: str = "training"

    def __post_init__(self) -> None:
        self.shards: dict[int, tuple[Earthquakes, Tensor]] = {}
        self.newest = -1

    def advance(self, newest: int) -> None:
        """Hold the shards up to `newest`: the same ones however the pool came here."""
        if newest == self.newest:
            return
        wanted = range(max(newest - self.n_shards + 1, 0), newest + 1)
        self.shards = {
            number: self.shards[number] if number in self.shards else self._make(number) for number in wanted
        }
        self.newest = newest

    def draw(self, n: int, chance: Chance) -> Examples:
        """Return `n` new examples."""
        shards = list(self.shards.values())
        which = int(chance.integers(len(shards), 1))
        other = int(chance.integers(len(shards), 1))
        return mix(n, shards[which][0], shards[other][1], chance)

    def _make(self, number: int) -> tuple[Earthquakes, Tensor]:
        chance = Chance(self.seed, f"{self.purpose} pool", number, self.device)
        return make_earthquakes(self.n_each, chance), make_noises(self.n_each, chance)


def mix(n: int, earthquakes: Earthquakes, noises: Tensor, chance: Chance) -> Examples:
    """Return examples made of random earthquakes at random places, noise and a recorder's faults."""
    there = components(n, chance)
    traces = _noise(n, noises, chance) * there[..., None]
    count = chance.choice([0.3, 0.45, 0.16, 0.09], n)
    last = torch.zeros(n, device=chance.device)
    added = []
    for slot in range(N_SLOTS):
        place = chance.uniform(-600.0, N_EXAMPLE - 50.0, n)
        if slot:
            near = last + chance.log_uniform(60.0, 1500.0, n)
            anywhere = chance.uniform(-3000.0, N_EXAMPLE + 400.0, n)
            place = torch.where(chance.happens(0.5, n), near, anywhere)
        event = chance.integers(len(earthquakes.p), n)
        last = place + (earthquakes.s - earthquakes.p)[event]
        strength, signs = chance.log_uniform(1.2, 300.0, n), _signs(n, chance)
        chosen = torch.nonzero(slot < count).flatten()
        one = _Placed.of(earthquakes, event[chosen], place[chosen].round(), strength[chosen], chosen, there)
        one.motion *= signs[chosen]
        traces[chosen] += one.motion
        added.append(one)
    onsets = torch.cat([one.onsets(traces) for one in added])
    traces, present = with_gaps(record(traces, chance) * there[..., None], chance)
    return labelled(traces, onsets, present)


def _noise(n: int, noises: Tensor, chance: Chance) -> Tensor:
    """Return pieces of noise with their signs turned at random."""
    which = chance.integers(len(noises), n)
    first = chance.integers(N_RECORD - N_EXAMPLE + 1, n)
    index = (first[:, None] + torch.arange(N_EXAMPLE, device=chance.device))[:, None].expand(-1, 3, -1)
    return noises[which].gather(2, index) * _signs(n, chance)


def _signs(n: int, chance: Chance) -> Tensor:
    return torch.where(chance.happens(0.5, n, 3, 1), 1.0, -1.0)


@dataclass
class _Placed:
    """Earthquakes put into some examples, one each."""

    rows: Tensor
    motion: Tensor
    arrivals: list[tuple[int, Tensor, Tensor, Tensor]]

    @classmethod
    def of(
        cls,
        earthquakes: Earthquakes,
        event: Tensor,
        place: Tensor,
        strength: Tensor,
        rows: Tensor,
        components: Tensor,
    ) -> _Placed:
        """Scale earthquakes and cut them so that P arrives at `place`; of them what the components see."""
        there = components[rows]
        peaks = (earthquakes.p_peak, earthquakes.s_peak, earthquakes.before_s)
        p_peak, s_peak, before_s = ((peak[event] * there).amax(1) for peak in peaks)
        gain = strength / torch.maximum(p_peak, 0.3 * s_peak).clamp(min=1e-6)
        clock = torch.arange(N_EXAMPLE, device=place.device)
        index = clock - place[:, None].long() + ONSET
        inside = ((index >= 0) & (index < N_RECORD))[:, None]
        index = index.clamp(0, N_RECORD - 1)[:, None].expand(-1, 3, -1)
        motion = earthquakes.traces[event].gather(2, index) * inside * (gain[:, None] * there)[..., None]
        shift, before = place - ONSET - LEAD, gain * before_s
        p = (1, earthquakes.p[event] + shift, gain * p_peak, torch.zeros_like(before))
        s = (2, earthquakes.s[event] + shift, gain * s_peak, before)
        return cls(rows, motion, [p, s])

    def onsets(self, total: Tensor) -> Tensor:
        """Return the onsets, visible where they stand out of all else that is there (see `Examples`)."""
        found = []
        for code, sample, peak, before in self.arrivals:
            first = (sample.long() - N_AROUND).clamp(0, N_EXAMPLE - 2 * N_AROUND)
            index = first[:, None] + torch.arange(2 * N_AROUND, device=total.device)
            index = index[:, None].expand(-1, 3, -1)
            others = total[self.rows].gather(2, index) - self.motion.gather(2, index)
            others = others - torch.nn.functional.avg_pool1d(others, 101, 1, 50, count_include_pad=False)
            level = others.square().mean(2).amax(1).sqrt()
            visible = peak >= torch.maximum(CLEAR * level, CLEAR_OF_P * before)
            columns = self.rows, torch.full_like(self.rows, code), sample, visible
            found.append(torch.stack([column.to(sample.dtype) for column in columns], 1))
        return torch.cat(found)


def _largest(curves: Tensor, row: Tensor, n: int) -> Tensor:
    """Return for each of `n` rows the largest of the curves that belong to it, zero without one."""
    largest = torch.zeros(n, curves.shape[1], device=curves.device)
    return largest.scatter_reduce_(0, row[:, None].expand_as(curves), curves, "amax")


def labelled(traces: Tensor, onsets: Tensor, there: Tensor) -> Examples:
    """Return examples with bells around visible onsets; near hidden ones nothing is learned.

    Parameters
    ----------
    traces : Tensor, shape (example, 3, sample)
    onsets : Tensor, shape (onset, 4)
        See `Examples`.
    there : Tensor of bool, shape (example, sample)
    """
    n, _, n_samples = traces.shape
    onsets = onsets[(onsets[:, 2] > -200) & (onsets[:, 2] < n_samples + 200)]
    lag = torch.arange(n_samples, device=traces.device) - onsets[:, 2:3]
    inside = (onsets[:, 2] >= 0) & (onsets[:, 2] < n_samples)
    row, sample = onsets[:, 0].long(), onsets[:, 2].long().clamp(0, n_samples - 1)
    inside &= there[row, sample]
    visible = onsets[:, 3] * inside
    bells = torch.exp(-0.5 * (lag / LABEL_WIDTH) ** 2) * (lag.abs() < 4 * LABEL_WIDTH) * visible[:, None]
    hidden = (lag.abs() < N_DOUBT) & (visible == 0)[:, None]
    labels = _largest(bells, 3 * row + onsets[:, 1].long(), 3 * n).view(n, 3, n_samples)
    weight = (1 - _largest(hidden.float(), row, n)) * there
    labels[:, 0] = 1 - labels[:, 1] - labels[:, 2]
    too_much = labels[:, 0] < 0
    labels = torch.where(too_much[:, None], labels / labels[:, 1:].sum(1, keepdim=True).clamp(min=1), labels)
    labels[:, 0] = labels[:, 0].clamp(min=0)
    kept = onsets.clone()
    kept[:, 3] = visible
    return Examples(traces, labels, weight, kept[inside])
