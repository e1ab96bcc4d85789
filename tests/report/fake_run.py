"""A run that never was: a swarm that migrates and dips along a fault, twelve stations, three failures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from seisflow.keys import Period, as_time
from seisflow.report import RecordSection, ReportInputs, SectionTrace, best_events
from seisflow.tables import ASSIGNMENTS, EVENTS, LEDGER, PICKS, STATIONS, empty, validate

KM = 111.195
P_KM_S, S_KM_S = 6.0, 3.46
CENTRE = (64.63, -17.45)
CODES = ["DYJN", "KVER", "FLUR", "SKRO", "VONK", "URHA", "GRIM", "ASKJ", "MOFO", "HOTT", "LOKI", "UPTY"]


def fake_stations(n: int = 12, seed: int = 1) -> pd.DataFrame:
    """Return stations around the centre, and farther out the more there are."""
    rng = np.random.default_rng(seed)
    angle = np.arange(n) * 2.399963 + rng.normal(0, 0.15, n)
    radius_km = 6.0 + 26.0 * np.sqrt((np.arange(n) + 0.5) / n) * (1.0 + n / 400.0)
    codes = CODES if n == len(CODES) else [f"S{i:04d}" for i in range(n)]
    return validate(
        pd.DataFrame(
            {
                "network": np.where(np.arange(n) % 4 == 3, "Z7", "VI"),
                "station": codes,
                "location": "",
                "latitude": CENTRE[0] + radius_km * np.sin(angle) / KM,
                "longitude": CENTRE[1] + radius_km * np.cos(angle) / (KM * np.cos(np.radians(CENTRE[0]))),
                "elevation_m": rng.uniform(400.0, 1500.0, n).round(),
                "start": pd.NaT,
                "end": pd.NaT,
            }
        ),
        STATIONS,
    )


def fake_catalog(
    stations: pd.DataFrame, period: Period, n_events: int = 150, n_recorded: int = 12, seed: int = 2
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return EVENTS, ASSIGNMENTS and PICKS of a swarm that moves north-east and deeper along a lineament."""
    rng = np.random.default_rng(seed)
    progress = np.sort(rng.beta(1.3, 1.6, n_events))
    background = rng.random(n_events) < 0.12
    along_km = np.where(
        background, rng.uniform(-25, 25, n_events), -14 + 28 * progress + rng.normal(0, 1.4, n_events)
    )
    across_km = np.where(background, rng.uniform(-22, 22, n_events), rng.normal(0, 0.7, n_events))
    strike = np.radians(38.0)
    north_km = along_km * np.cos(strike) - across_km * np.sin(strike)
    east_km = along_km * np.sin(strike) + across_km * np.cos(strike)
    depth_km = np.clip(6.0 + 0.16 * along_km + 0.8 * across_km + rng.normal(0, 0.7, n_events), 0.3, 19.0)
    origin = period.start + (progress * period.duration_s * 0.98 * 1e9).astype("timedelta64[ns]")
    latitude = CENTRE[0] + north_km / KM
    longitude = CENTRE[1] + east_km / (KM * np.cos(np.radians(CENTRE[0])))
    ids = np.array([f"{i:016x}" for i in rng.integers(1, 2**63, n_events)])
    chance = np.clip(rng.beta(3.0, 2.0, n_events), 0.3, 1.0)

    nearby = np.stack(
        [rng.choice(len(stations), min(n_recorded, len(stations)), replace=False) for _ in range(n_events)]
    )
    site_latitude, site_longitude = (stations[name].to_numpy()[nearby] for name in ("latitude", "longitude"))
    shrink = np.cos(np.radians(CENTRE[0]))
    distance_km = KM * np.hypot(
        site_latitude - latitude[:, None], shrink * (site_longitude - longitude[:, None])
    )
    slant_km = np.hypot(distance_km, depth_km[:, None])
    parts = []
    for phase, speed, sigma_s, loss in (("P", P_KM_S, 0.04, 0.0), ("S", S_KM_S, 0.08, 0.15)):
        seen = rng.random(nearby.shape) < chance[:, None] - loss
        event = np.nonzero(seen)[0]
        residual_s = rng.laplace(0.005, sigma_s, len(event)) + np.where(phase == "S", 0.02, 0.0)
        travel_s = slant_km[seen] / speed + residual_s
        parts.append(
            pd.DataFrame(
                {
                    "event_id": ids[event],
                    "site": nearby[seen],
                    "phase": phase,
                    "time": origin[event] + (travel_s * 1e9).astype("timedelta64[ns]"),
                    "residual_s": residual_s,
                    "distance_km": distance_km[seen],
                    "probability": rng.beta(6, 2, len(event)),
                }
            )
        )
    made = pd.concat(parts, ignore_index=True)
    made["pick_id"] = [f"p{i:015x}" for i in range(len(made))]
    made["weight"] = 1.0 / (1.0 + (made["residual_s"] / 0.1) ** 2)
    picks = _with_noise_picks(made, stations, period, rng)
    counts = made.groupby(["event_id", "phase"]).size().unstack(fill_value=0).reindex(ids, fill_value=0)
    n_p, n_s = counts["P"].to_numpy(), counts["S"].to_numpy()
    rms_s = np.sqrt((made["residual_s"] ** 2).groupby(made["event_id"]).mean()).reindex(ids).to_numpy()
    located = n_p + n_s >= 6
    unknown = np.where(located, 1.0, np.nan)
    events = pd.DataFrame(
        {
            "event_id": ids,
            "time": origin,
            "latitude": latitude,
            "longitude": longitude,
            "depth_km": depth_km,
            "n_p": n_p,
            "n_s": n_s,
            "rms_s": rms_s * unknown,
            "gap_deg": np.clip(360.0 / np.sqrt(np.maximum(n_p, 1)) + rng.normal(0, 20, n_events), 40, 350)
            * unknown,
            "horizontal_error_km": rng.lognormal(-0.9, 0.4, n_events) * 10 / (n_p + n_s + 1) * unknown,
            "depth_error_km": rng.lognormal(-0.4, 0.4, n_events) * 10 / (n_p + n_s + 1) * unknown,
            "magnitude": np.nan,
            "magnitude_type": "",
            "method": "grid",
            "status": np.where(located, "located", "fewer than 6 picks"),
        }
    )
    return validate(events, EVENTS), validate(made, ASSIGNMENTS), picks


def _with_noise_picks(
    made: pd.DataFrame, stations: pd.DataFrame, period: Period, rng: np.random.Generator
) -> pd.DataFrame:
    n_noise = len(made) // 6
    noise = pd.DataFrame(
        {
            "site": rng.integers(0, len(stations), n_noise),
            "phase": rng.choice(["P", "S"], n_noise),
            "time": period.start + (rng.random(n_noise) * period.duration_s * 1e9).astype("timedelta64[ns]"),
            "probability": rng.beta(3, 3, n_noise),
            "pick_id": [f"n{i:015x}" for i in range(n_noise)],
        }
    )
    whole = pd.concat([made, noise], ignore_index=True)
    site = stations.iloc[whole["site"]]
    for name in ("network", "station", "location"):
        whole[name] = site[name].to_numpy()
    return validate(whole.assign(band="HH", polarity="", method="phasenet"), PICKS)


def fake_availability(stations: pd.DataFrame, period: Period, seed: int = 3) -> pd.DataFrame:
    """Return presence with dead stations, late starts and days of gaps."""
    rng = np.random.default_rng(seed)
    days = np.array(list(period.days()))
    fraction = np.where(
        rng.random((len(stations), len(days))) < 0.85, 1.0, rng.random((len(stations), len(days)))
    )
    if len(days) > 10:
        for row in range(0, len(stations), 5):
            dead = rng.integers(0, len(days) * 3 // 4)
            fraction[row, dead : dead + len(days) // 6] = 0.0
    fraction[-1] *= 0.35
    row, column = np.indices(fraction.shape).reshape(2, -1)
    return pd.DataFrame(
        {
            "network": stations["network"].to_numpy()[row],
            "station": stations["station"].to_numpy()[row],
            "day": days[column],
            "fraction": fraction.ravel(),
        }
    )


def fake_ledger(stations: pd.DataFrame, period: Period, seed: int = 4) -> pd.DataFrame:
    """Return units of four stages; three station-days failed, one was empty."""
    rng = np.random.default_rng(seed)
    days = [str(day) for day in period.days()]
    names = [f"{n}.{s}" for n, s in zip(stations["network"], stations["station"], strict=True)]
    units = [("picking", f"{name}.{day}", 9.0, 640.0) for name in names for day in days]
    units += [("association", f"network.{day}", 4.0, 410.0) for day in days]
    units += [("location", f"network.{day}", 7.5, 380.0) for day in days]
    ledger = pd.DataFrame(units, columns=["stage", "unit", "seconds", "peak_memory_mb"])
    ledger["seconds"] *= rng.lognormal(0, 0.3, len(ledger))
    ledger = ledger.assign(
        status="ok", reason="", inputs="0", part="part-0", checksum="0", attempts=1, order=1001
    )
    ledger["n_rows"] = rng.integers(50, 300, len(ledger))
    ledger["finished"] = pd.Timestamp("2026-03-02T09:00:00", tz="UTC") + pd.to_timedelta(
        ledger["seconds"].cumsum() / 2, unit="s"
    )
    ledger["versions"] = "seisflow 0.1.0, phasenet 1"
    failures = {
        1: ("failed", "/archive/2014/VI/KVER/HHZ.D/VI.KVER..HHZ.D.2014.236: truncated record at byte 40960"),
        4: ("failed", "/archive/2014/VI/VONK/HHZ.D/VI.VONK..HHZ.D.2014.236: truncated record at byte 8192"),
        7: ("failed", "no station coordinates for Z7.ASKJ on this day; add the epoch to the inventory"),
        10: ("empty", "no samples between the gaps are longer than 30 s"),
        2: ("ok", "2 overlaps with different samples, 1.2 s set to NaN"),
    }
    for row, (status, reason) in failures.items():
        if row >= len(ledger):
            continue
        ledger.loc[row, ["status", "reason"]] = [status, reason]
        ledger.loc[row, "n_rows"] = ledger.loc[row, "n_rows"] if status == "ok" else 0
    return validate(ledger, LEDGER)


def fake_sections(inputs: ReportInputs, rate_hz: float = 100.0, seed: int = 5) -> list[RecordSection]:
    """Return seismograms of the best events: P and S wavelets with coda at the true times, in noise."""
    rng = np.random.default_rng(seed)
    rows = inputs.assignments.merge(inputs.picks, on="pick_id")
    sections = []
    for event in best_events(inputs.events).itertuples():
        mine = rows[rows["event_id"] == event.event_id]
        traces = []
        for (network, station), picks in mine.groupby(["network", "station"]):
            distance_km = float(picks["distance_km"].iloc[0])
            start = as_time(event.time.tz_localize(None).to_datetime64()) - np.timedelta64(5, "s")
            samples = _seismogram(np.hypot(distance_km, event.depth_km), rate_hz, rng)
            if station == "URHA":
                samples[int(7.5 * rate_hz) : int(8.6 * rate_hz)] = np.nan
            traces.append(SectionTrace(f"{network}.{station}", distance_km, start, rate_hz, samples))
        sections.append(RecordSection(str(event.event_id), traces))
    return sections


def _seismogram(slant_km: float, rate_hz: float, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    time_s = np.arange(int(30 * rate_hz)) / rate_hz - 5.0
    samples = 0.03 * rng.normal(size=len(time_s)) * rng.lognormal(0, 0.5)
    for speed, size, hertz in ((P_KM_S, 0.5, 9.0), (S_KM_S, 1.0, 6.0)):
        after_s = time_s - slant_km / speed
        ricker = (1 - 2 * (np.pi * hertz * (after_s - 0.1)) ** 2) * np.exp(
            -((np.pi * hertz * (after_s - 0.1)) ** 2)
        )
        coda = np.where(after_s > 0, np.exp(-np.abs(after_s) / 1.6) * np.minimum(1, after_s / 0.05), 0.0)
        samples += size * (ricker + 0.55 * coda * rng.normal(size=len(time_s)))
    return samples.astype(np.float32)


def fake_run(
    n_events: int = 150, n_stations: int = 12, n_days: int = 1, *, sections: bool = True, n_recorded: int = 12
) -> ReportInputs:
    """Return a whole run."""
    start = np.datetime64("2014-08-24")
    period = Period(start, start + np.timedelta64(n_days, "D"))
    stations = fake_stations(n_stations)
    events, assignments, picks = fake_catalog(stations, period, n_events, n_recorded)
    inputs = ReportInputs(
        name="Dike intrusion, Bárðarbunga 2014",
        period=period,
        stations=stations,
        events=events,
        assignments=assignments,
        picks=picks,
        availability=fake_availability(stations, period),
        ledger=fake_ledger(stations, period),
        parameters=PARAMETERS,
        versions={
            "seisflow": "0.1.0",
            "python": "3.11.11",
            "numpy": "2.4.6",
            "obspy": "1.5.1",
            "torch": "2.13.0",
        },
        comparison={
            "event_recall": 0.953,
            "event_precision": 0.987,
            "median_epicentre_error_km": 0.412,
            "median_depth_error_km": 0.873,
            "events_in_truth": 157,
        },
        wall_s=74.2,
    )
    return _with(inputs, sections=fake_sections(inputs)) if sections else inputs


def empty_run(*, with_picks: bool = False) -> ReportInputs:
    """Return a run that found nothing, or only picks."""
    inputs = fake_run(5, sections=False)
    nothing = {"events": empty(EVENTS), "assignments": empty(ASSIGNMENTS), "comparison": None}
    inputs = _with(inputs, **nothing)
    if with_picks:
        return inputs
    absent = pd.DataFrame(columns=["network", "station", "day", "fraction"])
    return _with(
        inputs,
        picks=empty(PICKS),
        stations=empty(STATIONS),
        ledger=empty(LEDGER),
        availability=absent,
        wall_s=None,
    )


def _with(inputs: ReportInputs, **changes: Any) -> ReportInputs:
    from dataclasses import replace

    return replace(inputs, **changes)


PARAMETERS = {
    "name": "iceland-2014",
    "period": {"start": "2014-08-24", "end": "2014-08-25"},
    "archive": {"method": "folder", "path": "$SEISFLOW_SHARED/data/iceland_dike_2014"},
    "waveforms": {"sampling_rate_hz": 100.0, "bands": ["HH", "EH", "BH"], "highpass_hz": 1.0},
    "picking": {"method": "phasenet", "weights": "original", "p_threshold": 0.3, "s_threshold": 0.3},
    "association": {"method": "pyocto", "n_picks": 8, "n_p_and_s_picks": 3, "margin_s": 120.0},
    "location": {"method": "grid", "velocity": [[0.0, 4.5, 2.55], [4.0, 5.8, 3.3], [20.0, 6.9, 3.9]]},
}
