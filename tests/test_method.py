"""Methods are their parameters: found by name, refused by name, and known by a fingerprint."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar

import pytest
from pydantic import Field, ValidationError

from seisflow import method
from seisflow.errors import WorkflowError
from seisflow.method import Method

ROOM = "picking"


class Detector(Method):
    """Finds things."""

    room: ClassVar[str] = ROOM
    name: ClassVar[str] = "detector"
    neutral: ClassVar[frozenset[str]] = frozenset({"batch_size"})

    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Least probability of a pick."""
    band_hz: tuple[float, float] = (1.0, 20.0)
    """Corners of the filter, Hz."""
    batch_size: int = 64
    """Windows that are computed at once."""


class Needy(Method):
    """Has a parameter without default."""

    root: str


def test_a_method_is_immutable() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Detector().threshold = 0.5  # type: ignore[misc]


def test_an_unknown_key_is_refused_with_those_allowed() -> None:
    with pytest.raises(WorkflowError) as caught:
        Detector.parse({"treshold": 0.5}, "study.yaml: picking")
    assert str(caught.value) == (
        "study.yaml: picking: treshold: unknown key; allowed are band_hz, batch_size, threshold"
    )


@pytest.mark.parametrize(
    ("parameters", "parts"),
    [
        ({"threshold": 2}, ["threshold", "less than 1", "found 2"]),
        ({"threshold": "high"}, ["threshold", "valid number", "found 'high'"]),
        ({"band_hz": [1.0]}, ["band_hz.1", "this key is needed"]),
    ],
)
def test_a_value_that_is_not_allowed_is_named(parameters: dict[str, object], parts: list[str]) -> None:
    with pytest.raises(WorkflowError) as caught:
        Detector.parse(parameters, "study.yaml: picking")
    assert all(part in str(caught.value) for part in ["study.yaml: picking: ", *parts])


def test_a_missing_key_is_named() -> None:
    with pytest.raises(WorkflowError, match=r"^archive: root: this key is needed$"):
        Needy.parse({}, "archive")


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(WorkflowError) as caught:
        Detector.parse({"threshold": 2, "colour": "blue"})
    assert len(str(caught.value).splitlines()) == 2


def test_neutral_fields_never_enter_the_fingerprint_and_every_other_does() -> None:
    changes = {"threshold": 0.4, "band_hz": (2.0, 20.0), "batch_size": 7}
    assert set(changes) == set(Detector.model_fields)
    plain = Detector().fingerprint()
    changed = {key for key, value in changes.items() if Detector(**{key: value}).fingerprint() != plain}
    assert changed == set(changes) - Detector.neutral


def test_the_fingerprint_is_that_of_the_values_not_of_how_they_are_written() -> None:
    written = Detector.parse({"band_hz": [1, 20], "threshold": "0.3"})
    assert written.fingerprint() == Detector().fingerprint()
    assert Detector().fingerprint() == "90002ba365396b20", "a change of the hash would redo every run"


def test_name_and_version_enter_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {Detector().fingerprint()}
    monkeypatch.setattr(Detector, "version", 2)
    found.add(Detector().fingerprint())
    monkeypatch.setattr(Detector, "name", "other")
    found.add(Detector().fingerprint())
    assert len(found) == 3


@pytest.mark.parametrize("room", method.rooms())
def test_every_method_of_a_room_is_found_by_the_name_of_its_file(room: str) -> None:
    methods = method.available(room)
    assert methods
    for name, cls in methods.items():
        assert method.lookup(room, name) is cls
        assert cls.__module__ == f"seisflow.{room}.{name}"
        assert cls.neutral <= set(cls.model_fields)


@pytest.mark.parametrize("room", method.rooms())
def test_every_parameter_of_every_method_says_what_it_is(room: str) -> None:
    text = method.describe(room)
    for name, cls in method.available(room).items():
        assert f"  {name}  {(cls.__doc__ or '').splitlines()[0]}" in text
        for key, field in cls.model_fields.items():
            assert field.description, f"{room}.{name}.{key} has no docstring"


def test_an_unknown_method_is_refused_with_those_there_are() -> None:
    with pytest.raises(WorkflowError) as caught:
        method.build(ROOM, {"method": "guess"}, "study.yaml: picking")
    expected = f"study.yaml: picking: unknown method 'guess'; allowed are {', '.join(method.available(ROOM))}"
    assert str(caught.value) == expected


@pytest.mark.parametrize("name", ["base", "os", "../secret", "", "networks"])
def test_what_is_in_a_room_but_no_method_is_refused(name: str) -> None:
    with pytest.raises(WorkflowError, match="unknown method"):
        method.lookup(ROOM, name)


def test_a_block_without_method_and_an_unknown_room_are_refused() -> None:
    with pytest.raises(WorkflowError, match="picking: the key 'method' is missing; allowed are"):
        method.build(ROOM, {"threshold": 0.3})
    with pytest.raises(WorkflowError, match="unknown room 'kitchen'; allowed are archive, picking"):
        method.describe("kitchen")


def test_building_leaves_the_block_as_it_was() -> None:
    block = {"method": "serial"}
    built = method.build("deploy", block)
    assert built == method.build("deploy", "serial")
    assert block == {"method": "serial"}


@pytest.fixture
def outside_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Install a package outside seisflow that brings a picker by an entry point."""
    (tmp_path / "elsewhere.py").write_text(
        "from typing import ClassVar\n"
        "from seisflow.method import Method\n"
        "class Foreign(Method):\n"
        "    'Picks elsewhere.'\n"
        f"    room: ClassVar[str] = '{ROOM}'\n"
        "    name: ClassVar[str] = 'foreign'\n"
        "    threshold: float = 0.5\n"
    )
    info = tmp_path / "elsewhere-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[seisflow.{ROOM}]\nforeign = elsewhere:Foreign\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield "foreign"
    sys.modules.pop("elsewhere", None)


def test_a_package_outside_adds_a_method_by_an_entry_point(outside_package: str) -> None:
    built = method.build(ROOM, {"method": outside_package, "threshold": 0.7})
    assert built.identity() == {"method": "foreign", "version": 1, "parameters": {"threshold": 0.7}}
    assert outside_package in method.available(ROOM)
    assert "  foreign  Picks elsewhere." in method.describe(ROOM)
    with pytest.raises(WorkflowError, match=r"allowed are .*foreign"):
        method.build(ROOM, "guess")


def test_without_it_the_method_is_gone() -> None:
    assert "foreign" not in method.available(ROOM)
