"""EQTransformer: a network with recurrent and attentive layers, on windows of a minute."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from seisflow.picking.seisbench import SeisBenchPicker, build_model, window_model

if TYPE_CHECKING:
    from seisflow.picking.inference.engine import WindowModel
    from seisflow.picking.weights import Weights

__all__ = ["EQTransformer"]


class EQTransformer(SeisBenchPicker):
    """EQTransformer (Mousavi et al. 2020) with any weights of SeisBench's class; needs the extra `seisbench`.

    References
    ----------
    Mousavi, S. M. et al. (2020), Nat. Commun. 11, 3952, doi:10.1038/s41467-020-17591-w.
    """

    name: ClassVar[str] = "eqtransformer"
    model_class: ClassVar[str] = "EQTransformer"
    cpu_batch_size: ClassVar[int] = 64

    def _window_model(self) -> WindowModel:
        return _fast(self._weights(), self._device)


@lru_cache(maxsize=4)
def _fast(weights: Weights, device: str) -> WindowModel:
    """Return the network arranged for inference, and its normalisation as the engine does it."""
    from copy import deepcopy

    from seisflow.picking.inference.normalisation import TAPER, Scale
    from seisflow.picking.networks.eqtransformer import FastEQTransformer

    model = deepcopy(build_model("EQTransformer", weights))
    scale: Scale = "peak" if model.norm_amp_per_comp or model.norm == "peak" else "std of all"
    return replace(
        window_model("EQTransformer", weights, device),
        network=FastEQTransformer(model).to(device),
        demean=True,
        detrend=bool(model.norm_detrend),
        scale=scale,
        taper=TAPER,
    )
