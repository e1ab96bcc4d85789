"""Learning from real records: a region's own picks, and data sets in SeisBench's format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from seisflow.archive.folder import Folder
from seisflow.cli import app
from seisflow.errors import TableError, WaveformError, WorkflowError
from seisflow.picking.bundled import bundled_weights
from seisflow.picking.networks.bundled import BundledNetwork
from seisflow.tables import PICKS, read_table
from seisflow.training.chance import Chance
from seisflow.training.earthquakes import make_earthquakes
from seisflow.training.noises import make_noises
from seisflow.training.own_picks import read_own_picks
from seisflow.training.recipe import Recipe
from seisflow.training.recordings import N_RECORDING, Recordings
from seisflow.training.seisbench_data import read_seisbench
from seisflow.training.session import train_picker

START = np.datetime64("2021-03-01T22:00:00", "ns")
EVERY_S = 100
HABIT_S = 0.3
"""Analysts of the made-up region pick this much late."""


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with miniSEED of one station over midnight, and picks.csv of its analysts."""
    import obspy

    n = 96
    earthquakes = make_earthquakes(n, Chance(11, "region", 0))
    noises = make_noises(n, Chance(11, "region noise", 0))
    gain = 40 / torch.maximum(earthquakes.p_peak.amax(1), 0.3 * earthquakes.s_peak.amax(1))
    data = np.zeros((3, n * EVERY_S * 100), np.float32)
    rows = []
    for i in range(n):
        first = i * EVERY_S * 100
        piece = (noises[i] + gain[i] * earthquakes.traces[i]).numpy()
        data[:, first : first + piece.shape[1]] = 100 * piece
        for phase, sample in (("P", earthquakes.p[i]), ("S", earthquakes.s[i])):
            time = START + np.timedelta64(round((first / 100 + float(sample) / 100 + HABIT_S) * 1e6), "us")
            rows.append({"network": "XX", "station": "AAA", "phase": phase, "time": f"{time}Z"})
    folder = tmp_path_factory.mktemp("region")
    for trace, letter in zip(data, "ENZ", strict=True):
        header = {"network": "XX", "station": "AAA", "channel": f"HH{letter}", "sampling_rate": 100.0}
        header["starttime"] = obspy.UTCDateTime(str(START))
        obspy.Trace(trace.astype(np.int32), header).write(str(folder / f"{letter}.mseed"), format="MSEED")
    pd.DataFrame(rows).to_csv(folder / "picks.csv", index=False)
    return folder


def test_records_hold_what_the_archive_holds_around_the_picks(region: Path) -> None:
    picks = read_table(region / "picks.csv", PICKS)
    recordings, problems = read_own_picks(picks, Folder(root=str(region)))
    assert not problems
    assert len(recordings.onsets) == len(picks)
    import obspy

    vertical = obspy.read(str(region / "Z.mseed"))[0]
    offset = round(float((recordings.times[40] - START) / np.timedelta64(10, "ms")))
    expected = vertical.data[offset : offset + N_RECORDING].astype(np.float64)
    inner = slice(1, -1)  # the window begins between two samples
    np.testing.assert_allclose(
        recordings.traces[40, 2, inner], expected[inner] - expected[inner].mean(), atol=1.0
    )
    known = START + (recordings.onsets[:, 2] * 1e7).astype("timedelta64[ns]")
    times = recordings.times[recordings.onsets[:, 0].astype(int)] - START + known
    moments = picks.sort_values("time")["time"].dt.tz_localize(None).to_numpy(dtype="datetime64[ns]")
    assert np.abs(np.sort(times) - moments).max() < np.timedelta64(10, "us")


def test_picks_without_waveforms_are_named(region: Path) -> None:
    picks = read_table(region / "picks.csv", PICKS)
    later = picks.assign(time=picks["time"] + pd.Timedelta(days=400))
    with pytest.raises(WaveformError, match="none of 192 picks has waveforms"):
        read_own_picks(later, Folder(root=str(region)))
    one = pd.concat([picks.iloc[:20], later.iloc[:1]], ignore_index=True)
    recordings, problems = read_own_picks(one, Folder(root=str(region)))
    assert len(recordings.onsets) == 20
    assert len(problems) == 1
    assert "XX.AAA 2022-04-05" in problems[0]
    with pytest.raises(TableError, match="no picks of P or S"):
        read_own_picks(picks.assign(phase="Lg"), Folder(root=str(region)))


def test_fitting_to_a_region_takes_over_its_habits(region: Path, tmp_path: Path) -> None:
    recordings, _ = read_own_picks(read_table(region / "picks.csv", PICKS), Folder(root=str(region)))
    recipe = Recipe(
        steps=120,
        batch_size=16,
        learning_rate=2e-3,
        warm_up=10,
        averaging=0.9,
        real_part=0.75,
        shard_size=48,
        n_shards=2,
        steps_per_shard=120,
        n_validation=16,
        report_every=120,
        device="cpu",
    )
    done = train_picker(recipe, tmp_path, begin_with="bundled", recordings=recordings)
    assert done.table is not None
    table = done.table.set_index(["network", "phase", "tolerance_s"])
    for phase in "PS":
        before, after = table.loc[("before", phase, 0.1)], table.loc[("after", phase, 0.1)]
        assert before["n_onsets"] == after["n_onsets"] > 20
        assert after["f1"] > before["f1"] + 0.2
    assert bundled_weights(str(done.weights)).digest != bundled_weights("bundled").digest


def test_what_is_held_out_is_later_than_all_that_is_learned() -> None:
    rng = np.random.default_rng(0)
    times = START + rng.permutation(40) * np.timedelta64(1, "h")
    onsets = np.array([(i, 1, 100.0 + i) for i in range(40)])
    traces = np.repeat(np.arange(40, dtype=np.float32), 30).reshape(40, 3, 10)
    learned, tested = Recordings(traces, onsets, times).split(0.25)
    assert len(tested) == 10
    assert learned.times.max() < tested.times.min()
    for part in (learned, tested):
        np.testing.assert_array_equal(part.onsets[:, 2] - 100, part.traces[:, 0, 0])
    with pytest.raises(TableError, match="more picks are needed"):
        Recordings(traces[:1], onsets[:1], times[:1]).split(0.25)


def test_nothing_is_learned_where_an_onset_may_have_been_passed_over() -> None:
    traces = np.zeros((3, 3, N_RECORDING), np.float32)
    onsets = np.array([(0, 1, 3000.0), (0, 2, 3400.0), (1, 1, 3000.0), (2, 2, 3000.0)])
    known = Recordings(traces, onsets, np.full(3, START)).known()
    assert known[0, 2500:3900].all()
    assert not known[0, 5000:].any()
    assert known[1, 2500:3001].all()
    assert not known[1, 3100:].any(), "an S nobody noted"
    assert not known[2, :2900].any(), "a P nobody noted"
    assert known[2, 3000:3500].all()


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Return a data set in SeisBench's format: bucketed and plain traces, 50 and 100 Hz."""
    h5py = pytest.importorskip("h5py")
    rng = np.random.default_rng(0)
    folder = tmp_path / "dataset"
    folder.mkdir()
    block = rng.standard_normal((2, 3, 6000)).astype(np.float32)
    slow = np.zeros((3, 3000), np.float32)
    slow[:, 1000:1300] = np.sin(2 * np.pi * 2.0 * np.arange(300) / 50)
    with h5py.File(folder / "waveforms.hdf5", "w") as file:
        form = file.create_group("data_format")
        form["dimension_order"], form["component_order"] = "NCW", "ZNE"
        file.create_dataset("data/bucket0", data=block)
        file.create_dataset("data/single", data=slow)
    pd.DataFrame(
        {
            "trace_name": ["bucket0$0,:3,:6000", "bucket0$1,:3,:6000", "single"],
            "trace_sampling_rate_hz": [100.0, 100.0, 50.0],
            "trace_start_time": ["2020-01-01T00:00:00Z"] * 3,
            "trace_Pg_arrival_sample": [2000.0, np.nan, 1000.0],
            "trace_Pn_arrival_sample": [1990.0, np.nan, np.nan],
            "trace_S_arrival_sample": [2500.0, np.nan, np.nan],
            "split": ["train", "train", "test"],
        }
    ).to_csv(folder / "metadata.csv", index=False)
    return folder


def test_a_seisbench_data_set_is_read(dataset: Path) -> None:
    import h5py

    found = read_seisbench(dataset)
    assert len(found) == 2, "the record without arrivals is left out"
    with h5py.File(dataset / "waveforms.hdf5") as file:
        block = file["data/bucket0"][0]
    p, s = found.onsets[found.onsets[:, 0] == 0, 2]
    assert s - p == 510
    piece = found.traces[0, :, round(p) - 100 : round(p) + 100]
    expected = block[::-1, 1890:2090]  # E, N, Z
    np.testing.assert_allclose(
        piece - piece.mean(1, keepdims=True), expected - expected.mean(1, keepdims=True), atol=1e-5
    )
    onset = found.onsets[found.onsets[:, 0] == 1, 2][0]
    power = np.abs(found.traces[1, 2])
    assert np.flatnonzero(power > 0.2)[0] == pytest.approx(onset, abs=5), "resampled from 50 Hz"
    assert len(read_seisbench(dataset, split="test")) == 1


def test_a_data_set_that_is_none_is_refused(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(WaveformError, match=r"no metadata.csv"):
        read_seisbench(tmp_path)
    with pytest.raises(WaveformError, match="in split dev"):
        read_seisbench(dataset, split="dev")
    table = pd.read_csv(dataset / "metadata.csv")
    table.assign(trace_name="bucket9$0,:3,:6000").to_csv(dataset / "metadata.csv", index=False)
    with pytest.raises(WaveformError, match="no trace bucket9"):
        read_seisbench(dataset)
    (dataset / "waveforms.hdf5").unlink()
    with pytest.raises(WaveformError, match=r"no waveforms.hdf5"):
        read_seisbench(dataset)


def test_the_command_trains_stops_and_goes_on(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "{steps: 4, batch_size: 4, warm_up: 1, widths: [8, 8, 8], n_deep: 1, shard_size: 8, n_shards: 1, "
        "n_validation: 8, report_every: 2, device: cpu}"
    )
    out = tmp_path / "out"
    call = ["train", "picker", "--out", str(out), "--recipe", str(recipe)]
    stopped = CliRunner().invoke(app, [*call, "--minutes", "0"])
    assert "go on with --resume" in stopped.output
    done = CliRunner().invoke(app, [*call, "--resume"])
    assert done.exit_code == 0, done.output
    assert BundledNetwork.of(bundled_weights(str(out / "picker.weights"))).n_deep == 1
    wrong = CliRunner().invoke(app, [*call, "--picks", "picks.csv"])
    assert isinstance(wrong.exception, WorkflowError)
    assert "--archive" in str(wrong.exception)
