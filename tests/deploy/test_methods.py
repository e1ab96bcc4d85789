"""Every deployment keeps the contract."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from seisflow.deploy.dask import Dask
from seisflow.deploy.local import Local
from seisflow.deploy.serial import Serial
from seisflow.errors import DeploymentError, WorkflowError
from seisflow.method import build
from tests.deploy.contract import DeploymentContract
from tests.run.clusters import Cluster, cluster


class TestSerial(DeploymentContract):
    def deployment(self) -> Serial:
        return Serial()


class TestLocal(DeploymentContract):
    def deployment(self) -> Local:
        return Local(workers=2, dashboard_port=0)


class TestLocalWithGpuWorkers(DeploymentContract):
    def deployment(self) -> Local:
        return Local(workers=1, gpu_workers=1, dashboard_port=0)


class TestDask(DeploymentContract):
    @pytest.fixture(scope="class")
    def running(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
        """Give a cluster that somebody else started."""
        with cluster(tmp_path_factory.mktemp("cluster")) as made:
            made.scheduler()
            made.worker("a")
            yield made

    @pytest.fixture(autouse=True)
    def _use(self, running: Cluster) -> None:
        self.running = running

    def deployment(self) -> Dask:
        return Dask(address=self.running.address)

    def test_it_leaves_the_cluster_alone(self) -> None:
        with self.deployment().connect():
            pass
        with self.deployment().connect() as client:
            assert len(client.scheduler_info()["workers"]) == 1


def test_a_scheduler_that_does_not_answer_is_said() -> None:
    with (
        pytest.raises(DeploymentError, match=r"no Dask scheduler answers at tcp://127.0.0.1:1 within 0.5 s"),
        Dask(address="tcp://127.0.0.1:1", connect_s=0.5).connect(),
    ):
        pass


def test_a_scheduler_without_workers_is_said(tmp_path: Path) -> None:
    with cluster(tmp_path) as made:
        made.scheduler()
        with (
            pytest.raises(DeploymentError, match=r"has no worker after 2 s"),
            Dask(address=made.address, connect_s=2.0).connect(),
        ):
            pass


@pytest.mark.parametrize("place", [{}, {"address": "tcp://h:1", "scheduler_file": "f"}])
def test_one_place_is_needed(place: dict[str, str]) -> None:
    with pytest.raises(WorkflowError, match="either address or scheduler_file"):
        build("deploy", {"method": "dask", **place})
