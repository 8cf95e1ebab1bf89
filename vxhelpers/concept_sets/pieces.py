"""Where concept clips come from: videos looked at once, what is in them counted and gathered."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from vxhelpers.concept_sets.crops import Piece, windows
from vxhelpers.concept_sets.detector import Detector, detect
from vxhelpers.concept_sets.tracking import track, true_tracks
from vxhelpers.concept_sets.tracks import Tracks
from vxhelpers.data.clip import Clip
from vxhelpers.data.datasets import DataSet
from vxhelpers.data.manifest import Row
from vxhelpers.data.splits import video_of
from vxhelpers.data.stage.scene import INSTANCES, Scene
from vxhelpers.errors import InputError, VideoError
from vxhelpers.io.cache import Store

SMALL = 2**26  # bytes of frames up to which several clips are in memory at once


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
        Of :func:`vxhelpers.concept_sets.tracking.track`, or of ``true_tracks`` where there is no
        detector.

    Raises
    ------
    InputError
        If the ground truth of videos on disk is asked for.
    """
    for row, loaded in _loaded(data, rows, truth=detector is None):
        tally.videos += 1
        if isinstance(loaded, VideoError):
            tally.unreadable[row.clip_id] = str(loaded)
        else:
            yield _look(data, row, loaded, detector, tally, store, options)


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
        Frames of a piece (see :func:`vxhelpers.concept_sets.crops.windows`).
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


def _loaded(
    data: DataSet, rows: Iterable[Row], *, truth: bool
) -> Iterator[tuple[Row, Clip | Scene | VideoError]]:
    """The clips of rows, or their scenes; each decoded while the one before it is looked at.

    Large clips are not, so that no two of them are in memory at once.
    """

    def load(row: Row) -> Clip | Scene | VideoError:
        try:
            scene = data.scene(row) if truth else None
            return data.clip(row) if scene is None else scene
        except VideoError as error:
            return error

    pool = ThreadPoolExecutor(1)
    coming: tuple[Row, Future[Clip | Scene | VideoError]] | None = None
    try:
        for row in rows:
            loaded = coming[1].result() if coming is not None else None
            following = pool.submit(load, row) if _small(loaded) else None
            if coming is not None and loaded is not None:
                yield coming[0], loaded
            coming = row, following or pool.submit(load, row)
        if coming is not None:
            yield coming[0], coming[1].result()
    finally:
        pool.shutdown(cancel_futures=True)


def _small(loaded: Clip | Scene | VideoError | None) -> bool:
    clip = loaded.clip if isinstance(loaded, Scene) else loaded
    return not isinstance(clip, Clip) or clip.frames.nbytes <= SMALL


def _look(
    data: DataSet,
    row: Row,
    loaded: Clip | Scene,
    detector: Detector | None,
    tally: Tally,
    store: Store | None,
    options: Mapping[str, Any],
) -> Looked:
    names: Sequence[str]
    if detector is None:
        if isinstance(loaded, Clip):
            raise InputError(f"{data.name}: videos on disk have no ground truth; name a detector")
        clip, names = loaded.clip, INSTANCES
        labels = {thing.label for thing in loaded.instances}
        tracks: Callable[[Sequence[str]], Tracks] = partial(true_tracks, loaded, **options)
    else:
        clip, names = loaded if isinstance(loaded, Clip) else loaded.clip, detector.names
        detections = detect(detector, clip, store=store)
        labels = {names[i] for i in np.unique(detections.labels)}
        tracks = partial(track, detections, **options)

    def find(wanted: Sequence[str]) -> Tracks:
        found = tracks(wanted)
        tally.add(wanted, found)
        return found

    present = tuple(name for name in names if name in labels)
    return Looked(row, video_of(row, data), clip, present, find)
