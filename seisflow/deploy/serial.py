"""Run everything in this process, one unit after another: for debugging."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

from seisflow.deploy.base import Deployment

__all__ = ["Serial"]


class Serial(Deployment):
    """No workers: breakpoints and profilers work, errors keep their traceback."""

    name: ClassVar[str] = "serial"

    def connect(self) -> AbstractContextManager[None]:
        """Return a context that gives None."""
        return nullcontext()
