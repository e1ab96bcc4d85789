"""obspy's client of FDSN web services with a transport of our own: polite, patient, and bounded."""

from __future__ import annotations

import email.utils
import gzip
import http.client
import io
import random
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any, NamedTuple

from obspy import UTCDateTime
from obspy.clients.fdsn import Client
from obspy.clients.fdsn.client import raise_on_error
from obspy.clients.fdsn.header import FDSNException, FDSNNoServiceException, FDSNTimeoutException

from seisflow import __version__
from seisflow.archive.download.politeness import Gate
from seisflow.errors import ArchiveError

__all__ = ["Patience", "PoliteClient", "RequestFailedError", "open_client"]

_TRY_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_ASKS_FOR_REST = frozenset({429, 503})
_LONGEST_PAUSE_S = 120.0
_LONGEST_REST_S = 3600.0
_SLOWEST_BYTES_PER_S = 1000.0
_CHUNK = 1 << 16


class Patience(NamedTuple):
    """How long to wait and how often to try.

    Attributes
    ----------
    timeout_s : float
        Longest silence of a server.
    attempts : int
        How often a request is made in all.
    first_pause_s : float
        Pause after the first failure; it doubles each time, with a random part.
    """

    timeout_s: float
    attempts: int
    first_pause_s: float

    def pause_s(self, attempt: int) -> float:
        """Return how long to wait after attempt 0, 1, ..."""
        longest = min(_LONGEST_PAUSE_S, self.first_pause_s * 2.0**attempt)
        return longest * random.uniform(0.5, 1.0)


class RequestFailedError(ArchiveError):
    """A request failed as often as it was allowed to be made."""


def open_client(
    provider: str, gate: Gate, patience: Patience, credentials: Mapping[str, str] | None = None
) -> PoliteClient:
    """Return a client of a data centre, whose services are looked up patiently.

    Raises
    ------
    ArchiveError
        If there is no such data centre, or it does not answer.
    """
    for attempt in range(patience.attempts):
        if attempt:
            gate.sleep(patience.pause_s(attempt - 1))
        try:
            return PoliteClient(provider, gate, patience, credentials)
        except (FDSNNoServiceException, FDSNTimeoutException) as error:
            reason = str(error)
        except (FDSNException, ValueError) as error:
            raise ArchiveError(f"archive.provider {provider}: {error}") from error
    raise ArchiveError(f"archive.provider {provider} does not answer: {reason}")


class PoliteClient(Client):  # type: ignore[misc]
    """An obspy client whose requests all go through a `Gate` and are repeated while that can help.

    Parameters
    ----------
    provider : str
        Name that obspy knows, or base URL.
    gate : Gate
    patience : Patience
    credentials : mapping
        ``user`` and ``password``, or ``eida_token``.
    """

    def __init__(
        self, provider: str, gate: Gate, patience: Patience, credentials: Mapping[str, str] | None = None
    ) -> None:
        self.gate = gate
        self.patience = patience
        with gate.passing():
            super().__init__(
                provider,
                timeout=patience.timeout_s,
                user_agent=f"seisflow/{__version__}",
                service_mappings={"event": None},
                **(credentials or {}),
            )

    def miniseed(
        self, lines: Sequence[tuple[str, str, str, str]], start: UTCDateTime, end: UTCDateTime
    ) -> bytes:
        """Return the records of channels (network, station, location, channel) in ``[start, end)``.

        Raises
        ------
        FDSNException
            As obspy: no data, too large, forbidden ...
        RequestFailedError
            If the service does not answer, or not wholly.
        """
        body = io.BytesIO()
        last = end - 1e-6  # the end of a request is part of it
        self.get_waveforms_bulk([(*line, start, last) for line in lines], filename=body)
        return body.getvalue()

    def text(self, service: str, resource: str, parameters: Mapping[str, Any] | None = None) -> str:
        """Return what a service says that obspy does not know, such as availability.

        Raises
        ------
        FDSNException, RequestFailedError
            As `miniseed`.
        """
        query = urllib.parse.urlencode(dict(parameters or {}))
        url = f"{self.base_url}{self.url_subpath}/{service}/1/{resource}" + (f"?{query}" if query else "")
        content = self._download(url, return_string=True)
        return content.decode(errors="replace") if isinstance(content, bytes) else ""

    def _download(
        self,
        url: str,
        return_string: bool = False,
        data: bytes | str | None = None,
        use_gzip: bool | None = None,
        content_type: str | None = None,
    ) -> bytes | io.BytesIO:
        """Make a request as often as needed; every request of obspy's client comes through here."""
        del use_gzip  # text is compressed, miniSEED is already
        request = urllib.request.Request(url, data.encode() if isinstance(data, str) else data)
        for name, value in self.request_headers.items():
            request.add_header(name, value)
        if content_type:
            request.add_header("Content-Type", content_type)
        if "dataselect" not in url:
            request.add_header("Accept-Encoding", "gzip")
        code, content = self._patiently(request)
        if code == 404:  # some services say so where they have no data
            code = 204
        raise_on_error(code, content)
        return content if return_string else io.BytesIO(content)

    def _patiently(self, request: urllib.request.Request) -> tuple[int, bytes]:
        """Return status and content of the first answer that is worth having."""
        reason = ""
        for attempt in range(self.patience.attempts):
            asked_s = None
            try:
                with self.gate.passing():
                    return self._once(request)
            except urllib.error.HTTPError as error:
                with error:
                    if error.code not in _TRY_AGAIN:
                        return error.code, _details(error)
                    reason = f"HTTP {error.code} {error.reason}"
                    asked_s = _retry_after_s(error.headers)
                    if error.code in _ASKS_FOR_REST or asked_s is not None:
                        asked_s = asked_s if asked_s is not None else self.patience.pause_s(attempt)
                        self.gate.rest(min(asked_s, _LONGEST_REST_S))
            except (OSError, http.client.HTTPException, EOFError, zlib.error) as error:
                cause = error.reason if isinstance(error, urllib.error.URLError) else error
                reason = f"{type(cause).__name__}: {cause}" if str(cause) else type(cause).__name__
            if asked_s is not None and asked_s > _LONGEST_REST_S:
                raise RequestFailedError(f"{request.full_url} asks to wait for {asked_s:.0f} s ({reason})")
            if asked_s is None and attempt + 1 < self.patience.attempts:
                self.gate.sleep(self.patience.pause_s(attempt))
        raise RequestFailedError(
            f"{request.full_url} failed {self.patience.attempts} times, the last time with {reason}"
        )

    def _once(self, request: urllib.request.Request) -> tuple[int, bytes]:
        """Make a request once and read all of the answer."""
        with self._url_opener.open(request, timeout=self.patience.timeout_s) as response:
            content = _read_all(response, self.patience.timeout_s)
            if response.headers.get("Content-Encoding") == "gzip" and content:
                content = gzip.decompress(content)
            return int(response.status), content


def _read_all(response: Any, timeout_s: float) -> bytes:
    """Return the body of a response; one that breaks off or barely moves is an error."""
    began, parts, n_read = time.monotonic(), [], 0
    while part := response.read1(_CHUNK):
        parts.append(part)
        n_read += len(part)
        if time.monotonic() - began > timeout_s + n_read / _SLOWEST_BYTES_PER_S:
            raise TimeoutError(f"{n_read} bytes came in {time.monotonic() - began:.0f} s")
    announced = response.headers.get("Content-Length")
    if announced is not None and announced.isdigit() and n_read != int(announced):
        raise ConnectionError(f"the answer broke off after {n_read} of {announced} bytes")
    return b"".join(parts)


def _details(error: urllib.error.HTTPError) -> bytes:
    """Return what a service says about an error, as far as it can be read."""
    try:
        return error.read(2000)
    except (OSError, http.client.HTTPException):
        return b""


def _retry_after_s(headers: Any) -> float | None:
    """Return what a header Retry-After asks for, seconds; a date counts from the server's own clock."""
    value = (headers.get("Retry-After") or "").strip()
    if value.isdigit():
        return float(value)
    try:
        then = email.utils.parsedate_to_datetime(value)
        now = email.utils.parsedate_to_datetime(headers.get("Date") or "")
    except (TypeError, ValueError):
        return None
    return max(0.0, (then.astimezone(UTC) - now.astimezone(UTC)).total_seconds())
