"""Linear classifiers between few clips of many features: batches of small problems in the dual."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from vxhelpers.concepts.arrays import Matrix
from vxhelpers.errors import InputError

Solver = Literal["mean", "logistic"]

SOLVERS: tuple[Solver, ...] = ("mean", "logistic")

_STEPS = 100  # of Newton's method; half a dozen are usual
_HALVINGS = 40  # of one step


def cav_by_mean_difference(concept: npt.ArrayLike, random: npt.ArrayLike) -> Matrix:
    r"""Unit vector from the random clips' mean activation to the concept's.

    .. math:: v = (\bar A_{concept} - \bar A_{random}) / |\bar A_{concept} - \bar A_{random}|

    FastCAV (Schmalwasser et al., 2025, section 3) in the form that the sides' sizes do not change:
    FastCAV subtracts the mean of all clips, which has the same direction.

    Parameters
    ----------
    concept, random
        ``(n, ...)`` and ``(m, ...)`` activations of clips.

    Raises
    ------
    InputError
        If both means are the same: there is no direction between them.
    """
    a, b = (np.asarray(x, np.float64) for x in (concept, random))
    y = np.repeat([1.0, -1.0], [len(a), len(b)])
    v: Matrix = np.tensordot(mean_difference_weights(y), np.concatenate([a, b]), 1)
    length = float(np.linalg.norm(v))
    if not length > 1e-12 * max(np.abs(a).max(), np.abs(b).max()):
        raise InputError("the two sides have the same activations on average: no direction")
    return v / length


def mean_difference_weights(y: Matrix) -> Matrix:
    """Weights of clips that make the difference of two means, given labels 1 and -1.

    `cav_by_mean_difference` in the dual: weights over clips, whatever their activations are.
    """
    weights: Matrix = np.where(y > 0, 1 / (y > 0).sum(), -1 / (y < 0).sum())
    return weights


def solve(K: Matrix, y: Matrix, solver: Solver, C: float) -> tuple[Matrix, Matrix, Matrix]:
    """Solve a batch of problems of one size; `vxhelpers.concepts.cav.fit` says what each solver
    finds.

    Parameters
    ----------
    K
        ``(B, n, n)`` scalar products of each problem's clips.
    y
        ``(n,)`` their labels, +1 or -1, the same for all problems.

    Returns
    -------
    tuple
        Weights ``(B, n)`` of the clips, biases ``(B,)`` and the vectors' lengths ``(B,)``, which
        are 0 where rounding is all that there is of a direction.
    """
    level = K.mean(1)
    if solver == "mean":
        a, b = mean_difference_weights(y) + np.zeros((len(K), 1)), np.zeros(len(K))
    else:
        # The clips' own mean as origin: weights sum to zero; better conditioned.
        centred = K - level[:, None, :] - (level - level.mean(1, keepdims=True))[:, :, None]
        a, b = _newton(centred, y, C)
    f = _times(K, a)
    if solver == "mean":
        b -= (f[:, y > 0].mean(1) + f[:, y < 0].mean(1)) / 2
    else:
        b -= f.mean(1)

    square, size = (a * f).sum(1), np.abs(a).sum(1) ** 2
    diagonal = np.einsum("bii->bi", K)
    spread = (diagonal - 2 * level).max(1) + level.mean(1)
    least = size * np.maximum(1e-9 * spread, 1e-13 * diagonal.max(1))
    norm = np.zeros(len(K))
    norm[square > least] = np.sqrt(square[square > least])
    return a, b, norm


def _logistic(f: Matrix, y: Matrix, C: float) -> tuple[Matrix, Matrix, Matrix]:
    """Of decisions ``(B, n)``: each clip's loss, its slope downhill and its curvature."""
    miss = np.exp(-np.logaddexp(0, y * f))  # the probability of the other side
    return C * np.logaddexp(0, -y * f), C * y * miss, C * miss * (1 - miss)


def _newton(K: Matrix, y: Matrix, C: float) -> tuple[Matrix, Matrix]:
    r"""Minimise :math:`\frac12 a^\top K a + \sum \mathrm{loss}(y, Ka + b)`, problem by problem.

    Newton's method on the conditions :math:`a = g(Ka + b)`, g the loss's slope downhill, and
    :math:`\sum a = 0`, since the bias is free; steps are halved until the objective falls. Solved
    problems leave the batch.
    """
    count, n = K.shape[:2]
    a_out, b_out, left = np.zeros((count, n)), np.zeros(count), np.arange(count)
    a, b, f = np.zeros((count, n)), np.zeros(count), np.zeros((count, n))
    cost, slope, curve = _logistic(f, y, C)
    for step in range(_STEPS):
        # (1 + curve K) da + curve db = slope - a, with a db that makes a sum to zero.
        system = curve[:, :, None] * K
        system[:, range(n), range(n)] += 1
        u, v = np.moveaxis(np.linalg.solve(system, np.stack([slope - a, curve], 2)), 2, 0)
        db = np.zeros(len(left))
        np.divide((u + a).sum(1), v.sum(1), out=db, where=v.sum(1) > 0)
        da = u - db[:, None] * v
        df = _times(K, da) + db[:, None]

        before = _half_square(a, b, f) + cost.sum(1)
        fall = 2 * _half_square(da, b, f) - (slope * df).sum(1)  # negative
        t = np.ones(len(left))
        for _ in range(_HALVINGS):
            at = a + t[:, None] * da, b + t * db, f + t[:, None] * df
            cost, slope, curve = _logistic(at[2], y, C)
            high = _half_square(*at) + cost.sum(1) > before + 1e-4 * t * fall + 1e-12 * before
            if not high.any():
                break
            t[high] /= 2
        a, b, f = at
        if step == 0:
            # The first step stops short of wide margins, which Newton widens by one a step.
            scale = _rescale(_half_square(a, b, f), f, y, C)
            a, b, f = a * scale[:, None], b * scale, f * scale[:, None]
            cost, slope, curve = _logistic(f, y, C)

        done = np.abs(slope - a).max(1) <= 1e-11 * np.abs(a).max(1)
        done |= (t == 1) & (np.abs(df).max(1) <= 1e-10 * np.abs(f).max(1))
        a_out[left[done]], b_out[left[done]] = a[done], b[done]
        if done.all():
            return a_out - a_out.mean(1, keepdims=True), b_out
        if done.any():
            left, K, a, b, f = (values[~done] for values in (left, K, a, b, f))
            cost, slope, curve = (values[~done] for values in (cost, slope, curve))
    raise InputError(
        f"{len(left)} of {count} problems are not solved after {_STEPS} steps: the activations are "
        f"too large or too small for C={C}; try solver='mean', or another C"
    )


def _half_square(a: Matrix, b: Matrix, f: Matrix) -> Matrix:
    """Half the squared length of the vector, since f - b is K a."""
    half: Matrix = (a * (f - b[:, None])).sum(1) / 2
    return half


def _rescale(half: Matrix, f: Matrix, y: Matrix, C: float) -> Matrix:
    """Factors ``(B,)`` that bring vector and bias nearest to logistic's optimum: Newton again."""
    scale = np.ones(len(f))
    for _ in range(10):
        _, slope, curve = _logistic(scale[:, None] * f, y, C)
        excess, bend = 2 * scale * half - (slope * f).sum(1), 2 * half + (curve * f**2).sum(1)
        step = np.divide(excess, bend, out=np.zeros(len(f)), where=bend > 0)
        scale = np.clip(scale - step, scale / 2, scale * 4)
    return scale


def _times(K: Matrix, a: Matrix) -> Matrix:
    return (K @ a[:, :, None])[:, :, 0]
