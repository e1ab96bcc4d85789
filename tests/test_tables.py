"""Tables are exactly their schema, or an error says which column and row is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisflow import tables
from seisflow.errors import TableError
from seisflow.tables import ASSIGNMENTS, AVAILABILITY, EVENTS, PICKS, SCHEMAS, STATIONS, validate

UNITS = {"_s": "s", "_m": "m", "_km": "km", "_deg": "degree"}
CHANNEL = {"network": "Z7", "station": "DYJN", "location": "", "band": "HH"}
PICK = CHANNEL | {"phase": "P", "time": "2014-08-24T00:01:00.25", "method": "phasenet"}


def picks_of(*changes: dict[str, Any]) -> pd.DataFrame:
    """Return a PICKS table with a row for each change of one pick."""
    frame = pd.DataFrame([PICK | {"probability": 0.9, "polarity": ""} | change for change in changes])
    frame["pick_id"] = tables.pick_ids(frame)
    return frame


def values_of(kind: pa.DataType) -> st.SearchStrategy[Any]:
    """Return what a column of an Arrow type may hold."""
    if pa.types.is_timestamp(kind):
        return st.integers(0, 2**61).map(lambda ns: pd.Timestamp(ns, unit="ns", tz="UTC"))
    if pa.types.is_date(kind):
        return st.dates()
    if pa.types.is_integer(kind):
        return st.integers(-(2**31), 2**31 - 1)
    if pa.types.is_floating(kind):
        return st.floats(width=32, allow_nan=False)
    return st.text(st.characters(codec="utf-8"), max_size=8)


@st.composite
def any_table(draw: st.DrawFn) -> tuple[pd.DataFrame, pa.Schema]:
    """Draw a schema and a frame that follows it, with columns shuffled and nulls where allowed."""
    schema = SCHEMAS[draw(st.sampled_from(sorted(SCHEMAS)))]
    n_rows = draw(st.integers(0, 4))
    columns = {}
    for field in draw(st.permutations(list(schema))):
        cells = values_of(field.type)
        cells = cells | st.none() if field.nullable else cells
        columns[field.name] = pd.Series(draw(st.lists(cells, min_size=n_rows, max_size=n_rows)), dtype=object)
    return pd.DataFrame(columns), schema


@given(any_table())
def test_a_table_survives_the_disk_and_equal_tables_give_equal_bytes(
    tmp_path_factory: pytest.TempPathFactory, table: tuple[pd.DataFrame, pa.Schema]
) -> None:
    frame, schema = table
    folder = tmp_path_factory.mktemp("tables")
    checked = validate(frame, schema)
    tables.write_parquet(frame, folder / "first.parquet", schema)
    tables.write_parquet(
        tables.read_table(folder / "first.parquet", schema), folder / "again.parquet", schema
    )
    pd.testing.assert_frame_equal(tables.read_table(folder / "again.parquet", schema), checked)
    pd.testing.assert_frame_equal(validate(checked, schema), checked)
    assert (folder / "first.parquet").read_bytes() == (folder / "again.parquet").read_bytes()
    assert pq.read_schema(folder / "again.parquet").equals(schema, check_metadata=True)


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_field_says_what_it_is_and_its_unit_agrees_with_its_name(name: str) -> None:
    for field in SCHEMAS[name]:
        metadata = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        assert metadata["about"], field.name
        for suffix, unit in UNITS.items():
            if field.name.endswith(suffix) and field.type != pa.string():
                if field.type in (pa.int32(), pa.int64()):  # n_p, n_s count picks
                    continue
                assert metadata.get("unit") == unit, field.name
        if pa.types.is_timestamp(field.type):
            assert field.type == pa.timestamp("ns", tz="UTC"), field.name


@pytest.mark.parametrize("schema", [STATIONS, EVENTS])
def test_places_are_in_the_order_latitude_longitude_height(schema: pa.Schema) -> None:
    start = schema.names.index("latitude")
    assert schema.names[start : start + 3] in (
        ["latitude", "longitude", "elevation_m"],
        ["latitude", "longitude", "depth_km"],
    )


def test_validate_orders_fills_and_drops_columns() -> None:
    frame = picks_of({}, {"phase": "S"}).assign(comment="mine")[::-1]
    checked = validate(frame, PICKS)
    assert list(checked) == PICKS.names
    assert checked.index.tolist() == [0, 1]
    assert checked["phase"].tolist() == ["S", "P"]
    assert checked["amplitude"].isna().all()
    assert "comment" in frame, "the caller's frame is left as it was"


def test_a_table_from_before_a_column_was_there_is_read_with_nulls(tmp_path: Path) -> None:
    new = ["trigger_start", "trigger_end", "amplitude_unit", "snr"]
    whole = validate(picks_of({"amplitude": 1.5, "snr": 3.0}, {"phase": "S"}), PICKS)
    whole.drop(columns=new).to_parquet(tmp_path / "old.parquet")
    whole.drop(columns=new).to_csv(tmp_path / "old.csv", index=False)
    for name in ("old.parquet", "old.csv"):
        old = tables.read_table(tmp_path / name, PICKS)
        assert list(old) == PICKS.names and old[new].isna().all(axis=None)
        assert old["amplitude"].tolist()[0] == 1.5
    joined = tables.concatenate([old, whole], PICKS)
    assert joined["snr"].isna().tolist() == [True, True, False, True]


def test_a_missing_column_is_named() -> None:
    with pytest.raises(TableError, match=r"PICKS: column 'probability' is missing; found \["):
        validate(picks_of({}).drop(columns="probability"), PICKS)


def test_a_missing_value_is_named_by_column_and_row() -> None:
    frame = picks_of({}, {}, {"probability": None})
    with pytest.raises(TableError, match="PICKS: column 'probability' has no value in row 2"):
        validate(frame, PICKS)


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"time": "noon"}, "time"),
        ({"time": "2599-12-31"}, "time"),
        ({"probability": "high"}, "probability"),
        ({"station": 5}, "station"),
    ],
)
def test_a_wrong_value_is_named_by_column(change: dict[str, Any], column: str) -> None:
    frame = picks_of({}).astype(object).assign(**change)
    with pytest.raises(TableError, match=f"PICKS: column '{column}' is not"):
        validate(frame, PICKS)


def test_numbers_are_no_times() -> None:
    frame = picks_of({}).assign(time=1408838460.25)
    with pytest.raises(TableError, match=r"column 'time' .* found numbers \(1408838460.25\)"):
        validate(frame, PICKS)


def test_times_without_offset_are_utc_and_others_are_converted() -> None:
    frame = picks_of({}, {"time": "2014-08-24T01:01:00.25+01:00"}, {"time": "2014-08-24T00:01:00.250Z"})
    times = validate(frame, PICKS)["time"]
    assert times.nunique() == 1
    assert times[0] == pd.Timestamp("2014-08-24T00:01:00.25", tz="UTC")


def test_days_stay_days() -> None:
    row = CHANNEL | {"day": np.datetime64("2014-08-24"), "components": "ZNE", "fraction": 1.0, "n_gaps": 0}
    (day,) = validate(pd.DataFrame([row]), AVAILABILITY)["day"]
    assert str(day) == "2014-08-24"


def test_pick_ids_are_stable_and_name_every_part() -> None:
    changes = [{"network": "7Z"}, {"station": "DYJM"}, {"location": "00"}, {"band": "EH"}, {"phase": "S"}]
    changes += [{"time": "2014-08-24T00:01:00.250001"}, {"method": "stalta"}]
    ids = picks_of({}, *changes)["pick_id"].tolist()
    assert len(set(ids)) == len(changes) + 1
    assert ids[0] == tables.pick_ids(validate(picks_of({"probability": 0.1}), PICKS))[0]
    assert ids[0] == "8856f4bf2cdcd038", (
        "a change of the hash would orphan the assignments of every catalogue"
    )


@given(st.permutations([f"{number:x}" for number in range(6)]))
def test_an_event_is_its_picks_in_any_order(names: list[str]) -> None:
    assert tables.event_id(names) == tables.event_id(sorted(names))
    assert tables.event_id(names) != tables.event_id(names[1:])


def test_plain_csv_of_picks_gets_what_it_leaves_out(tmp_path: Path) -> None:
    (tmp_path / "picks.csv").write_text(
        "network,station,phase,time\nZ7,DYJN,P,2014-08-24T00:01:00\nNA,0012,S,2014-08-24 00:01:00.123456Z\n"
    )
    picks = tables.read_table(tmp_path / "picks.csv", PICKS)
    assert picks["network"].tolist() == ["Z7", "NA"], "network NA is no missing value"
    assert picks["station"].tolist() == ["DYJN", "0012"], "codes stay text"
    assert picks["pick_id"].is_unique
    assert picks["probability"].tolist() == [1.0, 1.0]
    assert picks["time"].iloc[1] == pd.Timestamp("2014-08-24T00:01:00.123456", tz="UTC")


def test_plain_csv_of_stations_and_of_events(tmp_path: Path) -> None:
    (tmp_path / "stations.csv").write_text(
        "network, station, latitude, longitude, elevation_m, start, end\n"
        "Z7,DYJN,64.7,-16.8,1200,2014-01-01,\n"
        "Z7,KSK,64.8,-16.9,900,2014-01-01T12:00:00Z,2015-01-01\n"
    )
    stations = tables.read_table(tmp_path / "stations.csv", STATIONS)
    assert stations["location"].tolist() == ["", ""]
    assert stations["end"].isna().tolist() == [True, False]
    (tmp_path / "events.csv").write_text(
        "event_id,time,latitude,longitude,depth_km\n7,2014-08-24T00:01:00,64.7,-16.8,5.5\n"
    )
    events = tables.read_table(tmp_path / "events.csv", EVENTS)
    assert events[["event_id", "status"]].to_numpy().tolist() == [["7", "located"]]


def test_a_file_that_is_no_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="there is no file"):
        tables.read_table(tmp_path / "picks.csv", PICKS)
    for name, content in {"a.parquet": "text", "b.csv": "", "c.csv": "phase,time\nP,2014-08-24\n"}.items():
        (tmp_path / name).write_text(content)
        with pytest.raises(TableError, match=name):
            tables.read_table(tmp_path / name, PICKS)


def test_concatenate_keeps_rows_in_order_and_needs_none() -> None:
    parts = [picks_of({"station": name}) for name in ("B", "A")]
    assert tables.concatenate(parts, PICKS)["station"].tolist() == ["B", "A"]
    nothing = tables.concatenate([], ASSIGNMENTS)
    pd.testing.assert_frame_equal(nothing, tables.empty(ASSIGNMENTS))
    pd.testing.assert_frame_equal(tables.concatenate([nothing, nothing], ASSIGNMENTS), nothing)
