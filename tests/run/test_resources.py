"""GPU and CPU tasks side by side by labels; what no worker can do ends a run before it begins."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from seisflow.deploy.dask import Dask
from seisflow.deploy.local import Local
from seisflow.errors import DeploymentError
from seisflow.picking.phasenet import PhaseNet
from seisflow.picking.stalta import StaLta
from seisflow.run import run_workflow
from seisflow.run.stages import Stage, stages_of
from seisflow.run.store import Store
from seisflow.run.task import Result, run_task
from seisflow.run.units import Job
from seisflow.run.workers import Workers
from tests.run.clusters import cluster
from tests.run.conftest import SmallArchive
from tests.run.test_resume import counts, tables


@pytest.fixture
def picker_wants_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a picker ask for a GPU that need not be there."""
    monkeypatch.setattr(StaLta, "resources", property(lambda self: {"GPU": 1.0}))


def signed(stage: Stage, store: Store, jobs: Sequence[Job]) -> Result:
    """Note which worker computed a task, and which device it shows."""
    from distributed import get_worker

    result = run_task(stage, store, jobs)
    device = os.environ.get("CUDA_VISIBLE_DEVICES")
    for entry in result.entries:
        name = f"signed/{stage.name}-{entry.unit}"
        store.write_bytes(name, f"{get_worker().name} {device}".encode())
    return result


def signatures(store: Store) -> dict[str, set[str]]:
    """Return worker and device of all tasks, by stage."""
    found: dict[str, set[str]] = {}
    for key in store.keys("signed"):
        found.setdefault(key.split("/")[-1].split("-")[0], set()).add(store.read_bytes(key).decode())
    return found


def test_a_picker_asks_for_a_gpu_by_name_only() -> None:
    assert PhaseNet(device="cuda").resources == {"GPU": 1.0}
    assert PhaseNet(device="auto").resources == {}
    assert StaLta().resources == {}


@pytest.mark.usefixtures("picker_wants_gpu")
def test_each_stage_runs_where_it_belongs(
    small_archive: SmallArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seisflow.run.dask_executor.run_task", signed)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    workflow = small_archive.load(tmp_path / "run")
    with Local(workers=1, gpu_workers=1, dashboard_port=0).connect() as client:
        report = run_workflow(workflow, client)
    assert counts(report) == {"picking": (8, 0), "association": (2, 0), "location": (2, 0)}
    assert signatures(report.store) == {
        "picking": {"gpu-0 3"},
        "association": {"cpu-0 "},
        "location": {"cpu-0 "},
    }
    monkeypatch.undo()
    assert tables(report) == tables(run_workflow(small_archive.load(tmp_path / "undisturbed")))


@pytest.mark.usefixtures("picker_wants_gpu")
def test_a_gpu_that_nobody_has_ends_a_run_before_the_scan(
    small_archive: SmallArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*arguments: object) -> None:
        raise AssertionError("the archive was scanned")

    monkeypatch.setattr("seisflow.run.workflow.make_plan", never)
    workflow = small_archive.load(tmp_path / "run")
    said = r"picking needs a worker that declares GPU=1.*declare nothing"
    with Local(workers=1, dashboard_port=0).connect() as client, pytest.raises(DeploymentError, match=said):
        run_workflow(workflow, client)


class FakeClient:
    """A client whose scheduler tells of given workers."""

    def __init__(self, *workers: dict[str, object]) -> None:
        blank = {"nthreads": 2, "resources": {}, "memory_limit": 4_000_000_000}
        self.found = {str(number): blank | worker for number, worker in enumerate(workers)}

    @property
    def scheduler(self) -> FakeClient:
        return self

    def identity(self, n_workers: int) -> dict[str, object]:
        assert n_workers == -1, "five workers are not all"
        return {"workers": self.found}

    def sync(self, ask: Callable[..., object], n_workers: int, callback_timeout: float) -> object:
        return ask(n_workers=n_workers)


def workers_of(*found: dict[str, object]) -> Workers:
    """Return what is known of made-up workers."""
    workers = Workers(FakeClient(*found))  # type: ignore[arg-type]
    workers.look()
    return workers


def test_labels_count_only_where_somebody_declares_them(small_archive: SmallArchive, tmp_path: Path) -> None:
    association = stages_of(small_archive.load(tmp_path / "run"))[1]
    assert workers_of({}, {}).needs(association) == {}
    assert workers_of({}, {"resources": {"GPU": 1.0}}).needs(association) == {}
    labelled = workers_of({"resources": {"CPU": 2.0}}, {"resources": {"GPU": 1.0}})
    assert labelled.needs(association) == {"CPU": 1.0}


def test_tasks_in_flight_are_counted_by_what_they_need() -> None:
    workers = workers_of(
        {"resources": {"CPU": 2.0}},
        {"resources": {"CPU": 2.0}, "memory_limit": 3_000_000_000},
        {"resources": {"GPU": 1.0}, "nthreads": 8},
    )
    assert workers.slots({"CPU": 1.0}) == 4
    assert workers.slots({"GPU": 1.0}) == 1
    assert workers.slots({"GPU": 2.0}) == 0
    assert workers.slots({}) == 12
    assert workers.memory_mb({"CPU": 1.0}) == 1500.0
    assert workers.memory_mb({"GPU": 1.0}) == 4000.0


def test_labels_of_a_cluster_that_is_there_are_honoured(
    small_archive: SmallArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seisflow.run.dask_executor.run_task", signed)
    monkeypatch.setattr(StaLta, "resources", property(lambda self: {"GPU": 1.0}))
    with cluster(tmp_path / "cluster", CUDA_VISIBLE_DEVICES="") as made:
        made.scheduler()
        made.worker("plain", "--resources", "CPU=1")
        made.worker("fast", "--resources", "GPU=1")
        with Dask(address=made.address).connect() as client:
            report = run_workflow(small_archive.load(tmp_path / "run"), client)
    assert signatures(report.store) == {
        "picking": {"fast "},
        "association": {"plain "},
        "location": {"plain "},
    }
