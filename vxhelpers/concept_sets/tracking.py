"""Detections to tracks: one thing each, and every gap, doubt and loss on record.

A concept clip must show one thing from its first frame to its last. Boxes are joined by ByteTrack
(Zhang et al. 2022, *ECCV*) as ultralytics has it, one fresh tracker a clip and label, and on grown
boxes, because small fast things leave their own box from one frame to the next (after Yang et al.
2023, *WACV*, "Hard to track objects with irregular motions and similar appearances? Make it
easier by buffering the matching space"). What the tracker joined is then doubted: a track ends
before the frame in which it could have become another thing
(:mod:`vxhelpers.concept_sets.ambiguity`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from vxhelpers.concept_sets.ambiguity import Booleans, Indices, Numbers, doubtful_steps, iou
from vxhelpers.concept_sets.detections import Detections
from vxhelpers.concept_sets.detector import Detector, detect
from vxhelpers.concept_sets.tracks import (
    REASONS,
    Dropped,
    Reason,
    Rules,
    Sights,
    Track,
    Tracks,
    judged,
    sorted_out,
)
from vxhelpers.concept_sets.yolo import library
from vxhelpers.data.clip import Clip
from vxhelpers.data.stage.scene import INSTANCES, Scene
from vxhelpers.errors import InputError, NotFiniteError, UnknownNameError
from vxhelpers.io.cache import Store

__all__ = [
    "REASONS",
    "TRUTH",
    "Dropped",
    "Reason",
    "Track",
    "Tracks",
    "track",
    "tracked_labels",
    "true_tracks",
]

TRUTH = "ground truth"
_SAME = 0.5  # IoU from which the less sure of two boxes is a repetition of the other
_SAME_IF_WEAKER, _MUCH_WEAKER = 0.2, 0.7  # the same where it has less than 0.7 of the confidence
_GROWTH = 1.6  # boxes are grown to this many of their sides; Yang et al. (2023): 0.3 on each side
_LEAST_OVERLAP = 0.1  # IoU of grown boxes that may still be the same thing


def track(
    detections: Detections,
    labels: Sequence[str],
    *,
    max_gap: int = 3,
    min_frames: int = 8,
    min_side: float = 3.0,
    confidence: float = 0.25,
    edge: Literal["keep", "end"] = "keep",
    reach: float = 0.2,
    margin: float = 0.35,
) -> Tracks:
    """Join the detections of a clip to tracks.

    Parameters
    ----------
    detections
        Of one clip; weak ones (0.1) are of use, for they continue tracks. Where two of a label
        overlap (with an IoU of 0.5, or of 0.2 if one has less than 0.7 of the other's confidence)
        the less sure one is left out as a repetition.
    labels
        What to track; every label by itself.
    max_gap
        A thing may be unseen for so many frames: boxes in between are filled in. After more it is
        taken for another.
    min_frames
        Tracks of fewer frames are dropped.
    min_side
        Tracks whose box's shorter side is less (median over the frames, in pixels) are dropped.
    confidence
        A detection must be so sure to begin a track, and the mean over a track must be.
    edge
        ``"keep"`` tracks while their box touches the edge of the picture, where the thing may be
        cut off; or ``"end"`` them there.
    reach
        Boxes are grown to this share of the picture's shorter side, at least, before they are
        joined: about how far a small thing may move in a frame.
    margin
        How much smoother a path must be than any other reading of the detections (see
        :func:`vxhelpers.concept_sets.ambiguity.doubtful_steps`); a larger one ends more tracks.

    Returns
    -------
    Tracks
        None kept, and none dropped, where nothing of these labels was detected.

    Raises
    ------
    UnknownNameError
        If the detector knows no such label.
    NotFiniteError
        If a box or confidence is NaN or infinite.
    InputError
        If a box is empty, a frame beyond the clip, an option out of range, or ultralytics or lap
        is not installed.
    """
    rules = Rules(max_gap, min_frames, min_side, confidence, edge)
    if not (0 <= reach <= 1 and margin >= 0):
        raise InputError(f"reach must lie in 0 to 1, margin be 0 or more; not {reach}, {margin}")
    _check(detections)
    pieces: list[Track | Dropped] = []
    for label in _names(labels):
        chosen = detections.of(label)
        boxes = chosen.boxes.astype(np.float64)
        once = ~_repeated(chosen.frames, boxes, chosen.confidence)
        sights = Sights(chosen.frames[once], boxes[once], chosen.confidence[once])
        zones = _grown(sights.boxes, reach * min(detections.size))
        things = _joined(sights, zones, detections.length, rules)
        doubts = doubtful_steps(
            sights.frames, sights.boxes, zones, things, max_gap=max_gap, margin=margin
        )
        pieces += judged(label, sights, things, doubts, detections, rules)
    return sorted_out(pieces, detections)


def true_tracks(
    scene: Scene,
    labels: Sequence[str] | None = None,
    *,
    max_gap: int = 3,
    min_frames: int = 8,
    min_side: float = 3.0,
    edge: Literal["keep", "end"] = "keep",
) -> Tracks:
    """Tracks of a rendered scene's things, from the scene itself.

    Parameters
    ----------
    scene
        From :func:`vxhelpers.data.stage.render`.
    labels
        Which of :data:`vxhelpers.data.stage.scene.INSTANCES`; all by default. One that isn't in the
        scene has no tracks.
    max_gap, min_frames, min_side, edge
        As in :func:`track`. A thing that is hidden for longer has several tracks.

    Returns
    -------
    Tracks
        Of the visible parts, with confidence 1; ``detector`` is :data:`TRUTH`.

    Raises
    ------
    UnknownNameError
        If the stage has no such label.
    InputError
        If an option is out of range.
    """
    rules = Rules(max_gap, min_frames, min_side, 0.0, edge)
    length, *size = scene.ids.shape
    clip = _Clip(length, (size[0], size[1]), scene.clip.source)
    pieces: list[Track | Dropped] = []
    for label in _names(INSTANCES if labels is None else labels):
        if label not in INSTANCES:
            raise UnknownNameError("label", label, INSTANCES, where="the stage")
        for instance in (thing for thing in scene.instances if thing.label == label):
            boxes = scene.instance_boxes(instance).astype(np.float64)
            frames = np.flatnonzero(np.isfinite(boxes[:, 0]))
            sights = Sights(frames, boxes[frames], np.ones(len(frames), np.float32))
            things = [np.arange(len(frames))] if len(frames) else []
            pieces += judged(label, sights, things, set(), clip, rules)
    return sorted_out(pieces, clip)


def _names(labels: Sequence[str]) -> tuple[str, ...]:
    if isinstance(labels, str):
        raise InputError(f"labels are a sequence of names: [{labels!r}], not {labels!r}")
    return tuple(dict.fromkeys(labels))


@dataclass(frozen=True)
class _Clip:
    """What tracks say of a clip without a detector."""

    length: int
    size: tuple[int, int]
    source: str
    detector: str = TRUTH


def _check(detections: Detections) -> None:
    source, frames, boxes = detections.source, detections.frames, detections.boxes
    finite = np.isfinite(boxes).all(axis=1) & np.isfinite(detections.confidence)
    if not finite.all():
        bad = int(np.argmin(finite))
        raise NotFiniteError(
            f"{source}: detection {bad}, in frame {frames[bad]}, has a box or a confidence that is "
            "not finite; leave it out of the detections"
        )
    empty = (boxes[:, 2:] <= boxes[:, :2]).any(axis=1)
    if empty.any():
        bad = int(np.argmax(empty))
        raise InputError(
            f"{source}: detection {bad}, in frame {frames[bad]}, has the empty box "
            f"{boxes[bad].tolist()}; boxes are x0, y0, x1, y1 with x0 < x1 and y0 < y1"
        )
    if len(frames) and not (frames[0] >= 0 and frames[-1] < detections.length):
        raise InputError(f"{source}: detections beyond the clip's {detections.length} frames")
    if (np.diff(frames) < 0).any():
        raise InputError(f"{source}: detections must be in the order of their frames")


def _repeated(frames: Indices, boxes: Numbers, confidence: npt.NDArray[np.float32]) -> Booleans:
    """Which boxes show, less surely, what another box of their frame shows."""
    found = np.zeros(len(frames), bool)
    for frame in np.unique(frames):
        here = np.flatnonzero(frames == frame)
        here = here[np.argsort(-confidence[here], kind="stable")]
        overlap = iou(boxes[here], boxes[here])
        for place in range(1, len(here)):
            other = here[:place]
            weak = confidence[here[place]] < _MUCH_WEAKER * confidence[other]
            same = overlap[place, :place] >= np.where(weak, _SAME_IF_WEAKER, _SAME)
            found[here[place]] = (same & ~found[other]).any()
    return found


def _grown(boxes: Numbers, least: float) -> Numbers:
    """Boxes with the same centres, grown; no side shorter than ``least`` pixels."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = np.maximum(_GROWTH * (boxes[:, 2:] - boxes[:, :2]), least) / 2
    return np.concatenate([centres - half, centres + half], axis=1)


class _Frame:
    """Detections of one frame as ByteTrack reads them."""

    def __init__(self, xywh: Numbers, conf: npt.NDArray[np.float32]) -> None:
        self.xywh, self.conf, self.cls = xywh, conf, np.zeros(len(conf))

    def __len__(self) -> int:
        return len(self.conf)

    def __getitem__(self, chosen: Any) -> "_Frame":
        return _Frame(self.xywh[chosen], self.conf[chosen])


def _joined(sights: Sights, zones: Numbers, length: int, rules: Rules) -> list[Indices]:
    """Indices of the boxes that ByteTrack takes for one thing, by first box."""
    library()
    try:
        from ultralytics.trackers.byte_tracker import BYTETracker
    except ImportError as error:
        raise InputError(
            f"tracking needs lap ({error}); install the extra: pip install 'vxhelpers[concepts]'"
        ) from error
    tracker: Any = cast(Any, BYTETracker)(
        SimpleNamespace(
            track_high_thresh=rules.confidence,
            track_low_thresh=0.0,
            new_track_thresh=rules.confidence,
            track_buffer=rules.max_gap,
            match_thresh=1 - _LEAST_OVERLAP,
            fuse_score=False,
        )
    )
    xywh = np.concatenate([(zones[:, :2] + zones[:, 2:]) / 2, zones[:, 2:] - zones[:, :2]], axis=1)
    things: dict[int, list[int]] = {}
    for frame in range(length):
        first, last = np.searchsorted(sights.frames, [frame, frame + 1])
        tracker.update(_Frame(xywh[first:last], sights.confidence[first:last]))
        for thing in tracker.tracked_stracks:  # what update() returns lacks those that just began
            if thing.frame_id == tracker.frame_id:
                things.setdefault(thing.track_id, []).append(int(first + thing.idx))
    return sorted((np.array(thing, np.int64) for thing in things.values()), key=lambda t: int(t[0]))


def tracked_labels(
    detector: Detector,
    clips: Sequence[Clip],
    *,
    share: float = 1 / 3,
    min_frames: int = 12,
    store: Store | None = None,
) -> list[str]:
    """Labels with a kept track in at least a share, 0 to 1, of the clips: what to make sets of."""
    seen = [detect(detector, clip, store=store) for clip in clips]
    names = [detector.names[k] for k in sorted({int(k) for f in seen for k in f.labels})]
    found = [track(each, names, min_frames=min_frames) for each in seen]
    return [n for n in names if np.mean([bool(clip.of(n).kept) for clip in found]) >= share]
