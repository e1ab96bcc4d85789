"""Parts: the immutable Parquet files in which a stage leaves the rows of its units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from seisflow.errors import CorruptPartError
from seisflow.run.store import Store
from seisflow.storage.sealed import seal, unseal
from seisflow.tables import to_arrow

if TYPE_CHECKING:
    from seisflow.keys import Window
    from seisflow.run.units import Source

__all__ = ["Parts"]

READERS = 8


@dataclass(frozen=True)
class Parts:
    """The parts of one stage.

    Parameters
    ----------
    store : Store
    folder : str
        Key of the stage's folder: ``store.stage(name, fingerprint)``.
    """

    store: Store
    folder: str

    def key(self, part: str, table: str) -> str:
        """Return the key of one table of a part."""
        return f"{self.folder}/parts/{part}.{table}.parquet"

    def write(self, part: str, table: str, frames: Mapping[str, pd.DataFrame], schema: pa.Schema) -> None:
        """Write the rows of some units (by name) as one table of a part."""
        filled = {unit: frame for unit, frame in frames.items() if len(frame)}
        rows = (
            to_arrow(pd.concat(filled.values(), ignore_index=True), schema)
            if filled
            else schema.empty_table()
        )
        units = [unit for unit, frame in filled.items() for _ in range(len(frame))]
        sealed = seal(rows.append_column("unit", pa.array(units, pa.string())))
        self.store.write_bytes(self.key(part, table), sealed)

    def read(
        self, table: str, schema: pa.Schema, sources: Iterable[Source], window: Window | None = None
    ) -> pd.DataFrame:
        """Return the rows of some units; only those in `window` if given.

        A part is read once, whatever the number of its units; parts come in the order in which the
        sources name them first, rows of a part as they were written.

        Raises
        ------
        CorruptPartError
            If parts are damaged or gone; it names them all.
        """
        by_part: dict[str, list[str]] = {}
        for source in sources:
            by_part.setdefault(source.part, []).append(source.unit)
        by_part.pop("", None)

        def chosen(part: str) -> pa.Table | CorruptPartError:
            """Return the rows of one part, or what is wrong with it."""
            try:
                rows = _chosen(self._table(part, table), by_part[part], window)
            except CorruptPartError as error:
                return error
            return rows.select(schema.names).cast(schema)

        with ThreadPoolExecutor(READERS) as pool:  # whole parts are in memory in this number at most
            read = list(pool.map(chosen, by_part))
        damaged = [error for error in read if isinstance(error, CorruptPartError)]
        if damaged:
            raise CorruptPartError(
                "; ".join(map(str, damaged)), *chain.from_iterable(e.parts for e in damaged)
            )
        found: pd.DataFrame = pa.concat_tables([schema.empty_table(), *read]).to_pandas()
        return found

    def verify(self, part: str, tables: Iterable[str]) -> None:
        """Read the tables of a part for nothing but their checksums.

        Raises
        ------
        CorruptPartError
            If one is damaged or gone.
        """
        for table in tables:
            self._table(part, table)

    def _table(self, part: str, table: str) -> pa.Table:
        key = self.key(part, table)
        try:
            return unseal(self.store.read_bytes(key), self.store.uri(key))
        except FileNotFoundError as error:
            raise CorruptPartError(
                f"{self.store.uri(key)} is gone, though the ledger names it; what it held is computed again",
                part,
            ) from error
        except CorruptPartError as error:
            raise CorruptPartError(str(error), part) from error


def _chosen(rows: pa.Table, units: Sequence[str], window: Window | None) -> pa.Table:
    """Return the rows of some units, in a window if one is given."""
    wanted = pc.field("unit").isin(list(units))
    if window is not None:
        start, end = (
            pa.scalar(int(t.astype("int64")), pa.timestamp("ns", "UTC")) for t in (window.start, window.end)
        )
        wanted &= (pc.field("time") >= start) & (pc.field("time") < end)
    return rows.filter(wanted)
