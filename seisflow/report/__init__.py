"""The report of a run: one self-contained HTML file with figures, tables and parameters."""

from seisflow.report.inputs import RecordSection, ReportInputs, SectionTrace, best_events
from seisflow.report.page import write_report

__all__ = ["RecordSection", "ReportInputs", "SectionTrace", "best_events", "write_report"]
