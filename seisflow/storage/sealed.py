"""Sealed Parquet: files that know a checksum of themselves, so that a flipped byte never passes for data.

The checksum (BLAKE2b, 128 bit) is of the whole file and stands in its footer as the key
``seisflow.checksum``, written as zeros first and put in afterwards; to any Parquet reader it is an
ordinary file. Parquet's own page checksums leave the footer out, whose statistics decide which rows
a filtered read returns.
"""

from __future__ import annotations

import hashlib

import pyarrow as pa
import pyarrow.parquet as pq

from seisflow.errors import CorruptPartError

__all__ = ["seal", "unseal"]

KEY = b"seisflow.checksum"
MARK = b"blake2b:"
BLANK = b"0" * 32


def seal(table: pa.Table) -> bytes:
    """Return a table as a Parquet file with its checksum; equal tables give equal bytes."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, table.schema, compression="zstd") as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({KEY: MARK + BLANK})
    content = bytearray(sink.getvalue())
    start = content.rindex(MARK + BLANK) + len(MARK)
    content[start : start + len(BLANK)] = _checksum(content).encode()
    return bytes(content)


def unseal(content: bytes, where: str) -> pa.Table:
    """Return the table of a sealed file.

    Parameters
    ----------
    content : bytes
    where : str
        Path or URL, for the error.

    Raises
    ------
    CorruptPartError
        If a byte is not as it was written.
    """
    blank = bytearray(content)
    mark = blank.rfind(MARK)
    start = mark + len(MARK)
    found = bytes(blank[start : start + len(BLANK)])
    blank[start : start + len(BLANK)] = BLANK
    if mark < 0 or _checksum(blank).encode() != found:
        raise CorruptPartError(
            f"{where} is damaged: its {len(content)} bytes do not have the checksum they were written with; "
            "check the disk; what it held is computed again"
        )
    return pq.read_table(pa.BufferReader(content))


def _checksum(content: bytes | bytearray) -> str:
    return hashlib.blake2b(content, digest_size=len(BLANK) // 2).hexdigest()
