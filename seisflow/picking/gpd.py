"""GPD: a network that says of a window of four seconds whether a P or an S stands in its middle."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from seisflow.picking.seisbench import SeisBenchPicker, build_model, window_model

if TYPE_CHECKING:
    from seisflow.picking.inference.engine import WindowModel
    from seisflow.picking.weights import Weights

__all__ = ["GPD"]


class GPD(SeisBenchPicker):
    """GPD (Ross et al. 2018) with any weights of SeisBench's class; needs the extra `seisbench`.

    On CPUs that multiply integers of eight bits every window is first looked at in these, and only those
    where a phase may reach half its threshold are computed in float32.

    References
    ----------
    Ross, Z. E. et al. (2018), Bull. Seismol. Soc. Am. 108, 2894-2901, doi:10.1785/0120180080.
    """

    name: ClassVar[str] = "gpd"
    model_class: ClassVar[str] = "GPD"
    cpu_batch_size: ClassVar[int] = 512

    screen_margin: Annotated[float, Field(gt=0)] | None = 1.5
    """How much the logarithm of the odds of a phase may err in eight bits; None computes all in float32."""

    def _window_model(self) -> WindowModel:
        least = tuple(threshold / 2 for threshold in self.thresholds().values())
        return _fast(self._weights(), self._device, least, self.screen_margin)


@lru_cache(maxsize=4)
def _fast(weights: Weights, device: str, least: tuple[float, ...], margin: float | None) -> WindowModel:
    """Return the network arranged for inference, and its normalisation as the engine does it."""
    from seisflow.picking.networks.eightbit import can_multiply_eight_bits
    from seisflow.picking.networks.gpd import FastGPD, ScreenedGPD

    plain = window_model("GPD", weights, device)
    exact = FastGPD(build_model("GPD", weights))
    network: Any = exact
    if device == "cpu" and margin is not None and can_multiply_eight_bits():
        network = ScreenedGPD(exact, plain.classes, least, margin)
    return replace(plain, network=network.to(device), demean=True, scale="peak of all")
