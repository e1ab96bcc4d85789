"""Run a workflow: lease, plan, execute, tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seisflow.errors import CorruptPartError
from seisflow.run.execute import execute
from seisflow.run.executor import Executor, executor_for
from seisflow.run.feed import Feed
from seisflow.run.lease import Lease
from seisflow.run.plan import Plan, make_plan
from seisflow.run.results import write_results
from seisflow.run.stages import Stage, stages_of
from seisflow.run.store import Store
from seisflow.run.tally import StageTally, Tally

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client

    from seisflow.run.snapshot import Snapshot
    from seisflow.workflow import Workflow

__all__ = ["RunReport", "StageReport", "run_workflow"]

MOST_PASSES = 3
"""How often a plan is executed: after that, damage to what was just written is the disk's."""


@dataclass(frozen=True)
class StageReport:
    """Counts of one stage after a run: units computed now, kept from before, and failed."""

    name: str
    computed: int
    kept: int
    failed: int
    n_rows: int


@dataclass(frozen=True)
class RunReport:
    """What a run did.

    Attributes
    ----------
    stages : list of StageReport
    failures : LEDGER table
        Units that failed and files that could not be read, with their reasons.
    tables : str
        Path or URL of the folder of the resulting tables.
    store : Store
    seconds : float
        Wall time.
    """

    stages: list[StageReport]
    failures: pd.DataFrame
    tables: str
    store: Store
    seconds: float

    @property
    def exit_status(self) -> int:
        """0 all done, 1 some units failed."""
        return 1 if len(self.failures) else 0


def run_workflow(
    workflow: Workflow,
    client: Client | None = None,
    on_progress: Callable[[Tally], None] = lambda tally: None,
    show: Callable[[Snapshot], None] | None = None,
    say: Callable[[str], None] = lambda line: None,
    stages: Sequence[Stage] | None = None,
) -> RunReport:
    """Compute what is left of a workflow; a run that was interrupted goes on where it stopped.

    Parameters
    ----------
    workflow : Workflow
    client : distributed.Client, optional
        Where to run; None runs everything in this process.
    on_progress : callable, optional
        Told the tally of the stages after every task.
    show : callable, optional
        Given a snapshot now and then, from a thread: what a terminal shows.
    say : callable, optional
        Told a line now and then while the archive is filled, if it is one of downloads.
    stages : sequence of Stage, optional
        None means those that the workflow asks for.

    Returns
    -------
    RunReport

    Raises
    ------
    LeaseError
        If another driver holds the run.
    ArchiveError, MetadataError
        If archive or inventory can not be read at all.
    """
    started = time.monotonic()
    stages = stages_of(workflow) if stages is None else stages
    store = Store(workflow.output, workflow.storage_options)
    with Lease(store) as lease:
        store.sweep()
        executor = executor_for(workflow, client)
        with Feed(workflow.name, store, lambda: executor.client, show, lease.check) as feed:

            def tell(tally: Tally) -> None:
                """Pass the progress on, as long as the run is ours."""
                lease.check()
                feed.update(tally)
                on_progress(tally)

            def speak(line: str) -> None:
                lease.check()
                say(line)

            executor.check(stages)
            workflow.archive.acquire(workflow.period, workflow.stations.select, speak)
            plan = make_plan(workflow, stages)
            plan.save()
            reports, tables, failures = _compute(plan, executor, feed, tell, lease.order(1))
            for stage in stages:
                stage.publish(plan)
    return RunReport(reports, failures, tables, store, time.monotonic() - started)


def _compute(
    plan: Plan, executor: Executor, feed: Feed, tell: Callable[[Tally], None], order: int
) -> tuple[list[StageReport], str, pd.DataFrame]:
    """Execute a plan and write its result; again, if what was computed turns out to be damaged."""
    deployment = plan.workflow.deployment
    limits = {"task_s": deployment.task_s, "grace_s": deployment.grace_s}  # type: ignore[attr-defined]
    most = deployment.units_per_task  # type: ignore[attr-defined]
    tallies: list[Tally] = []
    while True:
        feed.enter("computing")
        tallies.append(execute(plan, executor, tell, order=order, units_per_task=most, **limits))
        feed.enter("writing tables")
        try:
            tables, failures = write_results(plan, order)
        except CorruptPartError:
            if len(tallies) == MOST_PASSES:
                raise
        else:
            return [_report(passes) for passes in zip(*tallies, strict=True)], tables, failures


def _report(passes: Sequence[StageTally]) -> StageReport:
    """Return the counts of a stage: all that was computed, and what the last pass found."""
    last = passes[-1]
    computed = sum(tally.computed for tally in passes)
    return StageReport(last.name, computed, passes[0].kept, last.failed, last.rows)
