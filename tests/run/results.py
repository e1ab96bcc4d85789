"""What a run of the small archive has to come to, wherever that archive lies."""

from __future__ import annotations

import pandas as pd

from seisflow.run import RunReport

COUNTS = {"picking": (8, 0), "association": (2, 0), "location": (2, 0)}


def results(report: RunReport) -> dict[str, pd.DataFrame]:
    """Return the tables of a run that do not say where files lie."""
    names = ("picks", "events", "assignments")
    return {name: pd.read_parquet(f"{report.tables}/{name}.parquet") for name in names}


def counts(report: RunReport) -> dict[str, tuple[int, int]]:
    """Return units computed and failed by stage."""
    return {stage.name: (stage.computed, stage.failed) for stage in report.stages}


def assert_same(found: dict[str, pd.DataFrame], expected: dict[str, pd.DataFrame]) -> None:
    """Compare the tables of two runs."""
    assert found.keys() == expected.keys()
    for name, table in found.items():
        pd.testing.assert_frame_equal(table, expected[name])
