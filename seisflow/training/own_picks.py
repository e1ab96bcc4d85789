"""Records of a region around its own picks, read from its archive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from seisflow.archive import Archive, read_traces, scan_archive
from seisflow.errors import TableError, WaveformError
from seisflow.keys import Period, Window
from seisflow.picking.bundled import COMPONENTS
from seisflow.picking.network import rows_of
from seisflow.training.recordings import N_RECORDING, Recordings
from seisflow.waveforms import Preparation, prepare_waveforms

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

__all__ = ["read_own_picks"]

RATE_HZ = 100.0
STEP = np.timedelta64(10_000_000, "ns")
TOGETHER_S = 30.0
"""Picks of a station within so many seconds of the first one share a record."""
CHANNEL = ["network", "station"]


def read_own_picks(picks: pd.DataFrame, archive: Archive) -> tuple[Recordings, list[str]]:
    """Return the records around picks, and a line for each that was left out.

    Parameters
    ----------
    picks : PICKS table
    archive : Archive

    Raises
    ------
    TableError
        If there are no picks of P or S.
    WaveformError
        If no pick has waveforms.
    """
    picks = picks[picks["phase"].isin(["P", "S"])].sort_values("time", ignore_index=True)
    if picks.empty:
        raise TableError("there are no picks of P or S to learn from")
    moments = picks["time"].dt.tz_localize(None).to_numpy(dtype="datetime64[ns]")
    day = np.timedelta64(1, "D")
    period = Period(moments.min() - day, moments.max() + day)
    names = [
        f"{network}.{station}"
        for network, station in sorted(set(zip(*(picks[c] for c in CHANNEL), strict=True)))
    ]
    holdings = scan_archive(archive, period, names).holdings
    traces: list[NDArray[np.float32]] = []
    onsets: list[tuple[int, int, float]] = []
    times: list[np.datetime64] = []
    problems: list[str] = []
    for station, group, window in _records(picks):
        name = f"{station[0]}.{station[1]} {window.start}"
        uris = _uris(holdings, station, window)
        try:
            data, start = _cut(archive, uris, station, window)
        except WaveformError as error:
            problems.append(f"{name}: {error}")
            continue
        arrivals = group["time"].dt.tz_localize(None).to_numpy(dtype="datetime64[ns]")
        samples = (arrivals - start) / STEP
        onsets += [
            (len(traces), "_PS".index(phase), float(sample))
            for phase, sample in zip(group["phase"], samples, strict=True)
        ]
        traces.append(data)
        times.append(start)
    if not traces:
        raise WaveformError(
            f"none of {len(picks)} picks has waveforms in {archive.root}; {'; '.join(problems[:3])}"
        )
    return Recordings(np.stack(traces), np.array(onsets, float), np.array(times, "datetime64[ns]")), problems


def _records(picks: pd.DataFrame) -> Iterator[tuple[tuple[str, str], pd.DataFrame, Window]]:
    """Yield groups of picks of a station that lie close together, and the window around each."""
    for station, table in picks.groupby(CHANNEL, sort=True):
        moments = table["time"].dt.tz_localize(None).to_numpy(dtype="datetime64[ns]")
        first = 0
        while first < len(table):
            last = int(
                np.searchsorted(moments, moments[first] + np.timedelta64(round(TOGETHER_S * 1e3), "ms"))
            )
            middle = moments[first] + (moments[last - 1] - moments[first]) // 2
            start = middle - N_RECORDING // 2 * STEP
            yield (
                (str(station[0]), str(station[1])),
                table.iloc[first:last],
                Window(start, start + N_RECORDING * STEP),
            )
            first = last


def _uris(holdings: pd.DataFrame, station: tuple[str, str], window: Window) -> list[str]:
    """Return the files that may hold a window of a station: those of its days."""
    days = holdings["day"].to_numpy().astype("datetime64[D]")
    near = (days >= window.start.astype("datetime64[D]")) & (days <= window.end.astype("datetime64[D]"))
    near &= (holdings["network"] == station[0]).to_numpy() & (holdings["station"] == station[1]).to_numpy()
    return sorted(set(holdings["uri"][near]))


def _cut(
    archive: Archive, uris: list[str], station: tuple[str, str], window: Window
) -> tuple[NDArray[np.float32], np.datetime64]:
    """Return E, N, Z of a window at 100 Hz, without mean, missing samples zero; and the time of the first."""
    preparation = Preparation(sampling_rate_hz=RATE_HZ)
    site: dict[str, Any] = dict.fromkeys(("latitude", "longitude", "elevation_m"), float("nan"))
    site |= {"network": station[0], "station": station[1], "location": ""}
    channels = read_traces(archive, uris, window.widened(preparation.margin_s))
    waveforms: xr.Dataset = prepare_waveforms(channels, preparation, window, site)
    data, first = waveforms["waveform"].to_numpy(), waveforms["time"].to_numpy()[0]
    offset = round((first - window.start) / STEP)
    n = min(data.shape[1], N_RECORDING - offset)
    out = np.zeros((3, N_RECORDING), np.float32)
    for channel, row in enumerate(rows_of(waveforms, COMPONENTS)):
        if row < 0:
            continue
        trace = data[row, :n].astype(np.float64)
        out[channel, offset : offset + n] = np.nan_to_num(
            trace - np.nanmean(trace) if np.isfinite(trace).any() else 0
        )
    if not out.any():
        raise WaveformError("no samples around the picks")
    return out, first - offset * STEP
