"""A learnable toy: which way does the bar move? Nothing but time tells."""

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from vxhelpers.models import zoo
from vxhelpers.models.training.clip_set import ClipSet
from vxhelpers.models.training.presets import PRESETS

NAMES = ("left", "right")
QUICK = replace(PRESETS["quick"], epochs=4, batch=16, lr=1e-2, shift=1)


def bars(n: int, seed: int, *, names: tuple[str, ...] = NAMES) -> ClipSet:
    """Clips of 6 frames, 12x12, a bright bar on noise; classes take turns."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 60, (n, 6, 12, 12, 3)).astype(np.uint8)
    labels = np.arange(n) % 2
    for i in range(n):
        for t in range(6):
            x = 2 * (t if labels[i] else 5 - t)
            frames[i, t, 3:9, x : x + 2] = 255
    return ClipSet(frames, labels.astype(np.int64), names)


def tiny(n_classes: int) -> nn.Module:
    """Two convolutions with batch norm and dropout, so that all kinds of state are there."""
    return nn.Sequential(
        nn.Conv3d(3, 6, 3, padding=1),
        nn.BatchNorm3d(6),
        nn.ReLU(),
        nn.Conv3d(6, 6, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(6, n_classes),
    )


ENTRY = replace(
    zoo.ENTRIES["stage_c3d"],
    name="tiny",
    build=tiny,
    frames=6,
    resize=12,
    crop=12,
    layers=(zoo.Layer("4", "NCTHW"), zoo.Layer("6", "NC")),
    top_layer="6",
    head="8",
)


def model(*, labels: tuple[str, ...] = NAMES, seed: int = 0) -> zoo.Model:
    """The tiny net as a model of the zoo, random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = tiny(len(labels)).eval()
    return zoo.Model(ENTRY, net, labels, "random", zoo.digest(net))
