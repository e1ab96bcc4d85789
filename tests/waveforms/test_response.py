"""Removing the response gives what obspy gives, and metres per second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import obspy
import pytest
from numpy.typing import NDArray

from seisflow.archive.decode import read_files
from seisflow.archive.stations import read_inventory
from seisflow.errors import MetadataError
from seisflow.keys import Window
from seisflow.traces import Traces
from seisflow.waveforms import Preparation, prepare_waveforms
from tests.waveforms.records import STATION, prepared, trace

HOUR = Window("2022-01-02T06:00:00", "2022-01-02T07:00:00")
SITE = {**STATION, "network": "CI", "station": "HEC"}


@pytest.fixture(scope="module")
def hec(shared: Path) -> tuple[obspy.Stream, obspy.Inventory]:
    folder = shared / "data" / "socal_days_2022"
    wider = HOUR.widened(300.0)
    traces, _ = read_files([str(folder / "CIHEC__BHN___2022002.ms")], wider)
    return Traces(traces, []).to_stream(), read_inventory(folder)


def velocity(hec: tuple[obspy.Stream, obspy.Inventory], window: Window = HOUR) -> NDArray[np.float32]:
    preparation = Preparation(sampling_rate_hz=None, remove_response="velocity")
    dataset = prepare_waveforms(Traces.of_stream(hec[0]), preparation, window, SITE, hec[1])
    assert dataset.attrs["units"] == "m/s"
    values: NDArray[np.float32] = dataset.waveform.values[0]
    return values


def test_velocity_is_obspys(hec: tuple[obspy.Stream, obspy.Inventory]) -> None:
    reference = hec[0][0].copy()
    reference.remove_response(
        hec[1], output="VEL", pre_filt=(0.05, 0.1, 16.0, 19.0), water_level=None, taper=False, zero_mean=True
    )
    ours = velocity(hec)
    reference.trim(obspy.UTCDateTime(str(HOUR.start)), obspy.UTCDateTime(str(HOUR.end)), nearest_sample=False)
    theirs = reference.data[: len(ours)]
    assert np.corrcoef(ours, theirs)[0, 1] > 0.9999
    assert np.abs(ours - theirs).max() < 5e-3 * np.abs(theirs).max()


def test_velocity_does_not_depend_on_the_cut(hec: tuple[obspy.Stream, obspy.Inventory]) -> None:
    late = Window("2022-01-02T06:30:00", "2022-01-02T07:00:00")
    whole, half = velocity(hec), velocity(hec, late)
    assert np.abs(whole[-len(half) :] - half).max() < 1e-3 * np.abs(half).max()


def test_sensitivity_divides(hec: tuple[obspy.Stream, obspy.Inventory]) -> None:
    counts = prepare_waveforms(Traces.of_stream(hec[0]), Preparation(sampling_rate_hz=None), HOUR, SITE)
    motion = prepare_waveforms(
        Traces.of_stream(hec[0]),
        Preparation(sampling_rate_hz=None, remove_response="sensitivity"),
        HOUR,
        SITE,
        hec[1],
    )
    sensitivity = hec[1].select(station="HEC")[0][0][0].response.instrument_sensitivity.value
    np.testing.assert_allclose(motion.waveform * sensitivity, counts.waveform, rtol=1e-5)
    assert motion.attrs["units"] == "m/s"


def test_gaps_stay_gaps(hec: tuple[obspy.Stream, obspy.Inventory]) -> None:
    cut = hec[0].copy()
    cut.cutout(obspy.UTCDateTime("2022-01-02T06:30:00"), obspy.UTCDateTime("2022-01-02T06:30:10"))
    ours, whole = velocity((cut, hec[1])), velocity(hec)
    gap = np.isnan(ours)
    assert 398 <= gap.sum() <= 402
    far = np.ones(len(ours), dtype=bool)
    far[np.flatnonzero(gap)[0] - 800 : np.flatnonzero(gap)[-1] + 800] = False
    assert np.abs(ours[far] - whole[far]).max() < 0.05 * np.abs(whole[far]).max()


def test_a_missing_response_is_an_error(hec: tuple[obspy.Stream, obspy.Inventory]) -> None:
    ones = trace(np.ones(6000), "2014-08-24T12:00:00", 100.0)
    preparation = Preparation(remove_response="sensitivity")
    with pytest.raises(MetadataError, match="no inventory is given"):
        prepared(ones, preparation=preparation)
    with pytest.raises(MetadataError, match=r"Z7\.AAA\.\.HHZ has no response at 2014-08-24T12:00"):
        prepared(ones, preparation=preparation, inventory=hec[1])
