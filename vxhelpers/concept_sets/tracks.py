"""Tracks: one thing through consecutive frames, and why a track is not kept."""

import itertools
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from vxhelpers.errors import InputError

Reason = Literal["small", "edge", "ambiguous", "gap", "short", "weak"]

REASONS: Mapping[Reason, str] = MappingProxyType(
    {
        "small": "its boxes are too small to show anything",
        "edge": "it touches the edge of the picture, or the rest of it does",
        "ambiguous": "before or after, it could have become another of its kind",
        "gap": "before or after, it was out of sight for too long",
        "short": "it was there for too few frames",
        "weak": "the detector was not sure enough of it",
    }
)


@dataclass(frozen=True, eq=False)
class Track:
    """One thing through consecutive frames.

    Parameters
    ----------
    label
        What it is.
    start
        Its first frame in the clip.
    boxes
        ``(T, 4)`` float32, half-open x0, y0, x1, y1 in pixels of the clip, one for every frame.
    confidence
        ``(T,)`` float32: the detector's, above 0 to 1; 0 where nothing was seen.
    seen
        ``(T,)`` bool; where False the box lies on the straight line between its neighbours. The
        first and the last frame are seen.
    source
        The clip's.
    detector
        Name and digest, or ``"ground truth"``.
    """

    label: str
    start: int
    boxes: npt.NDArray[np.float32]
    confidence: npt.NDArray[np.float32]
    seen: npt.NDArray[np.bool_]
    source: str
    detector: str

    @property
    def stop(self) -> int:
        """The frame after its last."""
        return self.start + len(self.boxes)

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True, eq=False)
class Dropped:
    """A track that isn't kept.

    Parameters
    ----------
    track
        What there was of it.
    reason
        One of :data:`REASONS`, which has the general sentence.
    detail
        A sentence on this one: frames, numbers and the option that would keep it.
    """

    track: Track
    reason: Reason
    detail: str


@dataclass(frozen=True, eq=False)
class Tracks:
    """All tracks of a clip.

    Parameters
    ----------
    kept, dropped
        By label in the order asked for, then thing by thing, in time.
    length, size
        Frames of the clip; their (height, width) in pixels.
    source, detector
        As in :class:`Track`.
    """

    kept: tuple[Track, ...]
    dropped: tuple[Dropped, ...]
    length: int
    size: tuple[int, int]
    source: str
    detector: str

    def of(self, *labels: str) -> "Tracks":
        """Only the tracks of these labels."""
        kept = tuple(track for track in self.kept if track.label in labels)
        dropped = tuple(lost for lost in self.dropped if lost.track.label in labels)
        return replace(self, kept=kept, dropped=dropped)


@dataclass(frozen=True)
class Rules:
    """What is asked of a track; see :func:`vxhelpers.concept_sets.tracking.track`.

    Raises
    ------
    InputError
        If one is out of range.
    """

    max_gap: int
    min_frames: int
    min_side: float
    confidence: float
    edge: Literal["keep", "end"]

    def __post_init__(self) -> None:
        if self.max_gap < 0 or self.min_frames < 1 or not self.min_side >= 0:
            raise InputError(
                "max_gap and min_side must be 0 or more, min_frames 1 or more; not "
                f"{self.max_gap}, {self.min_side} and {self.min_frames}"
            )
        if not 0 <= self.confidence < 1 or self.edge not in ("keep", "end"):
            raise InputError(
                "confidence must be at least 0 and below 1, edge 'keep' or 'end'; not "
                f"{self.confidence} and {self.edge!r}"
            )


@dataclass(frozen=True, eq=False)
class Sights:
    """All that was seen of one label in a clip, ascending by frame.

    Parameters
    ----------
    frames, boxes, confidence
        ``(D,)``, ``(D, 4)`` and ``(D,)``.
    """

    frames: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float64]
    confidence: npt.NDArray[np.float32]


class About(Protocol):
    """What tracks say of their clip and of where they come from."""

    @property
    def length(self) -> int: ...
    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def source(self) -> str: ...
    @property
    def detector(self) -> str: ...


def judged(
    label: str,
    sights: Sights,
    things: Sequence[npt.NDArray[np.int64]],
    doubts: Container[tuple[int, int]],
    about: About,
    rules: Rules,
) -> Iterator[Track | Dropped]:
    """Cut things into tracks where the rules say so, fill gaps in, and drop what is left over.

    Parameters
    ----------
    label
        Of the things.
    sights
        What was seen.
    things
        Indices of each thing's sights, ascending.
    doubts
        Pairs of indices between which a thing may have become another.
    about
        The clip.
    rules
        What is asked of a track.

    Yields
    ------
    Track or Dropped
        Every sight of every thing is in one of them.
    """
    height, width = about.size
    touches = (sights.boxes[:, :2] <= 0) | (sights.boxes[:, 2:] >= [width, height])
    outside = [rules.edge == "end" and bool(sides.any()) for sides in touches]
    for thing in things:
        cuts: dict[int, Reason] = {}
        for place, (i, j) in enumerate(itertools.pairwise(thing.tolist()), start=1):
            if (i, j) in doubts:
                cuts[place] = "ambiguous"
            elif sights.frames[j] - sights.frames[i] > rules.max_gap + 1:
                cuts[place] = "gap"
            elif outside[i] != outside[j]:
                cuts[place] = "edge"
        ends: list[Reason] = ["short", *cuts.values(), "short"]
        for piece, before, after in zip(np.split(thing, [*cuts]), ends[:-1], ends[1:], strict=True):
            made = _filled(label, sights, piece, about)
            yield _verdict(made, outside[piece[0]], before, after, rules)


def sorted_out(pieces: Iterable[Track | Dropped], about: About) -> Tracks:
    """The result for a clip, with kept and dropped tracks apart."""
    pieces = list(pieces)
    kept = tuple(piece for piece in pieces if isinstance(piece, Track))
    dropped = tuple(piece for piece in pieces if isinstance(piece, Dropped))
    return Tracks(kept, dropped, about.length, about.size, about.source, about.detector)


def _filled(label: str, sights: Sights, piece: npt.NDArray[np.int64], about: About) -> Track:
    """A track through these sights, with boxes on straight lines in between."""
    frames = sights.frames[piece]
    times = np.arange(frames[0], frames[-1] + 1)
    boxes = [np.interp(times, frames, side) for side in sights.boxes[piece].T]
    confidence = np.zeros(len(times), np.float32)
    confidence[frames - frames[0]] = sights.confidence[piece]
    return Track(
        label=label,
        start=int(frames[0]),
        boxes=np.stack(boxes, axis=1).astype(np.float32),
        confidence=confidence,
        seen=np.isin(times, frames),
        source=about.source,
        detector=about.detector,
    )


def _verdict(
    made: Track, outside: bool, before: Reason, after: Reason, rules: Rules
) -> Track | Dropped:
    """The track itself, or why it is dropped; ``before`` and ``after`` ended it on either side."""
    boxes, sure = made.boxes[made.seen], float(made.confidence[made.seen].mean())
    side = float(np.median((boxes[:, 2:] - boxes[:, :2]).min(axis=1)))
    last = made.stop - 1
    when = f"frame {last}" if len(made) == 1 else f"frames {made.start} to {last}"
    enough = f"{len(made)} of the {rules.min_frames} frames asked for (min_frames)"
    if side < rules.min_side:
        detail = f"{side:.3g} px on its shorter side, below {rules.min_side:g} px (min_side)"
        return Dropped(made, "small", f"{when}: {detail}")
    if outside:
        return Dropped(made, "edge", f"{when}: its box touches the edge (edge='end')")
    if len(made) < rules.min_frames:
        causes: tuple[tuple[Reason, str], ...] = (
            ("ambiguous", f"could be another {made.label}"),
            ("gap", f"was unseen for more than {rules.max_gap} frames (max_gap)"),
            ("edge", "touches the edge (edge='end')"),
        )
        for reason, what in causes:
            sides = [name for name, end in (("before", before), ("after", after)) if end == reason]
            if sides:
                detail = f"{' and '.join(sides)}, it {what}; {enough}"
                return Dropped(made, reason, f"{when}: {detail}")
        return Dropped(made, "short", f"{when}: {enough}")
    if sure < rules.confidence:
        detail = f"mean confidence {sure:.2f}, below {rules.confidence:g} (confidence)"
        return Dropped(made, "weak", f"{when}: {detail}")
    return made
