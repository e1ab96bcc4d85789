"""Batches of training sequences: made ahead in another thread, sorted by length, padded as windows are."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from seisflow.association.linking.features import N_FEATURES, fill_features
from seisflow.association.linking.windows import padded_length
from seisflow.training.linking.ground import Ground
from seisflow.training.linking.rules import Rules
from seisflow.training.linking.sequences import P, Sequences, make_sequences

__all__ = ["Batch", "Batches", "batch_of"]


class Batch(NamedTuple):
    """Sequences as the network takes them.

    Attributes
    ----------
    features : Tensor of float32, shape (pick, sequence, feature)
    linked : Tensor of float32, shape (pick, sequence)
        1 where a pick belongs to the event of the first.
    real : Tensor of bool, shape (pick, sequence)
        False for padding.
    """

    features: Tensor
    linked: Tensor
    real: Tensor

    def to(self, device: str) -> Batch:
        """Return the batch on a device."""
        return Batch(*(part.to(device, non_blocking=True) for part in self))


def batch_of(sequences: Sequences, rows: np.ndarray, ground: Ground, rules: Rules) -> Batch:
    """Return some sequences as a batch, padded to the longest of them."""
    counts = sequences.count[rows]
    length = int(padded_length(counts.max()))
    features = np.empty((len(rows), length, N_FEATURES), np.float32)
    for features_of_one, row, n in zip(features, rows, counts, strict=True):
        stations = sequences.station[row, :n]
        fill_features(
            features_of_one[None],
            np.zeros(1, np.int64),
            np.array([n]),
            ground.north[stations],
            ground.east[stations],
            sequences.time_s[row, :n],
            sequences.phase[row, :n] != P,
            rules.span_s,
        )
    linked = np.zeros((len(rows), length), np.float32)
    width = min(length, sequences.event.shape[1])
    linked[:, :width] = sequences.linked[rows, :width]
    real = np.arange(length) < counts[:, None]
    return Batch(
        torch.from_numpy(features).transpose(0, 1).contiguous(),
        torch.from_numpy(linked).T.contiguous(),
        torch.from_numpy(real).T.contiguous(),
    )


class Batches:
    """The batches of a training: batch `step` is the same however often and from where it is asked for.

    Parameters
    ----------
    rules : Rules
    ground : Ground
    seed : int
    purpose : str
        Sequences of another purpose are other ones.
    batch_size, n_pool : int
        Sequences in a batch, and batches that are made together.
    threads : int
        Threads that make sequences; without influence on them.
    """

    def __init__(
        self,
        rules: Rules,
        ground: Ground,
        seed: int,
        purpose: str,
        batch_size: int,
        n_pool: int,
        threads: int = 1,
    ) -> None:
        self.rules, self.ground, self.seed, self.purpose = rules, ground, seed, purpose
        self.batch_size, self.n_pool, self.threads = batch_size, n_pool, threads
        self._ahead = ThreadPoolExecutor(1)
        self._pools: dict[int, Future[Sequences]] = {}

    def batch(self, step: int) -> Batch:
        """Return the batch of a step."""
        number, place = divmod(step, self.n_pool)
        pool = self._pool(number).result()
        groups = np.argsort(pool.count, kind="stable").reshape(self.n_pool, self.batch_size)
        order = np.random.default_rng((self.seed, number)).permutation(self.n_pool)
        return batch_of(pool, groups[order[place]], self.ground, self.rules)

    def _pool(self, number: int) -> Future[Sequences]:
        """Return a pool of sequences; the next one is begun."""
        for wanted in (number, number + 1):
            if wanted not in self._pools:
                n = self.batch_size * self.n_pool
                self._pools[wanted] = self._ahead.submit(
                    make_sequences,
                    self.rules,
                    self.ground,
                    self.seed,
                    self.purpose,
                    wanted * n,
                    n,
                    self.threads,
                )
        for old in [key for key in self._pools if key < number]:
            del self._pools[old]
        return self._pools[number]
