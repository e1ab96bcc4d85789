"""The driver: tasks in flight are bounded, stages overlap, progress is told, names are readable."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rich.console import Console

from seisflow.deploy.local import Local
from seisflow.run import run_workflow
from seisflow.run.execute import execute
from seisflow.run.executor import Done, SerialExecutor
from seisflow.run.plan import make_plan
from seisflow.run.progress import ProgressDisplay
from seisflow.run.stages import Stage
from seisflow.run.store import Store
from seisflow.run.units import Job
from tests.run.conftest import SmallArchive, make_small_archive


@dataclass
class Watched:
    """An executor that notes what is in flight, and in which order units end."""

    bound: int = 3
    inner: SerialExecutor = field(default_factory=SerialExecutor)
    in_flight: int = 0
    most: int = 0
    order: list[str] = field(default_factory=list)

    def free(self, stage: Stage) -> int:
        return self.bound - self.in_flight

    def stop(self) -> None:
        self.inner.stop()

    def submit(self, stage: Stage, store: Store, jobs: Sequence[Job]) -> None:
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        self.inner.submit(stage, store, jobs)

    def next_done(self, timeout_s: float | None = None) -> Done | None:
        done = self.inner.next_done(timeout_s)
        if done is None:
            return None
        self.in_flight -= 1
        self.order += [f"{done.stage.name} {job.unit.name}" for job in done.jobs]
        return done


def test_tasks_in_flight_are_bounded_and_stages_overlap(tmp_path: Path) -> None:
    archive = make_small_archive(tmp_path / "archive", days=4)
    plan = make_plan(archive.load(tmp_path / "run"))
    plan.save()
    executor = Watched()
    tally = execute(plan, executor, lambda tally: None, units_per_task=1)
    assert executor.most == 3
    assert [(stage.computed, stage.settled, stage.left) for stage in tally] == [
        (16, 16, 0),
        (4, 4, 0),
        (4, 4, 0),
    ]
    assert len(executor.order) == len(set(executor.order)) == 24, "nothing is computed twice"
    located = executor.order.index("location network.2020-01-01")
    last_picked = max(n for n, name in enumerate(executor.order) if name.startswith("picking"))
    assert located < last_picked, "the first day is located before the last is picked"
    for day in ("2020-01-01", "2020-01-02"):
        associated = executor.order.index(f"association network.{day}")
        needed = [f"picking XX.{station}.{day}" for station in ("AAA", "BBB", "CCC", "DDD")]
        assert all(executor.order.index(name) < associated for name in needed)


def test_progress_is_a_line_with_counts_and_reasons_where_there_is_no_terminal(
    small_archive: SmallArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seisflow.run.progress.LINE_EVERY_S", 0.0)
    stations = small_archive.folder / "fewer.csv"
    lines = (small_archive.folder / "stations.csv").read_text().splitlines()
    stations.write_text("\n".join(line for line in lines if ",DDD," not in line))
    written = io.StringIO()
    workflow = small_archive.load(tmp_path / "run", stations={"inventory": str(stations)})
    with ProgressDisplay(Console(file=written, width=200)) as progress:
        report = run_workflow(workflow, show=progress.show)
    assert report.exit_status == 1
    last = written.getvalue().splitlines()[-1]
    assert "picking 8/8" in last
    assert "location 2/2" in last
    assert "2 MetadataError" in last


def test_the_dashboard_shows_stages_and_station_days(small_archive: SmallArchive, tmp_path: Path) -> None:
    with Local(workers=1, dashboard_port=0).connect() as client:
        run_workflow(small_archive.load(tmp_path / "run"), client)
        spans = client.run_on_scheduler(
            lambda dask_scheduler: sorted(dask_scheduler.extensions["spans"].spans_search_by_name)
        )
        prefixes = client.run_on_scheduler(lambda dask_scheduler: sorted(dask_scheduler.task_prefixes))
    for stage in ("picking", "association", "location"):
        assert stage in prefixes
        assert ("seisflow small", stage) in spans
