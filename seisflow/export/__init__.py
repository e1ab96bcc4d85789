"""Catalogues in the formats of the field, one file per format."""

from seisflow.export.base import Exporter, export_catalog

__all__ = ["Exporter", "export_catalog"]
