"""Videos of coloured squares, and a detector that knows them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vxhelpers.concept_sets import make as making
from vxhelpers.concept_sets.detections import Detections
from vxhelpers.concept_sets.detector import Detector
from vxhelpers.concept_sets.folder import ConceptFolder
from vxhelpers.concept_sets.settings import (
    ClipVersions,
    ConceptSetSettings,
    Output,
    RandomSets,
)
from vxhelpers.data.clip import Clip
from vxhelpers.data.datasets import DataSet
from vxhelpers.data.manifest import Manifest, Row, write
from vxhelpers.data.video import write_clip
from vxhelpers.io.files import sha256

COLOURS = {"racket": (220, 30, 30), "person": (30, 30, 220), "book": (30, 220, 30)}
DETECTOR = Detector("squares", "5" * 64, tuple(COLOURS), (64, 64), None)


def squares(*names: str, seed: int, frames: int = 16) -> Clip:
    """Grey noise with a square of each name moving right, on rows of their own."""
    rng = np.random.default_rng(seed)
    video = rng.integers(90, 130, (frames, 40, 64, 1), np.uint8).repeat(3, axis=3)
    for place, name in enumerate(names):
        left = 2 + int(rng.integers(4))
        for t in range(frames):
            x, y = left + 2 * t, 2 + 13 * place
            video[t, y : y + 9, x : x + 8] = COLOURS[name]
    return Clip(video, 16.0, f"squares {seed}")


def detect(detector: Detector, clip: Clip, **_options: object) -> Detections:
    """Find each colour's box in every frame; surer of larger squares."""
    found = []
    for t, image in enumerate(clip.frames):
        for label, colour in enumerate(COLOURS.values()):
            ys, xs = np.nonzero((image == colour).all(-1))
            if len(xs):
                box = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
                found.append((t, *box, 0.9, label))
    table = np.array(found, float).reshape(-1, 7)
    return Detections(
        frames=table[:, 0].astype(np.int64),
        boxes=table[:, 1:5].astype(np.float32),
        confidence=table[:, 5].astype(np.float32),
        labels=table[:, 6].astype(np.int64),
        names=detector.names,
        length=len(clip),
        size=(clip.frames.shape[1], clip.frames.shape[2]),
        source=clip.source,
        detector=str(detector),
    )


def write_videos(folder: Path) -> Path:
    """A data set on disk: tennis has rackets and persons, reading has books and persons."""
    rows = []
    for split, count in (("train", 6), ("test", 3)):
        for label, names in (("tennis", ("racket", "person")), ("reading", ("book", "person"))):
            for index in range(count):
                path = f"{label}/{split}{index}.mkv"
                shown = names[1:] if (label, split, index) == ("tennis", "train", 0) else names
                write_clip(squares(*shown, seed=len(rows)), folder / path)
                content = sha256(folder / path)
                rows.append(Row(f"{label}-{split}{index}", path, label, split, sha256=content))
    write(Manifest("squares", tuple(rows), {"name": "squares"}), folder / "squares.csv")
    return folder / "squares.csv"


def damage(path: Path) -> None:
    """Overwrite the middle of a file."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4000] = b"\x55" * 4000
    path.write_bytes(content)


def settings(**options: Any) -> ConceptSetSettings:
    """Settings of concept sets from options that stand side by side."""
    randoms = {"sets": "sets", "random_per_video": "per_video", "random_actions": "actions"}
    randoms["random_targets"] = "targets"
    clips = ("placements", "controls", "min_frames", "max_frames", "tracking", "fill")
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    return ConceptSetSettings(
        randoms=RandomSets(**{new: given.pop(old) for old, new in randoms.items() if old in given}),
        clips=ClipVersions(**{name: given.pop(name) for name in clips if name in given}),
        **given,
    )


def make(data: DataSet, action: str, objects: Sequence[str], **options: Any) -> ConceptFolder:
    """Make concept sets from options that stand side by side."""
    places = ("detector", "others", "seed")
    other = {name: options.pop(name) for name in places if name in options}
    where = ("folder", "store", "progress")
    output = Output(**{name: options.pop(name) for name in where if name in options})
    made = making.make(data, action, objects, settings=settings(**options), output=output, **other)
    return made
