"""Looking at videos once: what is listed, counted and gathered."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import squares

from vxhelpers.concept_sets import pieces
from vxhelpers.concept_sets.pieces import Looked, Tally, deal, gather, gather_random, look
from vxhelpers.concept_sets.tracks import Dropped, Track, Tracks
from vxhelpers.data.clip import Clip
from vxhelpers.data.datasets import DataSet, open_data
from vxhelpers.data.manifest import Row
from vxhelpers.errors import InputError

SIZES = {"shortest": 4, "longest": 8}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataSet:
    monkeypatch.setattr(pieces, "detect", squares.detect)
    return open_data(squares.write_videos(tmp_path))


def test_every_video_is_looked_at_once_in_order(
    data: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []
    plain = DataSet.clip

    def counted(self: DataSet, row: Row) -> Clip:
        decoded.append(row.clip_id)
        return plain(self, row)

    monkeypatch.setattr(DataSet, "clip", counted)
    rows = data.rows("train")[::-1]
    seen = list(look(data, rows, squares.DETECTOR, tally=Tally()))
    assert [looked.row for looked in seen] == rows
    assert decoded == [row.clip_id for row in rows]
    for looked in seen:
        assert np.array_equal(looked.clip.frames, data.clip(looked.row).frames)
        assert looked.video == looked.row.sha256
        assert looked.labels == tuple(
            name
            for name in squares.COLOURS
            if name in squares.detect(squares.DETECTOR, looked.clip).names
            and (looked.clip.frames == squares.COLOURS[name]).all(-1).any()
        )


@pytest.mark.parametrize("broken", ["damaged", "missing", "empty"])
def test_an_unreadable_video_in_the_middle_is_listed(data: DataSet, broken: str) -> None:
    rows = data.rows("train", "tennis")
    path = data.root / rows[2].path  # type: ignore[operator]
    if broken == "damaged":
        squares.damage(path)
    else:
        path.unlink()
        if broken == "empty":
            path.touch()
    tally = Tally()
    seen = [looked.row for looked in look(data, rows, squares.DETECTOR, tally=tally)]
    assert seen == rows[:2] + rows[3:]
    assert list(tally.unreadable) == [rows[2].clip_id] and tally.videos == len(rows)
    assert rows[2].path in tally.unreadable[rows[2].clip_id]


def test_a_video_without_the_object_gives_nothing_and_is_counted(data: DataSet) -> None:
    tally = Tally()
    rows = data.rows("train", "tennis")  # the first shows no racket
    seen = look(data, rows, squares.DETECTOR, tally=tally)
    found = [piece.row for _, piece in gather(seen, ["racket"], count=9, per_video=1, **SIZES)]
    assert found == rows[1:]
    counts = tally.labels["racket"]
    assert (counts["videos"], counts["with"], counts["kept"]) == (6, 5, 5)


def test_no_more_videos_are_looked_at_than_needed(data: DataSet) -> None:
    tally = Tally()
    seen = look(data, data.rows("train", "tennis"), squares.DETECTOR, tally=tally)
    found = list(gather(seen, ["racket", "person"], count=2, per_video=1, **SIZES))
    assert tally.videos == 3  # the first has a person alone
    assert sorted(piece.track.label for _, piece in found) == ["person"] * 2 + ["racket"] * 2


def test_ground_truth_is_the_stages_alone(data: DataSet) -> None:
    with pytest.raises(InputError, match=r"squares\.csv: videos on disk have no ground truth"):
        list(look(data, data.rows("train"), None, tally=Tally()))
    stage = open_data("stage:tennis")
    looked = next(look(stage, stage.rows("train", "juggling"), None, tally=Tally()))
    assert {"person", "arms", "legs", "ball"} == set(looked.labels)
    tracks = looked.find(["ball"])
    assert len(tracks.kept) >= 2 and {found.label for found in tracks.kept} == {"ball"}


def made(video: str, *tracks: tuple[str, int, float], dropped: Iterable[str] = ()) -> Looked:
    """A clip with tracks of so many frames and confidence."""

    def track(label: str, length: int, confidence: float) -> Track:
        boxes = np.tile(np.array([0, 0, 4, 4], np.float32), (length, 1))
        sure = np.full(length, confidence, np.float32)
        return Track(label, 0, boxes, sure, np.ones(length, bool), video, "by hand")

    kept = tuple(track(*facts) for facts in tracks)
    gone = tuple(Dropped(track(label, 1, 0.3), "short", "1 frame") for label in dropped)
    whole = Tracks(kept, gone, 99, (40, 64), video, "by hand")
    labels = tuple(dict.fromkeys([facts[0] for facts in tracks] + list(dropped)))
    clip = Clip(np.zeros((1, 4, 4, 3), np.uint8), 1.0, video)
    row = Row(video, video.split("#")[0], "tennis", "train")
    return Looked(row, row.path, clip, labels, lambda wanted: whole.of(*wanted))


def test_the_weightiest_pieces_of_a_video_are_taken() -> None:
    seen = [made("a", ("racket", 5, 0.9), ("racket", 8, 0.6), ("racket", 8, 0.5))]
    found = [piece for _, piece in gather(seen, ["racket"], count=9, per_video=2, **SIZES)]
    assert [len(piece.track) for piece in found] == [8, 5]  # 8 * 0.6 > 5 * 0.9 > 8 * 0.5


def test_a_long_track_gives_several_pieces_where_they_are_allowed() -> None:
    seen = [made("a", ("racket", 20, 0.9))]
    assert len(list(gather(seen, ["racket"], count=9, per_video=9, **SIZES))) == 3
    assert len(list(gather(seen, ["racket"], count=9, per_video=1, **SIZES))) == 1


def test_clips_of_one_video_share_its_allowance() -> None:
    seen = [made(f"a#{k}", ("racket", 6, 0.9)) for k in range(4)] + [made("b", ("racket", 6, 0.9))]
    found = [
        piece.row.clip_id for _, piece in gather(seen, ["racket"], count=9, per_video=2, **SIZES)
    ]
    assert found == ["a#0", "a#1", "b"]


def test_tracks_are_counted_with_the_reasons_why_they_were_dropped() -> None:
    tally = Tally()
    for looked in (
        made("a", ("racket", 6, 0.9), dropped=["racket", "ball"]),
        made("b", dropped=["racket"]),
    ):
        tally.add(["racket", "person"], looked.find(["racket", "person"]))
    assert tally.labels == {
        "racket": {"videos": 2, "with": 1, "found": 3, "kept": 1, "dropped": {"short": 2}},
        "person": {"videos": 2, "with": 0, "found": 0, "kept": 0, "dropped": {}},
    }


def test_random_pieces_are_never_of_what_is_not_allowed() -> None:
    seen = [made(str(k), ("racket", 8, 0.9), ("person", 6, 0.9)) for k in range(6)]
    found = gather_random(
        seen,
        lambda looked, label: label != "racket",
        count=9,
        per_video=3,
        rng=np.random.default_rng(0),
        **SIZES,
    )
    assert [piece.track.label for _, piece in found] == ["person"] * 6


def test_labels_take_turns_in_random_pieces() -> None:
    many = [("chair", 8, 0.9)] * 5 + [("dog", 4, 0.3)]
    seen = [made(str(k), *many) for k in range(40)]
    labels = [
        piece.track.label
        for _, piece in gather_random(
            seen,
            lambda *_: True,
            count=40,
            per_video=1,
            rng=np.random.default_rng(0),
            **SIZES,
        )
    ]
    assert 8 < labels.count("dog") < 32
    both = gather_random(
        seen, lambda *_: True, count=5, per_video=3, rng=np.random.default_rng(0), **SIZES
    )
    found = [(piece.row.clip_id, piece.track.label) for _, piece in both]
    assert [name for name, _ in found] == ["0", "0", "0", "1", "1"]
    assert {label for _, label in found[:2]} == {"chair", "dog"}


@pytest.mark.parametrize(
    ("pieces", "sets", "count", "sizes"),
    [
        (12, 3, 4, [4, 4, 4]),
        (11, 3, 4, [3, 3, 3]),
        (2, 3, 4, [1, 1]),
        (12, 0, 4, []),
        (9, 2, 2, [2, 2]),
    ],
)
def test_sets_are_disjoint_and_alike_in_size(
    pieces: int, sets: int, count: int, sizes: list[int]
) -> None:
    dealt = deal([str(k) for k in range(pieces)], sets=sets, count=count)
    assert [len(heap) for heap in dealt] == sizes
    flat = [title for heap in dealt for title in heap]
    assert len(set(flat)) == len(flat)
