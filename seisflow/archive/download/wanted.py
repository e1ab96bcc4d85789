"""Which station-days a data centre may have, from the epochs of its channels, and which are there already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from seisflow.archive.download.journal import Answer

if TYPE_CHECKING:
    from seisflow.archive.download.metadata import Epoch
    from seisflow.keys import Period

__all__ = ["Wish", "missing_of", "sds_path", "wishes"]


class Wish(NamedTuple):
    """Some channels (LOC.CHA) of a station on a day."""

    network: str
    station: str
    day: date
    channels: tuple[str, ...]


def wishes(epochs: Sequence[Epoch], period: Period) -> Iterator[Wish]:
    """Yield the station-days of a period on which a channel was in operation, day by day.

    Days that have not begun yet are left out.
    """
    today = datetime.now(UTC).date()
    for day in (date.fromisoformat(str(day)) for day in period.days()):
        if day > today:
            return
        begin, end = (f"{d}T00:00:00.000000Z" for d in (day, day + timedelta(days=1)))
        stations: dict[tuple[str, str], set[str]] = {}
        for epoch in epochs:
            if epoch.start < end and epoch.end > begin:
                name = f"{epoch.location}.{epoch.channel}"
                stations.setdefault((epoch.network, epoch.station), set()).add(name)
        for (network, station), channels in sorted(stations.items()):
            yield Wish(network, station, day, tuple(sorted(channels)))


def missing_of(
    wish: Wish, answers: Mapping[str, Answer], root: Path, ask_again_after: timedelta
) -> Wish | None:
    """Return the part of a wish that must be asked for, or None.

    Nothing needs to be asked for what lies in its file, whole, nor for what the data centre did not
    have lately. What was asked before its day was over is asked for again, and so is what failed.
    """
    over = datetime.combine(wish.day + timedelta(days=1), datetime.min.time(), UTC)
    missing = []
    for channel in wish.channels:
        answer = answers.get(channel)
        if answer is not None and answer.n_bytes is not None and answer.when > over:
            if answer.n_bytes == 0 and datetime.now(UTC) - answer.when < ask_again_after:
                continue
            path = root / sds_path(wish.network, wish.station, channel, wish.day)
            if answer.n_bytes and path.exists() and path.stat().st_size == answer.n_bytes:
                continue
        missing.append(channel)
    return wish._replace(channels=tuple(missing)) if missing else None


def sds_path(network: str, station: str, channel: str, day: date) -> str:
    """Return the path of a channel (LOC.CHA) and day in an SDS tree."""
    code = channel.partition(".")[2]
    name = f"{network}.{station}.{channel}.D.{day:%Y.%j}"
    return f"{day:%Y}/{network}/{station}/{code}.D/{name}"
