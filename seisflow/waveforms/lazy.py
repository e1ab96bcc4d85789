"""Many stations and days as one lazy dataset: nothing is read before it is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from seisflow.archive.base import Archive, read_traces, scan_archive
from seisflow.earth.sites import site_index
from seisflow.errors import MetadataError, WaveformError
from seisflow.keys import DAY, Period, Window
from seisflow.waveforms.grid import Grid, exact_rate
from seisflow.waveforms.prepare import Preparation, prepare_waveforms

if TYPE_CHECKING:
    import obspy
    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

__all__ = ["open_waveforms"]

_SLOTS = {"Z": 0, "N": 1, "1": 1, "E": 2, "2": 2}


def open_waveforms(
    archive: Archive,
    period: Period,
    stations: pd.DataFrame,
    preparation: Preparation | None = None,
    select: Sequence[str] | None = None,
    inventory: obspy.Inventory | None = None,
) -> xr.Dataset:
    """Open what an archive holds in a period as one lazy dataset.

    Parameters
    ----------
    archive : Archive
    period : Period
    stations : STATIONS table
    preparation : Preparation, optional
        It must set a sampling rate, so that all stations share one time axis.
    select : sequence of str, optional
        Patterns ``NETWORK.STATION``; None means all stations that hold data.
    inventory : obspy.Inventory, optional
        Needed where a response is removed.

    Returns
    -------
    xarray.Dataset
        `waveform(station, component, time)` float32, Dask-backed, one chunk for each station and UTC
        day; NaN where there is no data. `component` is Z, N, E; the components 1 and 2 of a station
        stand in the places of N and E. `time` is the absolute grid of whole sampling intervals
        since 1970: samples of other phase are put on the nearest. `station` holds
        ``NETWORK.STATION``, with latitude, longitude and elevation_m beside it. The time axis takes
        8 bytes a sample (69 MB a day at 100 Hz), once for all stations.

    Raises
    ------
    WaveformError
        If `preparation` sets no sampling rate, or the archive holds nothing of what was asked for.
    MetadataError
        If a station has data and no coordinates.
    ArchiveError
        If the archive can not be listed.
    """
    import dask.array as da
    import xarray as xr
    from dask.base import tokenize

    preparation = preparation or Preparation()
    if preparation.sampling_rate_hz is None:
        raise WaveformError("open_waveforms needs one sampling rate for all stations; set sampling_rate_hz")
    wider = Period(period.start - DAY, period.end + DAY)
    holdings = scan_archive(archive, wider, select).holdings
    held = _held(holdings, period)
    if not held:
        raise WaveformError(f"the archive holds nothing in {period} that fits {list(select or ['*.*'])}")
    rows = _site_rows(held, stations, period)
    windows = [period.window_of(day) for day in period.days()]
    grids = [Grid.over(window, exact_rate(preparation.sampling_rate_hz)) for window in windows]
    reader = _Reader(
        archive, preparation, inventory, windows, [grid.n for grid in grids], rows, _uris(holdings, held)
    )
    token = tokenize(archive.model_dump_json(), preparation.model_dump_json(), str(period), held)
    waveform = da.map_blocks(
        reader,
        chunks=((1,) * len(held), (3,), tuple(grid.n for grid in grids)),
        dtype=np.float32,
        meta=np.empty((0, 0, 0), dtype=np.float32),
        name=f"waveform-{token}",
    )
    return xr.Dataset(
        {"waveform": (("station", "component", "time"), waveform)},
        coords={
            "station": [f"{row['network']}.{row['station']}" for row in rows],
            "component": ["Z", "N", "E"],
            "time": np.concatenate([grid.times() for grid in grids]),
            **{
                name: ("station", [row[name] for row in rows])
                for name in ("latitude", "longitude", "elevation_m")
            },
        },
        attrs={"sampling_rate_hz": preparation.sampling_rate_hz, "period": str(period)},
    )


class _Reader:
    """Computes one chunk; what Dask ships to a worker is this object, once."""

    def __init__(
        self,
        archive: Archive,
        preparation: Preparation,
        inventory: obspy.Inventory | None,
        windows: Sequence[Window],
        sizes: Sequence[int],
        rows: Sequence[Mapping[str, Any]],
        uris: Mapping[tuple[int, str], Sequence[str]],
    ) -> None:
        self.archive = archive
        self.preparation = preparation
        self.inventory = inventory
        self.windows = windows
        self.sizes = sizes
        self.rows = rows
        self.uris = uris

    def __call__(self, *, block_id: tuple[int, int, int]) -> NDArray[np.float32]:
        number, _, part = block_id
        window = self.windows[part]
        out = np.full((1, 3, self.sizes[part]), np.nan, dtype=np.float32)
        day = window.start.astype("datetime64[D]")
        around = [uri for d in (day - DAY, day, day + DAY) for uri in self.uris.get((number, str(d)), ())]
        if not around:
            return out
        wanted = window.widened(self.preparation.margin_s)
        traces = read_traces(self.archive, around, wanted, bands=self.preparation.bands)
        try:
            prepared = prepare_waveforms(
                traces, self.preparation, window, self.rows[number], self.inventory, absolute_grid=True
            )
        except WaveformError:
            return out
        for letter in prepared.component.values:
            out[0, _SLOTS[letter]] = prepared.waveform.sel(component=letter).values
        return out


def _held(holdings: pd.DataFrame, period: Period) -> list[tuple[str, str]]:
    """Return the stations (network, station) that hold something in the period, sorted."""
    is_in = holdings["day"].astype(str).isin({str(day) for day in period.days()})
    return sorted(set(holdings.loc[is_in, ["network", "station"]].itertuples(index=False, name=None)))


def _uris(holdings: pd.DataFrame, held: Sequence[tuple[str, str]]) -> dict[tuple[int, str], list[str]]:
    """Return the files of each station (by number) and day (ISO text)."""
    number = {codes: i for i, codes in enumerate(held)}
    found: dict[tuple[int, str], list[str]] = {}
    columns = holdings[["network", "station", "day", "uri"]].itertuples(index=False, name=None)
    for network, station, day, uri in columns:
        if (network, station) in number:
            found.setdefault((number[network, station], str(day)), []).append(uri)
    return found


def _site_rows(
    held: Sequence[tuple[str, str]], stations: pd.DataFrame, period: Period
) -> list[dict[str, Any]]:
    """Return the row of STATIONS for each station, as it stands at the start of the period or first after."""
    networks, names = (np.array(column, dtype=object) for column in zip(*held, strict=True))
    blank = np.full(len(held), "", dtype=object)
    rows = np.full(len(held), -1)
    for day in period.days():
        times = np.full(len(held), max(period.start, day.astype("datetime64[ns]")), dtype="datetime64[ns]")
        rows = np.where(rows >= 0, rows, site_index(networks, names, blank, times, stations))
        if (rows >= 0).all():
            break
    missing = [".".join(codes) for codes, row in zip(held, rows, strict=True) if row < 0]
    if missing:
        raise MetadataError(
            f"no coordinates for {', '.join(missing[:10])} in {period}; add them to the inventory"
        )
    return [{str(key): value for key, value in stations.iloc[int(i)].items()} for i in rows]
