"""How figures look, and how they get into a page: one style, inline SVG, nothing from outside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any, cast

import matplotlib as mpl
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure

__all__ = [
    "DEPTH_COLOURS",
    "GAP",
    "GRID",
    "INK",
    "MUTED",
    "PHASE_COLOURS",
    "TRACE",
    "clean_label",
    "figure_style",
    "to_svg",
]

INK = "#1b2733"
MUTED = "#5b6977"
GRID = "#e3e8ed"
BAR = "#54738f"
ACCENT = "#c2410c"
GAP = "#dfe3e8"
TRACE = "#33414e"
PHASE_COLOURS = {"P": "#0072b2", "S": "#d55e00"}
"""Blue and vermilion of Okabe and Ito: told apart by every kind of colour vision."""

N_RASTER = 1200
"""From this many points on a cloud of points is drawn as an image."""

RC: dict[str, Any] = {
    "font.family": ["Helvetica Neue", "Arial", "Liberation Sans", "DejaVu Sans"],
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 7.0,
    "axes.labelsize": 8.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#8895a1",
    "axes.linewidth": 0.7,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "xtick.color": "#8895a1",
    "ytick.color": "#8895a1",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in a station's name is a dollar sign
    "svg.fonttype": "none",
    "svg.hashsalt": "seisflow",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


def _depth_colours() -> Colormap:
    plasma = mpl.colormaps["plasma"]
    return LinearSegmentedColormap.from_list("depth", [plasma(0.86 - 0.84 * i / 255) for i in range(256)])


DEPTH_COLOURS = _depth_colours()
"""Plasma without its yellow end, which drowns on white: shallow is orange, deep is dark blue."""


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw with the style of the report inside the block; the user's own settings do not enter."""
    import logging
    import warnings

    fonts = logging.getLogger("matplotlib.font_manager")
    level = fonts.level
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        cast(Any, mpl.rcParams).update(RC)
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        fonts.setLevel(logging.ERROR)  # of the four families one is enough
        try:
            yield
        finally:
            fonts.setLevel(level)


def to_svg(figure: Figure, name: str, about: str, decimals: int = 2) -> str:
    """Return a figure as an SVG element to put into a page.

    Parameters
    ----------
    figure : Figure
    name : str
        Goes before every id, so that the figures of one page do not share any.
    about : str
        What the figure shows, for readers that can not see it.
    decimals : int
        Kept of the coordinates of lines, which count points of 1/72 inch.
    """
    from markupsafe import escape

    buffer = StringIO()
    figure.savefig(buffer, format="svg", dpi=170, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(?::\w+)?="[^"]*"', "", text)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r'xlink:href="#', f'href="#{name}-', text)
    text = re.sub(r' d="([^"]*)"', lambda match: f' d="{_shortened(match[1], decimals)}"', text)
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(about)}"', 1)


def _shortened(path: str, decimals: int) -> str:
    """Return the path with fewer decimals; in a path of straight lines only, L need not be repeated."""
    path = re.sub(rf"(\.\d{{{decimals}}})\d+", r"\1", path.replace("\n", "")).strip()
    return path if re.search("[^ML0-9 .-]", path) else path.replace(" L ", " ")


def clean_label(text: str, longest: int = 16) -> str:
    """Return a name from outside as one short printable line."""
    line = "".join(letter if letter.isprintable() else "?" for letter in text)
    return line if len(line) <= longest else line[: longest - 1] + "…"
