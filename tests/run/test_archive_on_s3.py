"""Runs whose archive and station metadata lie in a bucket: the same results, storm or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from seisflow.run import RunReport, run_workflow
from seisflow.run.status import read_ledger
from seisflow.run.store import Store
from tests.run.conftest import SmallArchive
from tests.services.storms import Fault, Storm

COUNTS = {"picking": (8, 0), "association": (2, 0), "location": (2, 0)}


def results(report: RunReport) -> dict[str, pd.DataFrame]:
    """Return the tables of a run that do not say where files lie."""
    names = ("picks", "events", "assignments")
    return {name: pd.read_parquet(f"{report.tables}/{name}.parquet") for name in names}


def counts(report: RunReport) -> dict[str, tuple[int, int]]:
    """Return units computed and failed by stage."""
    return {stage.name: (stage.computed, stage.failed) for stage in report.stages}


@pytest.fixture(scope="module")
def quiet(small_archive: SmallArchive, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """Return the results of a run on a disk that nothing disturbed."""
    found = results(run_workflow(small_archive.load(tmp_path_factory.mktemp("quiet") / "disk")))
    assert len(found["events"]) == 2
    return found


@pytest.fixture
def in_bucket(storm: Storm, small_archive: SmallArchive) -> dict[str, Any]:
    """Put the small archive and its stations into a bucket; return their blocks of a workflow."""
    url = storm.server.bucket()
    for path in small_archive.folder.rglob("*"):
        if path.is_file():
            storm.server.put(f"{url}/{path.relative_to(small_archive.folder)}", path.read_bytes())
    storm.forget()
    options = {**storm.server.storage_options, "config_kwargs": {"read_timeout": 1.0}}
    return {
        "archive": {"method": "sds", "root": f"{url}/sds", "storage_options": options},
        "stations": {"inventory": f"{url}/stations.csv", "storage_options": options},
    }


def test_a_storm_over_the_archive_of_a_run_loses_nothing(
    storm: Storm,
    small_archive: SmallArchive,
    in_bucket: dict[str, Any],
    quiet: dict[str, pd.DataFrame],
    tmp_path: Path,
) -> None:
    storm.faults = [
        Fault(share=0.3, first=12),
        Fault(status=500, code="InternalError", share=0.3, first=6),
        Fault("lost", share=0.3, first=4),
        Fault("reset", after_bytes=600, share=0.3, first=4),
        Fault("truncate", after_bytes=600, share=0.3, first=4),
        Fault("stall", after_bytes=600, share=0.3, first=2),
    ]
    report = run_workflow(small_archive.load(tmp_path / "bucket", **in_bucket))
    assert [fault.struck for fault in storm.faults] == [fault.first for fault in storm.faults]
    assert counts(report) == COUNTS
    for name, table in results(report).items():
        pd.testing.assert_frame_equal(table, quiet[name])
    ledger = read_ledger(Store(str(tmp_path / "bucket")))
    assert len(ledger) == ledger["unit"].add(ledger["stage"]).nunique() == 12


def test_an_outage_is_recorded_and_the_next_run_makes_it_good(
    storm: Storm,
    small_archive: SmallArchive,
    in_bucket: dict[str, Any],
    quiet: dict[str, pd.DataFrame],
    tmp_path: Path,
) -> None:
    in_bucket["archive"]["patience_s"] = 0.5
    storm.faults = [Fault(methods=("GET",), pattern="*/CCC/*.D.2020.002")]
    report = run_workflow(small_archive.load(tmp_path / "bucket", **in_bucket))
    assert counts(report)["picking"] == (8, 2)  # the day before reads it, too, for its margin
    ledger = read_ledger(Store(str(tmp_path / "bucket")))
    reasons = ledger.loc[ledger["status"] == "failed", "reason"]
    assert len(reasons) == 2
    assert all("SlowDown (HTTP 503)" in reason and "given up after" in reason for reason in reasons)
    storm.calm()
    again = run_workflow(small_archive.load(tmp_path / "bucket", **in_bucket))
    assert counts(again)["picking"] == (2, 0)
    for name, table in results(again).items():
        pd.testing.assert_frame_equal(table, quiet[name])
