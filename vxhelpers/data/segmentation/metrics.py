"""How well supervoxels keep to the outlines of objects."""

import numpy as np
from scipy.ndimage import maximum_filter

from vxhelpers.data.segmentation.slic import slic as slic
from vxhelpers.data.segmentation.supervoxels import Mask, Volume, _joint
from vxhelpers.errors import InputError


def boundary_recall(labels: Volume, truth: Volume, *, tolerance: int = 1) -> float:
    """Share of true boundary voxels with a boundary of segments near by, higher is better.

    Within each frame, as in Stutz et al., "Superpixels: an evaluation of the state-of-the-art"
    (CVIU 2018), section 5: a voxel is on a boundary if a neighbour in its row or column has another
    value.

    Parameters
    ----------
    labels, truth
        ``(T, H, W)`` whole numbers or bool: segments, and true objects or their masks.
    tolerance
        Pixels along rows and columns within which a boundary counts as found, at least 0.

    Returns
    -------
    float
        0 to 1.

    Raises
    ------
    InputError
        If shapes or types do not fit, or the truth has no boundary.
    """
    _check_pair(labels, truth)
    if tolerance < 0:
        raise InputError(f"tolerance must be 0 or more pixels, not {tolerance}")
    true = _boundary(truth)
    if not true.any():
        raise InputError("the truth has no boundary to be found: it is one region in every frame")
    side = 2 * tolerance + 1
    near = maximum_filter(_boundary(labels), size=(1, side, side))
    return float(near[true].mean())


def undersegmentation_error(labels: Volume, truth: Volume) -> float:
    r"""Share of voxels by which segments leak over true objects, lower is better.

    :math:`\frac1V \sum_{S, G} \min(|S \cap G|, |S \setminus G|)` over segments S and true regions G
    of a clip of V voxels: Neubert & Protzel, "Superpixel benchmark and comparison" (2012), in three
    dimensions. It counts a leak once from either side, and so can reach 2 times the voxels that no
    choice of segments would get right.

    Parameters
    ----------
    labels, truth
        ``(T, H, W)`` whole numbers or bool: segments, and true objects or their masks.

    Returns
    -------
    float
        0 where every segment lies in one true region.

    Raises
    ------
    InputError
        If shapes or types do not fit.
    """
    _check_pair(labels, truth)
    named = [np.unique(volume, return_inverse=True)[1] for volume in (labels, truth)]
    both = _joint(named[0], named[1])
    leak = np.minimum(both, both.sum(1, keepdims=True) - both)
    return float(leak.sum() / labels.size)


def _check_pair(labels: Volume, truth: Volume) -> None:
    whole = all(np.issubdtype(v.dtype, np.integer) or v.dtype == np.bool_ for v in (labels, truth))
    if not whole or labels.ndim != 3 or labels.shape != truth.shape or labels.size == 0:
        raise InputError(
            "labels and truth must be whole numbers or bool of one shape (T, H, W), not "
            f"{labels.dtype} of {labels.shape} and {truth.dtype} of {truth.shape}"
        )


def _boundary(volume: Volume) -> Mask:
    """Voxels with another value beside or above or below them, in their frame."""
    found = np.zeros(volume.shape, np.bool_)
    for axis in (1, 2):
        size = volume.shape[axis]
        first, second = (np.arange(size - 1), np.arange(1, size))
        differs = np.take(volume, first, axis) != np.take(volume, second, axis)
        pad = [(0, 0)] * 3
        pad[axis] = (0, 1)
        found |= np.pad(differs, pad)
        pad[axis] = (1, 0)
        found |= np.pad(differs, pad)
    return found
