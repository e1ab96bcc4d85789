"""Fill an SDS folder from a data centre: some threads ask, one writes down what came."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from obspy import UTCDateTime
from obspy.clients.fdsn.header import (
    FDSNException,
    FDSNForbiddenException,
    FDSNNoDataException,
    FDSNRequestTooLargeException,
    FDSNUnauthorizedException,
)

from seisflow.archive.download.client import PoliteClient, RequestFailedError
from seisflow.archive.download.journal import StationDayAnswer
from seisflow.archive.download.records import BrokenContentError, Record, by_channel_and_day, records_of
from seisflow.archive.download.wanted import Wish, sds_path
from seisflow.errors import ArchiveError

if TYPE_CHECKING:
    from seisflow.keys import Period

__all__ = ["Downloaded", "download"]

_SHORTEST_S = 600.0
_FAILURES_IN_A_ROW = 10
_SAY_EVERY_S = 30.0


@dataclass
class Downloaded:
    """How many station-days came, do not exist at the data centre, and failed; and the bytes written."""

    ok: int = 0
    absent: int = 0
    failed: int = 0
    n_bytes: int = 0
    in_a_row: int = field(default=0, repr=False)

    @property
    def n_asked(self) -> int:
        """Station-days that were asked for."""
        return self.ok + self.absent + self.failed

    def count(self, answer: StationDayAnswer) -> None:
        """Add one answer."""
        sizes = list(answer.channels.values())
        written = sum(size or 0 for size in sizes)
        self.n_bytes += written
        failed = None in sizes
        self.failed += failed
        self.ok += not failed and written > 0
        self.absent += not failed and written == 0
        self.in_a_row = self.in_a_row + 1 if failed and not answer.reason.startswith("refused") else 0

    def __str__(self) -> str:
        return (
            f"{self.ok} station-days downloaded ({self.n_bytes / 1e6:.1f} MB), {self.absent} that the data "
            f"centre does not have, {self.failed} failed"
        )


def download(
    client: PoliteClient,
    wanted: Iterable[Wish],
    root: Path,
    add: Callable[[StationDayAnswer], None],
    connections: int,
    period: Period,
    say: Callable[[str], None],
) -> Downloaded:
    """Ask for station-days until all are answered.

    Parameters
    ----------
    client : PoliteClient
    wanted : iterable of Wish
    root : Path
        The SDS folder.
    add : callable
        Writes an answer down; called when its files are in place.
    connections : int
        Threads that ask.
    period : Period
        What all wishes lie in.
    say : callable
        Takes a line about the progress now and then.

    Raises
    ------
    ArchiveError
        If the data centre refuses the credentials, many requests in a row fail, or the disk does.
        What came so far stays; the same download goes on where it stopped.
    """
    done = Downloaded()
    said_s = time.monotonic()
    first_day = next(iter(period.days()))
    for answer in _answers(client, wanted, root, connections, first_day):
        add(answer)
        done.count(answer)
        if done.in_a_row >= _FAILURES_IN_A_ROW:
            raise ArchiveError(
                f"{client.base_url} failed {done.in_a_row} times in a row, the last time for "
                f"{answer.station} on {answer.day}: {answer.reason}; the same command goes on from here"
            )
        if time.monotonic() - said_s > _SAY_EVERY_S:
            said_s = time.monotonic()
            say(f"{answer.day}: {done}")
    return done


def _answers(
    client: PoliteClient, wanted: Iterable[Wish], root: Path, connections: int, first_day: np.datetime64
) -> Iterator[StationDayAnswer]:
    """Yield answers as they come; few wishes are under way at once, however many there are.

    The threads are daemons: an interrupted process does not wait for them, and what they write is
    whole or not there.
    """
    jobs: queue.Queue[Wish | None] = queue.Queue()
    results: queue.Queue[StationDayAnswer | BaseException] = queue.Queue()

    def work() -> None:
        while (wish := jobs.get()) is not None:
            try:
                results.put(_fetch(client, wish, root, keep_day_before=np.datetime64(wish.day) == first_day))
            except BaseException as error:
                results.put(error)

    for number in range(connections):
        threading.Thread(target=work, name=f"download-{number}", daemon=True).start()
    try:
        waiting, under_way = iter(wanted), 0
        while True:
            while under_way < 2 * connections and (wish := next(waiting, None)) is not None:
                jobs.put(wish)
                under_way += 1
            if not under_way:
                return
            result = results.get()
            under_way -= 1
            if isinstance(result, BaseException):
                raise result
            yield result
    except BaseException:
        client.gate.close()
        raise
    finally:
        for _ in range(connections):
            jobs.put(None)


def _fetch(client: PoliteClient, wish: Wish, root: Path, *, keep_day_before: bool) -> StationDayAnswer:
    """Ask for one station-day and put its files in place."""
    station, day = f"{wish.network}.{wish.station}", str(wish.day)
    start = UTCDateTime(day)
    try:
        pieces = by_channel_and_day(_records(client, wish, start, start + 86400.0))
    except FDSNUnauthorizedException as error:
        raise ArchiveError(
            f"{client.base_url} does not accept the credentials (401): {_first_line(error)}; check user and "
            "password or eida_token of the archive"
        ) from error
    except FDSNForbiddenException as error:
        reason = f"refused (403): {_first_line(error)}; the data of {station} are restricted"
        return StationDayAnswer(station, day, dict.fromkeys(wish.channels), reason)
    except (RequestFailedError, BrokenContentError, FDSNException) as error:
        return StationDayAnswer(station, day, dict.fromkeys(wish.channels), _first_line(error))
    sizes: dict[str, int | None] = dict.fromkeys(wish.channels, 0)
    for (channel_id, piece_day), content in pieces.items():
        channel = channel_id.removeprefix(f"{station}.")
        if channel not in sizes:  # more than was asked for
            continue
        path = root / sds_path(wish.network, wish.station, channel, date.fromisoformat(str(piece_day)))
        if piece_day == np.datetime64(day):
            _write(path, content)
            sizes[channel] = len(content)
        elif keep_day_before and piece_day < np.datetime64(day) and not path.exists():
            _write(path, content)  # the record that runs into the first day: as in any SDS it lies before
    return StationDayAnswer(station, day, sizes)


def _records(client: PoliteClient, wish: Wish, start: UTCDateTime, end: UTCDateTime) -> list[Record]:
    """Return what there is of a station-day; a request that is too large is split until it is not."""
    try:
        return _whole_records(client, wish, start, end)
    except FDSNNoDataException:
        return []
    except FDSNRequestTooLargeException:
        if len(wish.channels) > 1:
            half = len(wish.channels) // 2
            parts = [wish._replace(channels=some) for some in (wish.channels[:half], wish.channels[half:])]
            return [record for part in parts for record in _records(client, part, start, end)]
        if end - start <= _SHORTEST_S:
            raise
        middle = start + 0.5 * (end - start)
        return _records(client, wish, start, middle) + _records(client, wish, middle, end)


def _whole_records(client: PoliteClient, wish: Wish, start: UTCDateTime, end: UTCDateTime) -> list[Record]:
    """Return the records of a request; an answer that ends within one is asked for again."""
    codes = [channel.split(".") for channel in wish.channels]
    lines = [(wish.network, wish.station, location or "--", code) for location, code in codes]
    attempt = 0
    while True:
        content = client.miniseed(lines, start, end)
        try:
            return list(records_of(content))
        except BrokenContentError:
            attempt += 1
            if attempt >= client.patience.attempts:
                raise
        client.gate.sleep(client.patience.pause_s(attempt - 1))


def _write(path: Path, content: bytes) -> None:
    """Put a file in place as a whole; half a file is never seen under its name."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ArchiveError(f"{path} can not be written: {error}") from error


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
