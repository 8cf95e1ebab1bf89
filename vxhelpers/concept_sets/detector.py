"""Objects in clips: a detector, and what it finds in every frame.

Detectors run in ultralytics (AGPL-3.0, the optional extra ``concepts``): the package's own for its
rendered scenes, and YOLO models as a checkpoint, an ONNX file or an OpenVINO folder.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vxhelpers.concept_sets import yolo
from vxhelpers.concept_sets.detections import Detections, _places
from vxhelpers.data.clip import Clip
from vxhelpers.errors import InputError, WeightsError
from vxhelpers.io.cache import Store, default_root
from vxhelpers.io.files import sha256
from vxhelpers.models.nets import weights
from vxhelpers.models.zoo import default_device

SHIPPED = Path(__file__).parent / "detectors"
EXPORTED = "_openvino_model"  # how the name of an OpenVINO folder ends


@dataclass(frozen=True, eq=False)
class Detector:
    """A detector that is ready to use.

    Parameters
    ----------
    name
        What it was asked for as: ``"stage"``, or the name of its file or folder.
    digest
        SHA-256 of its file, or of all files of its folder.
    names
        The labels that it knows.
    image_size
        Height and width in pixels that frames are fitted into.
    predictor
        The library's part; not to be used directly.
    """

    name: str
    digest: str
    names: tuple[str, ...]
    image_size: tuple[int, int]
    predictor: Any = field(repr=False)

    def __str__(self) -> str:
        return f"{self.name}@{self.digest[:12]}"


def load_detector(
    detector: str | Path = "stage",
    *,
    device: str | None = None,
    image_size: int | None = None,
) -> Detector:
    """Load a detector.

    Parameters
    ----------
    detector
        ``"stage"``, which ships with the package; or a path: a file as
        :func:`vxhelpers.concept_sets.detector_training.train_detector` writes (``.safetensors``), a
        checkpoint of ultralytics (``.pt``), an ``.onnx`` file or a folder ``*_openvino_model``; or
        a file name such as ``"yolo11n.pt"``, which is looked for in the folder that ``VX_WEIGHTS``
        names, and else fetched from ultralytics. Checkpoints are pickles: they are read against
        ultralytics' list of known classes, and nothing else in them is run.
    device
        ``"cpu"``, ``"cuda:0"``, ...; by default a GPU where there is one, or what
        ``VX_DEVICE`` names.
    image_size
        Frames are fitted into a square of so many pixels; the detector's own size unless told.

    Raises
    ------
    WeightsError
        If it is missing (says which file to put where), damaged, or no detector.
    InputError
        If ultralytics isn't installed, or the device or the image size can't be had.
    """
    if image_size is not None and (image_size < 32 or image_size % 32):
        raise InputError(f"image_size must be a multiple of 32, at least 32; not {image_size}")
    name, path = _find(detector)
    yolo.library()
    from ultralytics.models.yolo.detect import DetectionPredictor
    from ultralytics.utils.torch_utils import select_device

    if device is None:
        device = str(default_device())
    with yolo.keeping_threads():
        try:
            select_device(device, verbose=False)
        except ValueError as error:
            raise InputError(f"device {device!r}: {yolo.first_line(error)}") from None
        net, own_size = _open(path)
        options = {"imgsz": image_size or own_size, "device": device}
        options |= {"mode": "predict", "task": "detect", "rect": True}
        options |= {"save": False, "verbose": False}
        try:
            predictor = DetectionPredictor(overrides=options)
            predictor.setup_model(net, verbose=False)
            predictor.setup_source([np.zeros((32, 32, 3), np.uint8)])
        except Exception as error:  # whatever the runtimes raise on a file they can't read
            raise WeightsError(
                f"{path}: damaged, or not a detector: {yolo.first_line(error)}"
            ) from error
    model = predictor.model
    if model.format != "pt" and model.task != "detect":
        raise WeightsError(f"{path}: made to {model.task}; a detector is needed")
    height, width = predictor.imgsz
    if image_size is not None and (height, width) != (image_size, image_size):
        raise InputError(f"{path} takes {height}x{width} pixels alone, not {image_size}")
    names = tuple(str(model.names[place]) for place in sorted(model.names))
    return Detector(name, _digest(path), names, (height, width), predictor)


def check_labels(detector: Detector, labels: Iterable[str]) -> None:
    """Check that a detector knows these labels.

    Raises
    ------
    UnknownNameError
        If it lacks one: suggests the nearest that it knows, or all of them when they are few.
    """
    _places(labels, detector.names, where=f"detector {detector}")


def detect(
    detector: Detector,
    clip: Clip,
    *,
    confidence: float = 0.1,
    overlap: float = 0.45,
    batch_size: int = 16,
    store: Store | None = None,
) -> Detections:
    """Find objects in every frame of a clip.

    Parameters
    ----------
    detector
        From :func:`load_detector`.
    clip
        Frames of any size; each is fitted into the detector's image size with its aspect kept.
    confidence
        Leave out what the detector is less sure of, in (0, 1). Trackers make use of weak
        detections, so that it is lower than one would choose for pictures.
    overlap
        Of two boxes of one label whose intersection over union is more, the less sure one is taken
        for a repetition, in (0, 1). On things of a few pixels repetitions overlap little.
    batch_size
        Frames at a time; no part of the result.
    store
        Keeps the result by the detector's and the clip's content.

    Returns
    -------
    Detections
        Empty arrays of the right shapes where nothing is found.

    Raises
    ------
    InputError
        If confidence, overlap or batch size are out of range.
    """
    if not (0 < confidence < 1 and 0 < overlap < 1 and batch_size >= 1):
        raise InputError(
            "confidence and overlap must lie between 0 and 1, batch_size be 1 or more; not "
            f"{confidence}, {overlap}, {batch_size}"
        )

    def compute() -> dict[str, npt.NDArray[Any]]:
        return _detect(detector, clip, confidence, overlap, batch_size)

    parts = {
        "detections": 1,
        "detector": detector.digest,
        "clip": clip.digest(),
        "image_size": detector.image_size,
        "confidence": confidence,
        "overlap": overlap,
        "ultralytics": metadata.version("ultralytics"),
    }
    found = compute() if store is None else store.get_or_compute(parts, compute)
    return Detections(
        frames=found["frames"],
        boxes=found["boxes"],
        confidence=found["confidence"],
        labels=found["labels"],
        names=detector.names,
        length=len(clip),
        size=(clip.frames.shape[1], clip.frames.shape[2]),
        source=clip.source,
        detector=str(detector),
    )


def _detect(
    detector: Detector, clip: Clip, confidence: float, overlap: float, batch_size: int
) -> dict[str, npt.NDArray[Any]]:
    predictor, rows = detector.predictor, []
    predictor.args.conf, predictor.args.iou = confidence, overlap
    with yolo.keeping_threads():
        for first in range(0, len(clip), batch_size):
            chunk = clip.frames[first : first + batch_size]
            pictures = [np.ascontiguousarray(frame[..., ::-1]) for frame in chunk]  # BGR
            for index, result in enumerate(predictor(pictures), start=first):
                data = result.boxes.data.cpu().numpy().astype(np.float32).reshape(-1, 6)
                data = data[np.argsort(-data[:, 4], kind="stable")]
                rows.append(np.insert(data, 0, index, axis=1))
    found = np.concatenate(rows)
    height, width = clip.frames.shape[1:3]
    boxes = found[:, 1:5].clip(0, [width, height, width, height])
    whole = (boxes[:, 2:] > boxes[:, :2]).all(1)
    return {
        "frames": found[whole, 0].astype(np.int64),
        "boxes": boxes[whole].astype(np.float32),
        "confidence": found[whole, 5],
        "labels": found[whole, 6].astype(np.int64),
    }


def _find(detector: str | Path) -> tuple[str, Path]:
    """Name and path of a detector; fetched where it is published and not here."""
    if detector == "stage":
        return "stage", SHIPPED / "stage.safetensors"
    path = Path(detector)
    if path.exists():
        return path.name, path
    if len(path.parts) > 1 or path.suffix != ".pt":
        raise WeightsError(
            f"{path}: no such detector; name 'stage', a .safetensors, .pt or .onnx file, or a "
            f"folder *{EXPORTED}"
        )
    folder = os.environ.get("VX_WEIGHTS")
    cached = default_root() / "detectors" / path.name
    for place in ([Path(folder) / path.name] if folder else []) + [cached]:
        if place.is_file():
            return path.name, place
    return path.name, yolo.fetch(cached, folder)


def _open(path: Path) -> tuple[Any, Any]:
    """What the library's predictor takes for this file: a net, or the path; and its image size."""
    if path.is_dir():
        if not path.name.endswith(EXPORTED) or not any(path.glob("*.xml")):
            raise WeightsError(f"{path}: a detector's folder is named *{EXPORTED} and holds .xml")
        return str(path), None
    if path.suffix == ".onnx":
        return str(path), None
    if path.suffix == ".safetensors":
        return _read(path)
    if path.suffix != ".pt":
        raise WeightsError(
            f"{path}: detectors are read from .safetensors, .pt and .onnx files and folders "
            f"*{EXPORTED}"
        )
    return yolo.read_checkpoint(path)


def _read(path: Path) -> tuple[Any, int]:
    """Net and image size from a file with its plan in the metadata."""
    state, facts = weights.read(path)
    try:
        plan = json.loads(facts["detector"])
        labels = tuple(map(str, plan["labels"]))
        with torch.random.fork_rng():  # the random weights come from a global generator
            shares = {name: float(plan[name]) for name in ("depth", "width")}
            net = yolo.narrow_net(labels, **shares, finest=int(plan["finest"]))
        net.load_state_dict(state)
        size = int(plan["image_size"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"{path}: not a detector as train_detector writes it: {yolo.first_line(error)}"
        ) from error
    return net.eval(), size


def _digest(path: Path) -> str:
    if path.is_file():
        return sha256(path)
    digest = hashlib.sha256()
    for part in sorted(p for p in path.rglob("*") if p.is_file()):
        digest.update(f"{part.relative_to(path).as_posix()} {sha256(part)}\n".encode())
    return digest.hexdigest()
