"""What is wrong with a file, by byte ranges: many places of one kind make one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seisflow.archive.miniseed.records import DATA, JUNK, TRUNCATED, UNSOUND

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Damage"]

_NAMED = 3


class Damage:
    """Collects the records of a file that were left out, mended or are doubtful."""

    def __init__(self) -> None:
        self._ranges: dict[str, list[tuple[int, int]]] = {}

    def add(self, what: str, rows: NDArray[Any]) -> None:
        """Note records; `what` completes a sentence that begins with their number and place."""
        if len(rows):
            ends = rows["offset"] + rows["length"]
            self._ranges.setdefault(what, []).extend(zip(rows["offset"].tolist(), ends.tolist(), strict=True))

    def add_line(self, line: str) -> None:
        """Note something that has no place in the file."""
        self._ranges.setdefault(line, [])

    def add_bytes(self, rows: NDArray[Any], buffer: NDArray[np.uint8]) -> None:
        """Note the bytes that are no sound record."""
        junk = rows[rows["state"] == JUNK]
        is_control = np.array([_is_control(buffer[at : at + 15].tobytes()) for at in junk["at"]], dtype=bool)
        self.add("are no miniSEED record and are left out", junk[~is_control] if len(junk) else junk)
        self.add("are truncated by the end of the file and are left out", rows[rows["state"] == TRUNCATED])
        self.add("do not agree with their checksum and are left out", rows[rows["state"] == UNSOUND])

    def lines(self) -> list[str]:
        """Return a line for each kind, the first places named."""
        return [_line(what, sorted(ranges)) for what, ranges in self._ranges.items()]


def _is_control(head: bytes) -> bool:
    """Return whether bytes begin like a control header of full SEED, which describes stations."""
    return head[:6].isdigit() and head[6:7] in (b"V", b"A", b"S", b"T") and head[8:15].isdigit()


def _line(what: str, ranges: list[tuple[int, int]]) -> str:
    if not ranges:
        return what
    merged: list[tuple[int, int]] = []
    for begin, end in ranges:
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    named = ", ".join(f"{begin}-{end}" for begin, end in merged[:_NAMED])
    more = f" and {len(merged) - _NAMED} more places" if len(merged) > _NAMED else ""
    return f"bytes {named}{more} ({len(ranges)} records) {what}"


def data_rows(rows: NDArray[Any]) -> NDArray[Any]:
    """Return the rows that are records with samples."""
    held: NDArray[Any] = rows[(rows["state"] == DATA) & (rows["n"] > 0)]
    return held
