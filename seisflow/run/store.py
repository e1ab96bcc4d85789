"""The folder of a run: where parts, ledger, tables and report lie, and how a file appears at once."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seisflow.tables import to_arrow

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["Store"]


@dataclass(frozen=True)
class Store:
    """The folder of a run.

    ``archive/`` holdings, rejected files and stations · ``stages/<stage>-<fingerprint>/`` parts and
    ledger of a stage · ``tables/`` the result · ``report.html`` · ``run.json`` the plan in numbers ·
    ``lease.json`` who runs it.
    """

    root: Path

    def stage(self, name: str, fingerprint: str) -> Path:
        """Return the folder of a stage; another fingerprint is another folder."""
        return self.root / "stages" / f"{name}-{fingerprint}"

    @property
    def tables(self) -> Path:
        """Folder of the resulting tables."""
        return self.root / "tables"

    @property
    def archive(self) -> Path:
        """Folder of what the scan found."""
        return self.root / "archive"

    @contextmanager
    def appearing(self, path: Path) -> Iterator[Path]:
        """Give a temporary path that becomes `path` when the block ends well: all of it, or nothing."""
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def write_json(self, path: Path, content: Any) -> None:
        """Write JSON so that readers see all of it or the file before it."""
        with self.appearing(path) as temporary:
            temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")

    def write_table(self, path: Path, frame: pd.DataFrame, schema: pa.Schema) -> None:
        """Write a table as Parquet so that readers see all of it or the file before it."""
        import pyarrow.parquet as pq

        with self.appearing(path) as temporary:
            pq.write_table(to_arrow(frame, schema), temporary, compression="zstd")
