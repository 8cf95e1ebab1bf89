"""From a task or a manifest to a weights file whose card says what it is worth."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vxhelpers.data.clip import Clip
from vxhelpers.data.datasets import open_data
from vxhelpers.data.manifest import Row
from vxhelpers.data.video import write_clip
from vxhelpers.errors import InputError, UnknownNameError, VxError, WeightsError
from vxhelpers.models import zoo
from vxhelpers.models.evaluate import accuracy, predict
from vxhelpers.models.training import experiment
from vxhelpers.models.training.experiment import clips_of, hold_out, train_model
from vxhelpers.models.training.modelcard import card_markdown, read_card
from vxhelpers.models.training.presets import PRESETS

QUICK = replace(PRESETS["quick"], epochs=1, batch=8, reach=1)
LABELS = ("dark|er", "lighter")


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips that fade out or in, three videos a class and split, no val split."""
    folder = tmp_path_factory.mktemp("footage")
    lines = ["clip_id,path,label,split,start_s,end_s"]
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for k in range(3):
            for label, way in zip(LABELS, (-1, 1), strict=True):
                ramp = np.linspace(40, 200, 16)[::way].astype(np.uint8)
                noise = rng.integers(0, 40, (16, 32, 32, 3)).astype(np.uint8)
                name = f"{split}{k}{way}"
                write_clip(
                    Clip(noise + ramp[:, None, None, None], 25, name), folder / f"{name}.mkv"
                )
                lines.append(f"{name},{name}.mkv,{label},{split},,")
    (folder / "fades.csv").write_text("\n".join(lines) + "\n")
    (folder / "fades.yaml").write_text("name: fades\n")
    return folder


@pytest.fixture(scope="module")
def trained(footage: Path) -> tuple[Path, dict[str, object]]:
    out = footage / "out" / "fades.safetensors"
    card = train_model(
        "stage_c3d", str(footage / "fades.csv"), out, preset=QUICK, command="vx train ...",
        progress=False,
    )  # fmt: skip
    return out, card


def test_weights_and_card_belong_together(trained: tuple[Path, dict[str, object]]) -> None:
    out, card = trained
    assert sorted(path.name for path in out.parent.iterdir()) == [
        "fades.json",
        "fades.safetensors",
    ]
    assert read_card(out) == json.loads(json.dumps(card))
    model = zoo.load("stage_c3d", weights=out)
    assert model.labels == LABELS
    assert card["parameters"] == sum(p.numel() for p in model.net.parameters())
    assert card["clips"] == {
        "train": {LABELS[0]: 2, LABELS[1]: 2},
        "val": {LABELS[0]: 1, LABELS[1]: 1},
        "test": {LABELS[0]: 3, LABELS[1]: 3},
    }
    assert "no val split: 2 of 6 training clips were held out" in str(card["note"])


def test_the_cards_accuracy_is_that_of_the_file(
    trained: tuple[Path, dict[str, object]], footage: Path
) -> None:
    out, card = trained
    model = zoo.load("stage_c3d", weights=out)
    data = open_data(footage / "fades.csv")
    clips, labels = clips_of(data, "test", labels=model.labels)
    score = accuracy(labels, predict(model, clips).argmax(1), 2)
    written = card["accuracy"]["test"]  # type: ignore[index]
    assert (written["correct"], written["n"]) == (score.correct, score.n)
    causal = card["causal"]["test"]  # type: ignore[index]
    assert set(causal["accuracy"]) == {"normal", "frozen", "reversed", "shuffled"}
    assert causal["accuracy"]["normal"] == written
    assert np.sum(causal["tables"]["reversed"]) == 6


def test_card_in_words_escapes_what_comes_from_data(
    trained: tuple[Path, dict[str, object]],
) -> None:
    card = {**trained[1], "task": "<script>x</script>"}
    text = card_markdown(card)
    assert "&lt;script&gt;" in text and "<script>" not in text
    assert "dark&#124;er" in text and "dark|er" not in text
    for line in (line for line in text.splitlines() if line.startswith("| test")):
        assert line.count("|") == 7
    assert "| frozen |" in text and "vx train ..." in text


def test_starting_from_other_weights(
    trained: tuple[Path, dict[str, object]], footage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {}

    def stop(model: zoo.Model, *_: object, **__: object) -> None:
        seen["state"] = model.net.state_dict()
        raise InputError("seen enough")

    monkeypatch.setattr(experiment, "fit", stop)
    with pytest.raises(InputError, match="seen enough"):
        train_model(
            "stage_c3d", str(footage / "fades.csv"), footage / "x", init=str(trained[0]),
            preset=QUICK, progress=False,
        )  # fmt: skip
    source = zoo.load("stage_c3d", weights=trained[0]).net.state_dict()
    assert all((source[name] == value).all() for name, value in seen["state"].items())


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"arch": "stage_c4d"}, UnknownNameError, "did you mean 'stage_c3d'"),
        ({"data": "stage:motoin"}, UnknownNameError, "did you mean 'motion'"),
        ({"labels": ("lighter", "dancing")}, UnknownNameError, "unknown class 'dancing'"),
        ({"clips": 10}, InputError, "--clips is for stage tasks"),
        ({"init": "nowhere.safetensors"}, WeightsError, "nowhere.safetensors"),
    ],
)
def test_what_cannot_be_trained_writes_nothing(
    footage: Path, tmp_path: Path, options: dict[str, object], error: type[VxError], text: str
) -> None:
    wanted = {"arch": "stage_c3d", "data": str(footage / "fades.csv"), **options}
    with pytest.raises(error, match=text):
        train_model(out=tmp_path / "x", preset=QUICK, progress=False, **wanted)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_manifest_without_training_rows_says_so(footage: Path) -> None:
    text = (footage / "fades.csv").read_text().replace(",train,", ",val,")
    (footage / "none.csv").write_text(text)
    (footage / "none.yaml").write_text("name: none\n")
    with pytest.raises(InputError, match=r"no rows of split 'train' \(splits: .*test"):
        train_model("stage_c3d", str(footage / "none.csv"), footage / "x", progress=False)


def rows(label: str, videos: int, windows: int) -> list[Row]:
    return [
        Row(f"{label}{v}-{w}", f"{label}{v}.mp4", label, "train", float(w), w + 1.0)
        for v in range(videos)
        for w in range(windows)
    ]


def test_windows_of_videos_seen_in_training_are_noted(footage: Path) -> None:
    lines = ["clip_id,path,label,split,start_s,end_s"]
    for k, split in enumerate(("train", "train", "val", "test", "test")):
        for way, label in zip((-1, 1), LABELS, strict=True):
            times = f"{0.12 * k:.2f},{0.12 * (k + 1):.2f}"
            lines.append(f"{k}{way},train0{way}.mkv,{label},{split},{times}")
    (footage / "windows.csv").write_text("\n".join(lines) + "\n")
    sets = experiment._footage_sets(
        str(footage / "windows.csv"), zoo.ENTRIES["stage_c3d"], root=None, reach=1, seed=0,
        labels=None, workers=1, progress=False,
    )  # fmt: skip
    assert "4 test clips are windows of 2 videos" in sets.note
    assert "4 of the 4 test clips come from videos with other windows" in sets.note
    assert "val clips" not in sets.note  # what is reported is the test split


def test_hold_out_takes_whole_videos_or_the_last_windows() -> None:
    given = rows("many", 10, 3) + rows("one", 1, 10) + rows("single", 1, 1)
    rest, held = hold_out(given, rng=np.random.default_rng(0))
    assert len(rest) + len(held) == len(given) and not {*rest} & {*held}
    many = {row.path for row in held if row.label == "many"}
    assert len(many) == 2 and not many & {row.path for row in rest}
    assert [row.start_s for row in held if row.label == "one"] == [8.0, 9.0]
    assert not [row for row in held if row.label == "single"]
    again = hold_out(given, rng=np.random.default_rng(0))[1]
    assert again == held
    with pytest.raises(InputError, match="add a val split"):
        hold_out(rows("single", 1, 1), rng=np.random.default_rng(0))


def test_clips_of_a_label_that_the_model_lacks(footage: Path) -> None:
    data = open_data(footage / "fades.csv")
    with pytest.raises(UnknownNameError, match="'lighter' in the model"):
        clips_of(data, "test", labels=("dark|er",))
    clips, labels = clips_of(data, "test", labels=LABELS, limit=2)
    assert len(clips) == len(labels) == 2 and labels.tolist() == [0, 1]


def test_cards_that_are_missing_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"a\.json: no model card"):
        read_card(tmp_path / "a.safetensors")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(WeightsError, match=r"a\.json: damaged model card"):
        read_card(tmp_path / "a.json")
