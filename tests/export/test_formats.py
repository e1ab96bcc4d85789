"""What single formats say: units, columns, identifiers, and the errors that stop a wrong file."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisflow.errors import MetadataError, TableError, WorkflowError
from seisflow.export import export_catalog
from seisflow.export.arrivals import arrivals_of, rounded
from seisflow.export.csv import Csv
from seisflow.export.hypodd import Hypodd
from seisflow.export.hypoinverse import Hypoinverse, _degrees_minutes, _implied
from seisflow.export.nonlinloc import Nonlinloc
from seisflow.export.quakeml import Quakeml
from seisflow.tables import ASSIGNMENTS, EVENTS, PICKS, STATIONS, read_table, validate

from . import catalogs

INSTANTS = st.integers(0, 4_102_444_800_000_000_000)


def _schema(name: str) -> Path:
    import obspy.io.quakeml.core

    return Path(inspect.getfile(obspy.io.quakeml.core)).parent / "data" / name


@pytest.mark.parametrize("all_picks", [False, True])
def test_quakeml_is_valid_against_both_schemas(tmp_path: Path, all_picks: bool) -> None:
    from lxml import etree

    export_catalog(catalogs.catalog(), catalogs.stations(), Quakeml(all_picks=all_picks), tmp_path)
    document = etree.parse(tmp_path / "catalog.xml")
    etree.RelaxNG(etree.parse(_schema("QuakeML-1.2.rng"))).assertValid(document)
    etree.XMLSchema(etree.parse(_schema("QuakeML-1.2.xsd"))).assertValid(document)


def test_quakeml_says_what_the_tables_say(tmp_path: Path) -> None:
    from obspy import read_events

    export_catalog(catalogs.catalog(), catalogs.stations(), Quakeml(authority="org.example"), tmp_path)
    first, second, third = read_events(str(tmp_path / "catalog.xml"))
    origin = first.preferred_origin()
    assert origin.depth == 7250.0 and origin.evaluation_mode == "automatic"
    assert origin.latitude_errors.uncertainty * 111.195 == pytest.approx(1.5)
    east_km = origin.longitude_errors.uncertainty * 111.195 * np.cos(np.radians(64.65))
    assert east_km == pytest.approx(1.5)
    assert origin.depth_errors.uncertainty == 2500.0 and origin.depth_errors.confidence_level == 68.0
    assert origin.quality.used_phase_count == 4 and origin.quality.azimuthal_gap == 120.4
    assert origin.quality.used_station_count == 2 and origin.quality.standard_error == 0.05
    assert first.preferred_magnitude().mag == 2.34 and first.preferred_magnitude().magnitude_type == "ML"
    arrival = origin.arrivals[0]
    assert arrival.distance == pytest.approx(20.0 / 111.195) and arrival.time_residual == 0.01
    # AAA stands at 64.5 N, 17.25 W: 16.7 km south and 7.2 km west of the epicentre
    assert arrival.azimuth == pytest.approx(180 + np.degrees(np.arctan2(7.16, 16.72)), abs=0.5)
    pick = arrival.pick_id.get_referred_object()
    assert pick.polarity == "positive" and pick.waveform_id.get_seed_string().startswith("XX.AAA")
    assert str(first.resource_id).startswith("smi:org.example/event/")
    assert second.preferred_origin().depth_errors.uncertainty is None and not second.magnitudes
    assert third.comments[0].text == "status: fewer than 4 picks" and not third.picks


def test_quakeml_has_the_amplitudes_with_their_unit(tmp_path: Path) -> None:
    from lxml import etree
    from obspy import read_events

    catalog = catalogs.catalog()
    units = ["m/s", "count", "m/s**2"]
    picks = catalog.picks.assign(
        amplitude=np.where(np.arange(len(catalog.picks)) < 3, 2.5e-6, np.nan),
        amplitude_unit=[units[i] if i < 3 else None for i in range(len(catalog.picks))],
        snr=np.where(np.arange(len(catalog.picks)) < 2, 12.0, np.nan),
    )
    catalog = catalog._replace(picks=validate(picks, PICKS))
    export_catalog(catalog, catalogs.stations(), Quakeml(all_picks=True), tmp_path)
    etree.RelaxNG(etree.parse(_schema("QuakeML-1.2.rng"))).assertValid(etree.parse(tmp_path / "catalog.xml"))
    events = read_events(str(tmp_path / "catalog.xml"))
    found = [amplitude for event in events for amplitude in event.amplitudes]
    by_unit = {amplitude.unit: amplitude for amplitude in found}
    assert sorted(by_unit) == ["m/(s*s)", "m/s", "other"]
    assert [a.generic_amplitude for a in found] == [2.5e-6] * 3
    assert by_unit["m/s"].snr == 12.0 and by_unit["m/(s*s)"].snr is None
    assert by_unit["other"].comments[0].text == "unit: count" and not by_unit["m/s"].comments
    pick = by_unit["m/s"].pick_id.get_referred_object()
    assert pick is not None and pick.waveform_id == by_unit["m/s"].waveform_id


def test_quakeml_has_the_picks_of_no_event_only_on_demand(tmp_path: Path) -> None:
    from obspy import read_events

    catalog = catalogs.catalog()
    for all_picks, n in ((False, 6), (True, 7)):
        export_catalog(catalog, catalogs.stations(), Quakeml(all_picks=all_picks), tmp_path)
        picks = [pick for event in read_events(str(tmp_path / "catalog.xml")) for pick in event.picks]
        assert len({str(pick.resource_id) for pick in picks}) == n


def test_quakeml_identifiers_survive_names_that_no_uri_may_have(tmp_path: Path) -> None:
    from lxml import etree
    from obspy import read_events

    catalog = catalogs.catalog()
    names = dict(zip(catalog.events["event_id"], ["ev 1/ä", "ev 1/ö", "<&>"], strict=True))
    renamed = catalog._replace(
        events=catalog.events.replace({"event_id": names}),
        assignments=catalog.assignments.replace({"event_id": names}),
    )
    export_catalog(renamed, catalogs.stations(), Quakeml(), tmp_path)
    etree.RelaxNG(etree.parse(_schema("QuakeML-1.2.rng"))).assertValid(etree.parse(tmp_path / "catalog.xml"))
    assert len({str(event.resource_id) for event in read_events(str(tmp_path / "catalog.xml"))}) == 3


def test_quakeml_refuses_an_authority_that_makes_no_identifier() -> None:
    with pytest.raises(WorkflowError, match="authority"):
        Quakeml.parse({"authority": "a/b"}, "export")


def test_csv_keeps_every_value(tmp_path: Path) -> None:
    catalog, stations = catalogs.catalog(), catalogs.stations()
    export_catalog(catalog, stations, Csv(), tmp_path)
    for name, frame, schema in (
        ("events", catalog.events, EVENTS),
        ("picks", catalog.picks, PICKS),
        ("assignments", catalog.assignments, ASSIGNMENTS),
        ("stations", stations, STATIONS),
    ):
        pd.testing.assert_frame_equal(read_table(tmp_path / f"{name}.csv", schema), frame, rtol=1e-15)


def test_hypoinverse_columns_are_those_of_the_manual(tmp_path: Path) -> None:
    export_catalog(catalogs.catalog(), catalogs.stations(), Hypoinverse(), tmp_path)
    lines = (tmp_path / "catalog.arc").read_text().splitlines()
    summary, aaa, abcde, terminator = lines[:4]
    assert len(summary) == 164 and len(aaa) == len(abcde) == 113
    # Open-File Report 02-171, p. 98: 64.65 N = 64 deg 39.00', 17.1 W = 17 deg 6.00', depth 7.25 km
    assert summary[:36] == "201408240001" + " 235" + "64" + " " + "3900" + " 17" + " " + " 600" + "  725"
    assert summary[39:52] == "  4" + "120" + " 18" + "   5"
    assert summary[82:96] == "  2" + " 150" + " 250" + "  2"
    assert summary[136:154] == "         1" + "L" + "234" + "  10"
    # p. 99: site, net, component, P remark, motion, weight code, date, P, residual, weight, S, remark ...
    assert aaa[:54] == "AAA  XX VHHZ  PU0201408240001 5.12   1100 7.50 S 2  -2"
    assert aaa[63:66] == " 50" and aaa[74:78] == " 200" and aaa[91:94] == "203"
    assert abcde[15:17] == "D3" and abcde[49:54] == "4-950" and abcde[111:113] == "00"
    assert terminator == " " * 62 + "         1"


def test_hypoinverse_seconds_are_rounded_before_they_are_split(tmp_path: Path) -> None:
    export_catalog(catalogs.catalog(), catalogs.stations(), Hypoinverse(), tmp_path)
    lines = (tmp_path / "catalog.arc").read_text().splitlines()
    abcde = lines[2]
    assert abcde[17:34] == "201408240002" + " 0.00"  # 00:01:59.998
    assert abcde[41:48] == " 3.25 S"
    second = lines[4]
    assert second[:16] == "201408250000" + "   0"  # 23:59:59.9999996
    assert second[16:31] == "13S   0131E   0"  # 12.9999999 S, 130.9999999 E
    assert second[31:36] == "  -50"


def test_hypoinverse_stations_match_the_phases_and_the_globe(tmp_path: Path) -> None:
    export_catalog(catalogs.catalog(), catalogs.stations(), Hypoinverse(), tmp_path)
    lines = (tmp_path / "stations.sta").read_text().splitlines()
    by_code = {line[:5].strip(): line for line in lines}
    assert all(len(line) == 82 for line in lines) and len(lines) == 4
    assert by_code["AAA"][:42] == "AAA   XX VHHZ  64 30.0000N 17 15.0000W 800"
    assert by_code["BBB"][15:42] == "12 20.7407S130 39.2593E   3"
    assert by_code["BBB"][80:82] == "10"
    assert by_code["ABCDE"][15:42] == "64 45.0000N 16 30.0000W1200"  # the epoch of 2014, not the older one
    assert by_code["LONE"][9:14] == "V    "
    phases = (tmp_path / "catalog.arc").read_text().splitlines()
    for line in phases:
        if line[:1].isalpha():
            assert by_code[line[:5].strip()][10:13] == line[9:12]


def test_hypoinverse_refuses_codes_that_do_not_fit(tmp_path: Path) -> None:
    stations = catalogs.stations().replace({"station": {"LONE": "TOOLONG"}})
    with pytest.raises(TableError, match="'TOOLONG' has 7 letters; the format allows 5"):
        export_catalog(catalogs.catalog(), stations, Hypoinverse(), tmp_path)


def test_nonlinloc_agrees_with_obspys_writer(tmp_path: Path) -> None:
    from obspy import read_events

    catalog, stations = catalogs.many(1)
    export_catalog(catalog, stations, Nonlinloc(p_error_s=0.02, s_error_s=0.04), tmp_path)
    export_catalog(catalog, stations, Quakeml(), tmp_path)
    event = read_events(str(tmp_path / "catalog.xml"))[0]
    for pick in event.picks:
        pick.time_errors.uncertainty = 0.02 if pick.phase_hint == "P" else 0.04
    event.write(str(tmp_path / "obspy.obs"), format="NLLOC_OBS")
    ours, theirs = (
        sorted(line.split() for line in (tmp_path / name).read_text().splitlines() if "GAU" in line)
        for name in ("catalog.obs", "obspy.obs")
    )
    for a, b in zip(ours, theirs, strict=True):
        assert (a[0], a[4:8], a[9:]) == (f"ZZ_{b[0]}", b[4:8], b[9:])
        assert float(a[8]) == pytest.approx(float(b[8]), abs=0.51e-4)


def test_nonlinloc_stations_carry_the_labels_of_the_phases(tmp_path: Path) -> None:
    export_catalog(catalogs.catalog(), catalogs.stations(), Nonlinloc(), tmp_path)
    sources = [line.split() for line in (tmp_path / "stations.in").read_text().splitlines()]
    phases = [
        line.split()[0] for line in (tmp_path / "catalog.obs").read_text().splitlines() if "GAU" in line
    ]
    assert set(phases) <= {words[1] for words in sources}
    assert ["GTSRCE", "YY_BBB", "LATLON", "-12.345678", "130.654321", "0.0", "0.0034"] in sources


def test_nonlinloc_refuses_one_label_for_two_stations(tmp_path: Path) -> None:
    stations = catalogs.stations()
    twin = stations[stations["station"] == "LONE"].assign(network="YY")
    both = pd.concat([stations, twin], ignore_index=True)
    export_catalog(catalogs.catalog(), both, Nonlinloc(), tmp_path)
    with pytest.raises(TableError, match="'LONE' is in the networks 'XX' and 'YY'"):
        export_catalog(catalogs.catalog(), both, Nonlinloc(network_in_label=False), tmp_path)


def test_hypodd_says_what_the_tables_say(tmp_path: Path) -> None:
    from obspy import read_events

    export_catalog(catalogs.catalog(), catalogs.stations(), Hypodd(), tmp_path)
    first, _, third = read_events(str(tmp_path / "catalog.pha"), format="HYPODDPHA")
    origin = first.preferred_origin()
    assert (origin.latitude, origin.longitude, origin.depth) == (64.65, -17.1, 7250.0)
    assert origin.latitude_errors.uncertainty == pytest.approx(1.5 / 111.2)
    assert {pick.waveform_id.station_code for pick in first.picks} == {"XXAAA", "XXABCDE"}
    assert not third.picks
    numbers = pd.read_csv(tmp_path / "event_ids.csv", dtype={"event_id": str})
    assert list(numbers["number"]) == [1, 2, 3]
    assert list(numbers["event_id"]) == list(catalogs.catalog().events["event_id"])
    places = {
        line.split()[0]: line.split()[1:] for line in (tmp_path / "station.dat").read_text().splitlines()
    }
    assert [float(word) for word in places["XXABCDE"]] == [64.75, -16.5, 1200.0]


def test_hypodd_keeps_one_pick_of_a_phase_at_a_station(tmp_path: Path) -> None:
    catalog, stations = catalogs.many(1)
    twin = catalog.picks.iloc[[0]].assign(band="EH", pick_id="twin", time=catalog.picks["time"][0])
    assignment = catalog.assignments.iloc[[0]].assign(pick_id="twin", weight=0.2)
    doubled = catalog._replace(
        picks=pd.concat([catalog.picks, twin]), assignments=pd.concat([catalog.assignments, assignment])
    )
    export_catalog(doubled, stations, Hypodd(), tmp_path)
    lines = (tmp_path / "catalog.pha").read_text().splitlines()
    assert len(lines) == 1 + 12 and not any("0.2000" in line for line in lines[1:])


def test_a_station_without_place_is_named(tmp_path: Path) -> None:
    stations = catalogs.stations().query("station != 'BBB'")
    for exporter in (Hypodd(), Hypoinverse(), Nonlinloc()):
        with pytest.raises(MetadataError, match=r"YY\.BBB"):
            export_catalog(catalogs.catalog(), stations, exporter, tmp_path)
    export_catalog(catalogs.catalog(), stations, Quakeml(), tmp_path)  # needs no place


def test_distances_are_those_of_the_ellipsoid() -> None:
    from obspy.geodetics import gps2dist_azimuth

    catalog, stations = catalogs.many(3)
    rows = arrivals_of(catalog, stations)
    for row in rows.itertuples():
        event, site = catalog.events.iloc[row.event], stations.iloc[row.site]
        assert site["station"] == row.station
        distance_m, azimuth_deg, _ = gps2dist_azimuth(
            event["latitude"], event["longitude"], site["latitude"], site["longitude"]
        )
        assert row.distance_km == pytest.approx(distance_m / 1000, abs=1e-4)
        assert row.azimuth_deg == pytest.approx(azimuth_deg, abs=1e-3)


@settings(deadline=None, max_examples=200)
@given(INSTANTS, st.integers(0, 9))
def test_rounded_times_stay_within_their_minute(nanoseconds: int, decimals: int) -> None:
    time = pd.Timestamp(nanoseconds, unit="ns", tz="UTC")
    minute, second = rounded(time, decimals)
    assert float(f"{second:.{decimals}f}") < 60.0
    assert minute.second == 0 and minute.nanosecond == 0
    error_s = abs((minute - time).total_seconds() + second)
    assert error_s <= 0.5 * 10.0**-decimals + 2e-9


@settings(deadline=None, max_examples=200)
@given(st.floats(-180, 180), st.sampled_from([2, 4]))
def test_minutes_of_arc_stay_below_sixty(angle_deg: float, decimals: int) -> None:
    degrees, minutes = _degrees_minutes(angle_deg, decimals)
    assert float(f"{minutes:.{decimals}f}") < 60.0
    assert degrees + minutes / 60 == pytest.approx(abs(angle_deg), abs=0.6 * 10.0**-decimals / 60)


@settings(deadline=None, max_examples=200)
@given(st.floats(allow_infinity=False), st.integers(2, 5))
def test_numbers_never_leave_their_columns(value: float, width: int) -> None:
    assert len(_implied(value, width, 2)) == width
