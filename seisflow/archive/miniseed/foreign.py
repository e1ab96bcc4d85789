"""Encodings that hardly any instrument writes today: left to libmseed inside obspy.

libmseed keeps its log callbacks in one place for the whole process, and Python does so with its
warnings: a lock lets one thread decode at a time, else a message would be credited to another file.
"""

from __future__ import annotations

import io
import threading
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from seisflow.traces import Traces

if TYPE_CHECKING:
    import obspy
    from numpy.typing import NDArray

    from seisflow.archive.miniseed.damage import Damage
    from seisflow.traces import ChannelTraces

__all__ = ["FOREIGN", "decode_foreign"]

FOREIGN = {13: "GEOSCOPE 16-3", 14: "GEOSCOPE 16-4", 16: "CDSN", 30: "SRO", 32: "DWWSSN"}
"""Encodings by their number in blockette 1000."""

_ONE_AT_A_TIME = threading.Lock()


def decode_foreign(rows: NDArray[Any], buffer: NDArray[np.uint8], damage: Damage) -> list[ChannelTraces]:
    """Return the traces of records in a rare encoding; halve around those that can not be decoded."""
    import obspy

    stream, pieces = obspy.Stream(), [rows]
    while pieces:
        part = pieces.pop()
        content = b"".join(
            buffer[at : at + n].tobytes() for at, n in zip(part["at"], part["length"], strict=True)
        )
        try:
            found, messages = _read(content)
        except Exception as error:  # obspy raises bare Exception among others
            if len(part) == 1:
                damage.add(f"can not be decoded and are left out ({_first_line(error)})", part)
            else:
                pieces += [part[len(part) // 2 :], part[: len(part) // 2]]
        else:
            stream += found
            for message in messages:
                damage.add(f"are doubtful ({message})", part)
    return Traces.of_stream(stream).channels


def _read(content: bytes) -> tuple[obspy.Stream, list[str]]:
    import obspy
    from obspy.io.mseed import InternalMSEEDWarning

    with _ONE_AT_A_TIME, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        stream = obspy.read(io.BytesIO(content), format="MSEED")
    return stream, [_first_line(w.message) for w in caught if issubclass(w.category, InternalMSEEDWarning)]


def _first_line(error: object) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
