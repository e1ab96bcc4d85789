"""Data centres behind FDSN web services: downloaded into an SDS folder first, then read from there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import pandas as pd
from pydantic import Field, SecretStr, field_validator

from seisflow.archive.base import Scan
from seisflow.archive.sds import Sds
from seisflow.archive.selection import is_wanted
from seisflow.archive.stationxml import DOWNLOADED
from seisflow.errors import ArchiveError
from seisflow.tables import HOLDINGS, REJECTED, concatenate, empty

if TYPE_CHECKING:
    from seisflow.archive.download.client import PoliteClient
    from seisflow.archive.download.journal import Answer
    from seisflow.archive.download.wanted import Wish
    from seisflow.keys import Period

__all__ = ["Fdsn"]


class Fdsn(Sds):
    """Download from an FDSN data centre into a folder (SDS), and read that.

    What is there already, and what the data centre did not have lately, is not asked for again. The
    ledger of the download, ``.seisflow/download.jsonl`` in the folder, says what came of each request.

    References
    ----------
    https://www.fdsn.org/webservices/
    """

    name: ClassVar[str] = "fdsn"
    neutral: ClassVar[frozenset[str]] = Sds.neutral | {
        "ask_again_days",
        "attempts",
        "connections",
        "eida_token",
        "first_pause_s",
        "password",
        "provider",
        "requests_per_second",
        "responses",
        "timeout_s",
        "user",
    }

    root: str
    """Folder on a disk that the download fills, an SDS tree."""

    provider: str
    """Data centre: a name that obspy knows (EARTHSCOPE, GFZ, ETH, ...) or the base URL of its services."""

    channels: Annotated[tuple[str, ...], Field(min_length=1)] = ("HH?", "EH?", "BH?", "SH?")
    """Patterns of channel codes to download, with ``*`` and ``?``."""

    locations: Annotated[tuple[str, ...], Field(min_length=1)] = ("*",)
    """Patterns of location codes to download; ``--`` is the blank one."""

    responses: bool = True
    """Whether to download the StationXML of each station as well, for ``stations: {inventory: archive}``."""

    connections: Annotated[int, Field(ge=1, le=8)] = 2
    """Requests under way at once."""

    requests_per_second: Annotated[float, Field(gt=0)] = 5.0
    """Most requests that begin in a second."""

    timeout_s: Annotated[float, Field(gt=0)] = 120.0
    """Longest silence of the server before a request counts as failed."""

    attempts: Annotated[int, Field(ge=1)] = 6
    """How often a request is made before its station-day is recorded as failed."""

    first_pause_s: Annotated[float, Field(ge=0)] = 2.0
    """Pause after a failed request; it doubles with each failure. A Retry-After of the server comes first."""

    ask_again_days: Annotated[float, Field(ge=0)] = 30.0
    """After how many days a station-day that the data centre did not have is asked for again."""

    user: str | None = None
    """User name, for restricted data."""

    password: SecretStr | None = None
    """Password; write ``${NAME}`` and set an environment variable."""

    eida_token: SecretStr | None = None
    """EIDA token or path of its file, in place of user and password."""

    @field_validator("root")
    @classmethod
    def _on_a_disk(cls, value: str) -> str:
        if "://" in value:
            raise ValueError("a download needs a folder on a disk, not a URL")
        return value

    def inventory(self) -> str:
        """Return where the StationXML files lie that came with the download."""
        return str(Path(self.root) / DOWNLOADED) if self.responses else ""

    def acquire(
        self, period: Period, stations: Sequence[str] | None, say: Callable[[str], None] = lambda line: None
    ) -> None:
        """Download the station-days of a period that are not there yet, and the metadata.

        A station-day that fails is written down, and shows in REJECTED; the others go on.

        Raises
        ------
        ArchiveError
            If there is no such service, it refuses the credentials or fails all the time, another
            process downloads into the same folder, or the folder can not be written.
        """
        from seisflow.archive.download.downloader import download
        from seisflow.archive.download.journal import Journal
        from seisflow.archive.download.metadata import download_stationxml, epochs_of
        from seisflow.archive.download.wanted import wishes

        root, patterns = Path(self.root), tuple(stations or ("*.*",))
        journal = Journal(root)
        with journal.writing() as add:
            client = self._client()
            epochs = epochs_of(client, period, patterns, self.locations, self.channels, journal.folder)
            if not epochs:
                raise ArchiveError(
                    f"{client.base_url} has no channels {', '.join(self.channels)} of {', '.join(patterns)} "
                    f"in {period}; check archive.provider, archive.channels and stations.select"
                )
            if self.responses:
                download_stationxml(client, epochs, Path(self.inventory()), self._ask_again_after, say)
            n_wishes = sum(1 for _ in wishes(epochs, period))
            say(f"{client.base_url} may have {n_wishes} station-days of {', '.join(patterns)} in {period}")
            answers = journal.answers([str(day) for day in period.days()])
            missing = self._missing(wishes(epochs, period), answers)
            done = download(client, missing, root, add, self.connections, period, say)
            say(f"{done}, {n_wishes - done.n_asked} were there")

    def scan(self, period: Period, stations: Sequence[str] | None) -> Scan:
        """Return what lies in `period`; channels and days that could not be downloaded are rejected."""
        root = Path(self.root)
        if not root.is_dir():
            raise ArchiveError(
                f"there is no folder {root}: nothing is downloaded yet; see: seisflow download"
            )
        found = Scan(empty(HOLDINGS), empty(REJECTED))
        if any(path.name.isdigit() and len(path.name) == 4 for path in root.iterdir()):
            found = super().scan(period, stations)
        failed = pd.DataFrame(self._failed(period, stations), columns=REJECTED.names)
        return found._replace(rejected=concatenate([found.rejected, failed], REJECTED))

    @property
    def _ask_again_after(self) -> timedelta:
        return timedelta(days=self.ask_again_days)

    def _client(self) -> PoliteClient:
        from seisflow.archive.download.client import Patience, open_client
        from seisflow.archive.download.politeness import Gate

        given = {"user": self.user, "password": self.password, "eida_token": self.eida_token}
        credentials = {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value
            for name, value in given.items()
            if value is not None
        }
        gate = Gate(self.connections, self.requests_per_second)
        patience = Patience(self.timeout_s, self.attempts, self.first_pause_s)
        return open_client(self.provider, gate, patience, credentials)

    def _missing(
        self, wanted: Iterable[Wish], answers: Mapping[tuple[str, str], Mapping[str, Answer]]
    ) -> Iterator[Wish]:
        """Yield what must be asked for."""
        from seisflow.archive.download.wanted import missing_of

        for wish in wanted:
            known = answers.get((f"{wish.network}.{wish.station}", str(wish.day)), {})
            missing = missing_of(wish, known, Path(self.root), self._ask_again_after)
            if missing is not None:
                yield missing

    def _failed(self, period: Period, stations: Sequence[str] | None) -> Iterator[tuple[str, int, str]]:
        """Yield a REJECTED row for each channel and day whose download failed."""
        from seisflow.archive.download.journal import Journal
        from seisflow.archive.download.wanted import sds_path

        answers = Journal(Path(self.root)).answers([str(day) for day in period.days()])
        for (station, day), channels in sorted(answers.items()):
            network, _, code = station.partition(".")
            for channel, answer in sorted(channels.items()):
                if answer.n_bytes is None and is_wanted(network, code, stations):
                    path = Path(self.root) / sds_path(network, code, channel, date.fromisoformat(day))
                    yield str(path), 0, f"could not be downloaded: {answer.reason}"
