"""One channel of one UTC day as a Zarr v3 array: its document (``zarr.json``) and its only shard.

The traces lie one behind the other in an array of samples, just as they were recorded; the document
says when each begins, and vouches for itself and for every chunk of the shard.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from seisflow.archive.shards import Shard, Spread, decode_samples, encode_samples
from seisflow.archive.zarr_layout import DOCUMENT
from seisflow.errors import ArchiveError
from seisflow.traces import ChannelTraces

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seisflow.keys import Window

__all__ = ["ChannelDay", "Document", "encode_channel", "group_document"]

FORMAT = 1
FILL = {"int32": int(np.iinfo(np.int32).min), "float32": "NaN", "float64": "NaN"}
"""What Zarr libraries show where the shard is missing: nothing that could be taken for a sample."""
SEAL = b',"checksum":"%s"}}'
"""How a document ends: with the hash of all that stands before."""
SEAL_BLANK = SEAL % (b"0" * 16)


class ChannelDay(NamedTuple):
    """A channel-day as it is stored.

    Attributes
    ----------
    document : bytes
        The ``zarr.json`` of the array.
    shard : bytes
    checksum : str
        Hash of the document, and so of all it vouches for.
    """

    document: bytes
    shard: bytes
    checksum: str


def encode_channel(
    channel: ChannelTraces, *, sources: Sequence[str] = (), problems: Sequence[str] = ()
) -> ChannelDay:
    """Return the traces of a channel as the bytes of an array; nothing is lost.

    Parameters
    ----------
    channel : ChannelTraces
        With one sample at least.
    sources : sequence of str
        Files that the traces were read from.
    problems : sequence of str
        What was noticed on reading them.
    """
    content, shard = encode_samples(np.ascontiguousarray(channel.samples))
    attributes = {
        "seisflow_format": FORMAT,
        "network": channel.network,
        "station": channel.station,
        "location": channel.location,
        "channel": channel.channel,
        "sampling_rate_hz": float(channel.rate_hz),
        "units": "count",
        "starts_ns": channel.starts_ns.tolist(),
        "lengths": channel.lengths.tolist(),
        "sources": list(sources),
        "problems": list(problems),
        "chunks": shard.chunks,
    }
    n_samples, n_chunk = len(channel.samples), shard.chunk_samples
    document: dict[str, Any] = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [n_samples],
        "data_type": str(shard.dtype),
        "chunk_grid": {
            "name": "regular",
            "configuration": {"chunk_shape": [n_chunk * len(shard.chunk_bytes)]},
        },
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": FILL[str(shard.dtype)],
        "codecs": shard.codecs,
        "dimension_names": [f"{channel.location}{channel.channel}_sample"],
        "attributes": attributes,
    }
    body = json.dumps(document, separators=(",", ":")).encode().removesuffix(b"}}")
    checksum = _checksum(body)
    return ChannelDay(body + SEAL % checksum.encode(), content, checksum)


def group_document(attributes: Mapping[str, Any]) -> bytes:
    """Return the ``zarr.json`` of a group."""
    return json.dumps({"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)}).encode()


class Document:
    """The document of a channel-day, checked.

    Parameters
    ----------
    content : bytes
        A ``zarr.json``.
    uri : str
        Path or URL of the array, for messages.

    Attributes
    ----------
    attributes : dict
        Codes, sampling rate, starts and lengths of the traces, sources, problems.
    shard : Shard
    problems : list of str
        What was noticed when the day was ingested.

    Raises
    ------
    ArchiveError
        If it is damaged, or none that seisflow wrote.
    """

    def __init__(self, content: bytes, uri: str) -> None:
        self.uri = uri
        body, seal = content[: -len(SEAL_BLANK)], content[-len(SEAL_BLANK) :]
        if seal != SEAL % _checksum(body).encode():
            raise ArchiveError(
                f"{uri}/{DOCUMENT} is damaged, or is not as seisflow ingest wrote it; "
                "ingest with --verify again"
            )
        document = json.loads(content)
        self.attributes: dict[str, Any] = document["attributes"]
        known = self.attributes["seisflow_format"]
        if known != FORMAT:
            raise ArchiveError(f"{uri} has the format {known}, this seisflow reads {FORMAT}; update seisflow")
        self.shard = Shard.of_array(document, self.attributes["chunks"])
        self.problems: list[str] = self.attributes["problems"]

    @property
    def header(self) -> ChannelTraces:
        """The traces without their samples."""
        about = self.attributes
        return ChannelTraces(
            about["network"],
            about["station"],
            about["location"],
            about["channel"],
            float(about["sampling_rate_hz"]),
            np.array(about["starts_ns"], dtype=np.int64),
            np.array(about["lengths"], dtype=np.int64),
            np.empty(0, dtype=self.shard.dtype),
        )

    def traces(
        self, window: Window, read: Callable[[int, int], bytes], spread: Spread = map
    ) -> ChannelTraces | None:
        """Return what lies in a window, or None; only chunks that the window touches are read.

        Parameters
        ----------
        window : Window
        read : callable
            Gives the bytes ``[first, last)`` of the shard.
        spread : callable
            Decodes parts of what was read, as for `decode_samples`.

        Raises
        ------
        ArchiveError
            If the shard is damaged, or not the one this document was written for.
        """
        whole = self.header
        skip, stop = _samples_before(np.array([window.start, window.end]), whole)
        is_in = stop > skip
        if not is_in.any():
            return None
        offsets = whole.offsets[is_in]
        first, last = offsets + skip[is_in], offsets + stop[is_in]
        elapsed_ns = np.rint(skip[is_in] / (whole.rate_hz * 1e-9)).astype(np.int64)
        return whole._replace(
            starts_ns=whole.starts_ns[is_in] + elapsed_ns,
            lengths=last - first,
            samples=decode_samples(self.shard, _joined(first, last), read, self.uri, spread),
        )


def _samples_before(times: NDArray[np.datetime64], channel: ChannelTraces) -> NDArray[np.int64]:
    """Return how many samples of each trace lie before some instants, shape (instants, traces).

    Rounded up, but not for the rounding error of a whole number; just as miniSEED is cut.
    """
    elapsed_ns = times.astype("datetime64[ns]").view(np.int64)[:, None] - channel.starts_ns
    counts = np.ceil(elapsed_ns * (channel.rate_hz * 1e-9) - 1e-6)
    within: NDArray[np.int64] = np.minimum(np.maximum(counts, 0), channel.lengths).astype(np.int64)
    return within


def _joined(first: NDArray[np.int64], last: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return ascending spans of positions, those that meet made one."""
    begins = np.concatenate([[True], first[1:] != last[:-1]])
    ends = np.concatenate([begins[1:], [True]])
    return list(zip(first[begins].tolist(), last[ends].tolist(), strict=True))


def _checksum(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=8).hexdigest()
