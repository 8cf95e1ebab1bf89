"""A clip's regions that no border of a supervoxel crosses, and which of them concepts show.

Supervoxels of several resolutions overlap. Over regions, a union is a few hundred bits instead of a
volume, so that orders of concepts cost nothing beside the network.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vxhelpers.data.segmentation.supervoxels import Supervoxels
from vxhelpers.errors import InputError

Rows = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Regions:
    """A clip's A regions, each inside or outside of any supervoxel.

    Parameters
    ----------
    index
        ``(T, H, W)``: the region of each voxel.
    sizes
        ``(A,)`` voxels.
    members
        ``(K, A)``: which regions make up each of the K kept supervoxels.
    """

    index: Rows
    sizes: Rows
    members: Flags

    def share(self, shown: Flags) -> npt.NDArray[np.float64]:
        """Share of the clip's voxels in sets ``(..., A)`` of regions."""
        share: npt.NDArray[np.float64] = shown @ self.sizes / self.sizes.sum()
        return share


def regions(cut: Supervoxels, *, name: str) -> Regions:
    """Cut a clip along the borders of all its resolutions.

    Raises
    ------
    InputError
        If voxels are in no kept supervoxel, with the clip's ``name``. Supervoxels that repeat a
        coarser one are dropped coarse first, so the coarsest are all kept and fill the clip.
    """
    flat = cut.labels.reshape(len(cut.labels), -1).astype(np.int64)
    code = np.zeros(flat.shape[1], np.int64)
    for volume in flat:
        code = code * (int(volume.max()) + 1) + volume
    _, place, index, sizes = np.unique(
        code, return_index=True, return_inverse=True, return_counts=True
    )
    members = np.stack([flat[level, place] == label for level, label in cut.kept])
    lost = int(sizes[~members.any(0)].sum())
    if lost:
        raise InputError(
            f"{name}: {lost} voxels are in no kept supervoxel, so that the clip cannot be put "
            "together again; keep its coarsest resolution whole"
        )
    return Regions(index.reshape(cut.labels.shape[1:]), sizes, members)


def growing(parts: Regions, concept: Rows, orders: Rows) -> Flags:
    """Regions shown by the first q concepts of each order, q from 0 to all.

    Parameters
    ----------
    parts
        A clip's regions.
    concept
        ``(K,)``: the concept of each supervoxel.
    orders
        ``(R, k)`` orders of the k concepts.

    Returns
    -------
    ndarray
        ``(R, k + 1, A)`` bool: first nothing, at last everything.
    """
    each = np.stack([parts.members[concept == one].any(0) for one in range(orders.shape[1])])
    grown = np.logical_or.accumulate(each[orders], axis=1)
    nothing = np.zeros((len(orders), 1, len(parts.sizes)), bool)
    return np.concatenate([nothing, grown], axis=1)


def matched(parts: Regions, like: Flags, rng: np.random.Generator) -> Flags:
    """Show random supervoxels, of whatever concept, until as much is seen as in ``like``.

    Supervoxels come in one random order; at each step those are added that bring the visible
    share nearer to the one wanted.

    Parameters
    ----------
    parts
        A clip's regions.
    like
        ``(Q, A)`` bool: a growing set of regions.

    Returns
    -------
    ndarray
        ``(Q, A)`` bool, growing too; empty and full where ``like`` is.
    """
    order, now, size = rng.permutation(len(parts.members)), np.zeros(len(parts.sizes), bool), 0
    found = []
    for wanted in like @ parts.sizes:
        for row in order:
            if size >= wanted:
                break
            more = int((parts.members[row] & ~now) @ parts.sizes)
            if more and abs(size + more - wanted) < wanted - size:
                now, size = now | parts.members[row], size + more
        found.append(now)
    return np.stack(found)
