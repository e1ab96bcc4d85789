"""Methods are their parameters: the frozen base of every picker, associator, locator, archive ...

A room is a package under `seisflow` (``picking``); a method is one file in it (``phasenet.py``)
with one class whose `name` is the name of the file. A workflow names it, `build` imports that file
and no other. Packages outside seisflow add methods by an entry point in the group
``seisflow.<room>``, e.g. ``[project.entry-points."seisflow.picking"] mine = "my_package:MyPicker"``.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import pkgutil
import re
import textwrap
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from seisflow.errors import WorkflowError

__all__ = [
    "Method",
    "allowed_values",
    "available",
    "build",
    "default_of",
    "describe",
    "explain",
    "lookup",
    "rooms",
]


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


def describe(room: str, name: str | None = None) -> str:
    """Return the methods of a room as text: each parameter with default, what is allowed, and meaning.

    Parameters
    ----------
    room : str
    name : str, optional
        One method only; then its whole description, not the first line alone.

    Raises
    ------
    WorkflowError
        If there is no such room or method.
    """
    if room not in rooms():
        raise WorkflowError(f"unknown room '{room}'; allowed are {', '.join(rooms())}")
    if name is not None:
        method = lookup(room, name, room)
        about = inspect.cleandoc(method.__doc__ or "")
        return "\n".join([f"{room}: {name}", "", _indented(about), "", *_parameters(method)])
    lines = [f"{room}:"]
    for known, method in available(room).items():
        about = inspect.cleandoc(method.__doc__ or "").partition("\n")[0]
        lines += ["", f"  {known}  {about}", *_parameters(method)]
    return "\n".join(lines)


def allowed_values(schema: Mapping[str, Any]) -> str:
    """Return what a parameter may be, from its JSON schema: limits, and names to choose from."""
    signs = {"exclusiveMinimum": "> ", "minimum": ">= ", "exclusiveMaximum": "< ", "maximum": "<= "}
    found = []
    for option in schema.get("anyOf", [schema]):
        found += [f"{sign}{option[key]:g}" for key, sign in signs.items() if key in option]
        found += [f"{value}" for value in option.get("enum", [])]
    return ", ".join(found)


def default_of(field: FieldInfo) -> str:
    """Return the default of a parameter as it is written in a workflow file, or that it is needed."""
    if field.is_required():
        return "(needed)"
    default = field.get_default(call_default_factory=True)
    return default if isinstance(default, str) and default else json.dumps(default, default=str)


def _parameters(method: type[Method]) -> list[str]:
    """Return each parameter as a line with its default and what is allowed, and its meaning below."""
    schemas = method.model_json_schema()["properties"] if method.model_fields else {}
    lines = []
    for key, field in method.model_fields.items():
        allowed = allowed_values(schemas[key])
        notes = [f"[{allowed}]"] if allowed else []
        notes += ["(no effect on the result)"] if key in method.neutral else []
        lines.append("  ".join([f"    {key} = {default_of(field)}", *notes]))
        lines.append(_indented(" ".join((field.description or "").split()), 8))
    return lines


def _indented(text: str, by: int = 4) -> str:
    """Return paragraphs wrapped to the width of a page; the head of a section goes before its text."""
    pad = " " * by
    text = re.sub(r"^(\w+)\n-{3,}\n", r"\1: ", text, flags=re.MULTILINE)
    parts = (" ".join(part.split()) for part in text.split("\n\n"))
    return "\n\n".join(textwrap.fill(part, 100, initial_indent=pad, subsequent_indent=pad) for part in parts)
