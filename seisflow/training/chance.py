"""Random numbers that a seed, a purpose and a number decide, and the draws that simulations are made of."""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor

__all__ = ["Chance"]


class Chance:
    """A stream of random numbers on one device; the same key gives the same numbers on the same device.

    Parameters
    ----------
    seed : int
        Seed of the whole training.
    purpose : str
        What the numbers are for.
    number : int
        Which batch of that purpose.
    device : str
    """

    def __init__(self, seed: int, purpose: str, number: int, device: str = "cpu") -> None:
        key = hashlib.blake2b(f"{seed}/{purpose}/{number}".encode(), digest_size=7).digest()
        self.device = device
        self.generator = torch.Generator(device).manual_seed(int.from_bytes(key, "big"))

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Return numbers between `low` and `high`."""
        return low + (high - low) * torch.rand(shape, generator=self.generator, device=self.device)

    def log_uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Return numbers whose logarithm is uniform between those of `low` and `high`."""
        return self.uniform(math.log(low), math.log(high), *shape).exp()

    def normal(self, *shape: int) -> Tensor:
        """Return normal deviates."""
        return torch.randn(shape, generator=self.generator, device=self.device)

    def log_normal(self, median: float, spread: float, *shape: int) -> Tensor:
        """Return numbers whose logarithm is normal around that of `median`, with deviation `spread`."""
        return median * (spread * self.normal(*shape)).exp()

    def exponential(self, mean: float, *shape: int) -> Tensor:
        """Return numbers with an exponential distribution."""
        return -mean * self.uniform(1e-7, 1.0, *shape).log()

    def happens(self, probability: float, *shape: int) -> Tensor:
        """Return True with `probability`."""
        return torch.rand(shape, generator=self.generator, device=self.device) < probability

    def integers(self, high: int, *shape: int) -> Tensor:
        """Return integers from zero to `high` - 1."""
        return torch.randint(high, shape, generator=self.generator, device=self.device)

    def choice(self, weights: list[float], *shape: int) -> Tensor:
        """Return indices drawn with `weights`, which sum to one."""
        edges = torch.tensor(weights, device=self.device).cumsum(0)[:-1]
        return torch.bucketize(self.uniform(0.0, 1.0, *shape), edges)
