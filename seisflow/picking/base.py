"""What a picker is: parameters that turn a station-day of waveforms into picks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from seisflow.method import Method
from seisflow.picking.amplitudes import NOISE_S, Motion, with_amplitudes
from seisflow.tables import PICKS, pick_ids, validate

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from seisflow.keys import Window
    from seisflow.picking.inference.stacking import Piece
    from seisflow.picking.polarity.base import PolarityReader

__all__ = ["Picker", "pick_phases"]


class Picker(Method):
    """Base of every picker."""

    room: ClassVar[str] = "picking"

    curve: ClassVar[str] = ""
    """What the curves of P and S are called; empty where a picker has none."""

    amplitude_window_s: Annotated[float, Field(gt=0, le=30.0)] = 3.0
    """Seconds after the onset in which the amplitude is measured."""

    @property
    @abstractmethod
    def margin_s(self) -> float:
        """Seconds of waveform needed on each side of a window, so that its picks do not depend on the cut."""

    @property
    def amplitude_margin_s(self) -> float:
        """Seconds of waveform around an onset in which its amplitude is measured."""
        return max(NOISE_S[0], self.amplitude_window_s)

    @property
    @abstractmethod
    def sampling_rate_hz(self) -> float | None:
        """Sampling rate the waveforms must have, or None where any will do."""

    @abstractmethod
    def pick(self, waveforms: xr.Dataset) -> pd.DataFrame:
        """Return picks: columns phase, time, probability, and trigger_start and trigger_end if it has.

        The rest is filled in.
        """

    def thresholds(self) -> dict[str, float]:
        """Return what the curve of each phase must reach for a pick; nothing where there are no curves."""
        return {}

    def curves(self, waveforms: xr.Dataset) -> Iterator[Piece]:
        """Yield the curves of P and S that picks are read from, piece by piece, each once."""
        return iter(())


def pick_phases(
    waveforms: xr.Dataset,
    picker: Picker,
    window: Window | None = None,
    polarity: PolarityReader | None = None,
    motion: Motion | None = None,
) -> pd.DataFrame:
    """Pick P and S onsets in the waveforms of one station, and measure them.

    Parameters
    ----------
    waveforms : xarray.Dataset
        `waveform(component, time)` float32, gaps NaN, with the scalar coordinates network, station,
        location and band.
    picker : Picker
    window : Window, optional
        Keep only picks in ``[start, end)``. Give `waveforms` the picker's `margin_s` on both sides
        of it: then neighbouring windows give every pick exactly once.
    polarity : PolarityReader, optional
        Reads the first motion of P picks; None leaves what the picker says of it, if anything.
    motion : callable, optional
        Gives the ground motion of spans of samples, as a dataset on the samples of `waveforms`; called
        once if there are picks. Amplitudes are measured in it wherever it has every component, else
        in `waveforms`.

    Returns
    -------
    pandas.DataFrame
        PICKS table sorted by time, then phase.
    """
    picks = picker.pick(waveforms)
    for name in ("network", "station", "location", "band"):
        picks[name] = str(waveforms.coords[name].item())
    picks["method"] = picker.name
    if window is not None:
        times = picks["time"].to_numpy(dtype="datetime64[ns]")
        picks = picks[window.holds(times)]
    picks = picks.sort_values(["time", "phase"], ignore_index=True)
    picks["pick_id"] = pick_ids(picks)
    picks = with_amplitudes(picks, waveforms, picker.amplitude_window_s, motion)
    if "polarity" not in picks:
        picks["polarity"] = ""
    if polarity is not None:
        is_p = picks["phase"] == "P"
        picks.loc[is_p, "polarity"] = polarity.read(waveforms, picks[is_p])
    return validate(picks, PICKS)
