"""Which thing is it: steps of tracks that another reading of the same boxes explains as well.

A tracker joins boxes frame by frame. Afterwards the future is known too, so that every step can be
weighed against its alternatives by how smooth they leave the paths.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]

_OVERLAP = 0.3  # IoU
_JUMP = 1.0  # sizes of the box in a frame
_SIZE_WEIGHT = 0.5  # of a pixel of width or height, beside one of place


def doubtful_steps(
    frames: Indices,
    boxes: Numbers,
    zones: Numbers,
    things: Sequence[Indices],
    *,
    max_gap: int,
    margin: float,
) -> set[tuple[int, int]]:
    """Steps from one box of a thing to its next where it may have become another thing.

    A step is in doubt if

    - before or after it, the box overlaps another thing's (with an IoU of 0.3 or more), or where
      that would be if it is out of sight;
    - two things could have changed places: the steps crossed over are nearly as smooth;
    - its thing could go on in one that begins nearby, or come from one that ended nearby;
    - something else came near on the way while the thing was out of sight;
    - it is rougher than the box is large, for every frame: one thing gives way to another.

    Smoothness is the distance in pixels between where a box is and where the thing's speed before
    the step, and after it, would put it: the mean of both, of an alternative the smaller one. A
    change of width or height counts half. Where no speed is known, and for alternatives where it
    is less, it is the way itself.

    Parameters
    ----------
    frames
        ``(D,)``, ascending: the frame of each box.
    boxes
        ``(D, 4)`` x0, y0, x1, y1 in pixels.
    zones
        ``(D, 4)``, the boxes grown to where a tracker looks for them in the next frame.
    things
        Indices of each thing's boxes, ascending; a box belongs to one thing at most.
    max_gap
        A thing may be out of sight for so many frames.
    margin
        An alternative counts unless it is rougher by this share of the box's size (the root of
        its area; the smaller box's) for every frame that the step takes.

    Returns
    -------
    set
        Pairs of indices: a box and the next one of its thing.
    """
    paths = _Paths(frames, boxes, things)
    covered = paths.covered()
    found: set[tuple[int, int]] = set()
    for frame in np.unique(frames[paths.tails]):
        now = (frames[paths.tails] <= frame) & (frame < frames[paths.heads])
        i, j = paths.tails[now], paths.heads[now]
        size = np.minimum(paths.size[i], paths.size[j])
        time = frames[j] - frames[i]
        limit = paths.roughness(i, j) + margin * size * time
        crossed = paths.alternative(i[:, None], j[None], max_gap)
        crossed = crossed + crossed.T
        np.fill_diagonal(crossed, np.inf)
        doubt = covered[i] | covered[j] | (crossed < limit[:, None] + limit).any(axis=1)
        doubt |= paths.roughness(i, j, kind=True) > _JUMP * size * time
        onward = paths.alternative(i[:, None], paths.starts[None], max_gap)
        onward[frames[paths.starts][None] > frames[j][:, None]] = np.inf
        doubt |= (onward < limit[:, None]).any(axis=1)
        onward = paths.alternative(paths.ends[None], j[:, None], max_gap)
        doubt |= (onward < limit[:, None]).any(axis=1)
        doubt |= [paths.met(int(a), int(b), zones) for a, b in zip(i, j, strict=True)]
        found.update(zip(i[doubt].tolist(), j[doubt].tolist(), strict=True))
    return found


def iou(a: Numbers, b: Numbers) -> Numbers:
    """Intersection over union ``(A, B)`` of boxes ``(A, 4)`` and ``(B, 4)`` that aren't empty."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    both = np.maximum(high - low, 0).prod(axis=2)
    area_a, area_b = ((x[:, 2:] - x[:, :2]).prod(axis=1) for x in (a, b))
    share: Numbers = both / (area_a[:, None] + area_b - both)
    return share


class _Paths:
    """Places and speeds along every thing's path; ``tails[k]`` to ``heads[k]`` are the steps."""

    def __init__(self, frames: Indices, boxes: Numbers, things: Sequence[Indices]) -> None:
        none = np.zeros(0, np.int64)
        self.frames, self.boxes = frames, boxes
        self.taken = np.concatenate([none, *things])
        self.starts = np.array([thing[0] for thing in things], np.int64)
        self.ends = np.array([thing[-1] for thing in things], np.int64)
        self.tails = np.concatenate([none, *(thing[:-1] for thing in things)])
        self.heads = np.concatenate([none, *(thing[1:] for thing in things)])
        sides = boxes[:, 2:] - boxes[:, :2]
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        self.place = np.concatenate([centres, _SIZE_WEIGHT * sides], axis=1)
        self.size = np.sqrt(sides.prod(axis=1))
        time = (frames[self.heads] - frames[self.tails])[:, None]
        speed = (self.place[self.heads] - self.place[self.tails]) / time
        speed[:, 2:] = 0  # sizes are expected to stay
        self.before, self.after = np.full((2, *self.place.shape), np.nan)
        self.before[self.heads] = self.after[self.tails] = speed

    def covered(self) -> Booleans:
        """Which boxes overlap another thing's, seen or (out of sight) on its straight way."""
        found = np.zeros(len(self.boxes), bool)
        for frame in np.unique(self.frames[self.taken]):
            here = self.taken[self.frames[self.taken] == frame]
            out = (self.frames[self.tails] < frame) & (frame < self.frames[self.heads])
            i, j = self.tails[out], self.heads[out]
            share = (frame - self.frames[i]) / (self.frames[j] - self.frames[i])
            way = self.boxes[i] + share[:, None] * (self.boxes[j] - self.boxes[i])
            overlap = iou(self.boxes[here], np.concatenate([self.boxes[here], way]))
            np.fill_diagonal(overlap, 0)
            found[here] = (overlap >= _OVERLAP).any(axis=1)
        return found

    def roughness(self, i: Indices, j: Indices, *, kind: bool = False) -> Numbers:
        """Pixels by which steps from i to j miss smooth motion; the two broadcast."""
        time = (self.frames[j] - self.frames[i])[..., None]
        move = self.place[j] - self.place[i]
        way = np.linalg.norm(move, axis=-1)
        ahead = np.linalg.norm(move - self.before[i] * time, axis=-1)
        back = np.linalg.norm(move - self.after[j] * time, axis=-1)
        least: Numbers = np.fmin(np.fmin(ahead, back), way)
        ahead, back = np.where(np.isnan(ahead), back, ahead), np.where(np.isnan(back), ahead, back)
        return least if kind else np.where(np.isnan(ahead), way, (ahead + back) / 2)

    def alternative(self, i: Indices, j: Indices, max_gap: int) -> Numbers:
        """The same of steps that weren't taken; infinite where time forbids them."""
        time = self.frames[j] - self.frames[i]
        possible = (time >= 1) & (time <= max_gap + 1)
        return np.where(possible, self.roughness(i, j, kind=True), np.inf)

    def met(self, i: int, j: int, zones: Numbers) -> bool:
        """Whether another thing was near the straight way from i to j between the two."""
        time = self.frames[self.taken]
        others = self.taken[(time > self.frames[i]) & (time < self.frames[j])]
        if not len(others):
            return False
        share = (self.frames[others] - self.frames[i]) / (self.frames[j] - self.frames[i])
        way = zones[i] + share[:, None] * (zones[j] - zones[i])
        apart = (zones[others, :2] >= way[:, 2:]) | (zones[others, 2:] <= way[:, :2])
        return bool((~apart.any(axis=1)).any())
