"""`vx train` and `vx evaluate` from the command line."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from vxhelpers.cli import app
from vxhelpers.models.training import experiment, presets
from vxhelpers.models.zoo import load, save


def test_train_hands_over_what_was_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, object] = {}

    def stop(model: str, data: str, out: Path, **options: object) -> None:
        seen.update(model=model, data=data, out=out, **options)
        raise presets.InputError("seen enough")

    monkeypatch.setattr(experiment, "train_model", stop)
    words = "train --model stage_r3d --data stage:motion --preset swin --epochs 3 --lr 1e-3"
    words += " --set clip-norm=0.5 --set flip=true --labels a,b --clips 9 --device cpu --no-resume"
    done = CliRunner().invoke(app, [*words.split(), "--out", str(tmp_path / "x")])
    assert done.exit_code == 1 and "seen enough" in done.output
    preset = seen["preset"]
    assert isinstance(preset, presets.Preset)
    assert (preset.epochs, preset.lr, preset.clip_norm, preset.flip) == (3, 1e-3, 0.5, True)
    assert preset.batch == presets.PRESETS["swin"].batch
    assert (seen["labels"], seen["clips"], seen["resume"]) == (("a", "b"), 9, False)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("--preset quik", "did you mean 'quick'"),
        ("--set flip", "NAME=VALUE is needed"),
        ("--set epoch=3", "did you mean 'epochs'"),
        ("--epochs 0", "epochs must be 1 or more"),
    ],
)
def test_options_that_cannot_be_used_are_one_line(words: str, text: str, tmp_path: Path) -> None:
    start = ["train", "--model", "stage_r3d", "--data", "stage:motion", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, [*start, *words.split()])
    assert done.exit_code == 1
    assert text in done.output and "Traceback" not in done.output


def test_evaluate_shows_scores_and_confusions(tmp_path: Path) -> None:
    labels = ("carrying", "forehand", "reversed forehand")
    path = save(load("stage_c3d", weights="random", labels=labels), tmp_path / "c3d.safetensors")
    words = f"evaluate --model stage_c3d --weights {path} --data stage:motion --limit 6"
    done = CliRunner().invoke(app, [*words.split(), "--device", "cpu"])
    assert done.exit_code == 0, done.output
    for text in ("frozen", "shuffled", "0.333", "label by prediction, reversed"):
        assert text in done.output
