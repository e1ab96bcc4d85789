"""GPD in integers of eight bits: a quick and rough look at windows, for processors that multiply them.

The first convolution is computed in float32, so that what is small beside the largest sample of a window
keeps its digits. Activations are integers from 0 to 255, and each channel has its own unit: the largest value
that the network gives to windows of many kinds that are made for this, and always the same.
"""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from seisflow.picking.networks.gpd import FastGPD

__all__ = ["EightBitGPD", "can_multiply_eight_bits", "windows_of_many_kinds"]

LARGEST = 255
LARGEST_WEIGHT = 127
HEADROOM = 3.0
"""How much larger activations may be than those of the windows that are made, before they are clipped."""
N_MADE = 384


class EightBitGPD(nn.Module):
    """A `FastGPD` of which all but the first convolution and the last two layers are in eight bits.

    Parameters
    ----------
    exact : FastGPD
        Its numbers are rounded.
    """

    def __init__(self, exact: FastGPD) -> None:
        super().__init__()
        convs = exact.convolutions()
        units = _units(convs, exact.n_samples)
        first = deepcopy(convs[0])
        first.weight.data /= units[0][:, None, None, None]
        assert first.bias is not None
        first.bias.data = first.bias.data / units[0] + 0.5  # what follows cuts decimals off
        self.first = first
        self.convs = [
            _EightBit(conv.weight * before[:, None, None] / unit[:, None, None, None], _bias(conv) / unit)
            for conv, before, unit in zip(convs[1:], units[:-1], units[1:], strict=True)
        ]
        n_places = exact.first.in_features // len(units[-1])
        self.dense = _EightBit(exact.first.weight * units[-1].repeat(n_places), _bias(exact.first))
        self.second, self.third = exact.second, exact.third
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits, shape (window, class), of windows (window, component, sample).

        And whether they can be relied upon, shape (window,): in the others something was clipped, and
        the logits may be far off.
        """
        from seisflow.picking.networks.gpd import halved

        x = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        x = halved(self.first(x)).clamp_(0, LARGEST).to(torch.uint8)
        largest = [_largest(x)]
        for conv in self.convs:
            x = halved(conv(x))
            largest.append(_largest(x))
        x = x.permute(0, 2, 3, 1).flatten(1)
        x = self.second(self.dense(x)).relu_()
        return self.third(x), torch.stack(largest).amax(0) < LARGEST


class _EightBit:
    """A convolution of height 1, or a dense layer, and what is above zero of it.

    Parameters
    ----------
    weight : Tensor, shape (out, in, 1, tap) or (out, in)
        In units of the integers that come in, and of those that go out.
    bias : Tensor, shape (out,)
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        weight = weight.detach()
        self._unit = weight.abs().flatten(1).amax(1).clamp(min=1e-20) / LARGEST_WEIGHT
        rounded = (weight / self._unit.reshape(-1, *[1] * (weight.ndim - 1))).round().to(torch.int8)
        self._zero = torch.zeros(len(weight), dtype=torch.int64)
        self._bias = bias.detach()
        self._geometry: tuple[Any, ...] | None = None
        if weight.ndim == 4:
            self._geometry = [1, 1], [0, weight.shape[3] // 2], [1, 1], 1
            self._packed = torch.ops.onednn.qconv_prepack(rounded, self._unit, 1.0, 0, *self._geometry)
        else:
            self._packed = torch.ops.onednn.qlinear_prepack(rounded, None)

    def __call__(self, x: Tensor) -> Tensor:
        """Return integers after a convolution, float32 after a dense layer."""
        given = x, 1.0, 0, self._packed, self._unit, self._zero, self._bias
        if self._geometry is None:
            result = torch.ops.onednn.qlinear_pointwise(*given, 1.0, 0, torch.float32, "relu", [], "")
        else:
            result = torch.ops.onednn.qconv_pointwise(
                *given, *self._geometry, 1.0, 0, torch.uint8, "relu", [], ""
            )
        return torch.as_tensor(result)


def _largest(x: Tensor) -> Tensor:
    """Return the largest number of each window."""
    return x.permute(0, 2, 3, 1).flatten(1).amax(1)


def _bias(layer: nn.Conv2d | nn.Linear) -> Tensor:
    assert layer.bias is not None
    return layer.bias


def _units(convs: list[nn.Conv2d], n_samples: int) -> list[Tensor]:
    """Return for each convolution what 1 means in each channel of its output."""
    from seisflow.picking.networks.gpd import halved

    x = windows_of_many_kinds(convs[0].in_channels, n_samples)
    x = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
    units = []
    with torch.no_grad():
        for conv in convs:
            x = halved(conv(x)).relu_()
            largest = x.amax((0, 2, 3))
            units.append((HEADROOM * largest).clamp(min=1e-6 * float(largest.max()) + 1e-20) / LARGEST)
    return units


def windows_of_many_kinds(n_channels: int, n_samples: int) -> Tensor:
    """Return the same windows at every call: noise of many colours, waves that begin, spikes, steps.

    Parameters
    ----------
    n_channels, n_samples : int

    Returns
    -------
    windows : Tensor of float32, shape (window, channel, sample)
        Without mean, the largest sample of all channels 1.
    """
    chance = torch.Generator().manual_seed(0)
    uniform = partial(_uniform, chance)
    clock = (torch.arange(n_samples) - uniform(-0.3, 1.0, N_MADE, 2, 1) * n_samples).clamp(min=0)
    rise, decay = uniform(0.5, 20.0, N_MADE, 2, 1), 10 ** uniform(0.5, 2.5, N_MADE, 2, 1)
    envelopes = (1 - torch.exp(-clock / rise)) * torch.exp(-clock / decay)
    shares = 10 ** uniform(-1.0, 1.0, N_MADE, 2, n_channels, 1)
    strengths = 10 ** uniform(-1.0, 1.5, N_MADE, 2, 1, 1)
    windows = _coloured(chance, n_channels, n_samples, 4.0)
    for which in range(2):
        waves = _coloured(chance, n_channels, n_samples, 3.0)
        windows += waves * envelopes[:, which, None] * shares[:, which] * strengths[:, which]
    every = torch.arange(0, N_MADE, 6)
    places = torch.randint(n_samples, (len(every),), generator=chance)
    windows[every, every % n_channels, places] += 20 * strengths[every, 0, 0, 0]
    steps = torch.arange(3, N_MADE, 6)
    later = torch.arange(n_samples) > uniform(0, n_samples, len(steps), 1)
    windows[steps, steps % n_channels] += 3 * strengths[steps, 0, 0] * later
    windows -= windows.mean(-1, keepdim=True)
    windows /= windows.abs().amax((1, 2), keepdim=True)
    return windows


def _uniform(chance: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=chance)


def _coloured(chance: torch.Generator, n_channels: int, n_samples: int, steepest: float) -> Tensor:
    """Return noise around a frequency, sharper or broader in each window; its largest sample 1."""
    white = torch.randn((N_MADE, n_channels, n_samples), generator=chance)
    frequency = torch.fft.rfftfreq(n_samples).clamp(min=1 / n_samples)
    centre = _uniform(chance, 0.005, 0.3, N_MADE, 1, 1)
    power = _uniform(chance, 0.5, steepest, N_MADE, 1, 1)
    gain = 1 / (1 + (frequency / centre - centre / frequency).abs() ** power)
    noise: Tensor = torch.fft.irfft(torch.fft.rfft(white) * gain, n_samples)
    noise /= noise.abs().amax((1, 2), keepdim=True)
    return noise


def can_multiply_eight_bits() -> bool:
    """Whether this processor multiplies integers of eight bits at once, and exactly."""
    supported = getattr(torch.cpu, "_is_vnni_supported", lambda: False)
    return bool(supported()) and hasattr(torch.ops.onednn, "qconv_pointwise")
