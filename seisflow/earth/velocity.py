"""Velocity models that depend on depth alone."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from seisflow.errors import VelocityModelError
from seisflow.method import explain

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["VelocityModel"]

MIN_VP_VS = 1.1
"""Smallest ratio of P to S velocity that is believed; elastic solids have more than 1.15."""
GRADIENT_ERROR_S = 0.0015
"""Travel time that the thin layers that stand for a gradient may cost a ray that turns in it."""

Speed = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
Depth = Annotated[float, Field(allow_inf_nan=False)]


class VelocityModel(BaseModel):
    """P and S velocity as a function of depth; immutable and hashable.

    The uppermost value holds upward without end, the lowest downward.

    Raises
    ------
    pydantic.ValidationError
        If depths do not increase, lengths differ, a velocity is not positive or Vp/Vs is below 1.1.

    Examples
    --------
    >>> crust = VelocityModel(depth_km=(0.0, 16.0), vp_km_s=(6.0, 6.8), vs_km_s=(3.5, 3.9))
    >>> float(crust.speed("P", 20.0))
    6.8
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    depth_km: Annotated[tuple[Depth, ...], Field(min_length=1)]
    """Tops of the layers, or nodes of the gradient; km below sea level, negative above it."""
    vp_km_s: tuple[Speed, ...]
    """P velocity of each layer or node, km/s."""
    vs_km_s: tuple[Speed, ...]
    """S velocity of each layer or node, km/s."""
    interpolation: Literal["constant", "linear"] = "constant"
    """`constant`: a value holds from its depth down to the next. `linear`: velocity changes linearly
    between nodes, and a depth given twice is a discontinuity."""

    @model_validator(mode="after")
    def _physical(self) -> Self:
        if not len(self.depth_km) == len(self.vp_km_s) == len(self.vs_km_s):
            raise ValueError(
                f"depth_km, vp_km_s and vs_km_s must be equally long, found {len(self.depth_km)}, "
                f"{len(self.vp_km_s)} and {len(self.vs_km_s)} values"
            )
        self._check_depths()
        for depth, vp, vs in zip(self.depth_km, self.vp_km_s, self.vs_km_s, strict=True):
            if vp < MIN_VP_VS * vs:
                raise ValueError(
                    f"Vp/Vs at depth {depth} km is {vp / vs:.2f} (Vp {vp}, Vs {vs} km/s), must be at least "
                    f"{MIN_VP_VS}; are the columns swapped?"
                )
        return self

    def _check_depths(self) -> None:
        step = np.diff(self.depth_km)
        if (step < 0).any():
            row = int(np.flatnonzero(step < 0)[0]) + 1
            raise ValueError(
                f"depths must increase downward, found {self.depth_km[row]} km "
                f"after {self.depth_km[row - 1]} km"
            )
        if self.interpolation == "constant" and (step == 0).any():
            depth = self.depth_km[int(np.flatnonzero(step == 0)[0])]
            raise ValueError(
                f"depth {depth} km is given twice, which only interpolation 'linear' allows (a discontinuity)"
            )
        if ((step[1:] == 0) & (step[:-1] == 0)).any():
            raise ValueError(
                "a depth is given more than twice; a discontinuity has one value above and one below"
            )

    @classmethod
    def read(cls, path: str | Path, interpolation: Literal["constant", "linear"] = "constant") -> Self:
        """Return the model of a CSV file with a column for depth, Vp and Vs, known by how their names begin.

        `depth_km,vp_km_s,vs_km_s`, `depth_km,vp,vs` and `Depth,Vp,Vs` are such headers; depths are km
        below sea level, velocities km/s. Lines that begin with ``#`` are comments.

        Raises
        ------
        VelocityModelError
            If the file can not be read, a column is missing, or the model is not physical.
        """
        import pandas as pd

        try:
            frame = pd.read_csv(path, comment="#", skipinitialspace=True)
        except (OSError, ValueError) as error:
            raise VelocityModelError(f"{path} can not be read as a velocity model: {error}") from error
        columns = {name: _column(frame, prefix, path) for name, prefix in COLUMNS.items()}
        try:
            return cls.model_validate({**columns, "interpolation": interpolation})
        except ValidationError as error:
            raise VelocityModelError(explain(error, cls, str(path))) from error

    def speed(self, phase: str, depth_km: ArrayLike) -> NDArray[np.float64]:
        """Return the velocity of a phase, ``P`` or ``S``, at depths; km/s, shape as `depth_km`.

        At a discontinuity the value below holds.
        """
        depth, tops, speeds = np.asarray(depth_km, dtype=float), np.array(self.depth_km), self._speeds(phase)
        above = np.clip(np.searchsorted(tops, depth, side="right") - 1, 0, len(tops) - 1)
        if self.interpolation == "constant":
            return np.asarray(speeds[above])
        below = np.minimum(above + 1, len(tops) - 1)
        thickness = np.where(tops[below] > tops[above], tops[below] - tops[above], 1.0)
        fraction = np.clip((depth - tops[above]) / thickness, 0.0, 1.0)
        return np.asarray(speeds[above] + fraction * (speeds[below] - speeds[above]))

    def layers(self, phase: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the model as layers of constant velocity.

        A gradient becomes thin layers; each keeps the vertical travel time of the gradient it stands
        for, and they are thin enough that turning rays keep theirs within a few milliseconds.

        Returns
        -------
        tops_km, speeds_km_s : arrays of float64, shape (n_layer,)
            The first top is never reached: the first layer extends upward without end.
        """
        return _layers(self, phase)

    def _speeds(self, phase: str) -> NDArray[np.float64]:
        if phase not in ("P", "S"):
            raise VelocityModelError(f"there is no velocity of phase {phase!r}; allowed are P, S")
        return np.array(self.vp_km_s if phase == "P" else self.vs_km_s)


COLUMNS = {"depth_km": "depth", "vp_km_s": "vp", "vs_km_s": "vs"}


def _column(frame: Any, prefix: str, path: str | Path) -> list[Any]:
    """Return the values of the one column whose name begins with `prefix`."""
    found = [name for name in frame.columns if str(name).strip().lower().startswith(prefix)]
    if len(found) != 1:
        raise VelocityModelError(
            f"{path}: need one column whose name begins with '{prefix}', found {found or 'none'} among "
            f"{list(frame.columns)}; write the header depth_km,vp_km_s,vs_km_s"
        )
    values: list[Any] = frame[found[0]].tolist()
    return values


@lru_cache(maxsize=32)
def _layers(model: VelocityModel, phase: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    tops, speeds = np.array(model.depth_km), model._speeds(phase)
    if model.interpolation == "linear":
        tops, speeds = _staircase(tops, speeds)
    tops.setflags(write=False)
    speeds.setflags(write=False)
    return tops, speeds


def _staircase(
    depth: NDArray[np.float64], speed: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return layers of constant velocity for a model that is linear between its nodes."""
    tops: list[NDArray[np.float64]] = []
    speeds: list[NDArray[np.float64]] = []
    for top, bottom, upper, lower in zip(depth, depth[1:], speed, speed[1:], strict=False):
        if bottom == top:
            continue
        # A ray turns in a layer of relative velocity step d over a time of about sqrt(2 d) / gradient,
        # which is wrong by the fraction d at most: d ** 1.5 / gradient is the error to bound.
        gradient = abs(lower - upper) / (bottom - top)
        step = (gradient * GRADIENT_ERROR_S) ** (2.0 / 3.0)
        n_layers = int(np.ceil(abs(np.log(lower / upper)) / step)) if gradient > 0 else 1
        borders = np.linspace(upper, lower, n_layers + 1)
        ratio = borders[1:] / borders[:-1]
        # The logarithmic mean keeps the vertical travel time: h / v = ln(v2 / v1) / gradient.
        mean = np.diff(borders) / np.log(ratio) if upper != lower else borders[:-1]
        tops.append(np.asarray(np.linspace(top, bottom, n_layers + 1)[:-1].round(6), dtype=float))
        speeds.append(mean)
    tops.append(depth[-1:])
    speeds.append(speed[-1:])
    return np.concatenate(tops), np.concatenate(speeds)
