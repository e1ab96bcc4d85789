"""What is known about a synthetic archive: its earthquakes, their arrivals, and how well these are seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from seisflow.synthetic.noise import band_rms
from seisflow.synthetic.seismogram import Seismogram, radiation
from seisflow.synthetic.spectra import frequencies, waveband
from seisflow.tables import (
    ASSIGNMENTS,
    EVENTS,
    PICKS,
    Catalog,
    concatenate,
    empty,
    event_id,
    pick_ids,
    validate,
    write_parquet,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seisflow.synthetic.network import Site
    from seisflow.synthetic.propagation import Ray
    from seisflow.synthetic.scenario import Scenario
    from seisflow.synthetic.sources import Source

__all__ = ["Signal", "SyntheticTruth", "make_truth", "measure_signal"]

PEAK_S = 2.0
"""Amplitudes are the largest within this time after the onset, s."""
NODAL = 0.1
"""P waves with less radiation than this have no polarity that anybody could read."""


class Signal(NamedTuple):
    """How one phase shows at one station.

    Attributes
    ----------
    amplitude : float
        Largest absolute value without noise within 2 s of the onset, counts; Z for P, horizontals for S.
    snr : float
        The same between 2 and 20 Hz, over the root mean square of the noise in that band at that hour.
    """

    amplitude: float
    snr: float


@dataclass(frozen=True)
class SyntheticTruth:
    """A synthetic archive and everything that is known about it.

    Parameters
    ----------
    folder : Path
        Holds `sds/`, `stations.xml`, `velocity.csv`, `scenario.json` and `truth/`.
    scenario : Scenario
    seed : int
    stations : STATIONS table
    catalog : Catalog
        EVENTS (method and status `truth`), ASSIGNMENTS and PICKS (method `truth`). Picks are all onsets
        at instants that the archive holds, however weak; residuals are true minus modelled arrival.
    families : DataFrame
        Columns event_id, cluster_id, score: the members of repeating families.
    signals : DataFrame
        Columns pick_id, snr: peak signal over rms noise between 2 and 20 Hz.
    """

    folder: Path
    scenario: Scenario
    seed: int
    stations: pd.DataFrame
    catalog: Catalog
    families: pd.DataFrame
    signals: pd.DataFrame

    @property
    def archive_folder(self) -> Path:
        """Root of the SDS tree."""
        return self.folder / "sds"

    @property
    def inventory_path(self) -> Path:
        """StationXML file."""
        return self.folder / "stations.xml"

    @property
    def velocity_path(self) -> Path:
        """CSV file of the layered model."""
        return self.folder / "velocity.csv"

    def visible_picks(self, min_snr: float = 3.0) -> pd.DataFrame:
        """Return the onsets with at least a signal-to-noise ratio, a PICKS table."""
        visible = self.signals.loc[self.signals["snr"] >= min_snr, "pick_id"]
        return self.catalog.picks[self.catalog.picks["pick_id"].isin(visible)].reset_index(drop=True)

    def write(self) -> None:
        """Write the tables into `truth/`."""
        folder = self.folder / "truth"
        folder.mkdir(parents=True, exist_ok=True)
        write_parquet(self.catalog.events, folder / "events.parquet", EVENTS)
        write_parquet(self.catalog.picks, folder / "arrivals.parquet", PICKS)
        write_parquet(self.catalog.assignments, folder / "assignments.parquet", ASSIGNMENTS)
        self.families.to_csv(folder / "families.csv", index=False)
        self.signals.to_csv(folder / "signals.csv", index=False, float_format="%.4g")


def measure_signal(record: Seismogram, site: Site, phase: str, onset_s: float, hour: float) -> Signal:
    """Return how a phase shows in a seismogram without noise.

    Parameters
    ----------
    record : Seismogram
    site : Site
    phase : str
        P is measured on the vertical, S on the horizontals where there are any.
    onset_s : float
        Onset, s since the start of the archive.
    hour : float
        Hour of the day, for the noise.
    """
    rate_hz = site.sampling_rate_hz
    rows = record.counts[1:] if phase == "S" and len(record.counts) > 1 else record.counts[:1]
    first = int(np.ceil(onset_s * rate_hz)) - record.start
    window = slice(first, first + round(PEAK_S * rate_hz))
    n = rows.shape[1]
    in_band = np.fft.irfft(np.fft.rfft(rows) * waveband(frequencies(n, rate_hz)), n)
    return Signal(
        amplitude=float(np.abs(rows[:, window]).max()),
        snr=float(np.abs(in_band[:, window]).max() / band_rms(site, hour)),
    )


def make_truth(
    sources: Sequence[Source],
    sites: Sequence[Site],
    rays: Sequence[Sequence[dict[str, Ray]]],
    signals: Sequence[Sequence[dict[str, Signal]]],
    gaps: Sequence[NDArray[np.int64]],
    scenario: Scenario,
) -> tuple[Catalog, pd.DataFrame, pd.DataFrame]:
    """Return the true catalogue, the families and the signal-to-noise ratios.

    `rays` and `signals` are indexed by source, then by site; `gaps` by site.
    """
    events: list[dict[str, Any]] = []
    families: list[dict[str, Any]] = []
    assignments: list[pd.DataFrame] = []
    arrivals: list[pd.DataFrame] = []
    for source, source_rays, source_signals in zip(sources, rays, signals, strict=True):
        rows = [
            _arrival(source, site, ray, source_signals[k][phase], scenario)
            for k, site in enumerate(sites)
            for phase, ray in source_rays[k].items()
            if _is_recorded(source.time_s + ray.time_s, site, gaps[k], scenario)
        ]
        found = pd.DataFrame(rows)
        if rows:
            found["pick_id"] = pick_ids(found)
            arrivals.append(found)
        ids = list(found["pick_id"]) if rows else []
        event = _event(source, found, event_id([*ids, repr(source.time_s)]), scenario)
        events.append(event)
        if rows:
            own = found[["pick_id", "residual_s", "distance_km"]]
            assignments.append(own.assign(event_id=event["event_id"], weight=1.0))
        if source.family >= 0:
            families.append({"event_id": event["event_id"], "cluster_id": source.family, "score": 1.0})
    picks = pd.concat(arrivals, ignore_index=True) if arrivals else empty(PICKS).assign(snr=[])
    catalog = Catalog(
        validate(pd.DataFrame(events), EVENTS) if events else empty(EVENTS),
        concatenate(assignments, ASSIGNMENTS),
        validate(picks.drop(columns="snr").sort_values(["time", "pick_id"]), PICKS),  # theirs is another
    )
    labels = pd.DataFrame(families, columns=["event_id", "cluster_id", "score"])
    return catalog, labels, picks[["pick_id", "snr"]].reset_index(drop=True)


def instant(time_s: float, scenario: Scenario) -> pd.Timestamp:
    """Return a time in seconds since the start of the archive as a timestamp, to the nanosecond."""
    start = scenario.period.start + np.timedelta64(round(time_s * 1e9), "ns")
    return pd.Timestamp(start, tz="UTC")


def _is_recorded(time_s: float, site: Site, gaps: NDArray[np.int64], scenario: Scenario) -> bool:
    sample = time_s * site.sampling_rate_hz
    missing = bool(np.any((sample >= gaps[:, 0] - 1) & (sample <= gaps[:, 1])))
    return time_s < scenario.duration_s and not missing


def _arrival(source: Source, site: Site, ray: Ray, signal: Signal, scenario: Scenario) -> dict[str, Any]:
    vertical = radiation(source, ray)[0]
    readable = ray.phase == "P" and abs(vertical) > NODAL * np.cos(ray.incidence_rad)
    return {
        "network": site.network,
        "station": site.station,
        "location": site.location,
        "band": site.band,
        "phase": ray.phase,
        "time": instant(source.time_s + ray.time_s, scenario),
        "probability": 1.0,
        "amplitude": signal.amplitude,
        "amplitude_unit": "count",
        "polarity": ("up" if vertical > 0 else "down") if readable else "",
        "method": "truth",
        "residual_s": ray.time_s - ray.model_time_s,
        "distance_km": ray.distance_km,
        "snr": signal.snr,
    }


def _event(source: Source, arrivals: pd.DataFrame, name: str, scenario: Scenario) -> dict[str, Any]:
    phases = list(arrivals["phase"]) if len(arrivals) else []
    return {
        "event_id": name,
        "time": instant(source.time_s, scenario),
        "latitude": source.latitude,
        "longitude": source.longitude,
        "depth_km": source.depth_km,
        "n_p": phases.count("P"),
        "n_s": phases.count("S"),
        "magnitude": source.magnitude,
        "magnitude_type": "Mw",
        "method": "truth",
        "status": "truth",
    }
