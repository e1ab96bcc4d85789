"""HYPOINVERSE-2000: Y2000 archive phase file and station file (format #2).

Columns are fixed and numbers have implied decimals, so this is written column by column. The phase
file holds hundredths of a second: that is the format's limit, not ours.

References
----------
F. W. Klein (2002), User's guide to HYPOINVERSE-2000, USGS Open-File Report 02-171, "Y2000 summary
format" (p. 98), "Y2000 (station) archive format" (p. 99), "Hypoinverse terminator format" (p. 32),
"HYPOINVERSE station data format #2" (p. 18), https://doi.org/10.3133/ofr02171
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from seisflow.errors import TableError
from seisflow.export.arrivals import arrivals_of, each_event, each_row, number_events, rounded
from seisflow.export.base import Exporter

if TYPE_CHECKING:
    from seisflow.tables import Catalog

__all__ = ["Hypoinverse"]

CHANNEL = ["network", "station", "location", "band"]
WIDTHS = {"network": 2, "station": 5, "location": 2, "band": 2}
FIRST_MOTION = {"up": "U", "down": "D"}


class Hypoinverse(Exporter):
    """Write catalog.arc, stations.sta and event_ids.csv (the events' numbers and names).

    Read them with ``200 T 2000 0``, ``H71 3 1 3``, ``LET 5 2 3 2 2``, ``STA 'stations.sta'``, ``COP 3``
    and ``PHS 'catalog.arc'``. Weights become codes: 1 is 0, 0.75 is 1, 0.5 is 2, 0.25 is 3, 0 is 4.
    """

    name: ClassVar[str] = "hypoinverse"

    def write(self, catalog: Catalog, stations: pd.DataFrame, folder: Path) -> list[Path]:
        """Write the three files into `folder` and return their paths."""
        arrivals = arrivals_of(catalog, stations, need_sites=True)
        _check_codes(arrivals, stations)
        phases, places, names = folder / "catalog.arc", folder / "stations.sta", folder / "event_ids.csv"
        numbers = number_events(catalog.events, names)
        with phases.open("w", encoding="ascii", newline="\n") as file:
            for event, rows in each_event(catalog.events, arrivals):
                number = numbers[event.event_id]
                file.write(_summary_line(event, rows, number) + "\n")
                file.writelines(_station_line(p, s) + "\n" for p, s in _pairs(rows))
                file.write(_card(72, (63, _whole(number, 10))) + "\n")
        places.write_text("".join(line + "\n" for line in _site_lines(arrivals, stations)), encoding="ascii")
        return [phases, places, names]


def _check_codes(arrivals: pd.DataFrame, stations: pd.DataFrame) -> None:
    for frame in (arrivals, stations):
        for name in frame.columns.intersection(list(WIDTHS)):
            long = frame.loc[frame[name].str.len() > WIDTHS[name], name]
            if len(long):
                raise TableError(
                    f"hypoinverse: the {name} code '{long.iloc[0]}' has {len(long.iloc[0])} letters; "
                    f"the format allows {WIDTHS[name]}; rename it in picks and stations"
                )


def _pairs(rows: list[Any]) -> list[tuple[Any, Any]]:
    """Return (P, S) of each channel, None where one is missing; a second pick of a phase has its own line."""
    channels: dict[tuple[str, ...], dict[str, list[Any]]] = {}
    for row in rows:
        phases = channels.setdefault(tuple(getattr(row, name) for name in CHANNEL), {"P": [], "S": []})
        phases[row.phase].append(row)
    pairs = []
    for phases in channels.values():
        n = max(len(phases["P"]), len(phases["S"]))
        p, s = (phases[name] + [None] * (n - len(phases[name])) for name in ("P", "S"))
        pairs += list(zip(p, s, strict=True))
    return pairs


def _summary_line(event: Any, rows: list[Any], number: int) -> str:
    """Return the event's header: 164 columns."""
    minute, second = rounded(event.time, 2)
    latitude_deg, latitude_min = _degrees_minutes(event.latitude, 2)
    longitude_deg, longitude_min = _degrees_minutes(event.longitude, 2)
    nearest_km = min((row.distance_km for row in rows), default=np.nan)
    n_motions = sum(row.phase == "P" and row.polarity in FIRST_MOTION for row in rows)
    weight = 1.0 if np.isfinite(event.magnitude) else np.nan
    return _card(
        164,
        (1, f"{minute:%Y%m%d%H%M}"),
        (13, _implied(second, 4, 2)),
        (17, f"{latitude_deg:02d}"),
        (19, "S" if event.latitude < 0 else " "),
        (20, _implied(latitude_min, 4, 2)),
        (24, f"{longitude_deg:3d}"),
        (27, " " if event.longitude < 0 else "E"),
        (28, _implied(longitude_min, 4, 2)),
        (32, _implied(event.depth_km, 5, 2)),
        (40, _whole(event.n_p + event.n_s, 3)),
        (43, _whole(event.gap_deg, 3)),
        (46, _whole(nearest_km, 3)),
        (49, _implied(event.rms_s, 4, 2)),
        (83, _whole(event.n_s, 3)),
        (86, _implied(event.horizontal_error_km, 4, 2)),
        (90, _implied(event.depth_error_km, 4, 2)),
        (94, _whole(n_motions, 3)),
        (119, _whole(len(rows), 3)),
        (137, _whole(number, 10)),
        (147, event.magnitude_type[1:2].upper() if weight == 1.0 else " "),
        (148, _implied(event.magnitude, 3, 2)),
        (151, _implied(weight, 4, 1)),
    )


def _station_line(p: Any, s: Any) -> str:
    """Return the line of one channel: 113 columns. The times of P and S count from one minute."""
    first = p or s
    minute, second = rounded(first.time, 2)
    cells = [
        (1, f"{first.station:<5}{first.network:<2}"),
        (9, "V"),
        (10, f"{first.band}Z" if first.band else ""),
        (17, "4"),
        (18, f"{minute:%Y%m%d%H%M}"),
        (30, _seconds(0.0)),
        (75, _implied(first.distance_km, 4, 1)),
        (92, _whole(first.azimuth_deg, 3)),
        (112, f"{first.location:<2}"),
    ]
    if p is not None:
        cells += [
            (14, " P"),
            (16, FIRST_MOTION.get(p.polarity, " ")),
            (17, _weight_code(p.weight)),
            (30, _seconds(second)),
            (35, _implied(p.residual_s, 4, 2)),
            (39, _implied(p.weight, 3, 2)),
        ]
    if s is not None:
        own_minute, own_second = rounded(s.time, 2)
        after_s = (own_minute - minute).total_seconds() + own_second
        cells += [
            (42, _seconds(after_s)),
            (47, " S"),
            (50, _weight_code(s.weight)),
            (51, _implied(s.residual_s, 4, 2)),
            (64, _implied(s.weight, 3, 2)),
        ]
    return _card(113, *cells)


def _site_lines(arrivals: pd.DataFrame, stations: pd.DataFrame) -> list[str]:
    """Return a line for each channel that has picks, and one for each station that has none."""
    used = arrivals.drop_duplicates(CHANNEL)[[*CHANNEL, "site"]]
    idle = stations.assign(site=np.arange(len(stations)), band="")
    codes = pd.MultiIndex.from_frame(used[["network", "station"]])
    idle = idle[~pd.MultiIndex.from_frame(idle[["network", "station"]]).isin(codes)]
    listed = pd.concat([used, idle[[*CHANNEL, "site"]]]).sort_values([*CHANNEL, "site"])
    return [_site_line(row, stations.iloc[row.site]) for row in each_row(listed)]


def _site_line(row: Any, site: pd.Series[Any]) -> str:
    latitude_deg, latitude_min = _degrees_minutes(site["latitude"], 4)
    longitude_deg, longitude_min = _degrees_minutes(site["longitude"], 4)
    return _card(
        82,
        (1, f"{row.station:<5}"),
        (7, f"{row.network:<2}"),
        (10, "V"),
        (11, f"{row.band}Z" if row.band else ""),
        (16, f"{latitude_deg:2d}"),
        (19, f"{latitude_min:7.4f}"),
        (26, "S" if site["latitude"] < 0 else "N"),
        (27, f"{longitude_deg:3d}"),
        (31, f"{longitude_min:7.4f}"),
        (38, "W" if site["longitude"] < 0 else "E"),
        (39, _whole(site["elevation_m"], 4)),
        (43, "1.0"),
        (50, " 0.00"),
        (56, " 0.00"),
        (62, " 0.00"),
        (68, " 0.00"),
        (74, "0"),
        (75, "  0.00"),
        (81, f"{row.location:<2}"),
    )


def _card(n_columns: int, *cells: tuple[int, str]) -> str:
    """Return a line with texts at their columns, counted from 1; later cells overwrite earlier ones."""
    line = [" "] * n_columns
    for column, text in cells:
        line[column - 1 : column - 1 + len(text)] = text
    return "".join(line)


def _implied(value: float, width: int, decimals: int) -> str:
    """Write Fortran's Fw.d without its point; blank where unknown, the nearest that fits where too large."""
    return _whole(value * 10**decimals, width)


def _whole(value: float, width: int) -> str:
    if not np.isfinite(value):
        return " " * width
    return f"{int(np.clip(round(value), -(10 ** (width - 1)) + 1, 10**width - 1)):{width}d}"


def _seconds(value: float) -> str:
    """Write F5.2: with its point where it fits, as HYPOINVERSE does, else with the point implied."""
    return f"{value:5.2f}" if -9.995 < value < 99.995 else _implied(value, 5, 2)


def _weight_code(weight: float) -> str:
    return "0" if not np.isfinite(weight) else str(round(4.0 * (1.0 - float(np.clip(weight, 0.0, 1.0)))))


def _degrees_minutes(angle_deg: float, decimals: int) -> tuple[int, float]:
    """Return degrees and minutes of the angle's size; the minutes are rounded before they are split off."""
    steps = round(abs(angle_deg) * 60 * 10**decimals)
    degrees, rest = divmod(steps, 60 * 10**decimals)
    return int(degrees), rest / 10**decimals
