"""A review of a folder: what counts, what comes next, what a replaced clip does."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from reviewing import BROKEN, IDS, concept_folder, rows

from vxhelpers.concept_sets import review
from vxhelpers.data.clip import Clip
from vxhelpers.data.video import write_clip
from vxhelpers.errors import InputError, ManifestError, UnknownNameError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return concept_folder(tmp_path_factory.mktemp("made") / "rackets")


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "rackets"))


@pytest.fixture
def plain(folder: Path, tmp_path: Path) -> Path:
    """Clips as a user brings them; one is no video."""
    for name in ("racket/a.mkv", "racket/b.mkv", "ball/a.mkv"):
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / f"clips/{IDS[len(name) % 2]}.mkv", tmp_path / "mine" / name)
    (tmp_path / "mine/racket/b.mkv").write_text("text")
    return tmp_path / "mine"


def test_decisions_are_in_the_file_and_the_last_one_counts(folder: Path) -> None:
    state = review.load(folder)
    assert str(state.counts()) == "none of 5 clips reviewed by a person"
    for clip_id, decision in zip(IDS, ("accept", "reject", "skip"), strict=False):
        state = review.decide(state, clip_id, decision, reviewer=" Anna  B. ")
    state = review.decide(state, IDS[0], "reject", reviewer="Cy")
    assert rows(folder)[0] == f"{IDS[0]},accept,Anna B." and len(rows(folder)) == 4
    assert (folder / "review.csv").read_text().count(state.data.rows()[4].sha256) == 2
    again = review.load(folder)
    assert again.decided.keys() == state.decided.keys()
    assert again.decided[IDS[0]].decision == "reject"
    assert again.counts() == review.counts(folder) == review.Counts(0, 2, 1, 2, ("Anna B.", "Cy"))
    assert str(again.counts()) == "0 accepted and 2 rejected by a person, 3 not reviewed"


def test_a_decision_is_one_about_all_clips_of_the_track(folder: Path) -> None:
    state = review.load(folder)
    assert state.one_each() == (*IDS, "random-000-dynamic")  # the dynamic ones, listed second
    static = IDS[1].replace("dynamic", "static")
    state = review.decide(state, static, "accept", reviewer="")
    assert state.decided[IDS[1]].clip_id == static
    state = review.decide(state, IDS[1], "reject", reviewer="")
    assert {state.decided[x].decision for x in (static, IDS[1])} == {"reject"}
    assert state.counts() == review.Counts(0, 1, 0, 4)


def test_undo_goes_back_over_sessions_and_only_over_ones_own(folder: Path) -> None:
    state = review.load(folder)
    for clip_id, decision, name in (
        (IDS[0], "accept", "anna"),
        (IDS[0], "reject", "anna"),
        (IDS[1], "accept", "cy"),
    ):
        state = review.decide(state, clip_id, decision, reviewer=name)
    state, about = review.undo(review.load(folder), reviewer="anna")
    assert about == IDS[0] and state.decided[IDS[0]].decision == "accept"
    state, _ = review.undo(state, reviewer="anna")
    assert rows(folder) == [f"{IDS[1]},accept,cy"]
    with pytest.raises(InputError, match=r"review.csv: has no decision of anna to take back"):
        review.undo(state, reviewer="anna")


def test_the_reviewer_is_the_account_unless_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review.getpass, "getuser", lambda: "dora")
    review.decide(review.load(folder), IDS[0], "skip")
    assert rows(folder) == [f"{IDS[0]},skip,dora"]

    def nobody() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(review.getpass, "getuser", nobody)
    state = review.decide(review.load(folder), IDS[1], "skip")
    assert rows(folder)[1] == f"{IDS[1]},skip,"
    with pytest.raises(InputError, match="no decision of that reviewer"):
        review.undo(review.undo(state)[0])


def test_a_clip_replaced_under_its_name_has_not_been_reviewed(plain: Path) -> None:
    state = review.decide(review.load(plain), "racket/a", "accept", reviewer="anna")
    assert state.counts() == review.Counts(1, 0, 0, 2, ("anna",))
    write_clip(Clip(np.zeros((3, 8, 8, 3), np.uint8), 5.0, "other"), plain / "racket/a.mkv")
    state = review.load(plain)
    assert state.counts() == review.Counts(0, 0, 0, 3) and len(state.log) == 1
    text = (plain / "review.csv").read_text().splitlines()
    bare = [text[0], text[1].rpartition(",")[0] + ","]  # a row without a hash counts
    (plain / "review.csv").write_text("\n".join(bare) + "\n")
    assert review.load(plain).counts().accepted == 1


def test_plain_folders_are_reviewed_with_what_is_unreadable_in_them(plain: Path) -> None:
    state = review.load(plain)
    assert state.one_each() == ("ball/a", "racket/a", "racket/b")
    assert (
        state.unreadable.keys() == {"racket/b"} and "cannot be read" in state.unreadable["racket/b"]
    )
    review.decide(state, "racket/b", "reject", reviewer="")
    assert review.counts(plain) == review.Counts(0, 1, 0, 2)
    (plain / "racket/b.mkv").unlink()
    with pytest.raises(ManifestError, match=r"review.csv, line 2: unknown clip 'racket/b'"):
        review.load(plain)


def test_what_comes_next_is_unseen_then_skipped_then_nothing(folder: Path) -> None:
    state = review.load(folder)
    assert state.following(IDS) == IDS[0] and state.following(IDS, IDS[3]) == IDS[0]
    for clip_id, decision, following in (
        (IDS[0], "skip", IDS[1]),
        (IDS[2], "accept", IDS[3]),  # on from there, round to what was left out
        (IDS[3], "skip", IDS[1]),
        (IDS[1], "reject", IDS[3]),  # the skipped ones, going on from there
        (IDS[3], "accept", IDS[0]),
        (IDS[0], "skip", IDS[0]),
        (IDS[0], "accept", None),
    ):
        state = review.decide(state, clip_id, decision, reviewer="")
        assert state.following(IDS, clip_id) == following


def test_what_cannot_be_is_named_and_nothing_is_written(folder: Path, tmp_path: Path) -> None:
    state = review.load(folder)
    with pytest.raises(UnknownNameError, match=r"unknown clip 'racket-000-movin'.* did you mean"):
        review.decide(state, "racket-000-movin", "accept")
    with pytest.raises(UnknownNameError, match="unknown decision 'yes'"):
        review.decide(state, IDS[0], "yes")
    assert not (folder / "review.csv").exists()
    with pytest.raises(ManifestError, match="gone: no such folder of concept clips"):
        review.load(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError, match="empty: holds no video"):
        review.load(tmp_path / "empty")
    (folder / "provenance.json").write_text("[]")
    with pytest.raises(ManifestError, match=r"provenance.json: is no record of concept clips"):
        review.load(folder)


def test_a_file_broken_meanwhile_stays_as_it_is(folder: Path) -> None:
    state = review.decide(review.load(folder), IDS[0], "accept", reviewer="")
    nonsense = (folder / "review.csv").read_text().replace("accept", "perhaps")
    (folder / "review.csv").write_text(nonsense)
    for change in (
        lambda: review.decide(state, BROKEN, "skip"),
        lambda: review.undo(state),
        lambda: review.reload(state),
        lambda: review.load(folder),
    ):
        with pytest.raises(ManifestError, match=r"review.csv, line 2: decision 'perhaps'"):
            change()
    assert (folder / "review.csv").read_text() == nonsense
