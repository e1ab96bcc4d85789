"""The bundled picker: a small neural network whose weights come with the package."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from seisflow.errors import WaveformError
from seisflow.picking.base import Picker

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

    from seisflow.picking.networks.bundled import BundledNetwork
    from seisflow.picking.weightfile import WeightFile

__all__ = ["Bundled", "bundled_weights", "component_rows"]

RATE_HZ = 100.0
N_WINDOW, N_HOP = 8192, 6144
"""Samples in a window, and between two; the network normalises by itself, so their length hardly matters."""
N_GUARD = 50
"""No picks so near to a gap's edge, samples."""
N_SHORTEST = 300
"""Shorter runs of samples between gaps are ignored."""
PROBABILITY_DECIMALS = 4
COMPONENTS = "ENZ"
CLASSES = "NPS"

Probability = Annotated[float, Field(gt=0, lt=1)]


class Bundled(Picker):
    """A small network trained on simulated earthquakes; nothing to download.

    It was trained by ``seisflow train picker`` on simulated waveforms, for local earthquakes on one to three
    components. Its probabilities are calibrated on simulated records: of picks with 0.7 about 70 % are right
    there. Onsets lie on samples. Its architecture needs a quarter of PhaseNet's operations.
    """

    name: ClassVar[str] = "bundled"
    neutral: ClassVar[frozenset[str]] = frozenset({"batch_size", "device", "threads"})

    weights: str = "bundled"
    """``bundled``, or the path of a file that ``seisflow train picker`` wrote."""

    p_threshold: Probability = 0.5
    """Smallest probability of a P pick."""

    s_threshold: Probability = 0.5
    """Smallest probability of an S pick."""

    separation_s: Annotated[float, Field(ge=0.1, le=5.0)] = 0.5
    """Two picks of one phase are at least so far apart, in seconds; the likelier one stays."""

    amplitude_window_s: Annotated[float, Field(gt=0, le=30.0)] = 3.0
    """Seconds after the onset in which the amplitude is measured."""

    batch_size: Annotated[int, Field(ge=1)] = 16
    """Windows of 82 s in one call of the network."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the network runs; auto takes a GPU where there is one."""

    threads: Annotated[int, Field(ge=1)] | None = None
    """CPU threads of the network; None leaves torch's own setting."""

    @property
    def resources(self) -> dict[str, float]:
        """A GPU, where one is asked for by name; auto takes what the worker has."""
        return {"GPU": 1.0} if self.device == "cuda" else {}

    def identity(self) -> dict[str, Any]:
        """Return what decides the result; weights are named by their content, not by where they lie."""
        identity = super().identity()
        identity["parameters"]["weights"] = bundled_weights(self.weights).digest
        return identity

    @property
    def margin_s(self) -> float:
        """A window, the shortest run of samples, the separation of picks and the amplitude window, s."""
        return (N_WINDOW + N_SHORTEST) / RATE_HZ + self.separation_s + self.amplitude_window_s

    @property
    def sampling_rate_hz(self) -> float:
        """The rate the network was trained at."""
        return RATE_HZ

    def pick(self, waveforms: xr.Dataset) -> pd.DataFrame:
        """Return picks: columns phase, time, probability, amplitude, polarity.

        Raises
        ------
        WaveformError
            If the sampling rate is not 100 Hz.
        WeightsError
            If the weights are not found, damaged or foreign.
        """
        import numpy as np
        import pandas as pd

        from seisflow.picking.amplitudes import peak_amplitudes
        from seisflow.picking.engine import peaks

        rate_hz = float(waveforms.attrs["sampling_rate_hz"])
        if abs(rate_hz - RATE_HZ) > 1e-3 * RATE_HZ:
            raise WaveformError(
                f"bundled needs {RATE_HZ:g} Hz, found {rate_hz:g} Hz at "
                f"{waveforms.coords['station'].item()}; let the waveforms be resampled"
            )
        curves = self.probabilities(waveforms)
        n_apart = round(self.separation_s * rate_hz)
        thresholds = {"P": self.p_threshold, "S": self.s_threshold}
        found = {phase: peaks(curves[phase], threshold, n_apart) for phase, threshold in thresholds.items()}
        onsets = np.concatenate(list(found.values()))
        probability = np.concatenate([curves[phase][samples] for phase, samples in found.items()])
        traces = waveforms["waveform"].to_numpy()
        return pd.DataFrame(
            {
                "phase": np.repeat(list(found), [len(samples) for samples in found.values()]),
                "time": pd.to_datetime(waveforms["time"].to_numpy()[onsets], utc=True),
                "probability": probability.round(PROBABILITY_DECIMALS),
                "amplitude": peak_amplitudes(traces, onsets, rate_hz, self.amplitude_window_s),
                "polarity": "",
            }
        )

    def probabilities(self, waveforms: xr.Dataset) -> dict[str, NDArray[np.float32]]:
        """Return the probability of P and S at every sample; zero in gaps and 0.5 s from their edges."""
        import numpy as np

        from seisflow.picking.engine import Sliding, annotate, sample_number
        from seisflow.picking.segments import near_edges, without_short_runs

        times = waveforms["time"].to_numpy()
        if not len(times):
            return {phase: np.zeros(0, np.float32) for phase in "PS"}
        data = waveforms["waveform"].to_numpy()
        traces = np.full((len(COMPONENTS), len(times)), np.nan, np.float32)
        for channel, row in component_rows(waveforms).items():
            traces[channel] = without_short_runs(data[row], N_SHORTEST)
        sliding = Sliding(n_window=N_WINDOW, n_hop=N_HOP, n_classes=len(CLASSES), batch_size=self.batch_size)
        first = sample_number(times[0], RATE_HZ)
        network = _network(bundled_weights(self.weights))
        classes = annotate(network, traces, first, sliding, device=self.device, threads=self.threads)
        classes[:, near_edges(traces, N_GUARD)] = 0
        return {phase: classes[CLASSES.index(phase)] for phase in "PS"}


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
    from seisflow.picking.weightfile import read_weight_file

    return read_weight_file(path, KIND)


@lru_cache(maxsize=4)
def _network(weights: WeightFile) -> BundledNetwork:
    """Build the network of some weights once a process."""
    from seisflow.picking.networks.bundled import BundledNetwork

    return BundledNetwork.of(weights).for_inference()


def component_rows(waveforms: xr.Dataset) -> dict[int, int]:
    """Return the row of each component of the network that a dataset has; 1 and 2 count as N and E."""
    names = {"1": "N", "2": "E"}
    letters = [str(letter) for letter in waveforms["component"].to_numpy()]
    rows = {names.get(letter, letter): row for row, letter in enumerate(letters)}
    return {channel: rows[letter] for channel, letter in enumerate(COMPONENTS) if letter in rows}
