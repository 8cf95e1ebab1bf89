"""Concept clips: names, windows, best frames, and every pixel of what is cut."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from vxhelpers.concept_sets.crops import Concept, Piece, cut, letterbox, mean_colour, windows
from vxhelpers.concept_sets.tracks import Track
from vxhelpers.data.clip import Clip, Frames
from vxhelpers.data.manifest import Row
from vxhelpers.errors import InputError

FILL = (10, 20, 30)


def tracked(
    boxes: list[tuple[float, float, float, float]],
    *,
    start: int = 0,
    confidence: list[float] | None = None,
    seen: list[bool] | None = None,
) -> Track:
    count = len(boxes)
    return Track(
        "racket",
        start,
        np.array(boxes, np.float32),
        np.array([0.5] * count if confidence is None else confidence, np.float32),
        np.array([True] * count if seen is None else seen),
        "a clip",
        "by hand",
    )


def piece(track: Track) -> Piece:
    return Piece(Row("a", "a.mkv", "tennis", "train"), "a.mkv", track)


def noise(frames: int = 6, height: int = 20, width: int = 30) -> Clip:
    rng = np.random.default_rng(0)
    return Clip(rng.integers(0, 256, (frames, height, width, 3), np.uint8), 10.0, "noise")


DYNAMIC = tracked([(1, 2, 5, 8), (3, 2, 9, 7), (6.4, 1.2, 9.9, 4.7)], start=2)


@pytest.mark.parametrize(
    "concept",
    [
        Concept("tennis racket"),
        Concept("racket", "static"),
        Concept("racket", "dynamic", "centred", "reversed"),
        Concept("racket", control="shuffled"),
        Concept("random", "static", "centred", number=3),
        Concept("random", number=12),
    ],
    ids=lambda concept: concept.name,
)
def test_names_say_what_they_say(concept: Concept) -> None:
    assert Concept.parse(concept.name) == concept


@pytest.mark.parametrize(
    ("name", "concept", "role"),
    [
        ("backhand", Concept("backhand"), "concept"),
        ("a static life", Concept("a static life"), "concept"),
        ("court 2", Concept("court 2"), "concept"),
        ("random 7", Concept("random", number=7), "random"),
        ("smash reversed", Concept("smash", control="reversed"), "control"),
    ],
)
def test_names_that_users_give_are_read(name: str, concept: Concept, role: str) -> None:
    assert Concept.parse(name) == concept
    assert concept.role == role


@pytest.mark.parametrize(
    ("name", "word"), [("racket still", "static"), ("random moving centred 03", "dynamic")]
)
def test_an_old_word_is_named_with_the_new_one(name: str, word: str) -> None:
    with pytest.raises(InputError, match=f"was renamed to '{word}'"):
        Concept.parse(name)
    assert Concept.parse("moving van dynamic").object == "moving van"


def test_an_empty_name_is_none() -> None:
    with pytest.raises(InputError, match="names no concept"):
        Concept.parse(" ")


def test_the_best_frame_is_the_surest_one_seen() -> None:
    boxes = [(0, 0, 4, 4), (0, 0, 4, 4), (0, 0, 8, 8), (0, 0, 2, 2)]
    unsure = tracked(boxes, confidence=[0.9, 0.3, 0.9, 0.0], seen=[True, True, True, False])
    assert piece(unsure).best == 2
    assert piece(replace(unsure, seen=np.array([True, True, False, True]))).best == 0


def test_weight_is_confidence_times_side() -> None:
    track = tracked([(0, 0, 4, 9), (0, 0, 2, 2)], confidence=[0.5, 1.0], seen=[True, False])
    assert piece(track).weight == pytest.approx(0.5 * 6)


def test_a_long_track_is_cut_around_its_best_part() -> None:
    confidence = [0.3] * 10 + [0.9] * 4 + [0.3] * 6
    whole = tracked([(k, 0, k + 4, 4) for k in range(20)], start=5, confidence=confidence)
    found = windows(whole, shortest=3, longest=4)
    assert (found[0].start, found[0].stop) == (15, 19)
    assert found[0].boxes[0].tolist() == [10, 0, 14, 4]
    spans = sorted((part.start, part.stop) for part in found)
    assert all(3 <= stop - start <= 4 for start, stop in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    assert len(spans) == 4  # 10 frames before it hold two, 6 after it one
    assert windows(whole, shortest=3, longest=20) == [whole]
    assert windows(whole, shortest=21, longest=30) == []


def test_in_place_keeps_the_boxes_and_fills_the_rest() -> None:
    clip = noise()
    made = cut(piece(DYNAMIC), clip, fill=FILL)
    expected = np.empty((3, 20, 30, 3), np.uint8)
    expected[:] = FILL
    expected[0, 2:8, 1:5] = clip.frames[2, 2:8, 1:5]
    expected[1, 2:7, 3:9] = clip.frames[3, 2:7, 3:9]
    expected[2, 1:5, 6:10] = clip.frames[4, 1:5, 6:10]
    assert np.array_equal(made.frames, expected)
    assert (made.fps, made.start_s, made.end_s) == (10, pytest.approx(0.2), pytest.approx(0.5))


def test_centred_lays_the_crops_on_each_other_on_the_largest_canvas() -> None:
    clip = noise()
    made = cut(piece(DYNAMIC), clip, placement="centred", fill=FILL)
    assert made.frames.shape == (3, 6, 6, 3)
    assert np.array_equal(made.frames[0, :, 1:5], clip.frames[2, 2:8, 1:5])
    assert np.array_equal(made.frames[1, 0:5], clip.frames[3, 2:7, 3:9])
    assert np.array_equal(made.frames[2, 1:5, 1:5], clip.frames[4, 1:5, 6:10])
    for image, inside in zip(made.frames, (24, 30, 16), strict=True):
        assert (image == FILL).all(-1).sum() == 36 - inside


@pytest.mark.parametrize("placement", ["in_place", "centred"])
def test_static_is_the_best_frame_on_the_dynamic_ones_canvas(placement: str) -> None:
    surest = piece(replace(DYNAMIC, confidence=np.array([0.1, 0.9, 0.2], np.float32)))
    dynamic = cut(surest, noise(), placement=placement, fill=FILL)  # type: ignore[arg-type]
    static = cut(surest, noise(), kind="static", placement=placement, fill=FILL)  # type: ignore[arg-type]
    assert static.frames.shape == dynamic.frames.shape
    assert (static.frames == dynamic.frames[1]).all()
    assert (static.start_s, static.end_s) == (dynamic.start_s, dynamic.end_s)


def test_controls_have_the_same_frames_in_another_order() -> None:
    dynamic = cut(piece(DYNAMIC), noise(), fill=FILL)
    backwards = cut(piece(DYNAMIC), noise(), control="reversed", fill=FILL)
    assert np.array_equal(backwards.frames, dynamic.frames[::-1])
    for seed in range(40):  # one order of six is the one they had
        rng = np.random.default_rng(seed)
        mixed = cut(piece(DYNAMIC), noise(), control="shuffled", fill=FILL, rng=rng)
        assert not np.array_equal(mixed.frames, dynamic.frames)
        assert sorted(map(bytes, mixed.frames)) == sorted(map(bytes, dynamic.frames))
    with pytest.raises(InputError, match="rng"):
        cut(piece(DYNAMIC), noise(), control="shuffled", fill=FILL)


def test_one_frame_can_only_be_shuffled_into_itself() -> None:
    short = piece(tracked([(0, 0, 2, 2)]))
    rng = np.random.default_rng(0)
    assert len(cut(short, noise(), control="shuffled", fill=FILL, rng=rng)) == 1


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((3, 4, 4, 5), (3, 4, 4, 5)),  # one pixel
        ((3.2, 4.2, 3.4, 4.4), (3, 4, 4, 5)),  # less than one
        ((-3, -2, 4, 5), (0, 0, 4, 5)),  # leaving the frame at two edges
        ((25, 15, 40, 30), (25, 15, 30, 20)),
        ((30, 20, 33, 22), (29, 19, 30, 20)),  # outside: its nearest pixel
    ],
)
def test_boxes_that_are_tiny_or_leave_the_frame(
    box: tuple[float, float, float, float], expected: tuple[int, int, int, int]
) -> None:
    clip = noise()
    made = cut(piece(tracked([box])), clip, fill=FILL).frames[0]
    x0, y0, x1, y1 = expected
    kept = np.zeros((20, 30), bool)
    kept[y0:y1, x0:x1] = True
    assert np.array_equal(made[kept], clip.frames[0][kept])
    assert (made[~kept] == FILL).all()


def test_a_piece_of_another_clip_is_refused() -> None:
    with pytest.raises(InputError, match=r"noise: has 4 frames.*ends at frame 5.*row 'a'"):
        cut(piece(DYNAMIC), noise(frames=4), fill=FILL)


@pytest.mark.parametrize(("shape", "border", "side"), [((4, 10), 1.0, 10), ((8, 6), 1.25, 10)])
def test_letterboxes_are_square_with_the_clip_in_the_middle(
    shape: tuple[int, int], border: float, side: int
) -> None:
    clip = noise(2, *shape)
    padded: Frames = letterbox(clip, fill=FILL, border=border).frames
    assert padded.shape == (2, side, side, 3)
    top, left = (side - shape[0]) // 2, (side - shape[1]) // 2
    assert np.array_equal(padded[:, top : top + shape[0], left : left + shape[1]], clip.frames)
    assert (padded == FILL).all(-1).sum() == 2 * (side * side - shape[0] * shape[1])
    with pytest.raises(InputError, match="at least 1"):
        letterbox(clip, fill=FILL, border=0.5)


def test_the_mean_colour_counts_clips_alike() -> None:
    dark = Clip(np.full((1, 4, 4, 3), 10, np.uint8), 1.0, "dark")
    light = Clip(np.full((9, 8, 8, 3), (20, 30, 41), np.uint8), 1.0, "light")
    assert mean_colour([dark, light]) == (15, 20, 26)
    with pytest.raises(InputError, match="at least one"):
        mean_colour([])
