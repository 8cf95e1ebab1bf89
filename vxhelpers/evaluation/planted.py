"""Does a method name the evidence that was planted: where it is, when, and whether it is movement?

On the stage's planted tasks we know what decides, because all else tells nothing. So an explanation
can be right or wrong. A method is a function ``(model, x, *, target, rng) -> (N, T, H, W)``; its
maps are judged by three questions, each with a chance level of one half.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from vxhelpers.attribution.registry import Method, attribute
from vxhelpers.data.datasets import open_data
from vxhelpers.errors import InputError
from vxhelpers.evaluation.localisation import Flags, Values, gone, half_still, what, when, where
from vxhelpers.models import samples
from vxhelpers.models.zoo import Model
from vxhelpers.stats import Mean, mean_interval

Question = Literal["where", "when", "what"]

QUESTIONS: dict[Question, str] = {
    "where": "area under the ROC curve of a map's values, evidence against all other voxels",
    "when": "share of a map's positive relevance in the half of the clip that moves, the other "
    "half held still",
    "what": "area under the ROC curve of how much relevance on the evidence goes when the clip is "
    "held still: clips of the motion task against clips of the static one",
}
CHANCE = 0.5  # of all three


@dataclass(frozen=True, eq=False)
class Trial:
    """Clips of a planted task as a network takes them, with where their evidence is.

    Parameters
    ----------
    task, kind
        The stage's task, and what was planted: ``"motion"``, ``"static"`` or ``"background"``.
    model
        The network that learned it.
    x
        ``(N, C, T, H, W)`` prepared clips.
    target
        ``(N,)`` int64, their classes, which are explained.
    evidence
        ``(N, T, H, W)`` bool, the objects that decide.
    """

    task: str
    kind: str
    model: Model
    x: Tensor
    target: Tensor
    evidence: Flags


@dataclass(frozen=True)
class Line:
    """A method's answer to one question, on one network and task.

    ``score`` is its mean over clips with an interval, and 0.5 chance; None where the method failed,
    and then ``failed`` says why. ``seconds`` is the time of one map, of one clip.
    """

    method: str
    family: str
    net: str
    task: str
    question: Question
    score: Mean | None
    seconds: float
    failed: str = ""

    @property
    def skill(self) -> float:
        """0 at chance or failed, 1 at best, below 0 worse than chance."""
        return 0.0 if self.score is None else (self.score.value - CHANCE) / (1 - CHANCE)


def trial(task: str, model: Model, *, count: int, rng: np.random.Generator) -> Trial:
    """Draw test clips of a planted task, with their ground truth.

    Raises
    ------
    InputError
        If nothing was planted in the task.
    UnknownNameError
        If there is no such task, or the network's classes are not the task's.
    """
    data = open_data(f"stage:{task}")
    rows = samples.draw(data, split="test", limit=count, rng=rng)
    found = samples.collect(data, model, rows)
    scenes = [data.scene(row) for row in rows]
    kinds = {scene.planted.kind for scene in scenes if scene is not None}
    if kinds <= {"natural"}:
        raise InputError(f"stage:{task}: nothing was planted in it; take motion, static, shortcut")
    evidence = np.zeros(found.masks["person"].shape, bool)
    for i, scene in enumerate(scenes):
        assert scene is not None
        for name in scene.planted.decides:
            evidence[i] |= found.masks[name][i]
    x = model.prepare(found.clips)
    return Trial(task, kinds.pop(), model, x, torch.from_numpy(found.labels), evidence)


# ---- the board -----------------------------------------------------------------------------------


def judge(
    method: Method,
    trials: Sequence[Trial],
    *,
    rng: np.random.Generator,
) -> list[Line]:
    """Ask one method all questions that trials of one network allow.

    *Where* is asked of every trial, *when* of the motion task, *what* where there are a motion and
    a static one. A method that fails is a line that says why; others go on.
    """
    lines: list[Line] = []
    losses: dict[str, Values] = {}
    spent = 0.0

    def ask(one: Trial, x: Tensor, *, empty: bool = True) -> Values:
        return attribute(method, one.model, x, target=one.target, rng=rng, empty=empty)

    def answer(one: Trial, question: Question, score: Mean | None, why: str = "") -> None:
        net = one.model.entry.name
        each = spent / len(one.x)
        lines.append(Line(method.name, method.family, net, one.task, question, score, each, why))

    def mean(values: Values) -> Mean:
        return mean_interval(values, rng=np.random.default_rng(0))

    for one in trials:
        question: Question = "where"
        try:
            begun = time.perf_counter()
            maps = ask(one, one.x, empty=False)
            spent = time.perf_counter() - begun
            answer(one, question, mean(where(maps, one.evidence)))
            if one.kind not in ("motion", "static"):
                continue
            question = "what"
            middle = one.x.shape[2] // 2
            still = ask(one, one.x[:, :, middle : middle + 1].expand_as(one.x).contiguous())
            losses[one.kind] = gone(maps, still, one.evidence)
            if one.kind == "motion":
                question = "when"
                halves = (ask(one, half_still(one.x, first=first)) for first in (True, False))
                answer(one, question, mean(when(*halves)))
        except InputError as error:
            answer(one, question, None, str(error))
    pair = [one for one in trials if one.kind in losses]
    if len(losses) == 2:
        answer(pair[0], "what", what(losses["motion"], losses["static"]))
    return lines


def ranking(lines: Iterable[Line]) -> list[tuple[str, Mean]]:
    """Methods by their mean skill over networks, tasks and questions, the best first.

    Failures count as no skill. The interval is over these cells, not over clips; one cell alone
    has none, and its ends are its value.
    """
    skills: dict[str, list[float]] = {}
    for line in lines:
        skills.setdefault(line.method, []).append(line.skill)
    means = {
        name: mean_interval(values, rng=np.random.default_rng(0))
        if len(values) > 1
        else Mean(values[0], values[0], values[0], 1)
        for name, values in skills.items()
    }
    return sorted(means.items(), key=lambda item: -item[1].value)
