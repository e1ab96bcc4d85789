"""Gathers what the report shows from the store of a run and, for record sections, from the archive."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from seisflow import __version__
from seisflow.archive import read_traces
from seisflow.earth.sites import sites_of
from seisflow.errors import SeisflowError
from seisflow.keys import Window, seconds
from seisflow.report import RecordSection, ReportInputs, SectionTrace, best_events, write_report
from seisflow.run.results import read_catalog
from seisflow.run.status import read_ledger
from seisflow.run.store import Store
from seisflow.tables import AVAILABILITY, HOLDINGS, STATIONS, Catalog, empty
from seisflow.waveforms import prepare_waveforms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seisflow.workflow import Workflow

__all__ = ["report_run"]

STATIONS_PER_SECTION = 12
PACKAGES = (
    "dask",
    "distributed",
    "numpy",
    "obspy",
    "pandas",
    "pyarrow",
    "pyocto",
    "scipy",
    "torch",
    "xarray",
)


def report_run(workflow: Workflow, comparison: Mapping[str, Any] | None = None) -> str:
    """Write ``report.html`` into the output folder of a run and return its path or URL.

    Parameters
    ----------
    workflow : Workflow
    comparison : mapping, optional
        Figures of a comparison with a known truth, shown beside the result.

    Raises
    ------
    SeisflowError
        If the run has no tables yet.
    """
    store = Store(workflow.output, workflow.storage_options)
    if not store.exists(f"{store.tables}/picks.parquet"):
        raise SeisflowError(f"{store.root} has no tables yet; finish the run first: seisflow run WORKFLOW")
    catalog = read_catalog(store.uri(store.tables), store.storage_options)
    stations = store.read_table(f"{store.tables}/stations.parquet", STATIONS)
    availability = f"{store.tables}/availability.parquet"
    inputs = ReportInputs(
        name=workflow.name,
        period=workflow.period,
        stations=_taking_part(stations, store),
        events=catalog.events,
        assignments=catalog.assignments,
        picks=catalog.picks,
        availability=store.read_table(availability, AVAILABILITY)
        if store.exists(availability)
        else empty(AVAILABILITY),
        ledger=read_ledger(store),
        parameters=workflow.parameters(),
        versions=_versions(),
        sections=_sections(workflow, store, catalog, stations),
        comparison=dict(comparison) if comparison else None,
    )
    with store.appearing("report.html") as page:
        write_report(inputs, page)
    return store.uri("report.html")


def _taking_part(stations: pd.DataFrame, store: Store) -> pd.DataFrame:
    """Return the sites of stations that the archive has data of."""
    holdings = store.read_table(f"{store.archive}/holdings.parquet", HOLDINGS)
    held = pd.MultiIndex.from_frame(holdings[["network", "station"]]).unique()
    return stations[pd.MultiIndex.from_frame(stations[["network", "station"]]).isin(held)].reset_index(
        drop=True
    )


def _versions() -> dict[str, str]:
    found = {"seisflow": __version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _sections(
    workflow: Workflow, store: Store, catalog: Catalog, stations: pd.DataFrame
) -> list[RecordSection]:
    """Return record sections of the best events."""
    best = best_events(catalog.events)
    holdings = store.read_table(f"{store.archive}/holdings.parquet", HOLDINGS)
    return [_section(event, workflow, holdings, catalog, stations) for event in best.to_dict("records")]


def _section(
    event: Mapping[Any, Any],
    workflow: Workflow,
    holdings: pd.DataFrame,
    catalog: Catalog,
    stations: pd.DataFrame,
) -> RecordSection:
    own = catalog.assignments[catalog.assignments["event_id"] == event["event_id"]]
    picks = own.merge(catalog.picks, on="pick_id").sort_values("distance_km")
    nearest = picks.drop_duplicates(["network", "station"]).head(STATIONS_PER_SECTION)
    origin = event["time"].tz_localize(None).to_datetime64().astype("datetime64[ns]")
    last = picks["time"].max().tz_localize(None).to_datetime64()
    window = Window(origin - seconds(3.0), last + seconds(6.0))
    traces = []
    sites = stations.iloc[sites_of(nearest, stations)]
    for row, site in zip(nearest.to_dict("records"), sites.to_dict("records"), strict=True):
        trace = _trace(row, site, workflow, holdings, window)
        if trace is not None:
            label = f"{row['network']}.{row['station']}"
            traces.append(SectionTrace(label, float(row["distance_km"]), *trace))
    return RecordSection(event_id=event["event_id"], traces=traces)


def _trace(
    pick: Mapping[Any, Any],
    site: Mapping[Any, Any],
    workflow: Workflow,
    holdings: pd.DataFrame,
    window: Window,
) -> tuple[np.datetime64, float, np.ndarray[Any, Any]] | None:
    """Return start, sampling rate and band-passed samples of the first component around an event."""
    from scipy.signal import butter, sosfiltfilt

    wide = window.widened(5.0)
    days = [str(day) for day in wide.days()]
    mine = (holdings["network"] == pick["network"]) & (holdings["station"] == pick["station"])
    uris = holdings.loc[mine & holdings["day"].astype(str).isin(days), "uri"].drop_duplicates().tolist()
    preparation = workflow.preparation.model_copy(update={"remove_response": "none"})
    try:
        waveforms = prepare_waveforms(
            read_traces(workflow.archive, uris, wide, bands=preparation.bands), preparation, wide, site, None
        )
    except SeisflowError:
        return None
    rate_hz = float(waveforms.attrs["sampling_rate_hz"])
    samples = waveforms["waveform"].to_numpy()[0].astype(float)
    missing = ~np.isfinite(samples)
    samples = np.where(missing, np.nanmean(samples) if not missing.all() else 0.0, samples)
    sos = butter(3, [1.5, min(20.0, 0.4 * rate_hz)], "bandpass", fs=rate_hz, output="sos")
    filtered = np.where(missing, np.nan, sosfiltfilt(sos, samples - samples.mean()))
    times = waveforms["time"].to_numpy()
    inside = window.holds(times)
    return times[inside][0], rate_hz, filtered[inside].astype(np.float32)
