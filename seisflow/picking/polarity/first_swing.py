"""The first swing of the vertical that stands out of the noise, where nothing contradicts it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from seisflow.picking.polarity.base import PolarityReader

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

__all__ = ["FirstSwing"]

SETTLING_S = 3.0
"""The filter runs so long before what is looked at, s."""
NOISE_S = 2.0
SWING_S = 0.3
"""A first swing that takes longer to reach its top is not one of the P of a local earthquake, s."""


class FirstSwing(PolarityReader):
    """Reads whether the vertical moves up or down first; says nothing where that is unclear.

    The vertical passes a causal filter, so that nothing moves before the onset. Within
    `uncertainty_s` of the pick the first sample is looked for that exceeds `threshold` times the
    largest value of the 2 s before; its sign is the polarity, if the swing it belongs to reaches
    `clearness` times the noise, and more than `contrast` times what the ground did in the other direction
    since the earliest possible onset. The sign is that of the record: a sensor that hangs upside down
    is not turned.
    """

    name: ClassVar[str] = "first_swing"

    low_hz: Annotated[float, Field(gt=0)] = 1.0
    """Lower corner of the filter, Hz."""

    high_hz: Annotated[float, Field(gt=0)] = 20.0
    """Upper corner of the filter, Hz; at most 0.4 of the sampling rate is used."""

    uncertainty_s: Annotated[float, Field(gt=0, le=1.0)] = 0.2
    """How far the onset may lie from the pick, before and after it, s."""

    threshold: Annotated[float, Field(ge=1)] = 1.5
    """Times the largest noise at which a swing begins to count."""

    clearness: Annotated[float, Field(ge=1)] = 3.0
    """Times the largest noise that the first swing must reach."""

    contrast: Annotated[float, Field(ge=1)] = 4.0
    """Times the motion in the other direction that the first swing must reach."""

    @property
    def margin_s(self) -> float:
        """The filter's settling, the noise, and the longest first swing, in seconds."""
        return SETTLING_S + NOISE_S + self.uncertainty_s + SWING_S

    def read(self, waveforms: xr.Dataset, picks: pd.DataFrame) -> NDArray[np.object_]:
        """Return 'up', 'down' or '' for each of some P picks of one station."""
        import numpy as np

        from seisflow.picking.amplitudes import samples_of

        signs = np.full(len(picks), "", object)
        is_vertical = waveforms["component"].to_numpy() == "Z"
        rate_hz = float(waveforms.attrs["sampling_rate_hz"])
        if not is_vertical.any() or not len(picks) or self.low_hz >= 0.4 * rate_hz:
            return signs
        onsets = samples_of(picks["time"].to_numpy(dtype="datetime64[ns]"), waveforms)
        trace = waveforms["waveform"].to_numpy()[np.flatnonzero(is_vertical)[0]]
        sign = self._signs(trace, onsets, rate_hz)
        signs[sign > 0], signs[sign < 0] = "up", "down"
        return signs

    def _signs(
        self, trace: NDArray[np.float32], onsets: NDArray[np.int64], rate_hz: float
    ) -> NDArray[np.int64]:
        """Return 1 for up, -1 for down and 0 where unclear, also where samples are missing."""
        import numpy as np

        from seisflow.picking.characteristic import gather

        n_settling, n_noise, n_swing = (round(s * rate_hz) for s in (SETTLING_S, NOISE_S, SWING_S))
        n_early = max(round(self.uncertainty_s * rate_hz), 1)
        n_before = n_settling + n_noise + n_early
        windows = gather(trace, onsets - n_before, n_before + n_early + n_swing + 1)
        is_whole = np.isfinite(windows).all(axis=1)
        moved = self._filtered(windows[is_whole], rate_hz)[:, n_settling:]
        noise, moved = moved[:, :n_noise], moved[:, n_noise:]
        largest = np.abs(noise - noise.mean(axis=1, keepdims=True)).max(axis=1)
        signs = np.zeros(len(onsets), np.int64)
        signs[is_whole] = self._first_swings(moved, largest, 2 * n_early + 1, n_swing)
        return signs

    def _filtered(self, windows: NDArray[np.float32], rate_hz: float) -> NDArray[np.float64]:
        """Return windows after a causal band-pass; before a window its first sample stood for ever."""
        from scipy.signal import butter, sosfilt, sosfilt_zi

        corners = [self.low_hz, min(self.high_hz, 0.4 * rate_hz)]
        sections = butter(2, corners, "bandpass", fs=rate_hz, output="sos")
        rest = sosfilt_zi(sections)[:, None, :] * windows[None, :, :1]
        filtered: NDArray[np.float64] = sosfilt(sections, windows.astype("f8"), axis=1, zi=rest)[0]
        return filtered

    def _first_swings(
        self, motion: NDArray[np.float64], noise: NDArray[np.float64], n_onset: int, n_swing: int
    ) -> NDArray[np.int64]:
        """Return the signs of the first swings of motions that begin at the earliest possible onset."""
        import numpy as np

        exceeds = np.abs(motion[:, :n_onset]) > self.threshold * noise[:, None]
        first = exceeds.argmax(axis=1)[:, None]
        sign = np.where(np.take_along_axis(motion, first, axis=1) > 0, 1, -1)
        swing = sign * np.take_along_axis(motion, first + np.arange(n_swing), axis=1)
        is_over = np.logical_or.accumulate(swing <= 0, axis=1)
        top = np.where(is_over, 0.0, swing).max(axis=1)
        until_first = np.arange(n_onset) <= first
        other_way = np.where(until_first, -sign * motion[:, :n_onset], 0.0).max(axis=1)
        is_clear = exceeds.any(axis=1) & (noise > 0) & is_over[:, -1]
        is_clear &= (top >= self.clearness * noise) & (top >= self.contrast * other_way)
        signs: NDArray[np.int64] = np.where(is_clear, sign[:, 0], 0)
        return signs
