"""hypoDD: phase file for ph2dt (.pha) and station file.

obspy writes .pha, but travel times only to 0.1 ms and station codes without their network; both
files are free format, so they are written here.

References
----------
F. Waldhauser (2001), hypoDD - A program to compute double-difference hypocenter locations, USGS
Open-File Report 01-113, sections C.1 (ph2dt input) and C.2 (station input),
https://doi.org/10.3133/ofr01113
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from seisflow.errors import TableError
from seisflow.export.arrivals import arrivals_of, each_event, each_row, number_events, rounded
from seisflow.export.base import Exporter

if TYPE_CHECKING:
    import pandas as pd

    from seisflow.tables import Catalog

__all__ = ["Hypodd"]

LABEL_LENGTH = 7


class Hypodd(Exporter):
    """Write catalog.pha, station.dat and event_ids.csv (the events' numbers and names).

    Stations are called network code + station code, at most 7 letters together. Where there is no
    magnitude or error the file says 0, as the format has no word for "unknown".
    """

    name: ClassVar[str] = "hypodd"

    def write(self, catalog: Catalog, stations: pd.DataFrame, folder: Path) -> list[Path]:
        """Write the three files into `folder` and return their paths."""
        arrivals = arrivals_of(catalog, stations, need_sites=True)
        arrivals["label"] = [_label(row) for row in each_row(arrivals)]
        arrivals["weight"] = arrivals["weight"].fillna(1.0)
        arrivals = _best_per_station(arrivals)
        phases, places, names = folder / "catalog.pha", folder / "station.dat", folder / "event_ids.csv"
        numbers = number_events(catalog.events, names)
        with phases.open("w", encoding="ascii", newline="\n") as file:
            for event, rows in each_event(catalog.events, arrivals):
                origin, header = _header(event, numbers[event.event_id])
                file.write(header)
                file.writelines(_phase_line(row, origin) for row in rows)
        places.write_text("".join(_station_lines(stations)), encoding="ascii")
        return [phases, places, names]


def _best_per_station(arrivals: pd.DataFrame) -> pd.DataFrame:
    """Keep the pick of most weight where a station has several of one phase (two sensors, say)."""
    order = arrivals.sort_values("weight", ascending=False, kind="stable")
    return order.drop_duplicates(["event", "label", "phase"]).sort_index(ignore_index=True)


def _header(event: Any, number: int) -> tuple[pd.Timestamp, str]:
    """Return the origin time as written and the line ``# YR MO DY HR MN SC LAT LON DEP MAG EH EZ RMS ID``."""
    minute, second = rounded(event.time, 6)
    known = [0.0 if np.isnan(value) else value for value in (event.magnitude, event.horizontal_error_km)]
    known += [0.0 if np.isnan(value) else value for value in (event.depth_error_km, event.rms_s)]
    magnitude, horizontal_km, vertical_km, rms_s = known
    line = (
        f"# {minute:%Y %m %d %H %M} {second:9.6f} {event.latitude:10.6f} {event.longitude:11.6f} "
        f"{event.depth_km:8.4f} {magnitude:5.2f} {horizontal_km:7.3f} {vertical_km:7.3f} {rms_s:7.4f} "
        f"{number:9d}\n"
    )
    return event.time.round("us"), line


def _phase_line(row: Any, origin: pd.Timestamp) -> str:
    travel_time_s = (row.time - origin).as_unit("ns").value * 1e-9
    return f"{row.label:<7} {travel_time_s:11.6f} {row.weight:7.4f}  {row.phase}\n"


def _station_lines(stations: pd.DataFrame) -> list[str]:
    """Return ``label latitude longitude elevation_m`` for each label; the last epoch gives its place."""
    lines = {
        _label(row): f"{_label(row):<7} {row.latitude:10.6f} {row.longitude:11.6f} {row.elevation_m:8.1f}\n"
        for row in each_row(stations)
    }
    return list(lines.values())


def _label(row: Any) -> str:
    label = f"{row.network}{row.station}"
    if len(label) > LABEL_LENGTH:
        raise TableError(
            f"hypodd: the label '{label}' of {row.network}.{row.station} has {len(label)} letters; "
            f"hypoDD allows {LABEL_LENGTH}; rename the station in picks and stations"
        )
    return label
