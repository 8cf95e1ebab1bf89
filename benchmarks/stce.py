"""STCE against its floor (the network's own passes), and its SLIC against scikit-image's.

    python benchmarks/stce.py [--workloads slic pipeline paper] [--rounds 3] [--small]

`slic`: our SLIC against scikit-image's, first how well both keep the boundaries of true objects at
the same number of segments, then how long they take for the standard resolutions of the same clips.
`pipeline`: one class from clips to ranked concepts, over one forward a supervoxel and the gradients
of the class's clips. `paper`: the same at the paper's size, measured on a GPU, else extrapolated.
Contenders run one after another in an order that turns; figures are medians over the rounds of the
ratios within a round. On the CPU seconds are the process's own, so that a busy machine does not
blur them. See README.md beside this file.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import count as countless
from itertools import islice, product
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import torch
from skimage.segmentation import slic as scikit_image
from torch import Tensor, nn

from vxhelpers.concepts.activations import Activations, gram
from vxhelpers.concepts.cav import fit as fit_vectors
from vxhelpers.concepts.directional_derivatives import derivatives
from vxhelpers.data import stage
from vxhelpers.data.clip import Clip
from vxhelpers.data.segmentation.metrics import boundary_recall, undersegmentation_error
from vxhelpers.data.segmentation.slic import slic
from vxhelpers.data.segmentation.supervoxels import STANDARD
from vxhelpers.data.stage.scene import Scene
from vxhelpers.io.cache import Store
from vxhelpers.models import zoo
from vxhelpers.stce import discovery
from vxhelpers.stce import features as features_code
from vxhelpers.stce import score as scoring
from vxhelpers.stce.discovery import discover
from vxhelpers.stce.features import Computation, Recipe, cut, features
from vxhelpers.stce.masking import masks_of, rendered
from vxhelpers.stce.random_groups import ScoringSettings, by_chance, problems
from vxhelpers.stce.score import Scores, score

TASKS = ("kth", "tennis", "motion", "static", "shortcut")
COMPACTNESS = (4.0, 6.0, 10.0, 15.0)
SMALLEST = (0.5, 0.25, 0.1)  # of the mean size: scikit-image's default to ours

TASK, TARGET = "tennis", "playing tennis"
HELD = 4  # batches of rendered supervoxels that the floor takes in turn
VIDEOS, PIECES = 200, 145  # the paper's: of a class, and supervoxels of each

VERSIONS = ("torch", "torchvision", "scikit-image", "scikit-learn")

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


# ---- the whole way ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Work:
    """A class to be explained from its clips: network, clips, random clips, recipe, groups."""

    model: zoo.Model
    clips: Sequence[Clip]
    randoms: Sequence[Clip]
    recipe: Recipe
    groups: int
    batch: int

    @property
    def device(self) -> str:
        return self.model.device.type

    @property
    def voxels(self) -> int:
        """Of all clips, in the network's geometry."""
        return (len(self.clips) + len(self.randoms)) * volume(self.model)


def volume(model: zoo.Model) -> int:
    """Voxels of a clip as the network sees it."""
    sides = model.entry.crop
    height, width = (sides, sides) if isinstance(sides, int) else sides
    return model.entry.frames * height * width


def rendered_clips(count: int, size: int, *, others: bool) -> list[Clip]:
    """Training clips of the class, or of the other classes in turn."""
    labels = stage.TASKS[TASK].labels
    rows = (i for i in countless() if (labels[i % len(labels)] != TARGET) == others)
    return [stage.render(TASK, "train", i, size=size).clip for i in islice(rows, count)]


def workload(*, small: bool, device: str = "cpu") -> Work:
    """The stage's tennis class in its R3D: 20 clips, 25 concepts, 50 random groups of 20.

    ``small`` is a trial of the script: 16 clips in few pieces, 8 concepts, 10 random groups of 8.
    """
    model = zoo.load("stage_r3d", weights=TASK, device=device)
    recipe = Recipe((8, 16), concepts=8, nearest=8) if small else Recipe(nearest=20)
    clips = rendered_clips(16 if small else 20, 64, others=False)
    randoms = rendered_clips(6 if small else 10, 64, others=True)
    return Work(model, clips, randoms, recipe, groups=10 if small else 50, batch=32)


def explain(w: Work) -> Scores:
    """From clips to ranked concepts that are held against chance."""
    rng = np.random.default_rng(0)
    computation, settings = Computation(w.batch), ScoringSettings(groups=w.groups)
    found = discover(w.model, None, w.clips, rng=rng, recipe=w.recipe, computation=computation)
    return score(
        found, w.model, TARGET, randoms=w.randoms, rng=rng, settings=settings,
        computation=computation,
    )  # fmt: skip


@dataclass(frozen=True)
class Prepared:
    """What the floor is given: batches of rendered supervoxels, in turn, and of whole clips."""

    shown: Sequence[Tensor]
    clips: Sequence[Tensor]


def prepare(w: Work) -> Prepared:
    """Render some full batches of supervoxels, and prepare all clips, before the clock runs."""
    found, count = [], 0
    for clip in w.clips:
        (one,) = cut(w.model, [clip], w.recipe).cuts
        labels = torch.from_numpy(one.labels).to(w.model.device)
        found.append(
            rendered(w.model.prepare(clip)[0], masks_of(labels, one.kept), form="in place")
        )
        count += len(found[-1])
        if count >= HELD * w.batch:
            break
    full = [x for x in torch.cat(found).split(w.batch) if len(x) == w.batch][:HELD]
    starts = range(0, len(w.clips), w.batch)
    clips = [w.model.prepare(w.clips[start : start + w.batch]) for start in starts]
    return Prepared(full, clips)


def floor(w: Work, ready: Prepared, count: int) -> None:
    """The passes alone: ``count`` supervoxels in full batches, and gradients of the class's clips.

    On prepared inputs, bare: nothing is kept, and nothing before the layer is differentiated.
    """
    net, target = w.model.net, w.model.labels.index(TARGET)
    with torch.inference_mode():
        for turn, start in enumerate(range(0, count, w.batch)):
            net(ready.shown[turn % len(ready.shown)][: count - start])
    leaves: list[Tensor] = []

    def hook(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        leaves.append(output.detach().requires_grad_())
        torch.set_grad_enabled(True)
        return leaves[-1]

    handle = net.get_submodule(w.model.entry.top_layer).register_forward_hook(hook)
    for x in ready.clips:
        with torch.no_grad():
            total = net(x).log_softmax(1)[:, target].sum()
        torch.autograd.grad(total, leaves.pop())
    handle.remove()


PARTS: Mapping[str, Sequence[tuple[ModuleType, str]]] = {
    "segmentation": [(features_code, "view"), (features_code, "segment")],
    "rendering": [(features_code, "masks_of"), (features_code, "rendered")],
    "forward": [(features_code, "probe")],
    "clustering": [(discovery, "_cluster")],
    "gradients": [(scoring, "derivatives")],
    "cavs": [(scoring, "gram"), (scoring, "fit"), (scoring, "by_chance")],
}


def warm_up(w: Work) -> None:
    """Import what is imported late, which takes seconds, and run the network once."""
    rng = np.random.default_rng(0)
    discovery._cluster(rng.standard_normal((32, 4)), 2, 1, rng)
    with torch.inference_mode():
        w.model.logits(w.model.prepare(w.clips[:1]))


def parts(w: Work) -> tuple[Scores, int, dict[str, float]]:
    """Run ours once with a clock in it: scores, forwards of supervoxels, each part's share.

    Stops unless one forward was run for each kept supervoxel, each random one drawn, each clip.
    """
    spent, passes = dict.fromkeys(PARTS, 0.0), [0]
    warm_up(w)

    def timed(part: str, run: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*args: Any, **options: Any) -> Any:
            start = now(w.device)
            found = run(*args, **options)
            spent[part] += now(w.device) - start
            return found

        return measured

    def count(_net: nn.Module, inputs: tuple[Tensor], _output: Tensor) -> None:
        passes[0] += len(inputs[0])

    handle = w.model.net.register_forward_hook(count)
    with ExitStack() as patches:
        for part, places in PARTS.items():
            for module, name in places:
                run = timed(part, getattr(module, name))
                patches.enter_context(mock.patch.object(module, name, run))
        start = now(w.device)
        scores = explain(w)
        total = now(w.device) - start
    handle.remove()
    shown = len(scores.discovery.pieces) + w.groups * w.recipe.nearest
    if passes[0] != shown + len(w.clips):
        raise SystemExit(f"{passes[0]} forwards for {shown} supervoxels and {len(w.clips)} clips")
    shares = {part: value / total for part, value in spent.items()}
    return scores, shown, shares | {"rest": 1 - sum(shares.values())}


def now(device: str) -> float:
    """CPU seconds of all threads, or wall seconds with the GPU's queue drained."""
    if device == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def contest(w: Work, shown: int, *, rounds: int) -> tuple[float, float]:
    """Ours over the floor, median of the rounds' ratios, and our seconds."""
    ready = prepare(w)
    contenders: list[Callable[[], Any]] = [lambda: explain(w), lambda: floor(w, ready, shown)]
    times: list[list[float]] = [[], []]
    for turn in range(rounds):
        for place in (turn % 2, 1 - turn % 2):
            times[place].append(seconds(contenders[place], w.device))
        print(
            f"  round {turn + 1}: ours {times[0][-1]:.2f} s, floor {times[1][-1]:.2f} s", flush=True
        )
    ratio = statistics.median(a / b for a, b in zip(*times, strict=True))
    return ratio, statistics.median(times[0])


def growth(w: Work, whole: float) -> Figures:
    """Seconds a video at a quarter and a half of the clips and at all; how the cost of one grows.

    What all videos share (random groups, their vectors) weighs less with more videos; the ratio of
    what a further video costs late and early is 1 where growth is linear.
    """
    counts = [len(w.clips) // 4, len(w.clips) // 2, len(w.clips)]
    spent = [
        seconds(lambda n=n: explain(replace(w, clips=w.clips[:n])), w.device) for n in counts[:2]
    ]
    spent.append(whole)
    each = np.diff(spent) / np.diff(counts)
    figures: Figures = {f"seconds_a_video_{n}": t / n for n, t in zip(counts, spent, strict=True)}
    return figures | {"growth_late_over_early": float(each[1] / each[0])}


def peak() -> float:
    """Peak memory of this process in bytes, as Linux counts it."""
    status = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in status if line.startswith("VmHWM"))
    return float(line.split()[1]) * 1024


def alone(who: str, w: Work) -> None:
    """Run one contender and print the process's peak memory; two batches are the floor's."""
    warm_up(w)  # so that both have imported the same
    if who == "ours":
        explain(w)
    else:
        floor(w, prepare(w), 2 * w.batch)
    print(peak())


def memory(w: Work, scores: Scores, *, small: bool) -> Figures:
    """Bytes a voxel: kept in memory and on disk, and a process's peak above the floor's."""
    peaks = {}
    for who in ("floor", "ours"):
        command = [sys.executable, __file__, "--alone", who, *(["--small"] if small else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks[who] = float(done.stdout.split()[-1])
    pieces, few = scores.discovery.pieces, w.clips[:2]
    kept = sum(one.labels.nbytes for one in pieces.cuts) + scores.discovery.features.nbytes
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        cut_up = cut(w.model, few, w.recipe, store=store)
        features(
            w.model, cut_up, w.model.entry.top_layer, w.recipe, computation=Computation(store=store)
        )
        disk = sum(path.stat().st_size for path in Path(folder).rglob("*.npz"))
    return {
        "stored_bytes_a_voxel": kept / (len(w.clips) * volume(w.model)),
        "disk_bytes_a_voxel": disk / (len(few) * volume(w.model)),
        "peak_bytes_a_voxel": (peaks["ours"] - peaks["floor"]) / w.voxels,
        "peak_over_floor": peaks["ours"] / peaks["floor"],
    }


def run_pipeline(options: argparse.Namespace) -> Figures:
    """One class end to end over the network's own passes."""
    w = workload(small=options.small)
    scores, shown, shares = parts(w)
    print(f"\n{len(w.clips)} clips, {shown} supervoxels shown, {len(scores)} concepts")
    ratio, mine = contest(w, shown, rounds=options.rounds)
    figures = growth(w, mine) | memory(w, scores, small=options.small)
    figures |= {f"share_{part}": share for part, share in shares.items()}
    figures |= {"clips": len(w.clips), "supervoxels": shown}
    print("\n".join(f"  {name}: {value:.3f}" for name, value in figures.items()))
    figures = {f"pipeline_{name}": value for name, value in figures.items()}
    figures |= {"total_over_floor": ratio, "total_over_floor_gpu": None}
    if torch.cuda.is_available():
        fast = workload(small=options.small, device="cuda")
        shown = parts(fast)[1]
        figures["total_over_floor_gpu"] = contest(fast, shown, rounds=options.rounds)[0]
    return figures


# ---- the paper's size ---------------------------------------------------------------------------


def full_width(device: str) -> zoo.Model:
    """torchvision's R3D-18 with random weights, on 16 frames of 112x112 as they are rendered."""
    labels = stage.TASKS[TASK].labels
    model = zoo.load("r3d_18", weights="random", labels=labels, device=device)
    entry = replace(model.entry, stride=1, resize=(112, 112), crop=(112, 112))
    return replace(model, entry=entry)


def run_paper(options: argparse.Namespace) -> Figures:
    """200 videos of about 145 supervoxels, 50 random groups of 40: on a GPU, or from a part."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = full_width(device)
    recipe = Recipe(threshold=1)  # nothing is dropped
    videos = 4 if options.small else VIDEOS
    if device == "cpu":
        figures = from_a_part(model, recipe, options)
    else:
        count = -(-50 * recipe.nearest // 100)
        clips = (rendered_clips(videos, 112, others=False), rendered_clips(count, 112, others=True))
        w = Work(model, *clips, recipe, groups=50, batch=64)
        scores, shown, shares = parts(w)
        ratio, mine = contest(w, shown, rounds=1)
        figures = {"total_over_floor": ratio, "seconds": mine, "supervoxels": shown}
        figures |= {"extrapolated": False, "clips": videos, "concepts": len(scores)}
        figures |= {"gpu_peak_gib": torch.cuda.max_memory_allocated() / 2**30}
        figures |= {f"share_{part}": share for part, share in shares.items()}
    print("\nthe paper's size")
    print("\n".join(f"  {name}: {value:.3f}" for name, value in figures.items()))
    return {f"paper_{name}": value for name, value in figures.items()}


def from_a_part(model: zoo.Model, recipe: Recipe, options: argparse.Namespace) -> Figures:
    """Extrapolate from two clips: every part is linear in clips, supervoxels or rows.

    Concept vectors and chance are measured at full size, k-means on an eighth of the rows; both on
    measured features with noise of their own spread.
    """
    rng, top, device = np.random.default_rng(0), model.entry.top_layer, model.device.type
    some = batch = 2 if options.small else 4  # supervoxels of each clip
    clips = rendered_clips(2, 112, others=False)
    w = Work(model, clips, [], recipe, groups=50, batch=batch)
    ready = prepare(w)
    warm_up(w)
    cutting = seconds(lambda: cut(model, clips, recipe), device) / len(clips)
    pieces = cut(model, clips, recipe)
    rows = np.flatnonzero(pieces.place < some)
    held: list[Tensor] = []

    def run() -> None:
        held.append(features(model, pieces, top, recipe, rows=rows, computation=Computation(batch)))

    contenders = [run, lambda: floor(w, ready, 0), lambda: floor(w, ready, len(rows))]
    times = [[seconds(one, device) for one in contenders] for _ in range(options.rounds)]
    ran, gradients, both = (statistics.median(column) for column in zip(*times, strict=True))
    showing, forward = ran / len(rows), (both - gradients) / len(rows)

    eighth = max(100, VIDEOS * PIECES // (80 if options.small else 8))
    drawn = rng.integers(len(rows), size=eighth)
    seen = held[0].double().numpy()
    wide = seen.std(0)
    flat = seen[drawn] + rng.standard_normal((eighth, len(wide))) * wide
    clustering = seconds(lambda: discovery._cluster(flat, recipe.concepts, 4, rng), device)

    size, k = recipe.nearest, recipe.concepts
    taken = rng.integers(len(flat), size=(k + w.groups) * size)
    x = torch.from_numpy(flat[taken] + rng.standard_normal((len(taken), len(wide))) * wide).float()
    names = tuple(f"row {i}" for i in range(len(x)))
    sets = Activations({}, {top: x}, names, names)
    places = np.arange(len(x)).reshape(k + w.groups, size)
    concepts, groups = [*places[:k]], places[k:]

    def differentiate() -> Any:
        return derivatives(
            model, clips, sets, target=TARGET, of="log_probability", batch_size=batch
        )

    slopes = differentiate()[top].products
    slopes = np.tile(slopes, (VIDEOS // len(slopes), 1))

    def vectors() -> None:
        K = gram(x, device=model.device)
        fit_vectors(K, problems(concepts, groups), solver="mean", folds=5)
        by_chance(K, slopes, concepts, groups.ravel(), size, rng=rng, draws=1000, solver="mean")

    shown = VIDEOS * PIECES + w.groups * size
    spent = {
        "segmentation": cutting * (VIDEOS + w.groups * size / PIECES),
        "supervoxels": showing * shown,
        "clustering": clustering * VIDEOS * PIECES / eighth,
        "gradients": seconds(differentiate, device) / len(clips) * VIDEOS,
        "cavs": seconds(vectors, device),
    }
    total = sum(spent.values())
    stored = 2 * len(recipe.segments) * volume(model) * VIDEOS + 4 * len(wide) * VIDEOS * PIECES
    return {
        "total_over_floor": total / (forward * shown + gradients / len(clips) * VIDEOS),
        "seconds": total,
        "supervoxels": shown,
        "extrapolated": True,
        "measured_supervoxels": len(rows),
        "stored_gib": stored / 2**30,
        **{f"share_{part}": value / total for part, value in spent.items()},
    }


WORKLOADS: Mapping[str, Callable[[argparse.Namespace], Figures]] = {
    "slic": run_slic,
    "pipeline": run_pipeline,
    "paper": run_paper,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the workloads; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workloads", nargs="+", default=[*WORKLOADS], choices=[*WORKLOADS])
    parser.add_argument("--clips", type=int, default=20, help="of 64 pixels; a fifth of 112")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--small", action="store_true", help="fewer and coarser: a trial of the script"
    )
    parser.add_argument("--alone", choices=("ours", "floor"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    if options.alone:
        alone(options.alone, workload(small=options.small))
        return
    if options.small:
        options.clips, options.rounds = min(options.clips, 5), 1
    figures: Figures = {}
    for name in options.workloads:
        figures |= WORKLOADS[name](options)
    figures |= {
        "rounds": options.rounds,
        "clips": options.clips,
        "small": options.small,
        "machine": platform.machine(),
        "threads": options.threads,
        "versions": {name: version(name) for name in VERSIONS},
    }
    print(json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in figures.items()}))


if __name__ == "__main__":
    main()
