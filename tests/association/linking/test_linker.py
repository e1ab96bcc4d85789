"""The trained network as a file, what it refuses, and what it says of windows."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from seisflow.association.linking import prediction
from seisflow.association.linking.features import Frame
from seisflow.association.linking.linker import Linker, read_linker, write_linker
from seisflow.association.linking.network import LinkNetwork, count_flops
from seisflow.association.linking.prediction import PickSeries, predict_links
from seisflow.earth import VelocityModel
from seisflow.errors import WeightsError
from seisflow.weightfile import write_weight_file

CRUST = VelocityModel(depth_km=(0.0,), vp_km_s=(6.0,), vs_km_s=(3.5,))
SITES = pd.DataFrame(
    {
        "network": "XX",
        "station": ["A", "B", "C"],
        "location": "",
        "latitude": [44.0, 45.0, 46.0],
        "longitude": [8.0, 10.0, 9.0],
    }
)


@pytest.fixture
def linker() -> Linker:
    torch.manual_seed(0)
    network = LinkNetwork(8, 2)
    with torch.no_grad():
        for value in network.parameters():
            value.mul_(3.0)  # so that probabilities differ
    places = {("XX", row.station): (row.latitude, row.longitude) for row in SITES.itertuples()}
    return Linker(network.eval(), Frame.of_stations(SITES), places, CRUST, 500, 120.0, (0.0, 25.0), 0.1)


def series_of(n: int, mean_gap_s: float = 1.0, seed: int = 0) -> PickSeries:
    """Return picks at random."""
    rng = np.random.default_rng(seed)
    north, east = rng.random((2, n)).astype(np.float32)
    return PickSeries(np.cumsum(rng.exponential(mean_gap_s, n)), north, east, rng.random(n) < 0.5)


def test_the_network_is_that_of_table_1() -> None:
    network = LinkNetwork()
    first, second = network.layers
    assert (first.input_size, first.hidden_size, first.bidirectional) == (5, 200, True)
    assert (second.input_size, second.hidden_size, second.bidirectional) == (400, 200, True)
    assert (network.dense.in_features, network.dense.out_features) == (400, 1)
    n_weights = sum(value.numel() for name, value in network.named_parameters() if "weight" in name)
    assert count_flops(200, 2) == 2 * n_weights
    probability = network(torch.rand(7, 3, 5))
    assert probability.shape == (7, 3)
    assert ((probability > 0) & (probability < 1)).all()


def test_a_pick_is_judged_by_those_before_and_after_it() -> None:
    torch.manual_seed(1)
    network = LinkNetwork(8, 2)
    features = torch.rand(6, 1, 5)
    other = features.clone()
    other[5] = 0.5
    assert (network(features)[0] != network(other)[0]).all()


def test_what_is_written_comes_back(linker: Linker, tmp_path: Path) -> None:
    write_linker(tmp_path / "a.weights", linker, {"steps": 3})
    found = read_linker(tmp_path / "a.weights")
    for name in ("frame", "stations", "velocity", "n_picks", "span_s", "depth_km", "beyond_share"):
        assert getattr(found, name) == getattr(linker, name)
    features = torch.rand(5, 4, 5)
    assert torch.equal(found.network(features), linker.network(features))
    moved = dataclasses.replace(linker, stations={**linker.stations, ("XX", "D"): (44.5, 8.5)})
    write_linker(tmp_path / "b.weights", moved, {})
    assert read_linker(tmp_path / "b.weights").digest != found.digest
    assert read_linker(tmp_path / "a.weights") is found  # once a process


def test_foreign_or_unfit_files_are_refused(linker: Linker, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        read_linker(tmp_path / "none.weights")
    write_weight_file(tmp_path / "picker.weights", "bundled", {}, {}, {})
    with pytest.raises(WeightsError, match="network 'bundled'; expected is 'phaselink'"):
        read_linker(tmp_path / "picker.weights")
    write_weight_file(tmp_path / "empty.weights", "phaselink", {"n_neurons": 8}, {}, {})
    with pytest.raises(WeightsError, match="do not fit"):
        read_linker(tmp_path / "empty.weights")


def test_other_stations_are_refused_by_name(linker: Linker) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        linker.check(SITES, CRUST)
        linker.check(SITES.iloc[:1], CRUST)
        linker.check(SITES.assign(latitude=SITES["latitude"] + 0.01), CRUST)  # another vault, 1 km away
    with pytest.raises(
        WeightsError, match=r"for 3 stations; XX\.D were not there .*seisflow train phaselink"
    ):
        linker.check(SITES.assign(station=["A", "B", "D"]), CRUST)
    with pytest.raises(WeightsError, match=r"XX\.C stood over 2 km away"):
        linker.check(SITES.assign(latitude=[44.0, 45.0, 46.05]), CRUST)


def test_another_velocity_model_is_warned_of(linker: Linker) -> None:
    with pytest.warns(UserWarning, match="another velocity model"):
        linker.check(SITES, VelocityModel(depth_km=(0.0,), vp_km_s=(5.0,), vs_km_s=(2.9,)))


def test_links_are_what_the_network_says_of_each_window(linker: Linker) -> None:
    picks = series_of(60)
    threshold = 0.895
    links = predict_links(linker, picks, threshold, "cpu", 1)
    for root in range(60):
        n = int((picks.time_s <= picks.time_s[root] + 120.0).sum()) - root
        own = slice(root, root + n)
        window = np.column_stack(
            [
                picks.north[own],
                picks.east[own],
                (picks.time_s[own] - picks.time_s[root]) / 120.0,
                picks.is_s[own],
                np.zeros(n),
            ]
        )
        padded = np.zeros((-(-n // 16) * 16, 1, 5), np.float32)
        padded[n:, 0, 4] = 1.0
        padded[:n, 0] = window
        probability = linker.network(torch.from_numpy(padded)).detach().numpy()[:n, 0]
        found = links.pick[links.first[root] : links.first[root + 1]]
        assert found[0] == root
        clear = np.abs(probability - threshold) > 1e-5
        said = np.isin(np.arange(root, root + n), found)
        np.testing.assert_array_equal(said[1:][clear[1:]], (probability > threshold)[1:][clear[1:]])
    assert 200 < len(links.pick) < 1600  # of 1,830


def test_the_size_of_batches_changes_no_link(linker: Linker, monkeypatch: pytest.MonkeyPatch) -> None:
    picks = series_of(300, 0.5)
    whole = predict_links(linker, picks, 0.5, "cpu", 8)
    monkeypatch.setattr(prediction, "CPU_BATCH_PICKS", 300)
    parts = predict_links(linker, picks, 0.5, "cpu", 8)
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_window_holds_no_more_picks_than_it_was_trained_with(linker: Linker) -> None:
    few = dataclasses.replace(linker, n_picks=20)
    links = predict_links(few, series_of(300, 0.2), 1e-6, "cpu", 1)
    counts = np.diff(links.first)
    assert counts.max() == 20
    assert (links.pick - np.repeat(np.arange(300), counts) < 20).all()


def test_windows_of_few_picks_have_no_links(linker: Linker) -> None:
    links = predict_links(linker, series_of(50, 30.0), 1e-6, "cpu", 8)
    window = np.searchsorted(series_of(50, 30.0).time_s, series_of(50, 30.0).time_s + 120.0) - np.arange(50)
    np.testing.assert_array_equal(np.diff(links.first) > 0, window >= 8)
