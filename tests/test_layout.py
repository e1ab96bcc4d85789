"""The house rules that can be read off the source."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "seisflow"
FILES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MOST_LINES, MOST_FUNCTION_LINES = 400, 50
VAGUE = {"utils.py", "core.py", "helpers.py", "common.py", "misc.py"}
IMPORT_NAMES = {
    "gmma": "gamma",
    "google-crc32c": "google_crc32c",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
}
SCHEDULER = {"seisflow/run", "seisflow/deploy"}


def label(path: Path) -> str:
    """Return a path below the root, as the name of a test."""
    return str(path.relative_to(ROOT))


def imports_of(path: Path) -> set[str]:
    """Return the modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module or "")
    return found


def functions_of(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function and method."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def public(nodes: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Yield the public classes and functions among statements, and the methods of the classes."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body)


@pytest.mark.parametrize("path", [*FILES, *TESTS], ids=label)
def test_a_file_is_short_and_named_after_what_it_holds(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES
    assert path.name not in VAGUE


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the length of a function without its docstring."""
    doc = function.body[0] if ast.get_docstring(function) else None
    span = function.end_lineno - function.lineno + 1  # type: ignore[operator]
    return span - (doc.end_lineno - doc.lineno + 1 if doc else 0)  # type: ignore[operator]


@pytest.mark.parametrize("path", FILES, ids=label)
def test_a_function_fits_a_screen(path: Path) -> None:
    lines = {node.name: code_lines(node) for node in functions_of(ast.parse(path.read_text()))}
    assert not {name: n for name, n in lines.items() if n > MOST_FUNCTION_LINES}


@pytest.mark.parametrize("path", FILES, ids=label)
def test_everything_public_has_a_docstring(path: Path) -> None:
    tree = ast.parse(path.read_text())
    if path.name != "__init__.py" or tree.body:
        assert ast.get_docstring(tree), "the module"
    assert not [node.name for node in public(tree.body) if not ast.get_docstring(node)]


def test_every_package_is_listed() -> None:
    listed = PROJECT["tool"]["setuptools"]["packages"]
    there = {".".join(path.parent.relative_to(ROOT).parts) for path in FILES}
    missing_init = {label(path.parent) for path in FILES if not (path.parent / "__init__.py").exists()}
    assert listed == sorted(set(listed))
    assert set(listed) == there
    assert not missing_init


def test_every_data_file_is_shipped() -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["*"]
    data = [
        path
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix != ".py" and path.parent.name != "__pycache__"
    ]
    assert not [label(path) for path in data if not any(path.match(pattern) for pattern in patterns)]


def test_every_package_that_is_imported_is_a_declared_dependency() -> None:
    project = PROJECT["project"]
    optional = project["optional-dependencies"]
    requirements = [
        *project["dependencies"],
        *optional["association"],
        *optional["gamma"],
        *optional["seisbench"],
        *optional["plot"],
    ]
    names = [re.split(r"[\[<>=~! ]", requirement)[0].lower() for requirement in requirements]
    declared = {IMPORT_NAMES.get(name, name) for name in names}
    known = declared | sys.stdlib_module_names | {"seisflow"}
    used = {name.partition(".")[0]: label(path) for path in FILES for name in imports_of(path)}
    assert not {name: path for name, path in used.items() if name not in known}


def test_only_run_and_deploy_know_dask_as_a_scheduler() -> None:
    knowing = {
        label(path.parent)
        for path in FILES
        if any(name.startswith(("distributed", "dask.distributed")) for name in imports_of(path))
    }
    assert knowing <= SCHEDULER


def test_every_pin_satisfies_the_range_it_belongs_to() -> None:
    requirements = pytest.importorskip("packaging.requirements")
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.lower().replace("_", "-").split("==") for line in lines if not line.startswith("#"))
    assert next(iter(pins)) == "torch"
    project = PROJECT["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    for requirement in (requirements.Requirement(text) for group in groups for text in group):
        name = requirement.name.lower()
        if name != "seisflow":
            assert requirement.specifier.contains(pins[name]), f"{requirement}, pinned {pins.get(name)}"
