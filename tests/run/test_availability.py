"""What a station-day had: samples of the day without its margins, and the gaps between them."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from seisflow.keys import Window
from seisflow.run.stages import _availability

DAY = Window("2020-01-02", "2020-01-03")
STEP_S = 900
N = 24 * 4


def waveforms(missing: list[slice]) -> xr.Dataset:
    """Return a day of a sample each quarter of an hour, with a margin of two of them on both sides."""
    time = DAY.start + (np.arange(-2, N + 2) * STEP_S).astype("timedelta64[s]").astype("timedelta64[ns]")
    data = np.ones((2, N + 4), np.float32)
    for each in missing:
        data[:, each] = np.nan
    coords = {"network": "XX", "station": "AAA", "location": "", "band": "HH"}
    return xr.Dataset(
        {"waveform": (("component", "time"), data)}, {"component": ["Z", "N"], "time": time, **coords}
    )


@pytest.mark.parametrize(
    ("missing", "n_gaps", "n_missing"),
    [
        ([], 0, 0),
        ([slice(0, 2), slice(N + 2, None)], 0, 0),
        ([slice(0, 3)], 1, 1),
        ([slice(10, 14), slice(20, 21), slice(N, None)], 3, 7),
        ([slice(None)], 1, N),
    ],
    ids=["whole", "margins only", "first sample", "three gaps", "nothing"],
)
def test_gaps_and_share_are_those_of_the_day(missing: list[slice], n_gaps: int, n_missing: int) -> None:
    row = _availability(waveforms(missing), DAY).iloc[0]
    assert row["n_gaps"] == n_gaps
    assert row["fraction"] == pytest.approx(1.0 - n_missing / N)
    assert row["components"] == "ZN"
    assert row["day"] == np.datetime64("2020-01-02")


def test_a_dataset_beside_the_day_has_nothing_of_it() -> None:
    row = _availability(waveforms([]), Window("2020-02-01", "2020-02-02")).iloc[0]
    assert (row["n_gaps"], row["fraction"]) == (0, 0.0)
