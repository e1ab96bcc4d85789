"""Parts: the immutable Parquet files in which a stage leaves the rows of its units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from seisflow.keys import Window
from seisflow.run.store import Store
from seisflow.run.units import Source
from seisflow.tables import concatenate, to_arrow

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Parts"]


@dataclass(frozen=True)
class Parts:
    """The parts of one stage."""

    store: Store
    folder: Path

    def path(self, part: str, table: str) -> Path:
        """Return the file of one table of a part."""
        return self.folder / "parts" / f"{part}.{table}.parquet"

    def write(self, part: str, table: str, frames: Mapping[str, pd.DataFrame], schema: pa.Schema) -> None:
        """Write the rows of some units (by name) as one table of a part."""
        tables = []
        for unit, frame in frames.items():
            rows = to_arrow(frame, schema)
            tables.append(rows.append_column("unit", pa.array([unit] * rows.num_rows, pa.string())))
        with self.store.appearing(self.path(part, table)) as temporary:
            pq.write_table(pa.concat_tables(tables), temporary, compression="zstd")

    def read(
        self, table: str, schema: pa.Schema, sources: Iterable[Source], window: Window | None = None
    ) -> pd.DataFrame:
        """Return the rows of some units, in the order of the sources; only those in `window` if given."""
        by_part: dict[str, list[str]] = {}
        for source in sources:
            by_part.setdefault(source.part, []).append(source.unit)
        frames = [
            self._rows(self.path(part, table), units, window) for part, units in by_part.items() if part
        ]
        return concatenate(frames, schema)

    @staticmethod
    def _rows(path: Path, units: Sequence[str], window: Window | None) -> pd.DataFrame:
        wanted = ds.field("unit").isin(list(units))
        if window is not None:
            start, end = (
                pa.scalar(int(t.astype("int64")), pa.timestamp("ns", "UTC"))
                for t in (window.start, window.end)
            )
            wanted &= (ds.field("time") >= start) & (ds.field("time") < end)
        rows: pd.DataFrame = pq.read_table(path, filters=wanted).to_pandas()
        return rows
