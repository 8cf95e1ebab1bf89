"""I3D: Inception-v1 inflated to video (Carreira and Zisserman 2017, figure 3), or narrow."""

from collections import OrderedDict
from math import ceil

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vxhelpers.models.nets.initial import he

Triple = tuple[int, int, int]

# Channels of the four branches: 1x1x1; 1x1x1 then 3x3x3, twice; pooling then 1x1x1.
MIXED: dict[str, tuple[int, int, int, int, int, int]] = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}


def _pad_same(x: Tensor, kernel: Triple, stride: Triple) -> Tensor:
    """Zero padding as TensorFlow's "SAME", which the published weights were trained with."""
    pads: list[int] = []
    for size, k, s in reversed(list(zip(x.shape[2:], kernel, stride, strict=True))):
        total = max((ceil(size / s) - 1) * s + k - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads) if any(pads) else x


class Unit3D(nn.Module):
    """Convolution with "SAME" padding, batch normalisation and ReLU."""

    def __init__(
        self, channels: int, out: int, kernel: Triple = (1, 1, 1), stride: Triple = (1, 1, 1)
    ) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.conv3d = nn.Conv3d(channels, out, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(out, eps=0.001, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv3d(_pad_same(x, self.kernel, self.stride))))


class MaxPool(nn.Module):
    """Max-pooling with "SAME" padding; its input is never negative, so zeros never win."""

    def __init__(self, kernel: Triple, stride: Triple) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool3d(_pad_same(x, self.kernel, self.stride), self.kernel, self.stride)


class Mixed(nn.Module):
    """An inflated Inception module: four branches, joined along the channels."""

    def __init__(self, channels: int, branches: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        one, reduce_a, three_a, reduce_b, three_b, pooled = branches
        self.b0 = Unit3D(channels, one)
        self.b1a = Unit3D(channels, reduce_a)
        self.b1b = Unit3D(reduce_a, three_a, (3, 3, 3))
        self.b2a = Unit3D(channels, reduce_b)
        self.b2b = Unit3D(reduce_b, three_b, (3, 3, 3))
        self.b3a = MaxPool((3, 3, 3), (1, 1, 1))
        self.b3b = Unit3D(channels, pooled)

    def forward(self, x: Tensor) -> Tensor:
        branches = (self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x)))
        return torch.cat(branches, dim=1)


class Average(nn.Sequential):
    """Average over windows of the given kernel at stride 1, then over all windows; or over all."""

    def __init__(self, kernel: Triple | None) -> None:
        windows = [nn.AvgPool3d(kernel, stride=1)] if kernel else []
        super().__init__(*windows, nn.AdaptiveAvgPool3d(1))


def i3d(
    classes: int,
    *,
    width: float = 1.0,
    stem_stride: Triple = (2, 2, 2),
    pool4_stride: Triple = (2, 2, 2),
    pool5_stride: Triple = (2, 2, 2),
    average: Triple | None = (2, 7, 7),
    dropout: float = 0.5,
) -> nn.Sequential:
    """Inflated Inception-v1; children carry the names of the published checkpoints.

    Parameters
    ----------
    classes
        Number of outputs.
    width
        Multiplies every number of channels (1: 64 after the stem, 1,024 at the top).
    stem_stride, pool4_stride, pool5_stride
        Strides in (T, H, W) of the stem, and of the pooling before ``Mixed_4b`` and ``Mixed_5b``;
        smaller than the paper's they keep a usable grid on small inputs.
    average
        Kernel of the final average pooling, the paper's for 224x224 inputs; None averages over
        everything.
    dropout
        Share of the pooled features dropped in training.
    """

    def scaled(channels: int) -> int:
        return max(2, round(channels * width))

    stem, third = scaled(64), scaled(192)
    steps: OrderedDict[str, nn.Module] = OrderedDict(
        Conv3d_1a_7x7=Unit3D(3, stem, (7, 7, 7), stem_stride),
        MaxPool3d_2a_3x3=MaxPool((1, 3, 3), (1, 2, 2)),
        Conv3d_2b_1x1=Unit3D(stem, stem),
        Conv3d_2c_3x3=Unit3D(stem, third, (3, 3, 3)),
        MaxPool3d_3a_3x3=MaxPool((1, 3, 3), (1, 2, 2)),
    )
    channels = third
    for name, branches in MIXED.items():
        if name == "Mixed_4b":
            steps["MaxPool3d_4a_3x3"] = MaxPool((3, 3, 3), pool4_stride)
        if name == "Mixed_5b":
            steps["MaxPool3d_5a_2x2"] = MaxPool((2, 2, 2), pool5_stride)
        a, b, c, d, e, f = map(scaled, branches)
        steps[name] = Mixed(channels, (a, b, c, d, e, f))
        channels = a + c + e + f
    steps["avg_pool"] = Average(average)
    steps["dropout"] = nn.Dropout(dropout)
    steps["logits"] = nn.Sequential(OrderedDict(conv3d=nn.Conv3d(channels, classes, 1)))
    steps["flatten"] = nn.Flatten()
    return he(nn.Sequential(steps))
