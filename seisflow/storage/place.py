"""Files on a disk or behind any fsspec URL: listing them, naming them, getting their bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from seisflow.errors import ArchiveError

__all__ = ["File", "Place", "open_place"]


class File(NamedTuple):
    """A file as a listing shows it.

    Attributes
    ----------
    uri : str
        Absolute path on a disk, else URL.
    relative : str
        Path below the listed folder, with ``/``.
    n_bytes : int
    stamp : str
        When the storage says it was last changed, '' where it does not say.
    """

    uri: str
    relative: str
    n_bytes: int
    stamp: str


class Place(NamedTuple):
    """A folder or file of one file system.

    Attributes
    ----------
    fs : fsspec.AbstractFileSystem
    path : str
        Path within `fs`, without protocol.
    """

    fs: Any
    path: str

    @property
    def is_local(self) -> bool:
        """Whether `path` is an ordinary path of this machine."""
        protocol = self.fs.protocol
        return "file" in ((protocol,) if isinstance(protocol, str) else protocol)

    @property
    def uri(self) -> str:
        """The absolute path on a disk, else the URL."""
        return self.path if self.is_local else str(self.fs.unstrip_protocol(self.path))

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.path.rstrip("/").rsplit("/", 1)[-1]

    def is_folder(self) -> bool:
        """Return whether this is a folder that exists.

        Raises
        ------
        ArchiveError
            If the storage fails.
        """
        with _storage_errors(self.uri):
            return bool(self.fs.isdir(self.path))

    def folders(self) -> list[Place]:
        """Return the folders in this one, sorted; on a disk also those that links point to.

        Raises
        ------
        ArchiveError
            If it can not be listed.
        """
        with _storage_errors(self.uri):
            if self.is_local:
                names = [entry.path for entry in os.scandir(self.path) if entry.is_dir()]
            else:
                entries = self.fs.ls(self.path, detail=True)
                names = [entry["name"].rstrip("/") for entry in entries if entry["type"] == "directory"]
        return [Place(self.fs, name) for name in sorted(names)]

    def files(self) -> list[File]:
        """Return every file below this folder, or this one file; sorted by path, hidden ones left out.

        On a disk links are followed, and a folder that is reached twice is listed once.

        Raises
        ------
        ArchiveError
            If there is no such folder or file, or it can not be listed.
        """
        with _storage_errors(self.uri):
            if not self.fs.exists(self.path):
                raise ArchiveError(f"there is no folder or file {self.uri}")
            if self.fs.isdir(self.path):
                prefix = self.path.rstrip("/") + "/"
                entries = _walked(self.path) if self.is_local else self._found()
            else:
                prefix = self.path.removesuffix(self.name)
                info = self.fs.info(self.path)
                entries = {self.path: (int(info["size"] or 0), _stamp(info))}
        found = []
        for path, (n_bytes, stamp) in sorted(entries.items()):
            relative = path.removeprefix(prefix)
            if not any(part.startswith(".") for part in relative.split("/")):
                found.append(File(Place(self.fs, path).uri, relative, n_bytes, stamp))
        return found

    def _found(self) -> dict[str, tuple[int, str]]:
        """Return size and stamp of every file of a remote folder."""
        entries = self.fs.find(self.path, detail=True)
        return {
            path: (int(info["size"] or 0), _stamp(info))
            for path, info in entries.items()
            if info["type"] == "file"
        }

    def read_bytes(self) -> bytes:
        """Return the content of this file.

        Raises
        ------
        ArchiveError
            If the storage fails.
        """
        with _storage_errors(self.uri):
            content: bytes = Path(self.path).read_bytes() if self.is_local else self.fs.cat_file(self.path)
        return content


def open_place(url: str | Path, options: Mapping[str, Any] | None = None) -> Place:
    """Return the place that a path or URL names; nothing is looked up yet.

    Raises
    ------
    ArchiveError
        If the protocol is unknown or the package it needs is not installed.
    """
    from fsspec.core import url_to_fs

    try:
        fs, path = url_to_fs(str(url), **dict(options or {}))
    except (ValueError, ImportError, TypeError) as error:
        raise ArchiveError(f"{url} can not be opened: {error}") from error
    return Place(fs, str(path))


@contextmanager
def _storage_errors(uri: str) -> Iterator[None]:
    """Turn whatever a storage raises into an `ArchiveError` that names the place."""
    try:
        yield
    except ArchiveError:
        raise
    except Exception as error:  # botocore, aiohttp and others have families of their own
        raise ArchiveError(f"{uri} can not be read: {type(error).__name__}: {error}") from error


def _walked(top: str) -> dict[str, tuple[int, str]]:
    """Return size and stamp of every file of a folder on a disk (fsspec does not follow links)."""
    found: dict[str, tuple[int, str]] = {}
    seen: set[tuple[int, int]] = set()
    for folder, inside, names in os.walk(top, followlinks=True):
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in seen:  # a link that leads back
            inside.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        inside.sort()
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118 - a Path for each of millions is slow
            try:
                status = os.stat(path)  # noqa: PTH116
                found[path] = (status.st_size, str(status.st_mtime_ns))
            except OSError:  # a link to nowhere: reading it will say so
                found[path] = (0, "")
    return found


def _stamp(info: Mapping[str, Any]) -> str:
    """Return the time of the last change; file systems disagree on its name."""
    for key in ("mtime", "LastModified", "last_modified", "modified", "updated", "created", "ETag"):
        if info.get(key) is not None:
            return str(info[key])
    return ""
