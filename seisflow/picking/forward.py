"""Batches through a network, on a CPU or a GPU by the same code.

A batch is written into a staging buffer, copied to the device and put through the network. On a GPU the buffers
are pinned, the copies do not block, and the next batch is written while one is computed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seisflow.errors import WeightsError
from seisflow.picking.networks.direct import DirectPhaseNet

__all__ = ["Batch", "Team", "device_of", "outputs"]

Network = Callable[[Tensor], Tensor] | DirectPhaseNet
Batch = tuple[int, Callable[[NDArray[np.float32]], None]]
"""How many windows, and what writes them into an array."""


def device_of(wish: str) -> torch.device:
    """Return the device that ``"auto"``, ``"cpu"`` or ``"cuda"`` means here.

    Raises
    ------
    WeightsError
        If a GPU is asked for and there is none.
    """
    if wish == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if wish == "cuda" and not torch.cuda.is_available():
        raise WeightsError("device 'cuda' is asked for, but torch finds no GPU here; take 'auto' or 'cpu'")
    return torch.device(wish)


def outputs(
    network: Network, batches: Iterable[Batch], shape: tuple[int, ...], device: torch.device
) -> Iterator[NDArray[np.float32]]:
    """Yield what a network says about each batch, in order.

    Parameters
    ----------
    network : callable or DirectPhaseNet
        From (window, channel, sample) to (window, class, value), on `device`.
    batches : iterable of Batch
    shape : tuple of int
        Largest batch: windows, channels, samples.
    device : torch.device
    """
    n_slots = 2 if device.type == "cuda" else 1
    kind = _HostSlot if isinstance(network, DirectPhaseNet) else _Slot
    slots = [kind(network, shape, device) for _ in range(n_slots)]
    waiting: deque[_Slot | _HostSlot] = deque()
    for number, (n, write) in enumerate(batches):
        if len(waiting) == n_slots:
            yield waiting.popleft().result()
        slot = slots[number % n_slots]
        write(slot.windows[:n])
        slot.start(n)
        waiting.append(slot)
    for slot in waiting:
        yield slot.result()


class _HostSlot:
    """One batch through a network that is compiled for the CPU."""

    def __init__(self, network: DirectPhaseNet, shape: tuple[int, ...], device: torch.device) -> None:
        if device.type != "cpu":
            raise WeightsError(f"a network compiled for the CPU cannot run on {device}")
        self.windows: NDArray[np.float32] = np.empty(shape, np.float32)
        self._network = network
        self._returned = np.empty((shape[0], network.n_classes, shape[2]), np.float32)
        self._n = 0

    def start(self, n: int) -> None:
        """Compute the first `n` windows."""
        self._network.forward(self.windows[:n], torch.get_num_threads(), self._returned[:n])
        self._n = n

    def result(self) -> NDArray[np.float32]:
        """Return the outputs of the batch sent last; valid until the next is sent."""
        return self._returned[: self._n]


class _Slot:
    """One batch on its way through the device and back."""

    def __init__(
        self, network: Callable[[Tensor], Tensor], shape: tuple[int, ...], device: torch.device
    ) -> None:
        self._is_remote = device.type != "cpu"
        self._staging = torch.empty(shape, dtype=torch.float32, pin_memory=device.type == "cuda")
        self.windows: NDArray[np.float32] = self._staging.numpy()
        self._network, self._device = network, device
        self._returned: Tensor | None = None
        self._arrived = torch.cuda.Event() if device.type == "cuda" else None

    def start(self, n: int) -> None:
        """Send the first `n` windows; on a GPU this returns before they are computed."""
        with torch.inference_mode():
            result = self._network(self._staging[:n].to(self._device, non_blocking=True))
            if self._is_remote:
                if self._returned is None or self._returned.shape[1:] != result.shape[1:]:
                    room = (len(self._staging), *result.shape[1:])
                    self._returned = torch.empty(room, pin_memory=self._device.type == "cuda")
                self._returned[:n].copy_(result, non_blocking=True)
                result = self._returned[:n]
        self._result = result
        if self._arrived is not None:
            self._arrived.record()

    def result(self) -> NDArray[np.float32]:
        """Return the outputs of the batch sent last; valid until the next is sent."""
        if self._arrived is not None:
            self._arrived.synchronize()
        values: NDArray[np.float32] = self._result.numpy()
        return values


class Team:
    """Threads that share the work on an array; the compiled functions they run release Python's lock."""

    def __init__(self, threads: int | None) -> None:
        self.size = threads or torch.get_num_threads()
        self._pool = ThreadPoolExecutor(self.size) if self.size > 1 else None

    def share(self, work: Callable[[slice], None], n: int) -> None:
        """Call `work` with slices that cover ``range(n)``, one a thread."""
        if self._pool is None or n < 2:
            work(slice(0, n))
            return
        edges = np.linspace(0, n, self.size + 1).astype(int).tolist()
        for _ in self._pool.map(work, [slice(a, b) for a, b in zip(edges, edges[1:], strict=False)]):
            pass

    def __enter__(self) -> Team:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()


@contextmanager
def thread_limit(threads: int | None) -> Iterator[None]:
    """Let torch use so many threads for a while; None leaves them as they are."""
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
