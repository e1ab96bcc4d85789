"""Phase picking, one file per picker."""

from seisflow.picking.amplitudes import Motion
from seisflow.picking.base import Picker, pick_phases

__all__ = ["Motion", "Picker", "pick_phases"]
