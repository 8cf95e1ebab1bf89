"""Network-independent baselines: maps that never see the network, to hold methods against."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vxhelpers.models.zoo import Model


def random_map(model: Model, x: Tensor, *, target: Tensor, rng: np.random.Generator) -> Tensor:
    """Noise: knows neither clip nor network."""
    return torch.from_numpy(rng.standard_normal((len(x), *x.shape[2:])))


def frame_average(model: Model, x: Tensor, *, target: Tensor, rng: np.random.Generator) -> Tensor:
    """How far a pixel is from the mean colour, mean over the frames: knows the clip alone."""
    return x.abs().sum(1).mean(1, keepdim=True).expand(-1, x.shape[2], -1, -1)


def edge_filter(model: Model, x: Tensor, *, target: Tensor, rng: np.random.Generator) -> Tensor:
    """Length of the brightness's gradient in space: knows the clip alone."""
    grey = F.pad(x.mean(1), (1, 1, 1, 1), mode="replicate")
    down = grey[..., 2:, 1:-1] - grey[..., :-2, 1:-1]
    across = grey[..., 1:-1, 2:] - grey[..., 1:-1, :-2]
    return torch.hypot(down, across)


def movement_filter(model: Model, x: Tensor, *, target: Tensor, rng: np.random.Generator) -> Tensor:
    """How much a pixel changes from frame to frame: knows the clip alone."""
    change = x.diff(dim=2).abs().sum(1)
    return torch.cat([change[:, :1], change], dim=1)


def centre_blob(model: Model, x: Tensor, *, target: Tensor, rng: np.random.Generator) -> Tensor:
    """A Gaussian in the middle of all frames: knows neither clip nor network."""
    rows, columns = (torch.linspace(-2, 2, n, device=x.device) for n in x.shape[3:])
    blob = torch.exp(-(rows[:, None] ** 2) - columns**2)
    return blob.expand(len(x), x.shape[2], -1, -1)
