"""Phase picking, one file per picker."""

from seisflow.picking.base import Picker, pick_phases

__all__ = ["Picker", "pick_phases"]
