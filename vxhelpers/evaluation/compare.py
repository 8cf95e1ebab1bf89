"""Methods side by side on the same clips: their maps, what these cost, which networks they fit."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module

import numpy as np
import torch
from torch import Tensor, nn

from vxhelpers.attribution.registry import Method, attribute
from vxhelpers.data.datasets import DataSet
from vxhelpers.errors import InputError
from vxhelpers.evaluation.localisation import Flags, Values, where
from vxhelpers.evaluation.map_similarity import logits
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


# ---- in words ------------------------------------------------------------------------------------


def known_evidence(one: Trial, names: Sequence[str]) -> str:
    """Say what maps of these clips are held against, what that is worth, how many are known."""
    right = logits(one.model, one.x, batch_size=16).argmax(1) == one.target
    told = f" Of {len(right)} clips {int(right.sum())} are recognised"
    told += "." if right.all() else "; of the others, maps explain what the network did not answer."
    if one.kind == "unknown":
        return (
            "**Nothing was planted in these clips, and nobody has drawn where their evidence is.** "
            "The maps are held against where a clip moves most, at most a tenth of it: a stand-in "
            "that may be wrong, so that nothing below says whether a map is right." + told
        )
    seen = " and ".join(f"*{name}*" for name in names)
    if one.kind == "natural":
        return (
            f"**Nothing was planted in these scenes.** The maps are held against {seen}, which "
            "could decide; whether it does is not known, so a low number is no proof against a map."
            + told
        )
    return (
        f"Here the evidence is planted: of all that is in these clips, {seen} "
        f"{'decides' if len(names) == 1 else 'decide'}, and all else tells nothing." + told
    )


def verdict(answers: Answers, blank: Answers, wrong: Answers, evidence: Flags) -> str:
    """Say which methods beat the same with random weights, and the best of the wrong ones."""
    count = len(recovered(evidence.astype(float), evidence))
    if count < 2:
        return "**Fewer than two of these clips have evidence to find: nothing can be said.**"
    rivals = ranked(wrong, evidence)
    chance = {name: replace(one, maps=np.zeros(evidence.shape)) for name, one in answers.items()}
    beyond = above(answers, chance, evidence)
    learned = [name for name in above(answers, blank, evidence) if name in beyond]
    clear = above(answers, dict.fromkeys(answers, wrong[rivals[0]]), evidence) if rivals else []
    return (
        "Better than chance and than the same map of a network with random weights, clip by clip: "
        f"{_list(learned)}. Better than the best of the wrong ones ({rivals[0] if rivals else '-'}"
        f"): {_list(clear)}."
        + ("" if clear else " **On these clips a map that never asked the network finds the "
           "evidence as well as this family does.**")
        + (f" **{count} clips say next to nothing**, whatever the intervals." if count < 6 else "")
    )  # fmt: skip


# ---- tables, as Markdown -------------------------------------------------------------------------


def recovery_table(answers: Answers, blank: Answers, wrong: Answers, evidence: Flags) -> str:
    """Set methods, the same with random weights, and wrong ones, beside each other.

    Beside the values their size alone: there a method that knows where, but not for or against, is
    not punished for its signs. Wrong methods do not ask the network, and have one column of each.
    """
    lines = ["| map | values | their size | values, random weights | size, random weights |",
             "|---|---|---|---|---|"]  # fmt: skip
    for name, one in {**answers, **wrong}.items():
        if one.maps is None:
            lines.append(f"| {name} | does not fit | | | |")
            continue
        control = blank[name].maps if name in blank else None
        columns = [one.maps, np.abs(one.maps), control, None if control is None else abs(control)]
        cells = [
            "" if maps is None else _cell(mean_over_clips(recovered(maps, evidence)))
            for maps in columns
        ]
        italic = f"*{name}*" if name in wrong else name
        lines.append(f"| {italic} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cost_table(answers: Answers) -> str:
    """Passes through the network and clips a second of each method that ran."""
    lines = ["| method | clips forward | clips back | clips a second |", "|---|---|---|---|"]
    for name, one in answers.items():
        if one.maps is not None:
            rate = f"{1 / one.seconds:.0f}" if one.seconds < 0.1 else f"{1 / one.seconds:.2g}"
            lines.append(f"| {name} | {one.forwards:.3g} | {one.backwards:.3g} | {rate} |")
    return "\n".join(lines)


def fit_table(tried: Mapping[str, Answers]) -> str:
    """Methods by networks: maps, or a number that stands for what the error said below."""
    names = list(dict.fromkeys(name for answers in tried.values() for name in answers))
    lines = [f"| method | {' | '.join(tried)} |", "|---" * (1 + len(tried)) + "|"]
    reasons: list[str] = []
    for name in names:
        cells = []
        for answers in tried.values():
            one = answers[name]
            if one.maps is None and _short(one.failed) not in reasons:
                reasons.append(_short(one.failed))
            cells.append("maps" if one.maps is not None else
                         f"error {1 + reasons.index(_short(one.failed))}")  # fmt: skip
        lines.append(f"| {name} | {' | '.join(cells)} |")
    told = [f"{k}. {reason}" for k, reason in enumerate(reasons, 1)]
    return "\n".join(lines) + ("\n\nThe errors say:\n\n" + "\n".join(told) if told else "")


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


def _list(names: Sequence[str]) -> str:
    return "; ".join(names) or "none"


def _cell(mean: Mean | None) -> str:
    return "-" if mean is None else f"{mean.value:.2f} [{mean.low:.2f}, {mean.high:.2f}]"


def _short(reason: str) -> str:
    """First clause of an error's text without the network's name, safe in a table or a list."""
    what = re.sub(r"^model '\w+': ", "", reason)
    what = re.sub(r"model '\w+'", "this network", what).partition(": ")[0].partition("; ")[0]
    return re.sub(r"([|*_<`])", r"\\\1", what)
