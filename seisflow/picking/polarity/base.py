"""What a reader of polarities is: parameters that turn onsets of P into up, down or undetermined."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from seisflow.method import Method

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

__all__ = ["PolarityReader"]


class PolarityReader(Method):
    """Base of every reader of polarities."""

    room: ClassVar[str] = "picking.polarity"

    @property
    @abstractmethod
    def margin_s(self) -> float:
        """Seconds of waveform around an onset on which its polarity depends."""

    @abstractmethod
    def read(self, waveforms: xr.Dataset, picks: pd.DataFrame) -> NDArray[np.object_]:
        """Return 'up', 'down' or '' for each of some P picks of one station.

        Parameters
        ----------
        waveforms : xarray.Dataset
            What the picks were made from: `waveform(component, time)` float32, gaps NaN.
        picks : PICKS table
            P only.
        """
