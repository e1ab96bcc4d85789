"""Before and after: what fine-tuning brings on a region's own picks that were not learned from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from seisflow.picking.networks.bundled import BundledNetwork
from seisflow.training.earthquakes import RATE_HZ
from seisflow.training.recordings import Recordings
from seisflow.training.scores import Score, maxima, score_onsets

__all__ = ["compare", "score_recordings"]

N_APART = 50
N_BATCH = 32


def score_recordings(
    network: BundledNetwork, recordings: Recordings, threshold: float, tolerance_s: float
) -> dict[str, Score]:
    """Return the scores of P and S; picks where nobody looked do not count as false."""
    network = network.eval()
    device = next(network.parameters()).device
    known = recordings.known()
    total = {phase: Score(0, 0, 0, np.zeros(0)) for phase in "PS"}
    with torch.inference_mode():
        for first in range(0, len(recordings), N_BATCH):
            traces = torch.from_numpy(recordings.traces[first : first + N_BATCH]).to(device)
            for record, curves in enumerate(network(traces).cpu().numpy(), start=first):
                here = recordings.onsets[recordings.onsets[:, 0] == record]
                for code, phase in enumerate("PS", start=1):
                    found = maxima(curves[code], threshold, N_APART)
                    found = found[known[record, found]]
                    onsets = here[here[:, 1] == code, 2]
                    total[phase] += score_onsets(found / RATE_HZ, onsets / RATE_HZ, tolerance_s)
    return total


def compare(
    networks: dict[str, BundledNetwork], recordings: Recordings, threshold: float = 0.3
) -> pd.DataFrame:
    """Return a table of the scores of some networks at 0.1 and 0.5 s.

    Returns
    -------
    pandas.DataFrame
        Columns phase, tolerance_s, network, n_onsets, precision, recall, f1, mean_s, deviation_s.
    """
    rows = []
    for tolerance_s in (0.1, 0.5):
        for name, network in networks.items():
            for phase, score in score_recordings(network, recordings, threshold, tolerance_s).items():
                residuals = score.residuals_s if len(score.residuals_s) else np.full(1, np.nan)
                rows.append(
                    {
                        "phase": phase,
                        "tolerance_s": tolerance_s,
                        "network": name,
                        "n_onsets": score.n_true + score.n_missed,
                        "precision": round(score.precision, 3),
                        "recall": round(score.recall, 3),
                        "f1": round(score.f1, 3),
                        "mean_s": round(float(residuals.mean()), 3),
                        "deviation_s": round(float(residuals.std()), 3),
                    }
                )
    return pd.DataFrame(rows).sort_values(["phase", "tolerance_s"], kind="stable", ignore_index=True)
