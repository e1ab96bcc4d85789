"""Run a workflow: lease, plan, execute, tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from seisflow.run.execute import StageState, execute
from seisflow.run.executor import DaskExecutor, Executor, SerialExecutor
from seisflow.run.lease import Lease
from seisflow.run.plan import make_plan
from seisflow.run.results import write_tables
from seisflow.run.status import ledger_table
from seisflow.run.store import Store
from seisflow.tables import LEDGER

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client

    from seisflow.workflow import Workflow

__all__ = ["RunReport", "StageReport", "run_workflow"]


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
    on_progress: Callable[[Sequence[StageState]], None] = lambda states: None,
) -> RunReport:
    """Compute what is left of a workflow; a run that was interrupted goes on where it stopped.

    Parameters
    ----------
    workflow : Workflow
    client : distributed.Client, optional
        Where to run; None runs everything in this process.
    on_progress : callable, optional
        Told the states of the stages after every task.

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
    store = Store(workflow.output, workflow.storage_options)
    with Lease(store) as lease:

        def tell(states: Sequence[StageState]) -> None:
            """Pass the progress on, as long as the run is ours."""
            lease.check()
            on_progress(states)

        plan = make_plan(workflow)
        plan.save()
        executor: Executor = SerialExecutor() if client is None else DaskExecutor(client, workflow.name)
        units_per_task = int(getattr(workflow.deployment, "units_per_task", 1))
        states = execute(plan, executor, units_per_task, tell, lease.order(1))
        tables = write_tables(states, store, plan.stations)
        entries = chain.from_iterable(state.entries.values() for state in states)
        ledger = ledger_table(plan.rejected, entries)
        store.write_table("ledger.parquet", ledger, LEDGER)
    stages = [
        StageReport(
            name=state.plan.stage.name,
            computed=state.computed,
            kept=state.kept,
            failed=len(state.failed),
            n_rows=sum(entry.n_rows for entry in state.entries.values()),
        )
        for state in states
    ]
    failures = ledger[ledger["status"] == "failed"].reset_index(drop=True)
    return RunReport(stages, failures, tables, store, time.monotonic() - started)
