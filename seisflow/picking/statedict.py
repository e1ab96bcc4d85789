"""State dicts as torch writes them, read without torch: arrays by name, and nothing is executed.

The file is a zip archive: a pickle that names tensors, and their numbers in files beside it. Of the pickle
only the few names that tensors need are known; all others are refused.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

__all__ = ["read_state_dict"]

STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
}
"""Types of numbers, by the names that torch gives them."""


def read_state_dict(content: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file that `torch.save` wrote of a state dict.

    Parameters
    ----------
    content : bytes
        The whole file.

    Raises
    ------
    ValueError
        If it is anything else, or damaged.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
            if len(names) != 1:
                raise ValueError("it is an archive of something else")
            name = names[0]
            folder = name.removesuffix("data.pkl")
            if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
                raise ValueError("its numbers are big-endian")
            state = _Reader(archive, folder).load()
    except (zipfile.BadZipFile, pickle.UnpicklingError, LookupError, EOFError, NotImplementedError) as error:
        raise ValueError(str(error)) from error
    except (TypeError, AttributeError, OverflowError, RecursionError, MemoryError) as error:
        raise ValueError(f"its list of tensors is damaged: {error}") from error
    is_whole = isinstance(state, dict) and all(isinstance(key, str) for key in state)
    if not is_whole or not all(isinstance(value, np.ndarray) for value in state.values()):
        raise ValueError("it holds something else than tensors by name")
    return dict(state)


class _Reader(pickle.Unpickler):
    """Knows the names that a state dict needs, and no others."""

    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{folder}data.pkl")))
        self._archive, self._folder = archive, folder
        self._storages: dict[str, NDArray[Any]] = {}

    def find_class(self, module: str, name: str) -> Any:
        known = {
            "collections.OrderedDict": OrderedDict,
            "torch._utils._rebuild_tensor_v2": _tensor,
            "torch._utils._rebuild_parameter": _parameter,
        }
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        if f"{module}.{name}" not in known:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no state dict of numbers needs")
        return known[f"{module}.{name}"]

    def persistent_load(self, pid: Any) -> NDArray[Any]:
        kind, dtype, key, _, n = pid
        if kind != "storage" or dtype not in STORAGES.values():
            raise pickle.UnpicklingError(f"it names {kind} of type {dtype}")
        if key not in self._storages:
            numbers = np.frombuffer(self._archive.read(f"{self._folder}data/{key}"), dtype)
            if len(numbers) != n:
                raise pickle.UnpicklingError(f"{len(numbers)} numbers lie where {n} should")
            self._storages[key] = numbers
        return self._storages[key]


def _tensor(
    storage: NDArray[Any], first: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> NDArray[Any]:
    """Return a part of a storage as an array of its own."""
    if not isinstance(storage, np.ndarray):
        raise pickle.UnpicklingError("a tensor has no numbers")
    last = first + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    is_empty = 0 in shape
    if min([first, *shape, *strides]) < 0 or (not is_empty and last >= len(storage)):
        raise pickle.UnpicklingError(f"a tensor of shape {shape} reaches beyond its {len(storage)} numbers")
    if is_empty:
        return np.empty(shape, storage.dtype)
    steps = [step * storage.itemsize for step in strides]
    return np.array(as_strided(storage[first:], shape, steps, writeable=False))


def _parameter(tensor: NDArray[Any], *_: Any) -> NDArray[Any]:
    return tensor
