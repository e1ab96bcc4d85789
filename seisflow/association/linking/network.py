"""The network of PhaseLink: stacked bidirectional GRUs, and a unit that says whether a pick is linked.

References
----------
Ross et al. (2019), doi:10.1029/2018JB016674, Table 1; Cho et al. (2014), doi:10.3115/v1/D14-1179.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from seisflow.association.linking.features import N_FEATURES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["LinkNetwork", "count_flops"]


class LinkNetwork(nn.Module):
    """From the features of the picks of a window to the probability that each is linked to the first.

    Parameters
    ----------
    n_neurons : int
        Units of a layer in each direction.
    n_layers : int
        Bidirectional layers, one on the other.
    """

    def __init__(self, n_neurons: int = 200, n_layers: int = 2) -> None:
        super().__init__()
        self.n_neurons, self.n_layers = n_neurons, n_layers
        self.layers = nn.ModuleList(
            nn.GRU(N_FEATURES if layer == 0 else 2 * n_neurons, n_neurons, bidirectional=True)
            for layer in range(n_layers)
        )
        self.dense = nn.Linear(2 * n_neurons, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return probabilities, shape (pick, window), of features ``(pick, window, feature)``."""
        return torch.sigmoid(self.logits(features))

    def logits(self, features: Tensor, half: bool = False) -> Tensor:
        """Return what the sigmoid is taken of.

        With `half`, all layers but the first, which needs the times in full, count in bfloat16.
        """
        states = self.layers[0](features)[0]
        with torch.autocast(features.device.type, torch.bfloat16, enabled=half):
            for layer in self.layers[1:]:
                states = layer(states)[0]
        logits: Tensor = self.dense(states.float()).squeeze(-1)
        return logits

    def plain_state(self) -> dict[str, NDArray[np.float32]]:
        """Return the weights by name."""
        return {name: value.detach().cpu().numpy() for name, value in self.state_dict().items()}


def count_flops(n_neurons: int, n_layers: int) -> int:
    """Return the floating-point operations of the matrix products for one pick of a window."""
    n_in = [N_FEATURES] + [2 * n_neurons] * (n_layers - 1)
    return sum(2 * 2 * 3 * n_neurons * (n + n_neurons) for n in n_in) + 4 * n_neurons
