"""A folder of a disk or a bucket as a set of named objects that appear whole, or not at all.

Beside reading and writing there are the two operations on which drivers agree who holds a run: to
create an object that must not exist, and to replace one that must not have changed.
"""

from __future__ import annotations

import errno
import functools
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

from seisflow.errors import SeisflowError, StoreError
from seisflow.storage.place import open_place

__all__ = ["Disk", "Objects", "Stamped", "disk_errors", "forget_objects", "open_objects"]

DRAFT = ".tmp"
DRAFT_AGE_S = 60.0
"""A draft that nobody has written to for so long is one of a writer that was killed."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Stamped(NamedTuple):
    """The content of an object and the stamp that changes whenever the object does."""

    content: bytes
    stamp: str


class Objects(Protocol):
    """Objects below one folder or URL; keys are parts joined by ``/``.

    A missing object is a `FileNotFoundError`; whatever else goes wrong is a `StoreError` that names
    the object.
    """

    def uri(self, key: str) -> str:
        """Return the path or URL of an object."""

    def exists(self, key: str) -> bool:
        """Return whether there is such an object."""

    def keys(self, folder: str) -> list[str]:
        """Return the keys of all objects below a folder, sorted; those being written are left out."""

    def names(self, folder: str) -> list[str]:
        """Return the names of what lies in a folder itself, objects and folders, sorted."""

    def read(self, key: str) -> bytes:
        """Return the content of an object."""

    def read_stamped(self, key: str) -> Stamped:
        """Return the content of an object and the stamp it had."""

    def open(self, key: str) -> AbstractContextManager[BinaryIO]:
        """Open an object for reading some of it."""

    def write(self, key: str, content: bytes) -> None:
        """Write an object; readers see all of it, or what was there before."""

    def upload(self, key: str, path: Path) -> None:
        """Make a file an object; readers see all of it, or what was there before."""

    def delete(self, key: str) -> None:
        """Delete an object; one that is missing is as good."""

    def sweep(self, folder: str) -> int:
        """Remove the drafts that writers which were killed left below a folder; return how many."""

    def create(self, key: str, content: bytes) -> bool:
        """Write an object that does not exist yet; return False where it does.

        Of several that try at once one succeeds. An answer may be lost on the way and the request
        sent again: an object with this very content counts as created, so contents must be unique.
        """

    def replace(self, key: str, content: bytes, stamp: str) -> bool:
        """Write an object if it still has the stamp; return False where it has changed.

        Contents must be unique, as for `create`.
        """

    def age_s(self, key: str) -> float:
        """Return the seconds since an object was written, by the clock of the storage."""

    def appearing(self, key: str) -> AbstractContextManager[Path]:
        """Give a temporary path that becomes the object when the block ends well."""

    def local(self, key: str) -> AbstractContextManager[Path]:
        """Give a path on this machine to read the object from, as long as the block lasts."""


def open_objects(root: str, options: Mapping[str, Any]) -> Objects:
    """Return the objects below a path or URL; opened once a process.

    Raises
    ------
    StoreError
        If the storage has no conditional writes: two drivers could not be told apart.
    """
    return _open(root, json.dumps(dict(options), sort_keys=True, default=str), _Options(options))


class _Options(dict[str, Any]):
    """Options that do not take part in the comparison of arguments: their text does."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)

    def __hash__(self) -> int:  # type: ignore[override]
        return 0


@functools.lru_cache(maxsize=16)
def _open(root: str, text: str, options: _Options) -> Objects:
    protocol = root.partition("://")[0] if "://" in root else "file"
    if protocol in ("file", "local"):
        return Disk(Path(root.partition("://")[2] or root))
    if protocol in ("s3", "s3a"):
        from seisflow.storage.objects_s3 import S3

        return S3(open_place(root, options))
    raise StoreError(
        f"{root}: runs are written to a disk or to s3://; {protocol}:// lacks conditional writes, which keep "
        "two drivers apart"
    )


def forget_objects() -> None:
    """Open every storage anew when it is asked for next."""
    _open.cache_clear()


class Disk:
    """Objects in a folder of a disk, local or shared."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def _path(self, key: str) -> Path:
        return self.root / key

    def uri(self, key: str) -> str:
        """Return the path of an object."""
        return str(self._path(key))

    def exists(self, key: str) -> bool:
        """Return whether there is such an object."""
        return self._path(key).is_file()

    def keys(self, folder: str) -> list[str]:
        """Return the keys of all objects below a folder, sorted."""
        found: list[str] = []
        left = [folder]
        while left:
            inside = left.pop()
            for name, is_folder in self._listed(inside):
                key = f"{inside}/{name}" if inside else name
                (left if is_folder else found).append(key)
        return sorted(found)

    def names(self, folder: str) -> list[str]:
        """Return the names of what lies in a folder itself, sorted."""
        return sorted(name for name, _ in self._listed(folder))

    def _listed(self, folder: str) -> list[tuple[str, bool]]:
        with disk_errors(self._path(folder)):
            try:
                with os.scandir(self._path(folder)) as entries:
                    return [(e.name, e.is_dir()) for e in entries if not e.name.startswith(".")]
            except (FileNotFoundError, NotADirectoryError):
                return []

    def read(self, key: str) -> bytes:
        """Return the content of an object."""
        with disk_errors(self._path(key)):
            return self._path(key).read_bytes()

    def read_stamped(self, key: str) -> Stamped:
        """Return the content of an object and the stamp it had: a hash of the content."""
        content = self.read(key)
        return Stamped(content, _hash(content))

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        """Open an object for reading some of it."""
        with disk_errors(self._path(key)), self._path(key).open("rb") as file:
            yield file

    def write(self, key: str, content: bytes) -> None:
        """Write an object; readers see all of it, or what was there before."""
        with self.appearing(key) as temporary:
            temporary.write_bytes(content)

    def upload(self, key: str, path: Path) -> None:
        """Copy a file to an object."""
        import shutil

        with self.appearing(key) as temporary:
            shutil.copyfile(path, temporary)

    def delete(self, key: str) -> None:
        """Delete an object; one that is missing is as good."""
        with disk_errors(self._path(key)):
            self._path(key).unlink(missing_ok=True)

    def sweep(self, folder: str) -> int:
        """Remove drafts that have not changed for `DRAFT_AGE_S`, by the clock of the disk."""
        drafts = list(self._drafts(self._path(folder)))
        if not drafts:
            return 0
        with disk_errors(self._path(folder)), self._draft(self._path(folder) / "now") as now:
            latest = now.stat().st_mtime - DRAFT_AGE_S
            n_left = 0
            for draft in drafts:
                with suppress(FileNotFoundError):  # its writer lives, after all
                    if draft.stat().st_mtime < latest:
                        draft.unlink()
                        n_left += 1
        return n_left

    def _drafts(self, folder: Path) -> Iterator[Path]:
        with disk_errors(folder):
            for inside, _, names in os.walk(folder):
                yield from (
                    Path(inside, name) for name in names if name.startswith(".") and name.endswith(DRAFT)
                )

    def create(self, key: str, content: bytes) -> bool:
        """Write an object that does not exist yet: a link is atomic, and fails where there is one."""
        path = self._path(key)
        with disk_errors(path), self._draft(path) as draft:
            draft.write_bytes(content)
            _settle(draft)
            try:
                os.link(draft, path)
            except FileExistsError:  # a server of files may have done it, and lost the answer
                return path.exists() and path.samefile(draft)
        return True

    def replace(self, key: str, content: bytes, stamp: str) -> bool:
        """Write an object if it still has the stamp; a lock on the file itself keeps others away."""
        import fcntl

        path = self._path(key)
        with disk_errors(path), self._draft(path) as draft:
            draft.write_bytes(content)
            _settle(draft)
            try:
                file = path.open("r+b")  # file servers lock only what is open for writing
            except FileNotFoundError:
                return False
            with file:
                fcntl.flock(file, fcntl.LOCK_EX)
                try:
                    same = path.stat().st_ino == os.fstat(file.fileno()).st_ino
                except FileNotFoundError:
                    return False
                if not same or _hash(file.read()) != stamp:
                    return False
                draft.replace(path)
        return True

    def age_s(self, key: str) -> float:
        """Return the seconds since an object was written."""
        with disk_errors(self._path(key)):
            return max(0.0, time.time() - self._path(key).stat().st_mtime)

    @contextmanager
    def appearing(self, key: str) -> Iterator[Path]:
        """Give a temporary path that becomes the object when the block ends well."""
        path = self._path(key)
        with disk_errors(path), self._draft(path) as draft:
            yield draft
            _settle(draft)
            draft.replace(path)

    @contextmanager
    def local(self, key: str) -> Iterator[Path]:
        """Give the path of the object."""
        path = self._path(key)
        with disk_errors(path):
            path.stat()
        yield path

    @contextmanager
    def _draft(self, path: Path) -> Iterator[Path]:
        """Give a hidden path beside an object, that listings leave out and that is gone afterwards."""
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=DRAFT)
        os.close(handle)
        draft = Path(name)
        try:
            yield draft
        finally:
            draft.unlink(missing_ok=True)


def _settle(draft: Path) -> None:
    """Bring a draft to the disk, so that no crash leaves a name without its content."""
    with draft.open("rb") as written:
        os.fsync(written.fileno())
    draft.chmod(0o644)


def _hash(content: bytes) -> str:
    import hashlib

    return hashlib.blake2b(content, digest_size=16).hexdigest()


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what a disk raises into a `StoreError` that names the file and says what to do."""
    try:
        yield
    except (SeisflowError, FileNotFoundError):
        raise
    except OSError as error:
        if error.errno in FULL:
            raise StoreError(
                f"{path} can not be written: {error.strerror}; make room and start the same command again, "
                "which goes on where this run stopped"
            ) from error
        raise StoreError(f"{path}: {error.strerror or error}") from error
