"""What all pickers with a neural network have in common: weights, thresholds, where they run, their picks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from seisflow.errors import WaveformError
from seisflow.picking.base import Picker

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

    from seisflow.picking.inference.engine import Placement
    from seisflow.picking.inference.stacking import Piece
    from seisflow.picking.inference.triggers import Onsets, PeakFinder, Trigger
    from seisflow.picking.weights import Weights

__all__ = ["NetworkPicker", "Probability", "rows_of"]

PROBABILITY_DECIMALS = 5
"""Further decimals depend on the batch size and the number of threads."""
BATCH_SIZE_ON_GPU = 1024

Probability = Annotated[float, Field(gt=0, lt=1)]


class NetworkPicker(Picker):
    """Base of the pickers that run a network over waveforms."""

    neutral: ClassVar[frozenset[str]] = frozenset({"batch_size", "device", "threads"})
    curve: ClassVar[str] = "probability"
    cpu_batch_size: ClassVar[int] = 64

    weights: str = "original"
    """SeisBench name, or path of a file in its format: original.pt.v1 with original.json.v1 beside it."""

    p_threshold: Probability | None = None
    """Smallest probability of a P pick; by default that of the weights, to which its meaning belongs."""

    s_threshold: Probability | None = None
    """Smallest probability of an S pick; by default that of the weights, to which its meaning belongs."""

    batch_size: Annotated[int, Field(ge=1)] | None = None
    """Windows in one call of the network; by default what fits the caches of a CPU, and 1,024 on a GPU."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the network runs; auto takes a GPU where there is one."""

    threads: Annotated[int, Field(ge=1)] | None = None
    """CPU threads of the picker; by default torch's setting, or OMP_NUM_THREADS, or all processors."""

    @property
    def resources(self) -> dict[str, float]:
        """A GPU, where one is asked for by name; auto takes what the worker has."""
        return {"GPU": 1.0} if self.device == "cuda" else {}

    def identity(self) -> dict[str, Any]:
        """Return what decides the result; weights are named by their content, not by where they lie."""
        identity = super().identity()
        identity["parameters"]["weights"] = self._weights().digest
        identity["parameters"] |= {f"{k.lower()}_threshold": v for k, v in self.thresholds().items()}
        return identity

    @property
    def sampling_rate_hz(self) -> float:
        """The rate the weights were trained at."""
        return float(self._weights().model_args.get("sampling_rate") or 100.0)

    def thresholds(self) -> dict[str, float]:
        """Return the threshold of each phase: that given, or else that of the weights, or of the network."""
        default_args = self._weights().default_args
        given = {"P": self.p_threshold, "S": self.s_threshold}
        return {
            phase: value or float(default_args.get(f"{phase}_threshold", self._default_threshold))
            for phase, value in given.items()
        }

    def pick(self, waveforms: xr.Dataset) -> pd.DataFrame:
        """Return picks: columns phase, time, probability, trigger_start, trigger_end.

        Raises
        ------
        WaveformError
            If the sampling rate is not that of the weights.
        WeightsError
            If the weights are not found or do not fit.
        """
        import numpy as np
        import pandas as pd

        from seisflow.picking.inference.triggers import Onsets

        by_phase = self.onsets(waveforms)
        found = Onsets.joined(list(by_phase.values()))
        times = waveforms["time"].to_numpy()
        return pd.DataFrame(
            {
                "phase": np.repeat(list(by_phase), [len(onsets.peak) for onsets in by_phase.values()]),
                "time": pd.to_datetime(times[found.peak], utc=True),
                "probability": found.probability.round(PROBABILITY_DECIMALS),
                "trigger_start": pd.to_datetime(times[found.start], utc=True),
                "trigger_end": pd.to_datetime(times[found.end], utc=True),
            }
        )

    def onsets(self, waveforms: xr.Dataset) -> dict[str, Onsets]:
        """Return the picks of P and S as samples: start of the trigger, peak, end, and probability.

        Raises
        ------
        WaveformError
            If the sampling rate is not that of the weights.
        """
        from seisflow.picking.inference.triggers import Onsets

        finders = [self._finder(threshold) for threshold in self.thresholds().values()]
        found: list[list[Onsets]] = [[] for _ in finders]
        for piece in self.curves(waveforms):
            for finder, curve, parts in zip(finders, piece.curves, found, strict=True):
                parts.append(finder.feed(curve, piece))
        return {phase: Onsets.joined(parts) for phase, parts in zip("PS", found, strict=True)}

    def probabilities(self, waveforms: xr.Dataset) -> dict[str, NDArray[np.float32]]:
        """Return the probability of P and S at every sample; zero where the network says nothing.

        Networks with one value every few samples have zeros between.
        """
        import numpy as np

        curves = np.zeros((2, waveforms.sizes["time"]), np.float32)
        for piece in self.curves(waveforms):
            stop = piece.first + piece.step * piece.curves.shape[1]
            curves[:, piece.first : stop : piece.step] = piece.curves
        return dict(zip("PS", curves, strict=True))

    def curves(self, waveforms: xr.Dataset) -> Iterator[Piece]:
        """Yield the probabilities of P and S, piece by piece; a batch is all that is in memory.

        Raises
        ------
        WaveformError
            If the sampling rate is not that of the weights.
        """
        self._check_rate(waveforms)
        if waveforms.sizes["time"]:
            yield from self._pieces(waveforms)

    def _check_rate(self, waveforms: xr.Dataset) -> None:
        rate_hz = float(waveforms.attrs["sampling_rate_hz"])
        if abs(rate_hz - self.sampling_rate_hz) > 1e-3 * self.sampling_rate_hz:
            raise WaveformError(
                f"{self.name} needs {self.sampling_rate_hz:g} Hz, found {rate_hz:g} Hz at "
                f"{waveforms.coords['station'].item()}; let the waveforms be resampled"
            )

    @property
    def _default_threshold(self) -> float:
        return 0.3

    @abstractmethod
    def _weights(self) -> Weights:
        """Return the weights, read once a process."""

    @abstractmethod
    def _pieces(self, waveforms: xr.Dataset) -> Iterator[Piece]:
        """Yield the curves of P and S."""

    @abstractmethod
    def _finder(self, threshold: float) -> Trigger | PeakFinder:
        """Return what finds the picks of one phase."""

    @property
    def _device(self) -> str:
        """Where the network runs on this machine."""
        from seisflow.picking.inference.forward import device_of

        return device_of(self.device)

    def _placement(self) -> Placement:
        from seisflow.picking.inference.engine import Placement

        usual = self.cpu_batch_size if self._device == "cpu" else BATCH_SIZE_ON_GPU
        return Placement(self._device, self.batch_size or usual, self.threads)


def rows_of(waveforms: xr.Dataset, order: str) -> NDArray[np.int64]:
    """Return the row of each component that a network wants, -1 where it is absent; 1 is N, and 2 is E."""
    import numpy as np

    same = {"1": "N", "2": "E"}
    letters = [same.get(str(letter), str(letter)) for letter in waveforms["component"].to_numpy()]
    wanted = [same.get(letter, letter) for letter in order]
    return np.array([letters.index(letter) if letter in letters else -1 for letter in wanted], np.int64)
