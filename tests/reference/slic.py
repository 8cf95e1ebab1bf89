"""SLIC, connectivity and deduplication from their definitions, slowly: loops over voxels."""

from collections import deque
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Place = tuple[int, int, int]


def cell(place: int, size: int, count: int) -> int:
    """Which of ``count`` equal parts of an axis a place is in."""
    return place * count // size


def around(index: int, count: int) -> range:
    """The cell and those beside it; at an end, the two further in."""
    if count <= 3:
        return range(count)
    start = min(max(index - 1, 0), count - 3)
    return range(start, start + 3)


def slic(planes: Array, grid: Place, *, compactness: float, iterations: int) -> Labels:
    """Centres of ``(3, T, H, W)`` colours, every voxel looked at in every step."""
    shape = planes.shape[1:]
    points = {}
    labels = np.zeros(shape, np.int64)
    for place in np.ndindex(*shape):
        at = [(p + 0.5) * g / s for p, g, s in zip(place, grid, shape, strict=True)]
        points[place] = np.array([*(planes[(slice(None), *place)] / compactness), *at])
        home = [cell(p, s, g) for p, s, g in zip(place, shape, grid, strict=True)]
        labels[place] = np.ravel_multi_index(home, grid)
    homes = labels.copy()
    centres = np.zeros((int(np.prod(grid)), 6))
    for _ in range(iterations):
        for k in range(len(centres)):
            members = [points[place] for place in np.ndindex(*shape) if labels[place] == k]
            if members:
                centres[k] = np.mean(members, axis=0)
        for place, point in points.items():
            home = np.unravel_index(homes[place], grid)
            axes = [around(int(i), g) for i, g in zip(home, grid, strict=True)]
            near = [
                int(np.ravel_multi_index((t, y, x), grid))
                for t in axes[0]
                for y in axes[1]
                for x in axes[2]
            ]
            labels[place] = min(near, key=lambda k: float(((centres[k] - point) ** 2).sum()))
    return labels


def beside(place: Place, shape: Place) -> Iterator[Place]:
    """The up to six voxels that share a face."""
    for axis in range(3):
        for move in (-1, 1):
            other = list(place)
            other[axis] += move
            if 0 <= other[axis] < shape[axis]:
                yield (other[0], other[1], other[2])


def regions(labels: Labels) -> Labels:
    """Connected regions of equal label in ``(T, H, W)``, numbered as they come."""
    found = np.full(labels.shape, -1)
    count = 0
    for start in np.ndindex(*labels.shape):
        if found[start] >= 0:
            continue
        queue = deque([start])
        found[start] = count
        while queue:
            place = queue.popleft()
            for other in beside(place, labels.shape):
                if found[other] < 0 and labels[other] == labels[place]:
                    found[other] = count
                    queue.append(other)
        count += 1
    return found


def connect(labels: Labels, smallest: float) -> Labels:
    """Small regions join the settled region that they touch most, in rounds."""
    found = regions(labels)
    sizes = np.bincount(found.ravel())
    settled = {k for k in range(len(sizes)) if sizes[k] >= smallest}
    settled.add(int(sizes.argmax()))
    target = {k: k for k in range(len(sizes))}
    while len(settled) < len(sizes):
        joins = {}
        for k in set(range(len(sizes))) - settled:
            touched: dict[int, int] = {}
            for place in zip(*np.nonzero(found == k), strict=True):
                for other in beside(place, found.shape):
                    if found[other] in settled:
                        region = target[found[other]]
                        touched[region] = touched.get(region, 0) + 1
            if touched:
                joins[k] = min(touched, key=lambda r: (-touched[r], r))
        target |= joins
        settled |= set(joins)
    merged = np.vectorize(target.get)(found)
    return np.unique(merged, return_inverse=True)[1].reshape(labels.shape)


def deduplicate(labels: Labels, threshold: float) -> tuple[tuple[int, int], ...]:
    """Keep what has no coarser kept one with a larger Jaccard index, from masks."""
    kept: list[tuple[int, int]] = []
    for scale, volume in enumerate(labels):
        for label in range(volume.max() + 1):
            mask = volume == label
            others = [labels[s] == k for s, k in kept if s < scale]
            shares = [(mask & other).sum() / (mask | other).sum() for other in others]
            if mask.any() and all(share <= threshold for share in shares):
                kept.append((scale, label))
    return tuple(kept)
