"""Frequencies and filters of discrete spectra; spectra follow `numpy.fft.rfft`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BAND_HZ", "antialias", "delay", "frequencies", "waveband"]

BAND_HZ = (2.0, 20.0)
"""Band that signal-to-noise ratios are given for."""


def frequencies(n: int, rate_hz: float) -> NDArray[np.float64]:
    """Return the frequencies of the spectrum of n real samples, Hz, shape (n // 2 + 1,)."""
    frequency_hz: NDArray[np.float64] = np.fft.rfftfreq(n, 1.0 / rate_hz).astype(np.float64)
    return frequency_hz


def delay(frequency_hz: NDArray[np.float64], delay_s: float) -> NDArray[np.complex128]:
    """Return the factor that delays a spectrum, by any part of a sample."""
    shift: NDArray[np.complex128] = np.exp(-2j * np.pi * frequency_hz * delay_s)
    return shift


def waveband(
    frequency_hz: NDArray[np.float64], band_hz: tuple[float, float] = BAND_HZ
) -> NDArray[np.float64]:
    """Return the amplitude of a zero-phase band-pass, of second order at each side."""
    low_hz, high_hz = band_hz
    high_pass = 1.0 / (1.0 + (low_hz / np.maximum(frequency_hz, 1e-6)) ** 4)
    gain: NDArray[np.float64] = np.sqrt(high_pass / (1.0 + (frequency_hz / high_hz) ** 4))
    return gain


def antialias(frequency_hz: NDArray[np.float64], rate_hz: float) -> NDArray[np.float64]:
    """Return the digitiser's low-pass: flat to 80 % of the Nyquist frequency, then a cosine, zero phase."""
    place = np.clip((frequency_hz / (0.5 * rate_hz) - 0.8) / 0.2, 0.0, 1.0)
    gain: NDArray[np.float64] = 0.5 + 0.5 * np.cos(np.pi * place)
    return gain
