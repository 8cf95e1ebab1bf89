"""Whether a TCAV score is more than chance, and how far the tests that say so can be believed.

The null hypothesis is that the concept's clips are like those of the random sets. Refits of a
concept against several random sets share the concept's clips, so their spread says nothing of what
other clips would have scored: a t-test over them (the paper's) finds far too much, and
`false_positives` measures how much. The tests to rely on redraw clips
(`vxhelpers.concepts.permutation_tests`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from vxhelpers.concepts.arrays import Matrix, Rows
from vxhelpers.concepts.permutation_tests import (
    CENTRES,
    PermutationTest,
    all_pairs,
    permuted,
    ranked,
    redrawn,
)
from vxhelpers.concepts.sensitivity import Statistic, clip_scores, tcav_score
from vxhelpers.errors import InputError
from vxhelpers.figures.report import Report, Text
from vxhelpers.figures.table import Interval, Table, table
from vxhelpers.stats import Share, bonferroni, wilson

if TYPE_CHECKING:
    from vxhelpers.figures.illustration import Illustration

Outcome = Literal["towards", "away", "chance", "not separated"]
PHRASES: Mapping[Outcome, str] = {
    "towards": "pushes towards the class",
    "away": "pushes away from the class",
    "chance": "not distinguishable from chance",
    "not separated": "does not separate",
}

ALPHA = 0.05  # level of tests
RECOMMENDED = "permutation, magnitude"  # of the tests of `p_values`


@dataclass(frozen=True)
class Verdict:
    """What may be said of one concept at one layer.

    Parameters
    ----------
    outcome
        ``"towards"`` or ``"away"``: the concept moves the prediction, more than random concepts
        do; ``"chance"``: that cannot be decided; ``"not separated"``: its vectors do not tell its
        clips from random ones, so that the score stands for nothing and is not interpreted.
    p, corrected
        Raw, and Bonferroni's over ``m`` hypotheses.
    m
        Number of hypotheses tested together.
    alpha
        Level that ``corrected`` is held against.
    smallest
        The smallest corrected p that this many permutations can give.
    """

    outcome: Outcome
    p: float
    corrected: float
    m: int
    alpha: float
    smallest: float

    @property
    def interpreted(self) -> bool:
        """Whether the score says something: not greyed out in figures."""
        return self.outcome in ("towards", "away")

    def __str__(self) -> str:
        phrase = PHRASES[self.outcome]
        if self.outcome == "not separated":
            return f"{phrase}: not interpreted"
        text = f"{phrase} (p = {self.p:.3g}, corrected {self.corrected:.3g} for m = {self.m})"
        if self.smallest > self.alpha:
            text += f"; no permutation could give less than {self.smallest:.3g}: draw more"
        return text


def welch(scores: npt.ArrayLike, null: npt.ArrayLike, *, pairs: int | None = None) -> float:
    """Two-sided Welch t-test of a concept's refits against random-against-random: the paper's.

    Optimistic, as the refits share the concept's clips: with concepts drawn from the random pool,
    a third to two thirds of its p lie below 0.05 (`false_positives`). Given for comparison.

    Parameters
    ----------
    scores, null
        ``(n,)`` and ``(k,)`` scores, at least two each.
    pairs
        How many of the k are independent: half of them where each random pair is entered both ways
        round, which makes the test the same for every order of the sets.

    Returns
    -------
    float
        p, never NaN. Two constants that are equal give 1. Two that differ leave t without a
        scale: the p is that of an exact permutation of the two samples, whose values are then
        separated as they could be in one way only (two, where they are as many).
    """
    from scipy.stats import t as student

    a, b = np.asarray(scores, np.float64), np.asarray(null, np.float64)
    n, k = len(a), len(b) if pairs is None else pairs
    if n < 2 or k < 2:
        raise InputError(f"a t-test needs two scores or more on each side, not {n} and {k}")
    gap = float(a.mean() - b.mean())
    scale = max(float(np.abs(a).max()), float(np.abs(b).max()))
    parts = np.array([a.var(ddof=1) / n, b.var(ddof=1) / k])
    parts[parts < (1e-14 * scale) ** 2] = 0.0
    if not parts.any():
        return 1.0 if abs(gap) <= 1e-12 * scale else (2 if n == k else 1) / comb(n + k, n)
    freedom = parts.sum() ** 2 / (parts[0] ** 2 / (n - 1) + parts[1] ** 2 / (k - 1))
    return float(2 * student.sf(abs(gap) / np.sqrt(parts.sum()), freedom))


def single_case(test: PermutationTest) -> float:
    """Two-sided t of one value among the draws, taken for normal: for a few random sets' scores.

    After Crawford and Howell (1998), with the centre known by symmetry. With no spread, 1 if the
    value is at the centre, else the p of its rank.
    """
    from scipy.stats import t as student

    if not np.isfinite(test.effect):
        return test.p
    return float(2 * student.sf(abs(test.effect), len(test.draws)))


def interval(
    derivatives: npt.ArrayLike,
    *,
    statistic: Statistic,
    rng: np.random.Generator,
    resamples: int = 2000,
) -> tuple[float, float]:
    """Bootstrap a score's 95 % interval over random sets and scoring clips at once.

    Both are resampled (Owen's pigeonhole bootstrap, 2007, somewhat wide); the concept's clips are
    not: what other clips of the concept would score is not in it.

    Parameters
    ----------
    derivatives
        ``(r, S)``: the concept's directional derivatives, a row for each of the r random sets that
        it was set against, a column for each scoring clip.
    """
    values = clip_scores(derivatives, statistic)
    if values.ndim != 2 or min(values.shape) < 1:
        raise InputError(f"derivatives are (random sets, scoring clips), not {values.shape}")
    r, s = values.shape
    rows = rng.multinomial(r, np.full(r, 1 / r), resamples)
    columns = rng.multinomial(s, np.full(s, 1 / s), resamples)
    means = ((rows @ values) * columns).sum(1) / (r * s)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def judge(test: PermutationTest, *, m: int, separates: bool, alpha: float = ALPHA) -> Verdict:
    """Decide by the test's p, corrected for m hypotheses, and by the sign of its effect."""
    if not 0 < alpha < 1:
        raise InputError(f"alpha={alpha}: a level lies between 0 and 1")
    corrected = bonferroni(test.p, m)
    outcome: Outcome = "chance"
    if not separates:
        outcome = "not separated"
    elif corrected <= alpha:
        outcome = "towards" if test.observed > test.centre else "away"
    smallest = bonferroni(1 / (1 + len(test.draws)), m)
    return Verdict(outcome, test.p, corrected, m, alpha, min(smallest, corrected))


def p_values(
    K: Matrix,
    products: Matrix,
    concept: Rows,
    randoms: Sequence[Rows],
    *,
    rng: np.random.Generator,
    permutations: int = 1000,
) -> dict[str, float]:
    """p of one concept by every test here, by mean difference: to compare the tests.

    The names are ``"<test>, sign count"`` and ``"<test>, magnitude"`` with the tests ``welch``,
    ``rank``, ``single case`` (among the random sets' means), ``permutation`` and ``redrawn``.
    """
    sets = [concept, *randoms]
    slopes = all_pairs(K, products, sets)
    shuffled = permuted(K, products, concept, randoms, rng=rng, permutations=permutations)
    drawn = redrawn(K, products, concept, randoms, rng=rng, draws=permutations)
    off = ~np.eye(len(randoms), dtype=bool)
    found = {}
    for statistic in CENTRES:
        table = tcav_score(slopes, statistic)
        null, name = table[1:, 1:], statistic.replace("_", " ")
        means = np.where(off, null, 0.0).sum(1) / max(1, len(randoms) - 1)
        own = PermutationTest(float(table[0, 1:].mean()), means, CENTRES[statistic])
        found[f"welch, {name}"] = welch(table[0, 1:], null[off], pairs=int(off.sum()) // 2)
        found[f"rank, {name}"] = ranked(table, statistic).p
        found[f"single case, {name}"] = single_case(own)
        found[f"permutation, {name}"] = shuffled[statistic].p
        found[f"redrawn, {name}"] = drawn[statistic].p
    return found


@dataclass(frozen=True)
class FalsePositives(Report):
    """How often tests find something where there is nothing.

    Parameters
    ----------
    shares
        Name of each test of `p_values` to the share of its p up to ``alpha``.
    alpha
        The level that the tests claim.
    """

    shares: Mapping[str, Share]
    alpha: float

    @property
    def intervals(self) -> dict[str, dict[str, Interval]]:
        """Statistic to test to share with its interval."""
        found: dict[str, dict[str, Interval]] = {}
        for name, share in self.shares.items():
            test, statistic = name.split(", ")
            found.setdefault(statistic, {})[test] = share.value, share.low, share.high
        return found

    def figure(self) -> "Illustration":
        """Shares by test, with the level that they claim."""
        from vxhelpers.figures.score_charts import bars

        return bars(
            {
                statistic: {test.replace(" ", "\n"): share for test, share in row.items()}
                for statistic, row in self.intervals.items()
            },
            units=f"share of p ≤ {self.alpha:g}",
            line=("nominal", self.alpha),
        )

    def table(self) -> Table:
        """Shares by test and statistic."""
        rows = self.intervals
        tests = [*next(iter(rows.values()))]
        columns = {statistic: [row[test] for test in tests] for statistic, row in rows.items()}
        caption = f"Share of p up to {self.alpha:g} where there is nothing to find"
        return table({"test": tests, **columns}, caption=caption, sortable=False)

    def summary(self) -> Text:
        """The paper's test and the recommended one, held against the level."""
        welch, own = self.shares["welch, sign count"], self.shares[RECOMMENDED]
        kept = "It keeps its word." if own.low <= self.alpha else "**It is above its level, too.**"
        return Text(
            f"The paper's t-test over refits finds something in {welch}, where it should in "
            f"{self.alpha:g}: refits against several random sets share the concept's clips, so "
            "their spread says nothing of what other clips would have scored. The test that is "
            f"relied on here, {RECOMMENDED}: {own}. {kept}"
        )


def false_positives(
    K: Matrix,
    products: Matrix,
    pool: Rows,
    *,
    clips: int,
    sets: int,
    rng: np.random.Generator,
    repeats: int = 200,
    permutations: int = 199,
) -> FalsePositives:
    """Share of p up to 0.05, by each test, when the "concept" is drawn from the random pool.

    A test is as good as its word if that share is at most 0.05.

    Parameters
    ----------
    K, products
        As in `permuted`.
    pool
        Rows of random clips, at least ``(sets + 1) * clips``; a concept and random sets are drawn
        from it ``repeats`` times, without common clips.
    clips, sets
        Clips a set, and number of random sets.
    """
    pool = np.asarray(pool, np.int64)
    if len(pool) < (sets + 1) * clips:
        raise InputError(
            f"a concept and {sets} random sets of {clips} need {(sets + 1) * clips} clips, not "
            f"{len(pool)}"
        )
    hits: dict[str, int] = {}
    for _ in range(repeats):
        drawn = rng.permutation(pool)[: (sets + 1) * clips].reshape(sets + 1, clips)
        found = p_values(K, products, drawn[0], [*drawn[1:]], rng=rng, permutations=permutations)
        for name, p in found.items():
            hits[name] = hits.get(name, 0) + int(p <= ALPHA)
    shares = {
        name: Share(count / repeats, *wilson(count, repeats), repeats)
        for name, count in hits.items()
    }
    return FalsePositives(shares, ALPHA)
