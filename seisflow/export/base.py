"""What an exporter is: a file format of the field that a catalogue is written in."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from seisflow.method import Method

if TYPE_CHECKING:
    import pandas as pd

    from seisflow.tables import Catalog

__all__ = ["Exporter", "export_catalog"]


class Exporter(Method):
    """Base of every export format."""

    room: ClassVar[str] = "export"

    @abstractmethod
    def write(self, catalog: Catalog, stations: pd.DataFrame, folder: Path) -> list[Path]:
        """Write the catalogue into `folder` and return the files written."""


def export_catalog(
    catalog: Catalog, stations: pd.DataFrame, exporter: Exporter, folder: str | Path
) -> list[Path]:
    """Write a catalogue in a format of the field.

    Parameters
    ----------
    catalog : Catalog
    stations : STATIONS table
    exporter : Exporter
    folder : path
        Created where it does not exist; files of the same name are replaced.

    Returns
    -------
    list of Path
        The files written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return exporter.write(catalog, stations, folder)
