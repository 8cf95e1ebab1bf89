"""Deletion and insertion from their definition, slowly: part by part, voxel by voxel."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def curve(
    start: Array,
    end: Array,
    values: Array,
    labels: npt.NDArray[np.int64],
    score: Callable[[Array], float],
    steps: int,
) -> tuple[list[float], list[float]]:
    """Shares and scores as one clip ``(C, T, H, W)`` becomes another, highest mean first."""
    means = []
    for label in sorted(set(labels.ravel().tolist())):
        inside = [cell for cell in np.ndindex(*labels.shape) if labels[cell] == label]
        means.append((sum(values[cell] for cell in inside) / len(inside), inside))
    means.sort(key=lambda pair: -pair[0])
    shares, scores = [], []
    for step in range(steps + 1):
        clip, changed = start.copy(), 0
        for _, inside in means[: round(step * len(means) / steps)]:
            for t, y, x in inside:
                clip[:, t, y, x] = end[:, t, y, x]
                changed += 1
        shares.append(changed / labels.size)
        scores.append(score(clip))
    return shares, scores
