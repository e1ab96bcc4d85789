"""Plain CSV: one file a table, as `seisflow.tables.read_table` reads it back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from seisflow.export.base import Exporter

if TYPE_CHECKING:
    import pandas as pd

    from seisflow.tables import Catalog

__all__ = ["Csv"]


class Csv(Exporter):
    """Write events.csv, picks.csv, assignments.csv and stations.csv.

    Columns are those of the tables, units in their names. Times are ISO 8601 UTC with nanoseconds;
    a value that is not there is an empty cell.
    """

    name: ClassVar[str] = "csv"

    def write(self, catalog: Catalog, stations: pd.DataFrame, folder: Path) -> list[Path]:
        """Write the four tables into `folder` and return their paths."""
        tables = {**catalog._asdict(), "stations": stations}
        paths = {name: folder / f"{name}.csv" for name in ("events", "picks", "assignments", "stations")}
        for name, path in paths.items():
            _with_text_times(tables[name]).to_csv(path, index=False, lineterminator="\n")
        return list(paths.values())


def _with_text_times(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table with times as text of one length, which parsers of dates read fast and alike."""
    frame = frame.copy()
    for name in frame.columns[[str(kind).startswith("datetime64") for kind in frame.dtypes]]:
        text = np.datetime_as_string(frame[name].to_numpy(dtype="datetime64[ns]"), unit="ns").astype(object)
        frame[name] = np.where(frame[name].isna(), "", text + "Z")
    return frame
