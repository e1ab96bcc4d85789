"""PhaseNet: a neural network that marks P and S onsets in three-component waveforms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from seisflow.errors import WeightsError
from seisflow.picking.network import NetworkPicker, rows_of

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from numpy.typing import NDArray
    from torch import Tensor

    from seisflow.picking.inference.continuous import ContinuousModel
    from seisflow.picking.inference.engine import WindowModel
    from seisflow.picking.inference.stacking import Piece
    from seisflow.picking.inference.triggers import PeakFinder, Trigger
    from seisflow.picking.networks.direct import DirectPhaseNet
    from seisflow.picking.weights import Weights

__all__ = ["PhaseNet"]

N_WINDOW = 3001
"""Samples in a window of SeisBench's PhaseNet."""
N_OVERLAP = 1500
"""Samples that neighbouring windows share, as SeisBench has it."""
N_STATISTICS = 3000
"""In continuous mode, samples in a window of the sliding statistics: the length of training windows."""
N_CELL = 250
"""In continuous mode, samples between the knots of the sliding statistics where their rise is limited."""
N_REACH = 2816
"""No output of the network depends on samples farther away; a multiple of the 256 of its lowest level."""
N_LOWEST = 256
"""Samples for each of the network's lowest level; windows of a multiple are padded as 3,000 samples are."""
N_ENDS, N_NEAR_END, END_WEIGHT = (9 * N_LOWEST, 12 * N_LOWEST), 1408, 0.8
"""In continuous mode, samples of the arrays by which the network also sees the ends of a record, from where
on they count, and how much."""
N_GUARD = 50
"""In continuous mode no picks so near to a gap's edge, samples."""
N_SHORTEST = 300
"""In continuous mode shorter runs of samples between gaps are ignored."""
TRIGGER_S = 10.0
"""Longest trigger that does not depend on where a record is cut, s."""


class PhaseNet(NetworkPicker):
    """PhaseNet (Zhu & Beroza 2019) on continuous waveforms.

    In mode `continuous` each component is divided by its sliding standard deviation after its sliding
    mean was removed, nearly as PhaseNet's own code does, and the network sees the whole record at
    once, near its ends also arrays that end there; picks are maxima of the probability. In mode
    `windowed` it sees overlapping windows of 3,001 samples, each normalised by itself, whose outputs
    are averaged; picks are SeisBench's triggers.

    References
    ----------
    Zhu, W. & Beroza, G. C. (2019), Geophys. J. Int. 216, 261-273, doi:10.1093/gji/ggy423.
    """

    name: ClassVar[str] = "phasenet"
    version: ClassVar[int] = 4

    mode: Literal["auto", "continuous", "windowed"] = "auto"
    """`continuous`, or `windowed`; auto is continuous for weights that divide by the standard deviation."""

    grid: Literal["auto", "absolute", "segment"] = "auto"
    """Where windows start, in mode windowed: `segment` counts from the start of each run of samples, which
    gives SeisBench's picks; `absolute` counts from 1970, so that picks do not depend on where a
    record is cut. Auto is segment if mode windowed is asked for, and absolute if the weights demand it."""

    separation_s: Annotated[float, Field(ge=0.1, le=5.0)] = 0.5
    """In mode continuous two picks of one phase are at least so far apart, s; the likelier one stays."""

    rise_limit: Annotated[float, Field(gt=1)] | None = 3.0
    """In mode continuous the deviation of the 30 s around is at most so many times that of the 30 s before:
    a large earthquake does not hide the small one that it follows. None is PhaseNet's own code."""

    def identity(self) -> dict[str, Any]:
        """Return what decides the result; `auto` is resolved."""
        identity = super().identity()
        identity["parameters"] |= {"mode": self._mode, "grid": self._grid}
        return identity

    @property
    def margin_s(self) -> float:
        """What an onset may depend on, and the amplitude window, in seconds."""
        if self._mode == "windowed":
            return N_WINDOW / self.sampling_rate_hz + TRIGGER_S + self.amplitude_window_s
        n_reach = 2.5 * N_STATISTICS + N_REACH + N_SHORTEST
        return n_reach / self.sampling_rate_hz + self.separation_s + self.amplitude_window_s

    @property
    def _mode(self) -> Literal["continuous", "windowed"]:
        if self.mode != "auto":
            return self.mode
        return "continuous" if _allows_continuous(self._weights()) else "windowed"

    @property
    def _grid(self) -> Literal["absolute", "segment"]:
        if self.grid != "auto":
            return self.grid
        return "segment" if self.mode == "windowed" else "absolute"

    def _weights(self) -> Weights:
        from seisflow.picking.weights import read_weights

        return read_weights(self.weights)

    def _finder(self, threshold: float) -> Trigger | PeakFinder:
        from seisflow.picking.inference.triggers import PeakFinder, Trigger

        if self._mode == "windowed":
            return Trigger(threshold, threshold / 2)
        return PeakFinder(threshold, threshold / 2, round(self.separation_s * self.sampling_rate_hz))

    def _pieces(self, waveforms: xr.Dataset) -> Iterator[Piece]:
        from seisflow.picking.inference.engine import annotate_stretches

        arguments = self._weights().model_args
        rows = rows_of(waveforms, "".join(arguments.get("component_order") or "ZNE"))
        if self._mode == "continuous":
            yield from self._continuous(waveforms, rows)
            return
        model = _windowed(self._weights(), self._device)
        filtering = arguments.get("filter_args"), arguments.get("filter_kwargs")
        yield from annotate_stretches(model, waveforms, rows, self._grid, self._placement(), filtering)

    def _continuous(self, waveforms: xr.Dataset, rows: NDArray[np.int64]) -> Iterator[Piece]:
        from seisflow.picking.inference.continuous import annotate_trace
        from seisflow.picking.inference.engine import sample_number, traces_of
        from seisflow.picking.inference.windows import finite_runs, near_edges

        data = traces_of(waveforms)
        first = sample_number(waveforms["time"].to_numpy()[0], self.sampling_rate_hz)
        runs = [finite_runs(trace) for trace in data]
        runs = [found[found[:, 1] - found[:, 0] >= N_SHORTEST] for found in runs]
        blocked = near_edges([runs[row] for row in rows if row >= 0], data.shape[1], N_GUARD)
        model = _continuous(self._weights(), self._device, self.rise_limit)
        for piece in annotate_trace(model, data, rows, runs, first, self._placement()):
            piece.curves[:, blocked[piece.first : piece.first + piece.curves.shape[1]]] = 0
            yield piece


def _allows_continuous(weights: Weights) -> bool:
    """Whether weights divide each component by its standard deviation and nothing else."""
    arguments = weights.model_args
    others = ("norm_amp_per_comp", "norm_detrend", "filter_args", "filter_kwargs")
    return arguments.get("norm", "std") == "std" and not any(arguments.get(key) for key in others)


@lru_cache(maxsize=4)
def _windowed(weights: Weights, device: str) -> WindowModel:
    from seisflow.picking.inference.engine import WindowModel

    arguments = weights.model_args
    per_component = "peak" if arguments.get("norm_amp_per_comp") else arguments.get("norm", "std")
    return WindowModel(
        network=_network(weights, device),
        n_window=N_WINDOW,
        n_hop=N_WINDOW - N_OVERLAP,
        classes=_classes(weights),
        detrend=bool(arguments.get("norm_detrend", False)),
        scale="std" if per_component == "std" else "peak",
        blinding=tuple(weights.default_args.get("blinding", (0, 0))),
    )


@lru_cache(maxsize=4)
def _continuous(weights: Weights, device: str, rise_limit: float | None) -> ContinuousModel:
    from seisflow.picking.inference.continuous import ContinuousModel, Ends
    from seisflow.picking.inference.sliding import Sliding
    from seisflow.picking.networks.direct import DirectPhaseNet

    if not _allows_continuous(weights):
        asked = {
            key: value for key, value in weights.model_args.items() if key.startswith(("norm", "filter_"))
        }
        raise WeightsError(
            "mode 'continuous' needs weights that divide each component by its standard deviation and do "
            f"nothing else; these want {asked}; take mode 'windowed'"
        )
    network = _network(weights, device)
    n_chunk, n_batch = 2**15, 16
    if isinstance(network, DirectPhaseNet):  # cuts its input itself into what fits a cache
        n_chunk, n_batch = 2**19, 1
    sliding = Sliding(N_STATISTICS, N_STATISTICS // 2)
    if rise_limit is not None:
        sliding = Sliding(N_STATISTICS, N_CELL, rise_limit)
    ends = Ends(N_ENDS, N_LOWEST, N_NEAR_END, END_WEIGHT)
    return ContinuousModel(network, _classes(weights), sliding, N_REACH, n_chunk, n_batch, ends)


def _classes(weights: Weights) -> tuple[int, ...]:
    labels = "".join(weights.model_args.get("phases", "NPS"))
    return tuple(labels.index(phase) for phase in "PS")


@lru_cache(maxsize=4)
def _network(weights: Weights, device: str) -> Callable[[Tensor], Tensor] | DirectPhaseNet:
    """Build the network of some weights once a process: compiled for the CPU where it can be."""
    arguments = weights.model_args
    if arguments.get("norm", "std") not in ("std", "peak") or not {"P", "S"} <= set(
        arguments.get("phases", "NPS")
    ):
        raise WeightsError(
            f"weights with norm {arguments.get('norm')!r} and phases {arguments.get('phases')!r} are not "
            "supported; allowed are norm 'std' or 'peak', and phases that hold P and S"
        )
    n_classes = int(arguments.get("classes", 3))
    if device == "cpu" and n_classes == 3:
        from seisflow.picking.networks.direct import DirectPhaseNet

        return DirectPhaseNet(weights.state)
    from seisflow.picking.networks.phasenet import PhaseNetNetwork

    network = PhaseNetNetwork(
        in_channels=int(arguments.get("in_channels", 3)),
        classes=n_classes,
        filter_factor=int(arguments.get("filter_factor", 1)),
    )
    network.load_seisbench(weights.state)
    return network.for_inference().to(device)
