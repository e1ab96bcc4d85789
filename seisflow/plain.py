"""Single stages on plain files: what the commands ``pick``, ``associate`` and ``locate`` do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
import yaml

from seisflow.archive import read_stations
from seisflow.association import Associator, associate_picks
from seisflow.earth import VelocityModel
from seisflow.errors import ArchiveError, WaveformError, WorkflowError
from seisflow.export import export_catalog
from seisflow.keys import Period, StationDay, Window
from seisflow.location import Locator, locate_events
from seisflow.method import build
from seisflow.picking import Picker
from seisflow.picking.polarity.first_swing import FirstSwing
from seisflow.run.picking import StationDayPicker
from seisflow.run.results import read_catalog
from seisflow.tables import ASSIGNMENTS, EVENTS, PICKS, Catalog, concatenate, read_table, write_parquet
from seisflow.waveforms import Amplitudes, Preparation, prepare_waveforms
from seisflow.workflow import Stations

if TYPE_CHECKING:
    import xarray as xr

    from seisflow.traces import ChannelTraces

__all__ = ["associate_files", "locate_files", "pick_files"]


def pick_files(
    files: Sequence[Path],
    out: Path,
    picker: str,
    settings: Sequence[str],
    inventory: Path | None = None,
    figure: Path | None = None,
    span: Window | None = None,
) -> tuple[int, list[str]]:
    """Pick phases in waveform files, station-day by station-day.

    Parameters
    ----------
    files : sequence of Path
    out : Path
        Table of picks to write, CSV or Parquet.
    picker : str
        Name of a method.
    settings : sequence of str
        Its parameters as ``key=value``.
    inventory : Path, optional
        StationXML file or folder: amplitudes are in m/s where it has the full response.
    figure : Path, optional
        Figure of a station-day to write; of several, the names of the station and the day go before
        the suffix.
    span : Window, optional
        What the figure shows in full.

    Returns
    -------
    n_picks : int
    problems : list of str
        A line for each file that could not be read wholly, and for each station-day not picked.

    Raises
    ------
    ArchiveError
        If no waveforms can be read from the files.
    WorkflowError
        If a setting, or the form of the figure, is not known, or nothing lies in the span.
    """
    if figure is not None:
        _check_form(figure)
    elif span is not None:
        raise WorkflowError("a span (--from, --to) says what a figure shows; they need --figure")
    method = cast(Picker, _method("picking", picker, settings))
    preparation = Preparation(sampling_rate_hz=method.sampling_rate_hz)
    responses = None if inventory is None else Stations(inventory=str(inventory)).responses
    station_day = StationDayPicker(method, FirstSwing(), Amplitudes(), responses)
    stations, problems = _read(files)
    units = list(_station_days(stations))
    if span is not None and not any(key.window.intersection(span) for key, _ in units):
        raise WorkflowError(
            f"the files hold nothing in {span}; they hold {', '.join(str(k) for k, _ in units[:5])}"
        )
    found = []
    for key, channels in units:
        wide = key.window.widened(station_day.margin_s)
        try:
            site = _nowhere(key.network, key.station)
            waveforms = prepare_waveforms(channels, preparation, wide, site)
            picks, missing = station_day.pick(waveforms, key.window)
            found.append(picks)
            problems += missing
            if figure is not None:
                path = figure if len(units) == 1 else figure.with_stem(f"{figure.stem}.{_file_name(key)}")
                _draw(waveforms, picks, method, key.window, span, path)
        except WaveformError as error:
            problems.append(f"{key}: {error}")
    table = concatenate(found, PICKS).sort_values(["time", "pick_id"], ignore_index=True)
    _write(table, out)
    return len(table), problems


def associate_files(
    picks: Path, stations: Path, velocity: Path, out: Path, associator: str, settings: Sequence[str]
) -> str:
    """Associate a table of picks; write events, assignments and picks; return a line that says how many."""
    method = cast(Associator, _method("association", associator, settings))
    sites = read_stations(str(stations))
    catalog = associate_picks(read_table(picks, PICKS), sites, method, VelocityModel.read(velocity))
    _write_catalog(catalog, sites, out)
    n_events, n_assigned = len(catalog.events), len(catalog.assignments)
    if not n_events:
        from seisflow.association.stitching import explain_empty

        return f"no events: {explain_empty(catalog.picks, sites, method)}"
    return f"{n_events} events with {n_assigned} of {len(catalog.picks)} picks in {out}"


def locate_files(
    catalog: Path, stations: Path, velocity: Path, out: Path, locator: str, settings: Sequence[str]
) -> str:
    """Locate the events of a folder of tables; write them; return a line that says how many."""
    method = cast(Locator, _method("location", locator, settings))
    sites = read_stations(str(stations))
    located = locate_events(read_catalog(catalog), sites, VelocityModel.read(velocity), method)
    _write_catalog(located, sites, out)
    n_located = int((located.events["status"] == "located").sum())
    return f"{n_located} of {len(located.events)} events located, in {out}"


def _method(room: str, name: str, settings: Sequence[str]) -> Any:
    """Return a method from its name and ``key=value`` settings."""
    block: dict[str, Any] = {"method": name}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise WorkflowError(f"--set {setting}: write it as key=value")
        block[key.strip()] = yaml.safe_load(text)
    return build(room, block, room)


def _read(files: Sequence[Path]) -> tuple[dict[tuple[str, str], list[ChannelTraces]], list[str]]:
    """Return the traces of some files by network and station, and what was wrong with the files."""
    from seisflow.archive.decode import decode_file

    stations: dict[tuple[str, str], list[ChannelTraces]] = {}
    problems: list[str] = []
    for file in files:
        decoded = decode_file(str(file))
        problems += decoded.problems
        for channel in decoded.channels:
            stations.setdefault((channel.network, channel.station), []).append(channel)
    if not stations:
        raise ArchiveError(f"no waveforms in {len(files)} files: {'; '.join(problems[:5])}")
    return stations, problems


def _station_days(
    stations: Mapping[tuple[str, str], list[ChannelTraces]],
) -> Iterator[tuple[StationDay, list[ChannelTraces]]]:
    """Yield every station-day that some traces touch, with all traces of the station."""
    for (network, station), channels in sorted(stations.items()):
        first_ns = min(int(channel.starts_ns.min()) for channel in channels)
        last_ns = max(int(channel.ends_ns.max()) for channel in channels)
        period = Period(np.datetime64(first_ns, "ns"), np.datetime64(last_ns, "ns"))
        for day in period.days():
            yield StationDay(network, station, period.window_of(day)), channels


def _nowhere(network: str, station: str) -> Mapping[str, Any]:
    """Return a site without coordinates: picking needs none."""
    place = dict.fromkeys(("latitude", "longitude", "elevation_m"), float("nan"))
    return {"network": network, "station": station, "location": "", **place}


def _check_form(figure: Path) -> None:
    """Refuse a form of figure before anything is computed."""
    from matplotlib.figure import Figure

    forms = Figure().canvas.get_supported_filetypes()
    if figure.suffix.removeprefix(".").lower() not in forms:
        raise WorkflowError(f"--figure {figure}: unknown form; allowed are {', '.join(sorted(forms))}")


def _file_name(key: StationDay) -> str:
    """Return what a station-day is called in the names of files: no separators from outside."""
    return "".join(
        letter if letter.isalnum() or letter in ".-" else "_" for letter in str(key).partition("T")[0]
    )


def _draw(
    waveforms: xr.Dataset,
    picks: pd.DataFrame,
    picker: Picker,
    window: Window,
    span: Window | None,
    path: Path,
) -> None:
    """Write the figure of a station-day; a span that it does not touch is not asked of it."""
    from seisflow.report.figure_day import draw_day
    from seisflow.report.style import figure_style

    shown = span.intersection(window) if span is not None else None
    with figure_style():
        figure = draw_day(waveforms, picks, picker, window, [shown] if shown else None)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=220)


def _write(picks: pd.DataFrame, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".parquet":
        write_parquet(picks, out, PICKS)
    else:
        times = {name: _as_text(picks[name]) for name in ("time", "trigger_start", "trigger_end")}
        picks.assign(**times).to_csv(out, index=False)


def _as_text(times: pd.Series[Any]) -> pd.Series[Any]:
    return pd.Series(times.dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))


def _write_catalog(catalog: Catalog, stations: pd.DataFrame, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name, table, schema in zip(Catalog._fields, catalog, (EVENTS, ASSIGNMENTS, PICKS), strict=True):
        write_parquet(table, out / f"{name}.parquet", schema)
    export_catalog(catalog, stations, cast(Any, build("export", "csv")), out)
