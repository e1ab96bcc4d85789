"""The network of the bundled picker: a small U-Net at 25 Hz that normalises its input by itself.

The traces are high-passed and divided by their own energy around each sample, over 20 s and over 3 s, so the
network needs no windows of a given length and no scale: a day may go through it in one piece or in many.
Everything after the first convolution works at 25 Hz or below, and the last layer gives four samples at once:
PhaseNet spends most of its time on layers at 100 Hz.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from seisflow.errors import WeightsError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from seisflow.weightfile import WeightFile

__all__ = ["ALIGNMENT", "KIND", "REACH", "BundledNetwork", "count_flops"]

KIND = "bundled"
"""What files of these weights call the network."""

ALIGNMENT = 64
"""The network works on multiples of this many samples; it pads by itself."""
STEM_STRIDE = 4
FINE, COARSE = 8, 64
"""Samples in the blocks in which the mean and the energy are measured."""
N_MEAN, N_SHORT, N_LONG = 13, 5, 31
"""Blocks in a mean (1 s), in the short energy (3.2 s) and in the long energy (20 s)."""
N_FLOOR, FLOOR = 63, 1e-3
"""The smallest scale is this part of that over 40 s: nothing is made of rounding errors."""
REACH = 3584
"""No probability depends on samples farther away than this, for up to three deep blocks."""

LARGE = 8.0
"""Where amplitudes begin to be compressed, in scales."""


class BundledNetwork(nn.Module):
    """From three components to the probabilities of noise, P and S, at records of any length.

    Parameters
    ----------
    widths : tuple of int
        Channels at 25 Hz, 6.25 Hz and 1.56 Hz.
    n_deep : int
        Blocks at 1.56 Hz; each widens the view by 2.6 s on both sides.
    temperature : float
        Divides the logits: probabilities are calibrated with it.
    """

    def __init__(
        self, widths: tuple[int, int, int] = (24, 40, 80), n_deep: int = 3, temperature: float = 1.0
    ) -> None:
        super().__init__()
        high, middle, low = widths
        self.widths, self.n_deep = widths, n_deep
        self.temperature: Tensor
        self.register_buffer("temperature", torch.tensor(float(temperature)))
        self.stem: nn.Module = _convolution(6, high, 8, STEM_STRIDE)
        self.stem_norm: nn.Module = nn.BatchNorm2d(high)
        self.high_in = _Separable(high, high, 7)
        self.down_1 = _Separable(high, middle, 9, stride=4)
        self.middle_in = _Separable(middle, middle, 7)
        self.down_2 = _Separable(middle, low, 9, stride=4)
        self.deep = nn.Sequential(*[_Separable(low, low, 9) for _ in range(n_deep)])
        self.up_2 = nn.Conv2d(low, middle, 1)
        self.middle_out = _Separable(middle, middle, 7)
        self.up_1 = nn.Conv2d(middle, high, 1)
        self.high_out = _Separable(high, high, 7)
        self.head = nn.Conv2d(high, 3 * STEM_STRIDE, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return class probabilities, shape (window, class, sample), of ``(window, component, sample)``.

        Missing samples and components are zero; the scale does not matter.
        """
        return torch.softmax(self.logits(x) / self.temperature, dim=1)

    def logits(self, x: Tensor) -> Tensor:
        """Return what the softmax is taken of, at temperature 1."""
        n = x.shape[-1]
        x = normalised(F.pad(x, (0, -n % ALIGNMENT)))
        x = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        high = self.high_in(torch.relu(self.stem_norm(self.stem(x))))
        middle = self.middle_in(self.down_1(high))
        low = self.deep(self.down_2(middle))
        middle = self.middle_out(middle + _stretched(self.up_2(low)))
        high = self.high_out(high + _stretched(self.up_1(middle)))
        parts = self.head(high)
        batch, _, _, n_parts = parts.shape
        classes = parts.view(batch, 3, STEM_STRIDE, n_parts).transpose(2, 3)
        samples: Tensor = classes.reshape(batch, 3, n_parts * STEM_STRIDE)
        return samples[..., :n]

    @classmethod
    def of(cls, weights: WeightFile) -> BundledNetwork:
        """Return the network with some weights.

        Raises
        ------
        WeightsError
            If they do not fit.
        """
        parameters = dict(weights.parameters)
        try:
            network = cls(tuple(parameters.pop("widths")), int(parameters.pop("n_deep")))
            network.load_state_dict({k: torch.from_numpy(v) for k, v in weights.arrays.items()}, strict=False)
            missing = set(network.plain_state()) ^ set(weights.arrays)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise WeightsError(f"the weights do not fit the bundled network: {error}") from error
        if parameters or missing:
            raise WeightsError(
                "the weights do not fit the bundled network: missing or unknown are "
                f"{', '.join(sorted(missing | set(parameters)))}"
            )
        return network

    def plain_state(self) -> dict[str, NDArray[np.float32]]:
        """Return all numbers that inference needs, by name."""
        return {
            name: value.detach().cpu().float().numpy()
            for name, value in self.state_dict().items()
            if not name.endswith("num_batches_tracked")
        }

    def for_inference(self) -> BundledNetwork:
        """Fold the batch normalisations into the convolutions; no training afterwards."""
        self.eval()
        if isinstance(self.stem_norm, nn.BatchNorm2d):
            assert isinstance(self.stem, nn.Conv2d)
            self.stem, self.stem_norm = fuse_conv_bn_eval(self.stem, self.stem_norm), nn.Identity()
        for module in self.modules():
            if isinstance(module, _Separable):
                module.fold()
        return self.requires_grad_(False)


class _Separable(nn.Module):
    """A convolution along time, then one across channels; with a bypass where the shape allows it."""

    def __init__(self, n_in: int, n_out: int, length: int, stride: int = 1) -> None:
        super().__init__()
        self.along = _convolution(n_in, n_in, length, stride, groups=n_in)
        self.across: nn.Module = _convolution(n_in, n_out, 1)
        self.norm: nn.Module = nn.BatchNorm2d(n_out)
        self.bypass = n_in == n_out and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        """Return both convolutions of ``(window, channel, 1, sample)``, and the bypass."""
        y = torch.relu(self.norm(self.across(self.along(x))))
        return x + y if self.bypass else y

    def fold(self) -> None:
        """Put the batch normalisation into the convolution."""
        if isinstance(self.norm, nn.BatchNorm2d):
            assert isinstance(self.across, nn.Conv2d)
            self.across, self.norm = fuse_conv_bn_eval(self.across, self.norm), nn.Identity()


def _convolution(n_in: int, n_out: int, length: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """Return a convolution along time, as one of height 1: with channels last its kernels are faster."""
    padding = (0, (length - stride + 1) // 2)
    return nn.Conv2d(n_in, n_out, (1, length), (1, stride), padding, groups=groups, bias=False)


def normalised(x: Tensor) -> Tensor:
    """Return traces without what is slower than a second, by their long and by their short energy.

    Parameters
    ----------
    x : Tensor, shape (window, component, sample)
        A multiple of `ALIGNMENT` samples; missing ones are zero.

    Returns
    -------
    Tensor, shape (window, 6, sample)
        Each component by its own energy over 20 s; then each by that of all components over 3 s.
    """
    there = (x != 0).to(x.dtype)
    n_fine, n_coarse = F.avg_pool1d(there, FINE), F.avg_pool1d(there, COARSE)
    mean = _smooth(F.avg_pool1d(x, FINE), N_MEAN) / _smooth(n_fine, N_MEAN).clamp(min=1e-3)
    x = (x - F.interpolate(mean, scale_factor=FINE, mode="linear")) * there
    energy = F.avg_pool1d(x.square(), COARSE)
    floor = FLOOR**2 * _smooth(energy, N_FLOOR) / _smooth(n_coarse, N_FLOOR).clamp(min=1e-3) + 1e-30
    long = _smooth(energy, N_LONG) / _smooth(n_coarse, N_LONG).clamp(min=1e-3)
    short = _smooth(energy.sum(1, keepdim=True), N_SHORT)
    short = short / _smooth(n_coarse.sum(1, keepdim=True), N_SHORT).clamp(min=1e-3)
    scale = torch.cat([(long + floor).rsqrt(), (short + floor.amax(1, keepdim=True)).rsqrt()], dim=1)
    scale = F.interpolate(scale, scale_factor=COARSE, mode="linear")
    x = torch.cat([x * scale[:, :3], x * scale[:, 3:]], dim=1)
    return x / (1 + x.abs() / LARGE)


def _smooth(blocks: Tensor, n: int) -> Tensor:
    return F.avg_pool1d(blocks, n, 1, n // 2)


def _stretched(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=(1, 4), mode="nearest")


def count_flops(network: nn.Module, n_samples: int) -> int:
    """Return the floating-point operations of one record: two for each multiplication and addition."""
    total = 0

    def count(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        """Add what one layer does."""
        nonlocal total
        if isinstance(module, nn.Conv1d | nn.Conv2d):
            weight = module.weight
            total += 2 * weight[0].numel() * output[0].numel()
        elif isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d):
            weight = module.weight
            total += 2 * weight.numel() * output.shape[-1] // module.stride[-1]

    handles = [module.register_forward_hook(count) for module in network.modules()]
    with torch.no_grad():
        network(torch.randn(1, 3, n_samples))
    for handle in handles:
        handle.remove()
    return total
