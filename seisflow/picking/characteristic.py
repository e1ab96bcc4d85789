"""Where energy rises: band-pass, recursive STA/LTA and its triggers, gap by gap.

Everything here is causal and forgets: what happened many long-term averages ago has no effect, so a
record may be cut anywhere, given a margin.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seisflow.errors import WaveformError
from seisflow.picking.segments import runs

__all__ = ["bandpassed", "gather", "sta_lta", "triggers"]

Trace = NDArray[np.float32]

RECENT_EXCESS = 2.0


def bandpassed(data: Trace, rate_hz: float, low_hz: float, high_hz: float) -> Trace:
    """Return a trace filtered by a causal Butterworth band-pass of order 2, gaps NaN.

    Each run of samples starts as if its first value had stood there for ever, so that an offset makes
    no pulse. The upper corner is lowered to 0.4 of the sampling rate where it lies above.

    Raises
    ------
    WaveformError
        If the band lies above what the sampling rate can hold.
    """
    from scipy.signal import butter, sosfilt, sosfilt_zi

    high_hz = min(high_hz, 0.4 * rate_hz)
    if low_hz >= high_hz:
        raise WaveformError(
            f"data at {rate_hz:g} Hz hold nothing above {low_hz:g} Hz, the lower corner of a pick band; "
            "lower it or leave the channel out"
        )
    sections = butter(2, [low_hz, high_hz], "bandpass", fs=rate_hz, output="sos")
    rest = sosfilt_zi(sections)
    filtered = np.full(data.shape, np.nan, np.float32)
    for start, stop in runs(np.isfinite(data)):
        filtered[start:stop] = sosfilt(sections, data[start:stop], zi=rest * data[start])[0]
    return filtered


def sta_lta(energy: Trace, rate_hz: float, sta_s: float, lta_s: float, warm_s: float) -> Trace:
    """Return the recursive STA/LTA ratio of an energy, zero in gaps and `warm_s` after them.

    The averages are recursive, ``a[i] = c e[i] + (1 - c) a[i-1]`` with ``c = 1 / (duration * rate)``,
    divided by ``1 - (1 - c)**i``, which makes them plain means while they fill. The long average
    is that of `sta_s` ago, so that an onset does not raise its own measure; and it is at most twice
    that of the last quarter of `lta_s`, so that a large earthquake does not hide the next small one
    until the long average has forgotten it.

    References
    ----------
    Allen, R. V. (1978), Bull. Seismol. Soc. Am. 68, 1521-1532. Withers, M. et al. (1998), Bull.
    Seismol. Soc. Am. 88, 95-106, Eqs 3-4.
    """
    n_sta, n_lta = max(round(sta_s * rate_hz), 1), max(round(lta_s * rate_hz), 4)
    n_warm = max(round(warm_s * rate_hz), n_sta + 1)
    ratio = np.zeros(energy.shape, np.float32)
    for start, stop in runs(np.isfinite(energy)):
        if stop - start <= n_warm:
            continue
        short = _recursive_mean(energy[start:stop], n_sta)[n_sta:]
        past = energy[start : stop - n_sta]
        long = np.minimum(_recursive_mean(past, n_lta), RECENT_EXCESS * _recursive_mean(past, n_lta // 4))
        quotient = short / np.maximum(long, np.finfo(np.float32).tiny)
        ratio[start + n_warm : stop] = quotient[n_warm - n_sta :]
    return ratio


def _recursive_mean(energy: Trace, n: int) -> NDArray[np.float64]:
    from scipy.signal import lfilter

    keep = 1 - 1 / n
    mean: NDArray[np.float64] = lfilter([1 - keep], [1, -keep], energy.astype(np.float64))
    n_filling = min(len(mean), 40 * n)
    mean[:n_filling] /= -np.expm1(np.log(keep) * np.arange(1, n_filling + 1)) if n > 1 else 1
    return mean


def triggers(ratio: Trace, on: float, off: float) -> NDArray[np.int64]:
    """Return where the ratio first reaches `on` in each stretch in which it stays above `off`."""
    above = runs(ratio > off)
    high = np.flatnonzero(ratio >= on)
    if not len(high):
        return high
    place = np.searchsorted(high, above[:, 0])
    first = high[np.minimum(place, len(high) - 1)]
    reached: NDArray[np.int64] = first[(first >= above[:, 0]) & (first < above[:, 1])]
    return reached


def gather(data: Trace, starts: NDArray[np.int64], n: int) -> Trace:
    """Return `n` samples from each start, shape (start, sample); NaN outside the record."""
    index = starts[:, None] + np.arange(n)
    inside = (index >= 0) & (index < len(data))
    return np.where(inside, data[np.clip(index, 0, len(data) - 1)], np.float32(np.nan))
