"""From the traces of one station to the dataset contract: ``waveform(component, time)``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from seisflow.errors import MetadataError, WaveformError
from seisflow.waveforms.grid import Grid, exact_rate, is_same_rate
from seisflow.waveforms.merging import Merged, Segment, merge_segments, segments_of
from seisflow.waveforms.preparation import Preparation

if TYPE_CHECKING:
    import obspy
    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

    from seisflow.keys import Window

__all__ = ["Preparation", "prepare_waveforms"]

_COMPONENTS = "ZNE12"


class _Channels(NamedTuple):
    """The segments of one instrument, by component."""

    network: str
    station: str
    location: str
    band: str
    segments: dict[str, list[Segment]]

    def id_of(self, component: str) -> str:
        return f"{self.network}.{self.station}.{self.location}.{self.band}{component}"


def prepare_waveforms(
    stream: obspy.Stream,
    preparation: Preparation,
    window: Window,
    station: Mapping[str, Any] | pd.Series[Any],
    inventory: obspy.Inventory | None = None,
    *,
    absolute_grid: bool = False,
) -> xr.Dataset:
    """Turn the traces of one station into a dataset.

    Parameters
    ----------
    stream : obspy.Stream
        Unmerged traces in any order; those of other stations are ignored. Give `preparation.margin_s`
        more than the window on both sides, and neighbouring windows join without a seam.
    preparation : Preparation
    window : Window
    station : mapping or pandas.Series
        A row of STATIONS: network, station, latitude, longitude, elevation_m.
    inventory : obspy.Inventory, optional
        Needed where a response is removed.
    absolute_grid : bool
        Put samples on whole multiples of the sampling interval since 1970, each on the nearest, so
        that all stations and days share their sample times.

    Returns
    -------
    xarray.Dataset
        `waveform(component, time)` float32, NaN where there is no sample, in `attrs["units"]`; raw
        counts beyond 2**24 lose their last digits. `component` is what the station has of Z, N, E or
        of Z, 1, 2; `time` datetime64[ns] covers the window on the sample grid of the vertical's
        longest segment: samples of others move by at most half an interval. Resampled data are
        computed at their exact times instead; where all are resampled, the grid is absolute.
        Scalar coordinates network, station, location, band, latitude, longitude, elevation_m;
        attributes starttime (of the first sample, ISO, UTC), sampling_rate_hz, units, source and
        problems (a list of lines on what was left out).

    Raises
    ------
    WaveformError
        If there is no usable sample in the window.
    MetadataError
        If a response is needed and missing.
    """
    problems: list[str] = []
    extent = window.widened(preparation.margin_s)
    channels = _chosen(stream, preparation.bands, window, extent, station, problems)
    grid = _output_grid(channels.segments, preparation.sampling_rate_hz, extent, absolute_grid)
    components = [letter for letter in _COMPONENTS if letter in channels.segments]
    waveform = np.stack([_on_grid(channels, letter, grid, problems) for letter in components])
    times, units = grid.times(), "count"
    if preparation.remove_response != "none":
        units = _restore(waveform, times, channels, components, preparation, inventory)
    is_in = slice(*np.searchsorted(times, [window.start, window.end]))
    waveform, times = waveform[:, is_in], times[is_in]
    if not np.isfinite(waveform).any():
        raise WaveformError(
            f"{station['network']}.{station['station']} has no usable sample in {window}: {problems}"
        )
    return _dataset(waveform, times, components, channels, grid, station, units, problems)


def _chosen(
    stream: obspy.Stream,
    bands: Sequence[str],
    window: Window,
    extent: Window,
    station: Mapping[str, Any] | pd.Series[Any],
    problems: list[str],
) -> _Channels:
    """Return the segments of the preferred band, of its location with most samples in the window."""
    network, code = str(station["network"]), str(station["station"])
    groups: dict[tuple[str, str], dict[str, list[Segment]]] = {}
    n_samples: dict[tuple[str, str], int] = {}
    for trace in stream:
        stats = trace.stats
        key = (stats.channel[:-1], stats.location)
        if (stats.network, stats.station) != (network, code) or not stats.sampling_rate > 0:
            continue
        rate = exact_rate(stats.sampling_rate)
        if stats.channel[-1:] in _COMPONENTS and stats.channel[-1:]:
            segments = segments_of(trace, rate, extent)
            groups.setdefault(key, {}).setdefault(stats.channel[-1], []).extend(segments)
            n_samples[key] = n_samples.get(key, 0) + sum(
                len(s.data) for s in segments_of(trace, rate, window)
            )
    usable = [key for key, n in n_samples.items() if n and key[0] in bands]
    if not usable:
        found = sorted({trace.id for trace in stream}) or "nothing"
        raise WaveformError(
            f"{network}.{code} has no sample of the bands {', '.join(bands)} in {window}; found {found}"
        )
    band, location = min(usable, key=lambda key: (bands.index(key[0]), -n_samples[key], key[1]))
    by_component = _one_horizontal_pair({c: s for c, s in groups[band, location].items() if s}, problems)
    return _Channels(network, code, location, band, by_component)


def _one_horizontal_pair(segments: dict[str, list[Segment]], problems: list[str]) -> dict[str, list[Segment]]:
    """Keep N and E, or 1 and 2, whichever have more samples (a station that was turned has both)."""
    size = {
        pair: sum(len(s.data) for letter in pair for s in segments.get(letter, [])) for pair in ("NE", "12")
    }
    worse = min(size, key=lambda pair: size[pair])
    dropped = [letter for letter in worse if letter in segments and min(size.values())]
    if dropped:
        problems.append(
            f"components {', '.join(dropped)} are left out: the other horizontals have more samples"
        )
    return {letter: parts for letter, parts in segments.items() if letter not in dropped}


def _output_grid(
    segments: Mapping[str, Sequence[Segment]], rate_hz: float | None, extent: Window, absolute: bool
) -> Grid:
    """Return the sample grid of the result: its rate, and where its samples stand."""
    everything = [
        segment for letter in sorted(segments, key=_COMPONENTS.index) for segment in segments[letter]
    ]
    if rate_hz is not None:
        rate = exact_rate(rate_hz)
    else:
        n_samples: dict[Fraction, int] = {}
        for segment in everything:
            n_samples[segment.rate_hz] = n_samples.get(segment.rate_hz, 0) + len(segment.data)
        rate = max(n_samples, key=lambda r: (n_samples[r], r))
    anchor_ns = 0
    for letter in sorted(segments, key=_COMPONENTS.index):
        native = [segment for segment in segments[letter] if is_same_rate(segment.rate_hz, rate)]
        if native and not absolute:
            anchor_ns = max(native, key=lambda segment: (len(segment.data), -segment.start_ns)).start_ns
            break
    return Grid.over(extent, rate, anchor_ns)


def _on_grid(channels: _Channels, component: str, grid: Grid, problems: list[str]) -> NDArray[np.float32]:
    """Return one component on the grid, float32, NaN where there is no sample."""
    out = np.full(grid.n, np.nan, dtype=np.float32)
    segments = channels.segments[component]
    for rate in sorted(
        {segment.rate_hz for segment in segments}, key=lambda r: is_same_rate(r, grid.rate_hz)
    ):
        merged = merge_segments([segment for segment in segments if segment.rate_hz == rate])
        if merged.is_conflict.any():
            problems.append(_conflict_line(channels.id_of(component), merged))
        if is_same_rate(rate, grid.rate_hz):
            _place(merged, grid, out)
        else:
            from seisflow.waveforms.resampling import resample_onto

            resample_onto(merged, grid, out)
    return out


def _place(merged: Merged, grid: Grid, out: NDArray[np.float32]) -> None:
    """Copy samples to the nearest ones of the grid."""
    first = round(grid.index_of(merged.start_ns))
    start, stop = max(first, 0), min(first + len(merged.values), len(out))
    if stop > start:
        part = slice(start - first, stop - first)
        np.copyto(out[start:stop], merged.values[part], where=merged.is_held[part], casting="unsafe")


def _conflict_line(channel_id: str, merged: Merged) -> str:
    where = np.flatnonzero(merged.is_conflict)
    first, last = (
        np.datetime64(round(merged.start_ns + int(i) * 10**9 / merged.rate_hz), "ns")
        for i in (where[0], where[-1])
    )
    return f"{channel_id}: {len(where)} samples from {first} to {last} differ between traces; left out"


def _restore(
    waveform: NDArray[np.float32],
    times: NDArray[np.datetime64],
    channels: _Channels,
    components: Sequence[str],
    preparation: Preparation,
    inventory: obspy.Inventory | None,
) -> str:
    """Remove the response of every component in place; return the unit."""
    from seisflow.waveforms.response import remove_response

    how = preparation.remove_response
    if inventory is None or how == "none":
        raise MetadataError(f"{channels.id_of('?')}: no inventory is given, and remove_response is '{how}'")
    units = []
    for row, letter in enumerate(components):
        slowest = float(min(segment.rate_hz for segment in channels.segments[letter]))
        rate_hz = preparation.sampling_rate_hz or slowest
        band = (preparation.lowest_frequency_hz, 0.5 * min(slowest, rate_hz))
        waveform[row], unit = remove_response(
            waveform[row], times, channels.id_of(letter), inventory, how, band
        )
        units.append(unit)
    if len(set(units)) > 1:
        raise MetadataError(f"{channels.id_of('?')}: components have different units: {', '.join(units)}")
    return units[0]


def _dataset(
    waveform: NDArray[np.float32],
    times: NDArray[np.datetime64],
    components: Sequence[str],
    channels: _Channels,
    grid: Grid,
    station: Mapping[str, Any] | pd.Series[Any],
    units: str,
    problems: list[str],
) -> xr.Dataset:
    import xarray as xr

    return xr.Dataset(
        {"waveform": (("component", "time"), waveform)},
        coords={
            "component": list(components),
            "time": times,
            "network": channels.network,
            "station": channels.station,
            "location": channels.location,
            "band": channels.band,
            **{name: float(station[name]) for name in ("latitude", "longitude", "elevation_m")},
        },
        attrs={
            "starttime": f"{times[0]}Z",
            "sampling_rate_hz": float(grid.rate_hz),
            "units": units,
            "source": ", ".join(channels.id_of(letter) for letter in components),
            "problems": problems,
        },
    )
