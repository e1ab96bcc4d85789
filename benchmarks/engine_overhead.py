"""What the run engine costs beside the work: time for each station-day, and memory of driver and scheduler.

The engine is the real one: `run_workflow` with scan, holdings, plan, ledger and store on disk, tables
at the end, and workers of a Dask LocalCluster. Only the work is left out: the three stages compute
nothing. Time is the wall time of the whole run (scan, plan, tasks, compaction, tables), all
processes together, divided by the station-days. Memory is the peak resident set (VmHWM) of the
process that holds both driver and scheduler; each size runs in a fresh process.

    python benchmarks/engine_overhead.py [--json] [--quick | --full]
"""

from __future__ import annotations

import argparse
import functools
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

import seisflow.run.plan
from seisflow.archive.base import Archive, Scan
from seisflow.association.pyocto import PyOcto
from seisflow.deploy.local import Local
from seisflow.earth import VelocityModel
from seisflow.keys import Period
from seisflow.location.nonlinear import Nonlinear
from seisflow.picking.stalta import StaLta
from seisflow.run import run_workflow
from seisflow.run.stages import Association, Location, Outcome, Picking, Stage
from seisflow.tables import HOLDINGS, REJECTED, empty, validate
from seisflow.waveforms.prepare import Preparation
from seisflow.workflow import Stations, Workflow

STATIONS = 100
WORKERS = 2
FIRST_DAY = np.datetime64("1990-01-01", "D")


class Made(Archive):
    """An archive of `STATIONS` stations with three files a day, of which only the names exist."""

    name: ClassVar[str] = "made"

    def scan(self, period: Period, stations: Sequence[str] | None) -> Scan:
        """Return the files of a period."""
        days = np.array(list(period.days()))
        codes = np.array([f"S{n:03d}" for n in range(STATIONS)])
        frame = pd.DataFrame({"day": np.repeat(days, 3 * STATIONS).astype("datetime64[ns]")})
        frame["network"], frame["location"], frame["band"] = "XX", "", "HH"
        frame["station"] = np.tile(np.repeat(codes, 3), len(days))
        component = np.tile(list("ENZ"), STATIONS * len(days))
        label = np.repeat([day.item().strftime("%Y.%j") for day in days], 3 * STATIONS)
        frame["uri"] = self.root + "/XX." + frame["station"] + "..HH" + component + ".D." + label
        frame["n_bytes"] = 10_000_000
        return Scan(validate(frame, HOLDINGS), empty(REJECTED))

    def scans(self, period: Period, stations: Sequence[str] | None) -> Iterator[Scan]:
        """Yield the files of a period in pieces of some weeks."""
        step = np.timedelta64(30, "D")
        for start in np.arange(period.start, period.end, step):
            yield self.scan(Period(start, min(start + step, period.end)), stations)

    def fetch(self, uris: Sequence[str]) -> dict[str, bytes]:
        """Return nothing, as an archive on a local disk."""
        return {}


@functools.cache
def nothing(stage: type[Stage]) -> Outcome:
    """Return an outcome without rows; made once, as making it is no part of the engine."""
    return Outcome({table: empty(schema) for table, schema in stage.schemas.items()})


class Idle(Stage):
    """A stage that computes nothing."""

    def compute(self, job: object, stations: object, parts: object, contents: Mapping[str, bytes]) -> Outcome:
        """Return no rows."""
        return nothing(type(self))


class IdlePicking(Idle, Picking):
    """Picking without work."""


class IdleAssociation(Idle, Association):
    """Association without work."""


class IdleLocation(Idle, Location):
    """Location without work."""


def idle_stages(workflow: Workflow) -> list[Stage]:
    """Return the three stages of a workflow, none with work to do."""
    picking = IdlePicking(workflow)
    association = IdleAssociation(workflow, picking)
    return [picking, association, IdleLocation(workflow, association)]


def make_workflow(folder: Path, station_days: int) -> Workflow:
    """Return a workflow of some station-days."""
    rows = [f"XX,S{n:03d},,{64 + n / 100:.2f},-17.0,0.0" for n in range(STATIONS)]
    inventory = folder / "stations.csv"
    inventory.write_text("\n".join(["network,station,location,latitude,longitude,elevation_m", *rows]))
    days = max(1, station_days // STATIONS)
    return Workflow(
        name="overhead",
        period=Period(FIRST_DAY, FIRST_DAY + days),
        stations=Stations(inventory=str(inventory)),
        archive=Made(root="/made"),
        preparation=Preparation(),
        picking=StaLta(),
        velocity=VelocityModel(depth_km=(0.0, 20.0), vp_km_s=(5.0, 7.0), vs_km_s=(3.0, 4.0)),
        association=PyOcto(),
        location=Nonlinear(),
        output=str(folder / "run"),
        deployment=Local(workers=WORKERS, dashboard_port=0),
    )


def run_one(station_days: int) -> dict[str, float]:
    """Run one size in this process; return seconds and peak memory."""
    seisflow.run.plan.stages_of = idle_stages
    with tempfile.TemporaryDirectory(prefix="seisflow-overhead-") as folder:
        workflow = make_workflow(Path(folder), station_days)
        with workflow.deployment.connect() as client:
            started = time.perf_counter()
            report = run_workflow(workflow, client)
            seconds = time.perf_counter() - started
    computed = {stage.name: stage.computed for stage in report.stages}
    if computed["picking"] != station_days or len(report.failures):
        raise SystemExit(f"the run computed {computed}, with {len(report.failures)} failures")
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu_s = sum(usage.ru_utime + usage.ru_stime for usage in used)
    return {"seconds": seconds, "cpu_s": cpu_s, "peak_mb": int(found[1]) * 1024 / 1e6}


def in_fresh_process(station_days: int) -> dict[str, float]:
    """Run one size in a process of its own."""
    command = [sys.executable, __file__, "--one", str(station_days)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def name_of(station_days: int) -> str:
    """Return the key of a memory figure: ``scheduler_mb_at_100k``."""
    size = f"{station_days // 10**6}m" if station_days % 10**6 == 0 else f"{station_days // 1000}k"
    return f"scheduler_mb_at_{size}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one line of JSON at the end")
    parser.add_argument("--quick", action="store_true", help="20,000 and 60,000 station-days")
    parser.add_argument("--full", action="store_true", help="also a million station-days")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(run_one(options.one)))
        return
    sizes = [20_000, 60_000] if options.quick else [100_000, 1_000_000] if options.full else [100_000]
    found = {size: in_fresh_process(size) for size in sizes}
    largest = sizes[-1]
    figures = {"overhead_us_per_station_day": round(found[largest]["seconds"] / largest * 1e6, 1)}
    figures["cpu_us_per_station_day"] = round(found[largest]["cpu_s"] / largest * 1e6, 1)
    figures |= {name_of(size): round(result["peak_mb"], 1) for size, result in found.items()}
    if len(sizes) == 2:
        figures["memory_ratio"] = round(found[sizes[1]]["peak_mb"] / found[sizes[0]]["peak_mb"], 3)
    figures |= {"station_days": largest, "workers": WORKERS, "stages": 3}
    for key, value in figures.items():
        print(f"{key:<30} {value}")
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
