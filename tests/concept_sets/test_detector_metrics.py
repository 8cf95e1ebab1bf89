"""How a detector is judged: the truth is perfect, and every fault counts against it."""

import numpy as np
import pytest

from vxhelpers.concept_sets import detector_metrics
from vxhelpers.concept_sets.detections import Detections
from vxhelpers.concept_sets.detector_metrics import measure, truth
from vxhelpers.data import stage
from vxhelpers.data.stage.scene import INSTANCES


class _Answers:
    """Stands for a detector: gives true boxes, changed as a test wants."""

    def __init__(self, monkeypatch, change):
        self.change = change
        monkeypatch.setattr(detector_metrics, "detect", self)

    def __call__(self, scene_of, clip, *, confidence):
        scene = scene_of[clip.source]
        rows = [
            (frame, *box, 0.9, place)
            for frame, true in enumerate(truth(scene))
            for place, box in true
        ]
        table = np.array([row for row in self.change(rows)], float).reshape(-1, 7)
        return Detections(
            table[:, 0].astype(np.int64), table[:, 1:5].astype(np.float32),
            table[:, 5].astype(np.float32), table[:, 6].astype(np.int64), INSTANCES,
            len(clip), clip.frames.shape[1:3], clip.source, "answers",
        )  # fmt: skip


@pytest.fixture(scope="module")
def scenes():
    return [stage.render(task, "test", index) for task in ("motion", "tennis") for index in (0, 1)]


def _judged(scenes, monkeypatch, change):
    _Answers(monkeypatch, change)
    return measure({scene.clip.source: scene for scene in scenes}, scenes)


def test_the_truth_is_perfect(scenes, monkeypatch):
    found = _judged(scenes, monkeypatch, lambda rows: rows)
    assert found["clips"] == 4 and found["frames"] == 64
    for label, row in found["labels"].items():
        if row["true"]:
            assert (row["precision"], row["recall"], row["iou"]) == (1, 1, 1), label
            assert row["ap50"] == pytest.approx(0.995, abs=0.006)
        else:
            assert set(list(row.values())[1:]) == {None}
    assert found["labels"]["person"]["true"] >= 64 and found["labels"]["flag"]["true"] == 0


def test_misses_repetitions_and_slips_count_against_it(scenes, monkeypatch):
    def half_the_frames(rows):
        return [row for row in rows if row[0] % 2 == 0]

    def twice(rows):
        return [row for row in rows for _ in range(2)]

    def aside(rows):  # by half a box: an IoU of a third
        return [(t, x0 + (x1 - x0) / 2, y0, x1 + (x1 - x0) / 2, y1, c, k)
                for t, x0, y0, x1, y1, c, k in rows]  # fmt: skip

    def renamed(rows):
        return [(*row[:6], (row[6] + 1) % len(INSTANCES)) for row in rows]

    def unsure(rows):
        return [(*row[:5], 0.2, row[6]) for row in rows]

    person = [
        _judged(scenes, monkeypatch, change)["labels"]["person"]
        for change in (half_the_frames, twice, aside, renamed, unsure, lambda rows: [])
    ]
    assert (person[0]["precision"], person[0]["recall"]) == (1, pytest.approx(0.5, abs=0.05))
    assert (person[1]["precision"], person[1]["recall"]) == (0.5, 1)
    assert (person[2]["precision"], person[2]["recall"], person[2]["iou"]) == (0, 0, None)
    assert person[3]["recall"] == 0
    assert person[4]["precision"] is None and person[4]["recall"] == 0 < person[4]["ap50"]
    assert person[5]["precision"] is None and (person[5]["recall"], person[5]["ap50"]) == (0, 0)
