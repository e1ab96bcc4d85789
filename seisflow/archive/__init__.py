"""Where waveforms lie, one file per layout, and the metadata of stations."""

from seisflow.archive.base import Archive, read_traces, scan_archive
from seisflow.archive.stations import read_stations

__all__ = ["Archive", "read_stations", "read_traces", "scan_archive"]
