import csv
import json
import re
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import WriteVideo, blob_frames
from typer.testing import CliRunner

from vxhelpers.cli import app
from vxhelpers.data import manifest, stage
from vxhelpers.data.datasets import dependence, open_data, render_stage
from vxhelpers.data.manifest import Manifest, Row
from vxhelpers.data.scan import _windows, scan, write_beside
from vxhelpers.data.verify import Problem, verify
from vxhelpers.data.video import read_clip
from vxhelpers.errors import InputError, ManifestError, UnknownNameError, VideoError


@pytest.fixture
def folder(tmp_path: Path, write_video: WriteVideo) -> Path:
    """Two classes of four videos each, all different, 0.8 s long."""
    for k in range(8):
        frames = np.roll(blob_frames(), 3 * k, axis=1)
        write_video(f"clips/{'walking' if k % 2 else 'run, fast'}/v{k}.mp4", frames)
    (tmp_path / "clips" / "walking" / "notes.txt").write_text("no video")
    (tmp_path / "clips" / "walking" / ".hidden.mp4").write_text("left by an editor")
    return tmp_path / "clips"


def run(*words: object) -> tuple[int, str]:
    """Exit code and text of a ``vx`` command, runs of blanks made one."""
    done = CliRunner(env={"COLUMNS": "250", "NO_COLOR": "1"}).invoke(app, [*map(str, words)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, re.sub(r"\s+", " ", done.output)


# scan


def test_a_folder_of_classes_becomes_a_manifest(folder: Path) -> None:
    found = scan(folder, val=0.25, test=0.25, seed=1)
    assert found.labels == ("run, fast", "walking") and len(found.rows) == 8
    assert found.splits == {"train": 4, "val": 2, "test": 2} == found.card["counts"]
    for label in found.labels:  # drawn class by class
        splits = sorted(row.split for row in found.rows if row.label == label)
        assert splits == ["test", "train", "train", "val"]
    assert found.rows[0].clip_id == "run, fast/v0" and found.rows[0].start_s is None
    assert all(len(row.sha256) == 64 for row in found.rows)
    assert scan(folder, val=0.25, test=0.25, seed=1) == found
    others = [scan(folder, val=0.25, test=0.25, seed=seed).digest for seed in range(2, 6)]
    assert set(others) - {found.digest}


def test_windows_and_a_split_in_time(folder: Path) -> None:
    found = scan(folder, windows=4, seconds=0.16, split="time", val=0.25, test=0.25)
    assert len(found.rows) == 32
    for path in {row.path for row in found.rows}:
        rows = [row for row in found.rows if row.path == path]
        assert [row.split for row in rows] == ["train", "train", "val", "test"]
        assert [row.clip_id.rpartition("#")[2] for row in rows] == ["0", "1", "2", "3"]
        assert all(a.end_s <= b.start_s for a, b in pairwise(rows))
        assert rows[0].start_s == 0 and rows[-1].end_s == pytest.approx(0.8, abs=0.002)
        assert len(read_clip(folder / path, start_s=rows[1].start_s, end_s=rows[1].end_s)) == 4


@pytest.mark.parametrize("duration", [0.8, 4.337667, 10.0, 7.876056338])
@pytest.mark.parametrize("windows", [None, 1, 3, 7])
@pytest.mark.parametrize("seconds", [None, 0.4, 1.2, 30.0])
def test_windows_never_overlap_or_leave_the_video(
    duration: float, windows: int | None, seconds: float | None
) -> None:
    found = _windows(duration, windows, seconds)
    assert all(0 <= a < b <= duration + 0.0005 for a, b in found)
    assert all(a[1] <= b[0] for a, b in pairwise(found))
    assert len(found) <= (windows or 99)
    if seconds and seconds < duration:
        assert all(b - a == pytest.approx(seconds, abs=0.0021) for a, b in found)
        assert len(found) == min(windows or 99, int(duration / seconds + 1e-6))


def test_split_folders_are_taken_as_they_are(folder: Path) -> None:
    for k, part in enumerate(("train", "val", "test")):
        (folder / part / "walking").mkdir(parents=True)
        (folder / "walking" / f"v{2 * k + 1}.mp4").rename(folder / part / "walking" / "v.mp4")
    shutil.rmtree(folder / "run, fast")
    shutil.rmtree(folder / "walking")
    found = scan(folder)
    assert {row.clip_id: (row.label, row.split) for row in found.rows} == {
        f"{part}/walking/v": ("walking", part) for part in ("train", "val", "test")
    }


def test_labels_come_from_a_csv(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text('path,label,by\nwalking/v1.mp4,stroll,me\n"run, fast/v0.mp4",dash,me\n')
    found = scan(folder, labels=table, val=0, test=0)
    assert [(row.path, row.label) for row in found.rows] == [
        ("walking/v1.mp4", "stroll"),
        ("run, fast/v0.mp4", "dash"),
    ]
    assert found.card["left_out"]["not_listed"] == 6
    for text, match in (
        ("path,class\n", "columns path,label"),
        ("path,label\n", "lists no video"),
        ("path,label\nwalking/v1.mp4,\n", "line 2: path or label is empty"),
        ("path,label\na.mp4,l\na.mp4,l\n", "line 3: a.mp4 is listed twice"),
        ("path,label\nwalking/v1.mp4,run, fast\n", "line 2: has more cells.*quotes"),
        ("path,label\n../a.mp4,l\n", "line 2: .*leaves the root"),
        ("path,label\ngone.mp4,l\n", r"1 of 1 videos cannot be read:\n.*gone.mp4"),
    ):
        table.write_text(text)
        with pytest.raises(ManifestError, match=match):
            scan(folder, labels=table)
    with pytest.raises(ManifestError, match=r"gone\.csv: cannot be read: No such file"):
        scan(folder, labels=tmp_path / "gone.csv")


def test_labels_may_hold_anything(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    names = ["sport/yoga & <i>calm</i>", "[b]x[/b], |y|", "läuft 走"]
    rows = "".join(f'walking/v{2 * k + 1}.mp4,"{name}"\n' for k, name in enumerate(names))
    table.write_text("path,label\n" + rows, encoding="utf-8")
    write_beside(scan(folder, labels=table, windows=2), tmp_path / "m.csv", folder)
    read = manifest.read(tmp_path / "m.csv")
    assert list(read.labels) == sorted(names)
    assert [row.label for row in read.rows[::2]] == names


def test_files_of_other_kinds_are_counted(folder: Path) -> None:
    for name in ("notes.txt", "a.TXT", "README", "labels.csv", ".hidden"):
        (folder / "walking" / name).touch()
    assert scan(folder).card["left_out"]["other_endings"] == {"": 1, ".txt": 2}
    code, text = run("data", "scan", folder)
    assert code == 0 and "no videos by their ending: 1 without an ending, 2 .txt" in text


def test_unreadable_videos_are_listed(folder: Path) -> None:
    (folder / "walking" / "bad.mp4").write_text("no video at all\n" * 50)
    (folder / "walking" / "empty.mp4").touch()
    with pytest.raises(ManifestError, match=r"2 of 10 videos cannot be read(?s:.*)empty.mp4"):
        scan(folder)
    found = scan(folder, skip_unreadable=True)
    assert len(found.rows) == 8
    assert sorted(found.card["left_out"]["unreadable"]) == ["walking/bad.mp4", "walking/empty.mp4"]


def test_bad_folders_and_options(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no such folder"):
        scan(tmp_path / "gone")
    (tmp_path / "none").mkdir()
    with pytest.raises(ManifestError, match="holds no video"):
        scan(tmp_path / "none")
    shutil.copy(folder / "walking" / "v1.mp4", folder / "loose.mp4")
    with pytest.raises(ManifestError, match=r"loose.mp4: lies in no class folder.*--labels"):
        scan(folder)
    for options, match in (
        ({"windows": 0}, "above 0"),
        ({"seconds": -1.0}, "above 0"),
        ({"val": 0.6, "test": 0.5}, "leave some for training"),
        ({"split": "time"}, "several clips a video"),
    ):
        with pytest.raises(InputError, match=match):
            scan(folder, **options)


# verify


def test_verify_finds_each_kind_of_problem(folder: Path) -> None:
    walking = folder / "walking"
    rows = list(scan(folder).rows)
    by_path = {row.path: k for k, row in enumerate(rows)}
    (walking / "v1.mp4").unlink()
    (walking / "v3.mp4").write_text("not a video any more\n" * 20)
    shutil.copy(walking / "v5.mp4", walking / "v7.mp4")
    k = by_path["run, fast/v0.mp4"]
    rows[k] = Row("late", rows[k].path, rows[k].label, "test", 0.5, 1.5, rows[k].sha256)
    rows.append(Row("again", "run, fast/v2.mp4", "run, fast", "test"))
    rows.append(Row("part", "run, fast/v2.mp4", "run, fast", "test", 0.0, 0.4))
    found = verify(Manifest("m", tuple(rows)), folder)
    assert {(p.clip_id, p.kind) for p in found} == {
        ("walking/v1", "missing"),
        ("walking/v3", "unreadable"),
        ("walking/v3", "hash mismatch"),
        ("walking/v7", "hash mismatch"),
        ("walking/v7", "duplicate"),
        ("late", "out of range"),
        ("again", "duplicate"),
    }
    detail = {(p.clip_id, p.kind): p.detail for p in found}
    assert "1.5 s, the video at 0.800 s" in detail["late", "out of range"]
    assert "'run, fast/v2'" in detail["again", "duplicate"]


def test_a_link_out_of_the_root_is_a_problem(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "walking" / "v1.mp4", tmp_path / "outside.mp4")
    (folder / "link.mp4").symlink_to(tmp_path / "outside.mp4")
    found = verify(Manifest("m", (Row("a", "link.mp4", "l", "train"),)), folder)
    assert [(p.kind, "leaves the root" in p.detail) for p in found] == [("missing", True)]
    assert isinstance(found[0], Problem)


# open_data


def test_videos_on_disk(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "elsewhere" / "clips.csv"
    write_beside(scan(folder, windows=2), path, folder)
    data = open_data(path)
    assert data.labels == ("run, fast", "walking") and len(data.rows()) == 16
    assert data.digest == data.manifest.digest
    row = data.rows(split="train", label="walking")[0]
    clip = data.clip(row)
    assert len(clip) == 10 and data.scene(row) is None
    assert len(open_data(path, root=folder).rows()) == 16
    with pytest.raises(UnknownNameError, match=r"unknown class 'walkin' in .*'walking'"):
        data.rows(label="walkin")
    with pytest.raises(UnknownNameError, match="unknown split 'tests'"):
        data.rows(split="tests")
    (folder / row.path).unlink()
    with pytest.raises(VideoError, match=f"{re.escape(row.path)}: no such file"):
        data.clip(row)
    with pytest.raises(ManifestError, match="gone: no such folder"):
        open_data(path, root=tmp_path / "gone")
    with pytest.raises(ManifestError, match=r"where are the videos.*--root"):
        open_data("kth")
    monkeypatch.setenv("VX_DATA", str(tmp_path))
    (tmp_path / "kth").mkdir()
    assert open_data("kth").root == tmp_path / "kth"


def test_shared_videos_are_named() -> None:
    def rows(*videos: str, sha: str = "") -> list[Row]:
        return [Row(f"{v}{k}", v, "walking", "x", sha256=sha) for k, v in enumerate(videos)]

    assert dependence(rows("a", "b"), rows("c", "d")) == ""
    windows = dependence(rows("a", "a", "b"), rows("c"), name="val")
    assert windows.startswith("The 3 val clips are windows of 2 videos") and "train" not in windows
    both = dependence(rows("a", "a", "b", "c"), rows("a", "b", "b"))
    assert "The 4 test clips are windows of 3 videos" in both
    assert "3 of the 4 test clips come from videos with other windows in the training" in both
    copy = dependence(rows("copy", sha="f" * 64), rows("a", sha="f" * 64))
    assert "1 of the 1 test clips" in copy


def test_rendered_clips() -> None:
    data = open_data("stage:motion")
    assert data.labels == stage.TASKS["motion"].labels
    row = data.rows(split="test", label=data.labels[1])[0]
    scene = data.scene(row)
    assert scene is not None and scene.label == row.label and scene.split == "test"
    assert np.array_equal(data.clip(row).frames, scene.clip.frames)
    assert len(data.rows("test")) == stage.TASKS["motion"].sizes["test"]
    assert data.digest != open_data("stage:static").digest
    with pytest.raises(UnknownNameError, match="did you mean 'motion'"):
        open_data("stage:moton")
    with pytest.raises(InputError, match="rendered and has no root"):
        open_data("stage:motion", root=".")


def test_rendered_files_hold_clip_and_truth(tmp_path: Path) -> None:
    made = render_stage(tmp_path, task="static", split="test", count=2, size=48)
    assert verify(made, tmp_path) == []
    data = open_data(tmp_path / "stage.csv")
    for k, row in enumerate(data.rows("test")):
        scene = stage.render("static", "test", k, size=48)
        assert np.array_equal(data.clip(row).frames, scene.clip.frames)
        base = tmp_path / row.path
        with np.load(base.with_suffix(".ids.npz")) as file:
            assert np.array_equal(file["ids"], scene.ids)
        truth = json.loads(base.with_suffix(".json").read_text())
        assert truth["label"] == row.label == scene.label
        assert truth["planted"]["kind"] == "static"
        for name, track in scene.boxes.items():
            told = [[np.nan] * 4 if box is None else box for box in truth["boxes"][name]]
            np.testing.assert_array_equal(np.array(told, np.float32), track)
    first = (tmp_path / "stage.csv").read_bytes()
    render_stage(tmp_path, task="static", split="test", count=2, size=48)
    assert (tmp_path / "stage.csv").read_bytes() == first
    with pytest.raises(UnknownNameError, match="unknown split 'tset'"):
        render_stage(tmp_path, task="static", split="tset")
    with pytest.raises(InputError, match="count"):
        render_stage(tmp_path, count=0)


def test_an_interrupted_rendering_leaves_no_manifest(tmp_path: Path) -> None:
    def interrupted(rows: object, total: int):
        yield next(iter(rows))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render_stage(tmp_path, task="motion", size=32, progress=interrupted)
    files = sorted(p.name for p in tmp_path.rglob("*") if p.is_file())
    assert files == ["00000.ids.npz", "00000.json", "00000.mkv"]


# vx data


def test_vx_data_list() -> None:
    code, text = run("data", "list")
    assert code == 0 and "760 train, 768 val, 863 test" in text and "CC BY 4.0" in text
    code, text = run("data", "list", "kth")
    assert code == 0 and "Schuldt" in text and "hand waving" in text
    code, text = run("data", "list", "ktth")
    assert code == 1 and "unknown manifest 'ktth'; did you mean 'kth'?" in text


def test_vx_data_scan_and_verify(folder: Path) -> None:
    code, text = run("data", "scan", folder, "--windows", 4, "--seconds", 0.2, "--split", "time")
    assert code == 0 and "32 clips" in text
    table = folder / "manifest.csv"
    assert manifest.read(table).card["root"] == "."
    code, text = run("data", "verify", table, "--root", folder)
    assert code == 0 and "32 of 32 clips are usable" in text
    (folder / "walking" / "v1.mp4").unlink()
    (folder / "run, fast" / "v0.mp4").write_bytes(b"")
    code, text = run("data", "verify", table, "--root", folder)
    assert code == 1 and "24 of 32 clips are usable" in text
    assert "walking/v1#0" in text and "no such file" in text and "hash mismatch" in text
    assert "empty (0 bytes)" in text


def test_vx_data_shows_markup_in_names_as_it_is(folder: Path) -> None:
    (folder / "walking").rename(folder / "[red]walking")
    code, text = run("data", "scan", folder)
    assert code == 0 and "[red]walking" in text
    (folder / "[red]walking" / "v1.mp4").unlink()
    code, text = run("data", "verify", folder / "manifest.csv", "--root", folder)
    assert code == 1 and "[red]walking/v1.mp4" in text


def test_vx_data_errors_are_one_text(folder: Path, tmp_path: Path) -> None:
    (folder / "walking" / "bad.mp4").touch()
    code, text = run("data", "scan", folder)
    assert code == 1 and "bad.mp4: is empty (0 bytes)" in text and "--skip-unreadable" in text
    assert "Traceback" not in text and not (folder / "manifest.csv").exists()
    code, text = run("data", "scan", folder, "--skip-unreadable", "--to", tmp_path / "m.csv")
    assert code == 0 and "left out walking/bad.mp4" in text
    with (tmp_path / "m.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 8
    assert run("data", "verify", "kinetics700", "--root", folder)[0] == 1
    assert run("data", "verify", "kth")[0] == 2
    assert run("data", "scan", folder, "--split", "colour")[0] == 2


def test_every_command_has_examples() -> None:
    for command in ("list", "scan", "verify", "render"):
        code, text = run("data", command, "--help")
        assert code == 0 and f"vx data {command}" in text


def test_vx_data_render(tmp_path: Path) -> None:
    code, text = run("data", "render", tmp_path, "--task", "kth", "--count", 1, "--size", 32)
    assert code == 0 and "3 clips" in text
    assert len(open_data(tmp_path / "stage.csv").rows()) == 3


def test_real_footage_scans_and_reads(real: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    names = ("deadlift.mp4", "arm_wrestling.mp4", "yoga.mp4")
    table.write_text("path,label\n" + "".join(f"{name},{name[:-4]}\n" for name in names))
    found = scan(real / "footage", labels=table, windows=3, seconds=0.6, split="time")
    assert len(found.rows) == 9 and verify(found, real / "footage") == []
    write_beside(found, tmp_path / "real.csv", real / "footage")
    data = open_data(tmp_path / "real.csv")
    clip = data.clip(data.rows(label="yoga")[2])
    assert len(clip) == pytest.approx(0.6 * clip.fps, abs=1)
