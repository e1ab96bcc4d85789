"""What the tests of downloads share: a data centre on loopback over a small archive with known samples."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import obspy
import pytest

from seisflow.archive.fdsn import Fdsn
from seisflow.keys import Period
from tests.archive.contract import RATE_HZ, day_trace
from tests.archive.test_methods import sds_path
from tests.archive.test_stations import channel
from tests.services.fdsn import DataCentre, data_centre, span_of

STATIONS = ("AAA", "BBB", "CCC")
PERIOD = Period("2014-08-24", "2014-08-26")
HOUR = 3600


def metadata() -> obspy.Inventory:
    """Return three stations; CCC was there on the first day only."""
    from obspy.core.inventory import Inventory, Network, Station

    ends = {"AAA": None, "BBB": None, "CCC": "2014-08-25"}
    stations = [
        Station(
            code,
            64.0,
            -17.0,
            100.0,
            channels=[channel(f"HH{c}", "2010-01-01", ends[code]) for c in "ZN"],
            start_date=obspy.UTCDateTime("2010-01-01"),
        )
        for code in STATIONS
    ]
    return Inventory([Network("Z7", stations)], source="test")


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write an SDS tree of continuous records: they run over midnight and lie where they begin."""
    root = tmp_path_factory.mktemp("truth")
    for station in STATIONS:
        for component in "ZN":
            name = f"Z7.{station}..HH{component}"
            start = obspy.UTCDateTime("2014-08-23T23:00:00")
            n = round((2 if station != "CCC" else 1) * 24 * HOUR * RATE_HZ + 3 * HOUR * RATE_HZ)
            whole = day_trace(name, "2014-08-23", offset_s=23 * HOUR, n=n)
            assert whole.stats.starttime == start
            write_by_record(root, whole)
    return root


def write_by_record(root: Path, trace: obspy.Trace) -> None:
    """File each record under the day it begins on."""
    body = io.BytesIO()
    trace.write(body, format="MSEED", reclen=4096)
    content = body.getvalue()
    for at in range(0, len(content), 4096):
        record = content[at : at + 4096]
        path = root / sds_path(trace.id, str(obspy.UTCDateTime(span_of(record)[0]).date))
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(record)


@pytest.fixture
def centre(truth: Path) -> Iterator[DataCentre]:
    with data_centre(truth, metadata()) as running:
        yield running


def fdsn(centre: DataCentre, root: Path, **changes: object) -> Fdsn:
    """Return the archive with short pauses."""
    settings: dict[str, object] = {
        "root": str(root),
        "provider": centre.url,
        "channels": ["HH?"],
        "requests_per_second": 1000.0,
        "first_pause_s": 0.01,
        "timeout_s": 5.0,
    }
    return Fdsn.parse(settings | changes)


def files_of(root: Path) -> dict[str, bytes]:
    """Return the waveform files of an SDS tree; nothing else may lie beside them."""
    found = {
        str(path.relative_to(root)): path.read_bytes() for path in root.glob("[0-9]*/**/*") if path.is_file()
    }
    assert not [name for name in found if name.rsplit("/", 1)[-1].startswith(".")]
    return found


def of_period(truth: Path) -> dict[str, bytes]:
    """Return the files that a download of the period must give: CCC on the first day only."""
    days = {"2014.236": STATIONS, "2014.237": ("AAA", "BBB")}
    return {
        name: content
        for name, content in files_of(truth).items()
        for day, stations in days.items()
        if name.endswith(day) and name.split("/")[2] in stations
    }


def without_day_before(root: Path) -> dict[str, bytes]:
    """Return what was downloaded but for the records that run into the first day."""
    return {name: content for name, content in files_of(root).items() if not name.endswith("2014.235")}
