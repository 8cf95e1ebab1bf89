r"""Concept vectors: linear classifiers between sets of clips, solved in the dual and in batches.

A layer has up to millions of features and a problem has dozens of clips, so a concept vector is
held as its weights over clips, :math:`w = \sum_i a_i x_i`, and everything that is asked of it needs
scalar products of clips alone (`vxhelpers.concepts.activations.gram`).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vxhelpers.checks import known
from vxhelpers.concepts.arrays import FEWEST, Flags, Matrix, Rows
from vxhelpers.concepts.solvers import (
    SOLVERS,
    Solver,
    cav_by_mean_difference,
    solve,
)
from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.stats import wilson

__all__ = [
    "SOLVERS",
    "Cavs",
    "HeldOut",
    "Problem",
    "Solver",
    "against",
    "cav_by_mean_difference",
    "cosine",
    "fit",
    "vectors",
]


_CHUNK = 4_000_000  # numbers in a batch of Gram matrices


@dataclass(frozen=True, eq=False)
class Problem:
    """Two groups of clips to be told apart.

    Parameters
    ----------
    name
        For tables and messages, such as ``"racket against random 3"``.
    positive, negative
        Rows of the concept's clips and of its counterpart's, at least 4 each, none in both.
    """

    name: str
    positive: Rows
    negative: Rows


@dataclass(frozen=True, eq=False)
class HeldOut:
    """How well each of P concept vectors classifies clips that it was not fitted on.

    Parameters
    ----------
    accuracy
        ``(P,)`` share of right clips over all folds, 0 to 1: the mean of the two sides' shares, so
        that one against the rest is not won by always naming the rest.
    low, high
        ``(P,)`` its Wilson interval, as if of twice the harmonic mean of the two sides' clips.
        Clips held out in different folds are not independent, since the vectors that judge them
        share training clips: for k folds n clips count as n / (1 + k / (k - 1)), after Nadeau and
        Bengio ("Inference for the generalization error", *Machine Learning* 52, 2003, section 3).
        Taken at face value, 5 to 12 in a hundred problems between clips of one kind would have
        seemed to separate.
    """

    accuracy: Matrix
    low: Matrix
    high: Matrix

    @property
    def separates(self) -> Flags:
        """``(P,)``: the interval lies above one half. A vector that does not is not interpreted."""
        return np.asarray(self.low > 0.5)


@dataclass(frozen=True, eq=False)
class Cavs:
    """Concept vectors of P problems at one layer, as weights over the N clips of a Gram matrix.

    Parameters
    ----------
    problems
        The P problems.
    solver
        How they were solved.
    weights
        ``(P, N)`` float64. Times the activations they give the concept vector, of unit length and
        pointing to the concept; times products of gradients with activations, the directional
        derivatives. Rows sum to zero.
    bias
        ``(P,)``: ``weights @ K + bias[:, None]`` are signed distances from the boundary, positive
        on the concept's side, for the ``K`` that the problems were solved with.
    held_out
        Accuracy by cross-validation; None where not asked for.
    """

    problems: tuple[Problem, ...]
    solver: Solver
    weights: Matrix
    bias: Matrix
    held_out: HeldOut | None

    def __len__(self) -> int:
        return len(self.problems)


def against(
    sets: Mapping[str, Rows],
    concept: str,
    others: str | Sequence[str],
    *,
    names: Sequence[str] | None = None,
) -> Problem:
    """Pose one set against another, or against several pooled (one against the rest).

    Parameters
    ----------
    sets
        Names to rows, as in `vxhelpers.concepts.activations.Activations`.
    concept, others
        Names of sets.
    names
        Of the clips, by row, for the message.

    Raises
    ------
    InputError
        If clips are on both sides: lists them.
    UnknownNameError
        If a set does not exist; the nearest names are suggested.
    """
    rest = [others] if isinstance(others, str) else list(others)
    for name in (concept, *rest):
        known("set of clips", name, sets)
    positive = sets[concept]
    negative = np.unique(np.concatenate([sets[name] for name in rest]))
    title = f"{concept} against {', '.join(rest)}"
    shared = np.intersect1d(positive, negative)
    if len(shared):
        listed = ", ".join(names[row] if names else f"row {row}" for row in shared)
        raise InputError(f"{title}: clips on both sides: {listed}; take them out of one of the two")
    return Problem(title, positive, negative)


def fit(
    K: Matrix,
    problems: Sequence[Problem],
    *,
    solver: Solver = "mean",
    C: float = 1.0,
    folds: int | None = 5,
    seed: int = 0,
) -> Cavs:
    r"""Solve linear classification problems between clips, all of them together.

    With labels :math:`y = \pm 1` and decisions :math:`f = w \cdot x + b`, the solvers find

    - ``"mean"``: `cav_by_mean_difference`, with the boundary halfway between the means.
    - ``"logistic"``: :math:`\frac12 |w|^2 + C \sum \log(1 + e^{-yf})`, scikit-learn's
      ``LogisticRegression``.

    Both are exact, without randomness, to about 1e-9 of a weight: a mean, or Newton's method on
    :math:`a_i = -\partial\,\mathrm{loss} / \partial f_i`, which holds at the optimum of each
    (representer theorem), a batch of problems at a time.

    Scaling all activations by s leaves ``"mean"`` as it is, and is for ``"logistic"`` the same as
    scaling ``C`` by s². Scaling single features changes them all: no feature is standardised. The
    order of clips changes none; it does change which clips share a fold.

    Parameters
    ----------
    K
        ``(N, N)`` float64 scalar products of the clips' activations
        (`vxhelpers.concepts.activations.gram`): centred or not.
    problems
        Rows of ``K`` to be told apart.
    C
        Weight of the errors against the vector's length; only ``"mean"`` has none.
    folds
        Of the cross-validation, fewer where a side has fewer clips; each side is dealt out evenly.
        Everything is fitted anew on the other folds. None leaves it out.
    seed
        Of the folds.

    Raises
    ------
    InputError
        If a side has fewer than 4 clips, a clip is on both sides or twice on one, the two sides
        have the same activations, or options do not fit.
    NotFiniteError
        If ``K`` holds NaN or infinity.
    """
    K = _checked(K, problems, solver, C, folds)
    weights, bias = np.zeros((len(problems), len(K))), np.zeros(len(problems))
    right = np.zeros((len(problems), 2), np.int64)
    for chosen, rows, y in _batches(problems):
        local = K[rows[:, :, None], rows[:, None, :]]
        a, b, norm = solve(local, y, solver, C)
        for index in np.flatnonzero(norm == 0):
            raise InputError(
                f"{problems[chosen[index]].name}: the two sides have the same activations on "
                "average, or all clips the same: there is no direction between them"
            )
        weights[np.array(chosen)[:, None], rows] = a / norm[:, None]
        bias[chosen] = b / norm
        for train, test in _folds(y, folds, seed) if folds else ():
            a, b, _ = solve(local[:, train[:, None], train], y[train], solver, C)
            f = (local[:, test[:, None], train] @ a[:, :, None])[:, :, 0] + b[:, None]
            hits = f * y[test] > 0
            right[chosen] += np.stack([hits[:, y[test] > 0].sum(1), hits[:, y[test] < 0].sum(1)], 1)
    held_out = _held_out(problems, right, folds) if folds else None
    return Cavs(tuple(problems), solver, weights, bias, held_out)


def cosine(K: Matrix, a: Cavs, b: Cavs) -> Matrix:
    """Cosines ``(P,)`` between the concept vectors of ``a`` and ``b``, problem by problem."""
    if len(a) != len(b):
        raise InputError(f"{len(a)} concept vectors cannot be paired with {len(b)}")
    values: Matrix = np.einsum("pn,pn->p", a.weights @ K, b.weights)
    return values.clip(-1, 1)


def vectors(x: Tensor, cavs: Cavs, *, block: int = 16384) -> Tensor:
    """Make the ``(P, ...)`` float64 concept vectors from ``(N, ...)`` activations of the layer.

    Nothing in this package needs them; P times the size of a clip's activations is what they take.
    """
    if len(x) != cavs.weights.shape[1]:
        raise InputError(f"activations of {len(x)} clips for weights of {cavs.weights.shape[1]}")
    flat, weights = x.detach().flatten(1), torch.from_numpy(cavs.weights)
    out = torch.empty((len(cavs), flat.shape[1]), dtype=torch.float64)
    for start in range(0, flat.shape[1], block):
        out[:, start : start + block] = weights @ flat[:, start : start + block].double().cpu()
    return out.view(len(cavs), *x.shape[1:])


def _checked(
    K: Matrix, problems: Sequence[Problem], solver: str, C: float, folds: int | None
) -> Matrix:
    K = np.asarray(K, np.float64)
    known("solver", solver, SOLVERS)
    if not (np.isfinite(C) and C > 0):
        raise InputError(f"C={C}: the weight of the errors is above 0")
    if folds is not None and folds < 2:
        raise InputError(f"folds={folds}: cross-validation needs at least 2, or None for none")
    if K.ndim != 2 or K.shape[0] != K.shape[1]:
        raise InputError(f"scalar products of N clips are (N, N), not {K.shape}")
    if not np.isfinite(K).all():
        row = int(np.flatnonzero(~np.isfinite(K).all(1))[0])
        raise NotFiniteError(f"NaN or infinity among the scalar products of clip {row}")
    if not problems:
        raise InputError("no problems to solve")
    for problem in problems:
        for side, rows in (("concept", problem.positive), ("counterpart", problem.negative)):
            if len(rows) < FEWEST:
                raise InputError(
                    f"{problem.name}: {len(rows)} clips on the {side}'s side; a concept vector "
                    f"needs at least {FEWEST}"
                )
    for chosen, rows, _ in _batches(problems):
        if rows.min() < 0 or rows.max() >= len(K):
            raise InputError(f"rows {rows.min()} to {rows.max()} of {len(K)} clips")
        again = (np.diff(np.sort(rows, axis=1), axis=1) == 0).any(1)
        for index in np.flatnonzero(again):
            raise InputError(f"{problems[chosen[index]].name}: a clip is there twice")
    return K


def _batches(problems: Sequence[Problem]) -> Iterator[tuple[list[int], Rows, Matrix]]:
    """Indices of problems of one size, their ``(B, n)`` rows and the ``(n,)`` labels, +1 first."""
    sizes: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, problem in enumerate(problems):
        sizes[len(problem.positive), len(problem.negative)].append(index)
    for (positive, negative), members in sizes.items():
        n = positive + negative
        y = np.repeat([1.0, -1.0], [positive, negative])
        step = max(1, _CHUNK // n**2)
        for start in range(0, len(members), step):
            chosen = members[start : start + step]
            sides = [(problems[i].positive, problems[i].negative) for i in chosen]
            yield chosen, np.array([np.concatenate(pair) for pair in sides], np.int64), y


def _folds(y: Matrix, folds: int, seed: int) -> Iterator[tuple[Rows, Rows]]:
    """Positions to fit on and to test on; each side is dealt out evenly over the folds."""
    rng = np.random.default_rng(seed)
    sides = [int((y > 0).sum()), int((y < 0).sum())]
    fold = np.concatenate([rng.permutation(size) % min(folds, *sides) for size in sides])
    for k in range(fold.max() + 1):
        yield np.flatnonzero(fold != k), np.flatnonzero(fold == k)


def _held_out(problems: Sequence[Problem], right: Rows, folds: int) -> HeldOut:
    sides = np.array([(len(p.positive), len(p.negative)) for p in problems])
    shares, k = (right / sides).mean(1), np.minimum(folds, sides.min(1))
    n = 4 / (1 / sides).sum(1) / (1 + k / (k - 1))
    pairs = zip((shares * n).tolist(), n.tolist(), strict=True)
    bounds = np.array([wilson(c, total) for c, total in pairs])
    return HeldOut(shares, bounds[:, 0], bounds[:, 1])
