"""How well a detector finds what the stage's scenes show, frame by frame."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from vxhelpers.concept_sets.detections import Detections
from vxhelpers.concept_sets.detector import Detector, detect
from vxhelpers.concept_sets.yolo import library
from vxhelpers.data.stage.scene import INSTANCES, Scene

LEAST = 2.0  # pixels: a narrower sliver of a thing is not asked for
CONFIDENCE = 0.25  # at which precision and recall are reported


def truth(scene: Scene) -> list[list[tuple[int, npt.NDArray[np.float32]]]]:
    """What a detector should find in each frame: place in ``INSTANCES``, and the box.

    Boxes are as in ``Scene.instance_boxes``; things of which less than two pixels' width or
    height is in sight are left out.
    """
    wanted: list[list[tuple[int, npt.NDArray[np.float32]]]] = [[] for _ in scene.clip.frames]
    for thing in scene.instances:
        place = INSTANCES.index(thing.label)
        for frame, box in zip(wanted, scene.instance_boxes(thing), strict=True):
            if (box[2:] - box[:2] >= LEAST).all():  # false where it is NaN
                frame.append((place, box))
    return wanted


def measure(detector: Detector, scenes: Iterable[Scene]) -> dict[str, Any]:
    """Judge a detector on scenes, label by label and frame by frame.

    A detection is right where it lies over a thing of its label with an intersection over union
    of at least 0.5; the surest detections choose first, and a thing is found once.

    Returns
    -------
    dict
        ``clips``, ``frames``, ``confidence`` and ``labels``: for each label the number of
        ``true`` boxes, ``precision`` and ``recall`` of the detections at that confidence, average
        precision ``ap50`` over all confidences, and the mean ``iou`` of the right ones; a value
        is None where there is nothing to take it from.
    """
    library()
    from ultralytics.utils.metrics import ap_per_class

    rows: list[npt.NDArray[np.float64]] = []  # label, confidence, IoU with its thing or 0
    wanted: list[int] = []
    clips = frames = 0
    for scene in scenes:
        found = detect(detector, scene.clip, confidence=0.01)
        clips, frames = clips + 1, frames + len(scene.clip)
        for frame, true in enumerate(truth(scene)):
            wanted += [place for place, _ in true]
            rows.append(_judge(found.at(frame), true))
    judged = np.concatenate([np.zeros((0, 3)), *rows])
    right = judged[:, 2] >= 0.5
    *_, ap, classes = ap_per_class(
        right[:, None], judged[:, 1], judged[:, 0].astype(int), np.array(wanted)
    )[:7]
    average = {int(place): float(value) for place, value in zip(classes, ap[:, 0], strict=True)}
    table = {}
    for place, label in enumerate(INSTANCES):
        true_boxes = wanted.count(place)
        own = judged[(judged[:, 0] == place) & (judged[:, 1] >= CONFIDENCE)]
        hits = own[own[:, 2] >= 0.5]
        table[label] = {
            "true": true_boxes,
            "precision": _share(len(hits), len(own)),
            "recall": _share(len(hits), true_boxes),
            "ap50": round(average[place], 4) if place in average else None,
            "iou": round(float(hits[:, 2].mean()), 4) if len(hits) else None,
        }
    return {"clips": clips, "frames": frames, "confidence": CONFIDENCE, "labels": table}


def _judge(
    found: Detections, true: list[tuple[int, npt.NDArray[np.float32]]]
) -> npt.NDArray[np.float64]:
    """``(D, 3)``: label, confidence, and IoU with the thing that the detection is right about."""
    free = list(range(len(true)))
    judged = np.zeros((len(found), 3))
    for row, (box, sure, label) in enumerate(
        zip(found.boxes, found.confidence, found.labels, strict=True)
    ):
        place = INSTANCES.index(found.names[label])
        overlaps = [(_iou(box, true[k][1]), k) for k in free if true[k][0] == place]
        overlap, chosen = max(overlaps, default=(0.0, -1))
        judged[row] = place, sure, overlap if overlap >= 0.5 else 0.0
        if overlap >= 0.5:
            free.remove(chosen)
    return judged


def _iou(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    if (sides <= 0).any():
        return 0.0
    common = float(sides.prod())
    areas = float((one[2:] - one[:2]).prod()) + float((other[2:] - other[:2]).prod())
    return common / (areas - common)


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
