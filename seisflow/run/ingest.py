"""Ingest: what an archive holds becomes an analysis-ready Zarr store, a station-day at a time.

A station-day is written by one task: shard, then document of each channel, the document of the group
last, and then its row in the ledger. Whatever was half written when a worker died is not trusted by
anybody and is written again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from seisflow.archive.channel_days import encode_channel, group_document
from seisflow.archive.zarr_layout import DOCUMENT, SHARD, array_name, station_day_key
from seisflow.keys import StationDay
from seisflow.tables import INGESTED, validate
from seisflow.traces import ChannelTraces, Traces

if TYPE_CHECKING:
    from seisflow.run.store import Store

__all__ = ["write_station_day"]


def write_station_day(store: Store, key: StationDay, traces: Traces, sources: Sequence[str]) -> pd.DataFrame:
    """Write the traces of a station-day into a store; what was there of that day before is replaced.

    Parameters
    ----------
    store : Store
        The Zarr store.
    key : StationDay
    traces : Traces
        Cut to the day; channels of other stations are left out.
    sources : sequence of str
        Files they were read from.

    Returns
    -------
    pandas.DataFrame
        INGESTED table, a row for each array.
    """
    group = station_day_key(key.network, key.station, key.day)
    rows = []
    for name, channel in _arrays(traces, key):
        stored = encode_channel(channel, sources=sources, problems=traces.problems)
        store.write_bytes(f"{group}/{name}/{SHARD}", stored.shard)
        store.write_bytes(f"{group}/{name}/{DOCUMENT}", stored.document)
        first_ns, last_ns = _extent(channel)
        rows.append(
            {
                **{code: getattr(channel, code) for code in ("network", "station", "location", "channel")},
                "day": key.day,
                "array": f"{group}/{name}",
                "sampling_rate_hz": channel.rate_hz,
                "start": pd.Timestamp(first_ns, tz="UTC"),
                "end": pd.Timestamp(last_ns, tz="UTC"),
                "n_samples": len(channel.samples),
                "n_traces": len(channel.lengths),
                "n_bytes": len(stored.shard),
                "checksum": stored.checksum,
                "sources": "\n".join(sources),
                "problems": "; ".join(traces.problems),
            }
        )
    _finish_group(store, group, key, [row["array"] for row in rows])
    return validate(pd.DataFrame(rows, columns=INGESTED.names), INGESTED)


def _arrays(traces: Traces, key: StationDay) -> list[tuple[str, ChannelTraces]]:
    """Return the arrays of a station-day by name: one for each channel, rate and sample type."""
    groups: dict[tuple[str, str], dict[tuple[float, str], list[ChannelTraces]]] = {}
    for channel in traces.channels:
        if (channel.network, channel.station) == (key.network, key.station) and len(channel.samples):
            kinds = groups.setdefault((channel.location, channel.channel), {})
            kinds.setdefault((channel.rate_hz, channel.samples.dtype.str), []).append(channel)
    return [
        (array_name(*codes, number), _joined(parts))
        for codes, kinds in sorted(groups.items())
        for number, parts in enumerate(kinds.values(), start=1)
    ]


def _joined(parts: Sequence[ChannelTraces]) -> ChannelTraces:
    """Return the traces of a channel from several files, one behind the other."""
    if len(parts) == 1:
        return parts[0]
    return parts[0]._replace(
        starts_ns=np.concatenate([part.starts_ns for part in parts]),
        lengths=np.concatenate([part.lengths for part in parts]),
        samples=np.concatenate([part.samples for part in parts]),
    )


def _extent(channel: ChannelTraces) -> tuple[int, int]:
    """Return the times of the first and the last sample, ns since 1970."""
    last_ns = channel.starts_ns + np.rint((channel.lengths - 1) * 1e9 / channel.rate_hz).astype(np.int64)
    return int(channel.starts_ns.min()), int(last_ns.max())


def _finish_group(store: Store, group: str, key: StationDay, arrays: Sequence[str]) -> None:
    """Remove arrays that the day no longer has, and write the document that makes it visible."""
    there = store.keys(group)
    kept = {f"{array}/{name}" for array in arrays for name in (DOCUMENT, SHARD)} | {f"{group}/{DOCUMENT}"}
    for left_over in sorted(set(there) - kept):
        store.delete(left_over)
    if arrays:
        about = {"network": key.network, "station": key.station, "day": str(key.day)}
        store.write_bytes(f"{group}/{DOCUMENT}", group_document(about))
    elif there:
        store.delete(f"{group}/{DOCUMENT}")
