"""Picks of a station-day with all that they carry: onsets, ground motion and polarity put together."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import obspy
    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

    from seisflow.keys import Window
    from seisflow.picking import Picker
    from seisflow.picking.polarity.base import PolarityReader
    from seisflow.waveforms import Amplitudes

__all__ = ["StationDayPicker"]

Responses: TypeAlias = "Callable[[str, str], obspy.Inventory]"


class StationDayPicker(NamedTuple):
    """What makes the picks of prepared station-days.

    Attributes
    ----------
    picker : Picker
    polarity : PolarityReader or None
    amplitudes : Amplitudes
    responses : callable or None
        Gives the inventory of a network and station code; None measures in the unit of the waveforms.
    """

    picker: Picker
    polarity: PolarityReader | None
    amplitudes: Amplitudes
    responses: Responses | None

    @property
    def margin_s(self) -> float:
        """Seconds of waveform on which picks at the ends of a window depend."""
        restoring_s = self.amplitudes.margin_s if self.responses is not None else 0.0
        return max(
            self.picker.margin_s,
            self.picker.amplitude_margin_s + restoring_s,
            self.polarity.margin_s if self.polarity is not None else 0.0,
        )

    def pick(self, waveforms: xr.Dataset, window: Window) -> tuple[pd.DataFrame, list[str]]:
        """Return the picks in a window, a PICKS table, and a line for each response that is missing."""
        from seisflow.picking import pick_phases

        problems: list[str] = []
        motion = None
        if self.responses is not None:
            motion = partial(self._motion, waveforms, self.responses, problems)
        return pick_phases(waveforms, self.picker, window, self.polarity, motion), problems

    def _motion(
        self, waveforms: xr.Dataset, responses: Responses, problems: list[str], spans: NDArray[np.int64]
    ) -> xr.Dataset:
        """Return the ground motion of some spans; what lacks a response becomes a problem."""
        from seisflow.waveforms import restore_motion

        inventory = responses(*(str(waveforms.coords[name].item()) for name in ("network", "station")))
        restored = restore_motion(waveforms, spans, inventory, self.amplitudes.lowest_frequency_hz)
        problems += [f"{problem}; amplitudes in counts" for problem in restored.attrs["problems"]]
        return restored
