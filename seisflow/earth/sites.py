"""Where the instrument stood that made a pick: the join of PICKS and STATIONS by code and epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from seisflow.errors import MetadataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seisflow.keys import Window

__all__ = ["site_index", "sites_of"]

EVER = np.datetime64("1700-01-01", "ns")
NEVER = np.datetime64("2200-01-01", "ns")


def site_index(
    network: NDArray[Any],
    station: NDArray[Any],
    location: NDArray[Any],
    time: NDArray[Any],
    stations: pd.DataFrame,
) -> NDArray[np.int64]:
    """Return for each channel and time the row of its site in a STATIONS table, or -1.

    The epoch that holds the time wins. Where the location code is not listed, another location
    code of the same station serves.

    Parameters
    ----------
    network, station, location : array of str, shape (n,)
    time : array of datetime64, UTC, shape (n,)
    stations : STATIONS table
    """
    epochs = pd.DataFrame(
        {
            "row": np.arange(len(stations)),
            "network": stations["network"].astype(str),
            "station": stations["station"].astype(str),
            "site_location": stations["location"].astype(str),
            "start": _filled(stations["start"], EVER),
            "end": _filled(stations["end"], NEVER),
        }
    )
    wanted = pd.DataFrame({"network": network, "station": station, "location": location, "time": time})
    wanted["n"] = np.arange(len(wanted))
    pairs = wanted.merge(epochs, on=["network", "station"])
    pairs = pairs[(pairs["time"] >= pairs["start"]) & (pairs["time"] < pairs["end"])]
    pairs["other"] = pairs["location"] != pairs["site_location"]
    best = pairs.sort_values(["n", "other", "row"]).drop_duplicates("n")
    rows = np.full(len(wanted), -1, dtype=np.int64)
    rows[best["n"].to_numpy()] = best["row"].to_numpy()
    return rows


def sites_of(picks: pd.DataFrame, stations: pd.DataFrame) -> NDArray[np.int64]:
    """Return for each pick the row of its site in STATIONS.

    Raises
    ------
    MetadataError
        Naming the stations that have picks but no coordinates at that time.
    """
    rows = site_index(
        picks["network"].to_numpy(dtype=object),
        picks["station"].to_numpy(dtype=object),
        picks["location"].to_numpy(dtype=object),
        _naive(picks["time"]),
        stations,
    )
    if (rows < 0).any():
        lost = picks[rows < 0]
        names = sorted({f"{n}.{s}" for n, s in zip(lost["network"], lost["station"], strict=True)})
        raise MetadataError(
            f"{len(lost)} picks of {', '.join(names[:10])} have no station coordinates at their time; "
            "add these stations and epochs to the inventory"
        )
    return rows


def active_sites(stations: pd.DataFrame, window: Window) -> pd.DataFrame:
    """Return the rows of STATIONS whose epoch touches a window."""
    start, end = _filled(stations["start"], EVER), _filled(stations["end"], NEVER)
    return stations[(start < window.end) & (end > window.start)]


def _naive(times: pd.Series[Any]) -> NDArray[np.datetime64]:
    values: NDArray[np.datetime64] = times.to_numpy(dtype="datetime64[ns]")
    return values


def _filled(times: pd.Series[Any], value: np.datetime64) -> NDArray[np.datetime64]:
    values = _naive(times).copy()
    values[np.isnat(values)] = value
    return values
