"""Memory: a 200 Hz day of six channels fits 2 GB, its peak is known before; long runs do not grow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from seisflow.run import run_workflow
from seisflow.run.plan import make_plan
from seisflow.run.status import read_ledger
from tests.run.conftest import SmallArchive, write_tables

RATE_HZ = 200.0


@pytest.fixture(scope="module")
def large_day(tmp_path_factory: pytest.TempPathFactory) -> SmallArchive:
    """Write a whole day of one station: two bands of three components at 200 Hz, Steim2."""
    import obspy

    folder = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(3)
    n = int(86_400 * RATE_HZ)
    for band in ("HH", "HN"):
        for component in "ZNE":
            samples = rng.normal(0.0, 300.0, n).astype(np.int32)
            header = {"network": "XX", "station": "AAA", "channel": f"{band}{component}"}
            header |= {"sampling_rate": RATE_HZ, "starttime": obspy.UTCDateTime("2020-01-01")}
            path = folder / "sds" / "2020" / "XX" / "AAA" / f"{band}{component}.D"
            path.mkdir(parents=True)
            name = f"XX.AAA..{band}{component}.D.2020.001"
            obspy.Trace(samples, header).write(
                str(path / name), format="MSEED", reclen=512, encoding="STEIM2"
            )
    write_tables(folder)
    return SmallArchive(folder, 1)


def test_a_large_day_fits_a_small_worker_and_its_estimate_is_above_but_near(
    large_day: SmallArchive, tmp_path: Path
) -> None:
    deployment = {"method": "local", "workers": 1, "memory_gb": 2.0, "dashboard_port": 0}
    changes = {"preparation": {}, "deployment": deployment}
    workflow = large_day.load(tmp_path / "run", association=None, location=None, **changes)
    with workflow.deployment.connect() as client:
        report = run_workflow(workflow, client)
    assert report.exit_status == 0, report.failures["reason"].tolist()
    measured_mb = float(read_ledger(report.store)["peak_memory_mb"].iloc[0])
    plan = make_plan(workflow)
    estimated_mb = plan.stages[0].stage.memory_mb(plan.stages[0].units(0)[0])
    assert measured_mb < estimated_mb < 2.0 * measured_mb, (measured_mb, estimated_mb)
    assert estimated_mb < 2000.0


def test_a_day_that_can_not_fit_is_recorded_and_kills_no_worker(
    large_day: SmallArchive, tmp_path: Path
) -> None:
    deployment = {"method": "local", "workers": 1, "memory_gb": 1.0, "dashboard_port": 0}
    workflow = large_day.load(
        tmp_path / "run", association=None, location=None, preparation={}, deployment=deployment
    )
    with workflow.deployment.connect() as client:
        report = run_workflow(workflow, client)
        workers = client.scheduler_info()["workers"]
    assert "needs about" in report.failures["reason"][0]
    assert "workers have 950 MB" in report.failures["reason"][0]
    assert len(workers) == 1
    assert report.failures["attempts"].tolist() == [1]


GROW = """
import resource, sys
from pathlib import Path
from seisflow.run import run_workflow
from tests.run.conftest import make_small_archive

def rss_mb():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6

archive = make_small_archive(Path(sys.argv[1]) / "archive", days=20)
seen = []
for number in range(4):
    workflow = archive.load(
        Path(sys.argv[1]) / f"run{number}",
        association=None,
        location=None,
        preparation={"sampling_rate_hz": 5.0},
        deployment={"method": "serial", "units_per_task": 4},
    )
    run_workflow(workflow, None, lambda tally: seen.append(rss_mb()))
print(4 * 80, max(seen[: len(seen) // 2]), max(seen))
"""


def test_a_process_that_computes_hundreds_of_units_does_not_grow(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", GROW, str(tmp_path)], capture_output=True, text=True, check=True
    )
    n_units, middle_mb, end_mb = map(float, done.stdout.split())
    assert n_units == 320
    assert end_mb < middle_mb + 25.0, "no more than the allocator's slack"
