"""Batched inference: a network slides over a record, and overlapping windows are stacked.

Windows start at multiples of the hop counted from 1970, so that the same stretch of data meets the same
windows wherever the record is cut. A window's outputs are weighted by a triangle that is largest in its
middle, where the network sees both sides of an onset; the triangles of half-overlapping windows
add up to a constant.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Sliding", "annotate", "peaks", "sample_number"]


@dataclass(frozen=True)
class Sliding:
    """How a network slides over a record.

    Attributes
    ----------
    n_window, n_hop : int
        Samples in a window, and between the starts of neighbouring windows.
    n_classes : int
        Classes of the network's output.
    norm : str
        ``"std"`` divides each component of a window by its standard deviation, ``"peak"`` by its
        largest absolute value; both after the mean is removed.
    detrend : bool
        Remove a straight line instead of the mean.
    batch_size : int
        Windows in one call of the network.
    """

    n_window: int
    n_hop: int
    n_classes: int = 3
    norm: str = "std"
    detrend: bool = False
    batch_size: int = 64


def sample_number(start: np.datetime64, rate_hz: float) -> int:
    """Return how many samples lie between 1970 and `start`."""
    rate = Fraction(rate_hz).limit_denominator(1_000_000)
    nanoseconds = int(start.astype("datetime64[ns]").astype(np.int64))
    return (2 * nanoseconds * rate.numerator + rate.denominator * 10**9) // (2 * rate.denominator * 10**9)


def annotate(
    network: torch.nn.Module,
    traces: NDArray[np.float32],
    first_sample: int,
    sliding: Sliding,
    *,
    device: str = "auto",
    threads: int | None = None,
) -> NDArray[np.float32]:
    """Return the class probabilities of every sample, shape (class, sample).

    Parameters
    ----------
    network : torch.nn.Module
        From (window, component, sample) to (window, class, sample).
    traces : ndarray of float32, shape (component, sample)
        Missing samples NaN; they enter the network as zeros. The components are in its order.
    first_sample : int
        Number of the first sample, counted from 1970 (see `sample_number`).
    sliding : Sliding
    device : {"auto", "cpu", "cuda"}
    threads : int, optional
        Threads of the network on a CPU; None leaves them as they are.

    Returns
    -------
    ndarray of float32
        Zero where no window holds live data. Independent of the batch size within 1e-5.
    """
    n = traces.shape[1]
    lead = first_sample % sliding.n_hop + sliding.n_window - sliding.n_hop
    n_windows = -(-(lead + n) // sliding.n_hop)
    padded = np.full((len(traces), (n_windows - 1) * sliding.n_hop + sliding.n_window), np.nan, np.float32)
    padded[:, lead : lead + n] = traces
    views = sliding_window_view(padded, sliding.n_window, axis=1)[:, :: sliding.n_hop].swapaxes(0, 1)
    triangle = np.minimum(np.arange(sliding.n_window), np.arange(sliding.n_window)[::-1]) + 0.5
    triangle = (triangle / triangle.max()).astype(np.float32)
    total = np.zeros((sliding.n_classes, padded.shape[1]), np.float32)
    weight = np.zeros(padded.shape[1], np.float32)
    for numbers, outputs in _batches(network, views, sliding, device, threads):
        for number, output in zip(numbers, outputs, strict=True):
            span = slice(number * sliding.n_hop, number * sliding.n_hop + sliding.n_window)
            total[:, span] += output * triangle
            weight[span] += triangle
    total /= np.where(weight > 0, weight, 1)
    return total[:, lead : lead + n]


def _batches(
    network: torch.nn.Module, views: NDArray[np.float32], sliding: Sliding, device: str, threads: int | None
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Yield the numbers of the live windows of a batch and what the network says about them."""
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    network = network.to(device)
    with _thread_limit(threads), torch.inference_mode():
        for first in range(0, len(views), sliding.batch_size):
            batch = torch.from_numpy(np.ascontiguousarray(views[first : first + sliding.batch_size])).to(
                device
            )
            batch, live = _normalised(batch, sliding)
            if live.any():
                outputs = network(batch[live]).cpu().numpy()
                yield first + np.flatnonzero(live.cpu().numpy()), outputs


def _normalised(batch: Tensor, sliding: Sliding) -> tuple[Tensor, Tensor]:
    """Return windows with zero mean and unit scale over the samples there are, and which are alive."""
    import torch

    present = ~torch.isnan(batch)
    n_present = present.sum(dim=-1, keepdim=True).clamp(min=1)
    batch = torch.nan_to_num_(batch, nan=0.0)
    batch = (batch - batch.sum(dim=-1, keepdim=True) / n_present) * present
    if sliding.detrend:
        clock = torch.arange(batch.shape[-1], device=batch.device, dtype=batch.dtype).expand_as(batch)
        clock = (clock - (clock * present).sum(dim=-1, keepdim=True) / n_present) * present
        slope = (batch * clock).sum(dim=-1, keepdim=True) / clock.square().sum(dim=-1, keepdim=True).clamp(
            min=1
        )
        batch = batch - slope * clock
    if sliding.norm == "peak":
        scale = batch.abs().amax(dim=-1, keepdim=True)
    else:
        scale = (batch.square().sum(dim=-1, keepdim=True) / n_present).sqrt()
    return batch / torch.where(scale > 0, scale, 1), (scale > 0).any(dim=1).squeeze(-1)


@contextmanager
def _thread_limit(threads: int | None) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def peaks(curve: NDArray[np.float32], threshold: float, n_apart: int) -> NDArray[np.int64]:
    """Return the samples where a curve is at least `threshold` and largest within `n_apart` on both sides.

    Whether a sample is a peak depends on that neighbourhood only. Of equal samples the first counts.
    """
    from scipy.ndimage import maximum_filter1d

    high = np.flatnonzero(curve >= threshold)
    if not len(high):
        return high
    top: NDArray[np.int64] = high[
        curve[high] == maximum_filter1d(curve, 2 * n_apart + 1, mode="nearest")[high]
    ]
    apart: NDArray[np.bool_] = np.diff(top, prepend=top[:1] - n_apart - 1) > n_apart
    return top[apart]
