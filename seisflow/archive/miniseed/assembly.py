"""From the records of one channel and rate to traces: decoded, checked, joined and cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from seisflow.archive.miniseed import samples as kernels
from seisflow.traces import ChannelTraces

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seisflow.archive.miniseed.damage import Damage
    from seisflow.keys import Window

__all__ = ["PLAIN", "SAMPLE_TYPES", "STEIM", "cut", "decode", "trace_heads", "traces_of"]

STEIM = {10: 1, 11: 2}
"""Encodings of Steim compression, and the level of each."""

PLAIN = {1: 2, 3: 4, 4: 4, 5: 8}
"""Encodings without compression (int16, int32, float32, float64), and the bytes of a sample."""

SAMPLE_TYPES = {1: "i4", 3: "i4", 4: "f4", 5: "f8", 10: "i4", 11: "i4"}


def decode(
    rows: NDArray[Any], rate_hz: float, buffer: NDArray[np.uint8], damage: Damage
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Decode records of one channel and rate that share a type of sample.

    Returns
    -------
    rows : numpy.ndarray of `records.ROW`
        Those that are sound, their number of samples set right where the header had it wrong.
    samples : numpy.ndarray of int32, float32 or float64
        Of these rows, one behind the other.
    """
    dtype = np.dtype(SAMPLE_TYPES[int(rows["encoding"][0])])
    room = rows["data_bytes"] // np.array([PLAIN.get(code, 1) for code in range(256)])[rows["encoding"]]
    is_short = np.isin(rows["encoding"], list(PLAIN)) & (rows["n"] > room)
    # No word of four bytes holds more than seven differences.
    is_short |= np.isin(rows["encoding"], list(STEIM)) & (rows["data_bytes"] < 64)
    damage.add("hold fewer samples than their header says and are left out", rows[is_short])
    rows = rows[~is_short]
    samples, verdicts, found = _decoded(rows, buffer, dtype)
    is_miscounted = verdicts == kernels.COUNT
    if is_miscounted.any():
        is_miscounted &= _meet_the_next(rows, found, rate_hz)
        damage.add(
            "hold another number of samples than their header says; the samples agree with their "
            "check value and the next record, and are used",
            rows[is_miscounted],
        )
        rows = rows.copy()
        rows["n"][is_miscounted] = found[is_miscounted]
        samples, verdicts, _ = _decoded(rows, buffer, dtype)
    damage.add(
        "hold more samples than their header says; those are left out", rows[verdicts == kernels.EXTRA]
    )
    is_bad = (verdicts == kernels.COUNT) | (verdicts > kernels.EXTRA)
    if is_bad.any():
        damage.add("fail their integrity check and are left out", rows[is_bad])
        samples = samples[np.repeat(~is_bad, rows["n"])]
        rows = rows[~is_bad]
    return rows, samples


def _meet_the_next(rows: NDArray[Any], counts: NDArray[np.int64], rate_hz: float) -> NDArray[np.bool_]:
    """Return whether each record, if it held so many samples, would end where another begins."""
    half_ns = 0.5e9 / rate_hz
    starts_ns = np.sort(rows["start_ns"])
    ends_ns = rows["start_ns"] + np.rint(counts * 1e9 / rate_hz).astype(np.int64)
    nearest = np.searchsorted(starts_ns, ends_ns - half_ns)
    waits_ns = starts_ns[np.minimum(nearest, len(rows) - 1)] - ends_ns
    meets: NDArray[np.bool_] = (nearest < len(rows)) & (waits_ns <= half_ns)
    return meets


def _decoded(
    rows: NDArray[Any], buffer: NDArray[np.uint8], dtype: np.dtype[Any]
) -> tuple[NDArray[Any], NDArray[np.uint8], NDArray[np.int64]]:
    """Return the samples of all rows, whether each is sound, and how many samples it holds."""
    counts = rows["n"].copy()
    firsts = np.cumsum(counts) - counts
    begins = rows["at"] + rows["data_at"]
    is_little = rows["is_little"].astype(bool)
    samples = np.empty(int(counts.sum()), dtype)
    verdicts, found = np.zeros(len(rows), np.uint8), counts.copy()
    for encoding in np.unique(rows["encoding"]).tolist():
        is_in = rows["encoding"] == encoding
        which = slice(None) if is_in.all() else is_in
        if encoding in PLAIN:
            words = samples.view(np.uint64 if dtype.itemsize == 8 else np.uint32)
            kernels.gather_words(
                buffer,
                begins[which],
                counts[which],
                firsts[which],
                PLAIN[encoding],
                is_little[which],
                words,
            )
            continue
        verdict, held = np.zeros(int(is_in.sum()), np.uint8), np.zeros(int(is_in.sum()), np.int64)
        n_frames = rows["data_bytes"][which] // 64
        arrays = (begins[which], n_frames, counts[which], firsts[which])
        kernels.decode_steim(buffer, *arrays, STEIM[encoding], is_little[which], samples, verdict, held)
        verdicts[which], found[which] = verdict, held
    return samples, verdicts, found


def traces_of(
    rows: NDArray[Any], rate_hz: float, codes: tuple[str, str, str, str], samples: NDArray[Any]
) -> ChannelTraces:
    """Join records of one channel and rate that continue each other, in the order of the file."""
    starts_ns, counts = rows["start_ns"].copy(), rows["n"].copy()
    heads = trace_heads(starts_ns, counts, rate_hz)
    return ChannelTraces(*codes, rate_hz, starts_ns[heads], np.add.reduceat(counts, heads), samples)


def trace_heads(starts_ns: NDArray[np.int64], counts: NDArray[np.int64], rate_hz: float) -> NDArray[np.int64]:
    """Return which records do not begin within half a sample of where the trace so far would go on.

    A clock that is a little off would move the samples without end if only neighbours were compared.
    """
    return np.flatnonzero(_begins_trace(starts_ns, counts, rate_hz))


@numba.njit(cache=True, nogil=True)
def _begins_trace(starts_ns: Any, counts: Any, rate_hz: float) -> Any:
    begins = np.ones(len(starts_ns), dtype=np.bool_)
    period_ns = 1e9 / rate_hz
    first, held = starts_ns[0], 0
    for i in range(len(starts_ns)):
        if i and abs((starts_ns[i] - first) - held * period_ns) <= 0.5 * period_ns:
            begins[i] = False
        else:
            first, held = starts_ns[i], 0
        held += counts[i]
    return begins


def cut(channel: ChannelTraces, window: Window) -> ChannelTraces | None:
    """Return the samples in ``[start, end)``, or None; times are whole nanoseconds.

    Traces without samples, as headers give them, are cut too.
    """
    per_ns = channel.rate_hz * 1e-9
    begin, end = (int(time.astype("int64")) for time in (window.start, window.end))
    # Rounded up, but not for the rounding error of a whole number.
    skip = np.ceil((begin - channel.starts_ns) * per_ns - 1e-6).clip(0).astype(np.int64)
    stop = np.ceil((end - channel.starts_ns) * per_ns - 1e-6).astype(np.int64)
    stop = np.minimum(stop, channel.lengths)
    is_in = stop > skip
    if not is_in.any():
        return None
    first, last = (channel.offsets[is_in] + edge[is_in] for edge in (skip, stop))
    starts_ns = channel.starts_ns + np.rint(skip / per_ns).astype(np.int64)
    samples = channel.samples
    if len(samples):
        if (first[1:] == last[:-1]).all():
            samples = samples[first[0] : last[-1]]
        else:
            samples = np.concatenate([samples[a:b] for a, b in zip(first, last, strict=True)])
    lengths = (stop - skip)[is_in]
    return channel._replace(starts_ns=starts_ns[is_in], lengths=lengths, samples=samples)
