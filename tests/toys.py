"""Networks small enough to be solved by hand, and a clip with a moving blob."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from vxhelpers.models import zoo

LABELS = ("left", "right", "still")


def toy_model(
    net: nn.Module,
    layers: Sequence[tuple[str, str] | zoo.Layer],
    labels: tuple[str, ...] = LABELS,
    *,
    name: str = "toy",
) -> zoo.Model:
    """Wrap any network as a model of the zoo, with the given (name, layout) probe layers."""
    declared = tuple(
        layer if isinstance(layer, zoo.Layer) else zoo.Layer(*layer)  # type: ignore[arg-type]
        for layer in layers
    )
    entry = replace(
        zoo.ENTRIES["stage_c3d"], name=name, layers=declared, top_layer=declared[-1].name
    )
    return zoo.Model(entry=entry, net=net.eval(), labels=labels, weights="toy", digest="0" * 64)


class Linear3d(nn.Module):
    """1x1x1 convolution without bias, mean over the volume, linear head: every value by hand.

    With one input channel of ones, ``conv`` = (2, -1) and ``head`` rows (1, 0), (0, 1), (3, 4), the
    activations are (2x, -x) and the logits (2m, -m, 2m), m the mean of x.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(1, 2, 1, bias=False)
        self.act = nn.Identity()
        self.pool = nn.AdaptiveAvgPool3d(1)
        self.flat = nn.Flatten()
        self.head = nn.Linear(2, 3, bias=False)
        with torch.no_grad():
            self.conv.weight.copy_(torch.tensor([2.0, -1.0]).view(2, 1, 1, 1, 1))
            self.head.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 4.0]]))

    def forward(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.flat(self.pool(self.act(self.conv(x))))
        return self.head(pooled)


class Deep3d(nn.Module):
    """Three convolutions with in-place ReLUs after the first two, pooled into a linear head."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels, 4, 3, stride=(1, 2, 2), padding=1)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv3d(4, 6, 3, stride=2, padding=1)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv3 = nn.Conv3d(6, 5, 1)
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu2(self.conv2(self.relu1(self.conv1(x))))
        return self.tail(self.conv3(x))

    def tail(self, x: Tensor) -> Tensor:
        """What follows ``conv3``, not linear in it."""
        pooled: Tensor = torch.tanh(x).mean((2, 3, 4))
        return self.head(pooled)


def clips(*shape: int, seed: int = 1) -> Tensor:
    """Noise of a shape, ``(N, C, T, H, W)``."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def moving_blob(frames: int = 8, size: int = 8) -> Tensor:
    """``(1, 1, T, H, W)``: one bright pixel that moves right along the middle row."""
    x = torch.zeros(1, 1, frames, size, size)
    for t in range(frames):
        x[0, 0, t, size // 2, t % size] = 1.0
    return x


class Cells(nn.Module):
    """Mean colour of a 4x4 grid of cells, then a linear head: every derivative by hand.

    ``flat`` is red of 16 cells, then green, then blue. The logits are mean red plus half of mean
    blue, mean green, and minus thrice mean red.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool3d((1, 4, 4))
        self.flat = nn.Flatten()
        self.head = nn.Linear(48, 3, bias=False)
        with torch.no_grad():
            rows = torch.tensor([[1.0, 0.0, 0.5], [0.0, 1.0, 0.0], [-3.0, 0.0, 0.0]]) / 16
            self.head.weight.copy_(rows.repeat_interleave(16, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.flat(self.pool(x)))


def assert_same(found: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    """Equal up to a share of the largest expected value, which must not be 0."""
    expected = expected.detach().float()
    scale = float(expected.abs().max())
    assert scale > 0
    torch.testing.assert_close(found, expected, atol=tolerance * scale, rtol=0)
