"""Training sequences of picks, made by the twelve rules, with the labels that a network should give.

Each sequence has random numbers of its own, decided by the seed and its number: any thread may make it.
"""

# ruff: noqa: NPY002 - in compiled code these are the generator of the thread; there is no other

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from seisflow.training.linking.ground import STEP_KM, Ground
from seisflow.training.linking.rules import Rules

__all__ = ["FALSE", "Sequences", "make_sequences"]

FALSE = -1
"""The event of a false pick."""
P, S = 0, 1


@dataclass(frozen=True)
class Sequences:
    """Some sequences, padded with zeros; every array but `count` has shape (n_sequence, n_picks).

    Attributes
    ----------
    count : array of int64, shape (n_sequence,)
        Picks of each sequence.
    time_s : array of float64
        Seconds after the sequence begins; the root, the first pick, comes some time later.
    station : array of int32
        Row of the station.
    phase : array of int8
        0 for P, 1 for S.
    event : array of int32
        Number of the event, -1 for a false pick.
    """

    count: NDArray[np.int64]
    time_s: NDArray[np.float64]
    station: NDArray[np.int32]
    phase: NDArray[np.int8]
    event: NDArray[np.int32]

    @property
    def linked(self) -> NDArray[np.bool_]:
        """Whether each pick belongs to the event of the first; a false first pick belongs to itself."""
        linked = (self.event == self.event[:, :1]) & (self.event >= 0)
        linked[:, 0] = True
        return np.asarray(linked & (np.arange(self.event.shape[1]) < self.count[:, None]))


class _Numbers(NamedTuple):
    """The rules as the compiled code wants them."""

    max_events: int
    shallowest_km: float
    deepest_km: float
    moved_share: float
    first_low_s: float
    first_high_s: float
    gap_low_s: float
    gap_high_s: float
    reach_low_km: float
    reach_high_km: float
    missing_share: float
    error_s: float
    max_false: int
    span_s: float

    @classmethod
    def of(cls, rules: Rules) -> _Numbers:
        return cls(
            rules.max_events,
            *rules.depth_km,
            rules.moved_share,
            *rules.first_origin_s,
            *rules.gap_s,
            *rules.max_distance_km,
            rules.missing_share,
            rules.error_s,
            rules.max_false,
            rules.span_s,
        )


def make_sequences(
    rules: Rules, ground: Ground, seed: int, purpose: str, first: int, n: int, threads: int = 1
) -> Sequences:
    """Return `n` sequences, beginning with number `first`; the number of threads has no influence."""
    key = hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=7).digest()
    seeds = _seeds(int.from_bytes(key, "big"), np.arange(first, first + n, dtype=np.uint64))
    made = Sequences(
        np.zeros(n, np.int64),
        np.zeros((n, rules.n_picks)),
        np.zeros((n, rules.n_picks), np.int32),
        np.zeros((n, rules.n_picks), np.int8),
        np.zeros((n, rules.n_picks), np.int32),
    )
    numbers = _Numbers.of(rules)
    parts = [part for part in np.array_split(np.arange(n), min(threads, n)) if len(part)]
    with ThreadPoolExecutor(threads) as pool:
        jobs = [
            pool.submit(
                _fill,
                seeds[part[0] : part[-1] + 1],
                numbers,
                ground,
                *(getattr(made, name)[part[0] : part[-1] + 1] for name in Sequences.__dataclass_fields__),
            )
            for part in parts
        ]
        for job in jobs:
            job.result()
    return made


def _seeds(key: int, number: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """Return a seed for each sequence (the mixing function of SplitMix64)."""
    with np.errstate(over="ignore"):
        z = np.uint64(key) + (number + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z >> np.uint64(32)).astype(np.uint32)


@njit(cache=True, nogil=True)
def _fill(
    seeds: NDArray[np.uint32],
    rules: _Numbers,
    ground: Ground,
    count: NDArray[np.int64],
    time_s: NDArray[np.float64],
    station: NDArray[np.int32],
    phase: NDArray[np.int8],
    event: NDArray[np.int32],
) -> None:
    """Fill the arrays with a sequence for each seed."""
    n_most = 2 * ground.east_km.size * rules.max_events + rules.max_false
    times, codes = np.empty(n_most), np.empty((3, n_most), np.int32)
    for row in range(seeds.size):
        np.random.seed(seeds[row])
        n = 0
        while n == 0:  # nothing to learn from a sequence without a pick
            n = _events(rules, ground, times, codes)
            n = _false_picks(rules, ground.east_km.size, times, codes, n)
        order = np.argsort(times[:n])[: time_s.shape[1]]  # rule 12
        count[row] = order.size
        for k in range(order.size):
            time_s[row, k] = times[order[k]]
            station[row, k], phase[row, k], event[row, k] = codes[:, order[k]]


@njit(cache=True, nogil=True)
def _events(rules: _Numbers, ground: Ground, times: NDArray[np.float64], codes: NDArray[np.int32]) -> int:
    """Write the picks of the events of a sequence (rules 1 to 9 and 11); return how many."""
    n, n_station = 0, ground.east_km.size
    shared = _hypocentre(rules, ground)  # rule 2
    origin = np.random.uniform(rules.first_low_s, rules.first_high_s)  # rule 4
    for number in range(np.random.randint(0, rules.max_events + 1)):  # rule 1
        own = _hypocentre(rules, ground)
        east, north, depth = own if np.random.random() < rules.moved_share else shared  # rule 3
        if number > 0:
            origin += np.random.uniform(rules.gap_low_s, rules.gap_high_s)  # rule 5
        reach = np.random.uniform(rules.reach_low_km, rules.reach_high_km)  # rule 6
        for i in range(n_station):
            distance = np.hypot(ground.east_km[i] - east, ground.north_km[i] - north)
            if distance > reach:
                continue
            for phase in (P, S):
                if np.random.random() < rules.missing_share:  # rule 8
                    continue
                time = origin + _travel(ground, phase, distance, depth) + ground.term_s[phase, i]  # rule 7
                time += np.random.uniform(-rules.error_s, rules.error_s)  # rule 9
                if 0.0 <= time <= rules.span_s:  # rule 11
                    times[n] = time
                    codes[0, n], codes[1, n], codes[2, n] = i, phase, number
                    n += 1
    return n


@njit(cache=True, nogil=True)
def _false_picks(
    rules: _Numbers, n_station: int, times: NDArray[np.float64], codes: NDArray[np.int32], n: int
) -> int:
    """Add the false picks of a sequence (rule 10); return how many picks there are."""
    for _ in range(np.random.randint(0, rules.max_false + 1)):
        times[n] = np.random.uniform(0.0, rules.span_s)
        codes[0, n] = np.random.randint(0, n_station)
        codes[1, n] = np.random.randint(0, 2)
        codes[2, n] = FALSE
        n += 1
    return n


@njit(cache=True, nogil=True)
def _hypocentre(rules: _Numbers, ground: Ground) -> tuple[float, float, float]:
    """Return east, north and depth, km, of a point at random in the box of epicentres."""
    nodes = ground.node_km
    u = np.random.random() * (nodes.shape[1] - 1)
    v = np.random.random() * (nodes.shape[2] - 1)
    depth = np.random.uniform(rules.shallowest_km, rules.deepest_km)
    return _between(nodes[0], u, v), _between(nodes[1], u, v), depth


@njit(cache=True, nogil=True)
def _travel(ground: Ground, phase: int, distance: float, depth: float) -> float:
    """Return the travel time of a phase to the datum, s."""
    return _between(ground.travel_s[phase], distance / STEP_KM, (depth - ground.top_km) / STEP_KM)


@njit(cache=True, nogil=True)
def _between(table: NDArray[np.float64], u: float, v: float) -> float:
    """Return the bilinear interpolation of a table at fractional indices."""
    i, j = min(int(u), table.shape[0] - 2), min(int(v), table.shape[1] - 2)
    f, g = u - i, v - j
    near = table[i, j] + g * (table[i, j + 1] - table[i, j])
    far = table[i + 1, j] + g * (table[i + 1, j + 1] - table[i + 1, j])
    return float(near + f * (far - near))
