"""From a class and objects to a folder of concept sets, on the stage and on videos."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import squares
from squares import make

from vxhelpers.concept_sets import gathering, pieces
from vxhelpers.concept_sets.make import ConceptFolder, read
from vxhelpers.data.clip import Clip
from vxhelpers.data.datasets import DataSet, open_data
from vxhelpers.data.manifest import read as read_manifest
from vxhelpers.data.splits import video_of
from vxhelpers.errors import InputError, UnknownNameError, VideoError
from vxhelpers.io.cache import Store

SMALL: dict[str, Any] = {"count": 3, "sets": 2, "scoring": 4}
NOTHING: dict[str, Any] = {"count": 3, "sets": 0, "scoring": 2, "fill": (9, 9, 9)}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("VX_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def tennis(cache: Path) -> DataSet:
    return open_data("stage:tennis")


@pytest.fixture(scope="module")
def made(tennis: DataSet, cache: Path) -> ConceptFolder:
    return make(
        tennis,
        "playing tennis",
        ["racket", "person"],
        detector="ground truth",
        folder=cache / "made",
        store=Store(cache),
        **SMALL,
    )


@pytest.fixture
def videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataSet:
    monkeypatch.setattr(pieces, "detect", squares.detect)
    return open_data(squares.write_videos(tmp_path / "videos"))


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_every_version_is_there(made: ConceptFolder) -> None:
    versions = [f"{word}{place}" for word in ("dynamic", "static") for place in ("", " centred")]
    orders = [f"{word}{place}" for word in ("shuffled", "reversed") for place in ("", " centred")]
    expected = {f"{name} {v}" for name in ("racket", "person") for v in versions + orders}
    expected |= {f"random {v} {k:02d}" for v in versions for k in range(2)}
    assert set(made.sets) == expected
    assert {len(item) for item in made.sets.values()} == {3}
    assert len(made.select("concept", kind="dynamic", placement="in_place")) == 2
    assert len(made.select("random", kind="static")) == 4
    assert len(made.select("control", control="reversed")) == 4


def test_concepts_random_clips_and_scored_clips_share_no_video(
    made: ConceptFolder, tennis: DataSet
) -> None:
    videos: dict[str, set[str]] = {"concept": set(), "control": set(), "random": set()}
    pieces: dict[str, str] = {}
    for item in made.sets.values():
        for facts in item.provenance:
            videos[item.concept.role].add(facts["video"])
            if item.name.startswith("random dynamic 0"):
                assert facts["piece"] not in pieces, "a random clip is in two sets"
                pieces[facts["piece"]] = item.name
    scored = {video_of(row, tennis) for row in made.scoring}
    assert len(scored) == 4 and len(videos["random"]) == 6 and len(pieces) == 6
    assert videos["control"] == videos["concept"]
    assert not videos["concept"] & videos["random"]
    assert not scored & (videos["concept"] | videos["random"])
    assert {row.split for row in made.scoring} == {"test"}


def test_random_clips_are_of_the_same_modality_and_never_a_tested_concept(
    made: ConceptFolder,
) -> None:
    for kind in ("dynamic", "static"):
        for item in made.select("random", kind=kind):  # type: ignore[arg-type]
            for clip, facts in zip(item.clips, item.provenance, strict=True):
                assert facts["object"] not in ("racket", "person")
                static = bool((clip.frames == clip.frames[0]).all())
                assert static == (kind == "static")
    dynamic = [facts["piece"] for facts in made["random dynamic 01"].provenance]
    assert dynamic == [facts["piece"] for facts in made["random static 01"].provenance]
    assert dynamic == [facts["piece"] for facts in made["random static centred 01"].provenance]


def test_clips_are_what_the_provenance_says(made: ConceptFolder, tennis: DataSet) -> None:
    item = made["racket dynamic"]
    rows = {row.clip_id: row for row in tennis.rows()}
    fill = made.provenance["fill"]
    for clip, facts in zip(item.clips, item.provenance, strict=True):
        source = tennis.scene(rows[facts["clip_id"]])
        assert source is not None and facts["detector"] == "ground truth"
        assert rows[facts["clip_id"]].label == facts["action"] == "playing tennis"
        start, stop = facts["frames"]
        expected = np.full_like(source.clip.frames[start:stop], fill)
        boxes = source.boxes["racket"][start:stop]
        for t, (x0, y0, x1, y1) in enumerate(boxes.astype(int)):
            expected[t, y0:y1, x0:x1] = source.clip.frames[start + t, y0:y1, x0:x1]
        assert np.array_equal(clip.frames, expected)
        assert clip.fps == source.clip.fps
        assert np.array_equal(facts["boxes"], boxes)
        assert set(facts["confidence"]) == {1.0} and set(facts["seen"]) == {1}


def test_twins_are_linked_and_controls_to_their_track(made: ConceptFolder) -> None:
    assert made.twin("racket dynamic centred").name == "racket static centred"
    assert made.twin("racket static").name == "racket dynamic"
    for name in ("racket static", "racket reversed", "racket shuffled"):
        twins = [facts["twin"] for facts in made[name].provenance]
        assert tuple(twins) == made["racket dynamic"].ids
    forward, backward = made["racket dynamic"].clips, made["racket reversed"].clips
    for clip, other in zip(forward, backward, strict=True):
        assert np.array_equal(clip.frames[::-1], other.frames)
    for clip, other in zip(forward, made["racket shuffled"].clips, strict=True):
        assert not np.array_equal(clip.frames, other.frames)
        assert sorted(map(bytes, clip.frames)) == sorted(map(bytes, other.frames))


def test_the_folder_is_a_data_set(made: ConceptFolder) -> None:
    data = open_data(made.folder / "concepts.csv")
    assert data.manifest.splits == {"concept": 24, "control": 24, "random": 24}
    assert list(data.labels)[:2] == ["racket dynamic", "racket static"]
    row = data.rows("random")[0]
    assert len(data.clip(row)) == 16 and len(row.sha256) == 64
    found = made.provenance["found"]["concept"]
    assert found["videos"] == 3 and found["labels"]["racket"]["kept"] == 3
    assert made.provenance["asked"] == {"racket": 3, "person": 3, "random": 6}
    assert made.provenance["got"] == made.provenance["asked"]
    assert "av" in made.provenance["versions"]


def test_the_same_again_gives_the_same_files(
    made: ConceptFolder, tennis: DataSet, tmp_path: Path
) -> None:
    again = make(
        tennis,
        "playing tennis",
        ["racket", "person"],
        detector="ground truth",
        folder=tmp_path / "again",
        **SMALL,
    )
    assert contents(again.folder) == contents(made.folder)


def test_another_seed_gives_others(tennis: DataSet, made: ConceptFolder, tmp_path: Path) -> None:
    other = make(
        tennis,
        "playing tennis",
        ["racket"],
        detector="ground truth",
        folder=tmp_path / "other",
        seed=1,
        **SMALL | {"sets": 0, "fill": (0, 0, 0)},
    )
    assert other["racket dynamic"].provenance[0]["video"] not in {
        facts["video"] for facts in made["racket dynamic"].provenance
    }
    assert [row.clip_id for row in other.scoring] != [row.clip_id for row in made.scoring]


def test_a_folder_that_is_there_is_kept(
    made: ConceptFolder, tennis: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "write_piece", None)  # nothing may be written
    arguments = (tennis, "playing tennis", ["racket", "person"])
    found = make(*arguments, detector="ground truth", folder=made.folder, **SMALL)
    assert set(found.sets) == set(made.sets)
    with pytest.raises(InputError, match="is there already, made of other videos"):
        make(*arguments, detector="ground truth", folder=made.folder, seed=1, **SMALL)


def test_the_cache_is_keyed_by_content(videos: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments: Any = (videos, "tennis", ["racket"])
    first = make(*arguments, detector=squares.DETECTOR, **NOTHING)
    written = gathering.write_piece
    monkeypatch.setattr(gathering, "write_piece", None)
    assert make(*arguments, detector=squares.DETECTOR, **NOTHING).folder == first.folder
    monkeypatch.setattr(gathering, "write_piece", written)
    other = make(*arguments, detector=squares.DETECTOR, **NOTHING | {"fill": (1, 2, 3)})
    assert other.folder != first.folder and other["racket dynamic"].fill == (1, 2, 3)


def test_an_interrupted_run_leaves_nothing_half_made(
    videos: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(gathering, "write_listing", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make(
            videos,
            "tennis",
            ["racket"],
            detector=squares.DETECTOR,
            folder=tmp_path / "x",
            **NOTHING,
        )
    assert not list(tmp_path.glob("*x*"))


def test_detections_of_a_file_make_concepts(videos: DataSet, tmp_path: Path) -> None:
    bars: list[int] = []

    def progress(pieces: Any, total: int) -> Any:
        bars.append(total)
        return pieces

    made = make(
        videos,
        "tennis",
        ["racket", "person"],
        detector=squares.DETECTOR,
        folder=tmp_path / "made",
        count=3,
        sets=2,
        scoring=2,
        random_per_video=1,
        progress=progress,
    )
    assert bars == [3 * 4]
    red = (np.array(squares.COLOURS["racket"]) == made["racket dynamic"].clips[0].frames).all(-1)
    assert red.sum(axis=(1, 2)).tolist() == [72] * 16
    assert {facts["object"] for facts in made["random dynamic 00"].provenance} == {"book"}
    colour = np.array(made.provenance["fill"])
    assert np.all(np.abs(colour - 110) < 15)


def test_too_few_clips_are_refused_with_what_would_help(videos: DataSet) -> None:
    arguments: Any = (videos, "tennis", ["racket", "person"])
    options: Any = {"detector": squares.DETECTOR, **NOTHING, "count": 6}
    with pytest.raises(InputError) as error:
        make(*arguments, **options)
    text = str(error.value)
    assert "racket: 5 of 6 (5 tracks in 6 videos: 5 kept, dropped: none)" in text
    assert "person" not in text and "after 6 videos" in text
    for words in (
        "lower count (now 6)",
        "min_frames (now 12)",
        "per_video (now 1)",
        "--allow-fewer",
    ):
        assert words in text
    made = make(*arguments, **options, allow_fewer=True)
    assert len(made["racket dynamic"]) == 5 and len(made["person dynamic"]) == 6
    assert made.provenance["asked"]["racket"] == 6 and made.provenance["got"]["racket"] == 5
    assert made.provenance["options"]["settings"]["allow_fewer"]


def test_too_few_random_clips(videos: DataSet, tmp_path: Path) -> None:
    options: Any = {"detector": squares.DETECTOR, **NOTHING, "sets": 2, "count": 5}
    with pytest.raises(InputError, match=r"random: 6 of 10(.|\n)*sets \(now 2\)(.|\n)*targets"):
        make(videos, "tennis", ["racket"], **options, random_actions=["reading"])
    made = make(
        videos, "tennis", ["racket"], **options, random_actions=["reading"], allow_fewer=True
    )
    assert [len(made[f"random dynamic {k:02d}"]) for k in range(2)] == [3, 3]
    options["random_per_video"] = 2
    made = make(videos, "tennis", ["racket"], **options, random_actions=["reading"])
    assert [len(made[f"random dynamic {k:02d}"]) for k in range(2)] == [5, 5]
    listed = {row.path for row in read_manifest(made.folder / "concepts.csv").rows}
    there = {x.relative_to(made.folder).as_posix() for x in made.folder.rglob("*.mkv")}
    assert there == listed


def test_random_clips_are_of_the_videos_that_concepts_leave(videos: DataSet) -> None:
    options: Any = {"detector": squares.DETECTOR, **NOTHING, "sets": 1}
    options["random_actions"] = ["tennis"]  # of whose 6 videos the concept takes 3 of 5
    made = make(videos, "tennis", ["racket"], **options)
    racket = {facts["video"] for facts in made["racket dynamic"].provenance}
    random = {facts["video"] for facts in made["random dynamic 00"].provenance}
    scored = {row.sha256 for row in made.scoring}
    assert (len(racket), len(random), len(scored)) == (3, 3, 2)
    assert len(racket | random | scored) == 8
    assert {facts["object"] for facts in made["random dynamic 00"].provenance} == {"person"}
    with pytest.raises(InputError, match="random: 2 of 4"):
        make(videos, "tennis", ["racket"], **options | {"count": 4})


def test_tested_labels_are_random_in_other_actions_on_request(videos: DataSet) -> None:
    options: Any = {"detector": squares.DETECTOR, **NOTHING, "sets": 1}
    options["random_actions"] = ["reading"]
    with pytest.raises(InputError, match="random: 0 of 3"):
        make(videos, "tennis", ["person", "book"], **options | {"allow_fewer": True})
    made = make(videos, "tennis", ["person"], **options, random_targets=True, random_per_video=2)
    found = {facts["object"] for facts in made["random dynamic 00"].provenance}
    assert found == {"person", "book"}


def test_an_object_that_is_nowhere(videos: DataSet) -> None:
    options: Any = {"detector": squares.DETECTOR, **NOTHING}
    with pytest.raises(InputError, match=r"book: 0 of 3 \(no track was found\)"):
        make(videos, "tennis", ["racket", "book"], **options)
    made = make(videos, "tennis", ["racket", "book"], **options, allow_fewer=True)
    assert {item.concept.object for item in made.sets.values()} == {"racket"}
    assert made.provenance["got"]["book"] == 0
    with pytest.raises(InputError, match="nothing to go on with"):
        make(videos, "tennis", ["book"], **options, allow_fewer=True)


def test_a_damaged_video_is_refused_or_recorded(videos: DataSet) -> None:
    options: Any = {"detector": squares.DETECTOR, **NOTHING, "count": 4}
    assert videos.root is not None
    squares.damage(videos.root / "tennis/train3.mkv")
    with pytest.raises(VideoError, match=r"1 of \d videos(.|\n)*train3\.mkv(.|\n)*--skip-unread"):
        make(videos, "tennis", ["racket"], **options)
    made = make(videos, "tennis", ["racket"], **options, skip_unreadable=True)
    assert list(made.provenance["found"]["concept"]["unreadable"]) == ["tennis-train3"]
    assert "tennis-train3" not in {f["clip_id"] for f in made["racket dynamic"].provenance}


def test_names_that_are_unknown(tennis: DataSet) -> None:
    with pytest.raises(UnknownNameError, match="known: person, arms, legs, racket, ball"):
        make(tennis, "playing tennis", ["bat"], detector="ground truth")
    with pytest.raises(UnknownNameError, match="known: racket, person, book"):
        make(tennis, "playing tennis", ["ball"], detector=squares.DETECTOR)
    with pytest.raises(UnknownNameError, match="playing tennis"):
        make(tennis, "playing tenis", ["ball"], detector="ground truth")


def test_random_clips_of_another_data_set(tennis: DataSet, tmp_path: Path) -> None:
    made = make(
        open_data("stage:motion"),
        "forehand",
        ["racket"],
        detector="ground truth",
        folder=tmp_path / "made",
        others=tennis,
        random_actions=["sweeping floor"],
        fill=(0, 0, 0),
        count=2,
        sets=1,
        scoring=2,
    )
    assert {facts["action"] for facts in made["random static 00"].provenance} == {"sweeping floor"}
    assert made.provenance["others"] == "stage:tennis"
    assert read(made.folder)["racket static"].provenance[0]["action"] == "forehand"
    assert json.loads((made.folder / "provenance.json").read_text())["fill"] == [0, 0, 0]
    assert isinstance(made["racket static"].clips[0], Clip)
