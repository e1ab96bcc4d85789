"""Station-days as xarray datasets: merge, gaps, resample, response."""

from seisflow.waveforms.lazy import open_waveforms
from seisflow.waveforms.prepare import Preparation, prepare_waveforms

__all__ = ["Preparation", "open_waveforms", "prepare_waveforms"]
