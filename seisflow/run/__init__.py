"""The run engine: the only place that knows the order of the stages and writes to the store."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seisflow.run.workflow import RunReport, run_workflow

__all__ = ["RunReport", "run_workflow"]


def __getattr__(name: str) -> Any:
    """Import what runs workflows on its first use: schedulers and workers import parts of this package."""
    if name not in __all__:
        raise AttributeError(f"module 'seisflow.run' has no attribute '{name}'")
    return getattr(importlib.import_module("seisflow.run.workflow"), name)
