"""An earthquake at midnight: its picks lie in two station-days, its event in one network-day."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seisflow.archive import read_traces
from seisflow.earth import Projection, TravelTimes
from seisflow.keys import Window
from seisflow.picking import pick_phases
from seisflow.run import run_workflow
from seisflow.run.results import read_catalog
from seisflow.waveforms import prepare_waveforms
from tests.run.conftest import (
    DAY_S,
    RATE_HZ,
    SOURCE,
    STATIONS,
    VELOCITY,
    SmallArchive,
    burst_samples,
    write_channel,
    write_tables,
)

MIDNIGHT = np.datetime64("2020-01-02", "ns")


def make_midnight_archive(folder: Path, origin_s: float) -> SmallArchive:
    """Write two minutes of data around midnight, one file a day, with an event `origin_s` after it."""
    rng = np.random.default_rng(7)
    projection, times = Projection(64.75, -16.85), TravelTimes(VELOCITY)
    start = MIDNIGHT - np.timedelta64(60, "s")
    half = int(60.0 * RATE_HZ)
    for code, (latitude, longitude) in STATIONS.items():
        east, north = projection.to_km([latitude, SOURCE[0]], [longitude, SOURCE[1]])
        distance = float(np.hypot(east[1] - east[0], north[1] - north[0]))
        onsets = [60.0 + origin_s + float(times.first_arrival(p, distance, SOURCE[2], 0.0)) for p in "PS"]
        for component in "ZNE":
            samples = burst_samples(onsets, component, rng)
            write_channel(folder / "sds", code, component, start, samples[:half])
            write_channel(folder / "sds", code, component, MIDNIGHT, samples[half:])
    write_tables(folder)
    return SmallArchive(folder, 2)


@pytest.mark.parametrize("origin_s", [-4.0, -0.01, 0.0])
def test_nothing_is_lost_or_doubled_at_midnight(tmp_path: Path, origin_s: float) -> None:
    archive = make_midnight_archive(tmp_path / "archive", origin_s)
    workflow = archive.load(tmp_path / "run")
    catalog = read_catalog(run_workflow(workflow).tables)

    uncut = []
    whole = Window(MIDNIGHT - np.timedelta64(60, "s"), MIDNIGHT + np.timedelta64(int(DAY_S) - 60, "s"))
    for code in STATIONS:
        uris = [str(path) for path in sorted((archive.folder / "sds").rglob(f"XX.{code}.*"))]
        wide = whole.widened(workflow.picking.margin_s)
        site = {"network": "XX", "station": code, "latitude": 0.0, "longitude": 0.0, "elevation_m": 0.0}
        traces = read_traces(workflow.archive, uris, wide)
        uncut.append(
            pick_phases(prepare_waveforms(traces, workflow.preparation, wide, site), workflow.picking)
        )
    expected = pd.concat(uncut)
    assert sorted(catalog.picks["pick_id"]) == sorted(expected["pick_id"])

    assert len(catalog.events) == 1
    origin = catalog.events["time"][0].tz_localize(None).to_datetime64()
    assert abs((origin - MIDNIGHT) / np.timedelta64(1, "s") - origin_s) < 0.3
    assigned = catalog.picks[catalog.picks["pick_id"].isin(catalog.assignments["pick_id"])]
    assert set(assigned["station"]) == set(STATIONS), "picks of both days belong to the one event"
    if origin_s < -1.0:
        assert assigned["time"].dt.day.nunique() == 2
