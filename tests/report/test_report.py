"""The page says what the tables say, needs nothing from outside, and survives nothing, much, and malice."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from lxml import html

from seisflow.errors import TableError
from seisflow.keys import Period
from seisflow.report import RecordSection, ReportInputs, best_events, write_report

from .fake_run import empty_run, fake_ledger, fake_run, fake_stations


class Page:
    """A written report, read back."""

    def __init__(self, inputs: ReportInputs, folder: Path) -> None:
        self.path = write_report(inputs, folder / "sub" / "report.html")
        self.text = self.path.read_text(encoding="utf-8")
        self.tree = html.fromstring(self.text)

    def words(self, identifier: str) -> str:
        return " ".join(self.tree.get_element_by_id(identifier).text_content().split())

    def tile(self, key: str) -> tuple[str, str]:
        (tile,) = self.tree.xpath(f'//div[@data-key="{key}"]')
        return tuple(tile.xpath(f'string(dd[@class="{name}"])').strip() for name in ("value", "note"))  # type: ignore[return-value]

    def rows(self, identifier: str) -> list[list[str]]:
        body = self.tree.get_element_by_id(identifier).xpath(".//tbody/tr")
        return [[" ".join(cell.text_content().split()) for cell in row.xpath("td")] for row in body]

    def shapes(self, identifier: str) -> int:
        """Return how many marks a group of a figure has."""
        (group,) = self.tree.xpath(f'//*[@id="{identifier}"]')
        return len(group.xpath(".//use | ./path"))


@pytest.fixture(scope="module")
def inputs() -> ReportInputs:
    return fake_run()


@pytest.fixture(scope="module")
def page(inputs: ReportInputs, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return Page(inputs, tmp_path_factory.mktemp("report"))


def _number(text: str) -> float:
    return float("nan") if text == "\N{EN DASH}" else float(text.replace(",", ""))


def assert_needs_nothing(page: Page) -> None:
    for attribute in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
        for value in page.tree.xpath(f"//*/@*[name()='{attribute}']"):
            assert value.startswith(("#", "data:image/png;base64,")), value
    assert not page.tree.xpath("//link | //iframe | //object | //embed | //base | //script[@src]")
    assert not re.search(r"@import|url\((?!#)", page.text)
    assert not re.search(r"\b(?:fetch|XMLHttpRequest|import)\s*\(", page.text)


def test_nothing_is_asked_of_the_network(page: Page) -> None:
    assert_needs_nothing(page)


def test_tiles_are_the_counts_of_the_tables(page: Page, inputs: ReportInputs) -> None:
    events, picks = inputs.events, inputs.picks
    assert page.tile("events") == ("150", f"{(events['status'] == 'located').sum()} located")
    used = set(inputs.assignments["pick_id"])
    for phase in "PS":
        mine = picks[picks["phase"] == phase]
        value, note = page.tile(f"picks-{phase.lower()}")
        assert _number(value) == len(mine)
        assert _number(note.split()[0]) == mine["pick_id"].isin(used).sum()
    assert _number(page.tile("picks")[0]) == len(picks)
    assert page.tile("stations") == ("12", "12 with picks")
    assert page.tile("period") == ("1 day", "2014-08-24 to 2014-08-25")
    assert page.tile("failures") == ("3", f"of {len(inputs.ledger)} units of work")
    assert page.tile("run-time")[0] == "74.2 s"


def test_comparison_has_its_units(page: Page) -> None:
    assert page.tile("event_recall")[0] == "0.953"
    assert page.tile("median_epicentre_error_km")[0] == "0.412 km"
    assert page.tile("events_in_truth")[0] == "157"


def test_event_table_is_the_table_of_events(page: Page, inputs: ReportInputs) -> None:
    rows = page.rows("event-table")
    events = inputs.events.sort_values("time")
    assert [row[-1] for row in rows] == list(events["event_id"])
    columns = [
        "latitude",
        "longitude",
        "depth_km",
        "horizontal_error_km",
        "depth_error_km",
        "n_p",
        "n_s",
        "gap_deg",
    ]
    for i, name in enumerate([*columns, "rms_s"], start=1):
        shown = np.array([_number(row[i]) for row in rows])
        tolerance = {"latitude": 5e-5, "longitude": 5e-5, "gap_deg": 0.5, "rms_s": 5e-4}.get(name, 5e-3)
        np.testing.assert_allclose(shown, events[name].to_numpy(float), atol=1.01 * tolerance, rtol=0)
    times = pd.to_datetime([row[0] for row in rows], utc=True)
    assert abs(times - pd.DatetimeIndex(events["time"])).max() <= pd.Timedelta(milliseconds=5)


def test_best_events_have_the_most_picks_and_lead_to_their_sections(page: Page, inputs: ReportInputs) -> None:
    best = best_events(inputs.events)
    counts = (inputs.events["n_p"] + inputs.events["n_s"]).sort_values(ascending=False)
    assert list(best["n_p"] + best["n_s"]) == list(counts[:10])
    assert [row[-1] for row in page.rows("best-table")] == list(best["event_id"])
    links = page.tree.get_element_by_id("best-table").xpath(".//a/@href")
    assert [page.tree.get_element_by_id(link[1:]).tag for link in links] == ["figure"] * 10


def test_events_that_are_not_located_are_never_best() -> None:
    events = fake_run(8, sections=False).events.assign(status="fewer than 6 picks")
    assert best_events(events).empty


def test_figures_have_a_mark_for_each_event_and_station(page: Page, inputs: ReportInputs) -> None:
    for group in ("map-map-events", "map-section-longitude", "map-section-latitude", "time-time-depth"):
        assert page.shapes(group) == len(inputs.events), group
    assert page.shapes("map-map-stations") == len(inputs.stations)


def test_figures_name_every_station_and_count_its_picks(page: Page, inputs: ReportInputs) -> None:
    texts = [
        node.text_content().strip()
        for node in page.tree.xpath('//section[@id="stations"]//*[local-name()="text"]')
    ]
    counts = inputs.picks.groupby(["network", "station", "phase"]).size()
    for row in inputs.stations.itertuples():
        assert f"{row.network}.{row.station}" in texts
        for phase in "PS":
            assert str(counts[row.network, row.station, phase]) in texts
    assert "35%" in texts  # the station that was off for most of the day


def test_residual_panels_say_median_and_mad(page: Page, inputs: ReportInputs) -> None:
    rows = inputs.assignments.merge(inputs.picks, on="pick_id")
    for phase in "PS":
        residual_s = rows.loc[rows["phase"] == phase, "residual_s"]
        median = residual_s.median()
        (svg,) = page.tree.xpath(f'//*[@aria-label="Histogram of {phase} residuals"]')
        said = " ".join(svg.text_content().split())
        assert f"n = {len(residual_s):,}" in said
        assert f"median = {median:+.3f} s" in said
        assert f"MAD = {(residual_s - median).abs().median():.3f} s" in said


def test_failures_are_grouped_by_reason(page: Page) -> None:
    failed = page.rows("failed-table")
    assert [row[:2] for row in failed] == [["2", "picking"], ["1", "picking"]]
    assert "truncated record at byte 40960" in failed[0][2]
    assert failed[0][3] == "VI.KVER.2014-08-24, VI.VONK.2014-08-24"
    assert page.rows("empty-table")[0][2] == "no samples between the gaps are longer than 30 s"
    assert page.rows("noticed-table")[0][2].startswith("2 overlaps with different samples")


def test_no_failure_is_said_plainly(inputs: ReportInputs, tmp_path: Path) -> None:
    ledger = inputs.ledger[inputs.ledger["status"] == "ok"]
    page = Page(replace(inputs, ledger=ledger, sections=()), tmp_path)
    assert page.words("no-failures") == f"None: all {len(ledger)} units of work were done."
    assert page.tile("failures")[0] == "0"


def test_stages_add_up(page: Page, inputs: ReportInputs) -> None:
    rows = page.rows("stage-table")
    assert [row[0] for row in rows] == ["picking", "association", "location"]
    assert sum(_number(value) for row in rows for value in row[1:4]) == len(inputs.ledger)
    assert sum(_number(row[4]) for row in rows) == inputs.ledger["n_rows"].sum()


def test_parameters_and_versions_are_all_there(page: Page, inputs: ReportInputs) -> None:
    assert yaml.safe_load(page.tree.get_element_by_id("workflow").text_content()) == inputs.parameters
    assert dict(page.rows("versions")) == dict(inputs.versions)  # type: ignore[arg-type]


def test_no_two_elements_share_a_name(page: Page) -> None:
    names = page.tree.xpath("//@id")
    assert len(names) == len(set(names))


def test_equal_inputs_give_equal_bytes(page: Page, inputs: ReportInputs, tmp_path: Path) -> None:
    assert write_report(inputs, tmp_path / "again.html").read_bytes() == page.path.read_bytes()


def test_record_sections_show_the_picks_at_their_times(inputs: ReportInputs) -> None:
    from matplotlib.colors import to_hex

    from seisflow.report.record_sections import draw_record_section
    from seisflow.report.style import PHASE_COLOURS

    section = inputs.sections[0]
    event = inputs.events.set_index("event_id").loc[section.event_id]
    rows = inputs.assignments.query("event_id == @section.event_id").merge(inputs.picks, on="pick_id")
    figure = draw_record_section(section, event["time"], rows)
    assert figure is not None
    axes = figure.axes[0]
    for phase, colour in PHASE_COLOURS.items():
        drawn = [line.get_xdata()[0] for line in axes.lines if to_hex(line.get_color()) == colour]
        true = (rows.loc[rows["phase"] == phase, "time"] - event["time"]).dt.total_seconds()
        np.testing.assert_allclose(sorted(drawn), sorted(true), atol=1e-6)
    order = [label.get_text() for label in axes.get_yticklabels()]
    assert order == [trace.label for trace in sorted(section.traces, key=lambda trace: trace.distance_km)]


def test_record_sections_of_dead_or_odd_traces_are_drawn(inputs: ReportInputs, tmp_path: Path) -> None:
    first = inputs.sections[0]
    start = first.traces[0].start
    odd: list[Any] = [
        ("VI.DEAD", 1.0, start, 100.0, np.full(3000, np.nan)),
        ("FLAT", 2.0, start, 100.0, np.zeros(3000)),
        ("VI.NONE", 3.0, start, 100.0, np.array([])),
        ("VI.LATE", 4.0, start + np.timedelta64(1, "h"), 50.0, np.ones(10)),
    ]
    sections = [RecordSection(first.event_id, odd), RecordSection(inputs.events["event_id"][0], [])]
    page = Page(replace(inputs, sections=sections), tmp_path)
    assert page.text.count("no data") >= 2


@pytest.mark.parametrize("with_picks", [False, True])
def test_a_run_that_found_nothing_says_so_and_what_to_do(with_picks: bool, tmp_path: Path) -> None:
    page = Page(empty_run(with_picks=with_picks), tmp_path)
    said = page.words("empty")
    assert ("picks, but no event" in said) if with_picks else ("No phase was picked" in said)
    assert "lower" in said
    assert page.tile("events")[0] == "0"
    assert_needs_nothing(page)


def test_events_without_any_optional_value_are_shown(tmp_path: Path) -> None:
    inputs = fake_run(12, sections=False)
    optional = ["rms_s", "gap_deg", "horizontal_error_km", "depth_error_km"]
    events = inputs.events.assign(**dict.fromkeys(optional, np.nan), status="associated")
    assignments = inputs.assignments.assign(residual_s=np.nan, distance_km=np.nan, weight=np.nan)
    page = Page(replace(inputs, events=events, assignments=assignments), tmp_path)
    assert page.tile("events") == ("12", "0 located")
    assert "No event was located" in page.words("best")
    assert page.shapes("map-map-events") == 12


def test_hostile_names_stay_text(inputs: ReportInputs, tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    stations = inputs.stations.replace(
        {"station": {"DYJN": "$\\frac{", "KVER": "<b>&\"'", "FLUR": "A\nB\x00"}}
    )
    ledger = inputs.ledger.copy()
    ledger.loc[0, ["status", "reason", "unit"]] = ["failed", f"{evil} $x_1$", f'"{evil}']
    events = inputs.events.assign(status=evil)
    page = Page(
        replace(
            inputs,
            name=f"{evil} & more",
            stations=stations,
            ledger=ledger,
            events=events,
            parameters={"name": evil, "path": Path("/data/x")},
            versions={evil: "</td>1"},
            comparison={evil: evil},
        ),
        tmp_path,
    )
    assert len(page.tree.xpath("//script")) == 1
    assert not page.tree.xpath("//b")
    assert page.tree.xpath("//h1")[0].text_content() == f"{evil} & more"
    assert page.rows("failed-table")[1][2] == f"{evil} $x_1$"
    assert "$\\frac{" in page.text
    assert "\x00" not in page.text


def test_many_events_on_many_stations_stay_a_small_page(tmp_path: Path) -> None:
    page = Page(fake_run(6000, 150, 40, sections=False, n_recorded=8), tmp_path)
    assert page.path.stat().st_size < 4_000_000
    assert len(page.rows("event-table")) == 500
    assert "500 events with the most picks of 6,000" in page.words("events")
    assert len(page.tree.xpath('//section[@id="map"]//*[local-name()="image"]')) >= 3
    assert_needs_nothing(page)


def test_maps_cross_the_antimeridian() -> None:
    from seisflow.report.figure_map import _degrees, draw_map, outside_map
    from seisflow.report.style import figure_style

    inputs = fake_run(40, sections=False)
    shift = 180.0 + 17.45
    stations, events = (
        table.assign(longitude=(table["longitude"] + shift + 180.0) % 360.0 - 180.0)
        for table in (inputs.stations, inputs.events)
    )
    assert events["longitude"].max() > 179 and events["longitude"].min() < -179
    with figure_style():
        figure = draw_map(stations, events)
    west, east = figure.axes[0].get_xlim()
    assert east - west < 4.0
    assert outside_map(stations, events) == outside_map(inputs.stations, inputs.events)
    assert _degrees(180.5, "E", "W") == "179.5°W"


def test_the_map_is_true_to_scale(inputs: ReportInputs) -> None:
    from seisflow.report.figure_map import draw_map
    from seisflow.report.style import figure_style

    with figure_style():
        figure = draw_map(inputs.stations, inputs.events)
    plan = figure.axes[0]
    width, height = plan.get_window_extent().size
    (west, east), (south, north) = plan.get_xlim(), plan.get_ylim()
    km_wide = (east - west) * np.cos(np.radians(0.5 * (south + north)))
    assert width / height == pytest.approx(km_wide / (north - south), rel=1e-3)


def test_days_of_picks_and_samples_land_on_their_day() -> None:
    from seisflow.report.figures_availability import daily_counts

    inputs = fake_run(60, 6, 12, sections=False, n_recorded=6)
    counts = daily_counts(inputs.stations, inputs.picks, inputs.availability, inputs.period)
    assert counts.fraction.shape == (6, 12)
    assert counts.n_p.sum() + counts.n_s.sum() == len(inputs.picks)
    day = inputs.picks["time"].dt.strftime("%Y-%m-%d")
    for row in inputs.availability.sample(10, random_state=0).itertuples():
        i, j = counts.names.index(f"{row.network}.{row.station}"), list(counts.days).index(row.day)
        assert counts.fraction[i, j] == row.fraction
        here = (inputs.picks["station"] == row.station) & (inputs.picks["network"] == row.network)
        assert counts.n_p[i, j] + counts.n_s[i, j] == (here & (day == f"{row.day:%Y-%m-%d}")).sum()


def test_the_users_own_style_neither_enters_nor_changes(
    inputs: ReportInputs, page: Page, tmp_path: Path
) -> None:
    import matplotlib as mpl

    with mpl.rc_context({"font.size": 31, "axes.facecolor": "red", "text.usetex": True}):
        again = write_report(inputs, tmp_path / "again.html")
        assert mpl.rcParams["font.size"] == 31
    assert again.read_bytes() == page.path.read_bytes()


def test_a_table_of_availability_without_its_columns_is_refused(inputs: ReportInputs, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="misses fraction"):
        write_report(
            replace(inputs, availability=inputs.availability.drop(columns="fraction")), tmp_path / "x.html"
        )
    with pytest.raises(TableError, match="EVENTS: column 'depth_km' is missing"):
        write_report(replace(inputs, events=inputs.events.drop(columns="depth_km")), tmp_path / "x.html")


def test_reasons_that_differ_in_numbers_only_are_one_kind() -> None:
    from seisflow.report.summary import outcomes

    period = Period(np.datetime64("2020-01-01"), np.datetime64("2020-01-31"))
    ledger = fake_ledger(fake_stations(5), period).iloc[:100].reset_index(drop=True)
    ledger["status"] = "failed"
    ledger["reason"] = [f"{unit}: rate {i} Hz is not among 20, 100" for i, unit in enumerate(ledger["unit"])]
    (row,) = outcomes(ledger, "failed")
    assert (row["count"], row["more"], len(row["examples"])) == (100, 97, 3)


def test_importing_the_report_is_light() -> None:
    heavy = ("matplotlib", "jinja2", "obspy", "torch", "dask")
    code = f"import sys, seisflow.report; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_rate_adds_up_to_the_events(inputs: ReportInputs) -> None:
    from seisflow.report.figures_time import bin_width, draw_time_line

    figure = draw_time_line(inputs.events, inputs.period)
    rate, _, total = figure.axes
    assert sum(bar.get_height() for bar in rate.patches) == len(inputs.events)
    assert total.lines[0].get_ydata()[-1] == len(inputs.events)
    assert rate.get_ylabel() == f"Events per {bin_width(inputs.period.duration_s)[0]}"
    assert [bin_width(days * 86400.0)[0] for days in (0.01, 1, 90, 730, 8000)] == [
        "minute",
        "30 minutes",
        "day",
        "30 days",
        "91 days",
    ]
