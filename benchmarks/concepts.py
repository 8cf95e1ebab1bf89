"""How fast concept sets are made, and how much of that is the detector.

    python benchmarks/concepts.py [--count 10] [--sets 4]
    python benchmarks/concepts.py --footage FOLDER --detector yolo11n.pt --action tennis \
        --objects person "tennis racket" "sports ball"

The first makes the concepts of playing tennis of rendered clips on disk, the second of real videos:
files whose name begins with the action are the class, the others serve as random material. Decoding
and writing go on beside the detector, so two shares are given: of the processor's time (everything
counts, whichever thread does it; one thread for the detector) and of the time that one waits. The
last line is one JSON object. See README.md beside this file.
"""

import argparse
import json
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import torch

from vxhelpers.concept_sets import pieces
from vxhelpers.concept_sets.detector import Detector, detect, load_detector
from vxhelpers.concept_sets.make import make
from vxhelpers.concept_sets.settings import ConceptSetSettings, Output, RandomSets
from vxhelpers.data.datasets import DataSet, open_data, render_stage
from vxhelpers.data.manifest import Manifest, Row, write
from vxhelpers.data.video import EXTENSIONS, read_clip
from vxhelpers.io.cache import Store


@contextmanager
def watched() -> Iterator[dict[str, float]]:
    """Count the detector's time (s) and the video that it was shown (s)."""
    spent = {"wall": 0.0, "cpu": 0.0, "video": 0.0, "clips": 0}

    def timed(detector: Detector, clip: Any, **options: Any) -> Any:
        wall, cpu = time.perf_counter(), time.thread_time()
        found = detect(detector, clip, **options)
        spent["wall"] += time.perf_counter() - wall
        spent["cpu"] += time.thread_time() - cpu
        spent["video"] += len(clip) / clip.fps
        spent["clips"] += 1
        return found

    pieces.detect = timed
    try:
        yield spent
    finally:
        pieces.detect = detect


def stage(folder: Path, *, videos: int) -> DataSet:
    """Clips of the tennis task, rendered to files: so many for training, 40 for test."""
    render_stage(folder / "train", task="tennis", split="train", count=videos)
    render_stage(folder / "test", task="tennis", split="test", count=40)
    rows = []
    for split in ("train", "test"):
        listed = open_data(folder / split / "stage.csv").manifest.rows
        rows += [
            Row(r.clip_id, f"{split}/{r.path}", r.label, split, sha256=r.sha256) for r in listed
        ]
    write(Manifest("stage", tuple(rows)), folder / "all.csv")
    return open_data(folder / "all.csv")


def footage(folder: Path, videos: Path, action: str) -> DataSet:
    """A folder's videos: those whose name begins with the action, and the others."""
    paths = sorted(path for path in videos.iterdir() if path.suffix in EXTENSIONS)
    rows = [
        Row(path.stem, path.name, action if path.name.startswith(action) else "other", "all")
        for path in paths
    ]
    write(Manifest("footage", tuple(rows)), folder / "footage.csv")
    return open_data(folder / "footage.csv", root=videos)


def table(tally: dict[str, Any]) -> None:
    """Print what was found, kept and dropped."""
    print(f"{'label':16} {'videos':>6} {'with it':>7} {'tracks':>6} {'kept':>5}  dropped")
    for label, seen in tally["labels"].items():
        dropped = ", ".join(f"{number} {reason}" for reason, number in seen["dropped"].items())
        figures = f"{seen['videos']:6} {seen['with']:7} {seen['found']:6} {seen['kept']:5}"
        print(f"{label:16} {figures}  {dropped}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10, help="clips an object (default: 10)")
    parser.add_argument("--sets", type=int, default=4, help="random sets (default: 4)")
    parser.add_argument("--footage", type=Path, help="folder of videos instead of the stage")
    parser.add_argument("--action", default="playing tennis", help="class, or start of file names")
    parser.add_argument("--objects", nargs="+", default=["person", "racket"], help="labels")
    parser.add_argument("--detector", default="stage", help="as vx concepts make takes it")
    given = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    detector = load_detector(given.detector)
    settings = ConceptSetSettings(
        given.count, scoring=given.count, randoms=RandomSets(given.sets), allow_fewer=True
    )
    with TemporaryDirectory() as name:
        home = Path(name)
        if given.footage is None:
            data = stage(home, videos=8 * given.count + 3 * given.count * given.sets)
        else:
            data = footage(home, given.footage, given.action)
            settings = replace(
                settings,
                scoring=1,
                split="all",
                per_video=given.count,
                randoms=RandomSets(given.sets, given.count),
                skip_unreadable=True,
            )
        row = data.manifest.rows[0]
        assert data.root is not None
        detect(detector, read_clip(data.root / row.path, frames=2))  # the first call is slower
        with watched() as spent:
            wall, cpu = time.perf_counter(), time.process_time()
            output = Output(home / "concepts", Store(home / "cache"))
            made = make(
                data,
                given.action,
                given.objects,
                detector=detector,
                settings=settings,
                output=output,
            )
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        for tally in made.provenance["found"].values():
            table(tally)
        written = sum(len(item) for item in made.sets.values())
    share = {"cpu": round(spent["cpu"] / cpu, 3), "wall": round(spent["wall"] / wall, 3)}
    speed = {"cpu": round(spent["video"] / cpu, 2), "wall": round(spent["video"] / wall, 2)}
    print(f"{spent['clips']:.0f} clips, {spent['video']:.1f} s of video; {written} clips written")
    print(f"seconds of video a second: {speed}; share of the detector: {share}")
    result = {
        "video_seconds_a_second": speed,
        "detector_share": share,
        "clips": int(spent["clips"]),
        "written": written,
        "got": made.provenance["got"],
        "detector": str(detector),
        "machine": platform.machine(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
