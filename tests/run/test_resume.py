"""A run resumes: it computes only what is missing, and what a change touches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from seisflow.run import RunReport, run_workflow
from seisflow.run.ledger import Ledger
from seisflow.run.plan import make_plan
from seisflow.run.results import read_catalog
from seisflow.run.stages import stages_of
from tests.run.conftest import SOURCE, STATIONS, SmallArchive
from tests.run.responses import write_responses


def counts(report: RunReport) -> dict[str, tuple[int, int]]:
    """Return units computed and kept by stage."""
    return {stage.name: (stage.computed, stage.kept) for stage in report.stages}


def tables(report: RunReport) -> dict[str, bytes]:
    """Return the bytes of every table of a run."""
    return {path.name: path.read_bytes() for path in sorted(Path(report.tables).glob("*.parquet"))}


def test_the_event_of_each_day_is_found_where_it_was(small_archive: SmallArchive, tmp_path: Path) -> None:
    report = run_workflow(small_archive.load(tmp_path / "run"))
    catalog = read_catalog(report.tables)
    assert report.exit_status == 0
    assert counts(report) == {"picking": (8, 0), "association": (2, 0), "location": (2, 0)}
    assert list(catalog.events["status"]) == ["located", "located"]
    for day, event in enumerate(catalog.events.to_dict("records")):
        origin = pd.Timestamp("2020-01-01T06:01:00Z") + pd.Timedelta(days=day)
        assert abs((event["time"] - origin).total_seconds()) < 0.3
        assert abs(event["latitude"] - SOURCE[0]) < 0.02
        assert abs(event["longitude"] - SOURCE[1]) < 0.04
    assert set(catalog.picks["station"]) == set(STATIONS)


def test_a_second_run_computes_nothing_and_changes_no_byte(
    small_archive: SmallArchive, tmp_path: Path
) -> None:
    workflow = small_archive.load(tmp_path / "run")
    first = run_workflow(workflow)
    before = tables(first)
    second = run_workflow(workflow)
    assert counts(second) == {"picking": (0, 8), "association": (0, 2), "location": (0, 2)}
    assert tables(second) == before


def test_a_longer_period_computes_only_the_new_day(small_archive: SmallArchive, tmp_path: Path) -> None:
    one = {"start": "2020-01-01", "end": "2020-01-02"}
    run_workflow(small_archive.load(tmp_path / "run", period=one))
    longer = run_workflow(small_archive.load(tmp_path / "run"))
    assert counts(longer)["picking"] == (4, 4)
    whole = run_workflow(small_archive.load(tmp_path / "whole"))
    assert tables(longer) == tables(whole)


def test_a_threshold_redoes_its_stage_and_those_below(small_archive: SmallArchive, tmp_path: Path) -> None:
    run_workflow(small_archive.load(tmp_path / "run"))
    located = run_workflow(
        small_archive.load(tmp_path / "run", location={"method": "nonlinear", "p_error_s": 0.08})
    )
    assert counts(located) == {"picking": (0, 8), "association": (0, 2), "location": (2, 0)}
    picked = run_workflow(
        small_archive.load(tmp_path / "run", picking={"method": "stalta", "p_threshold": 7.0})
    )
    assert counts(picked)["picking"] == (8, 0)
    assert counts(picked)["location"] == (2, 0)


def test_where_and_how_it_runs_redoes_nothing(small_archive: SmallArchive, tmp_path: Path) -> None:
    first = run_workflow(small_archive.load(tmp_path / "run"))
    before = tables(first)
    other = {"method": "serial", "units_per_task": 1}
    assert counts(run_workflow(small_archive.load(tmp_path / "run", deployment=other)))["picking"] == (0, 8)
    fresh = run_workflow(small_archive.load(tmp_path / "batched", deployment=other))
    assert tables(fresh) == before


def test_a_file_that_arrives_late_redoes_the_days_that_read_it(make_archive, tmp_path: Path) -> None:
    archive = make_archive(2)
    late = next((archive.folder / "sds").rglob("XX.AAA..HHZ.D.2020.002"))
    aside = tmp_path / "aside"
    late.rename(aside)
    run_workflow(archive.load(tmp_path / "run"))
    aside.rename(late)
    again = counts(run_workflow(archive.load(tmp_path / "run")))
    assert again["picking"] == (2, 6), "the day before reads its first minutes as margin"
    assert again["location"][0] >= 1
    whole = run_workflow(archive.load(tmp_path / "whole"))
    assert tables(run_workflow(archive.load(tmp_path / "run"))) == tables(whole)


def test_moved_coordinates_redo_association_but_no_picks(make_archive, tmp_path: Path) -> None:
    archive = make_archive(1)
    run_workflow(archive.load(tmp_path / "run"))
    stations = archive.folder / "stations.csv"
    stations.write_text(stations.read_text().replace("64.6,-17.0", "64.61,-17.0"))
    again = counts(run_workflow(archive.load(tmp_path / "run")))
    assert again == {"picking": (0, 4), "association": (1, 0), "location": (1, 0)}
    fresh = run_workflow(archive.load(tmp_path / "fresh"))
    assert tables(run_workflow(archive.load(tmp_path / "run"))) == tables(fresh)


def test_parts_that_no_record_names_do_not_exist(
    small_archive: SmallArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "compact", lambda ledger, month: None)
        report = run_workflow(small_archive.load(tmp_path / "run"))
    records = sorted(Path(report.store.root).glob("stages/picking-*/ledger/*/*.parquet"))
    n_lost = pq.read_metadata(records[0]).num_rows
    records[0].unlink()
    again = run_workflow(small_archive.load(tmp_path / "run"))
    assert counts(again)["picking"] == (n_lost, 8 - n_lost)
    assert tables(again) == tables(report)
    assert np.isfinite(read_catalog(again.tables).events["depth_km"]).all()


def test_stations_that_take_no_part_have_no_influence(make_archive, tmp_path: Path) -> None:
    archive = make_archive(1)
    before = tables(run_workflow(archive.load(tmp_path / "before")))
    stations = archive.folder / "stations.csv"
    stations.write_text(stations.read_text() + "ZZ,FAR,,10.0,100.0,0.0\n")
    selected = {"inventory": str(stations), "select": ["XX.*"]}
    after = tables(run_workflow(archive.load(tmp_path / "after", stations=selected)))
    assert after == before


def test_a_changed_response_redoes_its_station_only_where_responses_are_removed(
    make_archive, tmp_path: Path
) -> None:
    archive = make_archive(1)
    inventory = write_responses(tmp_path)

    def inputs(response: str) -> list[str]:
        preparation = {"sampling_rate_hz": 25.0, "remove_response": response}
        changes = {"stations": {"inventory": str(inventory)}, "amplitudes": {"remove_response": "none"}}
        plan = make_plan(archive.load(tmp_path / "run", preparation=preparation, **changes))
        return [unit.inputs for unit in plan.stages[0].units(0)]

    counts_before, velocity_before = inputs("none"), inputs("velocity")
    write_responses(tmp_path, of="CCC", factor=2.0, note="with a new gain")
    assert inputs("none") == counts_before
    changed = [a != b for a, b in zip(inputs("velocity"), velocity_before, strict=True)]
    assert changed == [code == "CCC" for code in sorted(STATIONS)]


def test_the_batch_size_of_a_network_redoes_nothing(
    small_archive: SmallArchive, random_weights: Path, tmp_path: Path
) -> None:
    def fingerprints(**changes: float) -> list[str]:
        picking = {"method": "phasenet", "weights": str(random_weights)} | changes
        return [
            stage.fingerprint for stage in stages_of(small_archive.load(tmp_path / "run", picking=picking))
        ]

    assert fingerprints(batch_size=3) == fingerprints(batch_size=64)
    assert not set(fingerprints(p_threshold=0.4)) & set(fingerprints())


def test_a_plan_counts_the_bytes_of_its_period_alone(small_archive: SmallArchive, tmp_path: Path) -> None:
    one = {"start": "2020-01-01", "end": "2020-01-02"}
    files = list((small_archive.folder / "sds").rglob("*.D.2020.001"))
    assert make_plan(small_archive.load(tmp_path / "run", period=one)).n_bytes == sum(
        file.stat().st_size for file in files
    )
