"""Many remote files side by side: few enough at once for the server, enough to hide its latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from seisflow.storage.place import Place, open_place
from seisflow.storage.retry import PATIENCE_S
from seisflow.storage.s3 import CONNECTIONS

__all__ = ["fetch"]


def fetch(
    uris: Sequence[str], options: Mapping[str, Any] | None = None, patience_s: float = PATIENCE_S
) -> dict[str, bytes]:
    """Return the content of files that do not lie on this machine's disks, by URI.

    Local files are left out: they are best read where they lie. A file named twice is fetched once.
    On S3 all threads of a process share one pool of connections, which bounds the requests under way
    (`max_pool_connections` in `config_kwargs`, 16); one request gets one object.

    Parameters
    ----------
    uris : sequence of str
    options : mapping, optional
        What fsspec needs to open the URLs.
    patience_s : float
        How long a file that fails for reasons that pass is tried again.

    Raises
    ------
    ArchiveError
        As `seisflow.storage.retrying`, for the first file in the order of `uris` that can not be read; those
        that wait are not tried any more.
    """
    places = {uri: open_place(uri, options, patience_s) for uri in dict.fromkeys(uris)}
    remote = {uri: place for uri, place in places.items() if not place.is_local}
    if not remote:
        return {}
    at_once = ((options or {}).get("config_kwargs") or {}).get("max_pool_connections", CONNECTIONS)
    with ThreadPoolExecutor(min(at_once, len(remote)), "seisflow-fetch") as pool:
        waiting = [pool.submit(Place.read_bytes, place) for place in remote.values()]
        try:
            return {uri: content.result() for uri, content in zip(remote, waiting, strict=True)}
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
