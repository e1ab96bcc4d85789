"""Weights of networks: found by SeisBench name or in a file, named by their content, loaded once."""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seisflow.errors import WeightsError
from seisflow.picking.statedict import read_state_dict

__all__ = ["Weights", "read_weights"]


@dataclass(frozen=True)
class Weights:
    """Numbers of a network and what they need.

    Attributes
    ----------
    digest : str
        Hash of the content: the same wherever the file lies.
    state : dict
        Array by layer name (SeisBench's layout).
    model_args : dict
        SeisBench's description: ``sampling_rate``, ``component_order``, ``phases``, ``norm``...
    default_args : dict
        How the weights are meant to be used: ``P_threshold``, ``blinding``, ``overlap``...
    """

    digest: str
    state: dict[str, NDArray[Any]] = field(compare=False, repr=False)
    model_args: dict[str, Any] = field(compare=False, repr=False)
    default_args: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)


def read_weights(name_or_path: str, model: str = "PhaseNet") -> Weights:
    """Return weights by SeisBench name or path; the same content is read once a process.

    Parameters
    ----------
    name_or_path : str
        ``"original"``, or a file such as ``weights/original.pt.v1``; beside it lies
        ``original.json.v1`` with SeisBench's `model_args`.
    model : str
        Class in ``seisbench.models`` that knows the name.

    Raises
    ------
    WeightsError
        If they are not found or not readable; the message says where to put a file.
    """
    path = Path(name_or_path).expanduser()
    if path.is_file():
        description = _description_file(path)
        described = description.read_bytes() if description else b"{}"
        return _from_bytes(path.read_bytes(), described, str(path))
    if path.name != name_or_path or ".pt" in name_or_path:
        raise WeightsError(
            f"there is no weights file {path}; give a SeisBench name ('original', 'stead', ...) or the "
            "path of a file such as original.pt.v1, with original.json.v1 beside it"
        )
    return _from_seisbench(name_or_path, model)


def _description_file(path: Path) -> Path | None:
    """Return the JSON that describes a weights file: original.json.v1 beside original.pt.v1."""
    sibling = path.with_name(path.name.replace(".pt", ".json", 1))
    return sibling if sibling != path and sibling.is_file() else None


@lru_cache(maxsize=8)
def _from_bytes(content: bytes, description: bytes, where: str) -> Weights:
    try:
        state = read_state_dict(content)
        model_args, default_args = _described(json.loads(description))
    except ValueError as error:
        raise WeightsError(
            f"{where} is no weights file, or damaged: {error}; nothing in it was run. Expected is a torch "
            "state dict with JSON beside it, as SeisBench has them (original.pt.v1, original.json.v1): copy "
            "them anew"
        ) from error
    return Weights(_digest(state, model_args), state, model_args, default_args)


def _described(described: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arguments of the model and those of its use in a description."""
    if not isinstance(described, dict):
        raise ValueError("its description is no JSON object")
    model_args, default_args = described.get("model_args") or {}, described.get("default_args") or {}
    if not isinstance(model_args, dict) or not isinstance(default_args, dict):
        raise ValueError("model_args and default_args of its description are no JSON objects")
    for key, value in default_args.items():
        if key.endswith("_threshold") and not (isinstance(value, int | float) and 0 < value < 1):
            raise ValueError(f"{key} of its description is {value!r}; allowed are numbers between 0 and 1")
    return model_args, default_args


@lru_cache(maxsize=8)
def _from_seisbench(name: str, model: str) -> Weights:
    advice = (
        f"put the files {name}.pt.v1 and {name}.json.v1 in a folder and give the path of the first as "
        "'weights', or in SeisBench's cache, ~/.seisbench/models/v3/" + model.lower() + "/"
    )
    try:
        import seisbench.models
    except ImportError as error:
        raise WeightsError(f"weights '{name}' need SeisBench, which is not installed; {advice}") from error
    try:
        network = getattr(seisbench.models, model).from_pretrained(name)
    except Exception as error:  # its hub raises many kinds: no route, no such name, broken cache
        raise WeightsError(f"SeisBench has no weights '{name}' here ({error}); {advice}") from error
    for pattern, version, text in getattr(network, "_weight_warnings", []):
        if re.fullmatch(pattern, name) and version == network.weights_version:
            warnings.warn(f"weights '{name}', version {version}, of {model}: {text}", stacklevel=2)
    state = {key: value.detach().cpu().numpy() for key, value in network.state_dict().items()}
    model_args = network.get_model_args()
    return Weights(_digest(state, model_args), state, model_args, dict(network.default_args))


def _digest(state: dict[str, NDArray[Any]], model_args: dict[str, Any]) -> str:
    """Return a hash of the numbers and of what decides how they are used."""
    hasher = hashlib.blake2b(digest_size=8)
    kept = ("sampling_rate", "component_order", "phases", "norm", "norm_detrend", "filter_factor")
    hasher.update(json.dumps({key: model_args.get(key) for key in kept}, sort_keys=True).encode())
    for name, array in sorted(state.items()):
        hasher.update(f"{name}{tuple(array.shape)}torch.{array.dtype}".encode())
        hasher.update(np.ascontiguousarray(array).tobytes())
    return hasher.hexdigest()
