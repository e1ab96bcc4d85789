"""Which picks the network links to each root: windows of about one length go through it together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from seisflow.association.linking.features import N_FEATURES, fill_features
from seisflow.association.linking.windows import padded_length, window_ends

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seisflow.association.linking.linker import Linker

__all__ = ["Links", "PickSeries", "predict_links"]

CPU_BATCH_PICKS, GPU_BATCH_PICKS = 2**13, 2**19
"""Picks, padding included, of all windows that go through the network at a time: what bounds the memory."""


@dataclass(frozen=True)
class PickSeries:
    """Picks in order of time; every array has shape (n,).

    Attributes
    ----------
    time_s : array of float64
    north, east : array of float32
        Coordinates of the station as parts of the frame.
    is_s : array of bool
    """

    time_s: NDArray[np.float64]
    north: NDArray[np.float32]
    east: NDArray[np.float32]
    is_s: NDArray[np.bool_]


class Links(NamedTuple):
    """For each root the picks linked to it, in order of time, the root itself first.

    Attributes
    ----------
    first : array of int64, shape (n + 1,)
        Where the picks of each root begin in `pick`.
    pick : array of int64
    """

    first: NDArray[np.int64]
    pick: NDArray[np.int64]


def predict_links(linker: Linker, picks: PickSeries, threshold: float, device: str, n_least: int) -> Links:
    """Return the links of every root whose window has at least `n_least` picks.

    The root is always linked to itself.
    """
    ends = window_ends(picks.time_s, linker.span_s, linker.n_picks)
    counts = ends - np.arange(len(ends))
    lengths = padded_length(counts)
    n_batch = GPU_BATCH_PICKS if device == "cuda" else CPU_BATCH_PICKS
    network = linker.network.to(device)
    roots_found, picks_found = [], []
    for length in np.unique(lengths[counts >= n_least]):
        roots = np.flatnonzero((lengths == length) & (counts >= n_least))
        n_windows = max(1, n_batch // int(length))
        for some in np.split(roots, np.arange(n_windows, len(roots), n_windows)):
            features = np.empty((len(some), length, N_FEATURES), np.float32)
            fill_features(
                features,
                some,
                ends[some],
                picks.north,
                picks.east,
                picks.time_s,
                picks.is_s,
                linker.span_s,
            )
            with torch.inference_mode():
                ready = torch.from_numpy(features).to(device).transpose(0, 1).contiguous()
                linked = (network(ready) >= threshold).T.cpu().numpy()
            linked[:, 0] = True
            linked &= np.arange(length) < counts[some][:, None]
            window, place = np.nonzero(linked)
            roots_found.append(some[window])
            picks_found.append(some[window] + place)
    return _ordered(roots_found, picks_found, len(ends))


def _ordered(roots: list[NDArray[np.int64]], picks: list[NDArray[np.int64]], n: int) -> Links:
    """Return links found batch by batch in the order of their roots."""
    root = np.concatenate([np.zeros(0, np.int64), *roots])
    pick = np.concatenate([np.zeros(0, np.int64), *picks])
    order = np.argsort(root, kind="stable")
    first = np.concatenate([[0], np.cumsum(np.bincount(root, minlength=n))])
    return Links(first.astype(np.int64), pick[order])
