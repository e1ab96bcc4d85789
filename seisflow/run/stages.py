"""The stages and their order: what a unit of each computes, and what it needs from the one above.

This is the only place that knows the order. A stage's fingerprint hashes its method and the
fingerprint of the stage above, and names its output folder: a changed threshold redoes that stage
and those below, nothing above.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from seisflow.errors import MetadataError
from seisflow.keys import Window
from seisflow.run.picking import StationDayPicker
from seisflow.run.units import Job, Unit, digest
from seisflow.tables import ASSIGNMENTS, AVAILABILITY, EVENTS, PICKS, Catalog

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import xarray as xr

    from seisflow.run.parts import Parts
    from seisflow.run.plan import Plan
    from seisflow.workflow import Workflow

__all__ = ["Association", "Location", "Outcome", "Picking", "Stage", "stages_of"]

# Peak memory of a worker process, measured (docs/running.md): of the process itself, then for each
# sample while it is decoded and prepared, and while it is picked.
PROCESS_MB = 400.0
DECODING_BYTES, PICKING_BYTES = 12.0, 40.0
LEAST_BYTES_PER_SAMPLE = 0.7  # Steim2 of a quiet station
FASTEST_HZ = 250.0  # of the bands that are recorded continuously


@dataclass(frozen=True)
class Outcome:
    """What a unit gave: its tables by name, and a note on what was noticed ('' for nothing)."""

    tables: Mapping[str, pd.DataFrame]
    note: str = ""


@dataclass(frozen=True)
class Stage(ABC):
    """One stage of a workflow.

    Attributes
    ----------
    workflow : Workflow
    above : Stage, optional
        The stage whose rows this one reads.
    """

    workflow: Workflow
    above: Stage | None = None

    name: ClassVar[str]
    schemas: ClassVar[Mapping[str, pa.Schema]]
    version: ClassVar[int] = 1
    most_units: ClassVar[int] = 32
    """Units of one task at most: each network-day names the station-days it reads."""
    typical_s: ClassVar[float] = 10.0
    """Seconds of a unit that are assumed where none was measured."""

    @property
    @abstractmethod
    def identity(self) -> list[Any]:
        """What decides the result of the stage, apart from its inputs."""

    @property
    def resources(self) -> dict[str, float]:
        """What a task of the stage takes of its worker beside a thread, such as ``{"GPU": 1.0}``."""
        return {}

    @cached_property
    def fingerprint(self) -> str:
        """Hash of identity, version and the fingerprint of the stage above."""
        above = self.above.fingerprint if self.above else ""
        return digest([self.name, self.version, *self.identity, above])

    @property
    def margin_s(self) -> float:
        """Seconds of the stage above that a unit needs on both sides of its window."""
        return 0.0

    def is_remote(self, job: Job) -> bool:
        """Return whether `fetch` has anything to fetch for a unit."""
        return False

    @property
    def reach_s(self) -> float:
        """Seconds of the archive that a station-day reads on both sides of its window."""
        return 0.0

    def publish(self, plan: Plan) -> None:  # noqa: B027 - most stages have nothing left to do
        """Do what remains once every unit has an outcome and the tables are written; by the driver."""

    def fetch(self, job: Job) -> Mapping[str, bytes]:
        """Return the remote files that a unit reads, by URI; called while the unit before it computes."""
        return {}

    @abstractmethod
    def compute(
        self, job: Job, stations: pd.DataFrame, parts: Parts | None, contents: Mapping[str, bytes]
    ) -> Outcome:
        """Compute one unit; `parts` reads the rows of the stage above, `contents` are its remote files."""

    @abstractmethod
    def memory_mb(self, unit: Unit) -> float:
        """Return an estimate of the peak memory of a process that computes a unit, from above, MB."""


class Picking(Stage):
    """Waveforms of a station-day to picks."""

    name = "picking"
    schemas: ClassVar = {"picks": PICKS, "availability": AVAILABILITY}
    most_units: ClassVar[int] = 1000
    typical_s: ClassVar[float] = 5.0

    @property
    def identity(self) -> list[Any]:
        """Return the identities of picker, amplitudes, polarity, preparation and archive layout."""
        workflow = self.workflow
        return [
            workflow.picking.identity(),
            workflow.preparation.identity(),
            workflow.archive.identity(),
            workflow.amplitudes.identity(),
            workflow.polarity.identity() if workflow.polarity is not None else "",
        ]

    @property
    def resources(self) -> dict[str, float]:
        """Return what the picker takes."""
        return self.workflow.picking.resources

    def is_remote(self, job: Job) -> bool:
        """Return whether a file of a station-day lies on no local disk."""
        return _any_remote(job.unit.uris)

    @cached_property
    def reach_s(self) -> float:
        """Return the margins of picking and of preparation together."""
        return self.picking.margin_s + self.workflow.preparation.margin_s

    @cached_property
    def picking(self) -> StationDayPicker:
        """Return what makes the picks of a prepared station-day."""
        workflow = self.workflow
        responses = workflow.stations.responses if workflow.wants_responses else None
        return StationDayPicker(workflow.picking, workflow.polarity, workflow.amplitudes, responses)

    def fetch(self, job: Job) -> Mapping[str, bytes]:
        """Return the files of a station-day, where they lie on no local disk."""
        return self.workflow.archive.fetch(job.unit.uris)

    def memory_mb(self, unit: Unit) -> float:
        """Return an estimate of the peak memory: that of decoding, or that of picking, MB.

        The rate of the recording is not known before it is read; what the files can hold at most is.
        """
        seconds = unit.window.duration_s + 2.0 * self.reach_s
        best_band = unit.n_bytes * min(1.0, 3.0 / max(unit.n_channels, 1))
        recorded = min(best_band / LEAST_BYTES_PER_SAMPLE, 3.0 * FASTEST_HZ * seconds)
        rate_hz = self.workflow.preparation.sampling_rate_hz
        picked = recorded if rate_hz is None else 3.0 * rate_hz * seconds
        contents = 2.0 * unit.n_bytes if _any_remote(unit.uris) else 0.0
        return PROCESS_MB + (max(recorded * DECODING_BYTES, picked * PICKING_BYTES) + contents) / 1e6

    def compute(
        self, job: Job, stations: pd.DataFrame, parts: Parts | None, contents: Mapping[str, bytes]
    ) -> Outcome:
        """Read, prepare and pick one station-day, margins included; picks and availability of the day."""
        from seisflow.waveforms import prepare_waveforms

        workflow, key = self.workflow, job.unit.key
        site = _site(stations, key)
        wide = key.window.widened(self.picking.margin_s)
        preparation = workflow.preparation
        span = wide.widened(preparation.margin_s)
        traces = workflow.archive.read(job.unit.uris, span, contents, preparation.bands)
        inventory = None
        if preparation.remove_response != "none":
            inventory = workflow.stations.responses(site["network"], site["station"])
        waveforms = prepare_waveforms(traces, preparation, wide, site, inventory)
        notes = [*traces.problems, *waveforms.attrs.get("problems", ())]
        del traces, contents  # as large as the dataset
        picks, problems = self.picking.pick(waveforms, key.window)
        availability = _availability(waveforms, key.window)
        return Outcome({"picks": picks, "availability": availability}, "; ".join([*notes, *problems]))


class Association(Stage):
    """Picks of a network-day to events."""

    name = "association"
    schemas: ClassVar = {"events": EVENTS, "assignments": ASSIGNMENTS, "picks": PICKS}

    @property
    def identity(self) -> list[Any]:
        """Return the identities of associator and velocity model."""
        workflow = self.workflow
        assert workflow.association is not None and workflow.velocity is not None
        return [workflow.association.identity(), workflow.velocity.model_dump_json()]

    @property
    def margin_s(self) -> float:
        """Seconds of picks that a network-day needs on both sides."""
        from seisflow.association.stitching import stitching_margin_s

        assert self.workflow.association is not None
        return stitching_margin_s(self.workflow.association)

    def memory_mb(self, unit: Unit) -> float:
        """Return an estimate of the peak memory, MB."""
        return PROCESS_MB

    def compute(
        self, job: Job, stations: pd.DataFrame, parts: Parts | None, contents: Mapping[str, bytes]
    ) -> Outcome:
        """Associate the picks around one network-day; events with origin in it, and their picks."""
        from seisflow.association import associate_picks
        from seisflow.association.stitching import explain_empty

        workflow = self.workflow
        assert parts is not None and workflow.association is not None and workflow.velocity is not None
        picks = parts.read("picks", PICKS, job.sources, job.unit.window.widened(self.margin_s))
        catalog = associate_picks(picks, stations, workflow.association, workflow.velocity, job.unit.window)
        note = "" if len(catalog.events) else explain_empty(catalog.picks, stations, workflow.association)
        assigned = catalog.picks[catalog.picks["pick_id"].isin(catalog.assignments["pick_id"])]
        return Outcome(
            {"events": catalog.events, "assignments": catalog.assignments, "picks": assigned}, note
        )


class Location(Stage):
    """Associated events of a network-day to hypocentres."""

    name = "location"
    schemas: ClassVar = {"events": EVENTS, "assignments": ASSIGNMENTS}

    @property
    def identity(self) -> list[Any]:
        """Return the identity of the locator."""
        assert self.workflow.location is not None
        return [self.workflow.location.identity()]

    def memory_mb(self, unit: Unit) -> float:
        """Return an estimate of the peak memory, MB."""
        return PROCESS_MB

    def compute(
        self, job: Job, stations: pd.DataFrame, parts: Parts | None, contents: Mapping[str, bytes]
    ) -> Outcome:
        """Locate the events of one network-day."""
        from seisflow.location import locate_events

        workflow = self.workflow
        assert parts is not None and workflow.location is not None and workflow.velocity is not None
        found = Catalog(
            parts.read("events", EVENTS, job.sources),
            parts.read("assignments", ASSIGNMENTS, job.sources),
            parts.read("picks", PICKS, job.sources),
        )
        catalog = locate_events(found, stations, workflow.velocity, workflow.location)
        return Outcome({"events": catalog.events, "assignments": catalog.assignments})


def stages_of(workflow: Workflow) -> list[Stage]:
    """Return the stages that a workflow asks for, each before those that read it."""
    stages: list[Stage] = [Picking(workflow)]
    if workflow.association is not None:
        stages.append(Association(workflow, stages[-1]))
    if workflow.location is not None:
        stages.append(Location(workflow, stages[-1]))
    return stages


def _any_remote(uris: Sequence[str]) -> bool:
    """Return whether any of some files lies on no local disk."""
    return "://" in "\n".join(uris)


def _site(stations: pd.DataFrame, key: Any) -> Mapping[str, Any]:
    """Return the row of STATIONS for a station-day."""
    from seisflow.earth.sites import active_sites

    own = stations[(stations["network"] == key.network) & (stations["station"] == key.station)]
    if own.empty:
        raise MetadataError(
            f"{key.network}.{key.station} has waveforms but no metadata; "
            "add it to the inventory and run again"
        )
    active = active_sites(own, key.window)
    if active.empty:
        raise MetadataError(
            f"{key.network}.{key.station} has metadata, but none for {key.window}; add this epoch"
        )
    return {str(name): value for name, value in active.iloc[0].items()}


def _availability(waveforms: xr.Dataset, window: Window) -> pd.DataFrame:
    """Return the AVAILABILITY row of a station-day, margins left out."""
    import pandas as pd

    first, end = np.searchsorted(waveforms["time"].to_numpy(), [window.start, window.end])
    present = np.isfinite(waveforms["waveform"].to_numpy()[:, first:end])
    edges = np.diff(present[0], prepend=True, append=True) if present.size else np.zeros(0, bool)
    row: dict[str, Any] = {
        name: str(waveforms.coords[name].item()) for name in ("network", "station", "location", "band")
    }
    row |= {
        "day": window.start.astype("datetime64[D]"),
        "components": "".join(str(c) for c in waveforms["component"].to_numpy()),
        "fraction": float(present.mean()) if present.size else 0.0,
        "n_gaps": int(edges.sum()) // 2,
    }
    return pd.DataFrame([row])
