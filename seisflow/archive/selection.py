"""From what files hold to HOLDINGS and REJECTED: the days and stations that were asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Literal

import pandas as pd

from seisflow.archive.base import Scan
from seisflow.keys import Period
from seisflow.tables import HOLDINGS, REJECTED, validate

__all__ = ["is_wanted", "parts_of", "scan_of"]

_ORDER = ["network", "station", "day", "location", "band", "uri"]


def scan_of(contents: pd.DataFrame, period: Period, stations: Sequence[str] | None) -> Scan:
    """Return the part of `contents` that lies in a period, as tables.

    Parameters
    ----------
    contents : pandas.DataFrame
        Columns uri, n_bytes, fault, network, station, location, band, day (ISO date as text). A
        row without `day` is a file of which nothing can be read.
    period : Period
    stations : sequence of str, optional
        Patterns ``NETWORK.STATION``.

    Returns
    -------
    Scan
        A damaged file is rejected only if what it holds was asked for, or if it can not be known.
    """
    days = {str(day) for day in period.days()}
    codes = contents[["network", "station"]].drop_duplicates()
    wanted = {(n, s) for n, s in codes.itertuples(index=False) if is_wanted(n, s, stations)}
    has_day = (contents["day"] != "").to_numpy(dtype=bool)
    is_asked = contents["day"].isin(days).to_numpy(dtype=bool) & pd.MultiIndex.from_frame(
        contents[["network", "station"]]
    ).isin(list(wanted))
    holdings = contents[has_day & is_asked].sort_values(_ORDER)
    holdings = holdings.assign(day=pd.to_datetime(holdings["day"]))
    faulty = (
        contents[(contents["fault"] != "") & (is_asked | ~has_day)].drop_duplicates("uri").sort_values("uri")
    )
    return Scan(validate(holdings, HOLDINGS), validate(faulty.rename(columns={"fault": "reason"}), REJECTED))


def parts_of(period: Period, unit: Literal["M", "Y"]) -> Iterator[Period]:
    """Yield the parts of a period that lie in one month (M) or year (Y) each."""
    start = period.start
    while start < period.end:
        following = (start.astype(f"datetime64[{unit}]") + 1).astype("datetime64[ns]")
        yield Period(start, min(following, period.end))
        start = following


def is_wanted(network: str, station: str, patterns: Sequence[str] | None) -> bool:
    """Return whether a station fits one of the patterns ``NETWORK.STATION``; None means all do."""
    return patterns is None or any(fnmatchcase(f"{network}.{station}", pattern) for pattern in patterns)
