"""The whole chain against truth: a synthetic archive, and the real swarm where its data are."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from seisflow.demo import run_demo
from seisflow.run import run_workflow
from seisflow.synthetic import Scenario
from seisflow.workflow import load_workflow

ROOT = Path(__file__).parent.parent


def test_the_demo_finds_what_it_planted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenario = Scenario(
        start="2024-03-01T23:30:00", duration_s=3600.0, n_events=16, n_families=1, family_size=4
    )
    assert run_demo(tmp_path, seed=3, as_json=True, scenario=scenario) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["reference_total"] == 16
    assert figures["event_recall"] >= 0.85
    assert figures["event_precision"] >= 0.9
    assert figures["median_epicentre_error_km"] <= 1.5
    assert figures["median_depth_error_km"] <= 3.0
    assert figures["median_abs_p_residual_s"] <= 0.05
    assert Path(figures["report"]).stat().st_size > 100_000


@pytest.mark.parametrize(("picker", "least"), [("phasenet", 24), ("bundled", 20)])
def test_the_real_swarm_is_found(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, picker: str, least: int
) -> None:
    monkeypatch.setenv("SEISFLOW_SHARED", str(shared.resolve()))
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import real_iceland

    file = ROOT / "workflows" / real_iceland.WORKFLOWS[picker]
    report = run_workflow(load_workflow(file, [f"output={tmp_path}"]))
    assert report.exit_status == 0
    figures, _ = real_iceland.compare(report.tables, shared / "data" / "iceland_dike_2014" / "reference")
    assert figures["reference_total"] == 27
    assert figures["reference_found"] >= least
    assert figures["median_abs_p_residual_s"] <= 0.10
    assert figures["median_abs_s_residual_s"] <= 0.15
    assert figures["fewest_stations"] >= 4
    sys.modules.pop("real_iceland", None)
