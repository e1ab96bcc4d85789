"""Files of weights that hold numbers and their description, and nothing that could be executed.

A file is ``seisflow weights 1``, a newline, the length of a JSON header (eight bytes, little-endian), the
header, and the arrays one after another as little-endian float32. The header names the kind of network,
its parameters, each array with its shape, a hash of the arrays, and how they came about.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seisflow.errors import WeightsError

__all__ = ["WeightFile", "read_weight_file", "write_weight_file"]

MAGIC = b"seisflow weights 1\n"
LARGEST_BYTES = 256 * 2**20
"""Larger files are refused unread: no network here has such weights."""
LARGEST_HEADER = 2**20


@dataclass(frozen=True)
class WeightFile:
    """What a file of weights holds.

    Attributes
    ----------
    kind : str
        Name of the network.
    parameters : dict
        What the network is built with.
    recipe : dict
        How the weights came about: data, seed, steps, scores. For the reader; nothing depends on it.
    digest : str
        Hash of kind, parameters and arrays.
    arrays : dict
        Array of float32 by name.
    """

    kind: str
    parameters: dict[str, Any] = field(compare=False)
    recipe: dict[str, Any] = field(compare=False, repr=False)
    digest: str
    arrays: dict[str, NDArray[np.float32]] = field(compare=False, repr=False)


def write_weight_file(
    path: Path,
    kind: str,
    parameters: Mapping[str, Any],
    arrays: Mapping[str, NDArray[np.float32]],
    recipe: Mapping[str, Any],
) -> None:
    """Write weights; the file appears whole or not at all."""
    plain = {name: np.ascontiguousarray(array, dtype="<f4") for name, array in sorted(arrays.items())}
    header = {
        "kind": kind,
        "parameters": dict(parameters),
        "arrays": {name: list(array.shape) for name, array in plain.items()},
        "digest": _digest(kind, parameters, plain),
        "recipe": dict(recipe),
    }
    text = json.dumps(header, sort_keys=True).encode()
    part = path.with_name(path.name + ".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    with part.open("wb") as file:
        file.write(MAGIC + len(text).to_bytes(8, "little") + text)
        for array in plain.values():
            file.write(array.tobytes())
    part.replace(path)


def read_weight_file(path: Path, kind: str) -> WeightFile:
    """Return weights of one kind of network.

    Raises
    ------
    WeightsError
        If there is no such file, it is foreign, damaged, incomplete, or of another kind.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise WeightsError(
                f"{path}: {path.stat().st_size} bytes are too many for weights; at most {LARGEST_BYTES}"
            )
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"{path}: the weights cannot be read: {error.strerror or error}; give the path of a file that "
            "'seisflow train picker' wrote, or leave it out for those that come with the package"
        ) from error
    header, first = _header(path, content)
    if header["kind"] != kind:
        raise WeightsError(f"{path}: weights of a network '{header['kind']}'; expected is '{kind}'")
    arrays = _arrays(path, header["arrays"], content, first)
    if _digest(header["kind"], header["parameters"], arrays) != header["digest"]:
        raise WeightsError(
            f"{path}: the weights are damaged: their hash is not the one written; copy it anew"
        )
    return WeightFile(kind, header["parameters"], header["recipe"], header["digest"], arrays)


def _header(path: Path, content: bytes) -> tuple[dict[str, Any], int]:
    """Return the checked header, and where the arrays begin."""
    if not content.startswith(MAGIC):
        raise WeightsError(f"{path}: no weights file of seisflow; such files are written by 'seisflow train'")
    first = len(MAGIC) + 8
    n_header = int.from_bytes(content[len(MAGIC) : first], "little")
    if n_header > LARGEST_HEADER or first + n_header > len(content):
        raise WeightsError(
            f"{path}: the weights file is damaged: its header has {n_header} bytes; copy it anew"
        )
    wanted = {"kind": str, "parameters": dict, "arrays": dict, "digest": str, "recipe": dict}
    try:
        header = json.loads(content[first : first + n_header])
        wrong = [key for key, form in wanted.items() if not isinstance(header[key], form)]
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path}: the header of the weights file is damaged: {error!r}") from error
    if wrong:
        raise WeightsError(f"{path}: the header of the weights file is damaged: {', '.join(wrong)}")
    return header, first + n_header


def _arrays(
    path: Path, shapes: Mapping[str, Any], content: bytes, first: int
) -> dict[str, NDArray[np.float32]]:
    """Return the arrays that the header names; they fill the file to its end."""
    arrays = {}
    for name, shape in sorted(shapes.items()):
        if not isinstance(shape, list) or not all(isinstance(n, int) and 0 <= n < 2**31 for n in shape):
            raise WeightsError(f"{path}: the weights file is damaged: array {name} has the shape {shape!r}")
        n = math.prod(shape)
        if first + 4 * n > len(content):
            raise WeightsError(
                f"{path}: the weights file is incomplete: it ends within the array {name}; copy it anew"
            )
        arrays[name] = np.frombuffer(content, "<f4", n, first).reshape(shape).astype(np.float32)
        first += 4 * n
    if first != len(content):
        raise WeightsError(
            f"{path}: {len(content) - first} bytes follow the last array of the weights file; copy it anew"
        )
    return arrays


def _digest(kind: str, parameters: Mapping[str, Any], arrays: Mapping[str, NDArray[np.float32]]) -> str:
    """Return a hash of what decides the result."""
    hasher = hashlib.blake2b(digest_size=8)
    hasher.update(json.dumps([kind, dict(parameters)], sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        hasher.update(f"{name}{array.shape}".encode())
        hasher.update(np.ascontiguousarray(array, dtype="<f4").tobytes())
    return hasher.hexdigest()
