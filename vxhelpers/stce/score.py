"""STCE: how much each discovered concept counts for a class.

Ji, Wang and Kato, "Spatial-temporal Concept based Explanation of 3D ConvNets", section 3.2. A
concept is set against many random groups; its score is the share of the class's clips whose score
rises along the concept vector (equations 1 and 2), mean over the groups. Deviations: vectors are
solved in the dual from one Gram matrix, by mean difference unless told; gradients are of the
log-probability, since a logit's is one constant vector where a linear layer follows (every score
would be 0 or 1); random groups are of supervoxels too, shown as the concept's are, since otherwise
the vectors tell filled inputs from whole clips; and scores are held against chance.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from vxhelpers.concepts.activations import Activations, gram
from vxhelpers.concepts.cav import FROM_ORIGIN, Solver, fit
from vxhelpers.concepts.directional_derivatives import derivatives
from vxhelpers.concepts.permutation_tests import PermutationTest
from vxhelpers.concepts.significance import Verdict, judge
from vxhelpers.data.clip import Clip
from vxhelpers.errors import InputError
from vxhelpers.io.cache import Store
from vxhelpers.models.probe import Score
from vxhelpers.models.zoo import Model
from vxhelpers.stce.discovery import Discovery
from vxhelpers.stce.features import Rows
from vxhelpers.stce.random_groups import (
    How,
    Negatives,
    by_chance,
    of_concepts,
    of_randoms,
    problems,
)

Matrix = npt.NDArray[np.float64]

FEWEST = 4  # clips to score
VANISHED = 1e-4  # of the longest gradient: below it a clip has hardly a say


@dataclass(frozen=True)
class Ranked:
    """One concept's line in the table.

    Parameters
    ----------
    rank
        From 1, the most important.
    concept, name
        Its index and name in the discovery.
    score, spread
        Share of clips with a positive derivative, mean and standard deviation over the groups.
    derivative
        Mean derivative along the unit vectors, signed.
    accuracy
        Held-out accuracy of the vectors, mean over the groups.
    separates
        Whether more than half of the vectors tell the concept from its random group.
    supervoxels, videos
        In the cluster, and of how many clips.
    verdict
        Whether that is more than chance, corrected for all concepts.
    """

    rank: int
    concept: int
    name: str
    score: float
    spread: float
    derivative: float
    accuracy: float
    separates: bool
    supervoxels: int
    videos: int
    verdict: Verdict


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of k concepts against r random groups, from S clips of the class.

    Parameters
    ----------
    discovery
        The concepts.
    target, of, layer, solver, negatives
        What was differentiated and where, how vectors were found, and what they were set against.
    clips
        Names of the S clips.
    derivatives
        ``(k, r, S)``: along the concept's unit vector against each group.
    accuracy, separates
        ``(k, r)``: held-out accuracy of the vectors, and whether its interval is above chance.
    chances
        For each concept its mean derivative, and what random concepts' comes to.
    verdicts
        By these, with Bonferroni's correction for k concepts.
    lengths
        ``(S,)`` lengths of the clips' gradients.
    degenerate
        Why the scores say little here (they are exactly 0 or 1 a vector); empty where they do not.
    notes
        What to know before these are read, in sentences; `degenerate` among them.
    """

    discovery: Discovery
    target: str
    of: Score
    layer: str
    solver: Solver
    negatives: Negatives
    clips: tuple[str, ...]
    derivatives: Matrix
    accuracy: Matrix
    separates: npt.NDArray[np.bool_]
    chances: tuple[PermutationTest, ...]
    verdicts: tuple[Verdict, ...]
    lengths: Matrix
    degenerate: str
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.derivatives)

    @property
    def by_group(self) -> Matrix:
        """``(k, r)``: share of clips with a positive derivative (equation 2)."""
        share: Matrix = (self.derivatives > 0).mean(2)
        return share

    @property
    def score(self) -> Matrix:
        """``(k,)``: mean over the groups."""
        mean: Matrix = (self.derivatives > 0).sum((1, 2)) / self.derivatives[0].size
        return mean

    @property
    def spread(self) -> Matrix:
        """``(k,)``: standard deviation over the groups."""
        spread: Matrix = self.by_group.std(1, ddof=1)
        return spread

    @property
    def derivative(self) -> Matrix:
        """``(k,)``: mean derivative over groups and clips, signed."""
        mean: Matrix = self.derivatives.mean((1, 2))
        return mean

    @property
    def ranking(self) -> Rows:
        """``(k,)`` indices of concepts, most important first; ties by the mean derivative."""
        return np.lexsort((-self.derivative, -self.score))

    def table(self) -> tuple[Ranked, ...]:
        """One line a concept, most important first."""
        sizes, videos, spread = self.discovery.sizes, self.discovery.videos, self.spread
        return tuple(
            Ranked(
                rank=rank,
                concept=int(i),
                name=self.discovery.names[i],
                score=float(self.score[i]),
                spread=float(spread[i]),
                derivative=float(self.derivative[i]),
                accuracy=float(self.accuracy[i].mean()),
                separates=bool(self.separates[i].mean() > 0.5),
                supervoxels=int(sizes[i]),
                videos=int(videos[i]),
                verdict=self.verdicts[i],
            )
            for rank, i in enumerate(self.ranking, start=1)
        )


def score(
    discovery: Discovery,
    model: Model,
    target: str,
    *,
    randoms: Sequence[Clip],
    rng: np.random.Generator,
    clips: Sequence[Clip] | None = None,
    layer: str | None = None,
    negatives: Negatives | None = None,
    groups: int = 50,
    of: Score = "log_probability",
    solver: Solver = "mean",
    C: float = 1.0,
    folds: int = 5,
    draws: int = 1000,
    alpha: float = 0.05,
    batch_size: int = 32,
    store: Store | None = None,
    progress: bool = False,
) -> Scores:
    """Score and rank the concepts of a class.

    Parameters
    ----------
    discovery
        The concepts.
    model
        The network they were discovered in.
    target
        The class.
    randoms
        Clips that random groups are drawn from, such as those of other classes; none of this one.
    rng
        Draws the random groups, and what scores come to by chance.
    clips
        Of the class, to be scored; the discovery's own unless given, as in the paper.
    layer
        Where vectors live; the discovery's unless given. Another costs one more forward for each
        supervoxel in a concept.
    negatives
        ``"supervoxels"`` of the random clips, shown as the concepts' are, or whole ``"clips"``, as
        in the paper. Supervoxels by default where they are shown in place, else clips.
    groups
        Random groups, of as many as a concept keeps. Disjoint where the pool is large enough, else
        drawn anew from all of it for each group, which is noted.
    of
        The score that is differentiated: ``"log_probability"``, or the paper's ``"logit"``.
    solver, C, folds
        As in `vxhelpers.concepts.cav.fit`; not one of those that depend on the origin. Mean
        difference is the default: it has nothing to tune, while logistic regression's direction
        changes with the scale of a layer and with the number of a concept's members. ``"logistic"``
        is the second opinion.
    draws
        Random concepts of each concept's size that its mean derivative is held against, all set
        against the same random groups, as in `vxhelpers.concepts.permutation_tests.redrawn` but for
        these groups. The permutation test is not used: a cluster lies far from random supervoxels,
        so that every deal is about it. Supervoxels of one clip are not independent, and a cluster
        is chosen to be compact: this p is a floor, not a proof. Seconds, but minutes with another
        solver than mean difference.
    alpha
        Level of the verdicts.
    batch_size, store, progress
        As in `vxhelpers.stce.features.features`.

    Raises
    ------
    InputError
        If there are no random clips, too few to draw groups from, or some that are the class's;
        if there are fewer than 4 clips to score; if ``model`` is not the network of the discovery;
        and as `vxhelpers.concepts.directional_derivatives.derivatives` and
        `vxhelpers.concepts.cav.fit`.
    UnknownNameError
        If the class or the layer is not the model's.
    NotFiniteError
        As `vxhelpers.concepts.directional_derivatives.derivatives`.
    WriteError
        If the store cannot be written; what is in it stays valid.
    """
    clips = discovery.pieces.clips if clips is None else clips
    layer = discovery.layer if layer is None else layer
    if negatives is None:
        negatives = "supervoxels" if discovery.recipe.form == "in place" else "clips"
    _check(discovery, model, randoms, clips, negatives, groups, solver)
    how = How(layer, batch_size, store, progress)
    positive = of_concepts(discovery, model, how)
    drawn, negative = of_randoms(discovery, model, randoms, clips, negatives, groups, rng, how)
    rows, used = np.arange(len(positive.names)), np.unique(drawn)
    concepts = np.split(rows, np.cumsum([len(one) for one in discovery.members])[:-1])
    first = len(rows) + np.searchsorted(used, drawn)
    held = Activations(
        {},
        {layer: torch.cat([positive.x, negative.x])},
        positive.names + negative.names,
        positive.digests + negative.digests,
    )
    found = derivatives(model, clips, held, target=target, of=of, batch_size=batch_size)
    slopes, K = found[layer], gram(held.layers[layer], device=model.device)
    cavs = fit(K, problems(concepts, first), solver=solver, C=C, folds=folds)
    assert cavs.held_out is not None
    shape = len(discovery), groups
    separates = cavs.held_out.separates.reshape(shape)
    chances = by_chance(
        K, slopes.products, concepts, np.unique(first), first.shape[1], rng, draws, solver, C
    )
    verdicts = tuple(
        judge(chance, m=len(chances), separates=bool(clear.mean() > 0.5), alpha=alpha)
        for chance, clear in zip(chances, separates, strict=True)
    )
    scores = Scores(
        discovery,
        target,
        of,
        layer,
        solver,
        negatives,
        found.clips,
        (cavs.weights @ slopes.products.T).reshape(*shape, -1),
        cavs.held_out.accuracy.reshape(shape),
        separates,
        chances,
        verdicts,
        slopes.lengths,
        slopes.degenerate,
        (),
    )
    return replace(scores, notes=_notes(scores, drawn))


def _check(
    discovery: Discovery,
    model: Model,
    randoms: Sequence[Clip],
    clips: Sequence[Clip],
    negatives: Negatives,
    groups: int,
    solver: Solver,
) -> None:
    if discovery.model != (model.entry.name, model.digest):
        raise InputError(
            f"the concepts were discovered in another network ({discovery.model[0]!r}, weights "
            f"{discovery.model[1][:8]}) than {model.entry.name!r}, weights {model.digest[:8]}"
        )
    if not len(randoms):
        raise InputError(
            "no random clips: concept vectors need something to be set against, such as clips of "
            "other classes"
        )
    if len(clips) < FEWEST:
        raise InputError(f"{len(clips)} clips to score: {FEWEST} at least, 30 or more are usual")
    if groups < 2:
        raise InputError(f"groups={groups}: a spread needs two random groups, 50 are usual")
    if negatives not in ("supervoxels", "clips"):
        raise InputError(f"negatives={negatives!r}: 'supervoxels' or 'clips'")
    if solver in FROM_ORIGIN:
        raise InputError(f"solver={solver!r} depends on the origin: take another")


def _notes(scores: Scores, drawn: Rows) -> tuple[str, ...]:
    notes = [scores.degenerate] if scores.degenerate else []
    k, distinct = len(scores), len(np.unique(drawn))
    if distinct < drawn.size:
        notes.append(
            f"the {len(drawn)} random groups of {drawn.shape[1]} share {distinct} "
            f"{scores.negatives}: their spread is smaller than that of groups of their own"
        )
    unclear = int((scores.separates.mean(1) <= 0.5).sum())
    if unclear:
        notes.append(
            f"{unclear} of {k} concepts are not told from random {scores.negatives} by their "
            "vectors: their scores stand for nothing"
        )
    vanished = int((scores.lengths <= VANISHED * scores.lengths.max()).sum())
    if vanished:
        notes.append(
            f"the gradient of {vanished} of {len(scores.clips)} clips has all but vanished (the "
            "network is certain of them): they count for scores, and hardly for mean derivatives"
        )
    tied = int((scores.score == scores.score.max()).sum())
    if tied > 1:
        notes.append(
            f"{'all' if tied == k else f'{tied} of {k}'} concepts share the highest score, "
            f"{scores.score.max():.3g}: these are ranked by mean derivative alone"
        )
    return tuple(notes)
