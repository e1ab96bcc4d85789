"""What archives give and waveforms take: the samples of channels, gaps and overlaps as they were recorded.

A day with thousands of gaps is a few arrays, not thousands of objects: the traces of one channel at
one rate lie behind each other in one array of samples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import obspy
    from numpy.typing import NDArray

__all__ = ["ChannelTraces", "Traces"]


class ChannelTraces(NamedTuple):
    """The contiguous traces of one channel that share sampling rate and sample type.

    Attributes
    ----------
    network, station, location, channel : str
        SEED codes; location '' where blank.
    rate_hz : float
        Sampling rate as the records state it.
    starts_ns : numpy.ndarray of int64, shape (traces,)
        Time of the first sample of each trace, ns since 1970, UTC; in the order of the file.
    lengths : numpy.ndarray of int64, shape (traces,)
        Samples of each trace.
    samples : numpy.ndarray of int32, float32 or float64, shape (lengths.sum(),)
        The traces one behind the other.
    """

    network: str
    station: str
    location: str
    channel: str
    rate_hz: float
    starts_ns: NDArray[np.int64]
    lengths: NDArray[np.int64]
    samples: NDArray[np.int32] | NDArray[np.float32] | NDArray[np.float64]

    @property
    def id(self) -> str:
        """SEED identifier, NET.STA.LOC.CHA."""
        return f"{self.network}.{self.station}.{self.location}.{self.channel}"

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Index of the first sample of each trace, shape (traces,)."""
        return np.concatenate([[0], np.cumsum(self.lengths)[:-1]]).astype(np.int64)

    @property
    def ends_ns(self) -> NDArray[np.int64]:
        """One nanosecond after the last sample of each trace, shape (traces,)."""
        last_ns = np.rint((self.lengths - 1) * (1e9 / self.rate_hz)).astype(np.int64)
        ends_ns: NDArray[np.int64] = self.starts_ns + last_ns + 1
        return ends_ns


class Traces(NamedTuple):
    """Decoded channels, and what was noticed on the way.

    Attributes
    ----------
    channels : list of ChannelTraces
        In any order; a channel stands there several times if its rate or sample type changes.
    problems : list of str
        A line for everything that was left out, mended or is doubtful; empty when all is well.
    """

    channels: list[ChannelTraces]
    problems: list[str]

    def to_stream(self) -> obspy.Stream:
        """Return the traces as an ObsPy stream, unmerged; samples are shared, not copied."""
        import obspy

        traces = []
        for channel in self.channels:
            codes = {name: getattr(channel, name) for name in ("network", "station", "location", "channel")}
            for start_ns, first, n in zip(channel.starts_ns, channel.offsets, channel.lengths, strict=True):
                header = codes | {"starttime": obspy.UTCDateTime(ns=int(start_ns))}
                samples = channel.samples[first : first + n]
                traces.append(obspy.Trace(samples, header | {"sampling_rate": channel.rate_hz}))
        return obspy.Stream(traces)

    @classmethod
    def of_stream(cls, stream: obspy.Stream, problems: list[str] | None = None) -> Traces:
        """Return the traces of an ObsPy stream; traces of one channel, rate and type lie together."""
        groups: dict[tuple[str, float, str], list[obspy.Trace]] = {}
        for trace in stream.split():  # a masked trace is several
            groups.setdefault((trace.id, trace.stats.sampling_rate, trace.data.dtype.str), []).append(trace)
        channels = []
        for (_, rate_hz, _), traces in groups.items():
            stats = traces[0].stats
            channels.append(
                ChannelTraces(
                    stats.network,
                    stats.station,
                    stats.location,
                    stats.channel,
                    rate_hz,
                    np.array([trace.stats.starttime.ns for trace in traces], dtype=np.int64),
                    np.array([len(trace.data) for trace in traces], dtype=np.int64),
                    np.concatenate([trace.data for trace in traces]),
                )
            )
        return cls(channels, list(problems or []))
