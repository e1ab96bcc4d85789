"""From the traces of one station to the dataset contract: ``waveform(component, time)``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from seisflow.errors import MetadataError, WaveformError
from seisflow.traces import Traces
from seisflow.waveforms.grid import Grid, exact_rate, is_same_rate
from seisflow.waveforms.preparation import Preparation
from seisflow.waveforms.segments import Segments, segments_of

if TYPE_CHECKING:
    import obspy
    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

    from seisflow.keys import Window
    from seisflow.traces import ChannelTraces
    from seisflow.waveforms.merging import Merged

__all__ = ["Preparation", "prepare_waveforms"]

_COMPONENTS = "ZNE12"


class _Channels(NamedTuple):
    """The segments of one instrument, by component."""

    network: str
    station: str
    location: str
    band: str
    segments: dict[str, list[Segments]]

    def id_of(self, component: str) -> str:
        return f"{self.network}.{self.station}.{self.location}.{self.band}{component}"


def prepare_waveforms(
    traces: Traces | Sequence[ChannelTraces],
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
    traces : Traces or sequence of ChannelTraces
        In any order; those of other stations are ignored. Give `preparation.margin_s`
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
    held = traces.channels if isinstance(traces, Traces) else traces
    channels = _chosen(held, preparation.bands, window, extent, station, problems)
    grid = _output_grid(channels.segments, preparation.sampling_rate_hz, extent, absolute_grid)
    components = [letter for letter in _COMPONENTS if letter in channels.segments]
    waveform = np.empty((len(components), grid.n), dtype=np.float32)
    for row, letter in enumerate(components):
        _fill(waveform[row], channels, letter, grid, problems)
    times, units = grid.times(), "count"
    if preparation.remove_response != "none":
        units = _restore(waveform, times, channels, components, preparation, inventory)
    is_in = slice(*np.searchsorted(times, [window.start, window.end]))
    waveform, times = waveform[:, is_in], times[is_in]
    if not any(np.isfinite(row).any() for row in waveform):
        raise WaveformError(
            f"{station['network']}.{station['station']} has no usable sample in {window}: {problems}"
        )
    return _dataset(waveform, times, components, channels, grid, station, units, problems)


def _chosen(
    held: Sequence[ChannelTraces],
    bands: Sequence[str],
    window: Window,
    extent: Window,
    station: Mapping[str, Any] | pd.Series[Any],
    problems: list[str],
) -> _Channels:
    """Return the segments of the preferred band, of its location with most samples in the window."""
    network, code = str(station["network"]), str(station["station"])
    groups: dict[tuple[str, str], dict[str, list[Segments]]] = {}
    n_samples: dict[tuple[str, str], int] = {}
    for channel in held:
        key, component = (channel.channel[:-1], channel.location), channel.channel[-1:]
        is_mine = (channel.network, channel.station) == (network, code) and channel.rate_hz > 0
        if not is_mine or component not in _COMPONENTS or not component or key[0] not in bands:
            continue
        segments = segments_of(channel, exact_rate(channel.rate_hz)).within(extent)
        n_samples[key] = n_samples.get(key, 0) + segments.within(window).n_samples
        if segments.n_samples:
            groups.setdefault(key, {}).setdefault(component, []).append(segments)
    usable = [key for key, n in n_samples.items() if n]
    if not usable:
        found = sorted({channel.id for channel in held}) or "nothing"
        raise WaveformError(
            f"{network}.{code} has no sample of the bands {', '.join(bands)} in {window}; found {found}"
        )
    band, location = min(usable, key=lambda key: (bands.index(key[0]), -n_samples[key], key[1]))
    by_component = _one_horizontal_pair(groups[band, location], problems)
    return _Channels(network, code, location, band, by_component)


def _one_horizontal_pair(
    segments: dict[str, list[Segments]], problems: list[str]
) -> dict[str, list[Segments]]:
    """Keep N and E, or 1 and 2, whichever have more samples (a station that was turned has both)."""
    size = {
        pair: sum(s.n_samples for letter in pair for s in segments.get(letter, [])) for pair in ("NE", "12")
    }
    worse = min(size, key=lambda pair: size[pair])
    dropped = [letter for letter in worse if letter in segments and min(size.values())]
    if dropped:
        problems.append(
            f"components {', '.join(dropped)} are left out: the other horizontals have more samples"
        )
    return {letter: parts for letter, parts in segments.items() if letter not in dropped}


def _output_grid(
    segments: Mapping[str, Sequence[Segments]], rate_hz: float | None, extent: Window, absolute: bool
) -> Grid:
    """Return the sample grid of the result: its rate, and where its samples stand."""
    in_order = sorted(segments, key=_COMPONENTS.index)
    if rate_hz is not None:
        rate = exact_rate(rate_hz)
    else:
        n_samples: dict[Fraction, int] = {}
        for part in (part for letter in in_order for part in segments[letter]):
            n_samples[part.rate_hz] = n_samples.get(part.rate_hz, 0) + part.n_samples
        rate = max(n_samples, key=lambda r: (n_samples[r], r))
    anchor_ns = 0
    for letter in in_order:
        native = [part for part in segments[letter] if is_same_rate(part.rate_hz, rate)]
        if native and not absolute:
            lengths, starts_ns = (
                np.concatenate([getattr(part, name) for part in native]) for name in ("lengths", "starts_ns")
            )
            anchor_ns = int(starts_ns[np.lexsort((starts_ns, -lengths))[0]])
            break
    return Grid.over(extent, rate, anchor_ns)


def _fill(
    out: NDArray[np.float32], channels: _Channels, component: str, grid: Grid, problems: list[str]
) -> None:
    """Put one component on the grid, NaN where it has no sample."""
    from seisflow.waveforms.merging import lay_out, place

    parts = channels.segments[component]
    rates = sorted({part.rate_hz for part in parts}, key=lambda rate: is_same_rate(rate, grid.rate_hz))
    layouts = [lay_out([part for part in parts if part.rate_hz == rate]) for rate in rates]
    is_native = is_same_rate(rates[-1], grid.rate_hz)
    if len(layouts) == 1 and is_native and not layouts[0].is_overlapping:
        layouts[0].write(grid, out)
        return
    out.fill(np.nan)
    for layout in layouts:
        if max(part.lengths.max() for part in layout.parts) < layout.rate_hz / grid.rate_hz:
            rates_hz = f"{float(layout.rate_hz):g} Hz", f"{float(grid.rate_hz):g} Hz"
            problems.append(
                f"{channels.id_of(component)}: all records of {rates_hz[0]} are shorter than a sample of "
                f"{rates_hz[1]} and left out"
            )
            continue
        merged = layout.merged()
        if len(merged.conflicts):
            problems.append(_conflict_line(channels.id_of(component), merged))
        if is_same_rate(layout.rate_hz, grid.rate_hz):
            place(merged, grid, out)
        else:
            from seisflow.waveforms.resampling import resample_onto

            resample_onto(merged, grid, out)


def _conflict_line(channel_id: str, merged: Merged) -> str:
    where = merged.conflicts
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
        slowest = float(min(part.rate_hz for part in channels.segments[letter]))
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
    import pandas as pd
    import xarray as xr

    return xr.Dataset(
        {"waveform": (("component", "time"), waveform)},
        coords={
            "component": list(components),
            "time": pd.DatetimeIndex(times, copy=False),
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
