"""Writes the reference pages that the code itself describes: table schemas and methods."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING

from seisflow.method import allowed_values, available, default_of, rooms
from seisflow.tables import SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

    from seisflow.method import Method

__all__ = ["write_pages"]


def write_pages(folder: Path) -> None:
    """Write ``tables/<NAME>.md`` and ``methods/<room>.md`` into `folder`; unchanged pages are left alone."""
    pages = {f"tables/{name}.md": table_page(schema) for name, schema in SCHEMAS.items()}
    pages |= {f"methods/{room}.md": room_page(room) for room in rooms()}
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
    for path in (*folder.glob("tables/*.md"), *folder.glob("methods/*.md")):
        if str(path.relative_to(folder)) not in pages:
            path.unlink()


def table_page(schema: pa.Schema) -> str:
    """Return the page of one table: fields, types, units, meaning."""
    about = {key.decode(): value.decode() for key, value in schema.metadata.items()}
    rows = []
    for field in schema:
        told = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        null = "yes" if field.nullable else ""
        rows.append((f"`{field.name}`", f"`{field.type}`", told.get("unit", ""), null, told["about"]))
    table = grid(("field", "type", "unit", "may be null", "meaning"), rows)
    return f"# {about['table']}\n\n{about['about']}\n\n{table}"


def room_page(room: str) -> str:
    """Return the page of one room: each method with its parameters."""
    parts = [f"# {room}\n"]
    parts += [method_section(name, method) for name, method in available(room).items()]
    return "\n".join(parts)


def method_section(name: str, method: type[Method]) -> str:
    """Return what a method is and its parameters: default, constraints, meaning."""
    about = re.sub(r"^(\w+)\n-+$", r"**\1**\n", inspect.cleandoc(method.__doc__ or ""), flags=re.MULTILINE)
    properties = method.model_json_schema()["properties"] if method.model_fields else {}
    rows = []
    for key, field in method.model_fields.items():
        effect = "no" if key in method.neutral else ""
        rows.append(
            (
                f"`{key}`",
                f"`{default_of(field)}`",
                allowed_values(properties[key]),
                effect,
                field.description or "",
            )
        )
    table = grid(("parameter", "default", "allowed", "enters the result", "meaning"), rows)
    parameters = table if rows else "It has no parameters.\n"
    return f"## {name}\n\n{about}\n\n{parameters}"


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(
        f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in line)} |\n"
        for line in lines
    )
