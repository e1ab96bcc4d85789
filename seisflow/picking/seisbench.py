"""Every picker of SeisBench that looks at windows of one station, with this package's batching."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from seisflow.errors import WeightsError
from seisflow.picking.network import NetworkPicker, rows_of

if TYPE_CHECKING:
    import xarray as xr
    from torch import Tensor

    from seisflow.picking.inference.engine import WindowModel
    from seisflow.picking.inference.stacking import Piece
    from seisflow.picking.inference.triggers import Trigger
    from seisflow.picking.weights import Weights

__all__ = ["SeisBench", "SeisBenchPicker"]

TRIGGER_S = 10.0
"""Longest trigger that does not depend on where a record is cut, s."""


class SeisBenchPicker(NetworkPicker):
    """Base of the pickers whose network is a class of SeisBench (an optional extra, GPL).

    Windows, their overlap and blinding, stacking and triggers are SeisBench's, with the arguments that
    the weights ask for.
    """

    model_class: ClassVar[str] = ""

    grid: Literal["absolute", "segment"] = "absolute"
    """Where windows start: `absolute` counts from 1970, so that picks do not depend on where a record is
    cut; `segment` counts from the start of each run of samples, which gives SeisBench's picks."""

    @property
    def margin_s(self) -> float:
        """Two windows, the longest trigger and the amplitude window, in seconds."""
        n_samples = int(self._built().in_samples)
        return 2 * n_samples / self.sampling_rate_hz + TRIGGER_S + self.amplitude_window_s

    @property
    def _model_class(self) -> str:
        return self.model_class

    @property
    def _default_threshold(self) -> float:
        return float(_argument(self._built(), "*_threshold", {}, 0.3))

    def _weights(self) -> Weights:
        from seisflow.picking.weights import read_weights

        return read_weights(self.weights, self._model_class)

    def _built(self) -> Any:
        return build_model(self._model_class, self._weights())

    def _finder(self, threshold: float) -> Trigger:
        from seisflow.picking.inference.triggers import Trigger

        return Trigger(threshold, threshold / 2)

    def _window_model(self) -> WindowModel:
        return window_model(self._model_class, self._weights(), self._device)

    def _pieces(self, waveforms: xr.Dataset) -> Iterator[Piece]:
        from seisflow.picking.inference.engine import annotate_stretches

        model, built = self._window_model(), self._built()
        rows = rows_of(waveforms, "".join(built.component_order))
        filtering = built.filter_args, built.filter_kwargs
        yield from annotate_stretches(model, waveforms, rows, self.grid, self._placement(), filtering)


class SeisBench(SeisBenchPicker):
    """A picker of SeisBench by the name of its class; those with a method of their own are faster there.

    References
    ----------
    Woollam, J. et al. (2022), Seismol. Res. Lett. 93, 1695-1709, doi:10.1785/0220210324.
    """

    name: ClassVar[str] = "seisbench"

    model: Literal[
        "BasicPhaseAE",
        "EQTP",
        "EQTransformer",
        "GPD",
        "LFEDetect",
        "OBSTransformer",
        "PhaseNet",
        "PhaseNetLight",
        "Skynet",
        "VariableLengthPhaseNet",
    ]
    """Name of a class in ``seisbench.models``."""

    @property
    def _model_class(self) -> str:
        return self.model


@lru_cache(maxsize=4)
def build_model(name: str, weights: Weights) -> Any:
    """Return a SeisBench model with some weights, once a process.

    Raises
    ------
    WeightsError
        If SeisBench is not installed, or the weights do not fit.
    """
    import torch

    try:
        import seisbench.models
    except ImportError as error:
        raise WeightsError(
            f"the picker {name} is a class of SeisBench, which is not installed; install seisflow[seisbench]"
        ) from error
    refused = NOT_FOR_CLASSES + NOT_FOR_SOME.get(name, ())
    arguments = {key: value for key, value in weights.model_args.items() if key not in refused}
    try:
        model = getattr(seisbench.models, name)(**arguments)
        model.load_state_dict({name: torch.as_tensor(value) for name, value in weights.state.items()})
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        why = textwrap.shorten(str(error), 300)  # torch names every layer
        raise WeightsError(
            f"the weights do not fit SeisBench's {name}: {why}; give weights of that class, with their JSON"
        ) from error
    model.default_args.update(weights.default_args)
    model.eval().requires_grad_(False)
    return model


NOT_FOR_CLASSES = ("citation", "output_type", "pred_sample", "labels", "default_args")
"""Arguments in the files of some weights that the classes set themselves."""
NOT_FOR_SOME = dict.fromkeys(("VariableLengthPhaseNet", "LFEDetect"), ("norm_amp_per_comp", "norm_detrend"))
"""Arguments that these classes write to their files and then refuse."""


@lru_cache(maxsize=4)
def window_model(name: str, weights: Weights, device: str) -> WindowModel:
    """Return a SeisBench model as the engine runs it: its own preparation, forward and blinding.

    Raises
    ------
    WeightsError
        If the model has no classes for P and S, or looks at more than the windows of one station.
    """
    from seisflow.picking.inference.engine import WindowModel

    model = build_model(name, weights)
    labels = list(model.labels or [])
    if not {"P", "S"} <= set(labels) or model.output_type not in ("array", "point"):
        raise WeightsError(f"SeisBench's {name} with labels {labels} marks no P and S along a record")
    given = weights.default_args
    n_window = int(model.in_samples)
    is_point = model.output_type == "point"
    return WindowModel(
        network=_forward(model, device),
        n_window=n_window,
        n_hop=int(_argument(model, "stride", given, 1)) if is_point else n_window - _overlap(model, given),
        classes=tuple(labels.index(phase) for phase in "PS"),
        demean=False,
        scale="none",
        blinding=(0, 0) if is_point else tuple(_argument(model, "blinding", given, (0, 0))),
        stacking=_argument(model, "stacking", given, "avg"),
        point=int(model.pred_sample) if is_point else None,
    )


def _overlap(model: Any, given: dict[str, Any]) -> int:
    overlap = _argument(model, "overlap", given, 0)
    return int(overlap * model.in_samples) if overlap < 1 else int(overlap)


def _argument(model: Any, key: str, given: dict[str, Any], otherwise: Any) -> Any:
    """Return an argument of a model's `annotate`: that of the weights, or else that of the class."""
    return given.get(key, model._annotate_args.get(key, ("", otherwise))[1])


def _forward(model: Any, device: str) -> Callable[[Tensor], Tensor]:
    """Return a model's normalisation and forward as one function to (window, class, value)."""
    import torch

    model = model.to(device)
    arguments = dict(model.default_args) | {"blinding": (0, 0), "sampling_rate": model.sampling_rate}

    def forward(windows: Tensor) -> Tensor:
        prepared = model.annotate_batch_pre(windows, argdict=arguments)
        piggyback = None
        if isinstance(prepared, tuple):
            prepared, piggyback = prepared
        result = model.annotate_batch_post(model(prepared), piggyback=piggyback, argdict=arguments)
        if result.ndim == 2:  # one value a class and window
            return torch.as_tensor(result).unsqueeze(-1)
        return torch.as_tensor(result).transpose(1, 2)

    return forward
