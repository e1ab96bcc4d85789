"""Make a synthetic archive: waveforms on disk as a data centre keeps them, and the truth beside them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from seisflow.errors import ArchiveError
from seisflow.keys import seconds
from seisflow.synthetic.faults import add_glitches, make_gaps
from seisflow.synthetic.instruments import CLIP_COUNTS
from seisflow.synthetic.network import Site, make_inventory, make_network, stations_table
from seisflow.synthetic.noise import hour_of_day, make_noise
from seisflow.synthetic.propagation import Ray, trace_rays
from seisflow.synthetic.scenario import Scenario
from seisflow.synthetic.seismogram import Seismogram, seismogram
from seisflow.synthetic.sources import Source, make_sources
from seisflow.synthetic.truth import Signal, SyntheticTruth, make_truth, measure_signal

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from obspy import Stream

    from seisflow.keys import Window

__all__ = ["make_archive"]

RECORD_BYTES = 4096


def make_archive(
    folder: str | Path, scenario: Scenario | None = None, seed: int = 1, n_workers: int | None = None
) -> SyntheticTruth:
    """Write a synthetic archive and what is known about it.

    Equal scenarios and seeds give equal bytes, whatever the number of workers.

    Parameters
    ----------
    folder : path
        Created where it does not exist. Receives ``sds/`` (miniSEED, Steim-2, one file a channel and
        day), ``stations.xml``, ``velocity.csv``, ``scenario.json`` and ``truth/`` (events.parquet,
        arrivals.parquet, assignments.parquet, families.csv, signals.csv).
    scenario : Scenario, optional
        None means the default: 12 stations, one day, 150 earthquakes.
    seed : int
        Not negative.
    n_workers : int, optional
        Stations made at the same time, by threads; None means one for each processor.

    Returns
    -------
    SyntheticTruth

    Raises
    ------
    ArchiveError
        If the folder already holds another archive.
    """
    scenario = scenario or Scenario()
    folder = Path(folder)
    _claim(folder, scenario, seed)
    sites = make_network(scenario, seed)
    sources = make_sources(scenario, seed)
    rays = trace_rays(sources, sites, scenario, seed)
    gaps = [make_gaps(site, scenario, seed) for site in sites]

    make_inventory(sites, scenario).write(str(folder / "stations.xml"), format="STATIONXML")
    columns = scenario.velocity.model_dump(include={"depth_km", "vp_km_s", "vs_km_s"})
    pd.DataFrame(columns).to_csv(folder / "velocity.csv", index=False)

    record = partial(_record_station, folder=folder / "sds", sources=sources, scenario=scenario, seed=seed)
    of_site = [[source_rays[k] for source_rays in rays] for k in range(len(sites))]
    with ThreadPoolExecutor(n_workers or os.cpu_count()) as pool:
        signals = list(pool.map(record, sites, of_site, gaps))
    of_source = [list(column) for column in zip(*signals, strict=True)]
    catalog, families, snr = make_truth(sources, sites, rays, of_source, gaps, scenario)
    truth = SyntheticTruth(folder, scenario, seed, stations_table(sites, scenario), catalog, families, snr)
    truth.write()
    return truth


def _claim(folder: Path, scenario: Scenario, seed: int) -> None:
    """Write what the folder holds, or refuse one that holds something else."""
    text = json.dumps({"seed": seed, "scenario": scenario.model_dump(mode="json")}, indent=1)
    path = folder / "scenario.json"
    if (folder / "sds").exists() and (not path.exists() or path.read_text() != text):
        raise ArchiveError(f"{folder} holds another archive; remove it or choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _record_station(
    site: Site,
    rays: Sequence[dict[str, Ray]],
    gaps: NDArray[np.int64],
    *,
    folder: Path,
    sources: Sequence[Source],
    scenario: Scenario,
    seed: int,
) -> list[dict[str, Signal]]:
    """Write the files of one station and return how each source shows there."""
    records = [seismogram(source, site, ray, seed) for source, ray in zip(sources, rays, strict=True)]
    for day in scenario.period.days():
        window = scenario.period.window_of(day)
        for component in range(len(site.components)):
            first, last = (_sample(time, site, scenario) for time in (window.start, window.end))
            counts = make_noise(site, component, first, last - first, scenario, seed)
            for record in records:
                _add(counts, first, record, component)
            add_glitches(counts, site, component, first, scenario, seed)
            np.clip(np.rint(counts, out=counts), -CLIP_COUNTS, CLIP_COUNTS, out=counts)
            _write(counts.astype(np.int32), first, gaps, site, component, window, scenario, folder)
    signals = []
    for source, record, ray in zip(sources, records, rays, strict=True):
        hour = hour_of_day(scenario, source.time_s)
        signals.append(
            {
                phase: measure_signal(record, site, phase, source.time_s + ray[phase].time_s, hour)
                for phase in ray
            }
        )
    return signals


def _sample(time: np.datetime64, site: Site, scenario: Scenario) -> int:
    """Return the number of the first sample at or after a time."""
    return int(np.ceil(round((time - scenario.period.start) / seconds(1.0) * site.sampling_rate_hz, 6)))


def _add(counts: NDArray[np.float32], first: int, record: Seismogram, component: int) -> None:
    """Add a seismogram to counts that begin at sample `first`."""
    begin = record.start - first
    low, high = max(begin, 0), min(begin + record.counts.shape[1], len(counts))
    if low < high:
        counts[low:high] += record.counts[component, low - begin : high - begin]


def _write(
    counts: NDArray[np.int32],
    first: int,
    gaps: NDArray[np.int64],
    site: Site,
    component: int,
    window: Window,
    scenario: Scenario,
    folder: Path,
) -> None:
    """Write one channel and day as miniSEED into an SDS tree; nothing where all of it is missing."""
    stream = _traces(counts, first, gaps, site, component, scenario)
    if not stream:
        return
    day = window.start.astype("datetime64[D]").item()
    channel = site.channels[component]
    name = f"{site.network}.{site.station}.{site.location}.{channel}.D.{day:%Y.%j}"
    path = folder / f"{day:%Y}" / site.network / site.station / f"{channel}.D" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    stream.write(str(path), format="MSEED", encoding="STEIM2", reclen=RECORD_BYTES)


def _traces(
    counts: NDArray[np.int32],
    first: int,
    gaps: NDArray[np.int64],
    site: Site,
    component: int,
    scenario: Scenario,
) -> Stream:
    """Return the pieces of a channel between its gaps."""
    from obspy import Stream, Trace, UTCDateTime

    borders = np.clip(np.concatenate([[0], (gaps - first).ravel(), [len(counts)]]), 0, len(counts))
    start_ns = int(scenario.period.start.astype("int64"))
    stream = Stream()
    for low, high in borders.reshape(-1, 2).tolist():
        if low >= high:
            continue
        offset_ns = round((first + low) / site.sampling_rate_hz * 1e9)
        header = {
            "network": site.network,
            "station": site.station,
            "location": site.location,
            "channel": site.channels[component],
            "sampling_rate": site.sampling_rate_hz,
            "starttime": UTCDateTime(ns=start_ns + offset_ns),
        }
        stream.append(Trace(counts[low:high], header))
    return stream
