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
import numpy.typing as npt

from vxhelpers.concepts.activations import Activations, gram
from vxhelpers.concepts.cav import Cavs, HeldOut, Problem, against, cosine, fit
from vxhelpers.concepts.directional_derivatives import Derivatives, Masks, derivatives
from vxhelpers.concepts.permutation_tests import Statistic, scored
from vxhelpers.concepts.solvers import FROM_ORIGIN, Solver
from vxhelpers.data.clip import Clip
from vxhelpers.errors import InputError, UnknownNameError
from vxhelpers.models.probe import Score, Target
from vxhelpers.models.zoo import Model

Rows = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float64]

FEWEST = 4  # scoring clips
RANDOM_SETS = 2  # at the least: a spread needs two


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """Derivatives of S clips' scores along P concept vectors of unit length, at one layer.

    Parameters
    ----------
    cavs
        The concept vectors.
    clips
        Names of the scoring clips.
    steps
        ``(P, S, T)``: their parts by time step of the layer.
    inside
        Name of each place to its share of ``steps``; what lies elsewhere is the rest.
    lengths
        ``(S,)`` lengths of the gradients.
    """

    cavs: Cavs
    clips: tuple[str, ...]
    steps: Matrix
    inside: Mapping[str, Matrix]
    lengths: Matrix

    @property
    def derivatives(self) -> Matrix:
        """``(P, S)``: change of the score a unit of activation along the vector."""
        total: Matrix = self.steps.sum(2)
        return total

    @property
    def sign_count(self) -> Matrix:
        """``(P,)`` share of clips whose derivative is above 0: the TCAV score."""
        share: Matrix = (self.derivatives > 0).mean(1)
        return share

    @property
    def magnitude(self) -> Matrix:
        """``(P,)`` mean derivative, signed.

        captum's ``magnitude`` is the same times the length of the classifier's weights, which it
        does not divide by. Kim et al. (2018) leave the magnitude aside.
        """
        mean: Matrix = self.derivatives.mean(1)
        return mean

    @property
    def alignment(self) -> Matrix:
        """``(P, S)`` cosine of gradient and vector, to compare layers; 0 where there is none."""
        some = self.lengths > 0
        share: Matrix = np.where(some, self.derivatives / np.where(some, self.lengths, 1), 0.0)
        return share

    def elsewhere(self, place: str) -> Matrix:
        """``(P, S, T)``: what is left of ``steps`` outside a place."""
        if place not in self.inside:
            raise UnknownNameError("place", place, self.inside)
        rest: Matrix = self.steps - self.inside[place]
        return rest


def sensitivity(found: Derivatives, layer: str, cavs: Cavs) -> Sensitivity:
    """Open the products at a layer into derivatives along concept vectors of that layer."""
    slopes = found[layer]
    if cavs.weights.shape[1] != slopes.steps.shape[2]:
        raise InputError(
            f"concept vectors over {cavs.weights.shape[1]} clips do not fit products with "
            f"{slopes.steps.shape[2]}"
        )
    sums = cavs.weights.sum(1)

    def along(steps: Matrix, origin: Matrix) -> Matrix:
        parts: Matrix = np.moveaxis(steps @ cavs.weights.T, 2, 0) + sums[:, None, None] * origin
        return parts

    return Sensitivity(
        cavs,
        found.clips,
        along(slopes.steps, slopes.origin),
        {place: along(*share) for place, share in slopes.inside.items()},
        slopes.lengths,
    )


@dataclass(frozen=True, eq=False)
class Layer:
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
    opinions
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
    opinions: Mapping[Solver, Sensitivity]
    nulls: Mapping[Solver, Sensitivity]
    degenerate: str

    def derivatives(self, concept: str, solver: Solver = "mean") -> Matrix:
        """``(r, S)``: derivatives along the concept's vector against each random set."""
        return self.opinion(solver).derivatives[self.vectors(concept)]

    def scores(self, concept: str, statistic: Statistic, solver: Solver = "mean") -> Matrix:
        """``(r,)``: sign count or magnitude of the concept against each random set."""
        means: Matrix = scored(self.derivatives(concept, solver), statistic).mean(1)
        return means

    def null(self, statistic: Statistic, solver: Solver = "mean") -> Matrix:
        """``(r (r - 1),)``: the same of random sets against each other, each pair both ways."""
        self.opinion(solver)
        pairs = self.nulls[solver].derivatives
        return np.concatenate([scored(way, statistic).mean(1) for way in (pairs, -pairs)])

    def vectors(self, concept: str) -> slice:
        """Where a concept's r vectors are among all."""
        if concept not in self.concepts:
            raise UnknownNameError("concept", concept, self.concepts)
        r, place = len(self.randoms), self.concepts.index(concept)
        return slice(place * r, (place + 1) * r)

    def opinion(self, solver: Solver) -> Sensitivity:
        """What one solver says."""
        if solver not in self.opinions:
            raise UnknownNameError("solver", solver, self.opinions, where=f"layer {self.name!r}")
        return self.opinions[solver]

    def agreement(self, concept: str, a: Solver = "mean", b: Solver = "logistic") -> Matrix:
        """``(r,)`` cosines between two solvers' vectors of a concept."""
        pair = [self.opinion(solver).cavs for solver in (a, b)]
        return cosine(self.K, *pair)[self.vectors(concept)]

    def held_out(self, concept: str, solver: Solver = "mean") -> HeldOut:
        """Cross-validated accuracy of the concept's r vectors."""
        found = self.opinion(solver).cavs.held_out
        if found is None:
            raise InputError("vectors were fitted without cross-validation: leave folds=5")
        rows = self.vectors(concept)
        return HeldOut(found.accuracy[rows], found.low[rows], found.high[rows], found.chance[rows])


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
    """

    layers: Mapping[str, Layer]
    sets: Mapping[str, Rows]
    names: tuple[str, ...]
    derivatives: Derivatives

    def __getitem__(self, layer: str) -> Layer:
        if layer not in self.layers:
            raise UnknownNameError("layer", layer, self.layers, where="these scores")
        return self.layers[layer]


def tcav(
    model: Model,
    activations: Activations,
    clips: Sequence[Clip],
    *,
    concepts: Sequence[str],
    randoms: Sequence[str],
    target: Target,
    of: Score = "logit",
    solvers: Sequence[Solver] = ("mean", "logistic"),
    C: float = 1.0,
    folds: int | None = 5,
    places: Mapping[str, Masks] | None = None,
    batch_size: int = 8,
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
    target, of, places, batch_size
        As in `vxhelpers.concepts.directional_derivatives.derivatives`.
    solvers
        Classifiers, each an opinion of its own.
    C, folds
        As in `vxhelpers.concepts.cav.fit`; ``folds=None`` leaves the held-out accuracy out.

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
    if len(clips) < FEWEST:
        raise InputError(
            f"{len(clips)} scoring clips: a score needs {FEWEST} at least, 30 are usual"
        )
    if not concepts or len(randoms) < RANDOM_SETS:
        raise InputError(
            f"{len(concepts)} concepts and {len(randoms)} random sets: at least one concept and "
            f"{RANDOM_SETS} random sets are needed, 20 are better"
        )
    asked = pairs(activations, [(c, r) for c in concepts for r in randoms])
    random = pairs(activations, [*combinations(randoms, 2)])
    found = derivatives(
        model, clips, activations, target=target, of=of, places=places, batch_size=batch_size
    )
    layers = {}
    for name, x in activations.layers.items():
        centred = gram(x, device=model.device)
        raw = gram(x, centre=False, device=model.device) if FROM_ORIGIN & {*solvers} else centred
        opinions, nulls = {}, {}
        for solver in solvers:
            K = raw if solver in FROM_ORIGIN else centred
            vectors = fit(K, asked, solver=solver, C=C, folds=folds)
            opinions[solver] = sensitivity(found, name, vectors)
            nulls[solver] = sensitivity(found, name, fit(K, random, solver=solver, C=C, folds=None))
        layers[name] = Layer(
            name,
            tuple(concepts),
            tuple(randoms),
            centred,
            found[name].products,
            opinions,
            nulls,
            found[name].degenerate,
        )
    return Tcav(layers, activations.sets, activations.names, found)


def pairs(activations: Activations, asked: Sequence[tuple[str, str]]) -> list[Problem]:
    """Pose one set against another, pair by pair; clips on both sides are refused and listed."""
    return [against(activations.sets, a, b, names=activations.names) for a, b in asked]


def relative(
    scores: Tcav, group: Sequence[str], *, solver: Solver = "mean", C: float = 1.0
) -> dict[str, Sensitivity]:
    """Relative TCAV: each set of a group against all others of it, at every layer.

    The paper's Figures 7 to 9: a group of concepts that includes a random one. The vectors tell
    concepts from each other, so that what they have in common (a crop's frame, a court) cancels.

    Parameters
    ----------
    group
        Names of sets, at least two, without common clips; problem ``i`` is the i-th of them.
    """
    if len(group) < 2:
        raise InputError(f"a group of {len(group)}: relative scores need two sets or more")
    if solver in FROM_ORIGIN:
        raise InputError(f"solver={solver!r} depends on the origin: relative scores are centred")
    problems = [
        against(scores.sets, name, [o for o in group if o != name], names=scores.names)
        for name in group
    ]
    return {
        name: sensitivity(
            scores.derivatives, name, fit(layer.K, problems, solver=solver, C=C, folds=5)
        )
        for name, layer in scores.layers.items()
    }
