"""The report: one HTML file that needs nothing else, neither a network nor another file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seisflow.report.inputs import N_BEST, ReportInputs, best_events
from seisflow.report.summary import (
    N_TABLE,
    comparison_rows,
    duration,
    event_rows,
    key_numbers,
    outcomes,
    residual_rows,
    stage_rows,
)

__all__ = ["write_report"]


def write_report(inputs: ReportInputs, path: str | Path) -> Path:
    """Write the report of a run as one self-contained HTML file.

    Parameters
    ----------
    inputs : ReportInputs
    path : path
        The file; its folder is created where it does not exist.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    TableError
        If a table of the inputs does not follow its schema.
    """
    inputs = inputs.validated()
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_render(inputs), encoding="utf-8")
    return path


def _render(inputs: ReportInputs) -> str:
    from importlib.resources import files

    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"number": _number, "when": _when, "day": _day, "duration": duration}
    template = environment.from_string(
        (files("seisflow.report") / "template.html").read_text(encoding="utf-8")
    )
    return template.render(_content(inputs))


def _content(inputs: ReportInputs) -> dict[str, Any]:
    """Return everything the template shows."""
    import yaml

    best = best_events(inputs.events)
    figures = _figures(inputs)
    finished = inputs.ledger["finished"].max() if len(inputs.ledger) else None
    return {
        "name": inputs.name,
        "start": pd.Timestamp(inputs.period.start),
        "end": pd.Timestamp(inputs.period.end),
        "finished": finished,
        "tiles": key_numbers(inputs),
        "comparison": comparison_rows(inputs.comparison),
        "n_events": len(inputs.events),
        "n_picks": len(inputs.picks),
        "n_table": N_TABLE,
        "best": best.to_dict("records"),
        "rows": event_rows(inputs.events),
        "stages": stage_rows(inputs.ledger),
        "n_units": len(inputs.ledger),
        "outcomes": {status: outcomes(inputs.ledger, status) for status in ("failed", "empty", "ok")},
        "parameters": yaml.safe_dump(_plain(inputs.parameters), sort_keys=False, allow_unicode=True),
        "versions": dict(inputs.versions),
        "drawn": {section["event_id"] for section in figures["sections"]},
        **figures,
    }


def _figures(inputs: ReportInputs) -> dict[str, Any]:
    """Return the figures as SVG by name, None where there is nothing to draw, and what is said of them."""
    from seisflow.report.figure_map import N_ERROR_BARS, draw_map, outside_map
    from seisflow.report.figures_availability import daily_counts, draw_availability
    from seisflow.report.figures_quality import draw_quality
    from seisflow.report.figures_time import draw_time_line
    from seisflow.report.style import figure_style, to_svg

    events, stations = inputs.events, inputs.stations
    counts = daily_counts(stations, inputs.picks, inputs.availability, inputs.period)
    shown: dict[str, Any] = {"map": None, "time": None, "availability": None, "n_outside": 0}
    with figure_style():
        if len(events) or len(stations):
            about = "Map of stations and events with depth sections"
            shown["map"] = to_svg(draw_map(stations, events), "map", about)
            shown["n_outside"] = outside_map(stations, events)
        if len(events):
            about = "Events and their depths against time"
            shown["time"] = to_svg(draw_time_line(events, inputs.period), "time", about)
        if counts.names:
            about = "Data and picks of each station"
            shown["availability"] = to_svg(draw_availability(counts), "availability", about)
        drawn = draw_quality(events, residual_rows(inputs))
        shown["quality"] = [to_svg(figure, name, about) for name, about, figure in drawn]
        shown["sections"] = _record_sections(inputs)
    known = bool(np.isfinite(counts.fraction).any())
    crosses = len(events) <= N_ERROR_BARS and bool(events["horizontal_error_km"].notna().any())
    return {**shown, "availability_known": known, "error_bars": crosses}


def _record_sections(inputs: ReportInputs) -> list[dict[str, Any]]:
    """Return the event and the figure of each record section, as many as there are best events."""
    from seisflow.report.record_sections import draw_record_section
    from seisflow.report.style import to_svg

    events = inputs.events.set_index("event_id")
    names = [section.event_id for section in inputs.sections[:N_BEST]]
    ours = inputs.assignments["event_id"].isin(names)
    assigned = inputs.assignments[ours].merge(inputs.picks, on="pick_id")
    shown: list[dict[str, Any]] = []
    for i, section in enumerate(inputs.sections[:N_BEST]):
        if section.event_id not in events.index:
            continue
        event = events.loc[section.event_id]
        picks = assigned[assigned["event_id"] == section.event_id]
        figure = draw_record_section(section, event["time"], picks)
        if figure is not None:
            about = f"Record section of the event of {_when(event['time'])}"
            svg = to_svg(figure, f"section-{i}", about, decimals=1)
            shown.append({**dict(event), "event_id": section.event_id, "svg": svg})
    return shown


def _plain(value: Any) -> Any:
    """Return parameters as what YAML knows; everything else as its text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic) and not isinstance(value, np.datetime64):
        return value.item()
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _number(value: float, decimals: int = 0) -> str:
    """Write a number with thousands apart, or a dash where there is none."""
    return f"{value:,.{decimals}f}" if np.isfinite(value) else "\N{EN DASH}"


def _when(time: Any, decimals: int = 2) -> str:
    """Write a time to hundredths of a second, rounded before it is cut."""
    rounded = pd.Timestamp(time).round(f"{10 ** (3 - decimals)}ms")
    return f"{rounded:%Y-%m-%d %H:%M:%S}.{rounded.microsecond // 10 ** (6 - decimals):0{decimals}d}"


def _day(time: Any) -> str:
    """Write a time without its seconds where it is midnight."""
    time = pd.Timestamp(time)
    return f"{time:%Y-%m-%d}" if time == time.normalize() else f"{time:%Y-%m-%d %H:%M}"
