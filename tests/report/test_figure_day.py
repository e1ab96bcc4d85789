"""The figure of a day: no peak is lost, picks and gaps lie where they are, and it needs little memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from numpy.typing import NDArray
from typer.testing import CliRunner

from seisflow.cli import app
from seisflow.errors import SeisflowError
from seisflow.keys import Window, seconds
from seisflow.picking import Picker, pick_phases
from seisflow.picking.bundled import Bundled
from seisflow.picking.inference.stacking import Piece
from seisflow.picking.stalta import StaLta
from seisflow.report.day_curves import largest, lines_of, thin_curves
from seisflow.report.figure_day import draw_day
from seisflow.report.interesting_spans import interesting_spans
from tests.picking.records import START, dataset, swarm

DAY = Window.of_day("2020-01-02")


class Fixed(Picker):
    """A picker whose curves are given, and which picks nothing."""

    name: ClassVar[str] = "fixed"
    curve: ClassVar[str] = "probability"
    n_piece: int = 1000
    peaks: dict[int, float]

    @property
    def margin_s(self) -> float:
        return 0.0

    @property
    def sampling_rate_hz(self) -> float:
        return 100.0

    def thresholds(self) -> dict[str, float]:
        return {"P": 0.5, "S": 0.5}

    def pick(self, waveforms: xr.Dataset) -> pd.DataFrame:
        raise NotImplementedError

    def curves(self, waveforms: xr.Dataset) -> Iterator[Piece]:
        n = waveforms.sizes["time"]
        for first in range(0, n, self.n_piece):
            values = np.zeros((2, min(self.n_piece, n - first)), np.float32)
            for sample, height in self.peaks.items():
                if first <= sample < first + values.shape[1]:
                    values[:, sample - first] = height
            yield Piece(first, 1, values, first + self.n_piece >= n)


@st.composite
def columns_and_values(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.float32], list[int]]:
    """Return rising columns, some outside, values of two curves, and where they are cut into pieces."""
    n = draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = rng.standard_normal((2, n)).astype(np.float32)
    cuts = draw(st.lists(st.integers(0, n), max_size=4))
    return np.sort(rng.uniform(-3, 13, n)), values, sorted({0, n, *cuts})


@given(columns_and_values())
def test_every_column_keeps_its_largest_value_however_the_curve_comes(
    given_values: tuple[NDArray[np.float64], NDArray[np.float32], list[int]],
) -> None:
    columns, values, cuts = given_values
    found = np.full((2, 10), np.nan, np.float32)
    for low, high in pairwise(cuts):
        largest(found, columns[low:high], values[:, low:high])
    for column in range(10):
        inside = (columns >= column) & (columns < column + 1)
        expected = values[:, inside].max(axis=1) if inside.any() else np.full(2, np.nan)
        np.testing.assert_array_equal(found[:, column], expected)


@pytest.mark.parametrize(
    ("start", "end", "length_s", "n"),
    [
        ("2020-01-02", "2020-01-03", 3600.0, 24),
        ("2020-01-02T00:01:00.14", "2020-01-02T00:10:07.75", 60.0, 10),
        ("2020-01-02T23:59:59", "2020-01-03", 60.0, 1),
        ("2020-01-02T00:30", "2020-01-02T12:10", 1800.0, 24),
    ],
)
def test_lines_cover_a_window(start: str, end: str, length_s: float, n: int) -> None:
    window = Window(start, end)  # type: ignore[arg-type]
    lines = lines_of(window)
    assert (lines.length_s, lines.n) == (length_s, n)
    assert lines.window(0).start <= window.start < lines.window(0).end
    assert lines.window(n - 1).start < window.end <= lines.window(n - 1).end


def test_a_peak_of_one_sample_stands_in_its_line_and_column() -> None:
    waveforms = dataset(np.zeros((1, 360_000)), "Z", start=np.datetime64("2020-01-02T02:00"))
    lines = lines_of(DAY)
    curves = thin_curves(Fixed(peaks={123_456: 0.9}), waveforms, lines, [])
    assert curves is not None
    place = np.argwhere(curves.thin[0] > 0.5)
    assert place.tolist() == [[2, int(1234.56 / lines.column_s)]]
    assert np.isnan(curves.thin[:, 3:]).all()


def test_a_span_holds_the_curve_itself() -> None:
    data, _ = swarm(3, duration_s=300.0)
    waveforms, picker = dataset(data), Bundled(threads=1)
    span = Window(START + seconds(61.0), START + seconds(123.4))
    curves = thin_curves(picker, waveforms, lines_of(Window(START, START + seconds(300.0))), [span])
    assert curves is not None
    whole = picker.probabilities(waveforms)
    np.testing.assert_array_equal(curves.spans[0].values, [whole[phase][6100:12340] for phase in "PS"])
    np.testing.assert_allclose(curves.spans[0].time_s, np.arange(6240) / 100, atol=1e-6)


def test_the_curves_of_a_day_are_never_in_memory_together() -> None:
    time = DAY.start + np.arange(8_640_000, dtype="timedelta64[ms]") * 10
    waveforms = xr.Dataset(coords={"time": time}, attrs={"sampling_rate_hz": 100.0})
    picker, lines = Fixed(n_piece=100_000, peaks={5: 0.9}), lines_of(DAY)
    tracemalloc.start()
    thin_curves(picker, waveforms, lines, [Window(DAY.start, DAY.start + seconds(60.0))])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6  # both curves of the day are 69 MB


def drawn(figure: Figure, name: str) -> list[Any]:
    """Return what a figure holds under a name."""
    return [item for item in figure.findobj() if item.get_gid() == name]


def picked_swarm() -> tuple[xr.Dataset, Window]:
    """Return five minutes with earthquakes and a gap, around midnight."""
    data, _ = swarm(4, duration_s=900.0)
    data[:, 20_000:23_000] = np.nan
    return dataset(data), Window(START + seconds(120.0), START + seconds(600.0))


@pytest.mark.parametrize("picker", [Bundled(threads=1), StaLta()])
def test_marks_stand_at_the_picks_and_shades_at_the_gaps(picker: Picker) -> None:
    waveforms, window = picked_swarm()
    picks = pick_phases(waveforms, picker, window)
    figure = draw_day(waveforms, picks, picker, window)
    lines = lines_of(window)
    for phase in "PS":
        (marks,) = drawn(figure, f"picks-{phase}")
        row = np.round(marks.get_ydata() - {"P": 0.03, "S": 0.98}[phase]).astype(int)
        after_s = row * lines.length_s + marks.get_xdata()
        times = picks.loc[picks["phase"] == phase, "time"].to_numpy(dtype="datetime64[ns]")
        np.testing.assert_allclose(after_s, (times - lines.start) / np.timedelta64(1, "s"), atol=1e-6)
    shades = [path for item in drawn(figure, "gap") for path in item.get_paths()]
    missing_s = sum(float(np.ptp(path.vertices[:, 0])) for path in shades)
    outside_s = lines.n * lines.length_s - window.duration_s
    assert missing_s == pytest.approx(30.0 + outside_s, abs=4 * lines.column_s)


def test_panels_show_the_strongest_and_the_least_certain_picks_once_each() -> None:
    times = pd.to_datetime(DAY.start, utc=True) + pd.to_timedelta([1000, 2000, 3000, 3004, 4000, 5000], "s")
    picks = pd.DataFrame(
        {
            "time": times,
            "amplitude": [5.0, 9.0, 1.0, 7.0, np.nan, 2.0],
            "probability": [0.9, 0.8, 0.6, 0.7, 0.31, 0.75],
        }
    )
    panels = interesting_spans(picks, DAY)
    begins = [float((panel.span.start - DAY.start) / np.timedelta64(1, "s")) for panel in panels]
    assert begins == [1994.0, 2994.0, 4994.0, 3994.0]
    assert [panel.why for panel in panels] == [
        "strongest", "second strongest", "median probability", "lowest probability",
    ]  # fmt: skip
    assert interesting_spans(picks[:0], DAY) == []


@pytest.mark.parametrize("kind", ["dead", "no samples at all", "one component", "slow"])
def test_poor_records_are_drawn_too(kind: str) -> None:
    rate_hz = 20.0 if kind == "slow" else 100.0
    data = np.random.default_rng(1).standard_normal((3, 30_000))
    if kind == "dead":
        data[:] = 7.0
    elif kind == "no samples at all":
        data[:] = np.nan
    waveforms = dataset(
        data[:1] if kind == "one component" else data, "N" if kind == "one component" else "ZNE", rate_hz
    )
    window = Window(START, START + seconds(data.shape[1] / rate_hz))
    picker = StaLta(p_high_hz=8, s_high_hz=8) if kind == "slow" else Bundled(threads=1)
    picks = pick_phases(waveforms, picker, window)
    figure = draw_day(waveforms, picks, picker, window, [Window(START, START + seconds(50.0))])
    assert len(drawn(figure, "overview")) == 1
    figure.canvas.draw()


def pick(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["pick", *map(str, arguments)])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return files of two stations, a few minutes around midnight."""
    from obspy import Stream, Trace, UTCDateTime

    folder = tmp_path_factory.mktemp("plain")
    paths = []
    for seed, station in enumerate(("AAA", "BBB")):
        data, _ = swarm(seed, duration_s=200.0)
        head = {
            "network": "XX",
            "station": station,
            "sampling_rate": 100.0,
            "starttime": UTCDateTime("2020-01-01T23:58:00"),
        }
        traces = [
            Trace((1000 * row).astype(np.int32), {**head, "channel": f"HH{letter}"})
            for row, letter in zip(data, "ZNE", strict=True)
        ]
        paths.append(folder / f"{station}.mseed")
        Stream(traces).write(str(paths[-1]), format="MSEED")
    return paths


def test_each_station_day_has_its_figure(files: list[Path], tmp_path: Path) -> None:
    result = pick(*files, "--out", tmp_path / "picks.csv", "--figure", tmp_path / "new" / "day.svg")
    assert result.exit_code == 0, result.output
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == [f"day.XX.{s}.2020-01-0{d}.svg" for s in ("AAA", "BBB") for d in (1, 2)]
    plain = pick(*files, "--out", tmp_path / "plain.csv")
    assert plain.exit_code == 0
    assert (tmp_path / "plain.csv").read_text() == (tmp_path / "picks.csv").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--figure", "day.xyz"], "unknown form"),
        (["--figure", "day.png", "--from", "2020-01-01T23:58"], "--from and --to go together"),
        (["--figure", "day.png", "--from", "2021-01-01", "--to", "2021-01-02"], "hold nothing in 2021"),
        (["--from", "2020-01-01T23:58", "--to", "2020-01-01T23:59"], "need --figure"),
    ],
)
def test_a_wrong_wish_is_refused_before_anything_is_picked(
    files: list[Path], tmp_path: Path, arguments: list[str], said: str
) -> None:
    result = pick(files[0], "--out", tmp_path / "picks.csv", *arguments)
    assert isinstance(result.exception, SeisflowError)
    assert said in str(result.exception)
    assert not (tmp_path / "picks.csv").exists()
