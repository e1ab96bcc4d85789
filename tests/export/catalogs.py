"""A small catalogue with the awkward cases of real ones: every value is given, so files can be checked."""

from __future__ import annotations

import numpy as np
import pandas as pd

from seisflow.tables import ASSIGNMENTS, EVENTS, PICKS, STATIONS, Catalog, empty, event_id, pick_ids, validate

NAN = float("nan")


CODES = ["network", "station", "location", "band", "phase", "time", "probability", "amplitude", "polarity"]


def stations() -> pd.DataFrame:
    """Return stations on all four quarters of the globe; ABCDE has two epochs, LONE has no pick."""
    rows = [
        ("XX", "AAA", "", 64.5, -17.25, 800.0, None, None),
        ("XX", "ABCDE", "00", 64.999999999, -16.999999999, -12.0, "2000-01-01", "2014-01-01"),
        ("XX", "ABCDE", "00", 64.75, -16.5, 1200.0, "2014-01-01", None),
        ("YY", "BBB", "10", -12.345678, 130.654321, 3.4, None, None),
        ("XX", "LONE", "", 10.0, 20.0, 0.0, None, None),
    ]
    return validate(pd.DataFrame(rows, columns=STATIONS.names), STATIONS)


def catalog() -> Catalog:
    """Return three events: complete; without optional values, at a rounding edge; not located, no picks."""
    picks = _picks()
    owners = [0, 0, 0, 0, 1, 1]
    ids = [event_id([p for p, o in zip(picks["pick_id"], owners, strict=False) if o == i]) for i in range(3)]
    unknown = (NAN,) * 5
    rows = [
        (
            "2014-08-24T00:01:02.345678901",
            64.65,
            -17.1,
            7.25,
            2,
            2,
            0.05,
            120.4,
            1.5,
            2.5,
            2.34,
            "ML",
            "located",
        ),
        ("2014-08-24T23:59:59.9999996", -12.9999999, 130.9999999, -0.5, 1, 1, *unknown, "", "located"),
        ("2014-08-25T06:00:00", 64.0, -17.0, 5.0, 0, 0, *unknown, "", "fewer than 4 picks"),
    ]
    columns = [name for name in EVENTS.names if name not in ("event_id", "method")]
    events = pd.DataFrame(rows, columns=columns).assign(event_id=ids, method="grid")
    events["time"] = pd.to_datetime(events["time"], utc=True, format="ISO8601")
    values = [
        (0.01, 20.0, 1.0),
        (-0.02, NAN, 0.5),
        (0.123, NAN, 0.24),
        (-9.5, NAN, 0.0),
        (NAN,) * 3,
        (NAN,) * 3,
    ]
    assignments = [(ids[o], p, *v) for o, p, v in zip(owners, picks["pick_id"], values, strict=False)]
    return Catalog(
        validate(events, EVENTS),
        validate(pd.DataFrame(assignments, columns=ASSIGNMENTS.names), ASSIGNMENTS),
        validate(picks, PICKS),
    )


def _picks() -> pd.DataFrame:
    rows = [
        ("XX", "AAA", "", "HH", "P", "2014-08-24T00:01:05.123456789", 0.9, 12.5, "up"),
        ("XX", "AAA", "", "HH", "S", "2014-08-24T00:01:07.500001", 0.8, NAN, ""),
        ("XX", "ABCDE", "00", "EH", "P", "2014-08-24T00:01:59.998", 0.7, NAN, "down"),
        ("XX", "ABCDE", "00", "EH", "S", "2014-08-24T00:02:03.25", 0.6, NAN, ""),
        ("YY", "BBB", "10", "BH", "P", "2014-08-25T00:00:05", 0.5, NAN, ""),
        ("YY", "BBB", "10", "BH", "S", "2014-08-25T00:00:09.87654321", 0.4, NAN, ""),
        ("YY", "BBB", "10", "BH", "P", "2014-08-25T12:00:00", 0.35, NAN, ""),  # belongs to no event
    ]
    picks = pd.DataFrame(rows, columns=CODES).assign(method="phasenet")
    picks["time"] = pd.to_datetime(picks["time"], utc=True, format="ISO8601")
    return picks.assign(pick_id=pick_ids(picks))


def nothing() -> Catalog:
    """Return a catalogue without rows."""
    return Catalog(empty(EVENTS), empty(ASSIGNMENTS), empty(PICKS))


def many(n_events: int = 20) -> tuple[Catalog, pd.DataFrame]:
    """Return events that six stations recorded, P and S at each, and the stations."""
    rng = np.random.default_rng(7)
    codes = [f"S{i}" for i in range(6)]
    sites = pd.DataFrame(
        {
            "network": "ZZ",
            "station": codes,
            "location": "",
            "latitude": 40 + rng.uniform(-0.2, 0.2, 6),
            "longitude": 15 + rng.uniform(-0.2, 0.2, 6),
            "elevation_m": rng.uniform(0, 900, 6),
            "start": pd.NaT,
            "end": pd.NaT,
        }
    )
    start = pd.Timestamp("2020-02-29T12:00:00", tz="UTC")
    origins = start + pd.to_timedelta(np.sort(rng.uniform(0, 43200, n_events)), unit="s")
    events, picks, assignments = [], [], []
    for i, origin in enumerate(origins):
        delays_s = rng.uniform(2, 9, 6)
        rows = pd.DataFrame(
            {
                "network": "ZZ",
                "station": codes * 2,
                "location": "",
                "band": "HH",
                "phase": ["P"] * 6 + ["S"] * 6,
                "time": origin + pd.to_timedelta(np.r_[delays_s, 1.73 * delays_s], unit="s"),
                "probability": 0.9,
                "amplitude": 1.0,
                "polarity": "",
                "method": "phasenet",
            }
        )
        rows["pick_id"] = pick_ids(rows)
        name = event_id(list(rows["pick_id"]))
        picks.append(rows)
        assignments.append(rows[["pick_id"]].assign(event_id=name, residual_s=0.01))
        place = (40 + 0.01 * i, 15 - 0.01 * i, 5 + 0.1 * i)
        events.append((name, origin, *place, 6, 6, 0.02, 90.0, 0.3, 0.6, NAN, "", "grid", "located"))
    catalog = Catalog(
        validate(pd.DataFrame(events, columns=EVENTS.names), EVENTS),
        validate(pd.concat(assignments, ignore_index=True), ASSIGNMENTS),
        validate(pd.concat(picks, ignore_index=True), PICKS),
    )
    return catalog, validate(sites, STATIONS)
