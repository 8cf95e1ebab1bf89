"""STCE's parts against their floors and against other libraries, on rendered clips.

    python benchmarks/stce.py [--workloads slic] [--rounds 3]

`slic`: our SLIC against scikit-image's, first how well both keep the boundaries of true objects at
the same number of segments, then how long they take for the standard resolutions of the same clips.
Contenders run one after another in an order that turns; figures are medians over the rounds of the
ratios within a round. On the CPU seconds are the process's own, so that a busy machine does not
blur them. See README.md beside this file.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import product
from typing import Any

import numpy as np
import torch
from skimage.segmentation import slic as scikit_image

from vxhelpers import stage
from vxhelpers.slic import slic
from vxhelpers.stage import Scene
from vxhelpers.supervoxel import STANDARD, boundary_recall, undersegmentation_error

TASKS = ("kth", "tennis", "motion", "static", "shortcut")
COMPACTNESS = (4.0, 6.0, 10.0, 15.0)
SMALLEST = (0.5, 0.25, 0.1)  # of the mean size: scikit-image's default to ours

Figures = dict[str, Any]
Quality = tuple[float, float, float]  # boundary recall, under-segmentation error, segments


def scenes(count: int, size: int) -> list[Scene]:
    """Test clips of 16 frames, tasks, actions and people taking turns."""
    return [
        stage.render(TASKS[i % len(TASKS)], "test", 7 * (i // len(TASKS)) + i, size=size)
        for i in range(count)
    ]


def seconds(run: Callable[[], Any], device: str) -> float:
    """Time one call: CPU seconds of all threads, or wall seconds where a GPU does the work."""
    clock = time.perf_counter if device == "cuda" else time.process_time
    start = clock()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return clock() - start


# ---- slic: how well -----------------------------------------------------------------------------


def quality(labels: np.ndarray, scene: Scene) -> Quality:
    """What one segmentation is worth."""
    recall = boundary_recall(labels, scene.ids)
    return recall, undersegmentation_error(labels, scene.ids), float(labels.max() + 1)


def theirs(scene: Scene, segments: int, compactness: float, smallest: float) -> np.ndarray:
    """scikit-image's segments, with what is ours too: smoothing by one voxel, ten iterations."""
    found: np.ndarray = scikit_image(
        scene.clip.frames,
        n_segments=segments,
        compactness=compactness,
        sigma=1,
        max_num_iter=10,
        min_size_factor=smallest,
        start_label=0,
    )
    return found


def ours(scene: Scene, segments: int, compactness: float) -> np.ndarray:
    """Of our segmentations that whose number of segments comes nearest."""
    asked = sorted({max(1, round(segments * share)) for share in np.linspace(0.7, 1.4, 12)})
    tried = slic(scene.clip.frames, asked, compactness=compactness)
    counts = tried.reshape(len(asked), -1).max(1) + 1
    found: np.ndarray = tried[int(np.abs(counts - segments + 0.1).argmin())]
    return found


def worth(rows: Mapping[Any, Sequence[Quality]]) -> Any:
    """The setting of the highest mean recall less error."""
    return max(
        rows, key=lambda setting: np.mean([recall - leak for recall, leak, _ in rows[setting]])
    )


@dataclass(frozen=True)
class Fit:
    """Means over clips and resolutions of the best setting of each, at one clip size."""

    ours: Quality
    theirs: Quality


def fit(clips: Sequence[Scene]) -> Fit:
    """Both at their best compactness; ours with as many segments as scikit-image's."""
    cases = list(product(clips, STANDARD))
    reference: dict[tuple[float, float], list[Quality]] = {}
    counts: dict[tuple[float, float], list[int]] = {}
    for setting in product(COMPACTNESS, SMALLEST):
        found = [theirs(scene, segments, *setting) for scene, segments in cases]
        counts[setting] = [int(labels.max()) + 1 for labels in found]
        pairs = zip(found, cases, strict=True)
        reference[setting] = [quality(labels, scene) for labels, (scene, _) in pairs]
    best = worth(reference)
    mine = {
        compactness: [
            quality(ours(scene, count, compactness), scene)
            for (scene, _), count in zip(cases, counts[best], strict=True)
        ]
        for compactness in COMPACTNESS
    }
    size = clips[0].clip.frames.shape[1]
    print(f"\n{len(clips)} clips of 16x{size}x{size}{'recall':>15}{'error':>8}{'segments':>10}")
    for setting, rows in reference.items():
        name = f"scikit-image, {setting[0]:g}, {setting[1]:g}" + " *" * (setting == best)
        print(f"  {name:32}" + "{:8.3f}{:8.3f}{:10.1f}".format(*np.mean(rows, 0)))
    own = worth(mine)
    for compactness, rows in mine.items():
        name = f"ours, {compactness:g}" + " *" * (compactness == own)
        print(f"  {name:32}" + "{:8.3f}{:8.3f}{:10.1f}".format(*np.mean(rows, 0)))
    for place, segments in enumerate(STANDARD):
        for name, rows in (("scikit-image", reference[best]), ("ours", mine[own])):
            label = f"{segments} asked: {name} *"
            print(f"  {label:32}" + "{:8.3f}{:8.3f}{:10.1f}".format(*np.mean(rows[place::3], 0)))
    means = [np.mean(rows, 0).tolist() for rows in (mine[own], reference[best])]
    return Fit(*(tuple(row) for row in means))


# ---- slic: how fast -----------------------------------------------------------------------------


def race(clips: Sequence[Scene], *, rounds: int, device: str) -> tuple[float, float]:
    """Speed-up over scikit-image and our seconds a clip, for the three standard resolutions."""
    frames = np.stack([scene.clip.frames for scene in clips])
    floats = [clip.astype(np.float32) / 255 for clip in frames]  # which it is faster with
    few = floats if device == "cpu" else floats[:4]

    def run_theirs() -> None:
        for clip, segments in product(few, STANDARD):
            scikit_image(clip, n_segments=segments, sigma=1, start_label=0)

    contenders = [lambda: slic(frames, STANDARD, device=device), run_theirs]
    slic(frames, STANDARD, device=device)  # warm up
    times: list[list[float]] = [[], []]
    for turn in range(rounds):
        for place in (turn % 2, 1 - turn % 2):
            count = len(frames) if place == 0 else len(few)
            times[place].append(seconds(contenders[place], device) / count)
    ratio = statistics.median(b / a for a, b in zip(*times, strict=True))
    mine, other = (statistics.median(row) for row in times)
    size = frames.shape[2]
    print(
        f"\n{len(frames)} clips of 16x{size}x{size} at {STANDARD} on {device}: ours "
        f"{1e3 * mine:.1f} ms a clip, scikit-image {1e3 * other:.1f} ms, {ratio:.2f} times"
    )
    return ratio, mine


def run_slic(options: argparse.Namespace) -> Figures:
    """Quality and speed of our SLIC and scikit-image's."""
    groups = {64: scenes(options.clips, 64), 112: scenes(max(1, options.clips // 5), 112)}
    figures: Figures = {}
    fits, speedups = [], []
    for size, clips in groups.items():
        tail = "" if size == 64 else f"_{size}"
        fits.append(fit(clips))
        for name, row in (("ours", fits[-1].ours), ("scikit_image", fits[-1].theirs)):
            for measure, value in zip(("recall", "error", "segments"), row, strict=True):
                figures[f"slic_{measure}_{name}{tail}"] = value
        ratio, mine = race(clips[:8], rounds=options.rounds, device="cpu")
        speedups.append(ratio)
        figures[f"slic_speedup_cpu_{size}"] = ratio
        figures[f"slic_seconds_a_clip_{size}"] = mine
    figures["slic_recall_gain"] = min(f.ours[0] - f.theirs[0] for f in fits)
    figures["slic_error_gain"] = min(f.theirs[1] - f.ours[1] for f in fits)
    figures["slic_speedup_cpu"] = min(speedups)
    figures["slic_speedup_gpu"] = None
    if torch.cuda.is_available():
        many = [groups[112][i % len(groups[112])] for i in range(128)]
        figures["slic_speedup_gpu"] = race(many, rounds=options.rounds, device="cuda")[0]
    figures["slic_stored_bytes_a_voxel"] = 2 * len(STANDARD)
    return figures


WORKLOADS: Mapping[str, Callable[[argparse.Namespace], Figures]] = {"slic": run_slic}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the workloads; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workloads", nargs="+", default=[*WORKLOADS], choices=[*WORKLOADS])
    parser.add_argument("--clips", type=int, default=20, help="of 64 pixels; a fifth of 112")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    figures: Figures = {}
    for name in options.workloads:
        figures |= WORKLOADS[name](options)
    figures |= {
        "rounds": options.rounds,
        "clips": options.clips,
        "machine": platform.machine(),
        "threads": options.threads,
        "versions": {name: version(name) for name in ("torch", "scikit-image")},
    }
    print(json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in figures.items()}))


if __name__ == "__main__":
    main()
