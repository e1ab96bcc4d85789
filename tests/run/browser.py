"""A headless browser for tests of pages: Debian's chromium."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

__all__ = ["Element", "open_page"]

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
]


def open_page(url: str, folder: Path, *options: str, budget_ms: int = 4000) -> Element:
    """Open a page, let its scripts run, and return what stands in it then; skip where no browser is.

    Parameters
    ----------
    url : str
    folder : Path
        For the browser's profile.
    options : str
        Further options of the browser.
    budget_ms : int
        Time that the page believes to have passed.
    """
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine (Debian: apt-get install chromium)")
    command = [CHROMIUM, *QUIET, f"--user-data-dir={folder}", f"--virtual-time-budget={budget_ms}", *options]
    done = subprocess.run(
        [*command, "--dump-dom", url], capture_output=True, text=True, timeout=90, check=False
    )
    assert done.stdout, f"chromium gave no page: {done.stderr[-2000:]}"
    tree = _Tree()
    tree.feed(done.stdout)
    return tree.root


class Element:
    """An element of a page: its tag, attributes, and what stands in it."""

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.children: list[Element | str] = []

    @property
    def text(self) -> str:
        """All text in the element, blanks drawn together."""
        whole = " ".join(child if isinstance(child, str) else child.text for child in self.children)
        return re.sub(r"\s+", " ", whole).strip()

    def all(self, tag: str = "", **attributes: str) -> list[Element]:
        """Return the elements within that have a tag and attributes; `_` stands for `-`, `kind` for class."""
        wanted = {name.replace("_", "-"): value for name, value in attributes.items() if name != "kind"}
        found = []
        for child in self.children:
            if isinstance(child, str):
                continue
            has = all(child.attributes.get(name) == value for name, value in wanted.items())
            kinds = child.attributes.get("class", "").split()
            if has and (not tag or child.tag == tag) and attributes.get("kind", "") in ["", *kinds]:
                found.append(child)
            found += child.all(tag, **attributes)
        return found

    def one(self, tag: str = "", **attributes: str) -> Element:
        """Return the only such element within."""
        found = self.all(tag, **attributes)
        assert len(found) == 1, f"{len(found)} elements {tag} {attributes}"
        return found[0]


class _Tree(HTMLParser):
    """Builds the elements of a page."""

    VOID = frozenset({"meta", "link", "img", "br", "input", "hr"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in self.VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost element of the tag."""
        for depth in range(len(self.open) - 1, 0, -1):
            if self.open[depth].tag == tag:
                del self.open[depth:]
                return

    def handle_data(self, data: str) -> None:
        """Take text."""
        self.open[-1].children.append(data)
