"""What an exporter is: a file format of the field that a catalogue is written in."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pandas as pd

from seisflow.errors import TableError
from seisflow.method import Method
from seisflow.tables import ASSIGNMENTS, EVENTS, PICKS, STATIONS, Catalog, validate

if TYPE_CHECKING:
    import pandas as pd

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

    Raises
    ------
    TableError
        If a table does not follow its schema, or an assignment names an event or a pick that is not there.
    MetadataError
        If the format needs the place of a station that STATIONS does not have.
    """
    checked = Catalog(
        validate(catalog.events, EVENTS),
        validate(catalog.assignments, ASSIGNMENTS),
        validate(catalog.picks, PICKS),
    )
    for name, known in (("event_id", checked.events["event_id"]), ("pick_id", checked.picks["pick_id"])):
        named = checked.assignments[name]
        lost = named[pd.Index(known.unique()).get_indexer(pd.Index(named)) < 0]
        if len(lost):
            raise TableError(
                f"ASSIGNMENTS: {len(lost)} rows have a {name} that is in no table, the first is "
                f"'{lost.iloc[0]}'; give the catalogue's tables of one and the same run"
            )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return exporter.write(checked, validate(stations, STATIONS), folder)
