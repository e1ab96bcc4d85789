"""Absolute location, one file per locator."""

from seisflow.location.base import Locator, locate_events

__all__ = ["Locator", "locate_events"]
