"""Objects in an S3 bucket: a put appears whole, and conditional puts keep drivers apart."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from seisflow.errors import SeisflowError, StoreError
from seisflow.storage.objects import Stamped

if TYPE_CHECKING:
    from seisflow.storage.place import Place

__all__ = ["S3"]

REFUSED = frozenset({"PreconditionFailed", "412"})
CONFLICT = frozenset({"ConditionalRequestConflict", "409"})
TRIES = 8


class S3:
    """Objects below an ``s3://`` URL.

    Parameters
    ----------
    place : Place
        Opened without a cache of listings: other drivers and workers write beside us.
    """

    def __init__(self, place: Place) -> None:
        self._fs = place.fs
        self._root = place.path.rstrip("/")

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}" if key else self._root

    def uri(self, key: str) -> str:
        """Return the URL of an object."""
        return f"s3://{self._path(key)}"

    def exists(self, key: str) -> bool:
        """Return whether there is such an object."""
        try:
            self._head(key)
        except FileNotFoundError:
            return False
        return True

    def keys(self, folder: str) -> list[str]:
        """Return the keys of all objects below a folder, sorted."""
        with self._errors(folder), contextlib.suppress(FileNotFoundError):
            found = self._fs.find(self._path(folder))
            return sorted(path.removeprefix(f"{self._root}/") for path in found if path != self._path(folder))
        return []

    def names(self, folder: str) -> list[str]:
        """Return the names of what lies in a folder itself, sorted."""
        with self._errors(folder), contextlib.suppress(FileNotFoundError):
            listed = self._fs.ls(self._path(folder), detail=False, refresh=True)
            return sorted({path.rstrip("/").rsplit("/", 1)[-1] for path in listed})
        return []

    def read(self, key: str) -> bytes:
        """Return the content of an object."""
        with self._errors(key):
            content: bytes = self._fs.cat_file(self._path(key))
        return content

    def read_stamped(self, key: str) -> Stamped:
        """Return the content of an object and its entity tag, both of one answer."""
        from fsspec.asyn import sync

        with self._errors(key):
            content, tag = sync(self._fs.loop, _got, self._fs, **self._where(key))
        return Stamped(content, tag)

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        """Open an object for reading some of it."""
        with self._errors(key), self._fs.open(self._path(key), "rb", cache_type="readahead") as file:
            yield file

    def write(self, key: str, content: bytes) -> None:
        """Write an object."""
        with self._errors(key):
            self._fs.pipe_file(self._path(key), content)

    def upload(self, key: str, path: Path) -> None:
        """Upload a file; a large one in parts, which appear together."""
        with self._errors(key):
            self._fs.put_file(str(path), self._path(key))

    def delete(self, key: str) -> None:
        """Delete an object; one that is missing is as good."""
        with self._errors(key):
            self._fs.call_s3("delete_object", **self._where(key))

    def create(self, key: str, content: bytes) -> bool:
        """Write an object that does not exist yet."""
        return self._put_if(key, content, IfNoneMatch="*")

    def replace(self, key: str, content: bytes, stamp: str) -> bool:
        """Write an object if it still has the stamp."""
        return self._put_if(key, content, IfMatch=stamp)

    def _put_if(self, key: str, content: bytes, **condition: str) -> bool:
        """Put under a condition; a put that was sent twice is refused the second time, but is ours."""
        for _ in range(TRIES):
            try:
                with self._errors(key):
                    self._fs.call_s3("put_object", Body=content, **self._where(key), **condition)
                return True
            except FileNotFoundError:  # nothing left to replace
                return False
            except StoreError as error:
                code = _code(error)
                if code in CONFLICT:  # another put is under way: ask again
                    continue
                if code not in REFUSED:
                    raise
                try:
                    return self.read(key) == content
                except FileNotFoundError:
                    return False
        raise StoreError(f"{self.uri(key)}: {TRIES} writes met others under way; try again")

    def age_s(self, key: str) -> float:
        """Return the seconds since an object was written, by the server's clock."""
        from email.utils import parsedate_to_datetime

        head = self._head(key)
        present = parsedate_to_datetime(head["ResponseMetadata"]["HTTPHeaders"]["date"])
        return max(0.0, float((present - head["LastModified"]).total_seconds()))

    def _head(self, key: str) -> dict[str, Any]:
        with self._errors(key):
            head: dict[str, Any] = self._fs.call_s3("head_object", **self._where(key))
        return head

    @contextmanager
    def appearing(self, key: str) -> Iterator[Path]:
        """Give a temporary path that is uploaded when the block ends well."""
        with tempfile.TemporaryDirectory(prefix="seisflow-") as folder:
            path = Path(folder) / key.rsplit("/", 1)[-1]
            yield path
            self.upload(key, path)

    @contextmanager
    def local(self, key: str) -> Iterator[Path]:
        """Give the path of a copy."""
        with tempfile.TemporaryDirectory(prefix="seisflow-") as folder:
            path = Path(folder) / key.rsplit("/", 1)[-1]
            with self._errors(key):
                self._fs.get_file(self._path(key), str(path))
            yield path

    def _where(self, key: str) -> dict[str, str]:
        bucket, _, inside = self._path(key).partition("/")
        return {"Bucket": bucket, "Key": inside}

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        """Turn what S3 raises into a `StoreError` that names the object."""
        try:
            yield
        except (SeisflowError, FileNotFoundError):
            raise
        except Exception as error:  # botocore and aiohttp have families of their own
            raise StoreError(f"{self.uri(key)}: {type(error).__name__}: {error}") from error


async def _got(fs: Any, **where: str) -> tuple[bytes, str]:
    """Return content and entity tag of one answer."""
    answer = await fs._call_s3("get_object", **where)
    async with answer["Body"] as body:
        return await body.read(), answer["ETag"]


def _code(error: BaseException) -> str:
    """Return the code of the S3 error that is behind an error, '' where there is none."""
    cause: BaseException | None = error
    while cause is not None:
        response = getattr(cause, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
        cause = cause.__cause__
    return ""
