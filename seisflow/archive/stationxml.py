"""StationXML: one file, or folders of files as data centres keep them, one for each station."""

from __future__ import annotations

import hashlib
import io
import json
import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal
from xml.etree import ElementTree

from seisflow.archive.selection import is_wanted
from seisflow.errors import ArchiveError, MetadataError
from seisflow.storage import File, Place, open_place

if TYPE_CHECKING:
    import obspy

__all__ = ["DOWNLOADED", "read_stationxml", "response_digest"]

DOWNLOADED = ".seisflow/stations"
"""Folder below the root of a download that holds the StationXML files."""
_READERS = 16
_OF_ONE_STATION = re.compile(r"(?:.*/)?(?P<network>[A-Z0-9]{1,2})[._](?P<station>[A-Z0-9]{1,5})\.xml")
_LISTING_S = 600.0
"""A remote folder is listed again after this time: workers look up one station after another in it."""


def read_stationxml(
    place: Place,
    level: Literal["channel", "response"],
    select: Sequence[str] | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> obspy.Inventory:
    """Return what a StationXML file, or the files of a folder, say; several files are read at once.

    Parameters
    ----------
    place : Place
        File or folder.
    level : {"channel", "response"}
    select : sequence of str, optional
        Patterns ``NETWORK.STATION``: files named by a station that fits none of them are not read.
    storage_options : mapping, optional
        What fsspec needs to open the URL.

    Raises
    ------
    MetadataError
        If there is no such file, or one of them is no StationXML.
    """
    options = json.dumps(dict(storage_options or {}), sort_keys=True, default=str)
    merged = _merged(tuple(_of_stations(_files(place, options), select)), options, level)
    if not merged.networks:
        raise MetadataError(
            f"{place.uri} holds no StationXML file; give one, a folder with some, or a CSV file"
        )
    return merged


def response_digest(place: Place, network: str, station: str) -> str:
    """Return a hash of the responses that a local file or folder holds of one station, '' for none.

    Only epochs, sampling rates and responses enter it: another station or description changes nothing.

    Raises
    ------
    MetadataError
        If there is no such file, or one of them is no XML.
    """
    files = _of_stations(_files(place, "{}"), [f"{network}.{station}"])
    digests = (_channel_digests(file).get((network, station), "") for file in files)
    found = "".join(sorted(digests))
    return hashlib.blake2b(found.encode(), digest_size=8).hexdigest() if found else ""


@lru_cache(maxsize=1024)
def _channel_digests(file: File) -> dict[tuple[str, str], str]:
    """Return a hash for each station of a file of what decides its ground motion."""
    digests: dict[tuple[str, str], str] = {}
    network = ""
    try:
        content = io.BytesIO(open_place(file.uri).read_bytes())
        for event, element in ElementTree.iterparse(content, ["start", "end"]):
            name = element.tag.rpartition("}")[2]
            if (event, name) == ("start", "Network"):
                network = element.get("code", "")
            elif (event, name) == ("end", "Station"):
                hashed = hashlib.blake2b(digest_size=8)
                for channel in element.iterfind("{*}Channel"):
                    hashed.update(repr(sorted(channel.items())).encode())
                    for part in (*channel.iterfind("{*}SampleRate"), *channel.iterfind("{*}Response")):
                        hashed.update(ElementTree.tostring(part))
                key = network, element.get("code", "")
                digests[key] = digests.get(key, "") + hashed.hexdigest()
                element.clear()
    except ElementTree.ParseError as error:
        raise MetadataError(f"{file.uri} is no StationXML that can be read: {error}") from error
    return digests


def _files(place: Place, options: str) -> tuple[File, ...]:
    if place.is_local:
        return _listed(place.uri, options, None)
    return _listed_lately(place.uri, options, int(time.monotonic() / _LISTING_S))


@lru_cache(maxsize=8)
def _listed_lately(uri: str, options: str, period: int) -> tuple[File, ...]:
    return _listed(uri, options, period)


def _listed(uri: str, options: str, period: int | None) -> tuple[File, ...]:
    """Return the StationXML files below a folder, or the one file that is named."""
    del period
    place = open_place(uri, json.loads(options))
    try:
        files = place.files()
    except ArchiveError as error:
        hint = "; they come with: seisflow download WORKFLOW" if uri.endswith(DOWNLOADED) else ""
        raise MetadataError(f"no station metadata: {error}{hint}") from error
    is_single = len(files) == 1 and files[0].uri == place.uri
    return tuple(
        file for file in files if is_single or file.relative.lower().endswith((".xml", ".stationxml"))
    )


def _of_stations(files: Sequence[File], select: Sequence[str] | None) -> list[File]:
    """Return the files that may hold stations of `select`; what the responsible network says comes first.

    SCEDC also keeps files for stations of other networks, in a folder ``unauthoritative-XML``.
    """
    kept: dict[tuple[str, str], list[File]] = {}
    unnamed = []
    for file in files:
        match = _OF_ONE_STATION.fullmatch(file.relative)
        if match is None or len(files) == 1:
            unnamed.append(file)
        elif is_wanted(match["network"], match["station"], select):
            kept.setdefault((match["network"], match["station"]), []).append(file)
    for station, several in kept.items():
        authoritative = [file for file in several if "unauthoritative" not in file.relative]
        kept[station] = authoritative or several
    return unnamed + [file for several in kept.values() for file in several]


@lru_cache(maxsize=64)
def _merged(files: tuple[File, ...], options: str, level: str) -> obspy.Inventory:
    import obspy

    with ThreadPoolExecutor(_READERS) as pool:
        contents = pool.map(lambda file: _networks(file, options, level, len(files) == 1), files)
        return obspy.Inventory(networks=[network for networks in contents for network in networks])


@lru_cache(maxsize=1024)
def _networks(file: File, options: str, level: str, must_be: bool) -> tuple[Any, ...]:
    """Parse one file; its size and time of change are part of what is remembered."""
    import obspy

    try:
        content = open_place(file.uri, json.loads(options)).read_bytes()
    except ArchiveError as error:
        raise MetadataError(f"no station metadata: {error}") from error
    if not must_be and b"FDSNStationXML" not in content[:2000]:
        return ()  # a folder may hold QuakeML and others beside it
    try:
        part = obspy.read_inventory(io.BytesIO(content), format="STATIONXML", level=level)
    except Exception as error:  # lxml and obspy raise many kinds
        raise MetadataError(f"{file.uri} is no StationXML that can be read: {error}") from error
    return tuple(part.networks)
