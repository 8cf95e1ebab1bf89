"""``vx run`` and ``vx book`` on one's own videos: what cannot work is said before anything runs."""

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from vxhelpers import zoo
from vxhelpers.cli import app

CLIPS = """clip_id,path,label,split,start_s,end_s
a0,a.mp4,golf,train,0,1
a1,a.mp4,golf,test,1,2
a2,a.mp4,golf,test,2,3
b1,b.mp4,yoga/[b]calm[/b],test,1,2
b2,b.mp4,yoga/[b]calm[/b],test,2,3
c1,c.mp4,rare,train,0,1
c2,c.mp4,rare,test,1,2
"""
LABELS = ("golf", "yoga/[b]calm[/b]", "rare")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest (its videos are not looked at) and weights: good ones, and others."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "clips.csv").write_text(CLIPS)
    model = zoo.load("stage_r3d", weights="random", labels=LABELS)
    zoo.save(model, folder / "mine.safetensors", dtype=torch.float16)
    fewer = zoo.load("stage_r3d", weights="random", labels=("golf", "rare"))
    zoo.save(fewer, folder / "fewer.safetensors", dtype=torch.float16)
    (folder / "cut.safetensors").write_bytes((folder / "mine.safetensors").read_bytes()[:5000])
    (folder / "text.safetensors").write_text("no weights")
    return folder


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--action", "gulf"], "unknown class 'gulf' in CSV; did you mean 'golf'?"),
        (["--action", "rare"], "CSV: 1 clips of class 'rare' in split 'test'"),
        (
            ["--action", "golf", "--weights", "fewer.safetensors"],
            "unknown label 'yoga/[b]calm[/b]' in fewer.safetensors (train it on CSV",
        ),
        (
            ["--action", "golf", "--weights", "mine.safetensors", "--model", "stage_c3d"],
            "mine.safetensors: weights of 'stage_r3d', not of 'stage_c3d'",
        ),
        (["--action", "golf", "--weights", "cut.safetensors"], "cut.safetensors: damaged"),
        (["--action", "golf", "--weights", "text.safetensors"], "text.safetensors: damaged"),
        (["--action", "golf", "--weights", "gone.safetensors"], "gone.safetensors: no such"),
        (["--action", "golf", "--weights", "models/gone"], "models/gone: no such"),
        (
            ["--action", "golf", "--weights", "motoin", "--model", "stage_r3d"],
            "unknown weights 'motoin' in model 'stage_r3d'; did you mean 'motion'",
        ),
        (
            ["--action", "golf", "--weights", "motion", "--model", "stage_r3d"],
            "unknown label 'golf' in motion (train it on CSV",
        ),
    ],
)
@pytest.mark.parametrize("command", ["run", "book"])
def test_what_cannot_work_is_one_text_and_writes_nothing(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    command: str, options: list[str], text: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(own)
    if "--weights" not in options:
        options = [*options, "--weights", "mine.safetensors"]
    out = tmp_path / "build"
    words = [command, "--manifest", "clips.csv", "--root", str(own), "--out", str(out), *options]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert result.output.startswith("error: ") and result.output.count("\n") == 1
    assert text.replace("CSV", "clips.csv") in result.output
    assert not out.exists()


def test_the_videos_folder_must_be_there(own: Path, tmp_path: Path) -> None:
    words = ["run", "--manifest", str(own / "clips.csv"), "--root", str(tmp_path / "gone")]
    words += ["--weights", str(own / "mine.safetensors"), "--action", "golf"]
    result = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "build")])
    assert result.exit_code == 1 and "gone: no such folder; --root is where" in result.output
    assert not (tmp_path / "build").exists()
