"""Association of picks into events, one file per associator."""

from seisflow.association.base import Associator, associate_picks

__all__ = ["Associator", "associate_picks"]
