"""Where concept clips come from: the videos of a class parted, looked at once, and counted."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from vxhelpers.clip import Clip
from vxhelpers.concepts import Piece, windows
from vxhelpers.data import DataSet
from vxhelpers.detection import Detector, detect
from vxhelpers.errors import InputError, VideoError
from vxhelpers.manifest import Row
from vxhelpers.stage import INSTANCES
from vxhelpers.store import Store
from vxhelpers.tracking import track, true_tracks
from vxhelpers.tracks import Tracks


@dataclass
class Tally:
    """What was found in the videos that were looked at, counted along the way.

    Parameters
    ----------
    videos
        Rows that were looked at, the unreadable ones included.
    unreadable
        Clip id to the error.
    labels
        Label to counts: ``videos`` it was tracked for, those ``with`` a track that was kept, and
        the tracks ``found``, ``kept`` and ``dropped`` (reason to number).
    """

    videos: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)
    labels: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, labels: Iterable[str], tracks: Tracks) -> None:
        """Count the tracks of one video."""
        kept = Counter(found.label for found in tracks.kept)
        for label in labels:
            empty = {"videos": 0, "with": 0, "found": 0, "kept": 0, "dropped": {}}
            counts = self.labels.setdefault(label, empty)
            reasons = Counter(gone.reason for gone in tracks.dropped if gone.track.label == label)
            counts["videos"] += 1
            counts["with"] += kept[label] > 0
            counts["found"] += kept[label] + reasons.total()
            counts["kept"] += kept[label]
            dropped = Counter(counts["dropped"]) + reasons
            counts["dropped"] = {reason: dropped[reason] for reason in sorted(dropped)}


@dataclass(frozen=True, eq=False)
class Looked:
    """A clip that was decoded or rendered once, and what is in it.

    Parameters
    ----------
    row, video, clip
        Which, and its pixels.
    labels
        Of the things that were detected in it.
    find
        Gives the tracks of some labels, and counts them: for each label that matters once.
    """

    row: Row
    video: str
    clip: Clip
    labels: tuple[str, ...]
    find: Callable[[Sequence[str]], Tracks]

    def pieces(self, label: str, tracks: Tracks, *, shortest: int, longest: int) -> list[Piece]:
        """What can be cut out of the tracks of a label, the weightiest first."""
        found = [
            Piece(self.row, self.video, window)
            for kept in tracks.kept
            if kept.label == label
            for window in windows(kept, shortest=shortest, longest=longest)
        ]
        return sorted(found, key=lambda piece: -piece.weight)


def video_of(row: Row, data: DataSet) -> str:
    """What tells the videos of a data set apart: the file's hash where known, else its path."""
    return row.sha256 or (row.path if data.root is None else f"{data.name}:{row.path}")


def divide(
    data: DataSet,
    action: str,
    *,
    scoring: int = 30,
    split: str = "test",
    allow_fewer: bool = False,
    rng: np.random.Generator,
) -> tuple[list[Row], list[Row]]:
    """Part the clips of a class: some to make concepts of, others to score; no video in both.

    Scored are clips of ``split``, of as many videos as there are, drawn at random. Concepts are
    made of the class's clips in the other splits; where those have no video of their own, of what
    is left of ``split``, which then keeps at least half of its videos for it.

    Returns
    -------
    tuple
        ``(rows for concepts, rows for scoring)``, each in the manifest's order.

    Raises
    ------
    UnknownNameError
        If there is no such class or split.
    InputError
        If there is one video alone, or fewer clips to score than asked for and not
        ``allow_fewer``.
    """
    rows = data.rows(split, action)
    if not rows:
        raise InputError(f"{data.name}: no clip of {action!r} in split {split!r} to score")
    by_video: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_video[video_of(row, data)].append(row)
    videos = [list(by_video)[i] for i in rng.permutation(len(by_video))]
    others = [row for row in data.rows(label=action) if row.split != split]
    aside = [row for row in others if video_of(row, data) not in by_video]
    if not aside:
        videos = videos[: len(videos) // 2]
    if not videos:
        raise InputError(
            f"{data.name}: {action!r} has {len(by_video)} video in split {split!r} and no other to "
            "make concepts of; clips that are scored and concept clips must not share a video"
        )
    queues = {
        video: [by_video[video][i] for i in rng.permutation(len(by_video[video]))]
        for video in videos
    }
    turns = range(max(map(len, queues.values())))
    drawn = [queue[turn] for turn in turns for queue in queues.values() if turn < len(queue)]
    if len(drawn) < scoring and not allow_fewer:
        raise InputError(
            f"{data.name}: {len(drawn)} clips of {action!r} in split {split!r} to score, "
            f"{scoring} asked for; lower scoring, name another split, or allow fewer "
            "(allow_fewer, --allow-fewer)"
        )
    scored = {row.clip_id for row in drawn[:scoring]}
    taken = {video_of(row, data) for row in drawn[:scoring]}
    rest = aside or [row for row in data.rows(label=action) if video_of(row, data) not in taken]
    return rest, [row for row in rows if row.clip_id in scored]


def look(
    data: DataSet,
    rows: Iterable[Row],
    detector: Detector | None,
    *,
    tally: Tally,
    store: Store | None = None,
    **options: Any,
) -> Iterator[Looked]:
    """Decode or render clips one after another, each once, with what a detector finds in them.

    Parameters
    ----------
    data, rows
        Which clips.
    detector
        None takes the stage's ground truth.
    tally
        Counts what is looked at and tracked; unreadable videos are listed there and left out.
    store
        Keeps detections.
    options
        Of :func:`vxhelpers.tracking.track`, or of ``true_tracks`` where there is no detector.

    Raises
    ------
    InputError
        If the ground truth of videos on disk is asked for.
    """
    for row in rows:
        tally.videos += 1
        try:
            looked = _look(data, row, detector, tally, store, options)
        except VideoError as error:
            tally.unreadable[row.clip_id] = str(error)
        else:
            yield looked


def gather(
    seen: Iterable[Looked],
    objects: Sequence[str],
    *,
    count: int,
    per_video: int,
    shortest: int,
    longest: int,
) -> Iterator[tuple[Looked, Piece]]:
    """Take pieces of every object until there are enough, the weightiest of each video.

    Parameters
    ----------
    seen
        The clips, in the order in which they are used; no more are looked at than needed.
    objects
        Labels.
    count
        Pieces an object.
    per_video
        At most so many of one object and video, also over several clips of it.
    shortest, longest
        Frames of a piece (see :func:`vxhelpers.concepts.windows`).
    """
    left, used = dict.fromkeys(objects, count), Counter[tuple[str, str]]()
    for looked in seen:
        tracks = looked.find(objects)
        for label in objects:
            room = min(left[label], per_video - used[label, looked.video])
            for piece in looked.pieces(label, tracks, shortest=shortest, longest=longest)[:room]:
                left[label] -= 1
                used[label, looked.video] += 1
                yield looked, piece
        if not any(left.values()):
            return


def gather_random(
    seen: Iterable[Looked],
    allowed: Callable[[Looked, str], bool],
    *,
    count: int,
    per_video: int,
    shortest: int,
    longest: int,
    rng: np.random.Generator,
) -> Iterator[tuple[Looked, Piece]]:
    """Take pieces of whatever is allowed until there are enough, of as many labels as there are.

    Labels take turns in a random order in every clip, so that a frequent one does not rule.

    Parameters
    ----------
    seen, count, per_video, shortest, longest
        As of :func:`gather`; ``count`` is of all pieces together.
    allowed
        Says of a clip and a label whether it may serve.
    rng
        Of the order of labels.
    """
    used = Counter[str]()
    for looked in seen:
        room = min(count - used.total(), per_video - used[looked.video])
        names = [name for name in looked.labels if allowed(looked, name)]
        heaps: list[list[Piece]] = []
        for name in rng.permutation(names).tolist():
            tracks = looked.find([name])
            heaps.append(looked.pieces(name, tracks, shortest=shortest, longest=longest))
            if room == 1 and heaps[-1]:
                break
        deepest = max(map(len, heaps), default=0)
        turns = [heap[depth] for depth in range(deepest) for heap in heaps if depth < len(heap)]
        for piece in turns[: max(room, 0)]:
            used[looked.video] += 1
            yield looked, piece
        if used.total() >= count:
            return


def deal(titles: Sequence[str], *, sets: int, count: int) -> list[Sequence[str]]:
    """Deal pieces to disjoint sets of the same size, in order.

    Where there are fewer than ``sets * count``, there are as many sets, each of them smaller; and
    fewer sets, where there are not even so many pieces.
    """
    size = min(count, max(1, len(titles) // sets)) if sets else 1
    dealt = [titles[k * size : (k + 1) * size] for k in range(sets)]
    return [heap for heap in dealt if len(heap) == size]


def check_disjoint(parts: Mapping[str, Iterable[str]]) -> None:
    """Check that no video is in two parts, for instance among the concepts and the scored ones.

    Parameters
    ----------
    parts
        Name to videos (see :func:`video_of`).

    Raises
    ------
    InputError
        If one is; the shared videos are listed.
    """
    places: dict[str, set[str]] = defaultdict(set)
    for name, videos in parts.items():
        for video in videos:
            places[video].add(name)
    shared = {video: sorted(names) for video, names in places.items() if len(names) > 1}
    if shared:
        lines = [f"  {video}: {', '.join(names)}" for video, names in sorted(shared.items())]
        more = f"\n  and {len(lines) - 10} more" if len(lines) > 10 else ""
        raise InputError(
            f"{len(shared)} videos are in more than one of {', '.join(parts)}, which would make "
            "the scores those of clips seen before:\n" + "\n".join(lines[:10]) + more
        )


def _look(
    data: DataSet,
    row: Row,
    detector: Detector | None,
    tally: Tally,
    store: Store | None,
    options: Mapping[str, Any],
) -> Looked:
    names: Sequence[str]
    if detector is None:
        scene = data.scene(row)
        if scene is None:
            raise InputError(f"{data.name}: videos on disk have no ground truth; name a detector")
        clip, names = scene.clip, INSTANCES
        labels = {thing.label for thing in scene.instances}
        tracks: Callable[[Sequence[str]], Tracks] = partial(true_tracks, scene, **options)
    else:
        clip, names = data.clip(row), detector.names
        detections = detect(detector, clip, store=store)
        labels = {names[i] for i in np.unique(detections.labels)}
        tracks = partial(track, detections, **options)

    def find(wanted: Sequence[str]) -> Tracks:
        found = tracks(wanted)
        tally.add(wanted, found)
        return found

    present = tuple(name for name in names if name in labels)
    return Looked(row, video_of(row, data), clip, present, find)
