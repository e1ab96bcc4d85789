"""miniSEED 2 and 3, record by record: what is sound is decoded, and every other byte is accounted for."""

from seisflow.archive.miniseed.reading import Block, Codes, read_miniseed

__all__ = ["Block", "Codes", "read_miniseed"]
