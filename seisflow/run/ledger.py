"""The ledger: one immutable record for each finished task, with a row for each unit of work.

A record names the part that holds the rows of its units; a part no record names does not exist for
readers. The newest row of a unit is the true one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seisflow.run.store import Store
from seisflow.tables import LEDGER, validate

__all__ = ["Entry", "Ledger"]

DONE = frozenset({"ok", "empty"})


@dataclass(frozen=True)
class Entry:
    """One row of the LEDGER table."""

    stage: str
    unit: str
    status: str
    reason: str = ""
    inputs: str = ""
    part: str = ""
    n_rows: int = 0
    checksum: str = ""
    attempts: int = 1
    seconds: float = 0.0
    peak_memory_mb: float = 0.0
    finished: str = ""
    versions: str = ""

    @property
    def done(self) -> bool:
        """Whether the unit needs no more work."""
        return self.status in DONE


@dataclass(frozen=True)
class Ledger:
    """The ledger of one stage."""

    store: Store
    folder: Path

    @property
    def records(self) -> Path:
        """Folder of the records."""
        return self.folder / "ledger"

    def record(self, name: str, entries: Sequence[Entry]) -> None:
        """Write the record of one finished task."""
        self.store.write_json(self.records / f"{name}.json", [asdict(entry) for entry in entries])

    def entries(self) -> dict[str, Entry]:
        """Return the newest entry of each unit."""
        newest: dict[str, Entry] = {}
        with ThreadPoolExecutor(8) as pool:
            for rows in pool.map(_rows, sorted(self.records.glob("*.json"))):
                for row in rows:
                    entry = Entry(**row)
                    known = newest.get(entry.unit)
                    if known is None or (entry.finished, entry.attempts) >= (known.finished, known.attempts):
                        newest[entry.unit] = entry
        return newest


def _rows(path: Path) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = json.loads(path.read_text())
    return rows


def now() -> str:
    """Return the present time, UTC, ISO 8601 to the microsecond."""
    return str(np.datetime64(pd.Timestamp.now("UTC").tz_localize(None), "us"))


def as_table(entries: Iterable[Entry]) -> pd.DataFrame:
    """Return entries as a LEDGER table, sorted by stage and unit."""
    rows = sorted((asdict(entry) for entry in entries), key=lambda row: (row["stage"], row["unit"]))
    return validate(pd.DataFrame(rows, columns=LEDGER.names), LEDGER)
