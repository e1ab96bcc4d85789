"""Station-days as xarray datasets: merge, gaps, resample, response."""

from seisflow.waveforms.lazy import open_waveforms
from seisflow.waveforms.prepare import Preparation, prepare_waveforms
from seisflow.waveforms.restitution import Amplitudes, restore_motion

__all__ = ["Amplitudes", "Preparation", "open_waveforms", "prepare_waveforms", "restore_motion"]
