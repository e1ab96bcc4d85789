"""The curves of a training as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_curves", "draw_link_curves"]


def draw_curves(rows: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draw loss and F1 over the steps of the training of a picker."""
    figure, right = _losses(rows, "cross-entropy (per 100 samples)")
    for name in ("f1_p_0.1s", "f1_p_0.5s", "f1_s_0.1s", "f1_s_0.5s"):
        _, phase, tolerance = name.split("_")
        right.plot(
            [row["step"] for row in rows],
            [row[name] for row in rows],
            color="C0" if phase == "p" else "C3",
            linestyle="-" if tolerance == "0.5s" else "--",
            label=f"{phase.upper()}, {tolerance.removesuffix('s')} s",
        )
    _finish(figure, right, "F1 on simulated records", path)


def draw_link_curves(rows: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draw loss, and precision, recall and F1 of links, over the steps of the training of a linker."""
    figure, right = _losses(rows, "cross-entropy of a pick")
    for name in ("precision", "recall", "f1"):
        right.plot([row["step"] for row in rows], [row[name] for row in rows], label=name)
    _finish(figure, right, "links on held-out sequences", path)


def _losses(rows: Sequence[Mapping[str, float]], unit: str) -> tuple[Figure, Axes]:
    """Return a figure with the losses on its left, and the axes on its right."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, label in (("loss", "training"), ("validation_loss", "held out")):
        left.plot([row["step"] for row in rows], [row[name] for row in rows], label=label)
    left.set(xlabel="step", ylabel=unit, yscale="log")
    return figure, right


def _finish(figure: Figure, right: Axes, unit: str, path: Path) -> None:
    """Label the right axes, and write the picture."""
    right.set(xlabel="step", ylabel=unit, ylim=(0, 1))
    for axes in figure.axes:
        axes.legend(frameon=False)
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
