"""What is written: codes, days, gaps, metadata, truth tables, and the same bytes every time."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import obspy
import pandas as pd
import pytest
from obspy.io.stationxml.core import validate_stationxml
from pydantic import ValidationError

from seisflow.earth import VelocityModel
from seisflow.errors import ArchiveError
from seisflow.synthetic import Scenario, SyntheticTruth, make_archive
from seisflow.synthetic.faults import make_gaps
from seisflow.synthetic.network import make_network
from seisflow.tables import ASSIGNMENTS, EVENTS, PICKS, pick_ids, read_table
from tests.synthetic.conftest import SMALL


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_equal_seeds_give_equal_bytes_whatever_the_workers(small: SyntheticTruth, tmp_path: Path) -> None:
    make_archive(tmp_path / "again", SMALL, seed=3, n_workers=2)
    assert digests(tmp_path / "again") == digests(small.folder)


def test_another_seed_gives_another_archive(small: SyntheticTruth, tmp_path: Path) -> None:
    make_archive(tmp_path, SMALL, seed=4)
    first, second = digests(small.folder), digests(tmp_path)
    assert all(second[name] != first[name] for name in set(first) & set(second) if "velocity" not in name)


def test_a_folder_with_another_archive_is_refused(small: SyntheticTruth) -> None:
    with pytest.raises(ArchiveError, match="another archive"):
        make_archive(small.folder, SMALL, seed=4)


def test_files_are_an_sds_tree_cut_at_midnight(small: SyntheticTruth) -> None:
    names = sorted(path.name for path in small.archive_folder.rglob("*") if path.is_file())
    assert len(names) == 3 * 3 * 2
    assert "SF.SF01..HHZ.D.2024.059" in names and "SF.SF02.00.HHN.D.2024.060" in names
    assert {name.split(".")[3] for name in names if name.startswith("SF.SF03")} == {"EHZ", "EH1", "EH2"}
    midnight = obspy.UTCDateTime("2024-02-29")
    for path in small.archive_folder.rglob("*.D.2024.059"):
        header = obspy.read(path, headonly=True)
        assert str(path).endswith(
            f"2024/SF/{header[0].stats.station}/{header[0].stats.channel}.D/{path.name}"
        )
        assert header[0].stats.mseed.encoding == "STEIM2"
        assert max(trace.stats.endtime for trace in header) == midnight - 0.01
    for path in small.archive_folder.rglob("*.D.2024.060"):
        assert min(trace.stats.starttime for trace in obspy.read(path, headonly=True)) == midnight


def test_gaps_on_disk_are_the_gaps_of_the_scenario(small: SyntheticTruth) -> None:
    n_gaps = 0
    start = obspy.UTCDateTime(SMALL.start)
    for site in make_network(SMALL, small.seed):
        expected = np.zeros(60000, dtype=bool)
        for first, last in make_gaps(site, SMALL, small.seed):
            expected[first:last] = True
            n_gaps += 1
        missing = np.ones(60000, dtype=bool)
        for trace in obspy.read(f"{small.archive_folder}/2024/SF/{site.station}/*Z.D/*"):
            first = round((trace.stats.starttime - start) * 100)
            missing[first : first + trace.stats.npts] = False
        np.testing.assert_array_equal(missing, expected)
    assert n_gaps > 3


def test_station_metadata_are_valid_and_match_the_table(small: SyntheticTruth) -> None:
    valid, problems = validate_stationxml(str(small.inventory_path))
    assert valid, problems
    inventory = obspy.read_inventory(str(small.inventory_path))
    for row in small.stations.itertuples():
        (station,) = inventory.select(station=row.station)[0]
        assert (station.latitude, station.longitude) == pytest.approx((row.latitude, row.longitude))
        assert {channel.location_code for channel in station} == {row.location}
    oblique = inventory.select(station="SF03", channel="EH1")[0][0][0]
    assert 15 <= oblique.azimuth <= 75


def test_response_in_the_metadata_is_the_one_that_was_applied(small: SyntheticTruth) -> None:
    inventory = obspy.read_inventory(str(small.inventory_path))
    for site in make_network(SMALL, small.seed):
        channel = inventory.select(station=site.station, channel="*Z")[0][0][0]
        written, frequency_hz = channel.response.get_evalresp_response(0.01, 4096, output="VEL")
        applied = site.instrument.response(frequency_hz)
        band = (frequency_hz > 0.1) & (frequency_hz < 40)
        np.testing.assert_allclose(written[band], applied[band], rtol=1e-4)


def test_truth_tables_follow_the_schemas_and_hang_together(small: SyntheticTruth) -> None:
    folder = small.folder / "truth"
    events = read_table(folder / "events.parquet", EVENTS)
    picks = read_table(folder / "arrivals.parquet", PICKS)
    assignments = read_table(folder / "assignments.parquet", ASSIGNMENTS)
    pd.testing.assert_frame_equal(events, small.catalog.events)
    assert len(events) == SMALL.n_events and events["event_id"].is_unique
    assert picks["pick_id"].is_unique and list(picks["pick_id"]) == pick_ids(picks)
    assert set(assignments["pick_id"]) == set(picks["pick_id"])
    counts = assignments.merge(picks, on="pick_id").groupby(["event_id", "phase"]).size().unstack()
    counts = counts.reindex(events["event_id"])
    assert list(counts["P"]) == list(events["n_p"]) and list(counts["S"]) == list(events["n_s"])
    assert VelocityModel.read(small.velocity_path) == SMALL.velocity
    families = pd.read_csv(folder / "families.csv")
    assert families.groupby("cluster_id").size().to_dict() == {0: 3}
    members = events[events["event_id"].isin(families["event_id"])]
    assert members["depth_km"].nunique() == 1 and members["magnitude"].nunique() == 3


def test_true_onsets_lie_in_the_data(small: SyntheticTruth) -> None:
    for station, picks in small.catalog.picks.groupby("station"):
        traces = obspy.read(f"{small.archive_folder}/2024/SF/{station}/*Z.D/*")
        spans = [(trace.stats.starttime.ns, trace.stats.endtime.ns) for trace in traces]
        for time in picks["time"].astype("int64"):
            # The last sample before midnight and the first one after it are two pieces.
            assert any(first - 1e7 <= time <= last + 1e7 for first, last in spans)


def test_stations_can_differ(tmp_path: Path) -> None:
    scenario = Scenario(
        duration_s=60,
        n_stations=4,
        n_events=0,
        n_families=0,
        n_vertical_only=1,
        n_half_rate=1,
        gaps_per_day=0,
    )
    truth = make_archive(tmp_path, scenario)
    headers = {
        trace.id: trace.stats for trace in obspy.read(f"{truth.archive_folder}/*/*/*/*/*", headonly=True)
    }
    rates = {name.split(".")[1]: header.sampling_rate for name, header in headers.items()}
    assert rates == {"SF01": 100.0, "SF02": 50.0, "SF03": 100.0, "SF04": 100.0}
    channels = sorted(name.split(".")[3] for name in headers if ".SF02." in name or ".SF03." in name)
    assert channels == ["BHE", "BHN", "BHZ", "EHZ"]
    assert all(header.npts == 60 * header.sampling_rate for header in headers.values())
    assert truth.catalog.events.empty and truth.catalog.picks.empty


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_events": 5},
        {"depth_range_km": (9, 3)},
        {"n_stations": 1, "n_half_rate": 1},
        {"start": "2024-01-01T00:00:00.5"},
    ],
)
def test_impossible_scenarios_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Scenario.model_validate(wrong)
