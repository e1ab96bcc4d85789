"""Amplitudes of a run: metres a second where responses are, else counts; no response is read in vain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import obspy
import pandas as pd
import pytest

from seisflow.archive import stationxml
from seisflow.errors import WorkflowError
from seisflow.plain import pick_files
from seisflow.run import RunReport, run_workflow
from seisflow.run.results import read_catalog
from seisflow.run.stages import stages_of
from seisflow.tables import PICKS, read_table
from tests.run.conftest import STATIONS, SmallArchive
from tests.run.responses import write_responses

PICKS_ONLY = {"association": None, "location": None}
SENSITIVITY = 1500.0 * 419430.0


def run(archive: SmallArchive, output: Path, inventory: Path, **changes: Any) -> RunReport:
    """Pick the small archive."""
    return run_workflow(archive.load(output, stations={"inventory": str(inventory)}, **PICKS_ONLY, **changes))


def picks_of(report: RunReport) -> pd.DataFrame:
    """Return the picks of a run."""
    return read_catalog(report.tables).picks


def computed(report: RunReport) -> tuple[int, int]:
    """Return station-days computed and kept."""
    return report.stages[0].computed, report.stages[0].kept


def test_amplitudes_are_metres_a_second(small_archive: SmallArchive, tmp_path: Path) -> None:
    inventory = write_responses(tmp_path)
    moved = picks_of(run(small_archive, tmp_path / "moved", inventory))
    counts = picks_of(
        run(small_archive, tmp_path / "counts", inventory, amplitudes={"remove_response": "none"})
    )
    assert set(moved["amplitude_unit"]) == {"m/s"} and set(counts["amplitude_unit"]) == {"count"}
    assert moved["pick_id"].tolist() == counts["pick_id"].tolist()
    # bursts of 5 Hz lie where the sensor is flat
    ratio = counts["amplitude"] / moved["amplitude"] / SENSITIVITY
    assert ratio.between(0.9, 1.1).all()
    assert moved["snr"].gt(3).mean() > 0.9
    assert set(moved.loc[moved["phase"] == "P", "polarity"]) <= {"up", "down", ""}


def test_nothing_reads_responses_in_vain(
    small_archive: SmallArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory = write_responses(tmp_path)
    levels = []
    read = obspy.read_inventory

    def watched(*args: Any, **options: Any) -> Any:
        levels.append(options.get("level"))
        return read(*args, **options)

    monkeypatch.setattr(obspy, "read_inventory", watched)
    monkeypatch.setattr(stationxml, "_channel_digests", lambda file: pytest.fail(f"{file} is hashed"))
    run(small_archive, tmp_path / "counts", inventory, amplitudes={"remove_response": "none"})
    assert "response" not in levels
    monkeypatch.undo()
    monkeypatch.setattr(obspy, "read_inventory", watched)
    stationxml._merged.cache_clear()
    stationxml._networks.cache_clear()
    run(small_archive, tmp_path / "moved", inventory)
    assert levels.count("response") == 1, "eight station-days parse the file once"


def test_a_missing_response_is_a_note_and_counts(small_archive: SmallArchive, tmp_path: Path) -> None:
    report = run(small_archive, tmp_path / "run", write_responses(tmp_path, without="BBB"))
    assert report.exit_status == 0
    units = picks_of(report).groupby("station")["amplitude_unit"].unique()
    assert {code: list(unit) for code, unit in units.items()} == {
        code: ["count" if code == "BBB" else "m/s"] for code in STATIONS
    }
    workflow = small_archive.load(tmp_path / "again", stations={"inventory": str(tmp_path / "stations.xml")})
    outcome = outcome_of(workflow, "BBB")
    assert "XX.BBB..HHZ has no full response" in outcome.note and "amplitudes in counts" in outcome.note


def outcome_of(workflow: Any, code: str) -> Any:
    """Compute the first station-day of a station by itself."""
    from seisflow.archive import read_stations
    from seisflow.keys import StationDay, Window
    from seisflow.run.units import Job, Unit

    key = StationDay("XX", code, Window.of_day("2020-01-01"))
    uris = tuple(sorted(str(path) for path in Path(workflow.archive.root).rglob(f"XX.{code}.*.001")))
    job = Job(Unit(key, f"XX.{code}.2020-01-01", uris))
    return stages_of(workflow)[0].compute(job, read_stations(workflow.stations.inventory), None, {})


def test_a_csv_of_stations_has_no_responses(small_archive: SmallArchive, tmp_path: Path) -> None:
    report = run_workflow(small_archive.load(tmp_path / "run", **PICKS_ONLY))
    assert set(picks_of(report)["amplitude_unit"]) == {"count"}
    assert not small_archive.load(tmp_path / "run").wants_responses


@pytest.mark.parametrize(
    "change",
    [
        {"amplitudes": {"remove_response": "none"}},
        {"amplitudes": {"lowest_frequency_hz": 1.0}},
        {"polarity": None},
        {"polarity": {"method": "first_swing", "clearness": 5.0}},
        {"picking": {"method": "stalta", "amplitude_window_s": 2.0}},
    ],
)
def test_a_setting_of_what_a_pick_carries_is_part_of_the_fingerprint(
    small_archive: SmallArchive, tmp_path: Path, change: dict[str, Any]
) -> None:
    usual, changed = (stages_of(small_archive.load(tmp_path / "run", **more))[0] for more in ({}, change))
    assert usual.fingerprint != changed.fingerprint


def test_another_response_computes_its_station_again_and_no_other(
    small_archive: SmallArchive, tmp_path: Path
) -> None:
    first = run(small_archive, tmp_path / "run", write_responses(tmp_path))
    assert computed(first) == (8, 0)
    described = run(small_archive, tmp_path / "run", write_responses(tmp_path, note="moved to a new owner"))
    assert computed(described) == (0, 8)
    before = picks_of(described)
    again = run(small_archive, tmp_path / "run", write_responses(tmp_path, of="CCC", factor=2.0))
    assert computed(again) == (2, 6)
    ratio = before["amplitude"] / picks_of(again)["amplitude"]
    assert np.allclose(ratio, np.where(before["station"] == "CCC", 2.0, 1.0), rtol=1e-4)


def test_polarity_is_a_block_of_the_workflow(small_archive: SmallArchive, tmp_path: Path) -> None:
    silent = picks_of(run(small_archive, tmp_path / "run", write_responses(tmp_path), polarity=None))
    assert set(silent["polarity"]) == {""}
    with pytest.raises(WorkflowError, match="unknown method 'second_swing'; allowed are first_swing"):
        small_archive.load(tmp_path / "run", polarity={"method": "second_swing"})
    with pytest.raises(
        WorkflowError, match="amplitudes: remove_response: Input should be 'velocity' or 'none'"
    ):
        small_archive.load(tmp_path / "run", amplitudes={"remove_response": "everything"})


def test_plain_files_are_picked_in_metres_a_second(small_archive: SmallArchive, tmp_path: Path) -> None:
    files = sorted((small_archive.folder / "sds").rglob("XX.*.D.2020.001"))
    inventory = write_responses(tmp_path, without="DDD")
    n_counts, problems = pick_files(files, tmp_path / "counts.csv", "stalta", [])
    assert problems == []
    n_moved, problems = pick_files(files, tmp_path / "moved.csv", "stalta", [], inventory)
    assert n_counts == n_moved > 4
    assert len(problems) == 3 and all("XX.DDD" in problem for problem in problems)
    counts, moved = (read_table(tmp_path / f"{name}.csv", PICKS) for name in ("counts", "moved"))
    assert set(counts["amplitude_unit"]) == {"count"}
    is_moved = (moved["station"] != "DDD").to_numpy()
    assert moved["amplitude_unit"].tolist() == np.where(is_moved, "m/s", "count").tolist()
    ratio = (counts["amplitude"] / moved["amplitude"])[is_moved] / SENSITIVITY
    assert ratio.between(0.9, 1.1).all()
