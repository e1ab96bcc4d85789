"""What every deployment must do: give workers that compute the same tables, and close them."""

from __future__ import annotations

import threading
from pathlib import Path

import psutil

from seisflow.deploy import Deployment
from seisflow.run import run_workflow
from tests.run.conftest import SmallArchive
from tests.run.test_resume import counts, tables


class DeploymentContract:
    """Subclass it and return the deployment under test."""

    def deployment(self) -> Deployment:
        """Return the deployment under test."""
        raise NotImplementedError

    def test_it_computes_what_one_process_computes(self, small_archive: SmallArchive, tmp_path: Path) -> None:
        with self.deployment().connect() as client:
            report = run_workflow(small_archive.load(tmp_path / "run"), client)
        assert counts(report) == {"picking": (8, 0), "association": (2, 0), "location": (2, 0)}
        assert tables(report) == small_archive.undisturbed()

    def test_it_leaves_nothing_behind(self) -> None:
        me = psutil.Process()
        before = {child.pid for child in me.children(recursive=True)}
        with self.deployment().connect():
            pass
        left = [
            c
            for c in me.children(recursive=True)
            if c.pid not in before and "resource_tracker" not in " ".join(c.cmdline())
        ]
        assert [c for c in left if c.is_running() and c.status() != psutil.STATUS_ZOMBIE] == []
        assert threading.main_thread().is_alive()

    def test_it_listens_on_loopback_only(self) -> None:
        """No socket of this process or its children is open to others: scheduler, workers, dashboards."""
        me = psutil.Process()
        before = _listening(me)
        with self.deployment().connect() as client:
            if client is not None:
                assert "127.0.0.1" in client.scheduler.address
            opened = {
                place for process in (me, *me.children(recursive=True)) for place in _listening(process)
            }
        assert {host for host, _ in opened - before} <= {"127.0.0.1", "::1"}

    def test_it_never_enters_a_fingerprint(self, small_archive: SmallArchive, tmp_path: Path) -> None:
        from seisflow.run.stages import stages_of

        here = small_archive.load(tmp_path / "run")
        there = here.model_copy(update={"deployment": self.deployment()})
        assert [s.fingerprint for s in stages_of(here)] == [s.fingerprint for s in stages_of(there)]


def _listening(process: psutil.Process) -> set[tuple[str, int]]:
    """Return the addresses and ports that a process listens on."""
    try:
        return {tuple(c.laddr) for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    except psutil.NoSuchProcess:
        return set()
