"""Concept clips: which tracks become one, and how their pixels are cut out of a video.

After section 3.3 of Video-TCAV: a detector's tracks, cropped, are concepts that a network can be
asked about. A *dynamic* concept is one tracked thing (spatiotemporal there), a *static* one its
best frame, repeated (spatial there). Where we deviate: beside the paper's *centred* placement there
is *in place*, which keeps the path through the picture; both versions of one track have the same
canvas and length, so that movement is all that tells them apart; and a static clip is as long as
its dynamic twin instead of three minutes, which is the same to a network that samples frames.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from vxhelpers.concept_sets.tracks import Track
from vxhelpers.data.clip import Clip, reverse
from vxhelpers.data.manifest import Row
from vxhelpers.errors import InputError

Kind = Literal["static", "dynamic"]
KINDS: tuple[Kind, ...] = ("static", "dynamic")
Placement = Literal["in_place", "centred"]
Control = Literal["", "shuffled", "reversed"]
Role = Literal["concept", "random", "control"]
Colour = tuple[int, int, int]
RANDOM = "random"
_RENAMED = {"still": "static", "moving": "dynamic"}  # the papers' words
_NAME = re.compile(r"(.+?)(?: (static|dynamic|shuffled|reversed))?( centred)?(?: (\d+))?")


@dataclass(frozen=True)
class Concept:
    """What the clips of one set have in common.

    Parameters
    ----------
    object
        The detector's label, or ``"random"``.
    kind
        ``"dynamic"``: the track. ``"static"``: its best frame, repeated.
    placement
        ``"in_place"``: the box stays where it is in the frame. ``"centred"``: the crops lie on
        each other in the middle, on a canvas as high and wide as the largest of them.
    control
        ``"shuffled"`` or ``"reversed"`` in time; empty for the concept itself.
    number
        Of a random set; None elsewhere.
    """

    object: str
    kind: Kind = "dynamic"
    placement: Placement = "in_place"
    control: Control = ""
    number: int | None = None

    @property
    def role(self) -> Role:
        """``"concept"``, ``"random"`` or ``"control"``."""
        if self.object == RANDOM:
            return "random"
        return "control" if self.control else "concept"

    @property
    def name(self) -> str:
        """Such as ``"racket dynamic"``, ``"racket reversed centred"``, ``"random static 03"``."""
        place = " centred" if self.placement == "centred" else ""
        number = "" if self.number is None else f" {self.number:02d}"
        return f"{self.object} {self.control or self.kind}{place}{number}"

    @classmethod
    def parse(cls, name: str) -> "Concept":
        """Read a name; one without a word for it is a dynamic concept, as it lies in its frame."""
        match = _NAME.fullmatch(name.strip())
        if match is None:
            raise InputError(f"{name!r} names no concept; write for instance 'racket dynamic'")
        thing, word, centred, number = match.groups()
        if (old := thing.rpartition(" ")[2]) in _RENAMED and word is None:
            raise InputError(f"{name!r}: {old!r} was renamed to {_RENAMED[old]!r}; rename the set")
        if number is not None and thing != RANDOM:
            thing, number = f"{thing} {number}" if word is None else thing, None
        return cls(
            thing,
            "static" if word == "static" else "dynamic",
            "centred" if centred else "in_place",
            "shuffled" if word == "shuffled" else "reversed" if word == "reversed" else "",
            None if number is None else int(number),
        )


@dataclass(frozen=True, eq=False)
class Piece:
    """A part of a video that becomes a concept clip.

    Parameters
    ----------
    row
        Of the manifest.
    video
        Which video the row is part of (see :func:`vxhelpers.data.splits.video_of`).
    track
        One thing, in the frames that are cut.
    """

    row: Row
    video: str
    track: Track

    @cached_property
    def weight(self) -> float:
        """How much there is to see: confidence times side of the box (pixels), summed."""
        return float(_weights(self.track).sum())

    @cached_property
    def best(self) -> int:
        """Frame of the track with the highest confidence; the largest, then first one of equals."""
        confidence = np.where(self.track.seen, self.track.confidence, -1)
        area = np.where(confidence == confidence.max(), np.square(_sides(self.track)), -1)
        return int(area.argmax())


def windows(whole: Track, *, shortest: int, longest: int) -> list[Track]:
    """Cut a track into parts of at most ``longest`` frames, the weightiest part first.

    The best window is cut out, then the best ones of what is left on both sides of it, as long as
    ``shortest`` frames remain. Weight is confidence times the side of the box; interpolated frames
    have none.
    """
    if len(whole) < shortest:
        return []
    if len(whole) <= longest:
        return [whole]
    total = np.concatenate([[0.0], np.cumsum(_weights(whole))])
    start = int((total[longest:] - total[:-longest]).argmax())
    found = [_part(whole, start, start + longest)]
    for begin, end in ((0, start), (start + longest, len(whole))):
        if end > begin:
            found += windows(_part(whole, begin, end), shortest=shortest, longest=longest)
    return found


def cut(
    piece: Piece,
    clip: Clip,
    *,
    kind: Kind = "dynamic",
    placement: Placement = "in_place",
    control: Control = "",
    fill: Colour,
    rng: np.random.Generator | None = None,
) -> Clip:
    """Cut a piece out of its clip; what is outside the boxes becomes one colour.

    Parameters
    ----------
    piece, clip
        What, out of the whole clip of ``piece.row``.
    kind, placement, control
        As in :class:`Concept`. The static version has the canvas and the length of the dynamic one.
    fill
        R, G, B around the boxes.
    rng
        For ``"shuffled"``, which never leaves a clip of two frames or more in order.

    Returns
    -------
    Clip
        As many frames as the track; in place ``(T, H, W, 3)`` as the clip, centred
        ``(T, h, w, 3)`` with the largest height and width of the boxes, unscaled.

    Raises
    ------
    InputError
        If the clip is not the one that the piece was found in, or ``rng`` is missing.
    """
    track, (height, width) = piece.track, clip.frames.shape[1:3]
    if track.stop > len(clip):
        raise InputError(
            f"{clip.source}: has {len(clip)} frames, but the piece ends at frame {track.stop}; "
            f"cut it out of the clip of row {piece.row.clip_id!r}"
        )
    boxes = _whole_pixels(track.boxes, height, width)
    order = [piece.best] * len(boxes) if kind == "static" else list(range(len(boxes)))
    canvas = height, width
    if placement == "centred":
        canvas = int((boxes[:, 3] - boxes[:, 1]).max()), int((boxes[:, 2] - boxes[:, 0]).max())
    frames = np.empty((len(order), *canvas, 3), np.uint8)
    frames[:] = fill
    for image, index in zip(frames, order, strict=True):
        x0, y0, x1, y1 = boxes[index]
        top, left = (
            (y0, x0)
            if placement == "in_place"
            else ((canvas[0] - (y1 - y0)) // 2, (canvas[1] - (x1 - x0)) // 2)
        )
        seen = clip.frames[track.start + index, y0:y1, x0:x1]
        image[top : top + y1 - y0, left : left + x1 - x0] = seen
    start_s = clip.start_s + track.start / clip.fps
    result = Clip(frames, clip.fps, clip.source, start_s, start_s + len(frames) / clip.fps)
    if control == "reversed":
        return reverse(result)
    if control == "shuffled":
        if rng is None:
            raise InputError("a shuffled control needs rng, a numpy generator")
        return replace(result, frames=frames[_disorder(len(frames), rng)])
    return result


def letterbox(clip: Clip, *, fill: Colour, border: float = 1.0) -> Clip:
    """Pad a clip to a square, in the middle, so that a network sees all of it.

    Parameters
    ----------
    clip
        For instance a centred concept clip.
    fill
        R, G, B of the padding.
    border
        How many times the longer side the square is wide. Where a network resizes to ``resize``
        and crops to ``crop``, ``resize / crop`` keeps the clip from being cropped.
    """
    if border < 1:
        raise InputError(f"border is at least 1, not {border}")
    height, width = clip.frames.shape[1:3]
    side = int(np.ceil(max(height, width) * border - 1e-9))
    top, left = (side - height) // 2, (side - width) // 2
    frames = np.empty((len(clip), side, side, 3), np.uint8)
    frames[:] = fill
    frames[:, top : top + height, left : left + width] = clip.frames
    return replace(clip, frames=frames)


def mean_colour(clips: Iterable[Clip]) -> Colour:
    """Mean R, G, B of clips, each counted alike.

    Raises
    ------
    InputError
        If there is no clip.
    """
    means = [clip.frames.mean(axis=(0, 1, 2), dtype=np.float64) for clip in clips]
    if not means:
        raise InputError("a mean colour needs at least one clip")
    red, green, blue = np.rint(np.mean(means, axis=0)).astype(int).tolist()
    return red, green, blue


def _sides(track: Track) -> npt.NDArray[np.float64]:
    """Side of the square as large as each box, in pixels."""
    spans = track.boxes[:, 2:].astype(np.float64) - track.boxes[:, :2]
    sides: npt.NDArray[np.float64] = np.sqrt(np.maximum(spans, 0).prod(axis=1))
    return sides


def _weights(track: Track) -> npt.NDArray[np.float64]:
    weights: npt.NDArray[np.float64] = track.confidence * track.seen * _sides(track)
    return weights


def _part(whole: Track, begin: int, end: int) -> Track:
    return replace(
        whole,
        start=whole.start + begin,
        boxes=whole.boxes[begin:end],
        confidence=whole.confidence[begin:end],
        seen=whole.seen[begin:end],
    )


def _whole_pixels(boxes: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.int64]:
    """The pixels that boxes touch: half-open, within the frame, at least one a side."""
    limit = np.array([width, height])
    low = np.clip(np.floor(boxes[:, :2]), 0, limit - 1)
    high = np.clip(np.ceil(boxes[:, 2:]), low + 1, limit)
    return np.concatenate([low, high], axis=1).astype(np.int64)


def _disorder(length: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """A random order that is not the given one, unless there is no other."""
    order = rng.permutation(length)
    while length > 1 and (order == np.arange(length)).all():
        order = rng.permutation(length)
    return order


Path = npt.NDArray[np.float64]


def middles(clip: Clip, fill: tuple[int, int, int]) -> Path:
    """Middle of what a concept clip shows in every frame.

    Parameters
    ----------
    clip
        What is not filled is one box a frame, as :func:`vxhelpers.concept_sets.crops.cut` leaves
        it.
    fill
        R, G, B around the box; must be exact, as it is in lossless clips.

    Returns
    -------
    ndarray
        ``(T, 2)``, x and y in pixels of the clip's frame; NaN where a frame is fill alone. Parts of
        a box that have the fill's very colour at its edge are taken for fill.
    """
    shown = (clip.frames != np.array(fill, np.uint8)).any(axis=3)
    return np.stack([_middle(shown.any(axis=1)), _middle(shown.any(axis=2))], axis=1)


def travelled(path: Path) -> float:
    """Length of a path: the distances from frame to frame, added up, in the path's own units.

    Frames where the thing is not seen are passed in a straight line.

    Raises
    ------
    InputError
        If the path is not ``(T, 2)``, or the thing is never seen.
    """
    if path.ndim != 2 or path.shape[1] != 2 or not (seen := np.isfinite(path).all(axis=1)).any():
        raise InputError(f"a path is (T, 2) with the thing in sight somewhere, not {path.shape}")
    return float(np.linalg.norm(np.diff(path[seen], axis=0), axis=1).sum())


def _middle(shown: npt.NDArray[np.bool_]) -> Path:
    """Middle of the first and last True along each row of ``(T, L)``, in pixels; NaN for none."""
    first, last = shown.argmax(axis=1), shown.shape[1] - shown[:, ::-1].argmax(axis=1)
    return np.where(shown.any(axis=1), (first + last) / 2, np.nan)
