"""The plan: counted by columns, made window by window, the same units whatever is asked first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from seisflow.archive.base import Scan
from seisflow.errors import ArchiveError
from seisflow.keys import Period
from seisflow.run.cost import estimate_cost
from seisflow.run.execute import execute
from seisflow.run.holdings import collect, count_days
from seisflow.run.plan import make_plan
from seisflow.tables import HOLDINGS, REJECTED, empty, validate
from tests.run.conftest import SmallArchive
from tests.run.large import START, Imagined, large_workflow


def holdings_of(*rows: tuple[str, str, str, int]) -> Scan:
    """Return a scan of (station, day, uri, bytes)."""
    frame = pd.DataFrame(rows, columns=["station", "day", "uri", "n_bytes"])
    frame["day"] = pd.to_datetime(frame["day"])
    return Scan(
        validate(frame.assign(network="XX", location="", band="HH"), HOLDINGS),
        empty(REJECTED),
    )


def test_days_are_counted_over_the_borders_of_row_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seisflow.run.holdings.ROWS_PER_GROUP", 2)
    scan = holdings_of(
        ("A", "2020-01-01", "a1", 10),
        ("A", "2020-01-01", "a2", 10),
        ("B", "2020-01-01", "b1", 10),
        ("A", "2020-01-02", "long", 100),
        ("A", "2020-01-03", "long", 100),
        ("A", "2020-01-04", "long", 100),
        ("B", "2020-01-04", "b4", 7),
        ("C", "2020-01-05", "outside", 999),
    )
    holdings, _ = collect([scan])
    days, codes = count_days(holdings, Period("2020-01-01", "2020-01-05"))
    assert [str(start.date()) for start in days["start"]] == [f"2020-01-0{n}" for n in (1, 2, 3, 4)]
    assert days["station_days"].tolist() == [2, 1, 1, 2]
    assert days["n_bytes"].tolist() == [30, 100, 0, 7], "a file counts once, on its first day"
    assert codes == {("XX", "A"), ("XX", "B")}


def test_a_file_that_begins_before_the_period_counts_in_it() -> None:
    scan = holdings_of(("A", "2020-01-01", "long", 100), ("A", "2020-01-02", "long", 100))
    days, _ = count_days(collect([scan])[0], Period("2020-01-02", "2020-01-03"))
    assert days["n_bytes"].tolist() == [100]


def test_scans_that_overlap_are_an_error() -> None:
    first, second = holdings_of(("A", "2020-01-02", "a", 1)), holdings_of(("A", "2020-01-01", "b", 1))
    with pytest.raises(ArchiveError, match="overlap"):
        collect([first, second])


def test_units_are_the_same_in_any_order(tmp_path: Path) -> None:
    workflow = large_workflow(tmp_path, days=45, n_stations=3, missing=(7, 20, 21))
    plan = make_plan(workflow)
    assert len(plan.windows) == 42
    numbers = list(range(len(plan.windows)))
    forward = {number: plan.stages[0].units(number) for number in numbers}
    backward = {number: make_plan(workflow).stages[0].units(number) for number in reversed(numbers)}
    assert forward == backward
    assert sum(map(len, forward.values())) == plan.stages[0].total == 3 * 42
    assert all([u.name for u in forward[n]] == plan.stages[0].names(n) for n in numbers)
    inputs = [unit.inputs for units in forward.values() for unit in units]
    assert len(set(inputs)) == len(inputs)


def test_a_station_day_reads_the_days_beside_it_that_there_are(tmp_path: Path) -> None:
    plan = make_plan(large_workflow(tmp_path, days=12, n_stations=1, missing=(5,)))
    days = {unit.name[-10:]: unit for n in range(len(plan.windows)) for unit in plan.stages[0].units(n)}
    day_4 = days[str(START + 4)]
    assert {uri[-10:] for uri in day_4.uris} == {str(START + 3), str(START + 4)}
    assert {uri[-10:] for uri in days[str(START)].uris} == {str(START - 1), str(START), str(START + 1)}
    assert day_4.n_bytes == 6000
    assert day_4.n_channels == 3


def test_network_days_need_the_windows_within_the_margin(tmp_path: Path) -> None:
    plan = make_plan(large_workflow(tmp_path, days=10, n_stations=1, missing=(5,)))
    _, association, location = plan.stages
    assert [list(association.near(n)) for n in (0, 3, 4, 5, 8)] == [[0, 1], [2, 3, 4], [3, 4], [5, 6], [7, 8]]
    assert [list(location.near(n)) for n in (0, 4, 8)] == [[0], [4], [8]]


def test_what_is_done_is_counted_without_making_units(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(large_workflow(tmp_path, days=70, n_stations=4))
    plan.save()
    fresh = estimate_cost(plan)
    assert [(cost.total, cost.done, cost.measured) for cost in fresh] == [
        (280, 0, False),
        (70, 0, False),
        (70, 0, False),
    ]
    executor = Imagined(seconds=lambda job: 90.0)
    shorter = make_plan(large_workflow(tmp_path, days=40, n_stations=3))
    execute(shorter, executor, lambda tally: None)
    costs = estimate_cost(plan)
    assert [(cost.name, cost.done, cost.left) for cost in costs] == [
        ("picking", 120, 160),
        ("association", 40, 30),
        ("location", 40, 30),
    ]
    assert costs[0].measured and costs[0].core_hours == pytest.approx(160 * 90 / 3600)


def test_a_plan_reads_the_scan_of_the_last_run_unless_asked_to_look(make_archive, tmp_path: Path) -> None:
    archive: SmallArchive = make_archive(2)
    workflow = archive.load(tmp_path / "run")
    make_plan(workflow).save()
    next((archive.folder / "sds").rglob("XX.AAA..HHZ.D.2020.002")).unlink()
    known, looked = make_plan(workflow, rescan=False), make_plan(workflow)
    assert known.n_bytes > looked.n_bytes
    other = archive.load(
        tmp_path / "run", stations={"inventory": workflow.stations.inventory, "select": ["XX.A*"]}
    )
    assert make_plan(other, rescan=False).stages[0].total == 2, "another selection is another scan"


COUNT_MANY = """
import resource, sys, time
from pathlib import Path
from seisflow.run.cost import estimate_cost
from seisflow.run.plan import make_plan
from tests.run.large import large_workflow
plan = make_plan(large_workflow(Path(sys.argv[1]), days=int(sys.argv[2]), n_stations=100, files_per_day=1))
costs = estimate_cost(plan)
print(costs[0].total, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_a_larger_archive_takes_no_more_memory_to_plan(tmp_path: Path) -> None:
    found = []
    for days in (200, 2000):
        done = subprocess.run(
            [sys.executable, "-c", COUNT_MANY, str(tmp_path / str(days)), str(days)],
            capture_output=True,
            text=True,
            check=True,
        )
        total, peak_kb = map(int, done.stdout.split())
        assert total == 100 * days
        found.append(peak_kb)
    assert found[1] < 1.2 * found[0]
