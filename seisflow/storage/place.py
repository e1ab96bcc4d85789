"""Files on a disk or behind any fsspec URL: listing them, naming them, getting their bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from seisflow.errors import AccessError, ArchiveError, MissingFileError
from seisflow.storage.retry import PATIENCE_S, retrying
from seisflow.storage.s3 import PROTOCOLS, list_pages, object_info, s3_settings

__all__ = ["File", "Place", "open_place"]

_Result = TypeVar("_Result")


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
    patience_s : float
        How long storage that fails for a while is tried again.
    """

    fs: Any
    path: str
    patience_s: float = PATIENCE_S

    @property
    def is_local(self) -> bool:
        """Whether `path` is an ordinary path of this machine."""
        return "file" in self._protocols

    @property
    def is_s3(self) -> bool:
        """Whether this lies in an S3 bucket."""
        return bool(PROTOCOLS & set(self._protocols))

    @property
    def _protocols(self) -> tuple[str, ...]:
        protocol = self.fs.protocol
        return (protocol,) if isinstance(protocol, str) else tuple(protocol)

    @property
    def uri(self) -> str:
        """The absolute path on a disk, else the URL."""
        return self.path if self.is_local else str(self.fs.unstrip_protocol(self.path))

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.path.rstrip("/").rsplit("/", 1)[-1]

    def below(self, relative: str) -> Place:
        """Return what lies below this folder under a relative path."""
        return self._replace(path=self._below + relative)

    def at(self, uri: str) -> Place:
        """Return the place in the same file system that a URI names; quicker than to open it."""
        return self._replace(path=uri if self.is_local else str(self.fs._strip_protocol(uri)))

    def retrying(
        self,
        operation: Callable[[], _Result],
        doing: Literal["read", "listed", "written", "deleted"] = "read",
    ) -> _Result:
        """Return what an operation on this place returns, with patience; errors name the place.

        Raises
        ------
        ArchiveError
            As `seisflow.storage.retrying`.
        """
        try:
            return retrying(operation, self.uri, doing=doing, patience_s=self.patience_s)
        except AccessError:
            self.fs.clear_instance_cache()  # credentials may be renewed beside us: look for them again
            raise

    def is_folder(self) -> bool:
        """Return whether this is a folder that exists.

        Raises
        ------
        ArchiveError
            If the storage fails.
        """
        return self.retrying(lambda: self._holds_objects() if self.is_s3 else bool(self.fs.isdir(self.path)))

    def _holds_objects(self) -> bool:
        page = next(list_pages(self.fs, self._below, at_most=1, patience_s=self.patience_s))
        return bool(page.objects)

    def folders(self) -> list[Place]:
        """Return the folders in this one, sorted; on a disk also those that links point to.

        Raises
        ------
        ArchiveError
            If it can not be listed.
        """
        return [self._replace(path=path) for path in sorted(self.retrying(self._subfolders, "listed"))]

    def _subfolders(self) -> list[str]:
        if self.is_local:
            return [entry.path for entry in os.scandir(self.path) if entry.is_dir()]
        if self.is_s3:
            pages = list_pages(self.fs, self._below, delimiter="/", patience_s=self.patience_s)
            bucket = self.path.partition("/")[0]
            return [f"{bucket}/{prefix.rstrip('/')}" for page in pages for prefix in page.prefixes]
        entries = self.fs.ls(self.path, detail=True)
        return [entry["name"].rstrip("/") for entry in entries if entry["type"] == "directory"]

    def files(self) -> list[File]:
        """Return every file below this folder, or this one file; sorted by path, hidden ones left out.

        On a disk links are followed, and a folder that is reached twice is listed once.

        Raises
        ------
        MissingFileError
            If there is no such folder or file.
        ArchiveError
            If it can not be listed.
        """
        entries = self.retrying(self._found_s3 if self.is_s3 else self._found, "listed")
        prefix = self.path.removesuffix(self.name) if self.path in entries else self._below
        found = []
        for path, (n_bytes, stamp) in sorted(entries.items()):
            relative = path.removeprefix(prefix)
            if not any(part.startswith(".") for part in relative.split("/")):
                found.append(File(self._replace(path=path).uri, relative, n_bytes, stamp))
        return found

    def _found(self) -> dict[str, tuple[int, str]]:
        """Return size and stamp of every file."""
        if not self.fs.exists(self.path):
            raise self._missing()
        if not self.fs.isdir(self.path):
            info = self.fs.info(self.path)
            return {self.path: (int(info["size"] or 0), _stamp(info))}
        if self.is_local:
            return _walked(self.path)
        entries = self.fs.find(self.path, detail=True)
        return {
            path: (int(info["size"] or 0), _stamp(info))
            for path, info in entries.items()
            if info["type"] == "file"
        }

    def _found_s3(self) -> dict[str, tuple[int, str]]:
        """Return size and stamp of every object; objects that stand for folders are left out."""
        bucket, _, key = self.path.partition("/")
        entries = [
            entry
            for page in list_pages(self.fs, self._below, patience_s=self.patience_s)
            for entry in page.objects
        ]
        if not entries and key:
            try:
                entries = [object_info(self.fs, self.path, patience_s=self.patience_s)]
            except MissingFileError as error:
                raise self._missing() from error
        return {
            f"{bucket}/{entry['Key']}": (int(entry["Size"]), _stamp(entry))
            for entry in entries
            if not entry["Key"].endswith("/")
        }

    @property
    def _below(self) -> str:
        """What the path of everything in this folder begins with."""
        return self.path.rstrip("/") + "/"

    def _missing(self) -> MissingFileError:
        return MissingFileError(f"there is no folder or file {self.uri}")

    def read_bytes(self, start: int | None = None, end: int | None = None) -> bytes:
        """Return the content of this file, or its bytes ``[start, end)``.

        Raises
        ------
        MissingFileError
            If there is no such file.
        ArchiveError
            If the storage fails.
        """
        return self.retrying(lambda: self._content(start, end))

    def _content(self, start: int | None, end: int | None) -> bytes:
        if self.is_local:
            with open(self.path, "rb") as file:  # noqa: PTH123 - it is asked for small parts, again and again
                file.seek(start or 0)
                return file.read(-1 if end is None else end - (start or 0))
        # s3fs would ask for the size first, to read parts of a file side by side: files are read so here
        single = {"max_concurrency": 1} if self.is_s3 else {}
        content: bytes = self.fs.cat_file(self.path, start=start, end=end, **single)
        return content


def open_place(
    url: str | Path, options: Mapping[str, Any] | None = None, patience_s: float = PATIENCE_S
) -> Place:
    """Return the place that a path or URL names; nothing is looked up yet.

    Parameters
    ----------
    url : str or Path
    options : mapping, optional
        What fsspec needs to open the URL. S3 gets timeouts, a bounded pool of connections and no cache of
        listings unless `options` says otherwise, and neither s3fs nor botocore retries by itself.
    patience_s : float
        How long storage that fails for a while is tried again.

    Raises
    ------
    ArchiveError
        If the protocol is unknown or the package it needs is not installed.
    """
    from fsspec.core import url_to_fs

    settings = dict(options or {})
    if str(url).partition("://")[0] in PROTOCOLS:
        settings = s3_settings(settings)
    try:
        fs, path = url_to_fs(str(url), **settings)
    except (ValueError, ImportError, TypeError) as error:
        raise ArchiveError(f"{url} can not be opened: {error}") from error
    place = Place(fs, str(path), patience_s)
    if place.is_s3:
        fs.retries = 1
    return place


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
