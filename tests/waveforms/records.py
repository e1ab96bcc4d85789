"""Traces and stations for the tests of this room."""

from __future__ import annotations

from typing import Any

import numpy as np
import obspy
import xarray as xr
from numpy.typing import NDArray

from seisflow.keys import Window
from seisflow.traces import Traces
from seisflow.waveforms import Preparation, prepare_waveforms

STATION = {"network": "Z7", "station": "AAA", "latitude": 64.0, "longitude": -17.0, "elevation_m": 900.0}
DAY = Window.of_day("2014-08-24")
MINUTE = Window("2014-08-24T12:00:00", "2014-08-24T12:01:00")
RAW = Preparation(sampling_rate_hz=None)


def trace(
    data: NDArray[Any],
    start: str | obspy.UTCDateTime,
    rate_hz: float,
    channel: str = "HHZ",
    location: str = "",
) -> obspy.Trace:
    """Return a trace of station Z7.AAA."""
    header = {"network": "Z7", "station": "AAA", "location": location, "channel": channel}
    return obspy.Trace(data, {**header, "sampling_rate": rate_hz, "starttime": obspy.UTCDateTime(start)})


def seconds_since(times: NDArray[np.datetime64], start: np.datetime64) -> NDArray[np.float64]:
    """Return times in seconds after `start`."""
    since: NDArray[np.float64] = (times - start).astype("int64") * 1e-9
    return since


def prepared(
    *traces: obspy.Trace, window: Window = MINUTE, preparation: Preparation = RAW, **more: Any
) -> xr.Dataset:
    """Prepare traces of Z7.AAA."""
    return prepare_waveforms(
        Traces.of_stream(obspy.Stream(list(traces))), preparation, window, STATION, **more
    )
