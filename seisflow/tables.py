"""Every table schema of seisflow, with units in the field metadata, and the one way to check one.

Between rooms tables travel as `pandas.DataFrame`; on disk they are Parquet with the Arrow schema
given here. `validate` is the door: it returns a frame with exactly the columns, order and types of
the schema or raises a `TableError` that names the table, the column and what was found.

Conventions: times are UTC with nanoseconds; every physical scalar carries its unit as a suffix;
latitude, longitude, depth in that order; depth is positive down from sea level; elevation is
positive up.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from seisflow.errors import TableError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "ASSIGNMENTS",
    "AVAILABILITY",
    "EVENTS",
    "HOLDINGS",
    "LEDGER",
    "LOCATED",
    "PICKS",
    "PLAN",
    "REJECTED",
    "SCHEMAS",
    "STATIONS",
    "Catalog",
    "concatenate",
    "empty",
    "event_id",
    "pick_ids",
    "read_table",
    "to_arrow",
    "validate",
    "write_parquet",
]

TIME = pa.timestamp("ns", tz="UTC")
TEXT = pa.string()
F64 = pa.float64()
F32 = pa.float32()
I64 = pa.int64()
I32 = pa.int32()


def _field(name: str, kind: pa.DataType, about: str, unit: str = "", *, optional: bool = False) -> pa.Field:
    metadata = {"about": about}
    if unit:
        metadata["unit"] = unit
    return pa.field(name, kind, nullable=optional, metadata=metadata)


def _schema(name: str, about: str, *fields: pa.Field) -> pa.Schema:
    return pa.schema(fields, metadata={"table": name, "about": about})


_NETWORK = _field("network", TEXT, "SEED network code")
_STATION = _field("station", TEXT, "SEED station code")
_LOCATION = _field("location", TEXT, "SEED location code, '' where blank")
_BAND = _field("band", TEXT, "band and instrument code, the first two letters of the channel (HH)")

HOLDINGS = _schema(
    "HOLDINGS",
    "What an archive holds: a row for each file, channel group and day it touches.",
    _NETWORK,
    _STATION,
    _LOCATION,
    _BAND,
    _field("day", pa.date32(), "UTC day"),
    _field("uri", TEXT, "path or URL of the file"),
    _field("n_bytes", I64, "size of the file", "byte"),
)
REJECTED = _schema(
    "REJECTED",
    "Files that could not be read, or not wholly, and why.",
    _field("uri", TEXT, "path or URL of the file"),
    _field("n_bytes", I64, "size of the file", "byte"),
    _field("reason", TEXT, "what is wrong with it"),
)
STATIONS = _schema(
    "STATIONS",
    "Where instruments stand: a row for each site and epoch.",
    _NETWORK,
    _STATION,
    _LOCATION,
    _field("latitude", F64, "WGS84 latitude, positive north", "degree"),
    _field("longitude", F64, "WGS84 longitude, positive east", "degree"),
    _field("elevation_m", F64, "elevation of the sensor above sea level, positive up", "m"),
    _field("start", TIME, "start of the epoch; null means since ever", optional=True),
    _field("end", TIME, "end of the epoch; null means still running", optional=True),
)
PICKS = _schema(
    "PICKS",
    "Phase onsets at single stations.",
    _field("pick_id", TEXT, "hash of channel, phase, time and method (see pick_ids)"),
    _NETWORK,
    _STATION,
    _LOCATION,
    _BAND,
    _field("phase", TEXT, "P or S"),
    _field("time", TIME, "onset"),
    _field("probability", F32, "confidence of the picker, 0 to 1; its scale belongs to the method"),
    _field("trigger_start", TIME, "first instant of the trigger", optional=True),
    _field("trigger_end", TIME, "last instant of the trigger", optional=True),
    _field("amplitude", F32, "largest absolute value after the onset, in `amplitude_unit`", optional=True),
    _field("amplitude_unit", TEXT, "count, m/s, ...; null where nothing was measured", optional=True),
    _field("snr", F32, "amplitude over root mean square of the noise before the onset", optional=True),
    _field("polarity", TEXT, "up, down or '' where undetermined"),
    _field("method", TEXT, "name of the picker"),
)
AVAILABILITY = _schema(
    "AVAILABILITY",
    "How much of a station-day there is: a row for each station-day that was read.",
    _NETWORK,
    _STATION,
    _LOCATION,
    _BAND,
    _field("day", pa.date32(), "UTC day"),
    _field("components", TEXT, "components there are, e.g. ZNE"),
    _field("fraction", F64, "samples present of those the window should hold, mean over components, 0 to 1"),
    _field("n_gaps", I32, "gaps of the vertical, or of the first component there is"),
)
EVENTS = _schema(
    "EVENTS",
    "Earthquakes: one row an event, located or not; `status` says which.",
    _field("event_id", TEXT, "hash of the picks that make it (see event_id)"),
    _field("time", TIME, "origin time"),
    _field("latitude", F64, "epicentre, WGS84, positive north", "degree"),
    _field("longitude", F64, "epicentre, WGS84, positive east", "degree"),
    _field("depth_km", F64, "depth below sea level, positive down", "km"),
    _field("n_p", I32, "P picks used"),
    _field("n_s", I32, "S picks used"),
    _field("rms_s", F64, "weighted root mean square of the residuals", "s", optional=True),
    _field("gap_deg", F64, "largest azimuthal gap between stations", "degree", optional=True),
    _field(
        "horizontal_error_km", F64, "semi-major axis of the horizontal 68% error ellipse", "km", optional=True
    ),
    _field("depth_error_km", F64, "68% error of the depth", "km", optional=True),
    _field("magnitude", F64, "magnitude", optional=True),
    _field("magnitude_type", TEXT, "ML, Mw, ...; '' where there is none"),
    _field("method", TEXT, "name of the method that gave this hypocentre"),
    _field(
        "status",
        TEXT,
        "associated, located, depth_at_limit (the epicentre holds), or why it could not be located",
    ),
)
ASSIGNMENTS = _schema(
    "ASSIGNMENTS",
    "Which pick belongs to which event.",
    _field("event_id", TEXT, "event"),
    _field("pick_id", TEXT, "pick"),
    _field("residual_s", F64, "observed minus computed arrival time", "s", optional=True),
    _field("distance_km", F64, "epicentral distance", "km", optional=True),
    _field("weight", F64, "weight in the location, 0 to 1", optional=True),
)
LEDGER = _schema(
    "LEDGER",
    "What was computed: a row for each unit of work of a stage.",
    _field("stage", TEXT, "stage of the run"),
    _field("unit", TEXT, "unit of work, e.g. Z7.DYJN.2014-08-24"),
    _field("status", TEXT, "ok, empty or failed"),
    _field("reason", TEXT, "why it failed or is empty, or what was noticed; '' where nothing was"),
    _field("inputs", TEXT, "hash of the inputs the unit was computed from"),
    _field("part", TEXT, "name of the part that holds the rows; '' where there are none"),
    _field("n_rows", I64, "rows written for the unit"),
    _field("checksum", TEXT, "hash of the rows written for the unit"),
    _field("attempts", I32, "how often it was tried"),
    _field("seconds", F64, "time spent on the unit", "s"),
    _field("peak_memory_mb", F64, "peak resident memory of the process so far", "MB"),
    _field("finished", TIME, "when the unit was done"),
    _field("versions", TEXT, "seisflow and method version"),
    _field("order", I64, "which of two rows of a unit is newer: number of the driver, then the attempt"),
)

PLAN = _schema(
    "PLAN",
    "What a run has to compute: a row for each network-day, in order.",
    _field("start", TIME, "start of the window"),
    _field("end", TIME, "end of the window, which does not belong to it"),
    _field("station_days", I64, "stations that have data in it"),
    _field("n_bytes", I64, "size of the files that begin in it", "byte"),
)

SCHEMAS: dict[str, pa.Schema] = {
    schema.metadata[b"table"].decode(): schema
    for schema in (HOLDINGS, REJECTED, STATIONS, PICKS, AVAILABILITY, EVENTS, ASSIGNMENTS, LEDGER, PLAN)
}


LOCATED = ("located", "depth_at_limit")
"""Values of `status` of events whose epicentre holds."""


class Catalog(NamedTuple):
    """Events, which picks belong to them, and all picks, also those that belong to none.

    Attributes
    ----------
    events : EVENTS table
    assignments : ASSIGNMENTS table
    picks : PICKS table
    """

    events: pd.DataFrame
    assignments: pd.DataFrame
    picks: pd.DataFrame


def to_arrow(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """Return `frame` as an Arrow table with exactly the columns and types of `schema`.

    Columns that may be null and are absent are filled with nulls; columns that are not in the
    schema are dropped.

    Raises
    ------
    TableError
        If a required column is missing, has a null, or does not convert to its type.
    """
    name = schema.metadata[b"table"].decode()
    arrays = []
    for field in schema:
        if field.name not in frame.columns:
            if not field.nullable:
                raise TableError(
                    f"{name}: column '{field.name}' is missing; found {list(frame.columns)}, "
                    f"needed are {[f.name for f in schema if not f.nullable]}"
                )
            arrays.append(pa.nulls(len(frame), field.type))
            continue
        arrays.append(_column(frame[field.name], field, name))
    return pa.Table.from_arrays(arrays, schema=schema)


def _column(values: pd.Series[Any], field: pa.Field, table: str) -> pa.Array:
    try:
        if pa.types.is_timestamp(field.type):
            values = _instants(values)
        elif pa.types.is_string(field.type) and not _is_whole_text(values):
            values = values.astype(object).where(values.notna(), "" if not field.nullable else None)
        elif pa.types.is_date(field.type):
            values = pd.Series(values.to_numpy().astype("datetime64[D]"))
        array = pa.Array.from_pandas(values, type=field.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError, TypeError) as error:
        raise TableError(f"{table}: column '{field.name}' is not {field.type}: {error}") from error
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if array.null_count and not field.nullable:
        row = int(np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))[0])
        raise TableError(f"{table}: column '{field.name}' has no value in row {row}; every row needs one")
    return array


def _is_whole_text(values: pd.Series[Any]) -> bool:
    """Return whether a column is of text in Arrow already, none of it missing."""
    return isinstance(values.dtype, pd.StringDtype) and not values.hasnans


def _instants(values: pd.Series[Any]) -> pd.Series[Any]:
    """Return times as UTC; numbers are refused, as nothing says what they count."""
    if pd.api.types.is_numeric_dtype(values) and values.notna().any():
        raise ValueError(
            f"found numbers ({values.dropna().iloc[0]}), needed are times such as 2014-08-24T00:01:00"
        )
    if pd.api.types.is_numeric_dtype(values):
        values = values.astype(object)
    return pd.to_datetime(values, utc=True, format="ISO8601").astype("datetime64[ns, UTC]")


def validate(frame: pd.DataFrame, schema: pa.Schema) -> pd.DataFrame:
    """Return `frame` with exactly the columns, order and types of `schema`, index 0..n-1.

    Raises
    ------
    TableError
        As `to_arrow`.
    """
    table: pd.DataFrame = to_arrow(frame, schema).to_pandas()
    return table


def empty(schema: pa.Schema) -> pd.DataFrame:
    """Return a table of `schema` without rows."""
    table: pd.DataFrame = schema.empty_table().to_pandas()
    return table


def concatenate(frames: Sequence[pd.DataFrame], schema: pa.Schema) -> pd.DataFrame:
    """Return the rows of several tables of one schema, in the order given."""
    tables = [to_arrow(frame, schema) for frame in frames]
    table: pd.DataFrame = (pa.concat_tables(tables) if tables else schema.empty_table()).to_pandas()
    return table


def write_parquet(frame: pd.DataFrame, path: str | Path, schema: pa.Schema) -> None:
    """Write a table as Parquet (zstd); equal tables give equal bytes."""
    import pyarrow.parquet as pq

    pq.write_table(to_arrow(frame, schema), path, compression="zstd")


def read_table(path: str | Path, schema: pa.Schema) -> pd.DataFrame:
    """Read a Parquet file, or the plain CSV that people have, as a table of `schema`.

    In a CSV of PICKS `pick_id`, `location`, `band`, `probability`, `polarity` and `method` may be
    missing; in a CSV of STATIONS `location` may be.

    Raises
    ------
    TableError
        If the file does not exist, is not readable, or misses a column.
    """
    import pyarrow.parquet as pq

    path = Path(path)
    if not path.is_file():
        raise TableError(f"there is no file {path}")
    try:
        if path.suffix == ".parquet":
            frame = pq.read_table(path).to_pandas()
        else:
            codes = dict.fromkeys(("network", "station", "location", "band", "pick_id", "event_id"), str)
            frame = pd.read_csv(
                path, dtype=codes, keep_default_na=False, na_values=["", "nan", "NaN", "None"]
            )
            frame = _completed(frame.rename(columns=str.strip), schema)
        return validate(frame, schema)
    except TableError as error:
        raise TableError(f"{path}: {error}") from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise TableError(f"{path} can not be read as a table: {error}") from error


def _completed(frame: pd.DataFrame, schema: pa.Schema) -> pd.DataFrame:
    """Fill in what a plain CSV may leave out."""
    defaults: dict[str, Any] = {}
    if schema is PICKS:
        defaults = {"location": "", "band": "", "probability": 1.0, "polarity": "", "method": "file"}
    elif schema is STATIONS:
        defaults = {"location": ""}
    elif schema is EVENTS:
        defaults = {"magnitude_type": "", "method": "file", "status": "located", "n_p": 0, "n_s": 0}
    for name, value in defaults.items():
        if name not in frame.columns:
            frame[name] = value
    if (
        schema is PICKS
        and "pick_id" not in frame.columns
        and {"time", "phase", "station", "network"} <= set(frame)
    ):
        frame[["network", "location", "band"]] = frame[["network", "location", "band"]].fillna("")
        frame["pick_id"] = pick_ids(frame)
    return frame


def pick_ids(picks: pd.DataFrame) -> list[str]:
    """Return a hash for each pick: of channel, phase, time to the microsecond and method.

    A rerun that finds the same pick gives it the same name.
    """
    times = _instants(picks["time"]).dt.as_unit("us").astype("int64")
    columns = [
        picks[name].astype(str) for name in ("network", "station", "location", "band", "phase", "method")
    ]
    return [_digest("|".join(row)) for row in zip(*columns, times.astype(str), strict=True)]


def event_id(pick_ids: Sequence[str]) -> str:
    """Return the name of an event: a hash of the picks that make it, whatever their order."""
    return _digest("|".join(sorted(pick_ids)))


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
