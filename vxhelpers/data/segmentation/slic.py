"""3-D SLIC on torch: a video's voxels grouped by colour and place, for batches of clips.

Achanta et al., "SLIC superpixels compared to state-of-the-art superpixel methods" (TPAMI 34(11),
2012), in CIELAB and in three dimensions. Deviations: the seed grid has a chosen number of layers in
time, and distances are in units of its cells, axis by axis, so that time and place need no common
unit; a voxel is compared with the centres of its own cell and the cells around it; seeds are their
cells' means and are not moved off edges; all but the last steps look at every fourth voxel; a
fragment goes to the region that it touches most.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vxhelpers.data.clip import Frames
from vxhelpers.data.segmentation.cielab import lab, smooth
from vxhelpers.data.segmentation.connectivity import connect, consecutive
from vxhelpers.errors import InputError

Labels = npt.NDArray[np.int16]
Grid = tuple[int, int, int]
Sigma = float | tuple[float, float, float]

COMPACTNESS, SIGMA, ITERATIONS = 6.0, 1.0, 10
LARGEST = 2**15  # labels that int16 holds
FRAGMENT = 0.1  # of a segment's mean size: what is smaller joins a neighbour

_THIN, _FEW = 4, 128  # early steps look at every 4th voxel, where that leaves a cell this many
_FULL = 2  # steps at the end that look at all voxels
_SCORES = {"cpu": 2**19, "cuda": 2**27}  # held at a time: a cache's worth, or a queue's
_VOXELS = {"cpu": 1, "cuda": 2**24}  # at least one clip at a time


def slic(
    frames: Frames,
    segments: int | Sequence[int],
    *,
    steps: int | None = None,
    compactness: float = COMPACTNESS,
    sigma: Sigma = SIGMA,
    iterations: int = ITERATIONS,
    connected: bool = True,
    device: str | torch.device = "cpu",
) -> Labels:
    """Cut clips into segments of like colour, compact in time and place.

    Parameters
    ----------
    frames
        ``(N, T, H, W, 3)`` or ``(T, H, W, 3)`` uint8.
    segments
        How many are asked for; the seed grid comes near, and connecting changes the number. Several
        numbers give several resolutions in one go.
    steps
        Layers of the seed grid in time, 1 to T; None: as many as make its cells cubes, counted in
        voxels. With one layer, segments reach through the clip.
    compactness
        CIELAB units that weigh as much as a cell's side, above 0: larger is more regular.
    sigma
        Of the Gaussian beforehand: frames and pixels, or one for t, y and x each; 0 is none.
    iterations
        Assignments of voxels to centres, at least 1. scikit-image counts the seeds' own cells as
        the first.
    connected
        Whether every label becomes one region, connected by faces; see
        :func:`vxhelpers.data.segmentation.connectivity.connect`.
    device
        Where to compute.

    Returns
    -------
    ndarray
        ``(N, T, H, W)`` int16, consecutive from 0 in each clip; without N for a single clip, and
        with the resolutions' axis in front of T for several. A clip of one colour gives the seed
        grid. The same frames give the same labels on one device, alone or in a batch.

    Raises
    ------
    InputError
        If the frames or an option are out of range, or there are more segments than voxels or
        labels, or more layers than frames or segments.
    """
    clips = checked(frames)
    requested = (segments,) if isinstance(segments, int) else tuple(segments)
    widths = check_options(requested, compactness, sigma, iterations)
    count, length, height, width = clips.shape[:4]
    shape, device = (length, height, width), torch.device(device)
    plans = [_plan(shape, seed_grid(shape, number, steps), device) for number in requested]
    labels = np.empty((count, len(requested), *shape), np.int16)
    run = max(1, _VOXELS.get(device.type, _VOXELS["cuda"]) // (length * height * width))
    for start in range(0, count, run):
        part = slice(start, start + run)
        planes = smooth(lab(torch.tensor(clips[part], device=device)), widths)
        for scale, plan in enumerate(plans):
            found = clusters(planes, plan, compactness=compactness, iterations=iterations)
            if connected:
                found = connect(found, FRAGMENT * found[0].numel() / len(plan.all.voxels))
            else:
                found = consecutive(found)
            labels[part, scale] = found.to(torch.int16).cpu().numpy()
    if isinstance(segments, int):
        labels = labels[:, 0]
    return labels if frames.ndim == 5 else labels[0]


def checked(frames: Frames) -> Frames:
    """``(N, T, H, W, 3)`` from one clip or several; InputError if it is neither."""
    clips = frames[None] if frames.ndim == 4 else frames
    if clips.ndim != 5 or clips.shape[4] != 3 or 0 in clips.shape or clips.dtype != np.uint8:
        raise InputError(
            "frames must be uint8 of shape (N, T, H, W, 3) or (T, H, W, 3), none of them 0; not "
            f"{frames.dtype} of shape {frames.shape}"
        )
    return np.ascontiguousarray(clips)


def check_options(
    asked: Sequence[int], compactness: float, sigma: Sigma, iterations: int
) -> tuple[float, ...]:
    """Sigma for t, y and x; InputError if an option is out of range."""
    widths = tuple(sigma) if isinstance(sigma, Sequence) else (sigma,) * 3
    if not asked:
        raise InputError("segments names no resolution; give at least one number")
    if len(widths) != 3 or not all(0 <= width < np.inf for width in widths):
        raise InputError(f"sigma must be 0 or more, one number or three (t, y, x); not {sigma}")
    if not 0 < compactness < np.inf or iterations < 1:
        raise InputError(
            "compactness must be above 0 and iterations at least 1, not "
            f"{compactness} and {iterations}"
        )
    return widths


def seed_grid(shape: Grid, segments: int, steps: int | None = None) -> Grid:
    """Cells of the seed grid along time, height and width.

    Parameters
    ----------
    shape
        Of the clip: T, H, W.
    segments
        Cells asked for; what comes near with cells that are square in the picture is taken.
    steps
        Layers in time; None: as many as make the cells cubes, counted in voxels.

    Raises
    ------
    InputError
        If there are more segments than voxels or labels, or more layers than frames or segments.
    """
    length, height, width = shape
    if not 1 <= segments <= min(length * height * width, LARGEST):
        raise InputError(
            f"segments must be 1 to {min(length * height * width, LARGEST)} for a clip of "
            f"{length}x{height}x{width} voxels, not {segments}"
        )
    if steps is None:
        side = (length * height * width / segments) ** (1 / 3)
        steps = min(max(1, round(length / side)), length, segments)
    if not 1 <= steps <= min(length, segments):
        raise InputError(
            f"steps, the layers in time, must be 1 to {min(length, segments)} for a clip of "
            f"{length} frames in {segments} segments, not {steps}"
        )
    best, found = np.inf, (steps, 1, 1)
    for rows in range(1, min(height, segments) + 1):
        exact = segments / steps / rows
        for columns in {int(exact), int(exact) + 1}:
            if 1 <= columns <= width:
                amount = abs(np.log(steps * rows * columns / segments))
                cost = amount + abs(np.log(height * columns / (rows * width))) / 4
                if cost < best - 1e-9:
                    best, found = cost, (steps, rows, columns)
    return found


@dataclass(frozen=True, eq=False)
class _Cells:
    """Where voxels are compared: K cells of up to P voxels, M centres each.

    Parameters
    ----------
    voxels
        ``(K, P)`` flat places of each cell's voxels; the number of voxels where a cell has fewer.
    near
        ``(K, M)`` centres that a cell's voxels are compared with.
    back
        ``(K, B)`` places in ``near``, flat, where each centre stands; K * M beyond the last.
    """

    voxels: Tensor
    near: Tensor
    back: Tensor


def _cells(shape: Grid, grid: Grid, device: torch.device, *, thin: int = 1) -> _Cells:
    axes = [np.arange(size) * count // size for size, count in zip(shape, grid, strict=True)]
    owner = np.ravel_multi_index(np.ix_(*axes), grid).ravel()
    places = np.arange(len(owner))
    if thin > 1:
        t, y, x = np.ix_(*map(np.arange, shape))
        places = places[((2 * (t + y) + x) % thin == 0).ravel()]
    order = places[np.argsort(owner[places], kind="stable")]
    counts = np.bincount(owner[order], minlength=int(np.prod(grid)))
    column = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    voxels = np.full((len(counts), counts.max()), len(owner))
    voxels[owner[order], column] = order

    around = []
    for count in grid:
        wide = min(3, count)
        around.append(np.clip(np.arange(count) - 1, 0, count - wide)[:, None] + np.arange(wide))
    t, y, x = around
    near = np.ravel_multi_index(
        (
            t[:, None, None, :, None, None],
            y[None, :, None, None, :, None],
            x[None, None, :, None, None, :],
        ),
        grid,
    ).reshape(len(counts), -1)
    seen = np.argsort(near.ravel(), kind="stable")
    times = np.bincount(near.ravel(), minlength=len(counts))
    column = np.arange(len(seen)) - np.repeat(np.cumsum(times) - times, times)
    back = np.full((len(counts), times.max()), near.size)
    back[near.ravel()[seen], column] = seen
    return _Cells(*(torch.from_numpy(table).to(device) for table in (voxels, near, back)))


@dataclass(frozen=True, eq=False)
class _Plan:
    """The seed grid, and its cells with all voxels and with those of the early steps."""

    grid: Grid
    all: _Cells
    early: _Cells


def _plan(shape: Grid, grid: Grid, device: torch.device) -> _Plan:
    cells = _cells(shape, grid, device)
    rich = cells.voxels.shape[1] >= _THIN * _FEW
    return _Plan(grid, cells, _cells(shape, grid, device, thin=_THIN) if rich else cells)


def clusters(planes: Tensor, plan: _Plan, *, compactness: float, iterations: int) -> Tensor:
    """Group the voxels of ``(N, 3, T, H, W)`` planes around K centres.

    Returns
    -------
    Tensor
        ``(N, T, H, W)`` int64: the centre of each voxel, 0 to K - 1; a centre may have none.
    """
    features = _features(planes, plan.grid, compactness)
    blocks = _blocks(features, plan.all)
    early = blocks if plan.early is plan.all else _blocks(features, plan.early)
    sums = blocks.sum(2)
    for left in range(iterations - 1, 0, -1):
        late = left < _FULL
        new = _sums(_means(sums), blocks if late else early, plan.all if late else plan.early)
        sums = torch.where(new[:, 6:] > 0, new, sums)
    found = _nearest(_means(sums), blocks, plan.all)
    labels = found.new_empty(len(planes), features.shape[2])
    labels[:, plan.all.voxels.flatten()] = found.reshape(len(planes), -1)
    return labels[:, :-1].reshape(len(planes), *planes.shape[2:])


def _features(planes: Tensor, grid: Grid, compactness: float) -> Tensor:
    """``(N, 7, V + 1)``: colour, place in cells, and 1, of every voxel and of none (all 0)."""
    shape = planes.shape[2:]
    features = planes.new_zeros(len(planes), 7, shape.numel() + 1)
    inside = features[:, :, :-1].view(len(planes), 7, *shape)
    torch.div(planes, compactness, out=inside[:, :3])
    for axis, (size, cells) in enumerate(zip(shape, grid, strict=True)):
        place = (torch.arange(size, device=planes.device) + 0.5) * (cells / size)
        inside[:, 3 + axis] = place.reshape([-1 if axis == other else 1 for other in range(3)])
    inside[:, 6] = 1
    return features


def _blocks(features: Tensor, tables: _Cells) -> Tensor:
    """``(N * K, 7, P)`` features of each cell's voxels."""
    taken = features[:, :, tables.voxels.flatten()].reshape(len(features), 7, *tables.voxels.shape)
    return taken.transpose(1, 2).reshape(-1, 7, tables.voxels.shape[1])


def _means(sums: Tensor) -> Tensor:
    """``(N * K, 7)`` centres as weights: the largest product with a voxel is the least distance."""
    means = sums[:, :6] / sums[:, 6:]
    return torch.cat([means, -means.square().sum(1, keepdim=True) / 2], 1)


def _candidates(means: Tensor, tables: _Cells) -> Tensor:
    """``(N * K, M, 7)`` the centres that each cell's voxels are compared with."""
    return means.reshape(-1, len(tables.near), 7)[:, tables.near].flatten(0, 1)


def _parts(blocks: Tensor, tables: _Cells) -> Iterator[slice]:
    """Runs of cells whose scores are few enough to hold."""
    size = _SCORES.get(blocks.device.type, _SCORES["cuda"])
    run = max(1, size // (tables.near.shape[1] * blocks.shape[2]))
    return (slice(start, start + run) for start in range(0, len(blocks), run))


def _sums(means: Tensor, blocks: Tensor, tables: _Cells) -> Tensor:
    """``(N * K, 7)`` features summed over the voxels that are nearest to each centre.

    By products with 0 and 1 in a fixed order, so that a GPU too gives the same twice. A voxel at
    the same distance from two centres counts for both.
    """
    weights = _candidates(means, tables)
    gathered = blocks.new_zeros(len(blocks) // len(tables.near), tables.near.numel() + 1, 7)
    sums = blocks.new_empty(len(blocks), tables.near.shape[1], 7)
    for part in _parts(blocks, tables):
        scores = torch.bmm(weights[part], blocks[part])
        scores.ge_(scores.amax(1, keepdim=True))
        torch.bmm(scores, blocks[part].transpose(1, 2), out=sums[part])
    gathered[:, :-1] = sums.reshape(len(gathered), -1, 7)
    return gathered[:, tables.back].sum(2).flatten(0, 1)


def _nearest(means: Tensor, blocks: Tensor, tables: _Cells) -> Tensor:
    """``(N * K, P)`` the nearest centre of each voxel."""
    weights = _candidates(means, tables)
    found = torch.empty(len(blocks), blocks.shape[2], dtype=torch.int64, device=blocks.device)
    for part in _parts(blocks, tables):
        found[part] = torch.bmm(weights[part], blocks[part]).max(1).indices  # argmax is slower
    near = tables.near.expand(len(blocks) // len(tables.near), -1, -1).flatten(0, 1)
    return near.gather(1, found)
