"""STCE from its definition, slowly: one supervoxel, clip, group and voxel at a time."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from reference.tcav import mean_difference
from torch import Tensor

Array = npt.NDArray[np.float64]
Masks = npt.NDArray[np.bool_]


def shown(x: Tensor, mask: Masks, fill: Sequence[float]) -> Tensor:
    """A clip ``(C, T, H, W)`` through a mask, voxel by voxel."""
    out = x.clone()
    for c in range(x.shape[0]):
        for t, i, j in np.argwhere(~mask):
            out[c, t, i, j] = fill[c]
    return out


def feature(net: Callable[[Tensor], Tensor], x: Tensor) -> Array:
    with torch.no_grad():
        return net(x[None])[0].double().numpy().ravel()


def nearest(value: Array, centres: Array) -> int:
    """Index of the nearest centre (equation 4)."""
    distances = [sum((a - b) ** 2 for a, b in zip(value, c, strict=True)) for c in centres]
    return distances.index(min(distances))


def slopes(
    concept: Sequence[Array],
    group: Sequence[Array],
    tail: Callable[[Tensor], Tensor],
    activations: Sequence[Tensor],
    target: int,
) -> list[float]:
    """Derivatives of clips' log-probabilities along a concept's vector (equation 1).

    By central differences of the network's tail, in float64.
    """
    rows = np.stack([*concept, *group])
    v = mean_difference(rows, range(len(concept)), range(len(concept), len(rows)))
    found = []
    for a in activations:
        step = 1e-5 * torch.from_numpy(v).view_as(a)
        above, below = (tail((a + s * step)[None]).log_softmax(1)[0, target] for s in (1, -1))
        found.append(float((above - below) / 2e-5))
    return found


def union(masks: Sequence[Masks], concept: Sequence[int], chosen: Sequence[int]) -> Masks:
    """Voxels in any supervoxel of the chosen concepts (equation 5)."""
    out = np.zeros_like(masks[0])
    for mask, one in zip(masks, concept, strict=True):
        if one in chosen:
            out |= mask
    return out
