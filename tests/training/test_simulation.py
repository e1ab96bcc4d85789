"""Simulated records: the same from the same seed, with onsets where the labels say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from seisflow.training.chance import Chance
from seisflow.training.earthquakes import N_RECORD, RATE_HZ, Earthquakes, make_earthquakes
from seisflow.training.examples import LABEL_WIDTH, N_EXAMPLE, Examples, Pool, labelled, mix
from seisflow.training.noises import make_noises


@pytest.fixture(scope="module")
def earthquakes() -> Earthquakes:
    return make_earthquakes(128, Chance(5, "earthquakes", 0))


@pytest.fixture(scope="module")
def examples(earthquakes: Earthquakes) -> Examples:
    return mix(64, earthquakes, make_noises(64, Chance(5, "noises", 0)), Chance(5, "mix", 0))


def test_a_seed_decides_every_sample() -> None:
    def drawn(seed: int) -> Examples:
        pool = Pool(seed, 2, 16)
        pool.advance(1)
        return pool.draw(8, Chance(seed, "step", 3))

    first, again, other = drawn(1), drawn(1), drawn(2)
    assert torch.equal(first.traces, again.traces)
    assert torch.equal(first.labels, again.labels)
    assert torch.equal(first.weight, again.weight)
    assert not torch.equal(first.traces, other.traces)


def test_a_pool_holds_the_same_shards_however_it_came_there() -> None:
    walked, jumped = Pool(1, 2, 8), Pool(1, 2, 8)
    for newest in range(4):
        walked.advance(newest)
    jumped.advance(3)
    assert list(walked.shards) == list(jumped.shards) == [2, 3]
    for number in (2, 3):
        assert torch.equal(walked.shards[number][0].traces, jumped.shards[number][0].traces)
        assert torch.equal(walked.shards[number][1], jumped.shards[number][1])


def aic_onset(window: NDArray[np.float64]) -> int:
    """Return the sample that parts a window best into noise and signal (Maeda 1985)."""
    n = len(window)
    total, square = np.cumsum(window), np.cumsum(window**2)
    k = np.arange(5, n - 5)
    before = square[k - 1] / k - (total[k - 1] / k) ** 2
    rest = n - k
    after = (square[-1] - square[k - 1]) / rest - ((total[-1] - total[k - 1]) / rest) ** 2
    return int(k[np.argmin(k * np.log(before) + rest * np.log(after))])


def test_p_and_s_arrive_where_the_labels_say(earthquakes: Earthquakes) -> None:
    rng = np.random.default_rng(0)
    late = {"P": [], "S": []}
    for i in range(len(earthquakes.p)):
        p, s = float(earthquakes.p[i]), float(earthquakes.s[i])
        level = 0.02 * float(earthquakes.p_peak[i].max())
        traces = earthquakes.traces[i].numpy() + level * rng.standard_normal((3, N_RECORD))
        first = int(p) - 100
        late["P"].append(first + aic_onset(traces[2, first : int(min(p + 60, s - 5))]) - p)
        if s - p > 100 and earthquakes.s_peak[i].max() > 4 * earthquakes.before_s[i].max():
            trace, first = traces[np.abs(traces[:2]).max(axis=1).argmax()], int(s) - 80
            late["S"].append(first + aic_onset(trace[first : int(s) + 50]) - s)
    assert len(late["S"]) > 30
    for phase, spread in (("P", 0.08), ("S", 0.12)):
        residuals_s = np.array(late[phase]) / RATE_HZ
        assert abs(np.median(residuals_s)) < 0.015
        assert np.quantile(np.abs(residuals_s), 0.85) < spread


def test_nothing_moves_before_p(earthquakes: Earthquakes) -> None:
    before = earthquakes.traces[..., : int(earthquakes.p.min()) - 50]
    assert float(before.abs().max()) < 0.02


def test_labels_are_probabilities_with_a_bell_at_each_visible_onset(examples: Examples) -> None:
    assert torch.allclose(examples.labels.sum(1), torch.ones(()), atol=1e-5)
    assert examples.labels.min() >= 0
    assert len(examples.onsets) > 30
    for row, code, sample, visible in examples.onsets.tolist():
        nearest = round(sample)
        if not 0 <= nearest < N_EXAMPLE:
            continue
        if visible:
            alone = examples.labels[int(row), 3 - int(code), nearest] < 0.01
            assert not alone or examples.labels[int(row), int(code), nearest] > 0.99
        else:
            assert examples.weight[int(row), nearest] == 0


def test_a_hidden_onset_teaches_nothing() -> None:
    onsets = torch.tensor([[0.0, 1.0, 1000.0, 1.0], [0.0, 2.0, 3000.0, 0.0]])
    found = labelled(torch.randn(1, 3, N_EXAMPLE), onsets, torch.ones(1, N_EXAMPLE, dtype=torch.bool))
    assert found.labels[0, 1, 1000] == 1
    width = torch.exp(torch.tensor(-0.5))
    assert found.labels[0, 1, 1000 + round(LABEL_WIDTH)] == pytest.approx(float(width))
    assert found.weight[0, 1000] == 1
    assert found.labels[0, 2].max() == 0
    assert found.weight[0, 2950:3051].max() == 0
    assert found.weight[0, :2900].min() == 1


def test_noise_has_unit_strength_between_one_and_twenty_hertz() -> None:
    noise = make_noises(64, Chance(6, "noises", 0))
    power = torch.fft.rfft(noise).abs().square()
    frequency_hz = torch.fft.rfftfreq(N_RECORD, 1 / RATE_HZ)
    band = (frequency_hz > 1) & (frequency_hz < 20)
    rms = (2 * power[..., band].sum((1, 2)) / 3 / N_RECORD**2).sqrt()
    assert 0.8 < float(rms.quantile(0.1)) < 1.3  # those without bursts or hum
    assert torch.isfinite(noise).all()


def test_examples_show_what_archives_hold(examples: Examples) -> None:
    there = (examples.traces != 0).any(2)
    assert 0.1 < float((there.sum(1) == 1).float().mean()) < 0.5, "stations with one component"
    assert float((there.sum(1) == 3).float().mean()) > 0.4
    assert ((examples.traces == 0).all(1).sum(1) > 20).any(), "records with gaps"
    assert torch.isfinite(examples.traces).all()
