"""Whether the ground moves up or down first, one file per method."""

from seisflow.picking.polarity.base import PolarityReader

__all__ = ["PolarityReader"]
