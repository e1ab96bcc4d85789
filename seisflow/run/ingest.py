"""Ingest: what an archive holds becomes an analysis-ready Zarr store, a station-day at a time.

A station-day is written by one task: shard, then document of each channel, then the document of its
group, and then its row in the ledger. What was half written when a worker died is trusted by nobody
and is written again. The manifest of what must be there is the driver's, at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from seisflow.archive.channel_days import FORMAT, encode_channel, group_document
from seisflow.archive.manifest import INGESTED, manifests, read_manifest
from seisflow.archive.zarr_layout import (
    DOCUMENT,
    RUN,
    SHARD,
    array_name,
    month_key,
    parent_groups,
    station_day_key,
)
from seisflow.errors import ArchiveError
from seisflow.keys import DAY, Period, StationDay
from seisflow.run.lease import Lease
from seisflow.run.ledger import Ledger
from seisflow.run.parts import Parts
from seisflow.run.stages import (
    DECODING_BYTES,
    FASTEST_HZ,
    LEAST_BYTES_PER_SAMPLE,
    PROCESS_MB,
    Outcome,
    Stage,
)
from seisflow.run.store import Store
from seisflow.run.units import Source
from seisflow.run.verify import void_damaged
from seisflow.run.workflow import RunReport, run_workflow
from seisflow.storage import open_place
from seisflow.tables import concatenate, empty, validate
from seisflow.traces import ChannelTraces, Traces
from seisflow.waveforms import Preparation

if TYPE_CHECKING:
    from distributed import Client

    from seisflow.keys import Window
    from seisflow.run.plan import Plan
    from seisflow.run.snapshot import Snapshot
    from seisflow.run.units import Job, Unit
    from seisflow.workflow import Workflow

__all__ = ["Ingest", "ingest_archive", "write_station_day"]


def ingest_archive(
    workflow: Workflow,
    root: str,
    client: Client | None = None,
    show: Callable[[Snapshot], None] | None = None,
    say: Callable[[str], None] = lambda line: None,
    *,
    verify: bool = False,
) -> RunReport:
    """Write what the archive of a workflow holds of its period and stations into a Zarr store.

    What an earlier call has written is kept; a call that was interrupted goes on where it stopped.

    Parameters
    ----------
    workflow : Workflow
        Its archive, period, stations and deployment count. Days at the ends of the period are
        ingested as whole UTC days.
    root : str
        Path or URL of the store; `storage_options` of the workflow are for it.
    client : distributed.Client, optional
        Where to run; None runs everything in this process.
    show : callable, optional
        Given a snapshot now and then.
    say : callable, optional
        Given lines on what the archive fetches before the scan.
    verify : bool
        Whether to read all that is there of the period first: what is damaged or gone is ingested again.

    Returns
    -------
    RunReport
        `tables` holds the table `ingested`.

    Raises
    ------
    LeaseError
        If another driver writes to the store.
    ArchiveError, MetadataError
        If archive or inventory can not be read at all.
    """
    target = _within(workflow, root)
    stage = Ingest(target)
    if verify:
        store = Store(target.output, target.storage_options)
        with Lease(store):
            void_damaged(
                stage.target, Ledger(store, store.stage(stage.name, stage.fingerprint)), target.period
            )
    return run_workflow(target, client, show=show, say=say, stages=[stage])


class Ingest(Stage):
    """Waveforms of a station-day to arrays of a Zarr store."""

    name = "ingest"
    schemas: ClassVar = {"ingested": INGESTED}
    most_units: ClassVar[int] = 100

    @property
    def identity(self) -> list[Any]:
        """Return the form of the store and the identity of the archive layout."""
        return [FORMAT, self.workflow.archive.identity()]

    @property
    def reach_s(self) -> float:
        """Return what lets the files of both neighbouring days be read: midnight is never their border."""
        return 1.0

    @property
    def target(self) -> Store:
        """The Zarr store."""
        return Store(self.workflow.output.removesuffix(f"/{RUN}"), self.workflow.storage_options)

    def is_remote(self, job: Job) -> bool:
        """Return whether a file of a station-day lies on no local disk."""
        return any("://" in uri for uri in job.unit.uris)

    def fetch(self, job: Job) -> Mapping[str, bytes]:
        """Return the files of a station-day, where they lie on no local disk."""
        return self.workflow.archive.fetch(job.unit.uris)

    def memory_mb(self, unit: Unit) -> float:
        """Return an estimate of the peak memory from the bytes that are decoded, MB."""
        seconds = unit.window.duration_s + 2.0 * self.reach_s
        samples = min(unit.n_bytes / LEAST_BYTES_PER_SAMPLE, unit.n_channels * FASTEST_HZ * seconds)
        contents = 2.0 * unit.n_bytes if any("://" in uri for uri in unit.uris) else 0.0
        return PROCESS_MB + (samples * DECODING_BYTES + contents) / 1e6

    def compute(
        self, job: Job, stations: pd.DataFrame, parts: Parts | None, contents: Mapping[str, bytes]
    ) -> Outcome:
        """Read one station-day file by file, so that each source is known, and write it."""
        key, archive = job.unit.key, self.workflow.archive
        assert isinstance(key, StationDay)
        read = {uri: archive.read([uri], key.window, contents) for uri in job.unit.uris}
        for uri, traces in read.items():
            traces.problems.extend(_left_out(job.unit, uri, partial(archive.read, [uri], contents=contents)))
        table = write_station_day(self.target, key, read)
        return Outcome(
            {"ingested": table}, "; ".join(line for traces in read.values() for line in traces.problems)
        )

    def publish(self, plan: Plan) -> None:
        """Write the manifest of each month of the plan, and the groups above the station-days."""
        target, store = self.target, plan.store
        table = store.read_table(f"{store.tables}/ingested.parquet", INGESTED)
        months = table["day"].astype(str).str[:7]
        groups = {""}
        for month, numbers in plan.months.items():
            planned = {name for number in numbers for name in plan.stages[0].names(number)}
            rows = concatenate([table[months == month], self._others(plan, month, planned)], INGESTED)
            rows = rows.sort_values(["day", "array"], ignore_index=True)
            target.write_table(month_key(month), rows, INGESTED)
            groups |= {group for array in rows["array"] for group in parent_groups(array)}
        for group in sorted(groups):
            target.write_bytes(f"{group}/{DOCUMENT}".lstrip("/"), group_document({}))

    def _others(self, plan: Plan, month: str, planned: set[str]) -> pd.DataFrame:
        """Return what the store holds of a month beside the station-days of the plan.

        The manifest that is there says so; where it is damaged, parts and ledger do.
        """
        known = manifests(open_place(self.target.root, self.workflow.storage_options))
        if month not in known:
            return empty(INGESTED)
        try:
            rows = read_manifest(known[month])
        except ArchiveError:
            ledger = plan.stages[0].ledger
            done = ledger.table(month)
            done = done[(done["part"] != "") & ~done["unit"].isin(planned)]
            sources = [Source(unit, part) for unit, part in zip(done["unit"], done["part"], strict=True)]
            return Parts(plan.store, ledger.folder).read("ingested", INGESTED, sources)
        units = rows["network"] + "." + rows["station"] + "." + rows["day"].astype(str)
        return rows[~units.isin(planned)]


def write_station_day(store: Store, key: StationDay, read: Mapping[str, Traces]) -> pd.DataFrame:
    """Write a station-day into a store; what was there of that day before is replaced.

    Parameters
    ----------
    store : Store
        The Zarr store.
    key : StationDay
    read : mapping of str to Traces
        What each file holds of the day, by its URI; channels of other stations are left out.

    Returns
    -------
    pandas.DataFrame
        INGESTED table, a row for each array.
    """
    group = station_day_key(key.network, key.station, key.day)
    rows = []
    for name, parts in _arrays(read, key).items():
        sources = list(dict.fromkeys(uri for uri, _ in parts))
        problems = [line for uri in sources for line in read[uri].problems]
        channel = _joined([channel for _, channel in parts])
        stored = encode_channel(channel, sources=sources, problems=problems)
        store.write_bytes(f"{group}/{name}/{SHARD}", stored.shard)
        store.write_bytes(f"{group}/{name}/{DOCUMENT}", stored.document)
        rows.append(
            {
                **{code: getattr(channel, code) for code in ("network", "station", "location", "channel")},
                "day": key.day,
                "array": f"{group}/{name}",
                "sampling_rate_hz": channel.rate_hz,
                "start": pd.Timestamp(int(channel.starts_ns.min()), tz="UTC"),
                "end": pd.Timestamp(int(channel.ends_ns.max()) - 1, tz="UTC"),
                "n_samples": len(channel.samples),
                "n_traces": len(channel.lengths),
                "n_bytes": len(stored.shard),
                "checksum": stored.checksum,
                "sources": "\n".join(sources),
                "problems": "; ".join(problems),
            }
        )
    _finish_group(store, group, key, [str(row["array"]) for row in rows])
    return validate(pd.DataFrame(rows, columns=INGESTED.names), INGESTED)


def _within(workflow: Workflow, root: str) -> Workflow:
    """Return the workflow whose run is kept inside the store: whole days, nothing but the archive counts."""
    start, end = workflow.period.start, workflow.period.end
    whole = Period(
        start.astype("datetime64[D]"), (end - np.timedelta64(1, "ns")).astype("datetime64[D]") + DAY
    )
    alone = {"preparation": Preparation(), "association": None, "location": None}
    output = f"{Store(root).root}/{RUN}"
    return workflow.model_copy(update={"period": whole, "output": output} | alone)


def _left_out(unit: Unit, uri: str, read: Callable[[Window], Traces]) -> Iterator[str]:
    """Yield a line for each day beside a station-day whose samples a file holds and no unit ingests."""
    assert isinstance(unit.key, StationDay)
    for window in unit.unread:
        own = [
            c for c in read(window).channels if (c.network, c.station) == (unit.key.network, unit.key.station)
        ]
        if own:
            n, day = sum(len(channel.samples) for channel in own), window.start.astype("datetime64[D]")
            yield f"{uri}: {n} samples lie on {day}, a day without a file of its own; they are not ingested"


def _arrays(read: Mapping[str, Traces], key: StationDay) -> dict[str, list[tuple[str, ChannelTraces]]]:
    """Return what makes each array of a station-day (a channel, rate and sample type), and its file."""
    groups: dict[tuple[str, str], dict[tuple[float, str], list[tuple[str, ChannelTraces]]]] = {}
    for uri, traces in read.items():
        for channel in traces.channels:
            if (channel.network, channel.station) == (key.network, key.station) and len(channel.samples):
                kinds = groups.setdefault((channel.location, channel.channel), {})
                kind = (channel.rate_hz, channel.samples.dtype.str)
                kinds.setdefault(kind, []).append((uri, channel))
    return {
        array_name(*codes, number): parts
        for codes, kinds in sorted(groups.items())
        for number, parts in enumerate(kinds.values(), start=1)
    }


def _joined(parts: Sequence[ChannelTraces]) -> ChannelTraces:
    """Return the traces of a channel from several files, one behind the other."""
    if len(parts) == 1:
        return parts[0]
    return parts[0]._replace(
        starts_ns=np.concatenate([part.starts_ns for part in parts]),
        lengths=np.concatenate([part.lengths for part in parts]),
        samples=np.concatenate([part.samples for part in parts]),
    )


def _finish_group(store: Store, group: str, key: StationDay, arrays: Sequence[str]) -> None:
    """Remove arrays that the day no longer has, and write the document that makes it visible."""
    store.sweep(group)
    kept = {f"{array}/{name}" for array in arrays for name in (DOCUMENT, SHARD)}
    kept |= {f"{group}/{DOCUMENT}"} if arrays else set()
    for left_over in sorted(set(store.keys(group)) - kept):
        store.delete(left_over)
    if arrays:
        about = {"network": key.network, "station": key.station, "day": str(key.day)}
        store.write_bytes(f"{group}/{DOCUMENT}", group_document(about))
