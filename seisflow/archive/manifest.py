"""The manifest of an ingested store: what must be there, month by month, as tables."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from seisflow.archive.zarr_layout import MANIFEST
from seisflow.errors import ArchiveError
from seisflow.tables import HOLDINGS, PICKS, validate

if TYPE_CHECKING:
    from seisflow.storage import Place

__all__ = ["INGESTED", "manifests", "read_manifest"]

_TIME = PICKS.field("time").type


def _field(name: str, kind: pa.DataType, about: str, unit: str = "") -> pa.Field:
    metadata = {"about": about} | ({"unit": unit} if unit else {})
    return pa.field(name, kind, nullable=False, metadata=metadata)


INGESTED = pa.schema(
    [
        *(HOLDINGS.field(name) for name in ("network", "station", "location")),
        _field("channel", pa.string(), "SEED channel code"),
        HOLDINGS.field("day"),
        _field("array", pa.string(), "key of the array below the root of the store"),
        _field("sampling_rate_hz", pa.float64(), "sampling rate", "Hz"),
        _field("start", _TIME, "first sample"),
        _field("end", _TIME, "last sample"),
        _field("n_samples", pa.int64(), "samples of all traces"),
        _field("n_traces", pa.int32(), "contiguous traces"),
        _field("n_bytes", pa.int64(), "size of the shard", "byte"),
        _field("checksum", pa.string(), "hash of the document, which vouches for every chunk of the shard"),
        _field("sources", pa.string(), "files it was read from, one a line"),
        _field("problems", pa.string(), "what was noticed on reading these; '' where nothing was"),
    ],
    metadata={
        "table": "INGESTED",
        "about": "What a Zarr store holds: a row for each array (a channel, day, rate and sample type).",
    },
)


def manifests(root: Place) -> dict[str, Place]:
    """Return the manifest of each month (``2014-08``) of a store that has one."""
    folder = root.below(MANIFEST)
    if not folder.is_folder():
        return {}
    return {file.relative.removesuffix(".parquet"): folder.below(file.relative) for file in folder.files()}


def read_manifest(manifest: Place) -> pd.DataFrame:
    """Return the manifest of a month, an INGESTED table.

    Raises
    ------
    ArchiveError
        If it is damaged.
    """
    try:
        frame: Any = pd.read_parquet(io.BytesIO(manifest.read_bytes()))
        table: pd.DataFrame = validate(frame, INGESTED)
    except ValueError as error:  # of pyarrow and of the schema
        raise ArchiveError(
            f"{manifest.uri} is damaged: {error}; run seisflow ingest again, which writes it anew"
        ) from error
    return table
