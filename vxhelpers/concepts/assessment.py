"""What may be said of concepts: each at each layer, with its scores, what they would be by chance,
whether its vectors separate anything, and a verdict."""

import numpy as np

from vxhelpers.concepts.arrays import Matrix, Rows
from vxhelpers.concepts.cav import Problem, fit
from vxhelpers.concepts.findings import Assessment, CavQuality, Finding, PValues, Score
from vxhelpers.concepts.permutation_tests import Tests, permuted, redrawn
from vxhelpers.concepts.significance import (
    ALPHA,
    FalsePositives,
    false_positives,
    interval,
    judge,
    welch,
)
from vxhelpers.concepts.solvers import Solver
from vxhelpers.concepts.tcav import LayerScores, Tcav
from vxhelpers.errors import InputError
from vxhelpers.stats import bonferroni


def assess(
    *scores: Tcav,
    rng: np.random.Generator,
    solver: Solver = "mean",
    m: int | None = None,
    alpha: float = ALPHA,
    permutations: int = 1000,
) -> Assessment:
    """Judge every concept at every layer; findings are layer by layer.

    Parameters
    ----------
    scores
        Of one or more groups of concepts.
    solver
        Whose scores are judged. Chance is worked out with the same classifier, which is seconds
        for mean difference and minutes for the others.
    m
        Hypotheses of the figure that the findings go into; those of ``scores`` unless given.
    alpha
        Level of the verdicts.
    permutations
        A concept and layer; with m hypotheses at least ``m / alpha``.
    """
    if not scores:
        raise InputError("no scores to assess")
    m = hypotheses(*scores) if m is None else m
    found = []
    for group in scores:
        for layer in group.layers.values():
            for concept in layer.concepts:
                tests = _tests(group, layer, concept, solver, rng, permutations)
                found.append(_finding(layer, concept, solver, *tests, rng, m, alpha))
    return Assessment(tuple(found), permutations, len(scores[0].derivatives.clips))


def calibrate(
    scores: Tcav, layer: str, *, rng: np.random.Generator, repeats: int = 200
) -> FalsePositives:
    """How often each test finds a concept among the random clips of some scores, at one layer.

    "Concepts" and random sets, as many as there are but three at least, are drawn from the random
    clips, of one size (`vxhelpers.concepts.significance.false_positives`).
    """
    found = scores[layer]
    pool = np.concatenate([scores.sets[name] for name in found.randoms])
    sets = max(3, len(found.randoms))
    return false_positives(
        found.K, found.products, pool, clips=len(pool) // (sets + 1), sets=sets, rng=rng,
        repeats=repeats, permutations=99,
    )  # fmt: skip


def hypotheses(*scores: Tcav) -> int:
    """Number of concepts at all layers: what `assess` corrects for."""
    return sum(len(layer.concepts) for group in scores for layer in group.layers.values())


def _tests(
    scores: Tcav,
    layer: LayerScores,
    concept: str,
    solver: Solver,
    rng: np.random.Generator,
    permutations: int,
) -> tuple[Tests, Tests]:
    """Labels permuted, and random concepts drawn."""

    def solve(positive: Rows, negative: Rows) -> Matrix:
        sides = zip(positive, negative, strict=True)
        problems = [Problem("a random permutation", a, b) for a, b in sides]
        C = scores.settings.C
        return fit(layer.K, problems, solver=solver, C=C, folds=None).weights

    randoms = [scores.sets[name] for name in layer.randoms]
    data = layer.K, layer.products, scores.sets[concept], randoms
    by = None if solver == "mean" else solve
    shuffled = permuted(*data, rng=rng, permutations=permutations, solve=by)
    return shuffled, redrawn(*data, rng=rng, draws=permutations, solve=by)


def _finding(
    layer: LayerScores,
    concept: str,
    solver: Solver,
    shuffled: Tests,
    drawn: Tests,
    rng: np.random.Generator,
    m: int,
    alpha: float,
) -> Finding:
    slopes = layer.derivatives(concept, solver)
    alignment = layer.sensitivity(solver).alignment[layer.vectors(concept)]
    score = Score(
        float((slopes > 0).mean()),
        *interval(slopes, statistic="sign_count", rng=rng),
        magnitude=float(slopes.mean()),
        alignment=float(alignment.mean()),
        band=drawn["sign_count"].band(),
        effect=drawn["magnitude"].effect,
    )
    null = layer.null("sign_count", solver)
    pairs = len(null) // 2
    counts = layer.scores(concept, "sign_count", solver)
    p = welch(counts, null, pairs=pairs) if pairs > 1 else float("nan")
    p_values = PValues(
        shuffled["sign_count"].p,
        drawn["magnitude"].p,
        p,
        bonferroni(p, m) if pairs > 1 else p,
    )
    cav = _quality(layer, concept, solver)
    verdict = judge(shuffled["magnitude"], m=m, separates=cav.separates, alpha=alpha)
    return Finding(concept, layer.name, solver, score, cav, p_values, verdict, layer.degenerate)


def _quality(layer: LayerScores, concept: str, solver: Solver) -> CavQuality:
    held_out = layer.held_out(concept, solver)
    agreement, same_sign = float("nan"), True
    estimators: tuple[Solver, Solver] = ("mean", "logistic")
    if {*estimators} <= {*layer.sensitivities}:
        agreement = float(layer.agreement(concept).mean())
        signs = {np.sign(layer.scores(concept, "magnitude", s).mean()) for s in estimators}
        same_sign = len(signs) == 1
    return CavQuality(
        (
            float(held_out.accuracy.mean()),
            float(held_out.low.mean()),
            float(held_out.high.mean()),
        ),
        bool(held_out.separates.mean() > 0.5),
        agreement,
        same_sign,
    )
