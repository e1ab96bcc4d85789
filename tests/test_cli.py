"""The command line: what it prints, what it leaves, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from seisflow.cli import app
from seisflow.run import run_workflow
from seisflow.tables import EVENTS, PICKS, read_table
from tests.run.conftest import SOURCE, SmallArchive, make_small_archive


def seisflow(*arguments: str | Path) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> SmallArchive:
    """Return a small archive of one day."""
    return make_small_archive(tmp_path_factory.mktemp("cli"), days=1)


@pytest.fixture(scope="module")
def finished(archive: SmallArchive) -> Path:
    """Return the workflow file of a run that is done."""
    path = archive.workflow(archive.folder / "finished")
    run_workflow(archive.load(archive.folder / "finished"))
    return path


def test_run_status_failures_report_and_plan(archive: SmallArchive, tmp_path: Path) -> None:
    path = archive.workflow(tmp_path / "run")
    planned = seisflow("plan", path)
    assert "4 stations" in planned.stdout
    assert "picking      4 units, 0 done, 4 left" in planned.stdout
    done = seisflow("run", path, "--json")
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["failures"] == 0
    assert figures["stages"]["location"] == {"computed": 1, "kept": 0, "failed": 0, "rows": 1}
    assert (tmp_path / "run" / "report.html").exists()
    status = json.loads(seisflow("status", path, "--json").stdout)
    assert [stage["ok"] for stage in status["stages"]] == [4, 1, 1]
    assert status["driver"] == {}
    assert "picking      4 units, 4 done, 0 left" in seisflow("plan", path).stdout
    assert seisflow("failures", path).stdout == ""


def test_export_gives_the_event(finished: Path, tmp_path: Path) -> None:
    import obspy

    done = seisflow("export", finished, "--format", "quakeml", "--out", tmp_path)
    assert done.exit_code == 0, done.output
    catalog = obspy.read_events(done.stdout.splitlines()[0])
    assert len(catalog) == 1
    assert catalog[0].origins[0].latitude == pytest.approx(SOURCE[0], abs=0.02)
    assert len(catalog[0].picks) == 8


def test_stages_on_plain_files(archive: SmallArchive, tmp_path: Path) -> None:
    files = sorted((archive.folder / "sds").rglob("*.D.2020.001"))
    picks = tmp_path / "picks.csv"
    picked = seisflow("pick", *files, "--out", picks, "--picker", "stalta")
    assert picked.exit_code == 0, picked.output
    assert len(read_table(picks, PICKS)) == 8
    broken = tmp_path / "broken.mseed"
    broken.write_text("not a waveform")
    partly = seisflow("pick", *files, broken, "--out", picks, "--picker", "stalta")
    assert partly.exit_code == 1
    assert "broken.mseed" in partly.stderr
    assert "8 picks" in partly.stdout
    plain = pd.read_csv(picks)[["network", "station", "phase", "time"]]
    plain.to_csv(picks, index=False)
    common = ["--stations", archive.folder / "stations.csv", "--velocity", archive.folder / "velocity.csv"]
    associated = seisflow("associate", "--picks", picks, *common, "--out", tmp_path / "associated")
    assert "1 events with 8 of 8 picks" in associated.stdout, associated.output
    located = seisflow("locate", "--catalog", tmp_path / "associated", *common, "--out", tmp_path / "located")
    assert "1 of 1 events located" in located.stdout, located.output
    event = read_table(tmp_path / "located" / "events.parquet", EVENTS).iloc[0]
    assert event["latitude"] == pytest.approx(SOURCE[0], abs=0.02)
    assert event["longitude"] == pytest.approx(SOURCE[1], abs=0.04)
    empty = tmp_path / "empty.csv"
    empty.write_text("network,station,phase,time\nXX,AAA,P,2020-01-01T00:00:00\n")
    nothing = seisflow("associate", "--picks", empty, *common, "--out", tmp_path / "nothing")
    assert "no events" in nothing.stdout
    assert "1 pick" in nothing.stdout


def test_check_and_methods(finished: Path) -> None:
    checked = seisflow("check", finished)
    assert "p_threshold" in checked.stdout
    listed = seisflow("methods", "picking").stdout
    assert "phasenet" in listed
    assert "separation_s = 0.5" in listed
    assert "Smallest probability of a P pick" in listed
    assert "device = auto  [auto, cpu, cuda]  (no effect on the result)" in listed
    one = seisflow("methods", "picking", "phasenet").stdout
    assert "stalta" not in one
    assert "p_threshold = null  [> 0, < 1]" in one
    assert "References: Zhu" in one


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "absent.yaml"], "absent.yaml: can not be read"),
        (["methods", "kitchen"], "unknown room 'kitchen'"),
        (["methods", "picking", "phasenett"], "unknown method 'phasenett'"),
        (["pick", "absent.mseed", "--out", "x.csv"], "absent.mseed"),
    ],
)
def test_bad_input_ends_with_status_2_and_one_message(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "seisflow.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_status_of_nothing_says_what_to_do(archive: SmallArchive, tmp_path: Path) -> None:
    path = archive.workflow(tmp_path / "never")
    done = subprocess.run(
        [sys.executable, "-m", "seisflow.cli", "status", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "start it with: seisflow run" in done.stderr
