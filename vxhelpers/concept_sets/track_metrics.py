"""How good tracks are, against the truth: precision, recall, overlap and changes of identity."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from vxhelpers.concept_sets.ambiguity import iou
from vxhelpers.concept_sets.tracks import Track, Tracks
from vxhelpers.errors import InputError
from vxhelpers.stats import wilson


@dataclass(frozen=True)
class Quality:
    """Kept tracks of one label against true ones, box by box over all frames of all clips.

    Parameters
    ----------
    label
        What was tracked.
    clips
        How many clips.
    tracks
        Kept tracks that were found.
    found, true, matched
        Boxes of them; boxes of the true tracks; pairs of the two that overlap.
    precision, recall
        Shares of found and of true boxes that are matched; NaN where there are none.
    precision_interval, recall_interval
        Their 95 % intervals: Wilson's with the effective number of boxes of Rao and Scott (1992,
        *Biometrics* 48, 577-585), because the boxes of one clip are not independent. Where all
        or none are matched, a clip counts as one box.
    iou
        Mean intersection over union of the matched pairs; NaN where there are none.
    switches
        How often a found track goes on on another true one.
    """

    label: str
    clips: int
    tracks: int
    found: int
    true: int
    matched: int
    precision: float
    precision_interval: tuple[float, float]
    recall: float
    recall_interval: tuple[float, float]
    iou: float
    switches: int

    def __str__(self) -> str:
        shares = (
            f"{name} {share:.3f} [{low:.3f}, {high:.3f}]"
            for name, share, (low, high) in (
                ("precision", self.precision, self.precision_interval),
                ("recall", self.recall, self.recall_interval),
            )
        )
        return (
            f"{self.label}: {', '.join(shares)}, IoU {self.iou:.2f}, {self.switches} switches; "
            f"{self.tracks} tracks in {self.clips} clips"
        )


def quality(pairs: Iterable[tuple[Tracks, Tracks]], label: str, *, iou: float = 0.5) -> Quality:
    """Compare found tracks with true ones.

    A found box on something true that is not asked for (a track dropped from the truth, or a frame
    where the thing is hidden) is neither right nor wrong, as with the ignored regions of
    detection benchmarks. In a frame, boxes are paired so that most are matched, then with most
    overlap.

    Parameters
    ----------
    pairs
        For every clip the found tracks and the true ones, made with the same ``max_gap``,
        ``min_frames`` and ``min_side``.
    label
        Which tracks to compare.
    iou
        Intersection over union from which boxes match, above 0 to 1.

    Raises
    ------
    InputError
        If there are no clips, two tracks are not of one clip, or ``iou`` is out of range.
    """
    if not 0 < iou <= 1:
        raise InputError(f"iou must be above 0 and at most 1, not {iou}")
    counts: list[tuple[int, int, int]] = []
    overlaps: list[float] = []
    tracks = switches = 0
    for found, truth in pairs:
        if (found.length, found.size) != (truth.length, truth.size):
            raise InputError(
                f"{found.source}: tracks of {found.length} frames of {found.size} pixels against "
                f"true ones of {truth.length} frames of {truth.size}: not of one clip"
            )
        found, truth = found.of(label), truth.of(label)
        tracks += len(found.kept)
        count, shared, paths = _compare(found, truth, iou)
        counts.append(count)
        overlaps += shared
        switches += sum(a != b for path in paths for a, b in pairwise(path))
    if not counts:
        raise InputError(f"no clips to judge the tracks of {label!r} by")
    found_boxes, true_boxes, matched = np.array(counts).T
    return Quality(
        label=label,
        clips=len(counts),
        tracks=tracks,
        found=int(found_boxes.sum()),
        true=int(true_boxes.sum()),
        matched=int(matched.sum()),
        precision=_share(matched, found_boxes),
        precision_interval=_interval(matched, found_boxes),
        recall=_share(matched, true_boxes),
        recall_interval=_interval(matched, true_boxes),
        iou=float(np.mean(overlaps)) if overlaps else float("nan"),
        switches=switches,
    )


def _compare(
    found: Tracks, truth: Tracks, least: float
) -> tuple[tuple[int, int, int], list[float], list[list[int]]]:
    """Found, true and matched boxes; the matches' overlaps; which true things each track meets."""
    from scipy.optimize import linear_sum_assignment

    things = [*truth.kept, *(lost.track for lost in truth.dropped)]
    paths: list[list[int]] = [[] for _ in found.kept]
    shared: list[float] = []
    found_boxes = true_boxes = 0
    for frame in range(found.length):
        own = [k for k, track in enumerate(found.kept) if track.start <= frame < track.stop]
        theirs = [k for k, track in enumerate(things) if track.start <= frame < track.stop]
        requested = np.array(
            [k < len(truth.kept) and things[k].seen[frame - things[k].start] for k in theirs], bool
        )
        found_boxes += len(own)
        true_boxes += int(requested.sum())
        overlap = iou(
            _at(frame, [found.kept[k] for k in own]), _at(frame, [things[k] for k in theirs])
        )
        worth = np.where(overlap >= least, overlap + 2 * requested, 0)  # first those asked for
        for i, j in zip(*linear_sum_assignment(worth, maximize=True), strict=True):
            if worth[i, j] > 0:
                paths[own[i]].append(theirs[j])
                if requested[j]:
                    shared.append(float(overlap[i, j]))
                else:
                    found_boxes -= 1
    return (found_boxes, true_boxes, len(shared)), shared, paths


def _at(frame: int, tracks: list[Track]) -> npt.NDArray[np.float64]:
    boxes = [track.boxes[frame - track.start] for track in tracks]
    return np.array(boxes, np.float64).reshape(-1, 4)


def _share(hits: npt.NDArray[np.int64], boxes: npt.NDArray[np.int64]) -> float:
    return float(hits.sum() / boxes.sum()) if boxes.any() else float("nan")


def _interval(hits: npt.NDArray[np.int64], boxes: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Interval of a share of boxes that come in clips; both ``(clips,)``."""
    hits, boxes = hits[boxes > 0], boxes[boxes > 0]
    clips, total = len(boxes), int(boxes.sum())
    if not clips:
        return 0.0, 1.0
    share, effective = hits.sum() / total, float(clips)
    if clips > 1 and 0 < share < 1:
        variance = clips / (clips - 1) * ((hits - share * boxes) ** 2).sum() / total**2
        effective = float(np.clip(share * (1 - share) / max(variance, 1e-12), clips, total))
    return wilson(share * effective, effective)
