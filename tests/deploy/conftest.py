"""The small archive of the run tests serves here too."""

from tests.run.conftest import small_archive

__all__ = ["small_archive"]
