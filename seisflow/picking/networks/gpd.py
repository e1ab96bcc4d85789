"""GPD for inference: batch normalisations folded, channels last, and a quick look before the exact one.

The windows of GPD overlap almost entirely, but each is normalised by itself, and with its zeros at both ends
no two share a single activation: every window costs 64 million multiplications and additions.
Nearly all of them see noise. A look in integers of eight bits takes a quarter of the time of float32 on
processors that multiply them; windows whose probability of a phase may reach the trigger's lower threshold,
by a wide margin over what the integers err, are computed again in float32, and only their numbers count.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from seisflow.picking.networks.eightbit import EightBitGPD

__all__ = ["FastGPD", "ScreenedGPD"]

N_CONVS = 4


class FastGPD(nn.Module):
    """The network of a SeisBench GPD, arranged for inference; its windows come normalised.

    Parameters
    ----------
    model : seisbench.models.GPD
        Its numbers are copied.

    References
    ----------
    Ross, Z. E. et al. (2018), Bull. Seismol. Soc. Am. 108, 2894-2901, doi:10.1785/0120180080.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        model = deepcopy(model).eval()
        self.convs = nn.ModuleList(
            _flat(fuse_conv_bn_eval(getattr(model, f"conv{i}"), getattr(model, f"bn{i}")))
            for i in range(1, N_CONVS + 1)
        )
        self.first = fuse_linear_bn_eval(model.fc1, model.bn5)
        if not model.original_compatible:  # their channels come first, ours last
            weight = self.first.weight.data
            n_channels = self.convs[-1].out_channels
            by_channel = weight.reshape(len(weight), n_channels, -1)
            self.first.weight.data = by_channel.transpose(1, 2).reshape(len(weight), -1).contiguous()
        self.second = fuse_linear_bn_eval(model.fc2, model.bn6)
        self.third = model.fc3
        self.is_single = model.classes == 1
        self.n_samples = int(model.in_samples)
        self.eval().requires_grad_(False)

    def convolutions(self) -> list[nn.Conv2d]:
        """Return its convolutions."""
        return [conv for conv in self.convs if isinstance(conv, nn.Conv2d)]

    def forward(self, x: Tensor) -> Tensor:
        """Return probabilities, shape (window, class, 1), of windows (window, component, sample)."""
        x = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        for conv in self.convs:
            x = halved(conv(x)).relu_()  # the maximum of what is above zero
        x = x.permute(0, 2, 3, 1).flatten(1)
        x = self.third(self.second(self.first(x).relu_()).relu_())
        probabilities = torch.sigmoid(x) if self.is_single else torch.softmax(x, -1)
        return probabilities.unsqueeze(-1)


class ScreenedGPD(nn.Module):
    """`FastGPD` in integers of eight bits, and again in float32 where a phase may matter.

    Parameters
    ----------
    exact : FastGPD
    classes : tuple of int
        The classes that matter.
    least : tuple of float
        Probability of each of them below which no exact value is needed: those that stay below by
        `margin` in the screen are set to the screen's value.
    margin : float
        More than the log odds of the screen err.
    """

    def __init__(
        self, exact: FastGPD, classes: tuple[int, ...], least: tuple[float, ...], margin: float
    ) -> None:
        super().__init__()
        self.exact = exact
        self.screen = EightBitGPD(exact)
        self.classes = list(classes)
        self.least = torch.sigmoid(torch.logit(torch.tensor(least)) - margin)

    def forward(self, x: Tensor) -> Tensor:
        """Return probabilities, shape (window, class, 1), of windows (window, component, sample)."""
        logits, reliable = self.screen(x)
        seen = torch.softmax(logits, -1).unsqueeze(-1)
        again = ((seen[:, self.classes, 0] >= self.least).any(dim=1) | ~reliable).nonzero().squeeze(1)
        if len(again):
            seen[again] = self.exact(x[again])
        return seen


def halved(x: Tensor) -> Tensor:
    """Return the larger of each two samples; twice as fast as torch's pooling of channels-last arrays."""
    x = x.permute(0, 2, 3, 1)  # contiguous (window, 1, sample, channel)
    pairs = x.reshape(*x.shape[:2], -1, 2, x.shape[3])
    return torch.maximum(pairs[:, :, :, 0], pairs[:, :, :, 1]).permute(0, 3, 1, 2)


def _flat(conv: Any) -> nn.Conv2d:
    """Return a one-dimensional convolution as a two-dimensional one of height 1, its channels last."""
    flat = nn.Conv2d(
        conv.in_channels, conv.out_channels, (1, conv.kernel_size[0]), padding=(0, int(conv.padding[0]))
    )
    flat.weight.data = conv.weight.data.unsqueeze(2).contiguous(memory_format=torch.channels_last)
    flat.bias = nn.Parameter(conv.bias.data.clone())
    return flat
