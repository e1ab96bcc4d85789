"""The demo: a synthetic network-day with known truth, the whole workflow on it, and the comparison."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from rich.console import Console

    from seisflow.run import RunReport
    from seisflow.synthetic import Scenario, SyntheticTruth
    from seisflow.workflow import Workflow

__all__ = ["run_demo"]

TIME_TOLERANCE_S = 1.5
DISTANCE_TOLERANCE_KM = 10.0
PICK_TOLERANCE_S = 0.5
VISIBLE_SNR = 5.0
"""Peak over rms noise; weaker onsets drown, so they do not count as missed (noise itself reaches 3)."""


def run_demo(folder: Path, seed: int = 1, as_json: bool = False, scenario: Scenario | None = None) -> int:
    """Make the archive, run the workflow, compare with the truth, print where everything is.

    Parameters
    ----------
    folder : Path
        Receives ``archive/``, ``workflow.yaml`` and ``run/``.
    seed : int
        Seed of the archive.
    as_json : bool
        Print the figures as one line of JSON at the end.
    scenario : Scenario, optional
        What to simulate; None means 12 stations, one day and 150 earthquakes.

    Returns
    -------
    int
        Exit status: 0 all done, 1 some units failed.
    """
    from rich.console import Console

    from seisflow.run.reporting import report_run
    from seisflow.synthetic import Scenario, make_archive
    from seisflow.workflow import load_workflow

    started = time.monotonic()
    console = Console(stderr=True)
    scenario = scenario or Scenario()
    hours = scenario.duration_s / 3600.0
    console.print(
        f"making {hours:g} h of {scenario.n_stations} stations with {scenario.n_events} earthquakes ..."
    )
    truth = make_archive(folder / "archive", scenario, seed)
    made_s = time.monotonic() - started
    workflow = load_workflow(_write_workflow(folder, truth))
    done = _run(workflow, console)
    figures = compare_with_truth(workflow, truth)
    report = report_run(workflow, figures)
    seconds = time.monotonic() - started
    _print(figures, done, report, seconds)
    if as_json:
        timing = {
            "seconds": round(seconds, 1),
            "seconds_archive": round(made_s, 1),
            "seconds_run": round(done.seconds, 1),
        }
        print(json.dumps(figures | timing | {"failures": len(done.failures), "report": str(report)}))
    return done.exit_status


def compare_with_truth(workflow: Workflow, truth: SyntheticTruth) -> dict[str, Any]:
    """Return recall, precision and errors of a run on a synthetic archive."""
    from seisflow.run.results import read_catalog
    from seisflow.run.store import Store
    from seisflow.synthetic import compare_catalogs, compare_picks
    from seisflow.tables import LOCATED

    store = Store(workflow.output)
    found = read_catalog(store.uri(store.tables))
    located = found.events[found.events["status"].isin(LOCATED)]
    events = compare_catalogs(
        located,
        truth.catalog.events,
        time_tolerance_s=TIME_TOLERANCE_S,
        distance_tolerance_km=DISTANCE_TOLERANCE_KM,
    )
    assigned = found.picks[found.picks["pick_id"].isin(found.assignments["pick_id"])]
    visible = compare_picks(
        assigned, truth.visible_picks(VISIBLE_SNR), tolerance_s=PICK_TOLERANCE_S
    ).summary()
    true_picks = compare_picks(assigned, truth.catalog.picks, tolerance_s=PICK_TOLERANCE_S).summary()
    picks = {key: value for key, value in visible.items() if key.endswith("recall")}
    picks |= {key: value for key, value in true_picks.items() if not key.endswith("recall")}
    figures = {key: round(value, 4) if isinstance(value, float) else value for key, value in picks.items()}
    summary = {key: round(v, 4) if isinstance(v, float) else v for key, v in events.summary().items()}
    return summary | figures


def _write_workflow(folder: Path, truth: SyntheticTruth) -> Path:
    """Write the workflow file of the demo, to read, change and run again."""
    period = truth.scenario.period
    content = {
        "name": "demo",
        "period": {"start": str(period.start)[:19], "end": str(period.end)[:19]},
        "stations": {"inventory": "archive/stations.xml"},
        "archive": {"method": "sds", "root": "archive/sds"},
        "velocity": {"path": "archive/velocity.csv"},
        "preparation": {"sampling_rate_hz": truth.scenario.sampling_rate_hz},
        "picking": {"method": "bundled", "p_threshold": 0.3, "s_threshold": 0.3, "threads": 1},
        "association": {"method": "pyocto"},
        "location": {"method": "nonlinear"},
        "output": "run",
        "deployment": {"method": "local"},
    }
    path = folder / "workflow.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def _run(workflow: Workflow, console: Console) -> RunReport:
    from seisflow.run import run_workflow
    from seisflow.run.progress import ProgressDisplay

    with workflow.deployment.connect() as client:  # type: ignore[attr-defined]
        console.print(f"dashboard: {client.dashboard_link}")
        with ProgressDisplay(console) as progress:
            return run_workflow(workflow, client, show=progress.show)


def _print(figures: dict[str, Any], done: RunReport, report: str, seconds: float) -> None:
    """Print the comparison and where things are."""

    def shown(name: str, unit: str) -> str:
        return "unknown" if figures[name] is None else f"{figures[name]:.3g} {unit}"

    print(
        f"events: {figures['reference_found']} of {figures['reference_total']} found "
        f"(recall {figures['event_recall']:.3f}), precision {figures['event_precision']:.3f}\n"
        f"median error: epicentre {shown('median_epicentre_error_km', 'km')}, "
        f"depth {shown('median_depth_error_km', 'km')}, origin time {shown('median_time_error_s', 's')}\n"
        f"assigned picks: median |error| P {shown('median_abs_p_residual_s', 's')}, "
        f"S {shown('median_abs_s_residual_s', 's')}\n"
        f"catalogue: {done.tables}/events.parquet\n"
        f"report: {report}\n"
        f"workflow: {Path(done.store.root).parent / 'workflow.yaml'}\n"
        f"{seconds:.0f} s, {len(done.failures)} failures"
    )
