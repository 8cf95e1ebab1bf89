"""``vx concepts`` from the command line."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from reviewing import IDS, concept_folder, rows
from typer.testing import CliRunner

from vxhelpers.cli import app
from vxhelpers.concept_sets import detector_training, make
from vxhelpers.concept_sets.settings import ClipVersions, ConceptSetSettings, RandomSets
from vxhelpers.errors import InputError

MAKE = ["concepts", "make", "--data", "stage:motion", "--action", "forehand", "--object", "racket"]
FEW = ["--count", "3", "--sets", "2", "--scoring", "2"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A small folder of concepts, made by the command, and what it said."""
    folder = tmp_path_factory.mktemp("made") / "forehand"
    words = [*MAKE, *FEW, "--detector", "ground truth", "--placement", "in_place"]
    done = CliRunner().invoke(app, [*words, "--control", "reversed", "--out", str(folder)])
    assert done.exit_code == 0, done.output
    return folder, done.output


def test_make_writes_sets_and_says_how_they_were_found(made: tuple[Path, str]) -> None:
    folder, output = made
    found = make.read(folder)
    assert set(found.sets) == {
        *("racket dynamic", "racket static", "racket reversed"),
        *(f"random {kind} {k:02d}" for kind in ("dynamic", "static") for k in range(2)),
    }
    assert "forehand, stage:motion, detector ground truth" in output
    assert "3 of 3" in output and "random static, 2 sets" in output and "3 each" in output
    assert f"vx concepts review {folder}" in output.replace("\n", "")
    assert "none of 9 clips reviewed by a person" in output


def test_list_shows_a_folder_and_what_was_decided(made: tuple[Path, str], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made[0], tmp_path / "copy"))
    text = "clip_id,decision,reviewer,at\n"
    text += "racket-000-dynamic,accept,anna,2026-03-01T12:30:00+00:00\n"
    (folder / "review.csv").write_text(text)
    done = CliRunner().invoke(app, ["concepts", "list", str(folder)])
    assert done.exit_code == 0 and "racket reversed" in done.output
    assert "1 accepted and 0 rejected by a person, 8 not reviewed" in done.output
    (folder / "review.csv").write_text(text.replace("accept", "reject"))
    done = CliRunner().invoke(app, ["concepts", "list", str(folder)])
    assert "left out 3: rejected by a person" in done.output
    (folder / "review.csv").write_text(text.replace("accept", "perhaps"))
    done = CliRunner().invoke(app, ["concepts", "list", str(folder)])
    assert done.exit_code == 1 and "review.csv, line 2: decision 'perhaps'" in done.output


def test_list_shows_the_cache_and_goes_on_over_what_is_broken(made: tuple[Path, str]) -> None:
    home = Path(os.environ["VX_CACHE"]) / "concepts"
    shutil.copytree(made[0], home / "good")
    shutil.copytree(made[0], home / "broken")
    (home / "broken" / "review.csv").write_text("nonsense")
    done = CliRunner().invoke(app, ["concepts", "list"], env={"COLUMNS": "200"})
    assert done.exit_code == 0 and "good" in done.output and "racket" in done.output
    assert "broken cannot be used: " in done.output
    assert "line 1: the header must be" in done.output


def test_make_hands_over_what_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def stop(data: Any, action: str, objects: list[str], **options: Any) -> None:
        seen.update(options, data=data.name, action=action, objects=objects)
        raise InputError("seen enough")

    monkeypatch.setattr(make, "make", stop)
    words = "--object ball --count 7 --per-video 2 --sets 3 --scoring 5 --split val --min-frames 9"
    words += " --max-frames 12 --placement centred --control shuffled --allow-fewer --seed 4"
    words += " --random-action toss --random-targets --others stage:static"
    done = CliRunner().invoke(app, [*MAKE, *words.split(), "--skip-unreadable"])
    assert done.exit_code == 1 and done.output == "error: seen enough\n"
    assert seen.pop("others").name == "stage:static" and seen.pop("output").folder is None
    assert seen == {
        **{"data": "stage:motion", "action": "forehand", "objects": ["racket", "ball"]},
        **{"detector": "stage", "seed": 4},
        "settings": ConceptSetSettings(
            7,
            2,
            5,
            "val",
            RandomSets(3, actions=("toss",), targets=True),
            ClipVersions(("centred",), ("shuffled",), 9, 12),
            True,
            True,
        ),
    }
    CliRunner().invoke(app, MAKE)
    assert seen["settings"] == ConceptSetSettings() and seen["others"] is None


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([*MAKE, "--object", "rackets", "--detector", "ground truth"], "did you mean 'racket'"),
        ([*MAKE, "--action", "backhand"], "unknown class 'backhand'"),
        (["concepts", "review", "gone"], "gone: no such folder of concept clips"),
        (["concepts", "list", "gone"], "gone: no such folder of concept clips"),
        (["concepts", "review", "HERE", "--concept", "x"], "unknown concept 'x'"),
        (["concepts", "review", "HERE", "--concept", "x", "--all"], "ask for one of the two"),
    ],
)
def test_what_cannot_be_is_one_line(words: list[str], text: str, made: tuple[Path, str]) -> None:
    words = [str(made[0]) if word == "HERE" else word for word in words]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1 and text in done.output and "Traceback" not in done.output


def test_review_serves_until_it_is_ended(tmp_path: Path) -> None:
    folder = concept_folder(tmp_path / "rackets")
    command = [sys.executable, "-m", "vxhelpers.cli", "concepts", "review", str(folder)]
    server = subprocess.Popen(
        [*command, "--no-browser", "--reviewer", "anna"], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    assert server.stdout.readline() == "Review of rackets: none of 4 clips reviewed by a person\n"
    address = server.stdout.readline().split()[0]
    message = json.dumps({"do": "accept", "clip_id": IDS[0]}).encode()
    request = urllib.request.Request(f"{address}ask", message, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert json.load(answer)["said"] == "Accepted"
    server.send_signal(signal.SIGINT)
    rest, _ = server.communicate(timeout=90)
    assert rest == "1 accepted and 0 rejected by a person, 3 not reviewed\n"
    assert server.returncode == 0 and rows(folder) == [f"{IDS[0]},accept,anna"]


def test_train_detector_hands_over_and_shows_the_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}
    row = {"true": 12, "precision": 0.9876, "recall": None, "ap50": 0.5, "iou": 0.75}

    def train(out: Path, **options: Any) -> dict[str, Any]:
        seen.update(options, out=out)
        labels = {"racket": row}
        return {"test": {"clips": 3, "frames": 48, "confidence": 0.25, "labels": labels}}

    monkeypatch.setattr(detector_training, "train_detector", train)
    words = "concepts train-detector --images 64 --epochs 2 --image-size 96 --seed 5 --threads 1"
    out = tmp_path / "eye.safetensors"
    call = [*words.split(), "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["/somewhere/vx", *call])
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0, done.output
    assert seen.pop("command") == f"vx {words} --out {out}"
    assert seen == {
        **{"out": out, "images": 64, "epochs": 2, "image_size": 96, "seed": 5, "threads": 1},
    }
    assert "0.988" in done.output and "none" in done.output and "48 frames of 3" in done.output
