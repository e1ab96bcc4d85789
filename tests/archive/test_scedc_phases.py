"""Phase files of SCEDC: what analysts picked, as tables to compare with."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from seisflow.archive.scedc import Scedc
from seisflow.archive.scedc_phases import read_scedc_phases
from seisflow.errors import ArchiveError
from seisflow.keys import Period
from seisflow.synthetic.compare import compare_picks

DAY = Period("2019-07-06", "2019-07-07")
FILE = """  38457511 eq  l 2019/07/06,03:19:53.040   35.7695  -117.5993    8.00   7.10 w 1.0
\tCI    CLC HHZ -- 35.8157 -117.5975   775.0 P d. i   1.0    5.14  1.750
\tCI    CLC HHN -- 35.8157 -117.5975   775.0 S .. e   0.5    5.14  3.125
\tCI   WRC2 HHZ -- 35.9479 -117.6504   943.0 P .c i   0.8   20.37  3.900
"""


def write(root: Path, day: str, event: str, text: str) -> None:
    """Write a phase file where SCEDC has it."""
    path = root / "event_phases" / day[:4] / day / f"{event}.phase"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_events_and_picks_of_a_day(tmp_path: Path) -> None:
    write(tmp_path, "2019_187", "38457511", FILE)
    write(tmp_path, "2019_188", "1", FILE.replace("07/06", "07/07").replace("38457511", "1"))
    catalog = read_scedc_phases(Scedc(root=str(tmp_path)), DAY)
    (event,) = catalog.events.to_dict("records")
    assert event["event_id"] == "ci38457511"
    assert event["time"] == pd.Timestamp("2019-07-06T03:19:53.040Z")
    assert (event["latitude"], event["longitude"], event["depth_km"]) == (35.7695, -117.5993, 8.0)
    assert (event["magnitude"], event["magnitude_type"]) == (7.1, "Mw")
    assert (event["n_p"], event["n_s"]) == (2, 1)
    picks = catalog.picks.sort_values("time")
    assert picks[["station", "band", "phase", "polarity"]].to_numpy().tolist() == [
        ["CLC", "HH", "P", "down"],
        ["CLC", "HH", "S", ""],
        ["WRC2", "HH", "P", "up"],
    ]
    assert picks["time"].iloc[0] == pd.Timestamp("2019-07-06T03:19:54.790Z")
    assert set(catalog.assignments["pick_id"]) == set(picks["pick_id"])
    found = picks.assign(time=picks["time"] + pd.Timedelta("0.1s"))
    compared = compare_picks(found, catalog.picks, tolerance_s=0.5)
    assert compared.recall("P") == compared.recall("S") == 1.0


def test_stations_and_periods_are_chosen(tmp_path: Path) -> None:
    write(tmp_path, "2019_187", "38457511", FILE)
    archive = Scedc(root=str(tmp_path))
    assert set(read_scedc_phases(archive, DAY, ["CI.W*"]).picks["station"]) == {"WRC2"}
    assert read_scedc_phases(archive, Period("2019-07-06T04:00", "2019-07-07")).events.empty
    assert read_scedc_phases(archive, Period("2018-07-06", "2018-07-07")).picks.empty


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "line 1"), ("no event\n", "line 1"), (FILE + "CI CLC HHZ\n", "line 5 is no phase")],
)
def test_a_file_that_is_none_names_its_line(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, "2019_187", "38457511", text)
    with pytest.raises(ArchiveError, match=message):
        read_scedc_phases(Scedc(root=str(tmp_path)), DAY)
