"""The folder or URL of a run: where parts, ledger, tables and report lie."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from seisflow.errors import TableError
from seisflow.storage.objects import Objects, Stamped, open_objects
from seisflow.tables import to_arrow, validate

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["Store"]


@dataclass(frozen=True)
class Store:
    """The folder or URL of a run; objects in it are named by keys, parts joined by ``/``.

    ``archive/`` holdings, rejected files and stations · ``stages/<stage>-<fingerprint>/`` parts and
    ledger of a stage · ``tables/`` the result · ``report.html`` · ``run.json`` the plan in numbers ·
    ``lease.json`` who runs it.

    Parameters
    ----------
    root : str
        Path, or ``s3://BUCKET/PREFIX``.
    storage_options : mapping
        What the storage behind a URL needs: credentials, endpoint.

    Notes
    -----
    A missing object is a `FileNotFoundError`, anything else that goes wrong a `StoreError`.
    """

    root: str
    storage_options: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)

    tables = "tables"
    """Folder of the resulting tables."""
    archive = "archive"
    """Folder of what the scan found."""

    def __post_init__(self) -> None:
        root = str(self.root)
        root = root.rstrip("/") if "://" in root else str(Path(root).expanduser().absolute())
        object.__setattr__(self, "root", root)

    @property
    def objects(self) -> Objects:
        """The storage behind the store."""
        return open_objects(self.root, self.storage_options)

    def stage(self, name: str, fingerprint: str) -> str:
        """Return the folder of a stage; another fingerprint is another folder."""
        return f"stages/{name}-{fingerprint}"

    def uri(self, key: str) -> str:
        """Return the path or URL of an object."""
        return self.objects.uri(key)

    def exists(self, key: str) -> bool:
        """Return whether there is such an object."""
        return self.objects.exists(key)

    def keys(self, prefix: str) -> list[str]:
        """Return the keys of all objects below a folder, sorted."""
        return self.objects.keys(prefix)

    def names(self, prefix: str) -> list[str]:
        """Return the names of the objects and folders in a folder itself, sorted."""
        return self.objects.names(prefix)

    def read_bytes(self, key: str) -> bytes:
        """Return the content of an object."""
        return self.objects.read(key)

    def write_bytes(self, key: str, content: bytes) -> None:
        """Write an object; readers see all of it, or what was there before."""
        self.objects.write(key, content)

    def delete(self, key: str) -> None:
        """Delete an object; one that is missing is as good."""
        self.objects.delete(key)

    def read_json(self, key: str) -> Any:
        """Return the content of a JSON object."""
        return json.loads(self.read_bytes(key))

    def write_json(self, key: str, content: Any) -> None:
        """Write JSON; readers see all of it, or what was there before."""
        self.write_bytes(key, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode())

    def read_table(self, key: str, schema: pa.Schema, filters: Any = None) -> pd.DataFrame:
        """Return a Parquet table of a schema; of a large one only the rows that fit `filters`.

        Parameters
        ----------
        key : str
        schema : pyarrow.Schema
        filters : optional
            As of `pyarrow.parquet.read_table`.

        Raises
        ------
        TableError
            If there is none, or it is no such table.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with self.open(key) as file:
                return validate(pq.read_table(file, filters=filters).to_pandas(), schema)
        except FileNotFoundError as error:
            raise TableError(f"there is no table {self.uri(key)}") from error
        except (TableError, ValueError, pa.ArrowException) as error:
            raise TableError(f"{self.uri(key)} can not be read as a table: {error}") from error

    def write_table(self, key: str, frame: pd.DataFrame, schema: pa.Schema) -> None:
        """Write a table as Parquet; readers see all of it, or what was there before."""
        import pyarrow.parquet as pq

        with self.appearing(key) as temporary:
            pq.write_table(to_arrow(frame, schema), temporary, compression="zstd")

    def open(self, key: str) -> AbstractContextManager[BinaryIO]:
        """Open an object for reading some of it."""
        return self.objects.open(key)

    def create(self, key: str, content: bytes) -> bool:
        """Write an object that does not exist yet; return False where it does."""
        return self.objects.create(key, content)

    def read_stamped(self, key: str) -> Stamped:
        """Return the content of an object and the stamp it had."""
        return self.objects.read_stamped(key)

    def sweep(self, folder: str = "") -> int:
        """Remove the drafts that writers which were killed left below a folder; return how many."""
        return self.objects.sweep(folder)

    def stamp(self, key: str) -> str:
        """Return the stamp of an object, which changes whenever the object does."""
        return self.read_stamped(key).stamp

    def replace(self, key: str, content: bytes, stamp: str) -> bool:
        """Write an object if it still has the stamp; return False where it has changed."""
        return self.objects.replace(key, content, stamp)

    def appearing(self, key: str) -> AbstractContextManager[Path]:
        """Give a temporary path that becomes the object when the block ends well: all of it, or nothing."""
        return self.objects.appearing(key)

    def local(self, key: str) -> AbstractContextManager[Path]:
        """Give a path on this machine to read an object from, as long as the block lasts."""
        return self.objects.local(key)
