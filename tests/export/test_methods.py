"""Every export format keeps the contract."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from seisflow.export.csv import Csv
from seisflow.export.hypodd import Hypodd
from seisflow.export.hypoinverse import Hypoinverse
from seisflow.export.nonlinloc import Nonlinloc
from seisflow.export.quakeml import Quakeml
from seisflow.tables import ASSIGNMENTS, EVENTS, PICKS, read_table

from .contract import ExporterContract

Found = list[tuple[pd.Timestamp, list[tuple[str, pd.Timestamp]]]]


def _from_obspy(path: Path, format_name: str) -> Found:
    from obspy import read_events

    found = []
    for event in read_events(str(path), format=format_name):
        origin = event.preferred_origin()
        picks = [(pick.phase_hint, pd.Timestamp(pick.time.ns, tz="UTC")) for pick in event.picks]
        found.append((pd.Timestamp(origin.time.ns, tz="UTC"), picks))
    return found


class TestCsv(ExporterContract):
    exporter = Csv()
    times_within_s = 0.0

    def read_back(self, folder: Path) -> Found:
        events = read_table(folder / "events.csv", EVENTS)
        assignments = read_table(folder / "assignments.csv", ASSIGNMENTS)
        rows = assignments.merge(read_table(folder / "picks.csv", PICKS), on="pick_id")
        return [
            (
                event.time,
                [(row.phase, row.time) for row in rows[rows["event_id"] == event.event_id].itertuples()],
            )
            for event in events.itertuples()
        ]


class TestQuakeml(ExporterContract):
    exporter = Quakeml()
    times_within_s = 1e-6

    def read_back(self, folder: Path) -> Found:
        return _from_obspy(folder / "catalog.xml", "QUAKEML")


class TestHypodd(ExporterContract):
    exporter = Hypodd()
    times_within_s = 2e-6

    def read_back(self, folder: Path) -> Found:
        if not (folder / "catalog.pha").read_text():
            return []
        return _from_obspy(folder / "catalog.pha", "HYPODDPHA")


class TestNonlinloc(ExporterContract):
    exporter = Nonlinloc()
    times_within_s = 1e-6

    def read_back(self, folder: Path) -> Found:
        found: Found = []
        for block in (folder / "catalog.obs").read_text().split("\n\n"):
            if not block.strip():
                continue
            picks = []
            for line in block.strip().splitlines()[1:]:
                words = line.split()
                minute = pd.to_datetime(words[6] + words[7], format="%Y%m%d%H%M", utc=True)
                picks.append((words[4], minute + pd.Timedelta(microseconds=round(float(words[8]) * 1e6))))
            found.append((pd.NaT, picks))
        return found


class TestHypoinverse(ExporterContract):
    exporter = Hypoinverse()
    times_within_s = 0.0051

    def read_back(self, folder: Path) -> Found:
        found: Found = []
        for line in (folder / "catalog.arc").read_text().splitlines():
            if line[:4].isdigit():
                origin = _minute(line[:12]) + pd.Timedelta(seconds=int(line[12:16]) / 100)
                found.append((origin, []))
            elif line[:4].strip():
                minute = _minute(line[17:29])
                for phase, remark, seconds in (
                    ("P", line[13:15], line[29:34]),
                    ("S", line[46:48], line[41:46]),
                ):
                    if remark.strip():
                        found[-1][1].append((phase, minute + pd.Timedelta(seconds=_f5_2(seconds))))
        return found


def _minute(text: str) -> pd.Timestamp:
    return pd.to_datetime(text, format="%Y%m%d%H%M", utc=True)


def _f5_2(text: str) -> float:
    """Read a number as Fortran's F5.2 does."""
    return float(text) if "." in text else int(text) / 100
