"""Associate a day of a dense aftershock sequence, whole and in parts: 110,359 PhaseNet picks in 23 hours.

Usage: python benchmarks/real_amatrice.py [--json] [--methods NAME ...] [--hours H] [--parts N]

The picks, stations and velocity model of central Italy, 2016-10-14, below the folder that SEISFLOW_SHARED
names. Each method runs twice, in two processes at a time: over all picks at once, and in parts, each with
its margins. Both must give the same events with the same picks. No catalogue says which events are right;
the table has their number, the picks in them, time and memory.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd

from seisflow.association import Associator, associate_picks
from seisflow.association.stitching import stitching_margin_s
from seisflow.earth import VelocityModel
from seisflow.keys import Window
from seisflow.method import build
from seisflow.tables import PICKS, STATIONS, pick_ids, validate

SHARED = Path(os.environ.get("SEISFLOW_SHARED", Path(__file__).resolve().parents[2] / "shared"))
FOLDER = SHARED / "data" / "amatrice_2016"
START = pd.Timestamp("2016-10-14T00:50", tz="UTC")
LAYERS = {
    "depth_km": (0.0, 1.0, 5.0, 21.0, 31.0),
    "vp_km_s": (5.3, 5.65, 6.2, 6.21, 7.5),
    "vs_km_s": (2.75, 2.8, 3.4, 3.5, 4.0),
}
"""The upper layers of ``velocity/italy.mod``."""
METHODS = ("pyocto", "gamma")
HOURS = 23.2
MEGABYTE = 1024.0


def read_day(hours: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return PICKS and STATIONS of the first hours of the day."""
    frame = pd.read_csv(FOLDER / "picks" / "phasenet_picks_20161014_from0050.csv.gz")
    times = pd.to_datetime(frame["time"], format="ISO8601", utc=True)
    rest = {"location": "", "band": "HH", "polarity": "", "method": "phasenet"}
    picks = frame[["network", "station", "phase", "probability"]].assign(time=times, **rest)
    picks = picks[times < START + pd.Timedelta(hours=hours)]
    picks = picks.assign(pick_id=pick_ids(picks)).drop_duplicates("pick_id")
    names = ["longitude", "latitude", "network", "station", "channel", "elevation_km"]
    sites = pd.read_csv(FOLDER / "station.dat", sep=r"\s+", names=names)
    sites = sites.drop_duplicates(["network", "station"])
    sites = sites.assign(location="", elevation_m=1e3 * sites["elevation_km"], start=pd.NaT, end=pd.NaT)
    return validate(picks, PICKS), validate(sites, STATIONS)


def associated(method: str, hours: float, n_parts: int) -> dict[str, Any]:
    """Associate the day in so many parts; return the events as sets of picks, time and memory."""
    picks, stations = read_day(hours)
    associator = build("association", {"method": method})
    assert isinstance(associator, Associator)
    velocity = VelocityModel(**LAYERS)
    margin = pd.Timedelta(seconds=stitching_margin_s(associator))
    first, last = picks["time"].min().floor("h"), picks["time"].max().ceil("h")
    cuts = [first + (last - first) * share for share in np.linspace(0, 1, n_parts + 1)]
    began, events = perf_counter(), []
    for begin, end in pairwise(cuts):
        seen = picks[picks["time"].between(begin - margin, end + margin)]
        window = Window(begin.tz_localize(None), end.tz_localize(None)) if n_parts > 1 else None
        catalog = associate_picks(seen, stations, associator, velocity, window)
        events += [frozenset(own) for _, own in catalog.assignments.groupby("event_id")["pick_id"]]
    return {
        "events": set(events),
        "n_picks": len(picks),
        "seconds": perf_counter() - began,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE,
    }


def compare(method: str, hours: float, n_parts: int) -> dict[str, Any]:
    """Return the figures of a method, and whether whole and in parts it gives the same."""
    with ProcessPoolExecutor(2, get_context("spawn"), max_tasks_per_child=1) as pool:
        at_once, in_parts = pool.map(associated, [method] * 2, [hours] * 2, [1, n_parts])
    return {
        "picks": at_once["n_picks"],
        "events": len(at_once["events"]),
        "picks_in_events": sum(map(len, at_once["events"])),
        "seconds": round(at_once["seconds"], 1),
        "seconds_in_parts": round(in_parts["seconds"], 1),
        "peak_rss_mb": round(at_once["peak_rss_mb"]),
        "peak_rss_mb_in_parts": round(in_parts["peak_rss_mb"]),
        "only_at_once": len(at_once["events"] - in_parts["events"]),
        "only_in_parts": len(in_parts["events"] - at_once["events"]),
    }


def main() -> int:
    """Run the methods one by one; 1 if parts differ from the whole."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="a last line of JSON")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--hours", type=float, default=HOURS, help="how much of the day")
    parser.add_argument("--parts", type=int, default=4)
    options = parser.parse_args()
    if not FOLDER.is_dir():
        print(f"skipped: there is no folder {FOLDER} (set SEISFLOW_SHARED)", file=sys.stderr)
        return 0
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    figures = {}
    for method in options.methods:
        figures[method] = compare(method, options.hours, options.parts)
        print(method, *(f"{key} {value:,}" for key, value in figures[method].items()), sep="  ", flush=True)
    if options.json:
        print(json.dumps(figures))
    return int(any(row["only_at_once"] or row["only_in_parts"] for row in figures.values()))


if __name__ == "__main__":
    sys.exit(main())
