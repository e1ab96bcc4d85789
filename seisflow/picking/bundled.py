"""The bundled picker: a small neural network whose weights come with the package."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from seisflow.picking.network import NetworkPicker, rows_of

if TYPE_CHECKING:
    import xarray as xr

    from seisflow.picking.inference.continuous import ContinuousModel
    from seisflow.picking.inference.stacking import Piece
    from seisflow.picking.inference.triggers import PeakFinder
    from seisflow.picking.weights import Weights
    from seisflow.weightfile import WeightFile

__all__ = ["COMPONENTS", "Bundled", "bundled_weights"]

RATE_HZ = 100.0
N_CHUNK, N_REACH = 2**15, 3584
N_STATISTICS = 3000
"""The network normalises by itself; the engine's sliding scale only keeps numbers small."""
N_GUARD = 50
"""No picks so near to a gap's edge, samples."""
N_SHORTEST = 300
"""Shorter runs of samples between gaps are ignored."""
COMPONENTS = "ENZ"
THRESHOLD = 0.5
"""Chosen on the development half of real records."""


class Bundled(NetworkPicker):
    """A small network trained on simulated earthquakes; nothing to download.

    It was trained by ``seisflow train picker`` on simulated waveforms, for local earthquakes on one to three
    components. Its probabilities are calibrated on simulated records: of picks with 0.7 about 70 % are right
    there. Onsets lie on samples. Its architecture needs a quarter of PhaseNet's operations.
    """

    name: ClassVar[str] = "bundled"

    weights: str = "bundled"
    """``bundled``, or the path of a file that ``seisflow train picker`` wrote."""

    separation_s: Annotated[float, Field(ge=0.1, le=5.0)] = 0.5
    """Two picks of one phase are at least so far apart, in seconds; the likelier one stays."""

    @property
    def margin_s(self) -> float:
        """What an onset may depend on, and the amplitude window, in seconds."""
        n_reach = 2.5 * N_STATISTICS + N_REACH + N_SHORTEST
        return n_reach / RATE_HZ + self.separation_s + self.amplitude_window_s

    def _weights(self) -> Weights:
        from seisflow.picking.weights import Weights

        found = bundled_weights(self.weights)
        usage = {"P_threshold": THRESHOLD, "S_threshold": THRESHOLD}
        return Weights(found.digest, found.arrays, {"sampling_rate": RATE_HZ}, usage)

    def _finder(self, threshold: float) -> PeakFinder:
        from seisflow.picking.inference.triggers import PeakFinder

        return PeakFinder(threshold, threshold / 2, round(self.separation_s * RATE_HZ))

    def _pieces(self, waveforms: xr.Dataset) -> Iterator[Piece]:
        from seisflow.picking.inference.continuous import annotate_trace
        from seisflow.picking.inference.engine import sample_number, traces_of
        from seisflow.picking.inference.windows import finite_runs, near_edges

        data, rows = traces_of(waveforms), rows_of(waveforms, COMPONENTS)
        first = sample_number(waveforms["time"].to_numpy()[0], RATE_HZ)
        runs = [finite_runs(trace) for trace in data]
        runs = [found[found[:, 1] - found[:, 0] >= N_SHORTEST] for found in runs]
        blocked = near_edges([runs[row] for row in rows if row >= 0], data.shape[1], N_GUARD)
        model = _model(bundled_weights(self.weights), self._device)
        for piece in annotate_trace(model, data, rows, runs, first, self._placement()):
            piece.curves[:, blocked[piece.first : piece.first + piece.curves.shape[1]]] = 0
            yield piece


@lru_cache(maxsize=4)
def _model(weights: WeightFile, device: str) -> ContinuousModel:
    """Build the network of some weights once a process."""
    from seisflow.picking.inference.continuous import ContinuousModel
    from seisflow.picking.inference.sliding import Sliding
    from seisflow.picking.networks.bundled import BundledNetwork

    network = BundledNetwork.of(weights).for_inference().to(device)
    sliding = Sliding(N_STATISTICS, N_STATISTICS // 2)
    return ContinuousModel(network, (1, 2), sliding, N_REACH, N_CHUNK, 1)


def bundled_weights(name_or_path: str) -> WeightFile:
    """Return weights of the bundled network; the same file is read once a process.

    Raises
    ------
    WeightsError
        If they are not found, damaged, or of another network.
    """
    path = Path(name_or_path).expanduser()
    if name_or_path == "bundled":
        path = Path(str(files("seisflow.picking") / "networks" / "bundled.weights"))
    return _read(path, path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=8)
def _read(path: Path, changed_ns: int) -> WeightFile:
    """Read a file of weights; when it changed, anew."""
    from seisflow.picking.networks.bundled import KIND
    from seisflow.weightfile import read_weight_file

    return read_weight_file(path, KIND)
