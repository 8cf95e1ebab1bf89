"""Tracks against the truth, on cases that can be counted by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from vxhelpers.concept_sets.track_metrics import quality
from vxhelpers.concept_sets.tracking import true_tracks
from vxhelpers.concept_sets.tracks import Dropped, Track, Tracks
from vxhelpers.data import stage
from vxhelpers.errors import InputError
from vxhelpers.stats import wilson


def along(
    x: float, *, start: int = 0, length: int = 10, hidden: tuple[int, ...] = (), label: str = "ball"
) -> Track:
    """A box of 10x10 at ``x``, moving one pixel a frame; ``hidden`` are frames of the clip."""
    left = x + np.arange(start, start + length)
    boxes = np.stack([left, 0 * left, left + 10, 0 * left + 10], axis=1).astype(np.float32)
    seen = np.array([t not in hidden for t in range(start, start + length)])
    return Track(label, start, boxes, seen.astype(np.float32), seen, "clip", "hand")


def tracks(*kept: Track, dropped: tuple[Track, ...] = ()) -> Tracks:
    lost = tuple(Dropped(t, "short", "too short") for t in dropped)
    return Tracks(kept, lost, 16, (100, 200), "clip", "hand")


def test_the_truth_against_itself_is_perfect() -> None:
    truth = true_tracks(stage.render("tennis", "test", 2))
    found = quality([(truth, truth)] * 2, "person")
    assert (found.precision, found.recall, found.iou, found.switches) == (1, 1, 1, 0)
    assert found.clips == 2 and found.found == found.true == found.matched > 30
    # All boxes of a clip stand for one, where nothing is known of how they differ.
    assert found.precision_interval == found.recall_interval == wilson(2, 2)


def test_counts_are_boxes() -> None:
    truth = tracks(along(20), along(80, length=12))
    found = tracks(along(22, length=7), along(150, length=5))  # 7 right, 5 wrong; 15 are missed
    result = quality([(found, truth)], "ball")
    assert (result.tracks, result.found, result.true, result.matched) == (2, 12, 22, 7)
    assert result.precision == pytest.approx(7 / 12) and result.recall == pytest.approx(7 / 22)
    assert result.iou == pytest.approx(8 / 12)
    low, high = result.recall_interval
    assert low < result.recall < high
    assert "ball: precision 0.583 [" in str(result) and "2 tracks in 1 clips" in str(result)


def test_other_labels_do_not_count() -> None:
    truth = tracks(along(20), along(80, label="racket"))
    found = tracks(along(80, label="racket"))
    result = quality([(found, truth)], "ball")
    assert (result.found, result.true, result.matched) == (0, 10, 0)
    assert math.isnan(result.precision) and math.isnan(result.iou) and result.recall == 0
    assert result.precision_interval == (0, 1)


def test_overlap_decides_what_matches() -> None:
    truth, found = tracks(along(20)), tracks(along(24))  # IoU 6 / 14
    assert quality([(found, truth)], "ball").matched == 0
    assert quality([(found, truth)], "ball", iou=0.4).matched == 10


def test_a_true_box_is_matched_once() -> None:
    result = quality([(tracks(along(20), along(21)), tracks(along(20)))], "ball")
    assert (result.found, result.matched, result.iou) == (20, 10, 1.0)


def test_what_the_truth_does_not_ask_for_is_neither_right_nor_wrong() -> None:
    truth = tracks(along(20, hidden=(4, 5)), dropped=(along(80, length=3),))
    found = tracks(along(20), along(80, length=3))
    result = quality([(found, truth)], "ball")
    assert (result.found, result.true, result.matched) == (8, 8, 8)
    assert (result.precision, result.recall) == (1, 1)


def test_switches_are_changes_of_the_true_thing() -> None:
    here, there = along(20, length=16), along(80, length=16)
    mixed = replace(here, boxes=np.concatenate([here.boxes[:6], there.boxes[6:]]))
    truth = tracks(here, there)
    assert quality([(tracks(mixed), truth)], "ball").switches == 1
    back = replace(mixed, boxes=np.concatenate([mixed.boxes[:11], here.boxes[11:]]))
    assert quality([(tracks(back), truth)], "ball").switches == 2
    assert quality([(tracks(mixed), tracks(here, dropped=(there,)))], "ball").switches == 1
    lost = replace(
        here, boxes=here.boxes + np.float32([0, 50, 0, 50]) * (np.arange(16) == 7)[:, None]
    )
    assert quality([(tracks(lost), truth)], "ball").switches == 0


def test_the_interval_knows_that_boxes_of_a_clip_belong_together() -> None:
    good, bad = (tracks(along(20)),) * 2, (tracks(along(150)), tracks(along(20)))
    together = quality([good, bad] * 10, "ball")  # every clip all right or all wrong
    assert together.precision == 0.5
    assert together.precision_interval == pytest.approx(wilson(9.5, 19), abs=0.02)
    spread = [
        (tracks(along(20, length=5), along(150, start=5, length=5)), tracks(along(20)))
    ] * 20  # every clip half right
    assert quality(spread, "ball").precision_interval == pytest.approx(wilson(100, 200))


def test_bad_input() -> None:
    truth = tracks(along(20))
    with pytest.raises(InputError, match="no clips to judge the tracks of 'ball'"):
        quality([], "ball")
    with pytest.raises(InputError, match="iou must be above 0"):
        quality([(truth, truth)], "ball", iou=0)
    with pytest.raises(InputError, match=r"clip: tracks of 16 frames .* not of one clip"):
        quality([(truth, replace(truth, size=(50, 50)))], "ball")
