"""Runs whose archive and station metadata lie in a bucket: the same results, storm or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from seisflow.run import run_workflow
from seisflow.run.status import read_ledger
from seisflow.run.store import Store
from tests.run.conftest import SmallArchive
from tests.run.results import COUNTS, assert_same, counts, results
from tests.services.storms import Fault, Storm


def test_a_storm_over_the_archive_of_a_run_loses_nothing(
    storm: Storm,
    small_archive: SmallArchive,
    in_bucket: dict[str, Any],
    quiet: dict[str, pd.DataFrame],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("seisflow.storage.retry._FIRST_WAIT_S", 0.01)
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
    assert_same(results(report), quiet)
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
    assert_same(results(again), quiet)
