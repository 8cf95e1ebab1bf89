"""What TCAV scores come to by chance: clips permuted at random, and the scores computed anew.

Everything here is in the dual: permutations are of rows, so thousands of them are a few products of
small matrices, whatever the size of a layer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vxhelpers.concepts.arrays import Matrix, Rows
from vxhelpers.concepts.directional_derivatives import directional_derivative
from vxhelpers.concepts.sensitivity import Statistic, tcav_score
from vxhelpers.errors import InputError

Solve = Callable[[Rows, Rows], Matrix]  # (B, n) and (B, m) rows to (B, N) weights of unit vectors

CENTRES: Mapping[Statistic, float] = {"sign_count": 0.5, "magnitude": 0.0}
_CHUNK = 2_000_000  # numbers in a batch of redrawn sets


@dataclass(frozen=True, eq=False)
class PermutationTest:
    """A score, and what it comes to when clips are permuted or drawn at random.

    Parameters
    ----------
    observed
        The score: a mean over the random sets that the concept is set against.
    draws
        ``(B,)`` the same of B random permutations.
    centre
        What it is by symmetry when the concept is like the random sets: 0.5 or 0.
    """

    observed: float
    draws: Matrix
    centre: float

    @property
    def p(self) -> float:
        """Two-sided p: share of the permutations, the observed one among them, as far out.

        Never 0, and exact where clips are exchangeable (Phipson and Smyth, 2010).
        """
        far = abs(self.observed - self.centre)
        spread = np.abs(self.draws - self.centre)
        slack = 1e-9 * max(far, float(spread.max(initial=0.0)))  # the same clips, summed otherwise
        return float((1 + (spread >= far - slack).sum()) / (1 + len(self.draws)))

    @property
    def effect(self) -> float:
        """Distance from the centre in standard deviations of the draws; 0 or infinite without."""
        spread = float(np.sqrt(np.mean((self.draws - self.centre) ** 2)))
        gap = self.observed - self.centre
        if spread > 0:
            return gap / spread
        return float(np.copysign(np.inf, gap)) if gap else 0.0

    def band(self, confidence: float = 0.95) -> tuple[float, float]:
        """Where the middle ``confidence`` of the draws lies: what a random concept scores."""
        low, high = np.quantile(self.draws, [(1 - confidence) / 2, (1 + confidence) / 2])
        return float(low), float(high)


Tests = dict[Statistic, PermutationTest]


def permuted(
    K: Matrix,
    products: Matrix,
    concept: Rows,
    randoms: Sequence[Rows],
    *,
    rng: np.random.Generator,
    permutations: int = 1000,
    solve: Solve | None = None,
) -> Tests:
    """Permute the labels: all clips are shuffled among the concept and the random sets.

    The label permutation test. The score, a mean over the refits against each random set, is
    computed anew for every permutation, so its p is exact if the concept's clips are exchangeable
    with the random ones; clips of one video are not with those of others. It loses power where the
    concept lies far from the random clips: then every permutation is about it (`redrawn`).

    Parameters
    ----------
    K, products
        ``(N, N)`` Gram matrix of one layer's activations and ``(S, N)`` products of the scoring
        clips' gradients with them, centred or not.
    concept, randoms
        Rows of the concept's clips and of each random set's; no row twice.
    permutations
        Number of permutations.
    solve
        Classifier, given rows of B concepts and of B counterparts; mean difference, in closed form
        and in batches of all sets, unless given.

    Returns
    -------
    dict
        For ``"sign_count"`` and ``"magnitude"`` the score and its permutations.
    """
    rows = np.concatenate([concept, *randoms])
    sizes = [len(concept), *map(len, randoms)]
    _check(K, products, rows, permutations)
    permutation = rng.permuted(np.tile(rows, (permutations, 1)), axis=1)
    observed = _scores(K, products, rows[None], sizes, solve)
    return _chances(observed, _scores(K, products, permutation, sizes, solve))


def redrawn(
    K: Matrix,
    products: Matrix,
    concept: Rows,
    randoms: Sequence[Rows],
    *,
    rng: np.random.Generator,
    draws: int = 1000,
    solve: Solve | None = None,
) -> Tests:
    """Draw random concepts from the random clips: as many as the concept's, against the others.

    What a random concept scores, undisturbed by the concept: the band to draw in a figure. Its p
    is not exact, for the pool is finite and the concept's clips are not in it, but near nominal
    (`false_positives`), and keeps its power for concepts far from the pool. Each draw is set
    against what is left of the pool in one set less than ``randoms``. Parameters as in `permuted`.
    """
    pool = np.concatenate([*randoms])
    parts = max(1, len(randoms) - 1)
    left = len(pool) - len(concept)
    if left < 4 * parts:
        raise InputError(
            f"{len(pool)} random clips are too few to draw random concepts of {len(concept)} from: "
            "add random sets"
        )
    _check(K, products, np.concatenate([concept, pool]), draws)
    permutation = rng.permuted(np.tile(pool, (draws, 1)), axis=1)
    sizes = [len(concept), *map(len, np.array_split(np.arange(left), parts))]
    rows, own = np.concatenate([concept, pool]), [len(concept), *map(len, randoms)]
    observed = _scores(K, products, rows[None], own, solve)
    return _chances(observed, _scores(K, products, permutation, sizes, solve))


def swapped(
    products: Matrix,
    concept: Rows,
    counterpart: Rows,
    *,
    rng: np.random.Generator,
    permutations: int = 1000,
) -> PermutationTest:
    """Permute the clips of two sets, and look how far they lie apart along the gradients.

    For one set against another, such as the dynamic and the static clips of a thing. The statistic
    is the magnitude before it is divided by the length of the vector, so it has the same sign. In
    `permuted` every permutation is divided by its own length: one that mixes two sets which lie
    far apart is a small step along the line between them, and counts in full once divided. With
    one counterpart that costs most of the power (at the last layer of a network that knows
    movement from stillness, p = 0.11 instead of 0.001). Exact where clips are exchangeable.

    Parameters
    ----------
    products
        As in `permuted`.
    concept, counterpart
        Rows of the two sets; no row twice.
    permutations
        Number of permutations.
    """
    rows = np.concatenate([concept, counterpart])
    _check(np.empty((products.shape[1],) * 2), products, rows, permutations)
    values = products[:, rows].mean(0)
    permutation = rng.permuted(np.tile(values, (permutations, 1)), axis=1)
    first = len(concept)

    def gap(means: Matrix) -> Matrix:
        found: Matrix = means[..., :first].mean(-1) - means[..., first:].mean(-1)
        return found

    return PermutationTest(float(gap(values)), gap(permutation), CENTRES["magnitude"])


def ranked(pairs: Matrix, statistic: Statistic) -> PermutationTest:
    """One set's mean score among those of the others: exact, but with r sets no p below 1/(r+1).

    Parameters
    ----------
    pairs
        ``(r + 1, r + 1)``: score of every set against every other, the concept's first; the
        diagonal is left out. The concept is among the others' opponents, as all must be alike.
    """
    others = ~np.eye(len(pairs), dtype=bool)
    means = np.where(others, pairs, 0.0).sum(1) / (len(pairs) - 1)
    return PermutationTest(float(means[0]), means[1:], CENTRES[statistic])


def _check(K: Matrix, products: Matrix, rows: Rows, draws: int) -> None:
    if K.shape != (products.shape[1],) * 2:
        raise InputError(f"products {products.shape} do not fit a Gram matrix {K.shape}")
    if len(np.unique(rows)) < len(rows):
        again, times = np.unique(rows, return_counts=True)
        raise InputError(
            f"clips that are in two sets cannot be permuted: rows {again[times > 1].tolist()}"
        )
    if draws < 1:
        raise InputError(f"{draws} draws: at least one is needed, 1000 are usual")


def _scores(
    K: Matrix, products: Matrix, permutation: Rows, sizes: Sequence[int], solve: Solve | None
) -> Matrix:
    """Sign count and magnitude ``(B, 2)`` of each first set, mean over the other sets."""
    if solve is None:  # other clips cost time alone
        rows = np.unique(permutation)
        permutation = np.searchsorted(rows, permutation)
        K, products = K[np.ix_(rows, rows)], products[:, rows]
    chunk = max(1, _CHUNK // (len(sizes) * (len(K) + len(products))))
    parts = [permutation[i : i + chunk] for i in range(0, len(permutation), chunk)]
    cuts = np.cumsum(sizes)
    found = []
    for part in parts:
        if solve is None:
            slopes = _by_mean(K, products, part, sizes)
        else:
            concept, *others = np.split(part, cuts[:-1], axis=1)
            vectors = [solve(concept, other) for other in others]
            slopes = np.stack([directional_derivative(products, v) for v in vectors], 1)
        found.append(np.stack([tcav_score(slopes, s).mean(1) for s in CENTRES], 1))
    return np.concatenate(found)


def _by_mean(K: Matrix, products: Matrix, rows: Rows, sizes: Sequence[int]) -> Matrix:
    """Derivatives ``(B, sets - 1, S)`` along the unit mean differences of set 0 to the others."""
    label = np.repeat(np.arange(len(sizes)), sizes)
    share = np.zeros((len(rows), len(sizes), len(K)))
    share[np.arange(len(rows))[:, None], label, rows] = 1 / np.asarray(sizes)[label]
    reach = share @ K
    own = np.einsum("bkn,bkn->bk", reach, share)
    cross = np.einsum("bn,bkn->bk", reach[:, 0], share[:, 1:])
    square = own[:, :1] + own[:, 1:] - 2 * cross
    means = share @ products.T
    return _over(means[:, :1] - means[:, 1:], square, own[:, :1] + own[:, 1:])


def all_pairs(K: Matrix, products: Matrix, sets: Sequence[Rows]) -> Matrix:
    """Derivatives ``(k, k, S)`` along the unit mean difference of every set to every other."""
    share = np.zeros((len(sets), len(K)))
    for row, members in zip(share, sets, strict=True):
        row[members] = 1 / len(members)
    table, means = share @ K @ share.T, share @ products.T
    own = np.diag(table)
    square = own[:, None] + own - 2 * table
    return _over(means[:, None] - means, square, own[:, None] + own)


def _over(gap: Matrix, square: Matrix, size: Matrix) -> Matrix:
    """Divide by the length; where two means coincide there is no direction, and nothing moves."""
    apart = square > 1e-12 * size
    length = np.sqrt(np.where(apart, square, 1.0))
    return np.where(apart[..., None], gap / length[..., None], 0.0)


def _chances(observed: Matrix, draws: Matrix) -> Tests:
    return {
        statistic: PermutationTest(float(observed[0, place]), draws[:, place], centre)
        for place, (statistic, centre) in enumerate(CENTRES.items())
    }
