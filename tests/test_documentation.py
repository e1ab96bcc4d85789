"""What the documentation shows is valid."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from seisflow.cli import app
from seisflow.workflow import load_workflow

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
WORKFLOWS = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"```yaml\n(name: .*?)```", page.read_text(), re.DOTALL))
]


@pytest.mark.parametrize("text", WORKFLOWS)
def test_every_workflow_shown_is_valid(text: str, tmp_path: Path) -> None:
    (tmp_path / "velocity.csv").write_text("depth_km,vp_km_s,vs_km_s\n0,5.5,3.2\n15,6.5,3.75\n")
    (tmp_path / "study.yaml").write_text(text)
    assert load_workflow(tmp_path / "study.yaml").name


def test_the_readme_shows_a_workflow() -> None:
    assert any("README" in parameters.id for parameters in WORKFLOWS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_shown_exists(page: Path) -> None:
    commands = set(typer.main.get_command(app).commands)
    text = page.read_text()
    code = "\n".join(re.findall(r"```.*?```", text, re.DOTALL) + re.findall(r"`[^`\n]+`", text))
    shown = set(re.findall(r"^`?(?:\.venv/bin/)?seisflow ([a-z]+)\b", code, re.MULTILINE))
    assert shown <= commands


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    generated = ("reference/tables/", "reference/methods/")
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())
    missing = [link for link in links if not link.startswith(generated) and not (page.parent / link).exists()]
    assert not missing


def test_every_promise_names_a_test_that_exists() -> None:
    promised = re.findall(r"`(tests/[\w/]+\.py)((?:::\w+)+)`", (ROOT / "docs" / "reliability.md").read_text())
    assert promised
    for path, names in promised:
        text = (ROOT / path).read_text()
        for name in names.split("::")[1:]:
            assert re.search(rf"(def|class) {name}\b", text), f"{path}{names}"
