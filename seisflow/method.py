"""Methods are their parameters: the frozen base of every picker, associator, locator, archive ...

A room is a package under `seisflow` (``picking``); a method is one file in it (``phasenet.py``)
with one class whose `name` is the name of the file. A workflow names it, `build` imports that file
and no other. Packages outside seisflow add methods by an entry point in the group
``seisflow.<room>``, e.g. ``[project.entry-points."seisflow.picking"] mine = "my_package:MyPicker"``.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import pkgutil
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from seisflow.errors import WorkflowError

__all__ = ["Method", "available", "build", "describe", "explain", "lookup", "rooms"]


class Method(BaseModel):
    """Parameters of one method; immutable, and unknown keys are refused.

    Attributes
    ----------
    room : str
        Package that the method belongs to.
    name : str
        What a workflow calls it; the name of the file it lives in.
    version : int
        Raised when the result changes for the same parameters.
    neutral : frozenset of str
        Fields without effect on the result (batch size, threads); they never enter a fingerprint.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    room: ClassVar[str] = ""
    name: ClassVar[str] = ""
    version: ClassVar[int] = 1
    neutral: ClassVar[frozenset[str]] = frozenset()

    def identity(self) -> dict[str, Any]:
        """Return what decides the result: method, version and parameters that matter."""
        parameters = self.model_dump(mode="json", exclude=set(self.neutral))
        return {"method": self.name, "version": self.version, "parameters": parameters}

    def fingerprint(self) -> str:
        """Return a hash of `identity`: 16 hexadecimal digits."""
        text = json.dumps(self.identity(), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    @property
    def resources(self) -> dict[str, float]:
        """What a task of the method takes of its worker beside a thread, such as ``{"GPU": 1.0}``."""
        return {}

    @classmethod
    def parse(cls, parameters: Mapping[str, Any], where: str = "") -> Self:
        """Return the method with `parameters`.

        Raises
        ------
        WorkflowError
            Naming `where`, the key, what was found and what is allowed.
        """
        try:
            return cls.model_validate(dict(parameters))
        except ValidationError as error:
            raise WorkflowError(explain(error, cls, where)) from error


def explain(error: ValidationError, model: type[BaseModel], where: str) -> str:
    """Return a validation error as lines that name the place, the key and what is allowed."""
    lines = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"])
        place = f"{where}: {key}" if where else key
        if item["type"] == "extra_forbidden":
            lines.append(
                f"{place}: unknown key; allowed are {', '.join(sorted(model.model_fields)) or 'none'}"
            )
        elif item["type"] == "missing":
            lines.append(f"{place}: this key is needed")
        else:
            lines.append(f"{place}: {item['msg']}, found {item['input']!r}")
    return "\n".join(lines)


def lookup(room: str, name: str, where: str = "") -> type[Method]:
    """Return the class of a method by name; imports the one file that holds it.

    Raises
    ------
    WorkflowError
        If there is no such method; the message lists those there are.
    """
    if name.isidentifier() and _is_module(room, name):
        found = _methods_in(f"seisflow.{room}.{name}", room)
        if name in found:
            return found[name]
    for point in entry_points(group=f"seisflow.{room}"):
        if point.name == name:
            method: type[Method] = point.load()
            return method
    prefix = f"{where}: " if where else ""
    raise WorkflowError(f"{prefix}unknown method '{name}'; allowed are {', '.join(available(room))}")


def build(room: str, block: Mapping[str, Any] | str, where: str = "") -> Method:
    """Return a method from a workflow block such as ``{"method": "phasenet", "p_threshold": 0.3}``.

    Raises
    ------
    WorkflowError
        If the method or one of its keys is unknown, or a value is not allowed.
    """
    parameters = {"method": block} if isinstance(block, str) else dict(block)
    place = where or room
    if "method" not in parameters:
        raise WorkflowError(f"{place}: the key 'method' is missing; allowed are {', '.join(available(room))}")
    cls = lookup(room, str(parameters.pop("method")), place)
    return cls.parse(parameters, place)


def available(room: str) -> dict[str, type[Method]]:
    """Return every method of a room by name, sorted: the built-in ones and those of entry points."""
    found: dict[str, type[Method]] = {}
    package = importlib.import_module(f"seisflow.{room}")
    for module in pkgutil.iter_modules(package.__path__):
        found |= _methods_in(f"seisflow.{room}.{module.name}", room)
    for point in entry_points(group=f"seisflow.{room}"):
        found[point.name] = point.load()
    return dict(sorted(found.items()))


def _is_module(room: str, name: str) -> bool:
    package = importlib.import_module(f"seisflow.{room}")
    return any(module.name == name for module in pkgutil.iter_modules(package.__path__))


def _methods_in(module_name: str, room: str) -> dict[str, type[Method]]:
    """Return the methods that a module defines itself."""
    module = importlib.import_module(module_name)
    return {
        value.name: value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Method)
        and value.__module__ == module_name
        and value.room == room
        and value.name
    }


def rooms() -> list[str]:
    """Return the rooms that have methods to choose from."""
    return ["archive", "picking", "picking.polarity", "association", "location", "export", "deploy"]


def describe(room: str) -> str:
    """Return the methods of a room as text: each parameter with type, default and meaning.

    Raises
    ------
    WorkflowError
        If there is no such room.
    """
    if room not in rooms():
        raise WorkflowError(f"unknown room '{room}'; allowed are {', '.join(rooms())}")
    lines = [f"{room}:"]
    for name, method in available(room).items():
        about = (method.__doc__ or "").strip().splitlines()
        lines.append(f"  {name}  {about[0] if about else ''}")
        for key, field in method.model_fields.items():
            default = "needed" if field.is_required() else repr(field.get_default(call_default_factory=True))
            lines.append(f"    {key} = {default}  {' '.join((field.description or '').split())}".rstrip())
    return "\n".join(lines)
