"""Steps in doubt, on paths that can be drawn by hand."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vxhelpers.concept_sets.ambiguity import doubtful_steps, iou

Point = tuple[float, float]


def doubts(
    *paths: dict[int, Point], side: float = 10, margin: float = 0.35, max_gap: int = 3
) -> set[tuple[int, int, int]]:
    """Steps in doubt as (path, frame, next frame); boxes are squares, zones twice as large."""
    rows = sorted((t, name) for name, path in enumerate(paths) for t in path)
    frames = np.array([t for t, _ in rows], np.int64)
    places = np.array([paths[name][t] for t, name in rows], np.float64).reshape(-1, 2)
    things = [
        np.array([k for k, row in enumerate(rows) if row[1] == name], np.int64)
        for name in range(len(paths))
    ]

    def squares(length: float) -> npt.NDArray[np.float64]:
        return np.concatenate([places - length / 2, places + length / 2], axis=1)

    found = doubtful_steps(
        frames, squares(side), squares(2 * side), things, max_gap=max_gap, margin=margin
    )
    return {(rows[i][1], rows[i][0], rows[j][0]) for i, j in found}


def line(start: Point, step: Point, frames: Sequence[int]) -> dict[int, Point]:
    return {t: (start[0] + t * step[0], start[1] + t * step[1]) for t in frames}


def test_a_lonely_path_is_beyond_doubt() -> None:
    assert doubts(line((0, 0), (6, 1), range(10))) == set()
    assert doubts(line((0, 0), (6, 1), (0, 1, 2, 6, 7))) == set()
    assert doubts() == set()
    assert doubts({3: (1.0, 1.0)}) == set()


def test_far_apart_is_beyond_doubt() -> None:
    assert doubts(line((0, 0), (5, 0), range(10)), line((0, 40), (-5, 0), range(10))) == set()


def test_overlap_is_doubted_from_the_step_before_to_the_step_after() -> None:
    a, b = line((0, 0), (10, 0), range(9)), line((80, 4), (-10, 0), range(9))  # meet in frame 4
    assert doubts(a, b, margin=0) == {(k, t, t + 1) for k in (0, 1) for t in (3, 4)}


def test_a_bounce_and_a_crossing_look_the_same_without_an_overlap() -> None:
    # Between frames 4 and 5 the two are 8 apart, then 8 apart the other way round.
    a, b = line((0, 0), (8, 0), range(10)), line((72, 3), (-8, 0), range(10))
    crossing = doubts(a, b)
    assert {(0, 4, 5), (1, 4, 5)} <= crossing
    assert all(3 <= t <= 5 for _, t, _ in crossing)


def test_a_thing_that_begins_nearby_casts_doubt() -> None:
    a = line((0, 0), (1, 0), range(10))
    begins = {5: (8.0, 0.0), 6: (10.0, 0.0), 7: (12.0, 0.0)}
    assert (0, 4, 5) in doubts(a, begins, side=8)
    far = {t: (x + 40, y) for t, (x, y) in begins.items()}
    assert doubts(a, far, side=8) == set()


def test_a_thing_that_ended_nearby_casts_doubt() -> None:
    a = line((0, 0), (1, 0), range(10))
    ended = {2: (3.0, 9.0), 3: (4.0, 9.0), 4: (4.5, 5.0)}
    assert (0, 4, 5) in doubts(a, ended, side=8, margin=1.0)
    long_ago = {0: (3.0, 9.0)}
    assert all(t <= 3 for _, t, _ in doubts(a, long_ago, side=8, margin=1.0))


def test_what_passes_while_a_thing_is_out_of_sight_casts_doubt_on_both() -> None:
    a = line((0, 0), (6, 0), (0, 1, 2, 3, 6, 7, 8, 9))  # would be at 24 and 30
    b = line((52, 3), (-7, 0), range(10))  # at 24 in frame 4, at 17 in frame 5
    found = doubts(a, b, margin=0)
    assert (0, 3, 6) in found
    assert {(1, 3, 4), (1, 4, 5)} <= found


def test_a_leap_is_doubted_and_a_fast_even_motion_is_not() -> None:
    fast = line((0, 0), (25, 0), range(8))
    assert doubts(fast) == set()
    leap = line((0, 0), (1, 0), range(4)) | line((30, 0), (1, 0), range(4, 8))
    assert doubts(leap) == {(0, 3, 4)}


def test_a_larger_margin_doubts_more() -> None:
    a, b = line((0, 0), (3, 0), range(12)), line((0, 13), (3, 0), range(12))
    counts = [len(doubts(a, b, margin=margin)) for margin in (0.0, 0.35, 1.0, 1.4)]
    assert counts == sorted(counts) and counts[0] == 0 and counts[-1] == 22


def test_iou_agrees_with_counted_pixels() -> None:
    rng = np.random.default_rng(5)
    low = rng.integers(0, 20, (12, 2))
    boxes = np.concatenate([low, low + rng.integers(1, 15, (12, 2))], axis=1)
    masks = np.zeros((12, 40, 40), bool)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
        mask[y0:y1, x0:x1] = True
    both = (masks[:7, None] & masks[None]).sum((2, 3))
    either = (masks[:7, None] | masks[None]).sum((2, 3))
    assert np.allclose(iou(boxes[:7].astype(float), boxes.astype(float)), both / either)
    assert iou(np.zeros((0, 4)), boxes.astype(float)).shape == (0, 12)
