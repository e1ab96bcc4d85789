"""seisflow: reprocess whole seismic network archives, from continuous waveforms to a catalogue."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_EXPORTS = {
    "Catalog": "seisflow.tables",
    "Period": "seisflow.keys",
    "SeisflowError": "seisflow.errors",
    "VelocityModel": "seisflow.earth",
    "Window": "seisflow.keys",
    "Workflow": "seisflow.workflow",
    "associate_picks": "seisflow.association",
    "build": "seisflow.method",
    "export_catalog": "seisflow.export",
    "load_workflow": "seisflow.workflow",
    "locate_events": "seisflow.location",
    "open_waveforms": "seisflow.waveforms",
    "pick_phases": "seisflow.picking",
    "prepare_waveforms": "seisflow.waveforms",
    "read_stations": "seisflow.archive",
    "read_table": "seisflow.tables",
    "read_traces": "seisflow.archive",
    "run_workflow": "seisflow.run",
    "scan_archive": "seisflow.archive",
    "write_report": "seisflow.report",
}

__all__ = ["__version__", *_EXPORTS]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    """Import a public name on its first use, so that `import seisflow` stays fast."""
    if name not in _EXPORTS:
        raise AttributeError(f"module 'seisflow' has no attribute '{name}'")
    return getattr(importlib.import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
