"""EQTransformer for inference: the same numbers as SeisBench's within 1e-6, in about half the time.

Most of its time goes into decoders that repeat every sample and then convolve. A convolution of repeated
samples is two convolutions of the samples themselves, one for each copy, with taps that meet the same
sample added up: the doubled record never exists. With the channels last in memory their outputs lie
interleaved as they should.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

__all__ = ["FastEQTransformer"]


class FastEQTransformer(nn.Module):
    """The network of a SeisBench EQTransformer, arranged for inference.

    Parameters
    ----------
    model : seisbench.models.EQTransformer
        Its recurrent and attention parts are shared, its convolutions are copied.

    References
    ----------
    Mousavi, S. M. et al. (2020), Nat. Commun. 11, 3952, doi:10.1038/s41467-020-17591-w.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(_flat(conv) for conv in model.encoder.convs)
        self.paddings = list(model.encoder.paddings)
        self.residual = nn.ModuleList(_Residual(member) for member in model.res_cnn_stack.members)
        self.recurrent = model.bi_lstm_stack
        self.transformers = nn.ModuleList([model.transformer_d0, model.transformer_d])
        self.lstms, self.attentions = model.pick_lstms, model.pick_attentions
        decoders = [model.decoder_d, *model.pick_decoders]
        heads = [model.conv_d, *model.pick_convs]
        self.decoders = nn.ModuleList(
            _Decoder(decoder, head) for decoder, head in zip(decoders, heads, strict=True)
        )
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Return detection and phases, shape (window, class, sample), of (window, component, sample)."""
        x = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        for conv, padding in zip(self.encoder, self.paddings, strict=True):
            x = conv(x)
            if padding:
                x = F.pad(x, (0, padding), "constant", -1e10)
            x = F.max_pool2d(x, (1, 2)).relu_()  # the maximum of what is above zero
        for member in self.residual:
            x = member(x)
        x = self.recurrent(x.squeeze(2))
        for transformer in self.transformers:
            x, _ = transformer(x)
        branches = [x]
        for lstm, attention in zip(self.lstms, self.attentions, strict=True):
            onward = lstm(x.permute(2, 0, 1))[0].permute(1, 2, 0)
            branches.append(attention(onward)[0])
        outputs = [decoder(branch) for decoder, branch in zip(self.decoders, branches, strict=True)]
        return torch.cat(outputs, dim=1)


class _Residual(nn.Module):
    """A residual block; its second normalisation is folded into its first convolution."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        scale = block.norm1.weight / torch.sqrt(block.norm1.running_var + block.norm1.eps)
        self.scale = nn.Parameter(scale.reshape(1, -1, 1, 1))
        self.shift = nn.Parameter((block.norm1.bias - block.norm1.running_mean * scale).reshape(1, -1, 1, 1))
        self.first = _flat(fuse_conv_bn_eval(block.conv1.eval(), block.norm2.eval()))
        self.second = _flat(block.conv2)
        self.padding = 1 if block.manual_padding else 0

    def forward(self, x: Tensor) -> Tensor:
        y = torch.addcmul(self.shift, x, self.scale).relu_()
        y = self.first(F.pad(y, (0, self.padding)) if self.padding else y).relu_()
        y = self.second(F.pad(y, (0, self.padding)) if self.padding else y)
        return torch.add(x, y)


class _Decoder(nn.Module):
    """Convolutions of repeated samples, and the one that makes a probability of them."""

    def __init__(self, decoder: Any, head: nn.Conv1d) -> None:
        super().__init__()
        last = len(decoder.convs) - 1
        crops: dict[int, tuple[int, int]] = dict.fromkeys(decoder.crops, (0, 1))
        if decoder.original_compatible:
            crops = {3: (1, 1)}
        self.crops = [crops.get(i, (0, 0)) for i in range(last + 1)]
        self.convs = nn.ModuleList(
            _flat(conv) if any(crop) else _doubling(conv)
            for conv, crop in zip(decoder.convs, self.crops, strict=True)
        )
        self.head = _flat(head)

    def forward(self, x: Tensor) -> Tensor:
        x = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        for conv, (before, after) in zip(self.convs, self.crops, strict=True):
            if before or after:
                x = x.repeat_interleave(2, dim=3)[..., before : x.shape[3] * 2 - after]
                x = conv(x.contiguous(memory_format=torch.channels_last)).relu_()
            else:
                x = _interleaved(conv(x).relu_())
        return torch.sigmoid(self.head(x)).squeeze(2)


def _interleaved(x: Tensor) -> Tensor:
    """Return (window, 2 channels, 1, sample) as (window, channel, 1, 2 samples), without a copy."""
    n, channels, _, samples = x.shape
    x = x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)
    return x.reshape(n, 1, 2 * samples, channels // 2).permute(0, 3, 1, 2)


def _doubling(conv: nn.Conv1d) -> nn.Conv2d:
    """Return the convolution whose interleaved outputs are those of `conv` on samples repeated twice."""
    length = conv.kernel_size[0]
    n_pad = length // 2
    first = -n_pad // 2
    n_taps = (length - n_pad) // 2 - first + 1
    weight = torch.zeros(2, conv.out_channels, conv.in_channels, n_taps)
    for copy in range(2):
        for tap in range(length):
            weight[copy, :, :, (copy + tap - n_pad) // 2 - first] += conv.weight.data[:, :, tap]
    assert conv.bias is not None
    doubled = nn.Conv1d(conv.in_channels, 2 * conv.out_channels, n_taps, padding=-first)
    doubled.weight.data, bias = weight.flatten(0, 1), conv.bias.data.repeat(2)
    return _flat(doubled, bias)


def _flat(conv: nn.Module, bias: Tensor | None = None) -> nn.Conv2d:
    """Return a one-dimensional convolution as a two-dimensional one of height 1, its channels last."""
    assert isinstance(conv, nn.Conv1d)
    flat = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        (1, conv.kernel_size[0]),
        padding=(0, int(conv.padding[0])),
        bias=True,
    )
    flat.weight.data = conv.weight.data.unsqueeze(2).contiguous(memory_format=torch.channels_last)
    assert flat.bias is not None
    given = conv.bias.data if conv.bias is not None else torch.zeros(conv.out_channels)
    flat.bias.data = given.clone() if bias is None else bias
    return flat
