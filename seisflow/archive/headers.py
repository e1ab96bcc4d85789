"""What lies in many files, from their headers alone, remembered between scans."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from seisflow.archive.decode import decode_file
from seisflow.errors import ArchiveError

if TYPE_CHECKING:
    from seisflow.storage import File
    from seisflow.traces import ChannelTraces

__all__ = ["Contents", "HeaderCache", "cache_folder", "inspect_files"]

_LOG = logging.getLogger(__name__)
_COLUMNS = ("uri", "n_bytes", "stamp", "fault", "network", "station", "location", "band", "day")
_FORMAT = 2
_DAY_NS = 86_400 * 10**9
_BATCH = 2000
_WORTH_PROCESSES = 200


class Contents(NamedTuple):
    """What one file holds: a channel group on a day, or, with an empty `day`, nothing that can be read."""

    uri: str
    n_bytes: int
    stamp: str
    fault: str
    network: str = ""
    station: str = ""
    location: str = ""
    band: str = ""
    day: str = ""


def inspect_files(
    files: Sequence[File],
    *,
    storage_options: Mapping[str, Any],
    local: bool,
    processes: int | None = None,
    cache: HeaderCache | None = None,
) -> pd.DataFrame:
    """Return a row of `Contents` for each file, channel group and day; days as ISO strings.

    Only files that the cache does not know, or knows with another size or time of change, are
    opened. On a disk, processes share the work;
    elsewhere threads do, as they wait for the network.
    """
    known = cache.load() if cache else pd.DataFrame(columns=list(_COLUMNS))
    current = pd.DataFrame(files, columns=["uri", "relative", "n_bytes", "stamp"])
    is_fresh = pd.MultiIndex.from_frame(known[["uri", "n_bytes", "stamp"]]).isin(
        pd.MultiIndex.from_frame(current[["uri", "n_bytes", "stamp"]])
    ) & (known["stamp"] != "").to_numpy(dtype=bool)
    known = known[is_fresh]
    seen = set(known["uri"])
    waiting = [file for file in files if file.uri not in seen]
    parts = [known]
    for batch in _inspected(waiting, storage_options, local, processes):
        parts.append(pd.DataFrame(batch, columns=list(_COLUMNS)))
        if cache:
            cache.save(pd.concat(parts, ignore_index=True))
    return pd.concat(parts, ignore_index=True).sort_values(list(_COLUMNS), ignore_index=True)


def _inspected(
    files: Sequence[File], options: Mapping[str, Any], local: bool, processes: int | None
) -> Iterator[list[Contents]]:
    """Yield what files hold, a batch at a time, so that an interrupted scan keeps most of its work."""
    from joblib import Parallel, cpu_count, delayed

    few = local and len(files) < _WORTH_PROCESSES
    n_jobs = 1 if few else processes or (cpu_count() if local else 16)
    chunk = 1 if not local else 20
    backend = {"backend": "loky", "idle_worker_timeout": 10} if local else {"backend": "threading"}
    with Parallel(n_jobs=n_jobs, **backend) as parallel:
        for start in range(0, len(files), _BATCH):
            batch = files[start : start + _BATCH]
            tasks = (
                delayed(_inspect)(batch[i : i + chunk], dict(options)) for i in range(0, len(batch), chunk)
            )
            yield [row for rows in parallel(tasks) for row in rows]


def _inspect(files: Iterable[File], options: Mapping[str, Any]) -> list[Contents]:
    rows = []
    for file in files:
        try:
            channels, problems = decode_file(file.uri, headers_only=True, storage_options=options)
        except ArchiveError as error:
            rows.append(Contents(file.uri, file.n_bytes, "", str(error)))  # no stamp: tried again next time
            continue
        fault = "; ".join(problem.removeprefix(f"{file.uri}: ") for problem in problems)
        held, unnamed = _channel_days(channels)
        if unnamed:
            fault = "; ".join(filter(None, [fault, f"{unnamed} traces name no station or channel"]))
        rows += [Contents(file.uri, file.n_bytes, file.stamp, fault, *group) for group in held]
        if not held:
            rows.append(Contents(file.uri, file.n_bytes, file.stamp, fault))
    return rows


def _channel_days(channels: Sequence[ChannelTraces]) -> tuple[list[tuple[str, str, str, str, str]], int]:
    """Return the groups (network, station, location, band, day), and how many traces have no name."""
    groups, unnamed = set(), 0
    for held in channels:
        if not held.station or not held.channel:
            unnamed += len(held.lengths)
            continue
        first, last = ((times // _DAY_NS).tolist() for times in (held.starts_ns, held.ends_ns - 1))
        days = {day for a, b in zip(first, last, strict=True) for day in range(a, b + 1)}
        name = (held.network, held.station, held.location, held.channel[:-1])
        groups |= {(*name, str(np.datetime64(day, "D"))) for day in days}
    return sorted(groups), unnamed


class HeaderCache:
    """What was found in the files of one archive, kept in a file that is replaced as a whole.

    Parameters
    ----------
    root : str
        URI of the archive.
    """

    def __init__(self, root: str) -> None:
        digest = hashlib.blake2b(root.encode(), digest_size=8).hexdigest()
        self.path = cache_folder() / f"headers-{_FORMAT}-{digest}.parquet"

    def load(self) -> pd.DataFrame:
        """Return the rows of `Contents` that are kept; none where the file is missing or damaged."""
        try:
            return pd.read_parquet(self.path)[list(_COLUMNS)]
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError) as error:  # pyarrow's errors are among these
            _LOG.warning("the header cache %s is damaged and is made anew: %s", self.path, error)
        return pd.DataFrame(columns=list(_COLUMNS))

    def save(self, rows: pd.DataFrame) -> None:
        """Replace what is kept; a crash leaves the old file whole.

        A disk that is full or read-only costs only speed.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=self.path.stem, suffix=".part")
            os.close(handle)
            try:
                rows.astype({"n_bytes": "int64"}).to_parquet(name, compression="zstd", index=False)
                Path(name).replace(self.path)
            finally:
                Path(name).unlink(missing_ok=True)
        except OSError as error:
            _LOG.warning("the header cache %s can not be written: %s", self.path, error)


def cache_folder() -> Path:
    """Return where seisflow keeps what it can compute again: SEISFLOW_CACHE, else the user's cache folder."""
    import platformdirs

    return Path(os.environ.get("SEISFLOW_CACHE") or platformdirs.user_cache_dir("seisflow"))
