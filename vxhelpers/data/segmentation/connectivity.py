"""Connectivity of label volumes: every label one region, small ones joined to a neighbour.

By tensor operations over the voxels of many clips at once, on any device.
"""

import numpy as np
import torch
from torch import Tensor


def consecutive(labels: Tensor) -> Tensor:
    """Labels of each clip ``(N, T, H, W)`` without gaps, in their order."""
    size = int(labels.max()) + 1
    codes = labels + torch.arange(len(labels), device=labels.device).reshape(-1, 1, 1, 1) * size
    used = torch.bincount(codes.flatten(), minlength=len(labels) * size) > 0
    rank = used.reshape(-1, size).cumsum(1) - 1
    return rank.flatten()[codes]


def components(labels: Tensor) -> Tensor:
    """Connected regions of equal label in each clip, voxels touching by faces.

    Parameters
    ----------
    labels
        ``(N, T, H, W)`` int64, 0 or more.

    Returns
    -------
    Tensor
        ``(N, T, H, W)`` int64, consecutive from 0 over the clips together.
    """
    if labels.device.type == "cpu":
        from skimage.measure import label

        found, offset = np.empty(labels.shape, np.int64), 0
        for place, volume in enumerate(labels.numpy()):
            named = label(volume, background=-1, connectivity=1)  # type: ignore[no-untyped-call]
            found[place] = named + (offset - 1)
            offset += int(named.max())
        return torch.from_numpy(found)
    return spread(labels)


def spread(labels: Tensor) -> Tensor:
    """`components` by tensor operations alone: the least place of a region spreads over it."""
    ids = torch.arange(labels.numel(), device=labels.device).reshape(labels.shape)
    while True:
        new = ids.clone()
        for axis in (1, 2, 3):
            size = labels.shape[axis] - 1
            a, b = new.narrow(axis, 0, size), new.narrow(axis, 1, size)
            same = labels.narrow(axis, 0, size) == labels.narrow(axis, 1, size)
            least = torch.where(same, torch.minimum(a, b), a)
            b.copy_(torch.where(same, torch.minimum(a, b), b))
            torch.minimum(a, least, out=a)
        flat = new.flatten()
        ids, before = flat[flat[flat]].reshape(ids.shape), ids
        if torch.equal(ids, before):
            found: Tensor = torch.unique(ids, return_inverse=True)[1]
            return found


def connect(labels: Tensor, smallest: float) -> Tensor:
    """Make every label one connected region, without small ones.

    Connected regions get labels of their own; those of fewer than ``smallest`` voxels join the
    region that they touch with the most faces, among those that are large enough or have joined
    one. The largest region of a clip always stays.

    Parameters
    ----------
    labels
        ``(N, T, H, W)`` int64, 0 or more.

    Returns
    -------
    Tensor
        ``(N, T, H, W)`` int64, consecutive from 0 in each clip.
    """
    regions = components(labels)
    flat = regions.flatten(1)
    sizes = torch.bincount(flat.flatten())
    number = len(sizes)
    stays = sizes >= smallest
    order = sizes[flat].argmax(1, keepdim=True)
    stays[flat.gather(1, order)] = True
    target = torch.arange(number, device=labels.device)
    if not bool(stays.all()):
        source, touched, faces = _contacts(regions, ~stays)
        settled = stays.clone()
        while len(source):
            now = settled[touched]
            pairs = source[now] * number + target[touched[now]]
            codes, inverse = torch.unique(pairs, return_inverse=True)
            total = torch.zeros_like(codes).index_add_(0, inverse, faces[now])
            own, other = codes // number, codes % number
            most = total.new_zeros(number).scatter_reduce_(0, own, total, "amax")
            best = total == most[own]
            chosen = torch.full_like(target, number).scatter_reduce_(
                0, own[best], other[best], "amin"
            )
            joins = chosen < number
            target[joins] = chosen[joins]
            settled |= joins
            left = ~settled[source]
            source, touched, faces = source[left], touched[left], faces[left]
    rank = stays.cumsum(0) - 1
    named = rank[target][flat]
    return (named - named.amin(1, keepdim=True)).reshape(labels.shape)


def _contacts(regions: Tensor, small: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Small regions, the regions that they touch, and by how many faces."""
    found = []
    for axis in (1, 2, 3):
        size = regions.shape[axis] - 1
        a, b = regions.narrow(axis, 0, size), regions.narrow(axis, 1, size)
        edge = a != b
        a, b = a[edge], b[edge]
        found += [torch.stack([a, b])[:, small[a]], torch.stack([b, a])[:, small[b]]]
    pairs = torch.cat(found, 1)
    codes, faces = torch.unique(pairs[0] * len(small) + pairs[1], return_counts=True)
    return codes // len(small), codes % len(small), faces
