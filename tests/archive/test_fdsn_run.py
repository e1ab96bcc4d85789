"""A run of a workflow on a data centre: it downloads first, and says what could not be had."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import obspy
import pytest
from obspy.core.inventory import Channel, Inventory, Network, Station
from typer.testing import CliRunner

from seisflow.cli import app
from seisflow.run import run_workflow
from seisflow.tables import LEDGER, PICKS, read_table
from tests.run.conftest import RATE_HZ, STATIONS, SmallArchive, make_small_archive
from tests.services.fdsn import DataCentre, Fault, data_centre


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallArchive:
    """Return a small archive of two days."""
    return make_small_archive(tmp_path_factory.mktemp("small"))


def metadata() -> Inventory:
    """Return the metadata of the small archive."""
    start = obspy.UTCDateTime("2019-01-01")
    stations = [
        Station(
            code,
            *place,
            0.0,
            channels=[
                Channel(f"HH{c}", "", *place, 0.0, 0.0, sample_rate=RATE_HZ, start_date=start) for c in "ZNE"
            ],
            start_date=start,
        )
        for code, place in STATIONS.items()
    ]
    return Inventory([Network("XX", stations, start_date=start)], source="test")


@pytest.fixture
def centre(small: SmallArchive) -> Iterator[DataCentre]:
    with data_centre(small.folder / "sds", metadata()) as running:
        yield running


PICKS_ONLY: dict[str, object] = {"association": None, "location": None}


def archive_block(centre: DataCentre, tmp_path: Path) -> dict[str, object]:
    """Return what a workflow says about the archive."""
    return {
        "method": "fdsn",
        "provider": centre.url,
        "root": str(tmp_path / "sds"),
        "requests_per_second": 1000.0,
        "first_pause_s": 0.01,
        "attempts": 2,
    }


def picks_of(workflow: object, tables: str) -> list[tuple[object, ...]]:
    """Return the picks of a run but for what names them."""
    del workflow
    picks = read_table(f"{tables}/picks.parquet", PICKS)
    columns = picks[["network", "station", "phase", "time", "probability", "amplitude"]]
    return sorted(columns.itertuples(index=False, name=None))


def test_picks_of_a_download_equal_those_of_the_archive_itself(
    small: SmallArchive, centre: DataCentre, tmp_path: Path
) -> None:
    here = small.load(tmp_path / "here", **PICKS_ONLY)
    there = small.load(
        tmp_path / "there",
        archive=archive_block(centre, tmp_path),
        stations={"select": ["XX.*"]},
        **PICKS_ONLY,
    )
    first, second = run_workflow(here), run_workflow(there)
    assert second.exit_status == 0
    expected = picks_of(here, first.tables)
    assert len(expected) >= 8
    assert picks_of(there, second.tables) == expected
    asked = len(centre.asked())
    again = run_workflow(there)
    assert len(centre.asked()) == asked
    assert [stage.computed for stage in again.stages] == [0] * len(again.stages)


def test_a_station_day_that_could_not_be_downloaded_is_a_failure_of_the_run(
    small: SmallArchive, centre: DataCentre, tmp_path: Path
) -> None:
    centre.faults.append(Fault("503", times=2, when=lambda lines: "BBB" in lines and "01-02T" in lines))
    path = small.workflow(
        tmp_path / "run", archive=archive_block(centre, tmp_path), stations={"select": ["XX.*"]}, **PICKS_ONLY
    )
    result = CliRunner().invoke(app, ["run", str(path)])
    assert result.exit_code == 1, result.output
    assert "3 failures" in result.output
    ledger = read_table(tmp_path / "run" / "ledger.parquet", LEDGER)
    failed = ledger[ledger["status"] == "failed"]
    assert set(failed["stage"]) == {"scan"}
    assert failed["unit"].str.contains("XX.BBB").all()
    assert failed["reason"].str.contains("could not be downloaded.*HTTP 503").all()
    # The data centre is well again: the same command asks for what failed and computes what is missing.
    centre.requests.clear()
    result = CliRunner().invoke(app, ["run", str(path)])
    assert result.exit_code == 0, result.output
    assert {(line.split()[1], line.split()[4][:10]) for line in centre.asked()} == {("BBB", "2020-01-02")}


def test_the_download_alone_and_its_status(small: SmallArchive, centre: DataCentre, tmp_path: Path) -> None:
    path = small.workflow(
        tmp_path / "run", archive=archive_block(centre, tmp_path), stations={"select": ["XX.*"]}, **PICKS_ONLY
    )
    centre.faults.append(Fault("500", times=2, when=lambda lines: "AAA" in lines and "01-01T" in lines))
    result = CliRunner().invoke(app, ["download", str(path)])
    assert result.exit_code == 1, result.output
    assert "8 station-days" in result.output
    assert "3 files are missing or damaged" in result.output
    result = CliRunner().invoke(app, ["download", str(path)])
    assert result.exit_code == 0, result.output
    assert "7 were there" in result.output
    nothing = CliRunner().invoke(app, ["download", str(small.workflow(tmp_path / "sds-run"))])
    assert nothing.exit_code == 0
    assert "nothing to download" in nothing.output
