"""The network of PhaseNet: a one-dimensional U-Net from three components to three probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from seisflow.errors import WeightsError

__all__ = ["PhaseNetNetwork"]

DEPTH = 5
ROOT = 8
KERNEL = 7
STRIDE = 4
EPSILON = 1e-3


class PhaseNetNetwork(nn.Module):
    """U-Net of Zhu & Beroza (2019) for windows of any length.

    Strided convolutions pad as TensorFlow's ``SAME`` does, so that 3,000-sample windows see what the
    network was trained on; with them its onsets are unbiased. Layer names are those of SeisBench's
    state dicts, so their weight files load as they are.

    Parameters
    ----------
    in_channels : int
        Number of components.
    classes : int
        Number of output classes (noise, P, S).
    filter_factor : int
        Factor on the number of filters of every layer.

    References
    ----------
    Zhu, W. & Beroza, G. C. (2019), Geophys. J. Int. 216, 261-273, doi:10.1093/gji/ggy423, Fig. 4.
    """

    def __init__(self, in_channels: int = 3, classes: int = 3, filter_factor: int = 1) -> None:
        super().__init__()
        widths = [filter_factor * ROOT * 2**level for level in range(DEPTH)]
        self.is_flat = False
        self.inc: nn.Module = nn.Conv1d(in_channels, widths[0], KERNEL, padding="same")
        self.in_bn: nn.Module = _norm(widths[0])
        self.down_branch = nn.ModuleList(
            _down_level(before, width, last=level == DEPTH - 1)
            for level, (before, width) in enumerate(zip([widths[0], *widths], widths, strict=False))
        )
        self.up_branch = nn.ModuleList(
            _up_level(below, width) for below, width in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.out: nn.Module = nn.Conv1d(widths[0], classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return class probabilities, shape (window, class, sample), of ``(window, component, sample)``."""
        if self.is_flat:
            x = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        x = torch.relu(self.in_bn(self.inc(x)))
        skips = []
        for level in self.down_branch:
            same, same_bn, *down = level.children()
            x = torch.relu(same_bn(same(x)))
            if down:
                skips.append(x)
                x = torch.relu(down[1](down[0](_pad_same(x))))
        for level, skip in zip(self.up_branch, reversed(skips), strict=True):
            up, up_bn, same, same_bn = level.children()
            x = _crop(torch.relu(up_bn(up(x)))[..., 1:-2], skip.shape[-1])
            x = torch.relu(same_bn(same(torch.cat([skip, x], dim=1))))
        probabilities = torch.softmax(self.out(x), dim=1)
        return probabilities.squeeze(2) if self.is_flat else probabilities

    def load_seisbench(self, state: Mapping[str, Any]) -> None:
        """Take the weights of a SeisBench state dict.

        Raises
        ------
        WeightsError
            If layers are missing, unknown or of another shape.
        """
        try:
            self.load_state_dict({name: torch.as_tensor(value) for name, value in state.items()})
        except (RuntimeError, TypeError, AttributeError) as error:
            raise WeightsError(f"the weights do not fit the PhaseNet network: {error}") from error

    def for_inference(self) -> PhaseNetNetwork:
        """Turn the network into its fast form: same numbers within 1e-6, no training afterwards.

        Batch normalisations are folded into the convolutions, and these become two-dimensional ones
        (of height 1) whose channels lie last in memory, for which the kernels are faster.
        """
        self.eval()
        self.inc, self.in_bn = _fused(self.inc, self.in_bn), nn.Identity()
        for level in [*self.down_branch, *self.up_branch]:
            assert isinstance(level, nn.ModuleList)
            for i in range(0, len(level), 2):
                level[i], level[i + 1] = _fused(level[i], level[i + 1]), nn.Identity()
        self.out = _flat(self.out)
        self.is_flat = True
        return self.requires_grad_(False)


def _norm(width: int) -> nn.BatchNorm1d:
    return nn.BatchNorm1d(width, eps=EPSILON)


def _down_level(before: int, width: int, *, last: bool) -> nn.ModuleList:
    level = [nn.Conv1d(before, width, KERNEL, padding="same", bias=False), _norm(width)]
    if not last:
        level += [nn.Conv1d(width, width, KERNEL, STRIDE, bias=False), _norm(width)]
    return nn.ModuleList(level)


def _up_level(below: int, width: int) -> nn.ModuleList:
    return nn.ModuleList(
        [
            nn.ConvTranspose1d(below, width, KERNEL, STRIDE, bias=False),
            _norm(width),
            nn.Conv1d(2 * width, width, KERNEL, padding="same", bias=False),
            _norm(width),
        ]
    )


def _pad_same(x: Tensor) -> Tensor:
    """Pad for a strided convolution as TensorFlow's ``SAME``: the odd zero goes to the end."""
    n = x.shape[-1]
    zeros = max((-(-n // STRIDE) - 1) * STRIDE + KERNEL - n, 0)
    return F.pad(x, (zeros // 2, zeros - zeros // 2))


def _crop(x: Tensor, n: int) -> Tensor:
    """Keep the middle `n` samples."""
    first = (x.shape[-1] - n) // 2
    return x[..., first : first + n]


def _fused(convolution: nn.Module, norm: nn.Module) -> nn.Module:
    """Return a flat convolution that does what `convolution` and then `norm` do."""
    assert isinstance(norm, nn.BatchNorm1d)
    assert isinstance(convolution, nn.Conv1d | nn.ConvTranspose1d)
    transpose = isinstance(convolution, nn.ConvTranspose1d)
    return _flat(fuse_conv_bn_eval(convolution, norm, transpose))


def _flat(convolution: nn.Module) -> nn.Module:
    """Return a one-dimensional convolution as a two-dimensional one of height 1."""
    assert isinstance(convolution, nn.Conv1d | nn.ConvTranspose1d)
    assert convolution.bias is not None
    kind = nn.ConvTranspose2d if isinstance(convolution, nn.ConvTranspose1d) else nn.Conv2d
    length = convolution.kernel_size[0]
    flat: nn.Conv2d | nn.ConvTranspose2d = kind(
        convolution.in_channels,
        convolution.out_channels,
        (1, length),
        stride=(1, convolution.stride[0]),
        padding=(0, length // 2 if convolution.padding == "same" else 0),
    )
    assert flat.bias is not None
    flat.weight.data = convolution.weight.data.unsqueeze(2).contiguous(memory_format=torch.channels_last)
    flat.bias.data = convolution.bias.data
    return flat
