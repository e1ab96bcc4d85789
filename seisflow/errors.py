"""The errors seisflow raises: each is a `SeisflowError` and also the fitting builtin.

A message says what failed, for which key, what was found, what is allowed and what to do next.
`permanent` tells the run engine whether trying the same unit again can help.
"""

from __future__ import annotations

__all__ = [
    "AccessError",
    "ArchiveError",
    "ConflictError",
    "CorruptPartError",
    "DependencyError",
    "DeploymentError",
    "LeaseError",
    "MetadataError",
    "MissingFileError",
    "OutOfMemoryError",
    "SchedulerError",
    "SeisflowError",
    "StoreError",
    "TableError",
    "UnitTimeoutError",
    "UnreachableError",
    "VelocityModelError",
    "WaveformError",
    "WeightsError",
    "WorkflowError",
]


class SeisflowError(Exception):
    """Base of every error seisflow raises on purpose."""

    permanent: bool = True


class WorkflowError(SeisflowError, ValueError):
    """A workflow file, method name or parameter is wrong."""


class TableError(SeisflowError, ValueError):
    """A table does not follow its schema."""


class ArchiveError(SeisflowError, OSError):
    """An archive, a store or one of its files can not be read or written."""

    permanent = False


class UnreachableError(ArchiveError, ConnectionError):
    """Storage did not answer, or with faults that may pass, for as long as there was patience."""


class AccessError(ArchiveError, PermissionError):
    """Storage refuses: credentials, region or bucket are wrong, and stay so until somebody acts."""

    permanent = True


class MissingFileError(ArchiveError, FileNotFoundError):
    """There is no such file, object, folder or bucket."""

    permanent = True


class ConflictError(ArchiveError, FileExistsError):
    """A write that was to happen on a condition found it broken: somebody else was there first."""

    permanent = True


class MetadataError(SeisflowError, LookupError):
    """Station coordinates, epochs or responses are missing or contradict each other."""


class WaveformError(SeisflowError, ValueError):
    """Traces can not be turned into a station-day dataset."""


class WeightsError(SeisflowError, OSError):
    """Weights of a network can not be found or do not fit the network."""


class VelocityModelError(SeisflowError, ValueError):
    """A velocity model is not physical or can not be read."""


class DependencyError(SeisflowError, ImportError):
    """An optional package is not installed."""


class LeaseError(SeisflowError, RuntimeError):
    """Another driver holds the run."""


class StoreError(SeisflowError, OSError):
    """The folder or bucket of a run can not be read or written."""

    permanent = False


class CorruptPartError(StoreError):
    """A file of a run is damaged or gone: what it held must be computed again.

    A unit below that meets some fails for no fault of its own. The driver drops the units of those
    parts from its view of the ledger, computes them again, and then this one.

    Parameters
    ----------
    message : str
    *parts : str
        Names of the parts; none for another file.
    """

    def __init__(self, message: str, *parts: str) -> None:
        super().__init__(message)
        self.parts = parts

    def __reduce__(self) -> tuple[type[CorruptPartError], tuple[str, ...]]:
        return type(self), (str(self), *self.parts)


class DeploymentError(SeisflowError, RuntimeError):
    """The workers can not do what the workflow asks for."""


class SchedulerError(SeisflowError, ConnectionError):
    """The Dask scheduler, or every worker, is gone."""


class OutOfMemoryError(SeisflowError, MemoryError):
    """A unit took more memory than its worker has."""


class UnitTimeoutError(SeisflowError, TimeoutError):
    """A unit did not end within its time."""
