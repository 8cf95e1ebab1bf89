"""TCAV on video: how much concepts move a network's prediction, per layer, in time and place.

Kim et al., "Interpretability beyond feature attribution" (ICML 2018), with vectors and derivatives
in the dual: a concept against many random sets at many layers costs the network's passes, and
hardly more. Deviations: vectors have unit length and a free bias, two classifiers answer side by
side, and chance is worked out with redrawn clips (`vxhelpers.concepts.assessment`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch

from vxhelpers.checks import known
from vxhelpers.concepts.activations import Activations, collect, gram
from vxhelpers.concepts.arrays import FEWEST, Matrix, Rows
from vxhelpers.concepts.cav import HeldOut, Problem, against, cosine, fit
from vxhelpers.concepts.directional_derivatives import Derivatives, Masks, derivatives
from vxhelpers.concepts.sensitivity import Sensitivity, Statistic, sensitivity, tcav_score
from vxhelpers.concepts.solvers import Solver
from vxhelpers.data.clip import Clip
from vxhelpers.errors import InputError
from vxhelpers.figures.report import Text, escape_markdown
from vxhelpers.models.probe import Score, Target
from vxhelpers.models.zoo import Model

FORWARD = 16  # clips a pass without gradients
RANDOM_SETS = 2  # at the least: a spread needs two
NOT_VALIDATED = "vectors were fitted without cross-validation: leave folds=5"


@dataclass(frozen=True)
class TcavSettings:
    """How concepts are scored.

    Parameters
    ----------
    of
        The class's score that is differentiated: ``"logit"`` or ``"log_probability"``.
    solvers
        Estimators of the CAV, `vxhelpers.concepts.cav.fit`.
    C, folds
        As in `vxhelpers.concepts.cav.fit`; ``folds=None`` leaves the held-out accuracy out.
    batch_size
        Scoring clips a pass.
    """

    of: Score = "logit"
    solvers: tuple[Solver, ...] = ("mean", "logistic")
    C: float = 1.0
    folds: int | None = 5
    batch_size: int = 8


@dataclass(frozen=True, eq=False)
class LayerScores:
    """All scores at one layer.

    Parameters
    ----------
    name
        The layer.
    concepts, randoms
        Names of the c concepts and r random sets.
    K
        ``(N, N)`` Gram matrix of the clips' activations, about their mean.
    products
        ``(S, N)`` products of the scoring clips' gradients with them.
    sensitivities
        For each solver the sensitivity to c x r vectors: concept by concept, against each random
        set.
    nulls
        For each solver the sensitivity to the vectors of the r (r - 1) / 2 pairs of random sets.
    degenerate
        Why sign counts say little at this layer; empty where they do not.
    """

    name: str
    concepts: tuple[str, ...]
    randoms: tuple[str, ...]
    K: Matrix
    products: Matrix
    sensitivities: Mapping[Solver, Sensitivity]
    nulls: Mapping[Solver, Sensitivity]
    degenerate: str

    def derivatives(self, concept: str, solver: Solver = "mean") -> Matrix:
        """``(r, S)``: derivatives along the concept's vector against each random set."""
        return self.sensitivity(solver).derivatives[self.vectors(concept)]

    def scores(self, concept: str, statistic: Statistic, solver: Solver = "mean") -> Matrix:
        """``(r,)``: sign count or magnitude of the concept against each random set."""
        return tcav_score(self.derivatives(concept, solver), statistic)

    def null(self, statistic: Statistic, solver: Solver = "mean") -> Matrix:
        """``(r (r - 1),)``: the same of random sets against each other, each pair both ways."""
        self.sensitivity(solver)
        pairs = self.nulls[solver].derivatives
        return np.concatenate([tcav_score(way, statistic) for way in (pairs, -pairs)])

    def vectors(self, concept: str) -> slice:
        """Where a concept's r vectors are among all."""
        known("concept", concept, self.concepts)
        r, place = len(self.randoms), self.concepts.index(concept)
        return slice(place * r, (place + 1) * r)

    def sensitivity(self, solver: Solver) -> Sensitivity:
        """Derivatives along the vectors of one solver."""
        known("solver", solver, self.sensitivities, where=f"layer {self.name!r}")
        return self.sensitivities[solver]

    def agreement(self, concept: str, a: Solver = "mean", b: Solver = "logistic") -> Matrix:
        """``(r,)`` cosines between two solvers' vectors of a concept."""
        pair = [self.sensitivity(solver).cavs for solver in (a, b)]
        return cosine(self.K, *pair)[self.vectors(concept)]

    def range_of(self, concept: str) -> Text:
        """How far a concept's derivatives, means over the random sets, differ between clips."""
        slopes = self.derivatives(concept).mean(0)
        return Text(
            f"Derivatives along *{escape_markdown(concept)}* at {escape_markdown(self.name)} run "
            f"from {slopes.min():+.3g} to {slopes.max():+.3g} over {len(slopes)} clips; "
            f"{(slopes > 0).sum()} are above zero."
        )

    def held_out(self, concept: str, solver: Solver = "mean") -> HeldOut:
        """Cross-validated accuracy of the concept's r vectors."""
        found = self.sensitivity(solver).cavs.held_out
        if found is None:
            raise InputError(NOT_VALIDATED)
        rows = self.vectors(concept)
        return HeldOut(found.accuracy[rows], found.low[rows], found.high[rows])


@dataclass(frozen=True, eq=False)
class Tcav:
    """Scores of all concepts at all layers.

    Parameters
    ----------
    layers
        Name of each layer to its scores.
    sets
        Names of all sets of clips to their rows.
    names
        Of the N concept and random clips.
    derivatives
        Products, targets and logits of the scoring clips.
    settings
        That they were scored with.
    """

    layers: Mapping[str, LayerScores]
    sets: Mapping[str, Rows]
    names: tuple[str, ...]
    derivatives: Derivatives
    settings: TcavSettings

    def __getitem__(self, layer: str) -> LayerScores:
        known("layer", layer, self.layers, where="these scores")
        return self.layers[layer]

    @property
    def deepest_graded(self) -> str:
        """The last layer whose sign counts can be other than 0 and 1; the last, if none."""
        graded = [name for name, layer in self.layers.items() if not layer.degenerate]
        return graded[-1] if graded else [*self.layers][-1]

    def caution(self) -> Text:
        """At which layers sign counts say little, and why."""
        reasons = {n: layer.degenerate for n, layer in self.layers.items() if layer.degenerate}
        if not reasons:
            return Text("At no layer are the gradients of all clips the same.")
        first = next(iter(reasons.values())).split(";")[0]
        return Text(
            f"**Take care with {', '.join(map(escape_markdown, reasons))}:** {first}. A bar there "
            "is 0 or 1 whatever the clips are, and its interval means nothing. The magnitude, "
            "which is tested, does not suffer from that."
        )


def tcav(
    model: Model,
    activations: Activations,
    clips: Sequence[Clip],
    *,
    concepts: Sequence[str],
    randoms: Sequence[str],
    target: Target,
    places: Mapping[str, Masks] | None = None,
    settings: TcavSettings | None = None,
) -> Tcav:
    """Score every concept against every random set, and random sets against each other.

    Parameters
    ----------
    model
        The network that ``activations`` were collected from.
    activations
        Of all concepts and random sets, at the layers to be scored.
    clips
        Scoring clips, at least 4, of the class to be explained.
    concepts, randoms
        Names of sets in ``activations``; at least two random sets, without common clips.
    target, places
        As in `vxhelpers.concepts.directional_derivatives.derivatives`.
    settings
        Score, estimators and cross-validation; `TcavSettings` unless given.

    Raises
    ------
    InputError
        If sets that are set against each other share clips, or clips are scored that vectors were
        fitted on (lists them); if there are too few clips or random sets; and as `derivatives`.
    UnknownNameError
        If a set, layer or label does not exist.
    NotFiniteError
        As `derivatives`.
    """
    settings = TcavSettings() if settings is None else settings
    if len(clips) < FEWEST:
        raise InputError(
            f"{len(clips)} scoring clips: a score needs {FEWEST} at least, 30 are usual"
        )
    if not concepts or len(randoms) < RANDOM_SETS:
        raise InputError(
            f"{len(concepts)} concepts and {len(randoms)} random sets: at least one concept and "
            f"{RANDOM_SETS} random sets are needed, 20 are better"
        )
    problems = pairs(activations, [(c, r) for c in concepts for r in randoms])
    random = pairs(activations, [*combinations(randoms, 2)])
    found = derivatives(
        model, clips, activations, target=target, of=settings.of, places=places,
        batch_size=settings.batch_size,
    )  # fmt: skip
    C, solvers = settings.C, settings.solvers
    layers = {}
    for name, x in activations.layers.items():
        K = gram(x, device=model.device)
        sensitivities, nulls = {}, {}
        for solver in solvers:
            vectors = fit(K, problems, solver=solver, C=C, folds=settings.folds)
            sensitivities[solver] = sensitivity(found, name, vectors)
            nulls[solver] = sensitivity(found, name, fit(K, random, solver=solver, C=C, folds=None))
        layers[name] = LayerScores(
            name,
            tuple(concepts),
            tuple(randoms),
            K,
            found[name].products,
            sensitivities,
            nulls,
            found[name].degenerate,
        )
    return Tcav(layers, activations.sets, activations.names, found, settings)


def tcav_of_clips(
    model: Model,
    sets: Mapping[str, Sequence[Clip]],
    clips: Sequence[Clip],
    *,
    concepts: Sequence[str],
    randoms: Sequence[str],
    layers: Sequence[str],
    target: Target,
    settings: TcavSettings | None = None,
) -> Tcav:
    """Collect the activations of sets of clips (in float16) and score them with `tcav`."""
    chosen = {name: sets[name] for name in (*concepts, *randoms)}
    held = collect(model, chosen, layers=layers, batch_size=FORWARD, dtype=torch.float16)
    return tcav(
        model, held, clips, concepts=concepts, randoms=randoms, target=target, settings=settings
    )


def pairs(activations: Activations, names: Sequence[tuple[str, str]]) -> list[Problem]:
    """Pose one set against another, pair by pair; clips on both sides are refused and listed."""
    return [against(activations.sets, a, b, names=activations.names) for a, b in names]
