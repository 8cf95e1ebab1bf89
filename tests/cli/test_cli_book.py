"""``vx run`` and ``vx book`` on one's own videos: what cannot work is said before anything runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from light import HOLDS
from typer.testing import CliRunner

from vxhelpers.book import runs
from vxhelpers.book.run_targets import Target, labels_of
from vxhelpers.book.runs import Run
from vxhelpers.cli import app
from vxhelpers.io.code_digest import PACKAGE
from vxhelpers.models import zoo

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


TINY = Path(__file__).parents[1] / "tiny_book"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Target, Path]]:
    """What `vx run` would run; nothing is run."""
    pairs: list[tuple[Target, Path]] = []

    def run_chapters(wanted: list[tuple[Target, Path]], **_: object) -> list[Run]:
        pairs.extend(wanted)
        return [Run(target, path, Path(), "kept") for target, path in wanted]

    monkeypatch.setattr(runs, "run_chapters", run_chapters)
    return pairs


def _run(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["run", "--book", str(TINY), *words])
    assert result.exit_code == code, result.output
    return result.output


def test_classes_by_networks_by_chapters(asked: list[tuple[Target, Path]], tmp_path: Path) -> None:
    both = ["--model", "stage_c3d", "--model", "stage_r3d"]
    _run("--actions", "all", "--dataset", "stage:kth", *both, "--chapter", "tiny")
    assert len(asked) == len(set(asked)) == 2 * len(labels_of("stage:kth"))
    first, second = asked[0][0], asked[1][0]
    assert (first.action, second.action) == (first.action, first.action)
    assert (first.model, first.weights, first.apart) == ("stage_c3d", "kth", False)
    assert (second.model, second.weights, second.apart) == ("stage_r3d", "kth", True)
    by_flags = list(asked)
    asked.clear()
    plan = tmp_path / "plan.yml"
    plan.write_text(
        "actions: all\ndataset: 'stage:kth'\nmodels: [stage_c3d, stage_r3d]\nchapters: tiny\n"
    )
    _run("--plan", str(plan))
    assert asked == by_flags
    asked.clear()
    _run("--plan", str(plan), "--action", "boxing", "--chapter", "single")
    assert [(t.action, path.stem) for t, path in asked] == [("boxing", "single")] * 2


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--plan", "gone.yml"], "gone.yml"),
        (["--slurm", "queu=gpu"], "did you mean 'queue'"),
        (["--slurm", "", "--scheduler", "tcp://a:1"], "give one of them"),
        (["--model", "r3d_18", "--model", "mc3_18", "--weights", "a"], "2 models and 1 weights"),
    ],
)
def test_what_a_plan_may_not_say_is_one_text(tmp_path: Path, words: list[str], text: str) -> None:
    said = _run(*words, "--out", str(tmp_path / "build"), code=1)
    assert said.startswith("error: ") and text in said
    assert not (tmp_path / "build").exists()


def test_a_book_takes_no_choice_of_chapters(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yml"
    plan.write_text("chapters: tiny\n")
    result = CliRunner().invoke(app, ["book", "--book", str(TINY), "--plan", str(plan)])
    assert result.exit_code == 1 and "a book holds all chapters" in result.output


def test_what_is_interrupted_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> list[Run]:
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "run_chapters", interrupted)
    said = _run("--out", str(tmp_path / "build"), code=130)
    assert "interrupted; the same command goes on" in said


def test_a_folder_that_another_run_holds_is_named(tmp_path: Path) -> None:
    words = [sys.executable, "-c", HOLDS, str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        said = _run("--out", str(tmp_path), "--chapter", "tiny", code=1)
        other.kill()
    assert f"another run is at work there (process {other.pid} on " in said
