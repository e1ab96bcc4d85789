"""What the workers of a Dask client are: how many tasks of a stage they take, and with how much memory.

A worker may declare resources: ``GPU`` (one a device) and ``CPU`` (one a thread). A stage that asks
for a GPU runs only where one is declared; where any worker declares CPU, the other stages run only
there, so that they do not keep GPU workers from their own work.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from seisflow.errors import DeploymentError

if TYPE_CHECKING:
    from distributed import Client

    from seisflow.run.stages import Stage

__all__ = ["Needs", "Workers"]

REFRESH_S = 2.0
ANSWER_S = 60.0
"""A scheduler that takes longer to say who is there is taken for lost: it hangs, or is cut off."""

Needs = Mapping[str, float]
"""Resources that a task takes of its worker, by label."""


class Workers:
    """The workers of a client, looked up at most every `REFRESH_S` seconds.

    Parameters
    ----------
    client : distributed.Client
    """

    def __init__(self, client: Client) -> None:
        self._labels: set[str] = set()
        self.follow(client)

    def follow(self, client: Client) -> None:
        """Look at the workers of another client from now on; labels that were seen still count."""
        self._client = client
        self._found: list[dict[str, Any]] = []
        self._looked = -math.inf

    def look(self, at_once: bool = False) -> None:
        """Ask the scheduler who is there; raises an `OSError` when it does not answer within `ANSWER_S`."""
        if not at_once and time.monotonic() - self._looked < REFRESH_S:
            return
        scheduler = self._client.scheduler
        if scheduler is None:
            raise OSError("the client is closed")
        # Not `scheduler_info`, which waits for ever, and returns what it has where nobody answers.
        known = self._client.sync(scheduler.identity, n_workers=-1, callback_timeout=ANSWER_S)
        self._found = list(known["workers"].values())
        self._labels.update(label for worker in self._found for label in worker["resources"])
        self._looked = time.monotonic()

    def needs(self, stage: Stage) -> Needs:
        """Return what a task of a stage takes; a label counts once seen, though its workers be gone."""
        if stage.resources:
            return dict(stage.resources)
        return {"CPU": 1.0} if "CPU" in self._labels else {}

    def slots(self, needs: Needs) -> int:
        """Return how many tasks with such needs run at once."""
        return sum(_slots(worker, needs) for worker in self._found)

    def memory_mb(self, needs: Needs) -> float | None:
        """Return the memory that the least of the workers for such tasks has for each of them, MB."""
        limits = [
            worker["memory_limit"] / 1e6 / _slots(worker, needs)
            for worker in self._found
            if _slots(worker, needs) and worker["memory_limit"]
        ]
        return min(limits, default=None)

    def check(self, stages: Sequence[Stage]) -> None:
        """Raise a `DeploymentError` if no worker can run one of the stages."""
        for stage in stages:
            needs = self.needs(stage)
            if self.slots(needs):
                continue
            if not self._found:
                raise DeploymentError(
                    f"the scheduler of {self._client} has no workers; start some, then run again"
                )
            wanted = " and ".join(f"{label}={amount:g}" for label, amount in needs.items())
            declared = sorted(
                {f"{k}={v:g}" for worker in self._found for k, v in worker["resources"].items()}
            )
            raise DeploymentError(
                f"stage {stage.name} needs a worker that declares {wanted}; the {len(self._found)} workers "
                f"declare {', '.join(declared) or 'nothing'}. Start such workers "
                "(local: gpu_workers: 1; elsewhere: dask worker --resources GPU=1), "
                "or ask for less in the workflow (device: cpu)"
            )


def _slots(worker: Mapping[str, Any], needs: Needs) -> int:
    declared = worker["resources"]
    amounts = [int(declared.get(label, 0.0) // amount) for label, amount in needs.items() if amount > 0]
    return min([int(worker["nthreads"]), *amounts])
