"""Where exactly an onset is: by two autoregressive models, of noise and of signal, or by kurtosis."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seisflow.picking.characteristic import gather

__all__ = ["Refinement", "ar_aic", "kurtosis_rise", "refined"]

Windows = NDArray[np.float64]
Refinement = Literal["ar", "kurtosis"]

FLOOR = 1e-12
EDGE = 5
BATCH = 128
"""Windows whose kurtosis is measured at a time: it takes `KURTOSIS_S` times their memory."""
KURTOSIS_S = 0.5
"""Length of the windows whose kurtosis is measured, s."""


def ar_aic(windows: Windows, n_noise: int, n_signal: int, order: int) -> NDArray[np.int64]:
    """Return the sample at which each window passes from noise to signal.

    An autoregressive model is fitted to the first `n_noise` samples of a window and another to its
    last `n_signal`. Before the onset the first predicts best, after it the second: the onset
    is the `k` that minimises ``AIC(k) = k log var(e_noise[:k]) + (n - k) log var(e_signal[k:])`` of the
    prediction errors of the two models, summed over components.

    Parameters
    ----------
    windows : ndarray of float, shape (window, component, sample)
        No gaps; a component that is zero throughout has no say.
    n_noise, n_signal : int
        Samples that are surely noise, and surely signal.
    order : int
        Order of the models.

    Returns
    -------
    ndarray of int, shape (window,)

    References
    ----------
    Sleeman, R. & van Eck, T. (1999), Phys. Earth Planet. Inter. 113, 265-275, Eq. 9.
    """
    n_windows, n_components, n = windows.shape
    flat = windows.reshape(n_windows * n_components, n)
    flat = flat - flat[:, :n_noise].mean(axis=1, keepdims=True)
    flat /= np.maximum(flat.std(axis=1, keepdims=True), 1e-30)
    noise_errors = _squared_errors(flat, _fit(flat[:, :n_noise], order))
    signal_errors = _squared_errors(flat, _fit(flat[:, n - n_signal :], order))
    k = np.arange(1, n - order)
    before = np.cumsum(noise_errors, axis=1)[:, :-1] / k
    after = np.cumsum(signal_errors[:, ::-1], axis=1)[:, -2::-1] / k[::-1]
    aic = k * np.log(before + FLOOR) + k[::-1] * np.log(after + FLOOR)
    aic = aic.reshape(n_windows, n_components, -1).sum(axis=1)
    best: NDArray[np.int64] = np.argmin(aic[:, EDGE:-EDGE], axis=1) + EDGE + order + 1
    return best


def kurtosis_rise(windows: Windows, n_short: int) -> NDArray[np.int64]:
    """Return the sample at which the kurtosis of the `n_short` samples before it begins to rise.

    The rises of the kurtosis, summed over components and added up along the window, lie farthest below
    the straight line from their first sum to the last where they begin.

    Parameters
    ----------
    windows : ndarray of float, shape (window, component, sample)
        No gaps; a component that is zero throughout has no say.
    n_short : int

    Returns
    -------
    ndarray of int, shape (window,)

    References
    ----------
    Baillard, C. et al. (2014), Bull. Seismol. Soc. Am. 104, 394-409, doi:10.1785/0120120347.
    """
    short = np.lib.stride_tricks.sliding_window_view(windows, n_short, axis=2)
    centred = short - short.mean(axis=3, keepdims=True)
    square = np.square(centred, out=centred)
    spread = square.mean(axis=3)
    kurtosis = np.square(square).mean(axis=3) / np.maximum(np.square(spread), 1e-60)
    rises = np.maximum(np.diff(kurtosis, axis=2), 0).sum(axis=1)
    total = np.cumsum(rises, axis=1)
    line = np.linspace(total[:, 0], total[:, -1], total.shape[1], axis=1)
    onset: NDArray[np.int64] = np.argmin(total - line, axis=1) + n_short
    return onset


def _fit(windows: Windows, order: int) -> Windows:
    """Return the coefficients that predict a sample from the `order` before it, by least squares."""
    n = windows.shape[1]
    past = np.stack([windows[:, order - lag : n - lag] for lag in range(1, order + 1)], axis=1)
    normal = past @ past.swapaxes(1, 2)
    ridge = 1e-6 * np.trace(normal, axis1=1, axis2=2) + 1e-12
    normal = normal + ridge[:, None, None] * np.eye(order)
    target = past @ windows[:, order:, None]
    coefficients: Windows = np.linalg.solve(normal, target)[..., 0]
    return coefficients


def _squared_errors(windows: Windows, coefficients: Windows) -> Windows:
    """Return the squared prediction errors of samples ``order, order + 1, ...``."""
    n, order = windows.shape[1], coefficients.shape[1]
    errors = windows[:, order:].copy()
    for lag in range(1, order + 1):
        errors -= coefficients[:, lag - 1 : lag] * windows[:, order - lag : n - lag]
    return np.square(errors)


def refined(
    traces: NDArray[np.float32],
    triggers: NDArray[np.int64],
    rate_hz: float,
    before_s: float,
    after_s: float,
    *,
    order: int,
    refinement: Refinement = "ar",
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the onset near each trigger, and whether the samples around it are all there.

    Parameters
    ----------
    traces : ndarray, shape (component, sample)
        Gaps NaN; a component with a gap near a trigger has no say there.
    triggers : ndarray of int, shape (trigger,)
    rate_hz : float
    before_s, after_s : float
        The onset is looked for in this window around the trigger; the first half of what lies before
        is taken as noise, the last half of what lies after as signal.
    order : int
        Order of the autoregressive models.
    refinement : {"ar", "kurtosis"}
        `ar_aic` or `kurtosis_rise`.
    """
    n_before, n_after = round(before_s * rate_hz), round(after_s * rate_hz)
    n_noise, n_signal = max(n_before // 2, 3 * order), max(n_after // 2, 3 * order)
    if not len(triggers) or n_before + n_after < n_noise + n_signal + 2 * EDGE:
        return triggers, np.ones(len(triggers), bool)
    starts = triggers - n_before
    pieces = [gather(trace, starts, n_before + n_after) for trace in traces]
    windows = np.stack(pieces, axis=1).astype(np.float64)
    complete: NDArray[np.bool_] = np.all(np.isfinite(windows), axis=2)
    windows[~complete] = 0
    usable: NDArray[np.bool_] = np.any(complete, axis=1)
    if refinement == "ar":
        return starts + ar_aic(windows, n_noise, n_signal, order), usable
    n_short = min(round(KURTOSIS_S * rate_hz), n_before // 2)
    batches = np.array_split(windows, -(-len(windows) // BATCH))
    return starts + np.concatenate([kurtosis_rise(batch, n_short) for batch in batches]), usable
