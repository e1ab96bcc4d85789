"""A small archive that is quick to compute: four stations, several short days, one sharp event a day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from seisflow.earth import Projection, TravelTimes, VelocityModel
from seisflow.run import run_workflow
from seisflow.workflow import Workflow, load_workflow
from tests.picking.conftest import random_weights
from tests.run.results import results
from tests.services.storms import Storm

__all__ = ["random_weights"]

STATIONS = {"AAA": (64.60, -17.00), "BBB": (64.90, -17.20), "CCC": (64.85, -16.60), "DDD": (64.70, -16.50)}
SOURCE = (64.76, -16.85, 6.0)
VELOCITY = VelocityModel(depth_km=(0.0, 4.0, 20.0), vp_km_s=(4.5, 6.0, 7.5), vs_km_s=(2.6, 3.45, 4.3))
DAY_S = 120.0
RATE_HZ = 25.0


@dataclass(frozen=True)
class SmallArchive:
    """Where the small archive lies."""

    folder: Path
    days: int

    def workflow(self, output: Path, **changes: object) -> Path:
        """Write a workflow file for the archive and return its path."""
        content: dict[str, object] = {
            "name": "small",
            "period": {"start": "2020-01-01", "end": str(np.datetime64("2020-01-01") + self.days)},
            "stations": {"inventory": str(self.folder / "stations.csv")},
            "archive": {"method": "sds", "root": str(self.folder / "sds")},
            "velocity": {"path": str(self.folder / "velocity.csv")},
            "preparation": {"sampling_rate_hz": RATE_HZ},
            "picking": {"method": "stalta"},
            "association": {"method": "pyocto"},
            "location": {"method": "nonlinear"},
            "output": str(output),
            "deployment": {"method": "serial"},
        }
        path = output.with_name(f"{output.name}.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content | changes))
        return path

    def load(self, output: Path, **changes: object) -> Workflow:
        """Return the workflow for the archive."""
        return load_workflow(self.workflow(output, **changes))

    def undisturbed(self) -> dict[str, bytes]:
        """Return the tables that one process makes of it where nothing goes wrong; computed once."""
        output = self.folder / "undisturbed"
        if not output.exists():
            assert run_workflow(self.load(output)).exit_status == 0
        return {path.name: path.read_bytes() for path in sorted((output / "tables").glob("*.parquet"))}


def make_small_archive(folder: Path, days: int = 2, seed: int = 0) -> SmallArchive:
    """Write an SDS tree, stations and velocity: each day holds `DAY_S` seconds with one event."""
    rng = np.random.default_rng(seed)
    projection = Projection(64.75, -16.85)
    times = TravelTimes(VELOCITY)
    for day in range(days):
        start = np.datetime64("2020-01-01", "ns") + np.timedelta64(day, "D") + np.timedelta64(6, "h")
        for code, (latitude, longitude) in STATIONS.items():
            east, north = projection.to_km([latitude, SOURCE[0]], [longitude, SOURCE[1]])
            distance = float(np.hypot(east[1] - east[0], north[1] - north[0]))
            onsets = [60.0 + float(times.first_arrival(p, distance, SOURCE[2], 0.0)) for p in ("P", "S")]
            for component in "ZNE":
                write_channel(folder / "sds", code, component, start, burst_samples(onsets, component, rng))
    write_tables(folder)
    return SmallArchive(folder, days)


def write_tables(folder: Path) -> None:
    """Write the stations and the velocity model of the small archive."""
    rows = [f"XX,{code},,{lat},{lon},0.0" for code, (lat, lon) in STATIONS.items()]
    header = "network,station,location,latitude,longitude,elevation_m"
    (folder / "stations.csv").write_text("\n".join([header, *rows]) + "\n")
    layers = zip(VELOCITY.depth_km, VELOCITY.vp_km_s, VELOCITY.vs_km_s, strict=True)
    (folder / "velocity.csv").write_text("depth_km,vp,vs\n" + "".join(f"{z},{p},{s}\n" for z, p, s in layers))


def burst_samples(onsets: list[float], component: str, rng: np.random.Generator) -> np.ndarray:
    """Return `DAY_S` seconds of noise with bursts at P and S; S is strong on the horizontals."""
    n = int(DAY_S * RATE_HZ)
    time = np.arange(n) / RATE_HZ
    samples = rng.normal(0.0, 20.0, n)
    gains = (2000.0, 600.0) if component == "Z" else (500.0, 4000.0)
    for onset, gain in zip(onsets, gains, strict=True):
        late = np.clip(time - onset, 0.0, None)
        samples += gain * (time >= onset) * np.exp(-late / 1.5) * np.sin(2 * np.pi * 5.0 * late + 0.3)
    return samples.astype(np.int32)


def write_channel(root: Path, code: str, component: str, start: np.datetime64, samples: np.ndarray) -> None:
    """Write one miniSEED file into an SDS tree."""
    import obspy

    header = {
        "network": "XX",
        "station": code,
        "location": "",
        "channel": f"HH{component}",
        "sampling_rate": RATE_HZ,
        "starttime": obspy.UTCDateTime(str(start)),
    }
    year, yearday = header["starttime"].year, header["starttime"].julday
    folder = root / str(year) / "XX" / code / f"HH{component}.D"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"XX.{code}..HH{component}.D.{year}.{yearday:03d}"
    obspy.Trace(samples, header).write(str(folder / name), format="MSEED", reclen=512)


@pytest.fixture(scope="session")
def small_archive(tmp_path_factory: pytest.TempPathFactory) -> SmallArchive:
    """Return a small archive of two days."""
    return make_small_archive(tmp_path_factory.mktemp("small"))


@pytest.fixture
def make_archive(tmp_path: Path) -> Callable[[int], SmallArchive]:
    """Return a function that makes a small archive of some days for one test to damage."""
    return lambda days: make_small_archive(tmp_path / "archive", days)


@pytest.fixture(scope="module")
def quiet(small_archive: SmallArchive, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """Return the results of a run on a disk that nothing disturbed."""
    found = results(run_workflow(small_archive.load(tmp_path_factory.mktemp("quiet") / "disk")))
    assert len(found["events"]) == 2
    return found


@pytest.fixture
def in_bucket(storm: Storm, small_archive: SmallArchive) -> dict[str, Any]:
    """Put the small archive and its stations into a bucket; return their blocks of a workflow."""
    url = storm.server.bucket()
    for path in small_archive.folder.rglob("*"):
        if path.is_file():
            storm.server.put(f"{url}/{path.relative_to(small_archive.folder)}", path.read_bytes())
    storm.forget()
    options = {**storm.server.storage_options, "config_kwargs": {"read_timeout": 1.0}}
    return {
        "archive": {"method": "sds", "root": f"{url}/sds", "storage_options": options},
        "stations": {"inventory": f"{url}/stations.csv", "storage_options": options},
    }
