"""Batches through a network, on a CPU or a GPU by the same code.

A batch is written into a buffer and put through the network. On a CPU the threads share its windows. On a GPU
the buffers are pinned, the copies do not block, and the next batch is written while one is computed.

Torch, which takes 180 MB of memory, is imported only where a network needs it.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Barrier, Lock
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from seisflow.errors import WeightsError
from seisflow.picking.networks.direct import DirectPhaseNet

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Batch", "Network", "Team", "device_of", "outputs"]

Network: TypeAlias = "Callable[[Tensor], Tensor] | DirectPhaseNet"
Batch = tuple[int, Callable[[NDArray[np.float32]], None]]
"""How many windows, and what writes them into an array."""

_STARTING = Lock()
"""Held while the number of torch's threads, which the whole process shares, is another for a moment."""


GPU_FILES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""On Linux one of these is there where torch can find a GPU."""


def device_of(wish: str) -> str:
    """Return what ``"auto"``, ``"cpu"`` or ``"cuda"`` means here: ``"cpu"`` or ``"cuda"``.

    Raises
    ------
    WeightsError
        If a GPU is asked for and there is none.
    """
    if wish == "cpu":
        return "cpu"
    if "torch" not in sys.modules and sys.platform == "linux" and not any(map(os.path.exists, GPU_FILES)):
        found = False
    else:
        import torch

        found = torch.cuda.is_available()
    if wish == "cuda" and not found:
        raise WeightsError("device 'cuda' is asked for, but torch finds no GPU here; take 'auto' or 'cpu'")
    return "cuda" if found else "cpu"


def outputs(
    network: Network, batches: Iterable[Batch], shape: tuple[int, ...], device: str, team: Team
) -> Iterator[NDArray[np.float32]]:
    """Yield what a network says about each batch, in order.

    Parameters
    ----------
    network : callable or DirectPhaseNet
        From (window, channel, sample) to (window, class, value), on `device`.
    batches : iterable of Batch
    shape : tuple of int
        Largest batch: windows, channels, samples.
    device : {"cpu", "cuda"}
    team : Team
        Threads that share a batch on a CPU.
    """
    if device == "cpu":
        slots: list[_HostSlot] | list[_DeviceSlot] = [_HostSlot(network, shape, team)]
    elif isinstance(network, DirectPhaseNet):
        raise WeightsError(f"a network compiled for the CPU cannot run on {device}")
    else:
        slots = [_DeviceSlot(network, shape, device) for _ in range(2)]
    waiting: deque[_HostSlot | _DeviceSlot] = deque()
    for number, (n, write) in enumerate(batches):
        if len(waiting) == len(slots):
            yield waiting.popleft().result()
        slot = slots[number % len(slots)]
        write(slot.windows[:n])
        slot.start(n)
        waiting.append(slot)
    for slot in waiting:
        yield slot.result()


class _HostSlot:
    """A batch through a network on the CPU: each thread takes a share of the windows."""

    def __init__(self, network: Network, shape: tuple[int, ...], team: Team) -> None:
        self.windows: NDArray[np.float32] = np.empty(shape, np.float32)
        self._network, self._team = network, team
        self._returned: NDArray[np.float32] | None = None
        if isinstance(network, DirectPhaseNet):
            self._returned = np.empty((shape[0], network.n_classes, shape[2]), np.float32)
        self._lock, self._n = Lock(), 0

    def start(self, n: int) -> None:
        """Compute the first `n` windows."""
        self._n = n
        if isinstance(self._network, DirectPhaseNet):
            assert self._returned is not None
            self._network.forward(self.windows[:n], self._team.size, self._returned[:n])
        else:
            self._team.share(self._compute, n)

    def _compute(self, part: slice) -> None:
        import torch

        assert not isinstance(self._network, DirectPhaseNet)
        with torch.inference_mode():
            values = self._network(torch.from_numpy(self.windows[part])).numpy()
        with self._lock:
            if self._returned is None:
                self._returned = np.empty((len(self.windows), *values.shape[1:]), np.float32)
        self._returned[part] = values

    def result(self) -> NDArray[np.float32]:
        """Return the outputs of the batch started last; valid until the next is started."""
        assert self._returned is not None
        return self._returned[: self._n]


class _DeviceSlot:
    """A batch on its way to a GPU and back: copies and kernels are queued, nothing waits for them here."""

    def __init__(self, network: Callable[[Tensor], Tensor], shape: tuple[int, ...], device: str) -> None:
        import torch

        self._torch: Any = torch
        pinned = device == "cuda"
        self._staging = torch.empty(shape, dtype=torch.float32, pin_memory=pinned)
        self.windows: NDArray[np.float32] = self._staging.numpy()
        self._network, self._device, self._n = network, device, 0
        self._returned: Tensor | None = None
        self._arrived = torch.cuda.Event() if pinned else None  # type: ignore[no-untyped-call]

    def start(self, n: int) -> None:
        """Send the first `n` windows; returns before they are computed."""
        torch = self._torch
        with torch.inference_mode():
            result = self._network(self._staging[:n].to(self._device, non_blocking=True))
            if self._returned is None:
                room = (len(self._staging), *result.shape[1:])
                self._returned = torch.empty(room, pin_memory=self._arrived is not None)
            self._returned[:n].copy_(result, non_blocking=True)
        self._n = n
        if self._arrived is not None:
            self._arrived.record()

    def result(self) -> NDArray[np.float32]:
        """Return the outputs of the batch sent last; valid until the next is sent."""
        if self._arrived is not None:
            self._arrived.synchronize()
        assert self._returned is not None
        values: NDArray[np.float32] = self._returned[: self._n].numpy()
        return values


class Team:
    """Threads that share the work on an array.

    What they run releases Python's lock: compiled functions, and torch with one thread each, which
    needs no barriers after every layer. Threads that come later take the number that was set last in the
    process, so the caller's is set again at once: what else it does with torch keeps its threads.

    Parameters
    ----------
    threads : int, optional
        None takes as many as torch would, or OMP_NUM_THREADS, or as there are processors.
    """

    def __init__(self, threads: int | None) -> None:
        self.size = threads or _usual_threads()
        self._pool = ThreadPoolExecutor(self.size)
        if "torch" in sys.modules:  # or nothing of it runs here
            self._alone_in_torch()

    def _alone_in_torch(self) -> None:
        import torch

        with _STARTING:
            before, together = torch.get_num_threads(), Barrier(self.size)

            def alone(_: int) -> None:
                torch.get_num_threads()  # or the thread takes the process's at its first computation
                torch.set_num_threads(1)
                together.wait()

            for _ in self._pool.map(alone, range(self.size)):
                pass
            torch.set_num_threads(before)

    def share(self, work: Callable[[slice], None], n: int) -> None:
        """Call `work` with slices that cover ``range(n)``, one a thread."""
        edges = np.linspace(0, n, min(self.size, n) + 1).astype(int).tolist()
        for _ in self._pool.map(work, [slice(a, b) for a, b in pairwise(edges)]):
            pass

    def __enter__(self) -> Team:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()


def _usual_threads() -> int:
    if "torch" in sys.modules:
        return int(sys.modules["torch"].get_num_threads())
    wished = os.environ.get("OMP_NUM_THREADS", "")
    return int(wished) if wished.isdigit() and int(wished) else len(os.sched_getaffinity(0))
