"""Run the workflows of the Iceland swarm on the real data and compare with the reference catalogue.

Usage: python benchmarks/real_iceland.py [--picker phasenet|bundled|both] [--set block.key=value ...]

Each picker has its workflow: workflows/iceland-2014.yaml (PhaseNet; its weights lie with the data) and
workflows/iceland-2014-bundled.yaml. The last line is JSON, by picker. Matching is one to one: origin
times within 1 s, epicentres within 3 km; picks of the same station and phase within 0.5 s.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from seisflow.run import run_workflow
from seisflow.run.reporting import report_run
from seisflow.run.results import read_catalog
from seisflow.synthetic import compare_catalogs, compare_picks
from seisflow.tables import EVENTS, LOCATED, PICKS, pick_ids, validate
from seisflow.workflow import load_workflow

ROOT = Path(__file__).resolve().parent.parent
ORIGIN_TOLERANCE_S = 1.0
EPICENTRE_TOLERANCE_KM = 3.0
PICK_TOLERANCE_S = 0.5
WORKFLOWS = {"phasenet": "iceland-2014.yaml", "bundled": "iceland-2014-bundled.yaml"}
COLUMNS = [
    "time",
    "latitude",
    "longitude",
    "depth_km",
    "n_p",
    "n_s",
    "rms_s",
    "gap_deg",
    "horizontal_error_km",
]
"""Columns of EVENTS that are printed of events beside the reference."""


def read_reference(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return EVENTS and PICKS of the reference: only picks that were really picked."""
    events = pd.concat([pd.read_csv(path, dtype={"EventID": str}) for path in sorted(folder.glob("*.event"))])
    picks = pd.concat([pd.read_csv(path) for path in sorted(folder.glob("*.picks"))])
    picks = picks[picks["PickTime"].astype(str) != "-1"]
    event_table = pd.DataFrame(
        {
            "event_id": events["EventID"].astype(str),
            "time": pd.to_datetime(events["DT"], utc=True),
            "latitude": events["Y"],
            "longitude": events["X"],
            "depth_km": events["Z"],
        }
    ).assign(
        n_p=0, n_s=0, magnitude=events["ML"], magnitude_type="ML", method="reference", status="reference"
    )
    pick_table = pd.DataFrame(
        {
            "station": picks["Station"],
            "phase": picks["Phase"],
            "time": pd.to_datetime(picks["PickTime"], utc=True),
        }
    ).assign(network="Z7", location="", band="HH", probability=1.0, polarity="", method="reference")
    pick_table["pick_id"] = pick_ids(pick_table)
    return validate(event_table, EVENTS), validate(pick_table.drop_duplicates("pick_id"), PICKS)


def main() -> int:
    """Run, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picker", choices=[*WORKFLOWS, "both"], default="both")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    arguments = parser.parse_args()
    shared = Path(os.environ.setdefault("SEISFLOW_SHARED", str((ROOT / ".." / "shared").resolve())))
    reference = shared / "data" / "iceland_dike_2014" / "reference"
    if not reference.is_dir():
        print(f"skipped: there is no {reference}; set SEISFLOW_SHARED to the folder with the real data")
        return 0
    pickers = list(WORKFLOWS) if arguments.picker == "both" else [arguments.picker]
    result, status = {}, 0
    for picker in pickers:
        workflow = load_workflow(ROOT / "workflows" / WORKFLOWS[picker], arguments.settings)
        with workflow.deployment.connect() as client:  # type: ignore[attr-defined]
            done = run_workflow(workflow, client)
        figures, extra = compare(done.tables, reference)
        print(f"{picker}: report: {report_run(workflow, figures)}")
        print(f"{picker}: {len(extra)} located events beside the reference:")
        print(extra[COLUMNS].to_string(index=False, float_format="%.3f"))
        result[picker] = figures | {"failures": len(done.failures), "seconds": round(done.seconds, 1)}
        status = max(status, done.exit_status)
    print(json.dumps(result))
    return status


def compare(tables: str, reference_folder: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """Return the figures, and the events that are not in the reference."""
    reference_events, reference_picks = read_reference(reference_folder)
    found = read_catalog(tables)
    located = found.events[found.events["status"].isin(LOCATED)]
    events = compare_catalogs(
        located,
        reference_events,
        time_tolerance_s=ORIGIN_TOLERANCE_S,
        distance_tolerance_km=EPICENTRE_TOLERANCE_KM,
    )
    picks = compare_picks(found.picks, reference_picks, tolerance_s=PICK_TOLERANCE_S)
    stations = found.assignments.merge(found.picks, on="pick_id").groupby("event_id")["station"].nunique()
    figures = (
        events.summary() | picks.summary() | {"fewest_stations": int(stations.min()) if len(stations) else 0}
    )
    rounded = {key: round(value, 4) if isinstance(value, float) else value for key, value in figures.items()}
    return rounded, events.extra


if __name__ == "__main__":
    sys.exit(main())
