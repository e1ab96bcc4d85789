"""Earthquakes with known hypocentres: arrival times computed exactly, then disturbed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from seisflow.earth import Projection, TravelTimes, VelocityModel
from seisflow.tables import ASSIGNMENTS, EVENTS, PICKS, STATIONS, Catalog, pick_ids, validate

CRUST = VelocityModel(
    depth_km=(0.0, 5.5, 16.0, 32.0), vp_km_s=(5.5, 6.3, 6.7, 7.8), vs_km_s=(3.18, 3.64, 3.87, 4.51)
)
CENTRE = Projection(34.0, -118.0)


@dataclass(frozen=True)
class Network:
    """Stations spread evenly over a square about `CENTRE`."""

    n_stations: int = 20
    width_km: float = 100.0
    elevation_m: float = 0.0
    seed: int = 1

    def stations(self) -> pd.DataFrame:
        """Return a STATIONS table."""
        rng = np.random.default_rng(self.seed)
        east, north = (rng.random((2, self.n_stations)) - 0.5) * self.width_km
        latitude, longitude = CENTRE.to_degrees(east, north)
        return validate(
            pd.DataFrame(
                {
                    "network": "XX",
                    "station": [f"S{i:03d}" for i in range(self.n_stations)],
                    "location": "",
                    "latitude": latitude,
                    "longitude": longitude,
                    "elevation_m": self.elevation_m * (1 + 0.5 * rng.random(self.n_stations)),
                }
            ),
            STATIONS,
        )


def hypocentres(
    n_events: int, width_km: float = 80.0, depth_km: tuple[float, float] = (2.0, 20.0), seed: int = 2
) -> pd.DataFrame:
    """Return true hypocentres: time (s after 2020), east_km, north_km, latitude, longitude, depth_km."""
    rng = np.random.default_rng(seed)
    east, north = (rng.random((2, n_events)) - 0.5) * width_km
    latitude, longitude = CENTRE.to_degrees(east, north)
    return pd.DataFrame(
        {
            "time": pd.Timestamp("2020-01-01", tz="UTC")
            + pd.to_timedelta(np.arange(n_events) * 60.0 + rng.random(n_events), "s"),
            "latitude": latitude,
            "longitude": longitude,
            "depth_km": rng.uniform(*depth_km, n_events),
        }
    )


def catalog_of(
    truth: pd.DataFrame,
    stations: pd.DataFrame,
    velocity: VelocityModel = CRUST,
    *,
    error_s: tuple[float, float] = (0.05, 0.1),
    outlier_share: float = 0.0,
    n_picks: int | None = None,
    seed: int = 3,
) -> Catalog:
    """Return a catalogue with picks of the events `truth`, whose own hypocentres are far off.

    `error_s` are the standard errors of P and S picks; outliers lie up to 5 s off; `n_picks` keeps
    the first so many of each event.
    """
    rng = np.random.default_rng(seed)
    times = TravelTimes(velocity)
    parts = []
    for row, event in truth.iterrows():
        local = Projection(event.latitude, event.longitude)
        distance = np.hypot(*local.to_km(stations["latitude"], stations["longitude"]))
        for phase, error in zip("PS", error_s, strict=True):
            travel = times.first_arrival(
                phase, distance, event.depth_km, -stations["elevation_m"].to_numpy() * 1e-3
            )
            noise = rng.normal(0.0, error, len(travel))
            wrong = rng.random(len(travel)) < outlier_share
            noise[wrong] = rng.uniform(-5.0, 5.0, wrong.sum())
            parts.append(
                stations[["network", "station", "location"]].assign(
                    band="HH", phase=phase, time=event.time + pd.to_timedelta(travel + noise, "s"), event=row
                )
            )
    picks = pd.concat(parts, ignore_index=True).assign(probability=0.9, polarity="", method="truth")
    if n_picks is not None:
        picks = picks.sort_values(["event", "time"]).groupby("event").head(n_picks).reset_index(drop=True)
    picks["pick_id"] = pick_ids(picks)
    events = truth.assign(
        event_id=[f"event{i:05d}" for i in truth.index],
        latitude=34.2,
        longitude=-117.7,
        depth_km=3.0,
        n_p=0,
        n_s=0,
        magnitude_type="",
        method="truth",
        status="associated",
    )
    assignments = pd.DataFrame(
        {"event_id": events["event_id"].loc[picks["event"]].to_numpy(), "pick_id": picks["pick_id"]}
    )
    return Catalog(validate(events, EVENTS), validate(assignments, ASSIGNMENTS), validate(picks, PICKS))


def epicentral_error_km(events: pd.DataFrame, truth: pd.DataFrame) -> np.ndarray:
    """Return the distance (km) between located and true epicentres."""
    found = CENTRE.to_km(events["latitude"], events["longitude"])
    true = CENTRE.to_km(truth["latitude"], truth["longitude"])
    return np.hypot(found[0] - true[0], found[1] - true[1])
