"""The curves of a training as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["draw_curves"]


def draw_curves(rows: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draw loss and F1 over the steps of a training."""
    from matplotlib.figure import Figure

    steps = [row["step"] for row in rows]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, label in (("loss", "training"), ("validation_loss", "held out")):
        left.plot(steps, [row[name] for row in rows], label=label)
    left.set(xlabel="step", ylabel="cross-entropy (per 100 samples)", yscale="log")
    for name in ("f1_p_0.1s", "f1_p_0.5s", "f1_s_0.1s", "f1_s_0.5s"):
        _, phase, tolerance = name.split("_")
        right.plot(
            steps,
            [row[name] for row in rows],
            color="C0" if phase == "p" else "C3",
            linestyle="-" if tolerance == "0.5s" else "--",
            label=f"{phase.upper()}, {tolerance.removesuffix('s')} s",
        )
    right.set(xlabel="step", ylabel="F1 on simulated records", ylim=(0, 1))
    for axes in (left, right):
        axes.legend(frameon=False)
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
