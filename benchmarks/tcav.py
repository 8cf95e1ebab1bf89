"""TCAV against its floor (the network's passes) and against captum's, on the same clips.

    python benchmarks/tcav.py [--workloads reference model-bound] [--rounds 3] [--slow-rounds 1]

Every concept is set against every random set, and random sets against each other, at all four
stages of a Video Swin. In each round the contenders run one after another in an order that turns;
figures are medians over the rounds of the ratios within a round. On the CPU seconds are the
process's own, so that a busy machine does not blur them. See README.md beside this file.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from captum._utils.av import AV
from captum.concept import TCAV, Concept
from captum.concept._utils.classifier import Classifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from torch import Tensor, nn
from torchvision.models.video.swin_transformer import PatchEmbed3d, SwinTransformer3d

from vxhelpers.concepts.activations import collect
from vxhelpers.concepts.tcav import TcavSettings, tcav
from vxhelpers.data.clip import Clip
from vxhelpers.models import zoo

TARGET = 3
STAGES = tuple(f"features.{2 * stage}" for stage in range(4))


@dataclass(frozen=True)
class Work:
    """A network and the clips to be scored with it."""

    model: zoo.Model
    sets: dict[str, list[Clip]]
    scoring: list[Clip]
    concepts: tuple[str, ...]
    randoms: tuple[str, ...]
    batch: int

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Every concept against every random set, and random sets against each other."""
        mixed = [(c, r) for c in self.concepts for r in self.randoms]
        return [*mixed, *combinations(self.randoms, 2)]

    @cached_property
    def inputs(self) -> dict[str, Iterable[Tensor]]:
        """Batches of every set, which captum and the floor are given, prepared when first read."""
        return {name: Batches(self, clips) for name, clips in self.sets.items()}

    @cached_property
    def targets(self) -> Iterable[Tensor]:
        """Batches of the scoring clips."""
        return Batches(self, self.scoring)

    def prepare(self) -> None:
        """Prepare all batches once and keep them, so that the clock does not see it."""
        self.__dict__["inputs"] = {name: [*batches] for name, batches in self.inputs.items()}
        self.__dict__["targets"] = [*self.targets]


class Batches:
    """Prepared clips, batch by batch, anew each time: one batch is held at a time."""

    def __init__(self, w: Work, clips: list[Clip]) -> None:
        self.w, self.clips = w, clips

    def __iter__(self) -> Iterator[Tensor]:
        size = self.w.batch
        for start in range(0, len(self.clips), size):
            yield self.w.model.prepare(self.clips[start : start + size])


# ---- workloads ----------------------------------------------------------------------------------


def _clips(
    name: str, count: int, sides: tuple[int, int], rng: np.random.Generator, *, tint: int = 0
) -> list[Clip]:
    """Coarse noise; clips of a concept have a common tint, random sets are of one kind."""
    colour = rng.integers(-tint, tint + 1, 3)
    found = []
    for index in range(count):
        coarse = rng.integers(60, 196, (4, 8, 8, 3)) + colour
        shape = (4, sides[0] // 8, sides[1] // 8)
        frames = coarse.repeat(shape[0], 0).repeat(shape[1], 1).repeat(shape[2], 2)
        found.append(Clip(frames.clip(0, 255).astype(np.uint8), 25.0, f"{name} {index}"))
    return found


def _work(model: zoo.Model, *, clips: int, scoring: int, concepts: int, randoms: int) -> Work:
    rng = np.random.default_rng(0)
    crop = model.entry.crop
    sides = (crop, crop) if isinstance(crop, int) else crop
    named = tuple(f"concept {i}" for i in range(concepts))
    others = tuple(f"random {i}" for i in range(randoms))
    sets = {name: _clips(name, clips, sides, rng, tint=10) for name in named}
    sets |= {name: _clips(name, clips, sides, rng) for name in others}
    return Work(model, sets, _clips("scoring", scoring, sides, rng), named, others, batch=4)


def _swin(net: nn.Module, side: int, device: str, *, frames: int = 16) -> zoo.Model:
    entry = replace(
        zoo.ENTRIES["swin3d_t"],
        frames=frames,
        stride=1,
        resize=(side, side),
        crop=(side, side),
        layers=tuple(zoo.Layer(name, "NTHWC") for name in STAGES),
        top_layer=STAGES[-1],
    )
    labels = tuple(f"class {i}" for i in range(10))
    return zoo.Model(entry, net.to(device).eval(), labels, "random", zoo.digest(net))


def workload(name: str, *, small: bool, device: str) -> Work:
    """The reference workload (small network, many pairs), the model-bound one or the paper's size.

    ``small`` keeps the networks and takes a third of the clips and sets: a trial of the script; of
    the paper's size, which is 30 clips for each of 5 concepts and 10 random sets, 4 clips of 3
    sets.
    """
    torch.manual_seed(0)
    few = {"concepts": 2, "randoms": 3} if small else {"concepts": 4, "randoms": 10}
    if name == "reference":
        net = SwinTransformer3d(
            patch_size=[2, 4, 4],
            embed_dim=32,
            depths=[2, 2, 2, 2],
            num_heads=[2, 4, 8, 16],
            window_size=[8, 4, 4],
            num_classes=10,
            patch_embed=PatchEmbed3d,
        )
        clips = 8 if small else 20
        return _work(_swin(net, 64, device), clips=clips, scoring=clips, **few)
    net = zoo.load("swin3d_t", weights="random", labels=[str(i) for i in range(10)]).net
    if name == "paper":
        few = {"concepts": 1, "randoms": 2} if small else {"concepts": 5, "randoms": 10}
        clips = 4 if small else 30
        return _work(_swin(net, 224, device, frames=32), clips=clips, scoring=clips, **few)
    clips = 4 if small else 8
    return _work(_swin(net, 112, device), clips=clips, scoring=clips, **few)


# ---- contenders ---------------------------------------------------------------------------------


def floor(w: Work) -> None:
    """The passes alone: a forward a distinct clip, a forward and backward a scoring clip.

    On prepared clips, bare: nothing is kept, and no parameter gets a gradient.
    """
    net = w.model.net
    with torch.no_grad():
        for batches in w.inputs.values():
            for x in batches:
                net(x)
    kept: list[Tensor] = []

    def hook(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        if not kept:
            output = output.detach().requires_grad_()
            torch.set_grad_enabled(True)
        kept.append(output)
        return output

    handles = [net.get_submodule(name).register_forward_hook(hook) for name in STAGES]
    for x in w.targets:
        kept.clear()  # of the batch before
        with torch.no_grad():
            score = net(x)[:, TARGET].sum()
        torch.autograd.grad(score, kept)
    for handle in handles:
        handle.remove()


def ours(w: Work) -> Any:
    """From clips to scores: digests, preparation, passes, two classifiers, cross-validation."""
    held = collect(w.model, w.sets, layers=STAGES, batch_size=w.batch)
    return tcav(
        w.model,
        held,
        w.scoring,
        concepts=w.concepts,
        randoms=w.randoms,
        target=TARGET,
        settings=TcavSettings(batch_size=w.batch),
    )


class Svc(Classifier):  # type: ignore[misc]
    """scikit-learn's LinearSVC on all clips of a pair, as captum's documentation suggests."""

    def __init__(self) -> None:
        self.fitted: Any = LinearSVC()

    def train_and_eval(self, dataloader: Any, **_options: Any) -> dict[str, float]:
        x, y = (torch.cat(part) for part in zip(*dataloader, strict=True))
        self.fitted.fit(x.numpy(), y.numpy())
        return {}

    def weights(self) -> Tensor:
        row = torch.tensor(self.fitted.coef_[0])
        return torch.stack([-row, row])

    def classes(self) -> Any:
        return self.fitted.classes_


class Logistic(Svc):
    """scikit-learn's logistic regression, exactly: in coordinates of the clips' own span."""

    def __init__(self) -> None:
        self.fitted = LogisticRegression(tol=1e-13, solver="newton-cholesky")

    def train_and_eval(self, dataloader: Any, **_options: Any) -> dict[str, float]:
        x, y = (torch.cat(part) for part in zip(*dataloader, strict=True))
        centred = x.double().numpy() - x.double().numpy().mean(0)
        axes = np.linalg.qr(centred.T)[0]
        self.fitted.fit(centred @ axes, y.numpy())
        self.fitted.coef_ = self.fitted.coef_ @ axes.T
        return {}


def captum(w: Work, classifier: Classifier | None, *, repaired: bool) -> Any:
    """captum's TCAV from prepared clips, with an empty cache in a folder of its own."""
    concepts = {
        name: Concept(place, name, batches)
        for place, (name, batches) in enumerate(w.inputs.items())
    }
    pairs = [[concepts[a], concepts[b]] for a, b in w.pairs]
    exists = AV.exists

    def swapped(path: str, model_id: str, layer: str, identifier: str) -> bool:
        return exists(path, model_id, identifier, layer)

    cache = mock.patch.object(AV, "exists", swapped if repaired else exists)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), cache:
        warnings.simplefilter("ignore")
        tester = TCAV(w.model.net, [*STAGES], classifier=classifier, save_path=folder)
        return tester.interpret(torch.cat([*w.targets]), pairs, target=TARGET)


def captum_default(w: Work) -> Any:
    """captum as shipped."""
    return captum(w, None, repaired=False)


def captum_svc(w: Work) -> Any:
    """captum with LinearSVC."""
    return captum(w, Svc(), repaired=False)


def captum_best(w: Work) -> Any:
    """captum with LinearSVC, and with the arguments of its cache's look-up in the right order."""
    return captum(w, Svc(), repaired=True)


FAST = {f.__name__: f for f in (floor, ours, captum_best)}
SLOW = {f.__name__: f for f in (captum_svc, captum_default)}


# ---- measuring ----------------------------------------------------------------------------------


def check(w: Work) -> None:
    """Stop unless captum counts the same signs with the same classifier, and counts the passes."""
    few = replace(w, concepts=w.concepts[:1], randoms=w.randoms[:2])
    few = replace(few, sets={name: w.sets[name] for name in (*few.concepts, *few.randoms)})
    passes = {"forward": 0}
    handle = w.model.net.register_forward_hook(
        lambda _net, inputs, _output: passes.update(forward=passes["forward"] + len(inputs[0]))
    )
    held = collect(few.model, few.sets, layers=STAGES)
    found = tcav(
        few.model,
        held,
        few.scoring,
        concepts=few.concepts,
        randoms=few.randoms,
        target=TARGET,
        settings=TcavSettings(solvers=("logistic",), folds=None),
    )
    handle.remove()
    expected = sum(map(len, few.sets.values())) + len(few.scoring)
    if passes["forward"] != expected:
        raise SystemExit(f"{passes['forward']} forward passes for {expected} clips")
    theirs = captum(few, Logistic(), repaired=True)
    order = list(few.sets)
    for name in STAGES:
        layer = found[name]
        ours_and_null = layer.sensitivities["logistic"], layer.nulls["logistic"]
        counts = np.concatenate([found.sign_count for found in ours_and_null])
        for (a, b), count in zip(few.pairs, counts, strict=True):
            scores = theirs[f"{order.index(a)}-{order.index(b)}"][name]
            if abs(float(scores["sign_count"][0]) - count) > 1e-6:
                raise SystemExit(f"{a} against {b} at {name}: captum counts other signs")


def seconds(run: Callable[[Work], Any], w: Work) -> float:
    """Time one call: CPU seconds of all threads, or wall seconds where a GPU does the work."""
    cuda = w.model.device.type == "cuda"
    clock = time.perf_counter if cuda else time.process_time
    start = clock()
    run(w)
    if cuda:
        torch.cuda.synchronize()
    return clock() - start


def compare(w: Work, *, rounds: int, slow_rounds: int) -> dict[str, list[float]]:
    """Seconds of each contender, interleaved; the slow ones run in the first rounds alone."""
    w.prepare()
    floor(w)  # warm up
    times: dict[str, list[float]] = {name: [] for name in (*FAST, *SLOW)}
    for turn in range(rounds):
        names = [*FAST, *(SLOW if turn < slow_rounds else ())]
        for place in range(len(names)):
            name = names[(place + turn) % len(names)]
            times[name].append(seconds((FAST | SLOW)[name], w))
            print(f"  round {turn + 1}, {name}: {times[name][-1]:.2f} s", flush=True)
    return times


def ratio(a: list[float], b: list[float]) -> float | None:
    """Median over the rounds that both ran in of ``a`` over ``b``; None where there is none."""
    return statistics.median(x / y for x, y in zip(a, b, strict=False)) if a and b else None


def report(title: str, times: dict[str, list[float]]) -> None:
    """Print one workload's table."""
    print(f"\n{title:20}{'seconds':>9}{'over floor':>12}{'over ours':>11}")
    for name, values in times.items():
        if values:
            floors, own = ratio(values, times["floor"]), ratio(values, times["ours"])
            print(f"  {name:18}{statistics.median(values):9.2f}{floors:12.2f}{own:11.2f}")


def peak() -> float:
    """Peak memory of this process in MB, as Linux counts it (a child's rusage has its parent's)."""
    status = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in status if line.startswith("VmHWM"))
    return float(line.split()[1]) / 1024


def memory(name: str, *, small: bool) -> dict[str, float]:
    """Peak memory in MB of processes that run one contender each, and of what ours stores."""
    peaks = {}
    for who in ("floor", "ours", "captum_best"):
        command = [sys.executable, __file__, "--alone", who, "--workloads", name]
        command += ["--small"] if small else []
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks[who] = float(done.stdout.split()[-1])
    w = workload(name, small=small, device="cpu")
    seen = collect(w.model, {"a": w.scoring}, layers=STAGES)
    a_clip = sum(x[0].numel() * x.element_size() for x in seen.layers.values())
    peaks["stored"] = a_clip * sum(map(len, w.sets.values())) / 2**20
    return peaks


def paper(w: Work) -> dict[str, float]:
    """Ours and the floor at the paper's size, and the memory that all its 450 clips would take.

    Fewer clips (``--small``) give the seconds of a pass and the memory; Gram matrices and products
    grow with the square of their number, so that the ratio is for the number that was run.
    """
    cold, own, warm = (seconds(run, w) for run in (floor, ours, floor))
    clips = sum(map(len, w.sets.values()))
    held = collect(w.model, {"a": w.scoring[:4]}, layers=STAGES, batch_size=w.batch)
    a_clip = sum(x[0].numel() for x in held.layers.values())
    figures = {
        "paper_clips": clips + len(w.scoring),
        "paper_total_over_floor": own / min(cold, warm),
        "paper_seconds_a_clip": own / (clips + len(w.scoring)),
        "paper_values_a_clip": a_clip,
        "paper_stored_gib_float32": 450 * a_clip * 4 / 2**30,
        "paper_stored_gib_float16": 450 * a_clip * 2 / 2**30,
        "paper_peak_gib": peak() / 1024,
    }
    print("\n".join(f"  {key}: {value:.3f}" for key, value in figures.items()))
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the workloads; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = ["reference", "model-bound"]
    parser.add_argument("--workloads", nargs="+", default=known, choices=[*known, "paper"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slow-rounds", type=int, default=1, help="of captum without its cache")
    parser.add_argument("--small", action="store_true", help="a third of the clips: a trial")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    if options.alone:
        (FAST | SLOW)[options.alone](
            workload(options.workloads[0], small=options.small, device="cpu")
        )
        print(peak())
        return
    figures: dict[str, Any] = {}
    for name in options.workloads:
        w = workload(name, small=options.small, device=options.device)
        if name == "paper":
            figures |= paper(w)
            continue
        check(w)
        times = compare(w, rounds=options.rounds, slow_rounds=options.slow_rounds)
        report(name, times)
        tail = "" if name == "reference" else "_model_bound"
        figures[f"total_over_floor{tail}"] = ratio(times["ours"], times["floor"])
        figures[f"speedup_captum_best{tail}"] = ratio(times["captum_best"], times["ours"])
        figures[f"speedup_captum_svc{tail}"] = ratio(times["captum_svc"], times["ours"])
        figures[f"speedup_captum_default{tail}"] = ratio(times["captum_default"], times["ours"])
    if "reference" in options.workloads:
        peaks = memory("reference", small=options.small)
        print("\npeak memory, MB: " + ", ".join(f"{k} {v:.0f}" for k, v in peaks.items()))
        figures["peak_memory_ratio"] = peaks["ours"] / (peaks["floor"] + peaks["stored"])
        figures["peak_memory_captum"] = peaks["captum_best"] / peaks["ours"]
    figures |= {
        "rounds": options.rounds,
        "slow_rounds": options.slow_rounds,
        "small": options.small,
        "machine": platform.machine(),
        "threads": options.threads,
        "versions": {n: version(n) for n in ("torch", "torchvision", "captum", "scikit-learn")},
    }
    print(json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in figures.items()}))


if __name__ == "__main__":
    main()
