"""What was asked of a data centre and what came: a file of lines that is only ever added to."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from seisflow.errors import ArchiveError

__all__ = ["Answer", "Journal", "StationDayAnswer"]


class Answer(NamedTuple):
    """What came for one channel and day: `n_bytes` is None where the request failed, 0 where nothing is."""

    n_bytes: int | None
    when: datetime
    reason: str


@dataclass(frozen=True)
class StationDayAnswer:
    """The line of one request, for some channels of one station and day.

    Parameters
    ----------
    station : str
        NET.STA.
    day : str
        ISO date.
    channels : mapping
        LOC.CHA to bytes written; 0 where the data centre has nothing, None where the request failed.
    reason : str
        Why it failed; '' where it did not.
    when : datetime
    """

    station: str
    day: str
    channels: Mapping[str, int | None]
    reason: str = ""
    when: datetime = field(default_factory=lambda: datetime.now(UTC))


class Journal:
    """The ledger of a download folder, ``.seisflow/download.jsonl``.

    A line is written in one piece and synced when the files it speaks of are in place. A line that a
    crash tore is not believed: its station-day is asked for again.

    Parameters
    ----------
    root : Path
        The SDS folder.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / ".seisflow"
        self.path = self.folder / "download.jsonl"

    @contextmanager
    def writing(self) -> Iterator[Any]:
        """Hold the folder for one process and give the function that adds a line.

        Raises
        ------
        ArchiveError
            If another process downloads into the same folder, or it can not be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / "lock").open("a")
        except OSError as error:
            raise ArchiveError(f"{self.folder} can not be written: {error}") from error
        with lock, self.path.open("ab") as file:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ArchiveError(
                    f"another process downloads into {self.folder.parent}; wait for it or choose another root"
                ) from None
            if file.tell() and not self._ends_with_line():
                file.write(b"\n")

            def add(answer: StationDayAnswer) -> None:
                content = vars(answer) | {"when": answer.when.isoformat(timespec="seconds")}
                file.write(json.dumps(content, separators=(",", ":")).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())

            yield add

    def answers(self, days: Sequence[str]) -> dict[tuple[str, str], dict[str, Answer]]:
        """Return the newest answer for each channel (LOC.CHA) of each station (NET.STA) and day."""
        wanted = set(days)
        found: dict[tuple[str, str], dict[str, Answer]] = {}
        for line in self._lines():
            try:
                row = json.loads(line)
                key = (row["station"], row["day"])
                when = datetime.fromisoformat(row["when"])
                channels = dict(row["channels"])
            except (ValueError, KeyError, TypeError):  # torn by a crash
                continue
            if key[1] in wanted:
                here = found.setdefault(key, {})
                here.update({name: Answer(n, when, row["reason"]) for name, n in channels.items()})
        return found

    def _lines(self) -> Iterator[bytes]:
        if self.path.exists():
            with self.path.open("rb") as file:
                yield from file

    def _ends_with_line(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
