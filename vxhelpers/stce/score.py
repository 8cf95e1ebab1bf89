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
from vxhelpers.concepts.cav import fit
from vxhelpers.concepts.directional_derivatives import derivatives
from vxhelpers.concepts.permutation_tests import PermutationTest
from vxhelpers.concepts.significance import Verdict, judge
from vxhelpers.data.clip import Clip
from vxhelpers.errors import InputError
from vxhelpers.models.zoo import Model
from vxhelpers.stce.discovery import Discovery
from vxhelpers.stce.features import Computation, Rows
from vxhelpers.stce.random_groups import (
    ScoringSettings,
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
    target, settings
        The class, and how it was scored; ``layer`` and ``negatives`` are set.
    clips
        Names of the S clips.
    derivatives
        ``(k, r, S)``: along the concept's unit vector against each group (equation 1).
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
    settings: ScoringSettings
    clips: tuple[str, ...]
    derivatives: Matrix
    accuracy: Matrix
    separates: npt.NDArray[np.bool_]
    chances: tuple[PermutationTest, ...]
    verdicts: tuple[Verdict, ...]
    lengths: Matrix
    degenerate: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.derivatives)

    @property
    def by_group(self) -> Matrix:
        """``(k, r)``: share of clips with a positive derivative, for each group."""
        return stce_score(self.derivatives)

    @property
    def score(self) -> Matrix:
        """``(k,)``: mean over the groups."""
        return stce_score(self.derivatives.reshape(len(self), -1))

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

    @property
    def perfect(self) -> int:
        """How many concepts score 1."""
        return int((self.score == 1).sum())

    @property
    def significant(self) -> int:
        """How many concepts are more than chance after correction."""
        return sum(verdict.interpreted for verdict in self.verdicts)

    def ranked(self) -> tuple[Ranked, ...]:
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


def importance(gradients: Matrix, vectors: Matrix) -> Matrix:
    """Importance of concepts for clips: the derivative of the class's score along their vectors.

    Equation 1 of the paper: :math:`I_{c,y,l}(v_n) = \\nabla p_{l,y}(f_l(v_n)) \\cdot v_c^l`. In the
    dual, a vector is a weighted sum of inputs, and a gradient its scalar products with them.

    Parameters
    ----------
    gradients
        ``(S, D)`` of S clips.
    vectors
        ``(k, D)`` of k concepts.

    Returns
    -------
    ndarray
        ``(k, S)``.
    """
    found: Matrix = vectors @ gradients.T
    return found


def stce_score(importances: Matrix) -> Matrix:
    """Share of clips that a concept speaks for: of ``(..., S)`` the share above 0, equation 2."""
    share: Matrix = (importances > 0).mean(-1)
    return share


def score(
    discovery: Discovery,
    model: Model,
    target: str,
    *,
    randoms: Sequence[Clip],
    rng: np.random.Generator,
    clips: Sequence[Clip] | None = None,
    settings: ScoringSettings = ScoringSettings(),
    computation: Computation = Computation(),
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
        Of the class, to be scored; by default the discovery's own, as in the paper.
    settings
        Groups, draws, negatives, layer, score, solver, level.
    computation
        Batch size, store and progress bar.

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
    in_place = discovery.recipe.form == "in place"
    layer = discovery.layer if settings.layer is None else settings.layer
    negatives = settings.negatives or ("supervoxels" if in_place else "clips")
    settings = replace(settings, layer=layer, negatives=negatives)
    _check(discovery, model, randoms, clips)
    positive = of_concepts(discovery, model, layer, computation)
    drawn, negative = of_randoms(
        discovery, model, randoms, clips, settings, rng=rng, computation=computation
    )
    rows, used = np.arange(len(positive.names)), np.unique(drawn)
    concepts = np.split(rows, np.cumsum([len(members) for members in discovery.members])[:-1])
    first = len(rows) + np.searchsorted(used, drawn)
    held = Activations(
        {},
        {layer: torch.cat([positive.x, negative.x])},
        positive.names + negative.names,
        positive.digests + negative.digests,
    )
    batch, solver = computation.batch_size, settings.solver
    found = derivatives(model, clips, held, target=target, of=settings.of, batch_size=batch)
    slopes, K = found[layer], gram(held.layers[layer], device=model.device)
    cavs = fit(K, problems(concepts, first), solver=solver)
    assert cavs.held_out is not None
    shape = len(discovery), settings.groups
    separates = cavs.held_out.separates.reshape(shape)
    pool, size = np.unique(first), first.shape[1]
    chances = by_chance(
        K, slopes.products, concepts, pool, size, rng=rng, draws=settings.draws, solver=solver
    )
    verdicts = tuple(
        judge(chance, m=len(chances), separates=bool(clear.mean() > 0.5), alpha=settings.alpha)
        for chance, clear in zip(chances, separates, strict=True)
    )
    scores = Scores(
        discovery,
        target,
        settings,
        found.clips,
        importance(slopes.products, cavs.weights).reshape(*shape, -1),
        cavs.held_out.accuracy.reshape(shape),
        separates,
        chances,
        verdicts,
        slopes.lengths,
        slopes.degenerate,
    )
    return replace(scores, notes=_notes(scores, drawn))


def _check(
    discovery: Discovery, model: Model, randoms: Sequence[Clip], clips: Sequence[Clip]
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


def _notes(scores: Scores, drawn: Rows) -> tuple[str, ...]:
    notes = [scores.degenerate] if scores.degenerate else []
    k, distinct = len(scores), len(np.unique(drawn))
    if distinct < drawn.size:
        notes.append(
            f"the {len(drawn)} random groups of {drawn.shape[1]} share {distinct} "
            f"{scores.settings.negatives}: their spread is smaller than that of groups of their own"
        )
    unclear = int((scores.separates.mean(1) <= 0.5).sum())
    if unclear:
        notes.append(
            f"the vectors of {unclear} of {k} concepts do not separate them from random "
            f"{scores.settings.negatives}: their scores stand for nothing"
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
