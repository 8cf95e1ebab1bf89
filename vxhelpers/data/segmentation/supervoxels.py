"""Supervoxels: a clip in pieces of several sizes without the repeated ones; how well they fit.

Segments are label volumes, two bytes a voxel and resolution, and nothing else is kept: masks are
made where they are used. STCE ("Spatial-temporal concept based explanation of 3D ConvNets", CVPR
2023, section 3.1) takes three resolutions and drops what repeats; its Jaccard index is taken here
over voxels, in time as in place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt
import torch

from vxhelpers.data.clip import Frames
from vxhelpers.data.segmentation.connectivity import connect
from vxhelpers.data.segmentation.slic import (
    COMPACTNESS,
    FRAGMENT,
    ITERATIONS,
    SIGMA,
    Grid,
    Labels,
    Sigma,
    check_options,
    checked,
    seed_grid,
)
from vxhelpers.data.segmentation.slic import slic as slic
from vxhelpers.errors import InputError

Backend = Literal["torch", "skimage"]
Mask = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]
Volume = npt.NDArray[Any]  # of whole numbers or truth values
One = np.ndarray[tuple[int, int, int, int], np.dtype[np.uint8]]  # a clip
Many = np.ndarray[tuple[int, int, int, int, int], np.dtype[np.uint8]]  # clips

STANDARD = (15, 50, 80)
SMALL = (15, 30, 60)


@dataclass(frozen=True, eq=False)
class Supervoxels:
    """The supervoxels of one clip.

    Parameters
    ----------
    labels
        ``(S, T, H, W)`` int16: at each of S resolutions the label of every voxel, consecutive from
        0; each label is one connected region.
    kept
        (resolution, label) of the supervoxels that repeat no coarser one, coarse first.
    segments
        How many were asked for at each resolution.
    """

    labels: Labels
    kept: tuple[tuple[int, int], ...]
    segments: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.kept)

    def mask(self, i: int) -> Mask:
        """Where supervoxel ``i`` is: ``(T, H, W)`` bool."""
        resolution, label = self.kept[i]
        found: Mask = self.labels[resolution] == label
        return found

    def masks(self) -> Mask:
        """Where each of the K is: ``(K, T, H, W)`` bool."""
        found = np.empty((len(self), *self.labels.shape[1:]), np.bool_)
        for i, (resolution, label) in enumerate(self.kept):
            np.equal(self.labels[resolution], label, out=found[i])
        return found

    def sizes(self) -> Counts:
        """``(K,)`` voxels of each."""
        counts = [np.bincount(volume.ravel()) for volume in self.labels]
        return np.array([counts[scale][label] for scale, label in self.kept], np.int64)


@overload
def segment(
    frames: Many,
    segments: Sequence[int] = ...,
    *,
    threshold: float = ...,
    backend: Backend = ...,
    steps: int | None = ...,
    compactness: float = ...,
    sigma: Sigma = ...,
    iterations: int = ...,
    device: str | torch.device = ...,
) -> list[Supervoxels]:
    """Of several clips."""


@overload
def segment(
    frames: One,
    segments: Sequence[int] = ...,
    *,
    threshold: float = ...,
    backend: Backend = ...,
    steps: int | None = ...,
    compactness: float = ...,
    sigma: Sigma = ...,
    iterations: int = ...,
    device: str | torch.device = ...,
) -> Supervoxels:
    """Of one clip."""


def segment(
    frames: Frames,
    segments: Sequence[int] = STANDARD,
    *,
    threshold: float = 0.5,
    backend: Backend = "torch",
    steps: int | None = None,
    compactness: float = COMPACTNESS,
    sigma: Sigma = SIGMA,
    iterations: int = ITERATIONS,
    device: str | torch.device = "cpu",
) -> list[Supervoxels] | Supervoxels:
    """Cut clips into supervoxels at several resolutions, without those that repeat.

    Parameters
    ----------
    frames
        ``(N, T, H, W, 3)`` or ``(T, H, W, 3)`` uint8: what the network sees, from
        `vxhelpers.data.sampling.view`.
    segments
        How many at each resolution, ascending: coarse first.
    threshold
        See :func:`deduplicate`.
    backend
        ``"torch"``, `vxhelpers.data.segmentation.slic.slic`, or ``"skimage"``, scikit-image's on
        one core: the same distances, but it makes its own seed grid. Where ``steps`` asks for other
        layers in time than its own, each of its frames is repeated until it makes them, which takes
        as many times as long.
    steps, compactness, sigma, iterations, device
        As in `vxhelpers.data.segmentation.slic.slic`; scikit-image has no device.

    Returns
    -------
    list of Supervoxels, or Supervoxels
        One for each clip, in order; by itself for a single clip.

    Raises
    ------
    InputError
        If frames or options are out of range, as in `vxhelpers.data.segmentation.slic.slic`, or
        segments do not ascend.
    """
    requested = tuple(segments)
    if any(first >= second for first, second in pairwise(requested)):
        raise InputError(f"segments must ascend, coarse resolutions first; not {requested}")
    _check_threshold(threshold)
    clips = checked(frames)
    if backend == "torch":
        labels = slic(
            clips,
            requested,
            steps=steps,
            compactness=compactness,
            sigma=sigma,
            iterations=iterations,
            device=device,
        )
    elif backend == "skimage":
        widths = check_options(requested, compactness, sigma, iterations)
        options = {"compactness": compactness, "max_num_iter": iterations}
        found = [[_skimage(clip, n, steps, widths, options) for n in requested] for clip in clips]
        labels = np.array(found, np.int16)
    else:
        raise InputError(f"backend must be 'torch' or 'skimage', not {backend!r}")
    cut = [Supervoxels(volumes, deduplicate(volumes, threshold), requested) for volumes in labels]
    return cut if frames.ndim == 5 else cut[0]


def _skimage(
    clip: Frames, number: int, steps: int | None, sigma: Sequence[float], options: dict[str, Any]
) -> Labels:
    """scikit-image's SLIC of one clip, ``(T, H, W)``, each label one region."""
    from skimage.segmentation import slic as reference

    length, height, width = clip.shape[:3]
    shape = (length, height, width)
    layers = seed_grid(shape, number, steps)[0]  # checks both numbers too
    repeat, requested, cells = 1, number, None
    if steps is not None:
        repeat, requested, cells = _grid_of_skimage(shape, number, layers)
    found = reference(
        clip.repeat(repeat, axis=0),
        n_segments=requested,
        sigma=(sigma[0] * repeat, *sigma[1:]),
        spacing=None if cells is None else [max(cells) / cell for cell in cells],
        start_label=0,
        **options,
    )
    volume = torch.from_numpy(found[::repeat].astype(np.int64))[None]
    joined = connect(volume, FRAGMENT * volume.numel() / number)[0]
    return joined.numpy().astype(np.int16)


def _grid_of_skimage(shape: Grid, number: int, steps: int) -> tuple[int, int, Grid]:
    """How often to repeat frames and what to ask for to get layers, and the cells' sides."""
    from skimage.util import regular_grid

    length, height, width = shape
    best, found = np.log(2.01), None  # a square number of cells may be so far off
    for repeat in range(1, 33):
        size = (length * repeat, height, width)
        for requested in range(max(1, number // 2), 2 * number + 1):
            axes = regular_grid(size, requested)  # type: ignore[no-untyped-call]
            layers, *plane = [len(range(n)[axis]) for n, axis in zip(size, axes, strict=True)]
            gap = abs(np.log(layers * float(np.prod(plane)) / number))
            if layers == steps and gap < best:
                t, y, x = (axis.step or 1 for axis in axes)
                best, found = gap, (repeat, requested, (t, y, x))
        if found and best < np.log(1.25):
            break
    if found:
        return found
    raise InputError(
        f"scikit-image makes no seed grid of {steps} layers for about {number} segments of a clip "
        f"of {length}x{height}x{width} voxels; use backend='torch', or other steps or segments"
    )


def deduplicate(labels: Labels, threshold: float = 0.5) -> tuple[tuple[int, int], ...]:
    """Leave out supervoxels that repeat a coarser one.

    Parameters
    ----------
    labels
        ``(S, T, H, W)`` whole numbers of 0 or more, coarse resolutions first.
    threshold
        A supervoxel goes if its Jaccard index, the share of voxels of either that are in both, with
        any supervoxel kept of a coarser resolution is above this; 0 to 1. At 1 all are kept.

    Returns
    -------
    tuple
        (resolution, label) of those kept, in this order. Exact: from the joint histograms of labels
        at each two resolutions. Labels without a voxel are left out.

    Raises
    ------
    InputError
        If labels have another shape, type or sign, or the threshold is out of range.
    """
    _check_threshold(threshold)
    if labels.ndim != 4 or not np.issubdtype(labels.dtype, np.integer) or labels.size == 0:
        raise InputError(
            f"labels must be whole numbers of shape (S, T, H, W), not {labels.dtype} of shape "
            f"{labels.shape}"
        )
    if labels.min() < 0:
        raise InputError(f"labels must be 0 or more, not {labels.min()}")
    stay: list[Mask] = []
    for scale, fine in enumerate(labels):
        sizes = np.bincount(fine.ravel())
        kept = sizes > 0
        for coarse, before in zip(labels[:scale], stay, strict=True):
            both = _joint(coarse, fine)
            either = both.sum(1, keepdims=True) + sizes - both
            kept &= ~(both > threshold * either)[before].any(0)
        stay.append(kept)
    return tuple((scale, int(i)) for scale, kept in enumerate(stay) for i in np.flatnonzero(kept))


def _check_threshold(threshold: float) -> None:
    if not 0 <= threshold <= 1:
        raise InputError(f"threshold, a Jaccard index, must be 0 to 1, not {threshold}")


def _joint(first: Volume, second: Volume) -> Counts:
    """Voxels of each pair of values: ``(A, B)`` for values from 0 below A and B."""
    rows, columns = int(first.max()) + 1, int(second.max()) + 1
    codes = first.ravel().astype(np.int64) * columns + second.ravel()
    return np.bincount(codes, minlength=rows * columns).reshape(rows, columns)


# ---- how well segments fit ----------------------------------------------------------------------
