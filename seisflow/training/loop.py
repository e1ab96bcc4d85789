"""The loop that trains a network: deterministic, continued where it stopped, and never interrupted halfway.

Everything random in a step follows from the seed and the number of the step, so a training that was
interrupted gives the same weights as one that was not, on the same kind of device.
"""

from __future__ import annotations

import copy
import csv
import math
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from seisflow.errors import WorkflowError
from seisflow.training.recipe import BaseRecipe

__all__ = ["Loop", "Progress"]

CHECKPOINT = "checkpoint.pt"
CURVES = "curves.csv"
Progress = Callable[[dict[str, float]], None]


Network = TypeVar("Network", bound=nn.Module)


class Loop(ABC, Generic[Network]):
    """A training in a folder, which holds the checkpoint and the curves.

    Parameters
    ----------
    recipe : BaseRecipe
    folder : Path
    build : callable
        Makes the network with random weights, which follow from the recipe's seed.
    start : dict of Tensor, optional
        Weights to begin with instead.

    Attributes
    ----------
    network : torch.nn.Module
        What is trained.
    mean : torch.nn.Module
        The network with the running mean of the weights: what a training is for.
    step : int
        Steps done.
    curves : list of dict
        A row for each report.
    """

    def __init__(
        self,
        recipe: BaseRecipe,
        folder: Path,
        build: Callable[[], Network],
        start: dict[str, Tensor] | None = None,
    ) -> None:
        torch.set_num_threads(recipe.threads)
        torch.backends.cudnn.deterministic = True
        torch.manual_seed(recipe.seed)
        network = build()
        if start is not None:
            network.load_state_dict(start)
        self.folder, self.start = folder, start
        self.device = recipe.torch_device()
        self.step = 0
        self.curves: list[dict[str, float]] = []
        self._recipe = recipe
        self.network = network.to(self.device)
        self.mean = copy.deepcopy(network).eval().requires_grad_(False)
        self.optimiser = torch.optim.AdamW(
            network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
        )

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a hash of all that decides the weights."""

    @cached_property
    def _digest(self) -> str:
        """The fingerprint, taken once: real records may be gigabytes."""
        return self.fingerprint()

    def _start_bytes(self) -> bytes:
        """Return the weights begun with, for the fingerprint."""
        values = [value for _, value in sorted((self.start or {}).items())]
        return b"".join(value.detach().cpu().contiguous().numpy().tobytes() for value in values)

    @abstractmethod
    def _loss(self) -> Tensor:
        """Return the loss of the examples of step `self.step`."""

    @abstractmethod
    def _measure(self) -> dict[str, float]:
        """Return the scores of the running mean on held-out examples."""

    def resume(self) -> None:
        """Continue from the checkpoint in the folder.

        Raises
        ------
        WorkflowError
            If there is none, it cannot be read, or it belongs to another recipe.
        """
        path = self.folder / CHECKPOINT
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
        except FileNotFoundError as error:
            raise WorkflowError(f"{path}: there is no training to resume; leave out --resume") from error
        except Exception as error:  # torch raises many kinds for a damaged file
            raise WorkflowError(f"{path}: the checkpoint cannot be read: {error}") from error
        if state["recipe"] != self._digest:
            raise WorkflowError(
                f"{path}: the checkpoint belongs to another recipe; use the options of the first call, or "
                "another --out"
            )
        self.network.load_state_dict(state["network"])
        self.mean.load_state_dict(state["mean"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.curves = state["step"], state["curves"]

    def run(self, seconds: float | None = None, show: Progress | None = None) -> bool:
        """Train to the last step, or for some time; return whether the last step is done.

        Raises
        ------
        KeyboardInterrupt
            If one came: after the step that it came in, and the checkpoint.
        """
        end = math.inf if seconds is None else time.monotonic() + seconds
        begin, losses, last = time.monotonic(), [], self.step
        with _between_steps() as interrupted:
            while self.step < self._recipe.steps:
                losses.append(self._one_step())
                if self.step % self._recipe.report_every == 0 or self.step == self._recipe.steps:
                    each_s = (time.monotonic() - begin) / (self.step - last)
                    row = self._report(sum(losses) / len(losses), each_s)
                    begin, losses, last = time.monotonic(), [], self.step
                    if show:
                        show(row)
                if interrupted.is_set() or time.monotonic() > end:
                    break
            self.save()
        return self.step == self._recipe.steps

    def save(self) -> None:
        """Write the checkpoint: whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / CHECKPOINT
        part = path.with_suffix(".part")
        state: dict[str, Any] = {
            "recipe": self._digest,
            "network": self.network.state_dict(),
            "mean": self.mean.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "curves": self.curves,
        }
        torch.save(state, part)
        part.replace(path)

    def _one_step(self) -> float:
        """Take a step of the optimiser; return the loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = self._recipe.learning_rate_of(self.step)
        self.network.train()
        loss = self._loss()
        if not torch.isfinite(loss):
            raise WorkflowError(
                f"step {self.step}: the loss is {float(loss.detach())}; take a lower learning_rate and "
                "another --out, or look for samples that are not finite in the records"
            )
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        self._average()
        return float(loss.detach())

    def _average(self) -> None:
        """Let the running mean follow the weights, faster in the beginning."""
        keep = min(self._recipe.averaging, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            now = self.network.state_dict()
            for name, value in self.mean.state_dict().items():
                if value.dtype.is_floating_point:
                    value.mul_(keep).add_(now[name], alpha=1 - keep)
                else:
                    value.copy_(now[name])

    def _report(self, loss: float, seconds: float) -> dict[str, float]:
        """Measure the running mean, write the curves and the checkpoint."""
        row = {"step": self.step, "seconds_per_step": round(seconds, 4), "loss": round(loss, 5)}
        row |= self._measure()
        self.curves.append(row)
        self.save()
        with (self.folder / CURVES).open("w", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            writer.writeheader()
            writer.writerows(self.curves)
        return row


@contextmanager
def _between_steps() -> Iterator[threading.Event]:
    """Hold an interrupt back until the block is left: half a step could not be continued exactly.

    A second one is not held back.
    """
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted  # signals come to the main thread only
        return

    def note(number: int, frame: FrameType | None) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if interrupted.is_set():
        raise KeyboardInterrupt
