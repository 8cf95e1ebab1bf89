"""Detection: boxes in the clip's pixels, files of every kind, and errors that say the remedy.

The tiny detector fires everywhere: its head has no weights but biases alone, so that every cell of
the 8-pixel grid gives one box of 16 pixels a side around the cell's middle, always of label "dog"
and always as sure. What it finds in a clip can be worked out on paper.
"""

import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from vxhelpers.concept_sets import detector, yolo
from vxhelpers.concept_sets.detections import Detections
from vxhelpers.concept_sets.detector import check_labels, detect, load_detector
from vxhelpers.data.clip import Clip
from vxhelpers.errors import InputError, UnknownNameError, WeightsError
from vxhelpers.io.cache import Store

SURE = 0.8
LABELS = ("cat", "dog")


def _net():
    net = yolo.narrow_net(LABELS, depth=0.33, width=0.03125).eval()
    head = net.model[-1]
    with torch.no_grad():
        for level, (box, label) in enumerate(zip(head.cv2, head.cv3, strict=True)):
            box[-1].weight.zero_()
            bins = torch.full((4, head.reg_max), -20.0)
            bins[:, 1] = 20.0  # one grid step to each side
            box[-1].bias.copy_(bins.flatten())
            label[-1].weight.zero_()
            odds = float(np.log(SURE / (1 - SURE))) if level == 0 else -20.0
            label[-1].bias.copy_(torch.tensor([-20.0, odds]))
    return net


def _export(net, path, monkeypatch):
    """Write ONNX with the library's metadata, without the package onnx that exporters ask for."""
    module = "torch.onnx._internal.torchscript_exporter.onnx_proto_utils._add_onnxscript_fn"
    monkeypatch.setattr(module, lambda proto, *_: proto)
    net.model[-1].export, net.model[-1].format = True, "onnx"
    names = {"input_names": ["images"], "output_names": ["output0"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the exporter itself
        torch.onnx.export(net, (torch.zeros(1, 3, 64, 64),), str(path), dynamo=False, **names)
    facts = {"names": str(dict(enumerate(LABELS))), "task": "detect", "stride": "32"}
    facts |= {"imgsz": "[64, 64]", "batch": "1", "dynamic": "False"}

    def field(number, data):
        assert len(data) < 128
        return bytes([number << 3 | 2, len(data)]) + data

    with path.open("ab") as file:  # field 14 of a ModelProto: metadata_props
        for key, value in facts.items():
            file.write(field(14, field(1, key.encode()) + field(2, value.encode())))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The tiny detector as a checkpoint of ultralytics and as an ONNX file."""
    folder = tmp_path_factory.mktemp("detectors")
    net = _net()
    torch.save({"model": net, "train_args": {"imgsz": 64}}, folder / "tiny.pt")
    with pytest.MonkeyPatch.context() as patch:
        _export(net, folder / "tiny.onnx", patch)
    return folder


@pytest.fixture(scope="module")
def tiny(files):
    return load_detector(files / "tiny.pt", device="cpu")


def _clip(frames=3, height=64, width=64, value=128):
    return Clip(np.full((frames, height, width, 3), value, np.uint8), 16.0, "a clip")


def _sorted(boxes):
    return boxes[np.lexsort(boxes.T)]


def _grid(height, width, *, step=8.0):
    """What the tiny detector finds: a box of two steps around every cell's middle, cut off."""
    middles = np.array(
        [
            (x, y)
            for y in np.arange(step / 2, height, step)
            for x in np.arange(step / 2, width, step)
        ]
    )
    boxes = np.concatenate([middles - step, middles + step], axis=1)
    return _sorted(boxes.clip(0, [width, height, width, height]).astype(np.float32))


def test_boxes_are_those_worked_out_on_paper(tiny):
    found = detect(tiny, _clip())
    assert tiny.names == LABELS and tiny.image_size == (64, 64)
    assert np.array_equal(found.frames, np.repeat([0, 1, 2], 64))
    assert found.frames.dtype == found.labels.dtype == np.int64
    assert found.boxes.dtype == found.confidence.dtype == np.float32
    assert (found.labels == 1).all() and found.names == LABELS
    assert found.confidence == pytest.approx(SURE, abs=1e-5)
    for frame in range(3):
        assert np.allclose(_sorted(found.at(frame).boxes), _grid(64, 64), atol=1e-3)
    assert (found.length, found.size, found.source) == (3, (64, 64), "a clip")
    assert found.detector == f"tiny.pt@{tiny.digest[:12]}"


def test_boxes_are_in_pixels_of_the_clip_whatever_its_size_and_shape(tiny):
    large = detect(tiny, _clip(1, 128, 128))
    assert np.allclose(_sorted(large.boxes), _grid(128, 128, step=16), atol=1e-3)
    wide = detect(tiny, _clip(1, 32, 64))  # fitted without bars: the net takes 32x64
    assert wide.size == (32, 64)
    assert np.allclose(_sorted(wide.boxes), _grid(32, 64), atol=1e-3)
    assert (wide.boxes[:, 2] <= 64).all() and (wide.boxes[:, 3] <= 32).all()


def test_red_reaches_the_net_as_red(tiny):
    seen = []
    clip = _clip(1)
    clip.frames[...] = (255, 51, 0)
    handle = tiny.predictor.model.model.register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0].clone())
    )
    try:
        detect(tiny, clip)
    finally:
        handle.remove()
    assert np.allclose(seen[0].mean((0, 2, 3)), [1.0, 0.2, 0.0], atol=1e-6)


def test_batches_are_no_part_of_the_result_and_the_clip_stays(tiny, moving_blob):
    before = moving_blob.digest()
    one, all_ = (detect(tiny, moving_blob, batch_size=size) for size in (1, 32))
    assert moving_blob.digest() == before
    for name in ("frames", "labels"):
        assert np.array_equal(getattr(one, name), getattr(all_, name))
    assert np.allclose(one.boxes, all_.boxes, atol=1e-4)
    assert np.allclose(one.confidence, all_.confidence, atol=1e-6)


def test_onnx_finds_what_the_checkpoint_finds(tiny, files):
    onnx = load_detector(files / "tiny.onnx", device="cpu")
    assert onnx.names == LABELS and onnx.image_size == (64, 64)
    clip = _clip(5, 48, 64)  # the exported net takes one square at a time
    one, other = detect(tiny, clip), detect(onnx, clip, batch_size=4)
    assert np.array_equal(np.unique(other.frames), np.arange(5))
    assert np.array_equal(one.frames, other.frames) and np.array_equal(one.labels, other.labels)
    for frame in range(5):
        boxes = (_sorted(np.round(found.at(frame).boxes, 2)) for found in (one, other))
        assert np.array_equal(*boxes)
    with pytest.raises(InputError, match=r"tiny.onnx takes 64x64 pixels alone, not 96"):
        load_detector(files / "tiny.onnx", device="cpu", image_size=96)


def test_another_image_size(files):
    fine = load_detector(files / "tiny.pt", device="cpu", image_size=128)
    assert fine.image_size == (128, 128)
    found = detect(fine, _clip(1))
    assert np.allclose(_sorted(found.boxes), _grid(64, 64, step=4), atol=1e-3)
    with pytest.raises(InputError, match="multiple of 32, at least 32; not 100"):
        load_detector(files / "tiny.pt", image_size=100)


def test_nothing_found_has_the_shapes_of_something(tiny):
    found = detect(tiny, _clip(), confidence=0.9)
    assert len(found) == 0 and found.frames.shape == found.labels.shape == (0,)
    assert found.boxes.shape == (0, 4) and found.confidence.shape == (0,)
    assert found.boxes.dtype == np.float32 and found.frames.dtype == np.int64
    assert len(found.of("dog")) == len(found.at(2)) == 0
    assert (found.length, found.names) == (3, LABELS)


def test_choosing_among_detections(tiny):
    found = detect(tiny, _clip())
    assert len(found.of("cat")) == 0 and len(found.of("dog")) == len(found.of(*LABELS)) == 192
    assert np.array_equal(found.at(-1).frames, np.full(64, 2))
    with pytest.raises(InputError, match="a clip: frame 3 of a clip of 3 frames"):
        found.at(3)
    with pytest.raises(UnknownNameError, match=r"'dgo' in detector tiny.pt@.*did you mean 'dog'"):
        found.of("dgo")


def test_the_surest_comes_first_in_a_frame():
    net = _net()
    with torch.no_grad():  # cats, surer, on the coarser grid
        net.model[-1].cv3[1][-1].bias.copy_(torch.tensor([3.0, -20.0]))
    detector = load_detector(_saved(net), device="cpu")
    found = detect(detector, _clip(2))
    for frame in (0, 1):
        one = found.at(frame)
        assert len(one) == 64 + 16 and (np.diff(one.confidence) <= 0).all()
        assert (one.labels[:16] == 0).all() and (one.labels[16:] == 1).all()


def test_repetitions_are_what_overlaps_more(tiny):
    """Neighbours in a row share half their area: their IoU is a third, and 0.4 at the edge."""
    assert len(detect(tiny, _clip(1), overlap=0.7)) == 64
    few = detect(tiny, _clip(1), overlap=0.3).boxes
    assert 0 < len(few) < 40
    for k, box in enumerate(few):
        rest = np.delete(few, k, axis=0)
        common = np.minimum(box[2:], rest[:, 2:]) - np.maximum(box[:2], rest[:, :2])
        common = common.clip(0).prod(1)
        areas = (box[2:] - box[:2]).prod() + (rest[:, 2:] - rest[:, :2]).prod(1)
        assert (common / (areas - common) <= 0.3 + 1e-6).all()


def _saved(net):
    folder = Path(os.environ["VX_CACHE"])
    torch.save({"model": net, "train_args": {"imgsz": 64}}, folder / "other.pt")
    return folder / "other.pt"


def test_results_are_kept_by_content(tiny, files, tmp_path, monkeypatch):
    store, calls = Store(tmp_path), []
    original = detector._detect
    monkeypatch.setattr(detector, "_detect", lambda *a: calls.append(1) or original(*a))
    first = detect(tiny, _clip(), store=store)
    renamed = Clip(_clip().frames, 16.0, "another name")
    again = detect(tiny, renamed, store=store)
    assert len(calls) == 1 and again.source == "another name"
    for name in ("frames", "boxes", "confidence", "labels"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
        assert getattr(first, name).dtype == getattr(again, name).dtype
    detect(tiny, _clip(value=129), store=store)
    detect(tiny, _clip(), confidence=0.2, store=store)
    shutil.copy(files / "tiny.pt", tmp_path / "copy.pt")
    assert load_detector(tmp_path / "copy.pt", device="cpu").digest == tiny.digest
    detect(load_detector(files / "tiny.pt", device="cpu", image_size=96), _clip(), store=store)
    assert len(calls) == 4


def test_labels_that_a_detector_lacks(tiny):
    check_labels(tiny, ["dog", "cat"])
    with pytest.raises(UnknownNameError, match=r"unknown label 'racket' in .*known: cat, dog"):
        check_labels(tiny, ["dog", "racket"])


def test_a_name_is_looked_for_where_the_user_keeps_weights(files, tmp_path, monkeypatch):
    monkeypatch.setenv("VX_WEIGHTS", str(tmp_path))
    shutil.copy(files / "tiny.pt", tmp_path / "yolo11n.pt")
    assert load_detector("yolo11n.pt", device="cpu").name == "yolo11n.pt"


def test_a_device_that_is_not_there_is_named(files):
    with pytest.raises(InputError, match="device 'cuda:99': "):
        load_detector(files / "tiny.pt", device="cuda:99")


@pytest.mark.parametrize("name", ["torn.pt", "torn.onnx", "torn.safetensors"])
def test_a_damaged_file_is_named(name, files, tmp_path):
    path = tmp_path / name
    whole = (files / ("tiny.onnx" if name == "torn.onnx" else "tiny.pt")).read_bytes()
    path.write_bytes(whole[: len(whole) // 3])
    with pytest.raises(WeightsError, match=rf"{name}: damaged"):
        load_detector(path, device="cpu")
    path.write_bytes(b"")
    with pytest.raises(WeightsError, match=rf"{name}: damaged"):
        load_detector(path, device="cpu")


def test_files_that_are_no_detectors(tmp_path):
    from ultralytics.nn.tasks import ClassificationModel

    from vxhelpers.models import zoo

    with pytest.raises(WeightsError, match=r"stage_c3d-kth.safetensors: not a detector"):
        load_detector(zoo.SHIPPED / "stage_c3d-kth.safetensors")
    plan = {"nc": 2, "backbone": [[-1, 1, "Conv", [8, 3, 2]]], "head": [[-1, 1, "Classify", [2]]]}
    torch.save({"model": ClassificationModel(plan, verbose=False)}, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match=r"other.pt: holds a ClassificationModel; a detector"):
        load_detector(tmp_path / "other.pt")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "state.pt")
    with pytest.raises(WeightsError, match=r"state.pt: holds a NoneType; a detector is needed"):
        load_detector(tmp_path / "state.pt")
    (tmp_path / "net.txt").write_text("x")
    with pytest.raises(WeightsError, match=r"net.txt: detectors are read from .safetensors, .pt"):
        load_detector(tmp_path / "net.txt")
    (tmp_path / "x_openvino_model").mkdir()
    with pytest.raises(WeightsError, match=r"x_openvino_model: a detector's folder is named"):
        load_detector(tmp_path / "x_openvino_model")


def test_options_out_of_range(tiny):
    wrong = ({"confidence": 0.0}, {"confidence": 1.0}, {"overlap": 1.0}, {"batch_size": 0})
    for options in wrong:
        with pytest.raises(InputError, match="confidence and overlap must lie between 0 and 1"):
            detect(tiny, _clip(), **options)


def test_loading_and_detecting_keep_torchs_threads(files):
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        detect(load_detector(files / "tiny.pt", device="cpu"), _clip(1))
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_detections_are_compared_by_identity(tiny):
    found = detect(tiny, _clip(1))
    assert isinstance(found, Detections) and found == found and found != detect(tiny, _clip(1))
