"""Real footage, end to end: scan, train, and explain clips in the network's geometry."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vxhelpers.attribution import gradcam
from vxhelpers.concept_sets.detector import check_labels, detect, load_detector
from vxhelpers.concept_sets.tracking import track
from vxhelpers.data.datasets import open_data
from vxhelpers.data.scan import scan, write_beside
from vxhelpers.data.verify import verify
from vxhelpers.data.video import read_clip
from vxhelpers.errors import InputError, UnknownNameError, WeightsError
from vxhelpers.models import samples, zoo
from vxhelpers.models.training.experiment import train_model
from vxhelpers.models.training.modelcard import card_markdown
from vxhelpers.models.training.presets import PRESETS

VIDEOS = {
    "playing tennis": "footage/tennis_broadcast.mp4",
    "golf & <b>putting": "footage/golf_playing.mp4",
    "boxing": "kth_like/boxing.avi",
}


@pytest.fixture
def clips(real: Path, tmp_path: Path) -> Path:
    """A manifest of three classes, one video each, split in time: 3 clips, 1 and 2."""
    for label, path in VIDEOS.items():
        (tmp_path / "clips" / label).mkdir(parents=True)
        shutil.copy(real / path, tmp_path / "clips" / label)
    found = scan(tmp_path / "clips", windows=6, seconds=0.7, split="time")
    assert found.splits == {"train": 9, "val": 3, "test": 6}
    assert verify(found, tmp_path / "clips") == []
    write_beside(found, tmp_path / "clips.csv", tmp_path / "clips")
    return tmp_path / "clips.csv"


@pytest.mark.slow
def test_from_a_folder_to_maps(clips: Path, tmp_path: Path) -> None:
    data = open_data(clips)
    for label in VIDEOS:  # nothing of train is in val or test
        end = max(row.end_s or 0 for row in data.rows("train", label))
        later = data.rows("val", label) + data.rows("test", label)
        assert min(row.start_s or 0 for row in later) >= end
    recipe = replace(PRESETS["quick"], epochs=1, batch=5)
    card = train_model(
        "stage_r3d", str(clips), tmp_path / "mine.safetensors", preset=recipe, progress=False
    )
    score = card["accuracy"]["test"]
    assert score["n"] == 6 and score["chance"] == pytest.approx(1 / 3)
    assert "6 test clips are windows of 3 videos" in card["note"]
    assert "6 of the 6 test clips come from videos with other windows" in card_markdown(card)

    net = zoo.load("stage_r3d", weights=tmp_path / "mine.safetensors")
    rows = data.rows("test")
    found = samples.collect(data, net, rows)
    x = net.prepare(found.clips)
    assert x.shape == (6, 3, 16, 64, 64)
    assert found.pixels.shape == (6, 16, 192, 192, 3) and found.scale == 3
    assert found.fps == tuple(clip.fps for clip in found.clips)
    maps = gradcam.gradcam(net, x, target=found.labels.tolist())
    assert maps.shape == found.masks["moving"].shape == (6, 16, 64, 64)
    assert bool(maps.isfinite().all()) and float(maps.abs().max()) > 0

    # The pixels shown are those that the network gets, only finer.
    std, mean = (torch.tensor(v).view(3, 1, 1, 1) for v in (net.entry.std, net.entry.mean))
    seen = ((x * std + mean) * 255).permute(0, 2, 3, 4, 1).numpy()
    coarse = found.pixels.reshape(6, 16, 64, 3, 64, 3, 3).mean((3, 5))
    assert np.abs(seen - coarse).mean() < 4


def test_what_moves_on_a_court_are_the_players(clips: Path) -> None:
    data, net = open_data(clips), zoo.load("stage_r3d", weights="random", labels=sorted(VIDEOS))
    found = samples.collect(data, net, data.rows("test", "playing tennis"))
    for mask in found.masks["moving"]:
        assert 0.001 < mask.mean() < 0.1
        assert mask[:, 58:, 20:].sum() == 0  # the ground behind the base line, with a caption
    # At least half of it lies in the columns between the side lines, where the players are.
    assert found.masks["moving"][..., 10:54].sum() > found.masks["moving"].sum() / 2


def test_a_coco_detector_finds_players_and_rackets(real: Path, tmp_path: Path) -> None:
    folder = real / "yolo11n_int8_openvino_model"
    detector = load_detector(folder, device="cpu")
    assert len(detector.names) == 80 and detector.names[0] == "person"
    assert detector.image_size == (640, 640) and detector.name == folder.name
    check_labels(detector, ["person", "tennis racket", "sports ball"])
    with pytest.raises(UnknownNameError, match=r"'racket' in detector yolo11n_int8.*tennis racket"):
        check_labels(detector, ["racket"])

    clip = read_clip(real / "footage" / "tennis_playing.mp4", frames=6)
    found = detect(detector, clip, confidence=0.25)
    height, width = clip.frames.shape[1:3]
    assert found.size == (height, width) and found.length == 6
    people, rackets = found.of("person"), found.of("tennis racket")
    assert set(people.frames) == set(range(6))
    for boxes in (people.boxes, rackets.boxes):
        assert (boxes >= 0).all() and (boxes[:, 2] <= width).all() and (boxes[:, 3] <= height).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
    # People stand upright: mostly higher than wide, which a swap of the axes would turn round.
    sides = people.boxes[:, 2:] - people.boxes[:, :2]
    assert (sides[:, 1] > sides[:, 0]).mean() > 0.8

    with pytest.raises(InputError, match="takes 640x640 pixels alone, not 320"):
        load_detector(folder, device="cpu", image_size=320)
    torn = tmp_path / "torn_openvino_model"
    shutil.copytree(folder, torn)
    (torn / "yolo11n.xml").chmod(0o644)
    (torn / "yolo11n.xml").write_bytes((folder / "yolo11n.xml").read_bytes()[:5000])
    with pytest.raises(WeightsError, match="torn_openvino_model: damaged, or not a detector"):
        load_detector(torn, device="cpu")


def test_players_and_a_racket_are_followed(real: Path) -> None:
    """A player before the camera and one beyond the net, told apart by their size."""
    detector = load_detector(real / "yolo11n_int8_openvino_model", device="cpu")
    clip = read_clip(real / "footage" / "tennis_indoor.mp4", frames=20)
    found = track(detect(detector, clip), ["person", "tennis racket", "dog"])
    near, far = sorted(
        (t for t in found.kept if t.label == "person"), key=lambda t: -t.boxes[:, 3].mean()
    )
    for player, height in ((near, (150, 320)), (far, (25, 90))):
        assert len(player) == 20 and player.seen.mean() > 0.9
        tall = player.boxes[:, 3] - player.boxes[:, 1]
        assert height[0] < tall.min() and tall.max() < height[1]
    racket = max((t for t in found.kept if t.label == "tennis racket"), key=len)
    assert len(racket) >= 12
    # It is in the near player's hand: the two boxes meet in every frame.
    body = near.boxes[racket.start : racket.stop]
    assert (racket.boxes[:, :2] < body[:, 2:]).all() and (racket.boxes[:, 2:] > body[:, :2]).all()
    assert not any(t.label == "dog" for t in found.kept)
    assert all(len(lost.detail) > 20 for lost in found.dropped)
