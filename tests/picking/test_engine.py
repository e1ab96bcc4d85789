"""The engine: the same curves whatever the batch, the threads, the chunks and the cut."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from seisflow.picking import phasenet
from seisflow.picking.inference.forward import Team
from seisflow.picking.inference.normalisation import SCALES, TAPER, gather_windows
from seisflow.picking.inference.sliding import Sliding, knots_of, normalise_into
from seisflow.picking.inference.stacking import Piece, Stack
from seisflow.picking.inference.triggers import Onsets, PeakFinder, Trigger
from seisflow.picking.inference.windows import finite_runs, lay_windows, stretches
from seisflow.picking.phasenet import N_GUARD, N_REACH, PhaseNet
from tests.picking.records import START, dataset, swarm

torch = pytest.importorskip("torch")

FEW = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def gappy(seed: int, duration_s: float = 300.0) -> NDArray[np.float64]:
    """Return a swarm with gaps in all components and in single ones."""
    data, _ = swarm(seed, duration_s=duration_s)
    rng = np.random.default_rng(seed)
    for first in rng.integers(0, data.shape[1], 6):
        data[:, first : first + rng.integers(1, 300)] = np.nan
    for first in rng.integers(0, data.shape[1], 10):
        data[rng.integers(3), first : first + rng.integers(1, 900)] = np.nan
    return data


@FEW
@given(
    mode=st.sampled_from(["windowed", "continuous"]),
    batch_size=st.integers(1, 40),
    threads=st.integers(1, 3),
    seed=st.integers(0, 2),
)
def test_neither_batch_nor_threads_matter(
    sharp_weights: Path, mode: str, batch_size: int, threads: int, seed: int
) -> None:
    waveforms = dataset(gappy(seed))
    first = PhaseNet(weights=str(sharp_weights), mode=mode, threads=1)
    other = first.model_copy(update={"batch_size": batch_size, "threads": threads})
    for phase, curve in first.probabilities(waveforms).items():
        assert curve.max() > 0.3
        np.testing.assert_allclose(other.probabilities(waveforms)[phase], curve, atol=1e-6)


@FEW
@given(n_chunk=st.integers(4, 60), n_batch=st.integers(1, 3), seed=st.integers(0, 2))
def test_a_record_in_chunks_is_the_record_at_once(
    sharp_weights: Path, monkeypatch: pytest.MonkeyPatch, n_chunk: int, n_batch: int, seed: int
) -> None:
    waveforms = dataset(gappy(seed))
    picker = PhaseNet(weights=str(sharp_weights), mode="continuous", threads=1)
    whole = picker.probabilities(waveforms)
    model = phasenet._continuous(picker._weights(), "cpu", picker.rise_limit)
    chunked = replace(model, n_chunk=256 * n_chunk, n_batch=n_batch)
    with monkeypatch.context() as patch:
        patch.setattr(phasenet, "_continuous", lambda *_: chunked)
        for phase, curve in picker.probabilities(waveforms).items():
            np.testing.assert_allclose(curve, whole[phase], atol=1e-6)


@FEW
@given(cut=st.integers(1, 29_999), length=st.integers(14_000, 25_000), seed=st.integers(0, 2))
@pytest.mark.parametrize("mode", ["windowed", "continuous"])
def test_curves_do_not_depend_on_the_cut(
    sharp_weights: Path, mode: str, cut: int, length: int, seed: int
) -> None:
    picker = PhaseNet(weights=str(sharp_weights), mode=mode, grid="absolute", threads=1)
    waveforms = dataset(gappy(seed, 600.0))
    n_margin = round(100 * picker.margin_s)
    part = waveforms.isel(time=slice(cut, cut + length))
    whole = picker.probabilities(waveforms)
    for phase, curve in picker.probabilities(part).items():
        inner = slice(n_margin, len(curve) - n_margin)
        np.testing.assert_allclose(curve[inner], whole[phase][cut : cut + length][inner], atol=1e-6)


def test_near_the_ends_of_a_record_arrays_that_end_there_count(
    sharp_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, stop = 700, 11_300
    data, _ = swarm(1, duration_s=120.0)
    data[:, :first] = data[:, stop:] = np.nan
    picker = PhaseNet(weights=str(sharp_weights), mode="continuous", threads=1)
    model = phasenet._continuous(picker._weights(), "cpu", picker.rise_limit)
    assert model.ends is not None
    found = picker.probabilities(dataset(data))
    with monkeypatch.context() as patch:
        patch.setattr(phasenet, "_continuous", lambda *_: replace(model, ends=None))
        without = picker.probabilities(dataset(data))
    order = ["ZNE".index(letter) for letter in picker._weights().model_args.get("component_order", "ZNE")]
    normalised = np.zeros((3, data.shape[1]), np.float32)
    lead = int((START - np.datetime64(0, "s")) / np.timedelta64(10, "ms")) % model.sliding.n_cell
    for trace, out in zip(data[order].astype(np.float32), normalised, strict=True):
        runs = np.array([[first, stop]])
        knots = knots_of(trace, runs, lead, model.sliding)
        normalise_into(out, 0, trace, runs, *knots, lead, model.sliding.n_cell)
    near, weight = model.ends.n_near, model.ends.weight
    at_start = [
        model.network.forward_trace(normalised[:, first : first + n].copy())[:, :near]
        for n in model.ends.n_windows
    ]
    at_stop = [
        model.network.forward_trace(normalised[:, stop - n : stop].copy())[:, n - near :]
        for n in model.ends.n_windows
    ]
    for phase, number in zip("PS", model.classes, strict=True):
        expected = without[phase].copy()
        for part, curves in ((slice(first, first + near), at_start), (slice(stop - near, stop), at_stop)):
            mean = np.mean([curve[number] for curve in curves], axis=0)
            expected[part] += weight * (mean - expected[part])
        expected[: first + N_GUARD] = expected[stop - N_GUARD :] = 0
        np.testing.assert_allclose(found[phase], expected, atol=1e-5)
        np.testing.assert_array_equal(
            found[phase][first + near : stop - near], without[phase][first + near : stop - near]
        )
        assert np.abs(found[phase] - without[phase]).max() > 0.03


def test_nothing_reaches_farther_than_the_chunks_overlap(sharp_weights: Path) -> None:
    picker = PhaseNet(weights=str(sharp_weights), threads=1)
    network = phasenet._continuous(picker._weights(), "cpu", picker.rise_limit).network
    rng = np.random.default_rng(1)
    record = rng.standard_normal((1, 3, 16_384)).astype(np.float32)
    changed = record.copy()
    changed[:, :, :4096] += 1
    difference = np.abs(network.forward(record) - network.forward(changed))[0].max(axis=0)
    assert difference[:4096].max() > 1e-3
    assert difference[4096 + N_REACH :].max() == 0


@pytest.mark.parametrize("mode", ["windowed", "continuous"])
@pytest.mark.parametrize("value", [0.0, -1234.5])
def test_where_nothing_moves_the_network_is_not_asked(sharp_weights: Path, mode: str, value: float) -> None:
    picker = PhaseNet(weights=str(sharp_weights), mode=mode, threads=1)
    curves = picker.probabilities(dataset(np.full((3, 20_000), value)))
    assert all((curve == 0).all() for curve in curves.values())


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("detrend", [False, True])
def test_windows_are_normalised_as_torch_would(scale: str, detrend: bool) -> None:
    rng = np.random.default_rng(1)
    data = (rng.standard_normal((2, 900)) * 30 + 1e4 + np.arange(900)).astype(np.float32)
    data[1, 200:260] = np.nan
    starts = np.array([0, 150, 400])
    out, live = np.empty((3, 3, 500), np.float32), np.zeros(3, bool)
    offsets = np.array([900, -1, 0])
    gather_windows(data.ravel(), offsets, starts, out, True, detrend, SCALES.index(scale), TAPER, live)
    x = np.zeros((3, 3, 500))
    for i, start in enumerate(starts):
        x[i, [0, 2]] = np.nan_to_num(data[[1, 0], start : start + 500])
    x -= x.mean(axis=-1, keepdims=True)
    if detrend:
        clock = np.linspace(-1, 1, 500)
        x -= (x @ clock / (clock @ clock))[..., None] * clock
    divisor = {
        "none": lambda: np.ones((3, 1, 1)),
        "std": lambda: x.std(axis=-1, keepdims=True, ddof=1),
        "peak": lambda: np.abs(x).max(axis=-1, keepdims=True),
        "std of all": lambda: x.std(axis=(-1, -2), keepdims=True, ddof=1),
        "peak of all": lambda: np.abs(x).max(axis=(-1, -2), keepdims=True),
    }[scale]()
    x /= np.where(divisor > 0, divisor, 1)
    x[..., :6] *= TAPER
    x[..., -6:] *= TAPER[::-1]
    np.testing.assert_allclose(out, x, atol=2e-5 * np.abs(x).max())
    assert live.all()


def reference_normalisation(x: NDArray[np.float64], window: int = 3000) -> NDArray[np.float64]:
    """Return what PhaseNet's `normalize_long` makes of a component, written from its description."""
    shift = window // 2
    padded = np.pad(x, shift, mode="reflect")
    knots = np.arange(0, len(x) + 1, shift)
    around = [padded[i : i + window] for i in knots]
    mean = np.interp(np.arange(len(x)), knots, [part.mean() for part in around])
    deviation = np.interp(np.arange(len(x)), knots, [part.std() for part in around])
    return (x - mean) / deviation


@pytest.mark.parametrize("lead", [0, 700])
def test_sliding_normalisation_is_that_of_phasenet(lead: int) -> None:
    data, _ = swarm(5, duration_s=180.0)
    trace = (data[0] * 50 + 3e4).astype(np.float32)
    expected = reference_normalisation(trace.astype(float))
    part = trace[1500 - lead :]  # starts `lead` samples after a knot
    runs = np.array([[0, len(part)]])
    out = np.empty(len(part), np.float32)
    normalise_into(out, 0, part, runs, *knots_of(part, runs, lead, Sliding(3000, 1500)), lead, 1500)
    inner = slice(3000, len(part) - 3000)
    if lead == 0:
        np.testing.assert_allclose(out[inner], expected[1500:][inner], atol=1e-4)
    pieces = np.empty_like(out)
    for first in range(0, len(part), 777):
        normalise_into(
            pieces[first : first + 777],
            first,
            part,
            runs,
            *knots_of(part, runs, lead, Sliding(3000, 1500)),
            lead,
            1500,
        )
    np.testing.assert_array_equal(pieces, out)


@pytest.mark.parametrize("rise_limit", [np.inf, 3.0])
def test_the_sliding_deviation_rises_at_most_so_far_above_that_of_the_past(rise_limit: float) -> None:
    rng = np.random.default_rng(0)
    trace = rng.normal(size=12_000).astype(np.float32) + np.float32(1e5)
    trace[7_000:9_000] += 1_000 * rng.normal(size=2_000).astype(np.float32)
    runs = np.array([[0, 4_000], [4_200, 12_000]])
    n_window, n_cell, lead = 3000, 250, 100
    mean, deviation = knots_of(trace, runs, lead, Sliding(n_window, n_cell, rise_limit))
    there = np.zeros(len(trace), bool)
    for start, stop in runs:
        there[start:stop] = True
    for cell in range(len(deviation)):
        knot = cell * n_cell - lead
        around, past = (
            trace[max(low, 0) : max(low, 0) + n_window + min(low, 0)].astype(float)[
                there[max(low, 0) : max(low, 0) + n_window + min(low, 0)]
            ]
            for low in (knot - n_window // 2, knot + n_cell - n_window)
        )
        limited = len(past) >= n_window / 4 and around.std() > rise_limit * past.std()
        expected = (past.mean(), rise_limit * past.std()) if limited else (around.mean(), around.std())
        np.testing.assert_allclose((mean[cell, 0], deviation[cell, 0]), expected, rtol=1e-6)
    hidden = deviation[(np.arange(len(deviation)) * n_cell - lead > 5_500), 0][:5]
    assert (hidden.max() < 4) == (rise_limit == 3.0)  # what precedes the loud part keeps a scale of its own


def whole_piece(curve: NDArray[np.float32]) -> Piece:
    return Piece(0, 1, curve[None], True)


def in_pieces(finder: Trigger | PeakFinder, curve: NDArray[np.float32], cuts: list[int]) -> Onsets:
    """Return what a finder says of a curve that comes in pieces."""
    edges = [0, *sorted({cut for cut in cuts if cut < len(curve)} - {0}), len(curve)]
    parts = []
    for low, high in pairwise(edges):
        piece = Piece(low, 1, curve[None, low:high], high == len(curve))
        parts.append(finder.feed(curve[low:high], piece))
    return Onsets.joined(parts)


CURVES = st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.9]), min_size=1, max_size=80)


@given(values=CURVES, cuts=st.lists(st.integers(0, 80), max_size=5))
def test_triggers_are_those_of_obspy(values: list[float], cuts: list[int]) -> None:
    from obspy.signal.trigger import trigger_onset

    curve = np.array(values, np.float32)
    expected = [
        (start, start + int(curve[start : end + 1].argmax()), end)
        for start, end in np.asarray(trigger_onset(curve, 0.3, 0.15)).reshape(-1, 2).tolist()
    ]
    found = in_pieces(Trigger(0.3, 0.15), curve, cuts)
    assert list(zip(*(column.tolist() for column in found[:3]), strict=True)) == expected
    np.testing.assert_array_equal(found.probability, curve[found.peak])


@given(values=CURVES, cuts=st.lists(st.integers(0, 80), max_size=5), n_apart=st.integers(1, 9))
def test_peaks_are_largest_within_their_neighbourhood(
    values: list[float], cuts: list[int], n_apart: int
) -> None:
    curve = np.array(values, np.float32)
    expected = []
    for j, value in enumerate(curve):
        before, after = curve[max(j - n_apart, 0) : j], curve[j + 1 : j + 1 + n_apart]
        if value >= np.float32(0.3) and (before < value).all() and (after <= value).all():
            expected.append(j)
    found = in_pieces(PeakFinder(0.3, 0.15, n_apart), curve, cuts)
    assert found.peak.tolist() == expected
    assert (found.start <= found.peak).all()
    assert (found.peak <= found.end).all()


@given(
    lengths=st.lists(st.integers(5, 60), min_size=1, max_size=4).filter(lambda some: max(some) >= 10),
    n_hop=st.integers(1, 10),
    batch_size=st.integers(1, 7),
    grid=st.sampled_from(["absolute", "segment"]),
    blinding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    method=st.sampled_from(["avg", "max"]),
    first_sample=st.integers(0, 30),
)
def test_windows_cover_and_stack_as_nanmean(
    lengths: list[int],
    n_hop: int,
    batch_size: int,
    grid: str,
    blinding: tuple[int, int],
    method: str,
    first_sample: int,
) -> None:
    n_window = 10
    ends = np.cumsum(np.array(lengths) + 3)
    bounds = np.column_stack([ends - lengths, ends])
    windows = lay_windows(bounds, n_window, n_hop, grid, first_sample)
    rng = np.random.default_rng(1)
    outputs = rng.random((len(windows.starts), 3, n_window)).astype(np.float32)
    expected = np.full((len(outputs), 2, ends[-1]), np.nan)
    inner = slice(blinding[0], n_window - blinding[1])
    for i, start in enumerate(windows.starts):
        expected[i, :, start + inner.start : start + inner.stop] = outputs[i, [2, 0], inner]
        assert (expected[i, 0, : windows.bounds[windows.stretch[i], 0]] != 0).all()
    covered = np.isfinite(expected).any(axis=0)
    merged = np.zeros(expected.shape[1:])
    values = (
        np.nanmean(expected[:, covered], axis=0)
        if method == "avg"
        else np.nanmax(expected[:, covered], axis=0)
    )
    merged[covered] = values
    stack = Stack(n_window, n_hop, batch_size, np.array([2, 0]), blinding, method)
    curves = np.zeros_like(merged)
    last = 0
    for low in range(0, len(outputs), batch_size):
        high = min(low + batch_size, len(outputs))
        following = None
        if high < len(outputs):
            following = int(windows.starts[high]), int(windows.stretch[high])
        part = slice(low, high)
        for piece in stack.add(outputs[part], windows.starts[part], windows.stretch[part], following):
            curves[:, piece.first : piece.first + piece.curves.shape[1]] = piece.curves
            last += piece.is_last
    np.testing.assert_allclose(curves, merged, atol=1e-6)
    assert last == len(windows.bounds)
    for low, high in windows.bounds:
        assert set(windows.starts) >= {low, high - n_window}


@given(st.lists(st.lists(st.booleans(), min_size=30, max_size=30), min_size=1, max_size=3))
def test_stretches_are_where_some_component_runs_on(present: list[list[bool]]) -> None:
    mask = np.array(present)
    traces = np.where(mask, 1.0, np.nan).astype(np.float32)
    linked = (mask[:, :-1] & mask[:, 1:]).any(axis=0)
    found = np.zeros(29, bool)
    for first, stop in stretches([finite_runs(trace) for trace in traces]):
        assert not found[max(first - 1, 0) : stop].any()
        found[first : stop - 1] = True
    np.testing.assert_array_equal(found, linked)


def test_the_processs_own_torch_threads_are_left_alone() -> None:
    def seen_elsewhere() -> int:
        with ThreadPoolExecutor(1) as other:
            return other.submit(torch.get_num_threads).result()

    own = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with Team(2) as team:
            within: list[int] = []
            team.share(lambda _: within.append(torch.get_num_threads()), 2)
            assert (torch.get_num_threads(), seen_elsewhere()) == (3, 3)
        assert within == [1, 1]
        assert (torch.get_num_threads(), seen_elsewhere()) == (3, 3)
    finally:
        torch.set_num_threads(own)
