"""A proxy before a real S3 server that makes it fail as real ones do, and counts what passes.

Requests are handed on unchanged, so signatures stay valid; answers come from the real server unless a
fault strikes. Faults are tried in order and the first that fits strikes.
"""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import unquote

import pytest

from tests.services.s3 import S3Server

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade"}
_ERROR = (
    '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code>'
    "<Message>a fault of the test</Message><RequestId>0</RequestId></Error>"
)


@dataclass
class Fault:
    """A fault, and which requests it strikes.

    Attributes
    ----------
    kind : {"status", "reset", "stall", "truncate", "lost", "flip"}
        An error answer instead of the real one; a connection that is reset, falls silent or is closed
        after `after_bytes` of the real body; a request that is done and whose answer is lost; a body
        with a wrong byte.
    first : int or None
        Strike this many fitting requests and no more; None means all.
    share : float
        Strike a fitting request with this probability.
    methods, pattern
        Fit requests with one of these methods whose path with query is like the pattern.
    """

    kind: Literal["status", "reset", "stall", "truncate", "lost", "flip"] = "status"
    status: int = 503
    code: str = "SlowDown"
    after_bytes: int = 0
    seconds: float = 600.0
    first: int | None = None
    share: float = 1.0
    methods: tuple[str, ...] = ("GET", "HEAD", "PUT", "POST", "DELETE")
    pattern: str = "*"
    struck: int = 0

    def fits(self, method: str, path: str, chance: random.Random) -> bool:
        """Return whether it strikes this request."""
        return (
            method in self.methods
            and (self.first is None or self.struck < self.first)
            and fnmatchcase(path, self.pattern)
            and chance.random() < self.share
        )


@dataclass
class Storm:
    """What the proxy does and what it saw; both may be changed or read while it runs.

    Attributes
    ----------
    server : S3Server
        The way through the proxy.
    faults : list of Fault
    latency_s : float
        Time that each answer takes longer than on loopback.
    requests : list of str
        Every request, as ``GET /bucket/key?query``.
    most_at_once : int
        The highest number of requests that were under way at one time.
    """

    server: S3Server
    upstream: tuple[str, int]
    faults: list[Fault] = field(default_factory=list)
    latency_s: float = 0.0
    requests: list[str] = field(default_factory=list)
    most_at_once: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    """Set when stalls end."""
    _at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _chance: random.Random = field(default_factory=lambda: random.Random(20140824))

    def forget(self) -> None:
        """Count anew."""
        with self._lock:
            self.requests, self.most_at_once = [], 0

    def calm(self) -> None:
        """End every fault, and count anew."""
        self.faults, self.latency_s = [], 0.0
        self.over.set()
        self.over = threading.Event()
        self.forget()

    @contextmanager
    def under_way(self, method: str, path: str) -> Iterator[Fault | None]:
        """Count a request while it is handled; yield the fault that strikes it."""
        with self._lock:
            self.requests.append(f"{method} {path}")
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            fault = next((fault for fault in self.faults if fault.fits(method, path, self._chance)), None)
            if fault is not None:
                fault.struck += 1
        try:
            yield fault
        finally:
            with self._lock:
                self._at_once -= 1


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    storm: Storm

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        self.close_request(request)  # no orderly end first: a reset must be one

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # clients give up on stalls; that is the point


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Proxy
    upstream: HTTPConnection | None = None

    def handle_any(self) -> None:
        """Hand on one request, or fail."""
        storm = self.server.storm
        body, over = self._body(), storm.over
        with storm.under_way(self.command, unquote(self.path)) as fault:
            time.sleep(storm.latency_s)
            if fault is not None and fault.kind == "status":
                self._refuse(fault)
                return
            response = self._asked(body)
            content = response.read()
            if fault is None or fault.kind == "flip":
                self._answer(response, content, content if fault is None else _flipped(content))
                return
            if fault.kind != "lost":
                self._answer(response, content, content[: fault.after_bytes])
            self._break_off(fault, over)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815 - http.server wants it

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def finish(self) -> None:
        super().finish()
        if self.upstream is not None:
            self.upstream.close()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while n_bytes := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(n_bytes))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _asked(self, body: bytes) -> HTTPResponse:
        if self.upstream is None:
            self.upstream = HTTPConnection(*self.server.storm.upstream, timeout=120)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        headers.pop("Expect", None)
        self.upstream.request(self.command, self.path, body or None, headers)
        return self.upstream.getresponse()

    def _answer(self, response: HTTPResponse, content: bytes, sent: bytes) -> None:
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in _HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        length = response.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        self.wfile.write(sent)

    def _refuse(self, fault: Fault) -> None:
        content = b"" if self.command == "HEAD" else _ERROR.format(code=fault.code).encode()
        self.send_response_only(fault.status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _break_off(self, fault: Fault, over: threading.Event) -> None:
        self.close_connection = True
        if fault.kind == "stall":
            over.wait(fault.seconds)
        elif fault.kind != "truncate":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _flipped(content: bytes) -> bytes:
    """Return a body with another byte in its middle."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :] if content else b""


@contextmanager
def storm_before(server: S3Server) -> Iterator[Storm]:
    """Run a proxy before a server; it has no faults at first."""
    with _Proxy(("127.0.0.1", 0), _Handler) as proxy:
        endpoint = f"http://127.0.0.1:{proxy.server_address[1]}"
        proxy.storm = Storm(server._replace(endpoint=endpoint), server.address)
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield proxy.storm
        finally:
            proxy.storm.over.set()
            proxy.shutdown()
            thread.join()


@pytest.fixture(scope="session")
def _storms(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Storm]]:
    """Return the storm before a server, named by its fixture; each is started once."""
    with ExitStack() as stack:

        @lru_cache
        def before(name: str) -> Storm:
            return stack.enter_context(storm_before(request.getfixturevalue(name)))

        yield before


@pytest.fixture
def storm(_storms: Callable[[str], Storm]) -> Iterator[Storm]:
    """Give the proxy that can fail before the S3 server; it is calm, and has counted nothing."""
    storm = _storms("s3")
    storm.calm()
    yield storm
    storm.calm()


@pytest.fixture(params=["s3", pytest.param("ceph", marks=pytest.mark.ceph)])
def any_storm(request: pytest.FixtureRequest, _storms: Callable[[str], Storm]) -> Iterator[Storm]:
    """Give the proxy before each S3 server: MiniStack always, Ceph with ``--run-ceph``."""
    storm = _storms(request.param)
    storm.calm()
    yield storm
    storm.calm()
