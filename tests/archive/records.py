"""miniSEED written record by record, so that tests can spoil it and know the truth."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import obspy
from numpy.typing import NDArray

from seisflow.traces import ChannelTraces

RECORD = 512
RATE_HZ = 100.0
START = "2014-08-24T00:00:00"
START_NS = int(np.datetime64(START, "ns").astype("int64"))
SIGNAL = np.cumsum(np.random.default_rng(4).normal(0.0, 40.0, 20000)).astype(np.int32)
CODES = {"network": "Z7", "station": "AAA", "channel": "HHZ"}


def miniseed(
    data: NDArray[Any] = SIGNAL,
    start: str = START,
    rate_hz: float = RATE_HZ,
    encoding: str = "STEIM2",
    byteorder: str = ">",
    **codes: str,
) -> bytes:
    """Return samples as 512-byte records."""
    header = {**CODES, **codes, "starttime": obspy.UTCDateTime(start), "sampling_rate": rate_hz}
    buffer = io.BytesIO()
    trace = obspy.Trace(data, header)
    trace.write(buffer, format="MSEED", reclen=RECORD, encoding=encoding, byteorder=byteorder)
    return buffer.getvalue()


CONTENT = miniseed()
N_RECORDS = len(CONTENT) // RECORD


def record(number: int, content: bytes = CONTENT) -> bytes:
    """Return one record."""
    return content[number * RECORD : (number + 1) * RECORD]


def count_of(one: bytes) -> int:
    """Return the samples that the header of a record states."""
    return int(struct.unpack(">H", one[30:32])[0])


FIRSTS = np.concatenate([[0], np.cumsum([count_of(record(i)) for i in range(N_RECORDS)])])
"""Number of the first sample of each record of `CONTENT`, and the end."""


def samples_of(*numbers: int) -> NDArray[np.int64]:
    """Return which samples of `SIGNAL` some records of `CONTENT` hold."""
    return np.concatenate([np.arange(FIRSTS[i], FIRSTS[i + 1]) for i in numbers])


def changed(content: bytes, at: int, what: bytes) -> bytes:
    """Return bytes with some replaced."""
    return content[:at] + what + content[at + len(what) :]


def on_grid(channels: list[ChannelTraces], n: int = len(SIGNAL)) -> NDArray[np.float64]:
    """Return decoded samples in the places that their times give them, NaN where there is none."""
    out = np.full(n, np.nan)
    for channel in channels:
        for start_ns, first, length in zip(channel.starts_ns, channel.offsets, channel.lengths, strict=True):
            at = round((int(start_ns) - START_NS) * channel.rate_hz / 1e9)
            part = channel.samples[first : first + length]
            inside = (np.arange(at, at + length) >= 0) & (np.arange(at, at + length) < n)
            places = np.arange(at, at + length)[inside]
            clash = ~np.isnan(out[places]) & (out[places] != part[inside])
            assert not clash.any(), "samples contradict each other"
            out[places] = part[inside]
    return out


def without(*numbers: int) -> NDArray[np.float64]:
    """Return the signal with the samples of some records missing."""
    expected = SIGNAL.astype(float)
    expected[samples_of(*numbers)] = np.nan
    return expected
