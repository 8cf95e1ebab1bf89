"""What may be said of concepts: each at each layer, with its scores, what they would be by chance,
whether its vectors separate anything, and a verdict."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from vxhelpers.concepts.cav import Problem, fit
from vxhelpers.concepts.permutation_tests import Chances, permuted, redrawn
from vxhelpers.concepts.significance import Verdict, interval, judge, welch
from vxhelpers.concepts.solvers import Solver
from vxhelpers.concepts.tcav import Layer, Tcav
from vxhelpers.stats import bonferroni

Rows = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Finding:
    """One concept at one layer, with all that is needed to judge it.

    Parameters
    ----------
    concept, layer, solver
        What was scored, and by which classifier.
    sign_count, low, high
        Mean over the random sets, and its 95 % interval over random sets and scoring clips.
    magnitude
        Mean derivative along the unit vectors, signed.
    alignment
        Mean cosine between gradients and vectors, to compare layers.
    band
        Where 95 % of random concepts have their sign count.
    effect
        Magnitude in standard deviations of random concepts' magnitudes.
    accuracy
        Held-out accuracy, mean over the random sets.
    separates
        Whether more than half of the vectors tell the concept's clips from random ones.
    agreement
        Mean cosine between mean difference and logistic regression; NaN if not both were asked for.
    p_sign_count
        Of the permutation test of the sign count, uncorrected: weak where counts are 0 or 1.
    p_random
        Of the magnitude among random concepts' (`vxhelpers.concepts.permutation_tests.redrawn`),
        uncorrected.
    p_welch, p_welch_corrected
        The paper's t-test of the sign counts, optimistic: for comparison. NaN with two random sets,
        of which there is one pair.
    verdict
        By the permutation test of the magnitude, corrected.
    degenerate
        Why the sign count says little at this layer; empty where it does not.
    """

    concept: str
    layer: str
    solver: Solver
    sign_count: float
    low: float
    high: float
    magnitude: float
    alignment: float
    band: tuple[float, float]
    effect: float
    accuracy: float
    separates: bool
    agreement: float
    p_sign_count: float
    p_random: float
    p_welch: float
    p_welch_corrected: float
    verdict: Verdict
    degenerate: str

    @property
    def disagree(self) -> bool:
        """Whether the two classifiers point in different directions."""
        return self.agreement < sqrt(0.5)


def assess(
    scores: Tcav,
    *,
    rng: np.random.Generator,
    solver: Solver = "mean",
    C: float = 1.0,
    m: int | None = None,
    alpha: float = 0.05,
    permutations: int = 1000,
) -> list[Finding]:
    """Judge every concept at every layer; findings are layer by layer.

    Parameters
    ----------
    solver
        Whose scores are judged. Chance is worked out with the same classifier, which is seconds
        for mean difference and minutes for the others.
    C
        As given to `tcav`.
    m
        Hypotheses of the figure that the findings go into; those of ``scores`` unless told.
    alpha
        Level of the verdicts.
    permutations
        Deals a concept and layer; with m hypotheses at least ``m / alpha``.
    """
    m = sum(len(layer.concepts) for layer in scores.layers.values()) if m is None else m
    found = []
    for layer in scores.layers.values():
        randoms = [scores.sets[name] for name in layer.randoms]

        def solve(
            positive: Rows, negative: Rows, K: Matrix = layer.K, solver: Solver = solver
        ) -> Matrix:
            deals = zip(positive, negative, strict=True)
            problems = [Problem("a random deal", a, b) for a, b in deals]
            return fit(K, problems, solver=solver, C=C, folds=None).weights

        for concept in layer.concepts:
            dealt = (layer.K, layer.products, scores.sets[concept], randoms)
            by = None if solver == "mean" else solve
            shuffled = permuted(*dealt, rng=rng, permutations=permutations, solve=by)
            drawn = redrawn(*dealt, rng=rng, draws=permutations, solve=by)
            found.append(_finding(layer, concept, solver, shuffled, drawn, rng, m, alpha))
    return found


def _finding(
    layer: Layer,
    concept: str,
    solver: Solver,
    shuffled: Chances,
    drawn: Chances,
    rng: np.random.Generator,
    m: int,
    alpha: float,
) -> Finding:
    slopes = layer.derivatives(concept, solver)
    low, high = interval(slopes, statistic="sign_count", rng=rng)
    held_out = layer.held_out(concept, solver)
    separates = bool(held_out.separates.mean() > 0.5)
    null = layer.null("sign_count", solver)
    pairs = len(null) // 2
    counts = layer.scores(concept, "sign_count", solver)
    p = welch(counts, null, pairs=pairs) if pairs > 1 else float("nan")
    both = {"mean", "logistic"} <= {*layer.opinions}
    opinion = layer.opinion(solver)
    return Finding(
        concept=concept,
        layer=layer.name,
        solver=solver,
        sign_count=float((slopes > 0).mean()),
        low=low,
        high=high,
        magnitude=float(slopes.mean()),
        alignment=float(opinion.alignment[layer.vectors(concept)].mean()),
        band=drawn["sign_count"].band(),
        effect=drawn["magnitude"].effect,
        accuracy=float(held_out.accuracy.mean()),
        separates=separates,
        agreement=float(layer.agreement(concept).mean()) if both else float("nan"),
        p_sign_count=shuffled["sign_count"].p,
        p_random=drawn["magnitude"].p,
        p_welch=p,
        p_welch_corrected=bonferroni(p, m) if pairs > 1 else p,
        verdict=judge(shuffled["magnitude"], m=m, separates=separates, alpha=alpha),
        degenerate=layer.degenerate,
    )
