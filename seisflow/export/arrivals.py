"""The arrivals of a catalogue: picks joined with the events they belong to and the sites they were made at.

Every phase format needs this join, the numbers that old programs use in place of names, and times
rounded before they are split into minutes and seconds (so that no file says 60.00 seconds).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from seisflow.earth.sites import site_index, sites_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from seisflow.tables import Catalog

__all__ = ["arrivals_of", "each_event", "each_row", "number_events", "rounded"]

KM_PER_DEGREE = 111.195


def arrivals_of(catalog: Catalog, stations: pd.DataFrame, *, need_sites: bool = False) -> pd.DataFrame:
    """Return a row for each assigned pick, in the order of the events, then of the picks' times.

    Parameters
    ----------
    catalog : Catalog
    stations : STATIONS table
    need_sites : bool
        Whether a pick at a station without coordinates is an error.

    Returns
    -------
    DataFrame
        The columns of PICKS and ASSIGNMENTS and: `event` (row in the events table), `site` (row in
        the stations table, -1 where unknown), `azimuth_deg` (from the epicentre to the station,
        clockwise from north), `travel_time_s` (pick minus origin time); `distance_km` is filled
        from the coordinates where the assignment has none.

    Raises
    ------
    MetadataError
        If `need_sites` and a station has no coordinates at the time of its pick.
    """
    rows = catalog.assignments.merge(catalog.picks, on="pick_id")
    rows["event"] = pd.Index(catalog.events["event_id"]).get_indexer(pd.Index(rows["event_id"]))
    rows = rows.sort_values(["event", "time", "pick_id"], ignore_index=True)
    rows["site"] = sites_of(rows, stations) if need_sites else _sites(rows, stations)
    _add_geometry(rows, catalog.events, stations)
    origin = catalog.events["time"].to_numpy()[rows["event"]]
    rows["travel_time_s"] = (rows["time"].to_numpy() - origin) / pd.Timedelta(seconds=1)
    return rows


def _sites(rows: pd.DataFrame, stations: pd.DataFrame) -> NDArray[np.int64]:
    network, station, location = (
        rows[name].to_numpy(dtype=object) for name in ("network", "station", "location")
    )
    return site_index(network, station, location, rows["time"].to_numpy(dtype="datetime64[ns]"), stations)


def _add_geometry(rows: pd.DataFrame, events: pd.DataFrame, stations: pd.DataFrame) -> None:
    """Add `azimuth_deg` and fill `distance_km`, on the WGS84 ellipsoid."""
    from pyproj import Geod

    rows["azimuth_deg"] = np.nan
    known = rows["site"].to_numpy() >= 0
    sites, origins = stations.iloc[rows["site"][known]], events.iloc[rows["event"][known]]
    azimuth_deg, _, distance_m = Geod(ellps="WGS84").inv(
        origins["longitude"].to_numpy(),
        origins["latitude"].to_numpy(),
        sites["longitude"].to_numpy(),
        sites["latitude"].to_numpy(),
    )
    rows.loc[known, "azimuth_deg"] = np.asarray(azimuth_deg) % 360.0
    computed_km = pd.Series(np.asarray(distance_m) / 1000.0, index=rows.index[known])
    rows["distance_km"] = rows["distance_km"].fillna(computed_km)


def each_event(events: pd.DataFrame, arrivals: pd.DataFrame) -> Iterator[tuple[Any, list[Any]]]:
    """Yield each event (a named tuple) with its arrivals (named tuples), in the order of the table."""
    bounds = np.searchsorted(arrivals["event"].to_numpy(), np.arange(len(events) + 1))
    rows = each_row(arrivals)
    for i, event in enumerate(each_row(events)):
        yield event, rows[bounds[i] : bounds[i + 1]]


def each_row(frame: pd.DataFrame) -> list[Any]:
    """Return the rows as named tuples."""
    return list(frame.itertuples(index=False))


def number_events(events: pd.DataFrame, path: Path) -> dict[str, int]:
    """Return a number from 1 for each event, in the order of the table, and write the list of them.

    HYPOINVERSE and hypoDD know events by integers only; the list leads back to the event's name.
    """
    numbers = {name: i + 1 for i, name in enumerate(events["event_id"])}
    pd.DataFrame({"number": list(numbers.values()), "event_id": list(numbers)}).to_csv(path, index=False)
    return numbers


def rounded(time: pd.Timestamp, decimals: int) -> tuple[pd.Timestamp, float]:
    """Return the minute that a time lies in and its seconds, rounded to `decimals` before they are split."""
    step_ns = 10 ** (9 - decimals)
    nanoseconds = (time.as_unit("ns").value + step_ns // 2) // step_ns * step_ns
    minute_ns = nanoseconds // 60_000_000_000 * 60_000_000_000
    return pd.Timestamp(minute_ns, unit="ns", tz="UTC"), (nanoseconds - minute_ns) * 1e-9
