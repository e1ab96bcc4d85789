"""The pickers on labelled real records: analysts' picks of Northern California, a swarm in Iceland."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from seisflow.picking import Picker, pick_phases
from seisflow.picking.bundled import Bundled
from seisflow.picking.phasenet import PhaseNet
from seisflow.picking.stalta import StaLta
from tests.picking.records import dataset, residuals, seconds_of

MIDNIGHT = np.datetime64("2020-01-01", "ns")


@pytest.fixture(params=["phasenet", "bundled", "stalta"])
def picker(request: pytest.FixtureRequest, shared: Path) -> Picker:
    """Return a picker with its defaults."""
    if request.param == "stalta":
        return StaLta()
    if request.param == "bundled":
        return Bundled(threads=1)
    pytest.importorskip("torch")
    return PhaseNet(weights=str(shared / "weights" / "original.pt.v1"), threads=1)


@pytest.fixture(scope="session")
def labelled(shared: Path) -> list[tuple[xr.Dataset, dict[str, float]]]:
    """Return 100 records of 90 s and the analyst's P and S in each, s."""
    folder = shared / "data" / "phasenet_ncedc"
    records = []
    with (folder / "waveform.csv").open() as file:
        for row in csv.DictReader(file):
            data = np.load(folder / "waveform_train" / row["fname"])["data"].T
            truth = {"P": int(row["itp"]) / 100.0, "S": int(row["its"]) / 100.0}
            records.append((dataset(data, "ENZ", start=MIDNIGHT), truth))
    return records


@pytest.fixture(scope="session")
def swarm(shared: Path) -> list[tuple[xr.Dataset, pd.DataFrame]]:
    """Return the stations of the Iceland swarm and the reference picks at each."""
    import obspy

    folder = shared / "data" / "iceland_dike_2014"
    stream = obspy.Stream()
    for file in sorted((folder / "waveforms").glob("*.m")):
        stream += obspy.read(str(file))
    for trace in stream:
        trace.data = trace.data.astype(np.float32)
    stream.merge(method=1, fill_value=np.nan)
    reference = pd.concat(pd.read_csv(file) for file in sorted((folder / "reference").glob("*.picks")))
    reference = reference[reference["PickTime"].astype(str) != "-1"]
    reference["time"] = pd.to_datetime(reference["PickTime"], utc=True)
    stations = []
    for station in sorted({trace.stats.station for trace in stream}):
        traces = stream.select(station=station).sort(["channel"])
        start = min(trace.stats.starttime for trace in traces)
        traces.trim(start, max(trace.stats.endtime for trace in traces), pad=True, fill_value=np.nan)
        components = "".join(trace.stats.channel[-1] for trace in traces)
        waveforms = dataset(
            np.array([trace.data for trace in traces]), components, start=np.datetime64(start.ns, "ns")
        )
        stations.append((waveforms, reference[reference["Station"] == station]))
    return stations


def f1_score(
    picker: Picker, labelled: list[tuple[xr.Dataset, dict[str, float]]], phase: str, tolerance_s: float
) -> float:
    """Return the F1 score; picks of events that the analyst left out count as false."""
    found = true = 0
    for waveforms, truth in labelled:
        times_s = seconds_of(pick_phases(waveforms, picker), phase, MIDNIGHT)
        found += len(times_s)
        true += bool((np.abs(times_s - truth[phase]) <= tolerance_s).any())
    return 2 * true / (found + len(labelled))


LEAST_F1 = {
    ("phasenet", "P"): (0.84, 0.86),
    ("phasenet", "S"): (0.75, 0.83),
    ("bundled", "P"): (0.80, 0.86),
    ("bundled", "S"): (0.65, 0.75),
    ("stalta", "P"): (0.74, 0.80),
    ("stalta", "S"): (0.48, 0.65),  # a quarter of the records has no horizontals, hence no S
}


@pytest.mark.parametrize("phase", ["P", "S"])
def test_analysts_picks_are_found(
    picker: Picker, labelled: list[tuple[xr.Dataset, dict[str, float]]], phase: str
) -> None:
    close, near = (f1_score(picker, labelled, phase, tolerance_s) for tolerance_s in (0.1, 0.5))
    least_close, least_near = LEAST_F1[picker.name, phase]
    assert close >= least_close
    assert near >= least_near


def test_p_picks_are_not_late(picker: Picker, labelled: list[tuple[xr.Dataset, dict[str, float]]]) -> None:
    late = []
    for waveforms, truth in labelled:
        times_s = seconds_of(pick_phases(waveforms, picker), "P", MIDNIGHT)
        late.extend(residuals(times_s, [truth["P"]]))
    late_s = np.array(late)
    assert abs(np.median(late_s[np.abs(late_s) < 0.5])) <= 0.015


@pytest.mark.parametrize("delay_s", [5.0, 12.0])
def test_a_small_earthquake_is_not_hidden_by_the_large_one_that_follows(
    shared: Path, labelled: list[tuple[xr.Dataset, dict[str, float]]], delay_s: float
) -> None:
    """The record and a thousand times itself, some seconds later."""
    n_late = round(delay_s * 100)
    found = {None: 0, 3.0: 0}
    for rise_limit in found:
        picker = PhaseNet(
            weights=str(shared / "weights" / "original.pt.v1"), threads=1, rise_limit=rise_limit
        )
        for waveforms, truth in labelled[::5]:
            data = waveforms["waveform"].to_numpy()
            both = data - data.mean(axis=1, keepdims=True)
            both[:, 2900 + n_late :] += 1000 * both[:, 2900:-n_late]
            doubled = waveforms.assign(waveform=(("component", "time"), both))
            times_s = seconds_of(pick_phases(doubled, picker), "P", MIDNIGHT)
            found[rise_limit] += bool((np.abs(times_s - truth["P"]) <= 0.5).any())
    assert found[None] <= 4
    assert found[3.0] >= 14


LEAST_FOUND = {
    ("phasenet", "P"): 150,
    ("phasenet", "S"): 205,
    ("bundled", "P"): 125,
    ("bundled", "S"): 100,
    ("stalta", "P"): 95,
    ("stalta", "S"): 140,
}
MOST_RESIDUAL_S = {"P": 0.10, "S": 0.15}


@pytest.mark.parametrize("phase", ["P", "S"])
def test_reference_picks_of_a_swarm_are_met(
    picker: Picker, swarm: list[tuple[xr.Dataset, pd.DataFrame]], phase: str
) -> None:
    both: list[float] = []
    for waveforms, reference in swarm:
        start = waveforms["time"].to_numpy()[0]
        known = reference[reference["Phase"] == phase]
        true_s = (known["time"].dt.tz_localize(None).to_numpy() - start) / np.timedelta64(1, "ns") * 1e-9
        found_s = seconds_of(pick_phases(waveforms, picker), phase, start)
        both.extend(late for late in residuals(found_s, list(true_s)) if abs(late) <= 0.5)
    assert len(both) >= LEAST_FOUND[picker.name, phase]
    assert np.median(np.abs(both)) <= MOST_RESIDUAL_S[phase]
