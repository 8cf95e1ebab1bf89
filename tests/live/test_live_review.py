"""Messages of a reviewer's page and their answers."""

import base64
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reviewing import BROKEN, IDS, concept_folder, rows

from vxhelpers.data.clip import Clip
from vxhelpers.data.video import write_clip
from vxhelpers.errors import InputError, UnknownNameError
from vxhelpers.live.review_desk import MOST_FRAMES, Desk


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return concept_folder(tmp_path_factory.mktemp("made") / "rackets")


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "rackets"))


def test_a_review_is_a_row_of_messages(folder: Path) -> None:
    desk = Desk(folder, reviewer="anna")
    state = desk.answer({"do": "open"})
    assert (state["clip_id"], state["label"], state["title"]) == (
        IDS[0],
        "racket dynamic",
        "Review of rackets",
    )
    assert (state["position"], state["total"], state["decision"]) == (1, 4, "")
    assert (state["previous"], state["next"], state["ahead"]) == (IDS[3], IDS[1], IDS[1])
    state = desk.answer({"do": "accept", "clip_id": IDS[0]})
    assert (state["clip_id"], state["said"], state["accepted"]) == (IDS[1], "Accepted", 1)
    assert rows(folder) == [f"{IDS[0]},accept,anna"]
    state = desk.answer({"do": "undo", "clip_id": IDS[1]})
    assert (state["clip_id"], state["said"], state["unseen"]) == (IDS[0], "Taken back", 4)
    assert rows(folder) == []
    for clip_id in IDS:
        state = desk.answer({"do": "reject", "clip_id": clip_id})
    assert state["done"] and state["clip_id"] == IDS[3] and state["decision"] == "rejected"
    assert Desk(folder, reviewer="anna").answer({"do": "open"})["done"]
    state = desk.answer({"do": "show", "clip_id": IDS[1]})
    assert state["clip_id"] == IDS[1] and not state["done"] and state["said"] == ""


def test_pictures_are_the_frames_in_order(folder: Path) -> None:
    answer = Desk(folder).answer({"do": "picture", "clip_id": IDS[1]})
    kind, _, data = answer["image"].partition(",")
    assert kind == "data:image/webp;base64"
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))
    assert (answer["columns"], answer["frames"], answer["tile"]) == (3, 6, [32, 24])
    assert answer["fps"] == 12 and answer["note"] == "" and sheet.shape == (48, 96, 3)
    for k in range(6):
        corner = sheet[k // 3 * 24, k % 3 * 32]
        assert corner.tolist() == [40, 10 * k, 0]


def test_a_long_clip_is_shown_in_part_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "ball").mkdir()
    frames = np.zeros((MOST_FRAMES + 2, 8, 8, 3), np.uint8)
    write_clip(Clip(frames, 25.0, "long"), tmp_path / "ball/long.mkv")
    answer = Desk(tmp_path).answer({"do": "picture", "clip_id": "ball/long"})
    assert answer["frames"] == 256 and answer["note"] == "only the first 256 frames are shown"


def test_an_unreadable_clip_is_shown_as_such_and_cannot_be_accepted(folder: Path) -> None:
    desk = Desk(folder)
    problem = desk.answer({"do": "picture", "clip_id": BROKEN})["problem"]
    assert f"{BROKEN}.mkv: cannot be read as a video" in problem
    error = desk.answer({"do": "accept", "clip_id": BROKEN})["error"]
    assert error == f"{BROKEN}: cannot be shown, so it cannot be accepted; reject or skip"
    assert desk.answer({"do": "reject", "clip_id": BROKEN})["rejected"] == 1
    (folder / f"clips/{IDS[3]}.mkv").unlink()
    assert "no such file" in desk.answer({"do": "picture", "clip_id": IDS[3]})["problem"]


def test_errors_are_answers(folder: Path) -> None:
    desk = Desk(folder)
    assert "unknown clip 'x'" in desk.answer({"do": "accept", "clip_id": "x"})["error"]
    assert "unknown clip 'None'" in desk.answer({"do": "picture"})["error"]
    assert "unknown decision 'dance'" in desk.answer({"do": "dance", "clip_id": IDS[0]})["error"]
    assert "unknown clip 'None'" in desk.answer({})["error"]
    assert "to take back" in desk.answer({"do": "undo"})["error"]
    (folder / "review.csv").write_text("nonsense\n")
    for what in ("open", "accept", "undo"):
        error = desk.answer({"do": what, "clip_id": IDS[0]})["error"]
        assert "review.csv, line 1: the header must be" in error
    assert (folder / "review.csv").read_text() == "nonsense\n"


def test_what_is_looked_at(folder: Path, tmp_path: Path) -> None:
    assert Desk(folder).ids == IDS
    assert Desk(folder, everything=True).ids == (*IDS, "random-000-dynamic")
    assert Desk(folder, concepts=["racket static"]).ids[0] == "racket-000-static"
    with pytest.raises(UnknownNameError, match=r"unknown concept 'rackets'.*did you mean"):
        Desk(folder, concepts=["rackets"])
    with pytest.raises(InputError, match="ask for one of the two"):
        Desk(folder, concepts=["racket static"], everything=True)


def test_two_reviewers_at_one_folder_keep_each_others_rows(folder: Path) -> None:
    one, two = Desk(folder, reviewer="anna"), Desk(folder, reviewer="cy")
    one.answer({"do": "accept", "clip_id": IDS[0]})
    two.answer({"do": "reject", "clip_id": IDS[1]})
    state = one.answer({"do": "skip", "clip_id": IDS[3]})
    assert (state["accepted"], state["rejected"], state["skipped"]) == (1, 1, 1)
    assert state["clip_id"] == BROKEN
    assert one.answer({"do": "undo"})["rejected"] == 1
    assert rows(folder) == [f"{IDS[0]},accept,anna", f"{IDS[1]},reject,cy"]
