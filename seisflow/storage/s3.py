"""S3: how its client is set up, and listings that survive a storm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from seisflow.storage.retry import PATIENCE_S, retrying

__all__ = ["CONNECTIONS", "PROTOCOLS", "Listing", "list_pages", "object_info", "s3_settings"]

PROTOCOLS = frozenset({"s3", "s3a"})
CONNECTIONS = 16
"""How many requests one process has under way at most, unless max_pool_connections says otherwise."""
_CLIENT = {
    "connect_timeout": 10,
    "read_timeout": 30,  # without a byte, not of the whole answer
    "max_pool_connections": CONNECTIONS,
    # `retrying` waits longer and knows what passes; two that retry would multiply.
    "retries": {"mode": "standard", "total_max_attempts": 1},
}


class Listing(NamedTuple):
    """One page of a listing.

    Attributes
    ----------
    objects : list of dict
        ``Key``, ``Size``, ``LastModified`` and ``ETag`` of each object.
    prefixes : list of str
        Common prefixes up to the delimiter, each with it.
    """

    objects: list[dict[str, Any]]
    prefixes: list[str]


def s3_settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return storage options for s3fs with timeouts, a bounded pool and no listing kept for ever.

    What `options` says is kept; only `config_kwargs` are joined key by key.
    """
    config = _CLIENT | dict(options.get("config_kwargs") or {})
    return {"use_listings_cache": False, **options, "config_kwargs": config}


def list_pages(
    fs: Any,
    path: str,
    *,
    delimiter: str = "",
    start_after: str = "",
    at_most: int = 1000,
    patience_s: float = PATIENCE_S,
) -> Iterator[Listing]:
    """Yield what lies below a prefix, a page of up to 1000 entries at a time, sorted by key.

    Each page is a request of its own with its own patience: a listing of a thousand pages does not
    start again for one failure.

    Parameters
    ----------
    fs : s3fs.S3FileSystem
    path : str
        ``bucket/prefix``; taken as it is, so give it a slash at its end to list a folder.
    delimiter : str
        Group keys up to this sign after the prefix.
    start_after : str
        List only keys behind this one.
    at_most : int
        Entries in a page.
    patience_s : float
        As `retrying`.

    Raises
    ------
    ArchiveError
        As `retrying`.
    """
    bucket, _, prefix = path.partition("/")
    request = {"Bucket": bucket, "Prefix": prefix, "MaxKeys": at_most}
    request |= {"Delimiter": delimiter} if delimiter else {}
    request |= {"StartAfter": start_after} if start_after else {}
    while True:
        page = retrying(
            lambda: fs.call_s3("list_objects_v2", **request),
            f"s3://{path}",
            doing="listed",
            patience_s=patience_s,
        )
        yield Listing(page.get("Contents", []), [group["Prefix"] for group in page.get("CommonPrefixes", [])])
        if not page.get("IsTruncated"):
            return
        request["ContinuationToken"] = page["NextContinuationToken"]


def object_info(fs: Any, path: str, *, patience_s: float = PATIENCE_S) -> dict[str, Any]:
    """Return ``Key``, ``Size``, ``LastModified`` and ``ETag`` of one object, ``bucket/key``.

    Raises
    ------
    MissingFileError
        If there is none.
    ArchiveError
        As `retrying`.
    """
    bucket, _, key = path.partition("/")
    head = retrying(
        lambda: fs.call_s3("head_object", Bucket=bucket, Key=key), f"s3://{path}", patience_s=patience_s
    )
    return {
        "Key": key,
        "Size": head["ContentLength"],
        "LastModified": head["LastModified"],
        "ETag": head["ETag"],
    }
