"""Concept folders, made here or brought: what is read, refused and left out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import squares
from squares import make

from vxhelpers.concept_sets import pieces, review
from vxhelpers.concept_sets.crops import Concept
from vxhelpers.concept_sets.folder import GREY, read
from vxhelpers.data.datasets import open_data
from vxhelpers.data.video import write_clip
from vxhelpers.errors import InputError, ManifestError, UnknownNameError
from vxhelpers.models import zoo

OPTIONS: Any = {"count": 2, "sets": 1, "scoring": 2, "fill": (9, 9, 9), "controls": ["reversed"]}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("concepts")
        patch.setenv("VX_CACHE", str(folder / "cache"))
        patch.setattr(pieces, "detect", squares.detect)
        data = open_data(squares.write_videos(folder / "videos"))
        made = make(
            data, "tennis", ["racket"], detector=squares.DETECTOR, folder=folder / "made", **OPTIONS
        )
    return made.folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "copy"
    for path in original.rglob("*"):
        if path.is_file():
            target = copy / path.relative_to(original)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return copy


@pytest.fixture
def brought(tmp_path: Path) -> Path:
    folder = tmp_path / "brought"
    for k, name in enumerate(("backhand", "backhand static", "random 00", "random 01")):
        for index in range(2):
            clip = squares.squares("racket", seed=2 * k + index)
            write_clip(clip, folder / name / f"{index}.mkv")
    return folder


def decide(folder: Path, clip_id: str, decision: str) -> None:
    review.decide(review.load(folder), clip_id, decision, reviewer="Anna")


def test_a_folder_of_clips_is_a_concept_folder(brought: Path) -> None:
    found = read(brought)
    assert list(found.sets) == ["backhand", "backhand static", "random 00", "random 01"]
    assert found["random 01"].concept == Concept("random", number=1)
    assert [item.name for item in found.select("concept")] == ["backhand", "backhand static"]
    assert found.twin("backhand").name == "backhand static"
    assert found.twin("backhand static").name == "backhand"
    assert len(found["backhand"].clips) == 2 and found["backhand"].fill == GREY
    clip = found["backhand"].clips[1]
    assert np.array_equal(clip.frames, squares.squares("racket", seed=1).frames)
    assert found.scoring == () and found.provenance == {} and found.left_out == {}
    assert str(found.review) == "none of 8 clips reviewed by a person"


def test_rejected_tracks_are_left_out_in_all_versions(folder: Path) -> None:
    before = read(folder)
    assert str(before.review).startswith("none of 4")
    decide(folder, before["racket dynamic"].ids[0], "reject")
    decide(folder, before["racket static"].ids[1], "accept")
    after = read(folder)
    for item in after.select("concept") + after.select("control"):
        assert [facts["piece"] for facts in item.provenance] == ["racket-001"]
    assert len(after["random dynamic 00"]) == 2
    assert set(after.left_out.values()) == {"rejected by a person"} and len(after.left_out) == 6
    counts = after.review
    assert (counts.accepted, counts.rejected, counts.unseen) == (1, 1, 2)
    assert counts.reviewers == ("Anna",)
    strict = read(folder, unreviewed="drop")
    assert set(strict.sets) == {item.name for item in after.sets.values() if len(item) == 1}
    assert list(strict.left_out.values()).count("not accepted by a person") == 8


def test_nothing_left_is_an_error(brought: Path) -> None:
    with pytest.raises(InputError, match=r"no clip is left of 8.*0 unreadable, 8 rejected or not"):
        read(brought, unreviewed="drop")


@pytest.mark.parametrize("made_here", [True, False])
def test_missing_and_damaged_clips_are_listed(folder: Path, brought: Path, made_here: bool) -> None:
    target = folder if made_here else brought
    path = next(iter(sorted(target.rglob("*.mkv"))))
    if made_here:
        path.unlink()
    else:
        path.write_bytes(b"no video")
    with pytest.raises(ManifestError, match=rf"1 of \d+ clips(.|\n)*{path.name}"):
        read(target)
    found = read(target, skip_unreadable=True)
    assert len(found.left_out) == 1 and path.name in next(iter(found.left_out.values()))


@pytest.mark.parametrize("text", ["{", "[]", '{"clips": {}}'], ids=["json", "list", "short"])
def test_a_spoilt_provenance_is_refused(folder: Path, text: str) -> None:
    (folder / "provenance.json").write_text(text)
    with pytest.raises(ManifestError, match=r"provenance\.json: is no"):
        read(folder)


def test_unknown_sets_and_folders(brought: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'backhand'"):
        read(brought)["backhnd"]
    with pytest.raises(UnknownNameError, match="random 00"):
        read(brought).twin("random 00")
    with pytest.raises(ManifestError, match="no such folder"):
        read(tmp_path / "nowhere")


def test_networks_see_all_of_a_centred_clip(folder: Path) -> None:
    found, entry = read(folder), zoo.ENTRIES["swin3d_t"]  # resizes to 256, crops 224
    centred = found["racket dynamic centred"]
    (clip, shown) = centred.clips[0], centred.clips_for(entry)[0]
    assert clip.frames.shape[1:3] == (9, 8) and shown.frames.shape[1:3] == (11, 11)
    assert np.array_equal(shown.frames[:, 1:10, 1:9], clip.frames)
    assert (shown.frames == 9).all(-1)[0].sum() == 11 * 11 - 72
    in_place = found["racket dynamic"]
    assert np.array_equal(in_place.clips_for(entry)[0].frames, in_place.clips[0].frames)
