"""PhaseNet: a neural network that marks P and S onsets in three-component waveforms."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from seisflow.errors import WaveformError, WeightsError
from seisflow.picking.base import Picker

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

    from seisflow.picking.networks.phasenet import PhaseNetNetwork
    from seisflow.picking.weights import Weights

__all__ = ["PhaseNet"]

N_WINDOW = 3000
"""Samples in a window: with TensorFlow's padding the length for which onsets are unbiased."""
N_GUARD = 50
"""No picks so near to a gap's edge, samples."""
N_SHORTEST = 300
"""Shorter runs of samples between gaps are ignored."""
PROBABILITY_DECIMALS = 4
"""Further decimals depend on the batch size and the number of threads."""

Probability = Annotated[float, Field(gt=0, lt=1)]


class PhaseNet(Picker):
    """PhaseNet (Zhu & Beroza 2019) on continuous waveforms.

    Windows of 3,000 samples, each component of each window with zero mean and unit standard deviation,
    are put through the network in batches; overlapping windows are averaged with triangular weights;
    picks are the maxima of the P and S probabilities. Onsets lie on samples.

    References
    ----------
    Zhu, W. & Beroza, G. C. (2019), Geophys. J. Int. 216, 261-273, doi:10.1093/gji/ggy423.
    """

    name: ClassVar[str] = "phasenet"
    neutral: ClassVar[frozenset[str]] = frozenset({"batch_size", "device", "threads"})

    weights: str = "original"
    """SeisBench name, or path of a file in its format: original.pt.v1 with original.json.v1 beside it."""

    p_threshold: Probability = 0.3
    """Smallest probability of a P pick; its meaning belongs to the weights."""

    s_threshold: Probability = 0.3
    """Smallest probability of an S pick."""

    overlap: Annotated[float, Field(ge=0.0, le=0.9)] = 0.5
    """Part of a window that the next one shares."""

    separation_s: Annotated[float, Field(ge=0.1, le=5.0)] = 0.5
    """Two picks of one phase are at least so far apart, in seconds; the likelier one stays."""

    amplitude_window_s: Annotated[float, Field(gt=0, le=30.0)] = 3.0
    """Seconds after the onset in which the amplitude is measured."""

    batch_size: Annotated[int, Field(ge=1)] = 64
    """Windows in one call of the network."""

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
        identity["parameters"]["weights"] = self._weights().digest
        return identity

    @property
    def margin_s(self) -> float:
        """A window, the shortest run of samples, the separation of picks and the amplitude window, s."""
        n_reach = N_WINDOW + N_SHORTEST
        return n_reach / self.sampling_rate_hz + self.separation_s + self.amplitude_window_s

    @property
    def sampling_rate_hz(self) -> float:
        """The rate the weights were trained at."""
        return float(self._weights().model_args.get("sampling_rate", 100.0))

    def pick(self, waveforms: xr.Dataset) -> pd.DataFrame:
        """Return picks: columns phase, time, probability, amplitude, polarity.

        Raises
        ------
        WaveformError
            If the sampling rate is not that of the weights.
        WeightsError
            If the weights are not found or do not fit.
        """
        import numpy as np
        import pandas as pd

        from seisflow.picking.amplitudes import peak_amplitudes
        from seisflow.picking.engine import peaks

        rate_hz = float(waveforms.attrs["sampling_rate_hz"])
        if abs(rate_hz - self.sampling_rate_hz) > 1e-3 * self.sampling_rate_hz:
            raise WaveformError(
                f"phasenet needs {self.sampling_rate_hz:g} Hz, found {rate_hz:g} Hz at "
                f"{waveforms.coords['station'].item()}; let the waveforms be resampled"
            )
        thresholds = {"P": self.p_threshold, "S": self.s_threshold}
        curves = self.probabilities(waveforms)
        n_apart = round(self.separation_s * rate_hz)
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
        from seisflow.picking.segments import near_edges

        weights = self._weights()
        times = waveforms["time"].to_numpy()
        if not len(times):
            return {phase: np.zeros(0, np.float32) for phase in "PS"}
        traces = _ordered(waveforms, str(weights.model_args.get("component_order", "ENZ")))
        sliding = Sliding(
            n_window=N_WINDOW,
            n_hop=max(round(N_WINDOW * (1 - self.overlap)), 1),
            n_classes=int(weights.model_args.get("classes", 3)),
            norm=str(weights.model_args.get("norm", "std")),
            detrend=bool(weights.model_args.get("norm_detrend", False)),
            batch_size=self.batch_size,
        )
        first = sample_number(times[0], self.sampling_rate_hz)
        classes = annotate(
            _network(weights), traces, first, sliding, device=self.device, threads=self.threads
        )
        classes[:, near_edges(traces, N_GUARD)] = 0
        labels = str(weights.model_args.get("phases", "NPS"))
        return {phase: classes[labels.index(phase)] for phase in "PS"}

    def _weights(self) -> Weights:
        from seisflow.picking.weights import read_weights

        return read_weights(self.weights)


@lru_cache(maxsize=4)
def _network(weights: Weights) -> PhaseNetNetwork:
    """Build the network of some weights once a process."""
    from seisflow.picking.networks.phasenet import PhaseNetNetwork

    arguments = weights.model_args
    if arguments.get("norm", "std") not in ("std", "peak") or not {"P", "S"} <= set(
        arguments.get("phases", "NPS")
    ):
        raise WeightsError(
            f"weights with norm {arguments.get('norm')!r} and phases {arguments.get('phases')!r} are not "
            "supported; allowed are norm 'std' or 'peak', and phases that hold P and S"
        )
    network = PhaseNetNetwork(
        in_channels=int(arguments.get("in_channels", 3)),
        classes=int(arguments.get("classes", 3)),
        filter_factor=int(arguments.get("filter_factor", 1)),
    )
    network.load_seisbench(weights.state)
    return network.for_inference()


def _ordered(waveforms: xr.Dataset, order: str) -> NDArray[np.float32]:
    """Return the traces in the order of the network, shape (component, sample); absent ones are NaN."""
    import numpy as np

    from seisflow.picking.segments import without_short_runs

    letters = [str(letter) for letter in waveforms["component"].to_numpy()]
    names = {"1": "N", "2": "E"}
    rows = {names.get(letter, letter): row for row, letter in enumerate(letters)}
    data = waveforms["waveform"].to_numpy()
    traces = np.full((len(order), data.shape[1]), np.nan, np.float32)
    for i, letter in enumerate(order):
        if letter in rows:
            traces[i] = without_short_runs(data[rows[letter]], N_SHORTEST)
    return traces
