"""The run engine: the only place that knows the order of the stages and writes to the store."""

from seisflow.run.workflow import RunReport, run_workflow

__all__ = ["RunReport", "run_workflow"]
