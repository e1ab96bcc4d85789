"""A data centre on loopback: dataselect, station and availability over an SDS tree, with faults on demand."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import obspy

__all__ = ["DataCentre", "Fault", "data_centre"]

WADL = """<?xml version="1.0"?>
<application xmlns="http://wadl.dev.java.net/2009/02" xmlns:xs="http://www.w3.org/2001/XMLSchema">
 <resources base="{base}/"><resource path="/">
  <resource path="query"><method id="query" name="GET"><request>{parameters}</request></method></resource>
 </resource></resources></application>"""
PARAMETERS = {
    "dataselect": "starttime endtime network station location channel quality minimumlength longestonly",
    "station": "starttime endtime network station location channel level format minlatitude maxlatitude "
    "minlongitude maxlongitude",
}


@dataclass
class Fault:
    """What goes wrong with requests for waveforms.

    `kind` is a status code, or one of ``reset``, ``stall`` and ``short`` (the answer ends before its
    Content-Length, ``short`` between two records), ``truncated`` (no Content-Length, ends within a
    record), ``page`` (HTML with status 200).
    """

    kind: str
    times: int = 1
    """How many requests it hits."""
    retry_after: str | None = None
    when: Callable[[str], bool] = lambda lines: True
    """Which requests, by their lines."""


@dataclass
class DataCentre:
    """The state of a server: what it holds, what it was asked, what shall go wrong."""

    sds: Path
    inventory: obspy.Inventory
    faults: list[Fault] = field(default_factory=list)
    users: dict[str, str] = field(default_factory=dict)
    url: str = ""
    tells_availability: bool = False
    delay_s: float = 0.0
    requests: list[tuple[float, str, str]] = field(default_factory=list)
    """Time, path and body (or query) of every request."""
    given_up: list[bool] = field(default_factory=list)
    """For each answer that stalled, whether the client gave up before the server."""
    most_at_once: int = 0
    at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def asked(self) -> list[str]:
        """Return the waveform lines that were asked for, NET STA LOC CHA START END."""
        bodies = [body for _, path, body in self.requests if path.startswith("/fdsnws/dataselect/1/query")]
        return [line for body in bodies for line in body.splitlines() if len(line.split()) == 6]

    def waveform_requests(self) -> list[float]:
        """Return when waveforms were asked for."""
        return [at for at, path, _ in self.requests if path.startswith("/fdsnws/dataselect/1/query")]

    def fault_of(self, lines: str) -> Fault | None:
        """Return what goes wrong with a request."""
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and fault.when(lines):
                    fault.times -= 1
                    return fault
        return None

    def records(self, line: str) -> bytes:
        """Return the whole records that touch the time of a line, as archives give them."""
        network, station, location, channel, start, end = line.split()
        location = location.replace("--", "")
        begin, last = obspy.UTCDateTime(start), obspy.UTCDateTime(end)
        records = index_of(self.sds).get(f"{network}.{station}.{location}.{channel}", ())
        return b"".join(
            r for first, final, r in records if first <= last.timestamp and final >= begin.timestamp
        )


@cache
def index_of(sds: Path) -> dict[str, list[tuple[float, float, bytes]]]:
    """Return the records of each channel of an SDS tree, with the times of their first and last sample."""
    found: dict[str, list[tuple[float, float, bytes]]] = {}
    for path in sorted(sds.glob("*/*/*/*/*")):
        content = path.read_bytes()
        n_bytes = int(obspy.read(str(path), headonly=True)[0].stats.mseed.record_length)
        for at in range(0, len(content), n_bytes):
            record = content[at : at + n_bytes]
            found.setdefault(path.name.split(".D.")[0], []).append((*span_of(record), record))
    return found


def span_of(record: bytes) -> tuple[float, float]:
    """Return the time of the first and of the last sample of a big-endian miniSEED 2 record, s since 1970."""
    year, day, hour, minute, second, fraction, n, factor, multiplier = struct.unpack(
        ">HHBBBxHHhh", record[20:36]
    )
    rate = (factor if factor > 0 else -1.0 / factor) * (multiplier if multiplier > 0 else -1.0 / multiplier)
    first = datetime(year, 1, 1, hour, minute, second, tzinfo=UTC) + timedelta(day - 1)
    start = first.timestamp() + fraction * 1e-4
    return start, start + (n - 1) / rate


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.answer(urlsplit(self.path).query)

    def do_POST(self) -> None:
        self.answer(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())

    def answer(self, asked: str) -> None:
        centre: DataCentre = self.server.centre
        path = urlsplit(self.path).path
        with centre.lock:
            centre.requests.append((time.monotonic(), path, asked))
            centre.at_once += 1
            centre.most_at_once = max(centre.most_at_once, centre.at_once)
        try:
            time.sleep(centre.delay_s)
            with suppress(ConnectionError):  # a client that gave up
                self.route(centre, path, asked)
        finally:
            with centre.lock:
                centre.at_once -= 1

    def route(self, centre: DataCentre, path: str, asked: str) -> None:
        service = path.split("/")[2] if path.count("/") > 2 else ""
        if service in PARAMETERS and path.endswith("application.wadl"):
            names = PARAMETERS[service].split()
            parameters = "".join(f'<param name="{n}" style="query" type="xs:string"/>' for n in names)
            self.send(200, WADL.format(base=centre.url + path, parameters=parameters).encode(), "text/xml")
        elif service == "availability" and not centre.tells_availability:
            self.send(404, b"no such service")
        elif service == "availability" and path.endswith("/query"):
            self.availability(centre, {name: values[0] for name, values in parse_qs(asked).items()})
        elif path.endswith("/version"):
            self.send(200, b"1.1.0", "text/plain")
        elif service == "station" and path.endswith("/query"):
            self.stations(centre, asked)
        elif service == "dataselect" and path.endswith(("/query", "/queryauth")):
            self.waveforms(centre, asked)
        else:
            self.send(404, b"no such service")

    def stations(self, centre: DataCentre, asked: str) -> None:
        if self.command == "POST":
            lines = [line.split() for line in asked.splitlines() if "=" not in line]
            options = dict(line.split("=", 1) for line in asked.splitlines() if "=" in line)
        else:
            options = {name: values[0] for name, values in parse_qs(asked).items()}
            lines = [[options.get(n, "*") for n in ("network", "station", "location", "channel")]]
        found = obspy.Inventory(networks=[], source="test")
        for network, station, location, channel, *_ in lines:
            place = {"location": location.replace("--", "")} if location != "*" else {}
            found += centre.inventory.select(network=network, station=station, channel=channel, **place)
        if not found.networks:
            self.send(204)
        elif options.get("format") == "text":
            self.send(200, channel_text(found).encode(), "text/plain")
        else:
            import io

            body = io.BytesIO()
            found.write(body, format="STATIONXML", level=options.get("level", "station"))
            self.send(200, body.getvalue(), "application/xml")

    def availability(self, centre: DataCentre, asked: dict[str, str]) -> None:
        lines = ["#Network Station Location Channel Quality SampleRate Earliest Latest"]
        for name, records in index_of(centre.sds).items():
            network, station, location, channel = name.split(".")
            if (network, station) == (asked["network"], asked["station"]):
                first, last = (obspy.UTCDateTime(t) for t in (records[0][0], records[-1][1]))
                lines.append(f"{network} {station} {location or '  '} {channel} D 20.0 {first} {last}")
        self.send(200, "\n".join(lines).encode(), "text/plain")

    def waveforms(self, centre: DataCentre, asked: str) -> None:
        fault = centre.fault_of(asked)
        if fault is not None and fault.kind.isdigit():
            headers = {"Retry-After": fault.retry_after} if fault.retry_after is not None else {}
            self.send(int(fault.kind), b"as ordered by the test", "text/plain", headers)
            return
        lines = [line for line in asked.splitlines() if len(line.split()) == 6]
        content = b"".join(centre.records(line) for line in lines)
        if fault is not None:
            self.break_off(centre, fault.kind, content)
        elif content:
            self.send(200, content, "application/vnd.fdsn.mseed")
        else:
            self.send(204)

    def break_off(self, centre: DataCentre, kind: str, content: bytes) -> None:
        """Send some of the content, and not the rest."""
        if kind == "page":
            self.send(200, b"<html>out of order</html>")
            return
        self.send_response(200)
        if kind == "truncated":  # nothing but the records themselves tells that something is missing
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        half = len(content) // 2
        self.wfile.write(content[: half // 4096 * 4096 if kind == "short" else half // 4096 * 4096 + 100])
        self.wfile.flush()
        if kind == "stall":
            centre.given_up.append(self.wait_for_the_end())
        elif kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def wait_for_the_end(self) -> bool:
        """Return whether the client gave up within ten seconds."""
        self.connection.settimeout(10.0)
        try:
            return self.connection.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    def send(
        self,
        status: int,
        content: bytes = b"",
        kind: str = "text/html",
        headers: dict[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def channel_text(inventory: obspy.Inventory) -> str:
    """Return an inventory as the text form of the channel level."""
    import io

    body = io.BytesIO()
    inventory.write(body, format="STATIONTXT", level="channel")
    return body.getvalue().decode()


@contextmanager
def data_centre(sds: Path, inventory: obspy.Inventory) -> Iterator[DataCentre]:
    """Run a data centre over an SDS tree (records of one length, big-endian) while the block lasts."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    index_of(sds)  # the first request is as quick as all others
    server.centre = DataCentre(sds, inventory, url=f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.centre
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
