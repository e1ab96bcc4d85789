"""STA/LTA: onsets where energy rises, P on the vertical, S on the horizontals, refined by AR-AIC."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from seisflow.picking.base import Picker

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

    from seisflow.picking.inference.stacking import Piece
    from seisflow.picking.motion import Band

__all__ = ["StaLta"]

FORGET = 20.0
"""Long-term averages after which the past is forgotten."""
FLAT_S = 5.0
"""A channel with one value for so long is dead, s."""
S_AFTER_P_WINDOWS = ((0.0, 1.0, 0.4), (1.0, 1.7, 0.8), (1.7, 1e9, 1.5))
"""S minus P above, up to, and the seconds before a rise that then hold no P."""
LATE_SNR = 1.2
"""Amplitude ratio to the noise that motion still has 0.6 to 1.2 s after the onset."""
GLITCH_EXCESS = 16.0
EARLY_S, HALF_S, LATE_S = 0.3, 0.5, 1.0
S_EARLY, S_AFTER_P, S_ALONE, S_ON_HORIZONTALS = 4.5, 1.6, (1.5, 2.5), 2.0
"""Rise of horizontal over rise of vertical energy above which motion is S."""

Frequency = Annotated[float, Field(gt=0)]
Duration = Annotated[float, Field(gt=0)]
Ratio = Annotated[float, Field(gt=1)]


class _Around(NamedTuple):
    """Where around a trigger the onset is looked for, where noise is measured, and the models' order."""

    before_s: float
    after_s: float
    noise_s: float
    order: int


class _Onsets(NamedTuple):
    """Samples of onsets and their amplitude ratios to the noise, both of shape (onset,)."""

    samples: NDArray[np.int64]
    snr: NDArray[np.float64]

    def where(self, kept: NDArray[np.bool_] | NDArray[np.int64]) -> _Onsets:
        return _Onsets(self.samples[kept], self.snr[kept])

    def joined(self, other: _Onsets) -> _Onsets:
        import numpy as np

        return _Onsets(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))


class StaLta(Picker):
    """Recursive STA/LTA with autoregressive refinement; any sampling rate, no training.

    A P is a rise of vertical energy; its onset is where two autoregressive models meet. An S is a
    rise of horizontal energy: the largest in the seconds after a P, or one by itself; the
    polarisation of the rise tells P from S. Single spikes and steps are left out. A vertical alone gives P
    only. The probability is ``1 - 1/snr``, with the amplitude ratio of the 0.6 s after the onset to
    the noise before it: it orders picks, it is not calibrated.

    References
    ----------
    Allen, R. V. (1978), Bull. Seismol. Soc. Am. 68, 1521-1532. Sleeman, R. & van Eck, T. (1999), Phys.
    Earth Planet. Inter. 113, 265-275, doi:10.1016/S0031-9201(99)00007-2. Baillard, C. et al. (2014), Bull.
    Seismol. Soc. Am. 104, 394-409, doi:10.1785/0120120347.
    """

    name: ClassVar[str] = "stalta"
    curve: ClassVar[str] = "STA/LTA"

    p_low_hz: Frequency = 2.0
    """Lower corner of the band in which P is looked for, Hz."""

    p_high_hz: Frequency = 15.0
    """Upper corner of the band of P, Hz; at most 0.4 of the sampling rate is used."""

    s_low_hz: Frequency = 1.5
    """Lower corner of the band in which S is looked for, Hz."""

    s_high_hz: Frequency = 12.0
    """Upper corner of the band of S, Hz; at most 0.4 of the sampling rate is used."""

    sta_s: Duration = 0.3
    """Length of the short-term average, s."""

    lta_s: Duration = 6.0
    """Length of the long-term average, s."""

    warm_s: Duration = 4.0
    """No pick so soon after the start or a gap: the long-term average needs noise, s."""

    p_threshold: Ratio = 4.0
    """Ratio of energies at which the vertical triggers."""

    s_threshold: Ratio = 6.0
    """Ratio of energies at which the horizontals trigger by themselves."""

    off: Ratio = 2.0
    """Ratio of energies below which a trigger ends."""

    s_rise: Ratio = 2.5
    """Rise of horizontal energy, 0.5 s over the 1 s before, that an S after a P needs."""

    min_snr: Ratio = 1.7
    """Amplitude ratio of the 0.6 s after an onset to the 3 s before that a pick needs."""

    min_s_minus_p_s: Duration = 0.5
    """Shortest time between P and S, s."""

    max_s_minus_p_s: Duration = 20.0
    """Longest time between P and S, s: about an eighth of the epicentral distance in km."""

    separation_s: Duration = 0.6
    """Two picks of one phase are at least so far apart, s; the stronger stays."""

    p_ar_order: Annotated[int, Field(ge=1, le=20)] = 4
    """Order of the autoregressive models that refine P."""

    s_ar_order: Annotated[int, Field(ge=1, le=20)] = 3
    """Order of the autoregressive models that refine S."""

    refinement: Literal["ar", "kurtosis"] = "ar"
    """How an onset is refined: where two autoregressive models meet, or where the kurtosis rises."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for low, high in (
            ("p_low_hz", "p_high_hz"),
            ("s_low_hz", "s_high_hz"),
            ("sta_s", "lta_s"),
            ("off", "p_threshold"),
            ("off", "s_threshold"),
            ("min_s_minus_p_s", "max_s_minus_p_s"),
        ):
            if not getattr(self, low) < getattr(self, high):
                raise ValueError(
                    f"{low} ({getattr(self, low)}) must be smaller than {high} ({getattr(self, high)})"
                )
        return self

    @property
    def margin_s(self) -> float:
        """Twenty long-term averages, the longest S minus P twice, and the amplitude window, in seconds."""
        return FORGET * self.lta_s + 2 * self.max_s_minus_p_s + self.amplitude_window_s

    @property
    def sampling_rate_hz(self) -> None:
        """Any rate will do."""
        return None

    def pick(self, waveforms: xr.Dataset) -> pd.DataFrame:
        """Return picks: columns phase, time, probability.

        Raises
        ------
        WaveformError
            If the sampling rate is too low for the bands.
        """
        import numpy as np
        import pandas as pd

        rate_hz = float(waveforms.attrs["sampling_rate_hz"])
        traces = _living(waveforms, rate_hz)
        vertical, horizontals = _apart(traces, waveforms)
        phases = self._onsets(vertical, horizontals, rate_hz)
        samples = np.concatenate([onsets.samples for onsets in phases.values()])
        snr = np.concatenate([onsets.snr for onsets in phases.values()])
        return pd.DataFrame(
            {
                "phase": np.repeat(list(phases), [len(onsets.samples) for onsets in phases.values()]),
                "time": pd.to_datetime(waveforms["time"].to_numpy()[samples], utc=True),
                "probability": (1 - 1 / np.maximum(snr, 1)).round(4),
            }
        )

    def thresholds(self) -> dict[str, float]:
        """Return the ratios at which the vertical and the horizontals trigger."""
        return {"P": self.p_threshold, "S": self.s_threshold}

    def curves(self, waveforms: xr.Dataset) -> Iterator[Piece]:
        """Yield the ratios of the vertical, for P, and of the horizontals, for S, in one piece."""
        import numpy as np

        from seisflow.picking.inference.stacking import Piece
        from seisflow.picking.motion import Band

        rate_hz = float(waveforms.attrs["sampling_rate_hz"])
        vertical, horizontals = _apart(_living(waveforms, rate_hz), waveforms)
        up = Band.of(vertical, rate_hz, self.p_low_hz, self.p_high_hz)
        across = Band.of(horizontals, rate_hz, self.s_low_hz, self.s_high_hz)
        yield Piece(0, 1, np.stack([self._ratio(up), self._ratio(across)]), True)

    def _onsets(
        self, vertical: NDArray[np.float32], horizontals: NDArray[np.float32], rate_hz: float
    ) -> dict[str, _Onsets]:
        """Return the P and S onsets of one station; either array may hold no trace."""
        import numpy as np

        from seisflow.picking.motion import Band, horizontality

        up = Band.of(vertical, rate_hz, self.p_low_hz, self.p_high_hz)
        across = Band.of(horizontals, rate_hz, self.s_low_hz, self.s_high_hz)
        p = self._lasting(up, self._triggers(up, self.p_threshold), _Around(2.5, 1.0, 3.0, self.p_ar_order))
        s_triggers = self._triggers(across, self.s_threshold)
        around_s = _Around(1.5, 0.7, 3.0, self.s_ar_order)
        if not len(vertical) or not len(horizontals):
            s = self._lasting(across, s_triggers, around_s)
            return {"P": self._separate(p, rate_hz), "S": self._separate(s, rate_hz)}

        level = Band.of(horizontals, rate_hz, self.p_low_hz, self.p_high_hz)
        is_s = self._is_s(up, level, p.samples)
        s = self._lasting(across, np.union1d(s_triggers, p.samples[is_s]), around_s)
        s = s.where(horizontality(up, level, s.samples, HALF_S) > S_ON_HORIZONTALS)
        p = p.where(~is_s)
        s = s.joined(self._after_p(p.samples, across))
        return {"P": self._separate(p, rate_hz), "S": self._separate(s, rate_hz)}

    def _triggers(self, band: Band, on: float) -> NDArray[np.int64]:
        from seisflow.picking.characteristic import triggers

        return triggers(self._ratio(band), on, self.off)

    def _ratio(self, band: Band) -> NDArray[np.float32]:
        from seisflow.picking.characteristic import sta_lta

        return sta_lta(band.energy, band.rate_hz, self.sta_s, self.lta_s, self.warm_s)

    def _lasting(self, band: Band, triggers: NDArray[np.int64], around: _Around) -> _Onsets:
        """Return refined onsets of motion that still stands out of the noise after 0.6 s."""
        onsets, late_snr = self._refined(band, triggers, around)
        return onsets.where(late_snr > LATE_SNR)

    def _refined(
        self, band: Band, triggers: NDArray[np.int64], around: _Around
    ) -> tuple[_Onsets, NDArray[np.float64]]:
        """Return the onsets near triggers, gaps, weak ones and glitches left out, and their late ratios."""
        from seisflow.picking.motion import is_glitch, signal_to_noise
        from seisflow.picking.onset import refined

        samples, usable = refined(
            band.filtered,
            triggers,
            band.rate_hz,
            around.before_s,
            around.after_s,
            order=around.order,
            refinement=self.refinement,
        )
        snr, late_snr = signal_to_noise(band.energy, samples, band.rate_hz, around.noise_s)
        usable &= (snr > self.min_snr) & ~is_glitch(band.raw, samples, band.rate_hz, GLITCH_EXCESS)
        return _Onsets(samples, snr).where(usable), late_snr[usable]

    def _is_s(self, up: Band, level: Band, onsets: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which onsets on the vertical are S, by how horizontal the motion is.

        Horizontal motion of the first 0.3 s is S whatever came before. That of the first second is S
        if a P has come before; without one it may also be the S that follows a P closely, and
        must then be horizontal from the beginning.
        """
        import numpy as np

        from seisflow.picking.motion import horizontality

        early, late = (horizontality(up, level, onsets, after_s) for after_s in (EARLY_S, LATE_S))
        surely_p = np.sort(onsets[late <= S_AFTER_P])
        newest = np.searchsorted(surely_p, onsets - round(self.min_s_minus_p_s * up.rate_hz))
        oldest = np.searchsorted(surely_p, onsets - round(self.max_s_minus_p_s * up.rate_hz))
        after_p = (newest > oldest) & (late > S_AFTER_P)
        alone = (early > S_ALONE[0]) & (late > S_ALONE[1])
        is_s: NDArray[np.bool_] = (early > S_EARLY) | after_p | alone
        return is_s

    def _after_p(self, p: NDArray[np.int64], across: Band) -> _Onsets:
        """Return the S after each P: where horizontal energy rises most."""
        from seisflow.picking.motion import largest_rise

        samples, found = largest_rise(
            across.energy,
            p,
            across.rate_hz,
            first_s=self.min_s_minus_p_s,
            last_s=self.max_s_minus_p_s,
            at_least=self.s_rise,
        )
        s_minus_p_s = (samples - p) / across.rate_hz
        onsets = _nothing()
        for shortest_s, longest_s, before_s in S_AFTER_P_WINDOWS:
            chosen = found & (s_minus_p_s > shortest_s) & (s_minus_p_s <= longest_s)
            refined, _ = self._refined(
                across, samples[chosen], _Around(before_s, 0.7, before_s, self.s_ar_order)
            )
            onsets = onsets.joined(refined)
        return onsets

    def _separate(self, onsets: _Onsets, rate_hz: float) -> _Onsets:
        from seisflow.picking.motion import strongest

        return onsets.where(strongest(onsets.samples, onsets.snr, round(self.separation_s * rate_hz)))


def _living(waveforms: xr.Dataset, rate_hz: float) -> NDArray[np.float32]:
    """Return the traces, missing where a channel is dead."""
    import numpy as np

    from seisflow.picking.segments import without_flat_runs

    raw = waveforms["waveform"].to_numpy().astype(np.float32, copy=False)
    traces = np.empty_like(raw)
    for i, trace in enumerate(raw):
        traces[i] = without_flat_runs(trace, max(round(FLAT_S * rate_hz), 2))
    return traces


def _apart(
    traces: NDArray[np.float32], waveforms: xr.Dataset
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the vertical and the horizontals, those without a sample left out."""
    import numpy as np

    upright = waveforms["component"].to_numpy() == "Z"
    present = np.isfinite(traces).any(axis=1)
    return traces[upright & present], traces[~upright & present]


def _nothing() -> _Onsets:
    import numpy as np

    return _Onsets(np.zeros(0, np.int64), np.zeros(0))
