"""Clips of coloured blocks, cut into supervoxels by hand, and a small network that counts."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from toys import Deep3d, toy_model

from vxhelpers.data.clip import Clip
from vxhelpers.data.segmentation.supervoxels import Supervoxels
from vxhelpers.models.zoo import Model
from vxhelpers.stce.features import Recipe

T, SIDE = 4, 8
RECIPE = Recipe(segments=(4, 8), concepts=3, nearest=6)
LAYERS = ["net.conv3", "net.head"]


class Counting(nn.Module):
    """Deep3d that counts the inputs it is given, and may fail after some of them."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.net = Deep3d()
        self.inputs: list[Tensor] = []
        self.until = 1_000_000
        self.poison = False

    @property
    def count(self) -> int:
        return sum(len(x) for x in self.inputs)

    def forward(self, x: Tensor) -> Tensor:
        if len(self.inputs) >= self.until:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.inputs.append(x.detach().clone())
        found: Tensor = self.net(x)
        return found * float("nan") if self.poison else found


def model() -> Model:
    """Deep3d on clips of 4x8x8; the head's input is ``net.conv3``, not linear behind it."""
    toy = toy_model(
        Counting(), [("net.conv1", "NCTHW"), ("net.conv3", "NCTHW"), ("net.head", "NC")]
    )
    entry = replace(
        toy.entry, frames=T, stride=1, resize=SIDE, crop=SIDE, mean=(0.5,) * 3, std=(0.25,) * 3
    )
    return replace(toy, entry=replace(entry, top_layer="net.conv3"))


def clips(count: int, seed: int) -> list[Clip]:
    """Clips of noise about one colour for each of 4x2 blocks."""
    rng = np.random.default_rng(seed)
    found = []
    for k in range(count):
        colours = rng.integers(30, 220, (1, 4, 2, 3)).repeat(2, 1).repeat(4, 2)
        noise = rng.integers(-20, 20, (T, SIDE, SIDE, 3))
        found.append(Clip((colours + noise).astype(np.uint8), 8.0, f"video{seed}-{k}.mp4"))
    return found


def by_hand() -> Supervoxels:
    """Quadrants, then eight pieces in space and time, of which one repeats a quadrant's half."""
    t, y, x = np.mgrid[:T, :SIDE, :SIDE]
    coarse = 2 * (y // 4) + x // 4
    fine = 4 * (t // 2) + (y // 2 + x // 4) % 4
    labels = np.stack([coarse, fine]).astype(np.int16)
    return Supervoxels(labels, (*((0, i) for i in range(4)), *((1, i) for i in range(7))), (4, 8))


def segment(frames: np.ndarray, segments: Sequence[int], **options: Any) -> list[Supervoxels]:
    """Stand in for `vxhelpers.data.segmentation.supervoxels.segment`."""
    assert frames.shape[1:] == (T, SIDE, SIDE, 3) and frames.dtype == np.uint8
    return [by_hand() for _ in frames]
