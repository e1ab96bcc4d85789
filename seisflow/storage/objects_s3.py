"""Objects in an S3 bucket: a put appears whole, and puts on a condition keep drivers apart."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeVar

from seisflow.errors import AccessError, ArchiveError, ConflictError, StoreError, UnreachableError
from seisflow.storage.objects import Stamped, disk_errors, forget_objects
from seisflow.storage.retry import retrying
from seisflow.storage.s3 import list_pages

if TYPE_CHECKING:
    from seisflow.storage.place import Place

__all__ = ["S3"]

_Result = TypeVar("_Result")

OURS = (ArchiveError, UnreachableError)
"""Errors that are those of a store here; the others say what happened whatever it is."""
CLAIM_PATIENCE_S = 20.0
"""Patience of writes on a condition: a lease must not wait for longer than it lasts."""
PIECE = 32 * 2**20
"""Bytes of a request where an object is read or written in several."""


class S3:
    """Objects below an ``s3://`` URL.

    Parameters
    ----------
    place : Place
        Must keep no listings: other drivers and workers write beside us.
    """

    def __init__(self, place: Place) -> None:
        self._fs = place.fs
        self._root = place.path.rstrip("/")
        self._patience_s = place.patience_s

    def uri(self, key: str) -> str:
        """Return the URL of an object."""
        return f"s3://{self._root}/{key}" if key else f"s3://{self._root}"

    def _where(self, key: str) -> dict[str, str]:
        bucket, _, inside = f"{self._root}/{key}".partition("/")
        return {"Bucket": bucket, "Key": inside}

    def _do(
        self,
        key: str,
        operation: Callable[[], _Result],
        doing: Literal["read", "listed", "written", "deleted"] = "read",
        patience_s: float | None = None,
    ) -> _Result:
        """Return what an operation returns, with patience; what S3 raises becomes an error of ours."""
        patience_s = self._patience_s if patience_s is None else patience_s
        try:
            return retrying(operation, self.uri(key), doing=doing, patience_s=patience_s)
        except AccessError:
            self._fs.clear_instance_cache()  # credentials may be renewed beside us: look for them again
            forget_objects()
            raise
        except ArchiveError as error:
            if type(error) not in OURS:
                raise
            raise StoreError(str(error)) from error

    def exists(self, key: str) -> bool:
        """Return whether there is such an object."""
        try:
            self._head(key)
        except FileNotFoundError:
            return False
        return True

    def _head(self, key: str) -> dict[str, Any]:
        head: dict[str, Any] = self._do(key, lambda: self._fs.call_s3("head_object", **self._where(key)))
        return head

    def keys(self, folder: str) -> list[str]:
        """Return the keys of all objects below a folder, sorted."""
        inside = self._inside("")
        found = [
            entry["Key"].removeprefix(inside) for page in self._pages(folder, "") for entry in page.objects
        ]
        return sorted(key for key in found if not key.endswith("/"))

    def names(self, folder: str) -> list[str]:
        """Return the names of what lies in a folder itself, sorted."""
        paths: list[str] = []
        for page in self._pages(folder, "/"):
            paths += [*page.prefixes, *(entry["Key"] for entry in page.objects)]
        prefix = self._inside(folder)
        return sorted({name for path in paths if (name := path.removeprefix(prefix).rstrip("/"))})

    def _inside(self, folder: str) -> str:
        """Return what the keys of the bucket begin with below a folder."""
        return self._where(f"{folder}/" if folder else "")["Key"]

    def _pages(self, folder: str, delimiter: str) -> Iterator[Any]:
        path = f"{self._root.partition('/')[0]}/{self._inside(folder)}"
        try:
            yield from list_pages(self._fs, path, delimiter=delimiter, patience_s=self._patience_s)
        except ArchiveError as error:
            raise error if type(error) not in OURS else StoreError(str(error)) from error

    def read(self, key: str) -> bytes:
        """Return the content of an object."""
        return self.read_stamped(key).content

    def read_stamped(self, key: str) -> Stamped:
        """Return the content of an object and its entity tag, both of one answer."""
        return self._do(key, lambda: self._got(key))

    def read_range(self, key: str, start: int, end: int, stamp: str) -> bytes:
        """Return the bytes ``[start, end)`` of an object that has the stamp."""
        which = {"Range": f"bytes={start}-{end - 1}", "IfMatch": stamp}
        return self._do(key, lambda: self._got(key, **which).content)

    def _got(self, key: str, **request: str) -> Stamped:
        from fsspec.asyn import sync

        async def ask() -> Stamped:
            answer = await self._fs._call_s3("get_object", **self._where(key), **request)
            async with answer["Body"] as body:
                return Stamped(await body.read(), answer["ETag"])

        found: Stamped = sync(self._fs.loop, ask)
        return found

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        """Open an object for reading some of it."""
        head = self._head(key)
        with _Ranges(self, key, head["ContentLength"], head["ETag"]) as file:
            yield file  # type: ignore[misc]

    def write(self, key: str, content: bytes) -> None:
        """Write an object."""
        self._do(key, lambda: self._fs.call_s3("put_object", Body=content, **self._where(key)), "written")

    def upload(self, key: str, path: Path) -> None:
        """Upload a file; a large one in parts, which appear together."""
        with path.open("rb") as file:
            first = file.read(PIECE)
            following = file.read(PIECE)
            if not following:
                self.write(key, first)
                return
            where = self._where(key)
            begun = self._do(key, lambda: self._fs.call_s3("create_multipart_upload", **where), "written")
            upload = where | {"UploadId": begun["UploadId"]}
            try:
                tags = [self._put_part(key, upload, 1, first), self._put_part(key, upload, 2, following)]
                while piece := file.read(PIECE):
                    tags.append(self._put_part(key, upload, len(tags) + 1, piece))
                self._complete(key, upload, tags, path.stat().st_size)
            except BaseException:
                self._fs.call_s3("abort_multipart_upload", **upload)  # parts that nobody sees cost money
                raise

    def _put_part(self, key: str, upload: dict[str, Any], number: int, piece: bytes) -> dict[str, Any]:
        put = self._do(
            key,
            lambda: self._fs.call_s3("upload_part", **upload, PartNumber=number, Body=piece),
            "written",
        )
        return {"PartNumber": number, "ETag": put["ETag"]}

    def _complete(self, key: str, upload: dict[str, Any], tags: list[dict[str, Any]], n_bytes: int) -> None:
        """Let the parts appear; sent again after a lost answer, there is no upload to complete any more."""
        parts = {"Parts": tags}
        try:
            self._do(
                key,
                lambda: self._fs.call_s3("complete_multipart_upload", **upload, MultipartUpload=parts),
                "written",
            )
        except FileNotFoundError:
            if not self.exists(key) or self._head(key)["ContentLength"] != n_bytes:
                raise

    def delete(self, key: str) -> None:
        """Delete an object; one that is missing is as good."""
        self._do(key, lambda: self._fs.call_s3("delete_object", **self._where(key)), "deleted")

    def sweep(self, folder: str) -> int:
        """Return 0: a put leaves no draft, and the parts of an upload that was killed lie in no folder."""
        return 0

    def create(self, key: str, content: bytes) -> bool:
        """Write an object that does not exist yet."""
        return self._put_if(key, content, IfNoneMatch="*")

    def replace(self, key: str, content: bytes, stamp: str) -> bool:
        """Write an object if it still has the stamp."""
        try:  # radosgw compares the tag without its quotes; all others take both
            return self._put_if(key, content, IfMatch=stamp.strip('"'))
        except FileNotFoundError:
            return False

    def _put_if(self, key: str, content: bytes, **condition: str) -> bool:
        """Put on a condition; a put that was sent twice is refused the second time, but is ours."""
        request = {**self._where(key), **condition, "Body": content}
        try:
            self._do(key, lambda: self._fs.call_s3("put_object", **request), "written", CLAIM_PATIENCE_S)
        except ConflictError:
            return self.read(key) == content
        return True

    def age_s(self, key: str) -> float:
        """Return the seconds since an object was written, by the server's clock."""
        from email.utils import parsedate_to_datetime

        head = self._head(key)
        present = parsedate_to_datetime(head["ResponseMetadata"]["HTTPHeaders"]["date"])
        return max(0.0, float((present - head["LastModified"]).total_seconds()))

    @contextmanager
    def appearing(self, key: str) -> Iterator[Path]:
        """Give a temporary path that is uploaded when the block ends well."""
        with tempfile.TemporaryDirectory(prefix="seisflow-") as folder:
            path = Path(folder) / key.rsplit("/", 1)[-1]
            with disk_errors(path):
                yield path
            self.upload(key, path)

    @contextmanager
    def local(self, key: str) -> Iterator[Path]:
        """Give the path of a copy."""
        with tempfile.TemporaryDirectory(prefix="seisflow-") as folder:
            path = Path(folder) / key.rsplit("/", 1)[-1]
            with self.open(key) as remote, disk_errors(path), path.open("wb") as copy:
                shutil.copyfileobj(remote, copy, PIECE)
            yield path


class _Ranges(io.RawIOBase):
    """A file whose reads are requests for ranges of one version of an object."""

    def __init__(self, objects: S3, key: str, n_bytes: int, stamp: str) -> None:
        self._objects, self._key, self._n_bytes, self._stamp = objects, key, n_bytes, stamp
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + (0, self._at, self._n_bytes)[whence])
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        end = self._n_bytes if size is None or size < 0 else min(self._n_bytes, self._at + size)
        if end <= self._at:
            return b""
        content = self._objects.read_range(self._key, self._at, end, self._stamp)
        self._at += len(content)
        return content

    def readinto(self, buffer: Any) -> int:
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)
