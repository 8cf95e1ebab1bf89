"""Videos parted: those that concepts are made of, those of random clips, and those scored."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np

from vxhelpers.data.datasets import DataSet
from vxhelpers.data.manifest import Row
from vxhelpers.errors import InputError


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
