"""STCE and Video-TCAV on the board of planted evidence: what methods of concepts say of one clip.

Both explain a class by concepts, so that their answers about a clip are made here. STCE's concepts
are painted into a clip: a map like any other, asked all questions
(`vxhelpers.evaluation.planted.judge`). Video-TCAV has no map. It answers *what*, by the vectors of
dynamic and of static clips of the thing in hand, and *where* only as far as things go; it is not
asked *when*. `ANSWERS` says how its answers are made: beside those of maps they are other
quantities with the same chance level.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vxhelpers.concept_sets.make import make
from vxhelpers.concept_sets.settings import ClipVersions, ConceptSetSettings, Output, RandomSets
from vxhelpers.concept_sets.tracking import TRUTH
from vxhelpers.concepts.activations import collect, gram
from vxhelpers.concepts.cav import against, fit, vectors
from vxhelpers.data.clip import Clip
from vxhelpers.data.datasets import open_data
from vxhelpers.data.stage import TOOLS
from vxhelpers.errors import InputError, NotFiniteError, UnknownNameError
from vxhelpers.evaluation.localisation import what
from vxhelpers.evaluation.planted import Line, Question, Trial, judge
from vxhelpers.evaluation.planted_stce import FAMILY, stce_map
from vxhelpers.io.cache import Store
from vxhelpers.models.probe import probe
from vxhelpers.models.zoo import Model
from vxhelpers.stats import Mean, mean_interval

Values = npt.NDArray[np.float64]
Kind = Literal["dynamic", "static"]

TASKS = ("motion", "static")  # planted so that a thing in hand decides
OTHER = "ball"  # a thing in both of them that never decides
KINDS: tuple[Kind, ...] = ("dynamic", "static")
ANSWERS: Mapping[Question, str] = {
    "where": "share of clips whose gradient is better aligned with the dynamic thing in hand than "
    "with the dynamic ball, which decides nothing",
    "what": "area under the ROC curve of how much better than with the static thing the gradient "
    "is aligned with the dynamic one, over the sum of both: clips of the motion task against clips "
    "of the static one",
}


def lines(
    trials: Sequence[Trial],
    *,
    rng: np.random.Generator,
    names: Sequence[str] = ("STCE", "Video-TCAV"),
    store: Store | None = None,
) -> list[Line]:
    """Ask methods of concepts all questions that they answer; one that fails is a line saying why.

    Parameters
    ----------
    trials
        Of one network, on planted tasks of the stage.
    rng
        Draws STCE's clips and groups, and seeds its clusters.
    names
        Of `ENTRANTS`.
    store
        Keeps supervoxels' features and concept clips; for the latter the default cache unless
        given.

    Raises
    ------
    UnknownNameError
        If a name is none of these.
    """
    for name in names:
        if name not in ENTRANTS:
            raise UnknownNameError("method of concepts", name, ENTRANTS)
    found: list[Line] = []
    if "STCE" in names:
        found += judge(stce_map(trials, rng=rng, store=store), trials, rng=rng)
    if "Video-TCAV" in names:
        found += video_tcav(trials, store=store)
    return found


# ---- STCE ----------------------------------------------------------------------------------------


# ---- Video-TCAV ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Alignments:
    """How well clips' gradients point along concept vectors: cosines, mean over random sets.

    Parameters
    ----------
    thing, other
        Kind of clips to ``(N,)``: of the thing in hand, and of a thing that decides nothing.
    """

    thing: Mapping[Kind, Values]
    other: Mapping[Kind, Values]

    @property
    def gone(self) -> Values:
        """``(N,)``: what `vxhelpers.evaluation.localisation.gone` is to maps, 1 where only movement
        counts."""
        a, b = self.thing["dynamic"], self.thing["static"]
        total = np.abs(a) + np.abs(b)
        found: Values = np.where(total > 0, (a - b) / np.where(total > 0, total, 1), 0.0)
        return found

    @property
    def where(self) -> Values:
        """``(N,)``: 1 where the thing is before the other one, 0 where behind, one half if tied."""
        a, b = self.thing["dynamic"], self.other["dynamic"]
        found: Values = (a > b) + (a == b) / 2
        return found


def video_tcav(
    trials: Sequence[Trial], *, count: int = 30, sets: int = 6, store: Store | None = None
) -> list[Line]:
    """Ask Video-TCAV *what* decides, and *where* as far as things go (see `ANSWERS`).

    For each class, `count` training clips of the thing in hand are cut out by the stage's own
    boxes, in place, dynamic and static, and as many of the ball; each is set against ``sets``
    random ones of the same kind, by mean difference. Alignments are of the log-probability's
    gradient, and means over the last third of the layers with space and time. Clips of one class
    share their vectors, so that intervals speak of other clips alone, not of other concept clips.

    Tasks other than `TASKS` are not asked: where the ground decides, no clip of it can be cut out.
    A line's seconds are those of all passes and vectors, over the clips explained; making the
    concept clips comes first, some 8 seconds of a core a class, and is kept.
    """
    found: dict[str, Alignments] = {}
    result: list[Line] = []
    spent = 0.0
    requested = [one for one in trials if one.task in TASKS]

    def answer(one: Trial, question: Question, score: Mean | None, why: str = "") -> None:
        net, each = one.model.entry.name, spent / len(one.x)
        result.append(Line("Video-TCAV", FAMILY, net, one.task, question, score, each, why))

    for one in requested:
        try:
            folders = _clips(one, count, sets, store)
            begun = time.perf_counter()
            found[one.task] = aligned(one, folders)
            spent = time.perf_counter() - begun
            answer(one, "where", mean_interval(found[one.task].where, rng=np.random.default_rng(0)))
        except (InputError, NotFiniteError) as error:
            answer(one, "where", None, str(error))
    if len(found) == len(TASKS):
        answer(requested[0], "what", what(found["motion"].gone, found["static"].gone))
    return result


Folders = Mapping[int, Callable[[Kind], Mapping[str, Sequence[Clip]]]]


def _clips(one: Trial, count: int, sets: int, store: Store | None) -> Folders:
    """For each class explained, named sets of a kind: the thing's, the other's, random ones."""
    data = open_data(f"stage:{one.task}")
    found = {}
    for index in sorted(set(one.target.tolist())):
        label = one.model.labels[index]
        settings = ConceptSetSettings(
            count=count,
            scoring=0,
            randoms=RandomSets(sets, per_video=2),
            clips=ClipVersions(("in_place",), ()),
        )
        things, kept = (TOOLS[label], OTHER), Output(store=store)
        made = make(data, label, things, detector=TRUTH, settings=settings, output=kept)

        def of(kind: Kind, made=made, label=label) -> Mapping[str, Sequence[Clip]]:  # type: ignore[no-untyped-def]
            randoms = [i.name for i in made.select("random") if i.concept.kind == kind]
            names = {"thing": f"{TOOLS[label]} {kind}", "other": f"{OTHER} {kind}"}
            named = {name: [*made[full].clips] for name, full in names.items()}
            return named | {name: [*made[name].clips] for name in randoms}

        found[index] = of
    return found


def aligned(one: Trial, folders: Folders, *, batch: int = 16) -> Alignments:
    """Cosines of a trial's gradients with vectors of its classes' concept clips.

    Parameters
    ----------
    one
        Clips to explain.
    folders
        For each class index a function of the kind that gives sets of clips: ``"thing"``,
        ``"other"``, and all further ones random.
    """
    volumes = [layer.name for layer in one.model.entry.layers if layer.layout != "NC"]
    layers = volumes[-math.ceil(len(volumes) / 3) :]
    values = {(name, kind): np.zeros(len(one.x)) for name in ("thing", "other") for kind in KINDS}
    for index, clips_of in folders.items():
        own = np.flatnonzero(one.target.numpy() == index)
        slopes = _slopes(one.model, one.x[torch.from_numpy(own)], index, layers, batch)
        for kind in KINDS:
            held = collect(one.model, clips_of(kind), layers=layers, batch_size=batch)
            randoms = [name for name in held.sets if name not in ("thing", "other")]
            for layer, x in held.layers.items():
                K = gram(x, device=one.model.device)
                for name in ("thing", "other"):
                    pairs = [against(held.sets, name, r, names=held.names) for r in randoms]
                    v = vectors(x, fit(K, pairs, folds=None)).flatten(1).mean(0)
                    values[name, kind][own] += (slopes[layer] @ v).numpy() / len(layers)
    thing, other = ({k: values[name, k] for k in KINDS} for name in ("thing", "other"))
    return Alignments(thing, other)


def _slopes(
    model: Model, x: Tensor, index: int, layers: Sequence[str], batch: int
) -> Mapping[str, Tensor]:
    """Gradients ``(N, D)`` of the log-probability, float64, of length 1 (or 0)."""
    parts: dict[str, list[Tensor]] = {layer: [] for layer in layers}
    for some in torch.split(x, batch):
        seen = probe(model, some, layers=layers, target=index, of="log_probability")
        for layer in layers:
            parts[layer].append(seen.gradients[layer].flatten(1).double().cpu())
    return {
        layer: torch.nn.functional.normalize(torch.cat(found), eps=1e-300)
        for layer, found in parts.items()
    }


# ---- on the board --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entrant:
    """What answers the board's questions without being a function of a clip alone.

    ``lines`` is called with a network's trials and ``rng``, as `lines` is.
    """

    name: str
    family: str
    lines: Callable[..., list[Line]]


ENTRANTS: Mapping[str, Entrant] = {
    name: Entrant(name, FAMILY, partial(lines, names=[name])) for name in ("STCE", "Video-TCAV")
}
