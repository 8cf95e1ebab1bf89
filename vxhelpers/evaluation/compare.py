"""Methods side by side on the same clips: their maps, what these cost, which networks they fit."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module

import numpy as np
import torch
from torch import Tensor, nn

from vxhelpers.attribution.registry import Method, attribute
from vxhelpers.data.datasets import DataSet
from vxhelpers.errors import InputError
from vxhelpers.evaluation.localisation import Flags, Values, where
from vxhelpers.evaluation.planted import Trial, trial
from vxhelpers.models import samples, zoo
from vxhelpers.models.zoo import Model
from vxhelpers.stats import Mean, mean_interval

NETS = ("stage_r3d", "stage_c3d", "stage_i3d", "stage_swin3d")


@dataclass(frozen=True, eq=False)
class Answer:
    """What one method made of clips.

    Parameters
    ----------
    method
        The method.
    maps
        ``(N, T, H, W)`` float64, raw and signed; None where the method failed.
    seconds
        Wall time of one clip's map.
    forwards, backwards
        Clips that went through the network for one clip's map, and back from its logits (however
        far: Grad-CAM's way ends at a layer).
    failed
        Why there are no maps, in the words of the error.
    """

    method: Method
    maps: Values | None
    seconds: float = 0.0
    forwards: float = 0.0
    backwards: float = 0.0
    failed: str = ""


Answers = Mapping[str, Answer]


def gather(
    data: DataSet, model: Model, *, label: str, count: int, rng: np.random.Generator
) -> tuple[samples.Samples, Trial]:
    """Draw test clips of one class, with what is known of their evidence.

    Unlike `vxhelpers.evaluation.planted.trial` this takes any data. The trial's kind is what was
    planted; ``"natural"`` on rendered scenes with nothing planted, of which the evidence is what
    could decide; ``"unknown"`` for videos, of which it is where they move most. A clip may have
    none.
    """
    rows = samples.draw(data, split="test", label=label, limit=count, rng=rng)
    found = samples.collect(data, model, rows)
    scenes = [data.scene(row) for row in rows]
    kinds = {scene.planted.kind if scene else "unknown" for scene in scenes}
    evidence = np.zeros_like(next(iter(found.masks.values())))
    for name in found.decides:
        evidence |= found.masks[name]
    x, target = model.prepare(found.clips), torch.from_numpy(found.labels)
    return found, Trial(data.name, kinds.pop(), model, x, target, evidence)


def compare(
    methods: Sequence[Method], model: Model, x: Tensor, *, target: Tensor, seed: int = 0
) -> dict[str, Answer]:
    """Run methods on the same clips, one after another, and count what they cost.

    Parameters
    ----------
    x, target
        ``(N, C, T, H, W)`` prepared clips and their ``(N,)`` classes, which are explained.
    seed
        Of each method's draws: a method draws the same whatever runs beside it.

    Returns
    -------
    dict
        Name to answer, in the order asked for. A method that fails is an answer that says why.
    """
    _warm_up(model, x[:1])
    found: dict[str, Answer] = {}
    for method in methods:
        with _counted(model.net) as passes:
            begun = time.perf_counter()
            try:
                rng = np.random.default_rng(seed)
                maps = attribute(method, model, x, target=target, rng=rng)
            except InputError as error:
                reason = str(error).removeprefix(f"{method.name}: ").removeprefix("InputError: ")
                found[method.name] = Answer(method, None, failed=reason)
                continue
            spent = time.perf_counter() - begun
        forwards, backwards = (count / len(x) for count in passes)
        found[method.name] = Answer(method, maps, spent / len(x), forwards, backwards)
    return found


def untrained(model: Model, *, seed: int) -> Model:
    """Give the model's architecture random weights: what a map shows without anything learned."""
    name = model.entry.name
    return zoo.load(name, weights="random", labels=model.labels, seed=seed, device=model.device)


def fits(
    methods: Sequence[Method], *, nets: Sequence[str] = NETS, task: str = "motion", seed: int = 0
) -> dict[str, dict[str, Answer]]:
    """Try methods on one test clip in each of several networks that learned a planted task."""
    found = {}
    for name in nets:
        one = trial(task, zoo.load(name, weights=task), count=1, rng=np.random.default_rng(seed))
        found[name] = compare(methods, one.model, one.x, target=one.target, seed=seed)
    return found


# ---- how well evidence is found ------------------------------------------------------------------


def recovered(maps: Values, evidence: Flags) -> Values:
    """`vxhelpers.evaluation.localisation.where` of the clips that have evidence, and something
    else: ``(n,)``."""
    share = evidence.mean((1, 2, 3))
    usable = (share > 0) & (share < 1)
    return where(maps[usable], evidence[usable])


def mean_over_clips(values: Values) -> Mean | None:
    """Mean with its interval (drawn with a fixed seed); None for fewer than two clips."""
    return mean_interval(values, rng=np.random.default_rng(0)) if len(values) > 1 else None


def above(answers: Answers, others: Answers, evidence: Flags) -> list[str]:
    """Name methods whose maps find evidence better than the same method's in ``others``.

    Clip by clip: the mean difference has a 95 % interval above 0. Methods that ``others`` lacks, or
    that failed, are not named.
    """
    named = []
    for name, one in answers.items():
        other = others.get(name)
        if one.maps is not None and other is not None and other.maps is not None:
            gain = recovered(one.maps, evidence) - recovered(other.maps, evidence)
            mean = mean_over_clips(gain)
            if mean is not None and mean.low > 0:
                named.append(name)
    return named


def ranked(answers: Answers, evidence: Flags) -> list[str]:
    """Methods that ran, those first whose maps find evidence best in the mean.

    In the order given where nothing can be scored.
    """
    ran = {name: one.maps for name, one in answers.items() if one.maps is not None}
    scores = {name: recovered(maps, evidence) for name, maps in ran.items()}
    return sorted(ran, key=lambda name: -float(scores[name].mean()) if len(scores[name]) else 0)


# ---- inside --------------------------------------------------------------------------------------


def _warm_up(model: Model, x: Tensor) -> None:
    """Load what methods share and run the network once, so that it is no method's cost."""
    for library in ("captum.attr", "zennit.composites"):
        import_module(library)
    clips = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        torch.autograd.grad(model.logits(clips).sum(), clips)


@contextmanager
def _counted(net: nn.Module) -> Iterator[list[int]]:
    """Count clips that go forward and back through a network, and copies made of it meanwhile."""
    passes = [0, 0]

    def back(slope: Tensor) -> None:
        passes[1] += len(slope)

    def forward(_net: nn.Module, _inputs: object, out: Tensor) -> None:
        passes[0] += len(out)
        if out.requires_grad:
            out.register_hook(back)  # type: ignore[no-untyped-call]

    handle = net.register_forward_hook(forward)
    try:
        yield passes
    finally:
        handle.remove()
