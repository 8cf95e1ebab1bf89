"""Linear classifiers between few clips of many features: batches of small problems in the dual."""

import warnings
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from vxhelpers.errors import InputError

Matrix = npt.NDArray[np.float64]
Solver = Literal["mean", "logistic", "ridge", "svm", "linear_svc", "sgd"]

SOLVERS: tuple[Solver, ...] = ("mean", "logistic", "ridge", "svm", "linear_svc", "sgd")
FROM_ORIGIN = frozenset({"linear_svc", "sgd"})  # their vector depends on where the origin is

_STEPS = 100  # of Newton's method; a dozen are usual


def solve(
    K: Matrix, y: Matrix, solver: Solver, C: float, seed: int
) -> tuple[Matrix, Matrix, Matrix]:
    """Weights ``(B, n)``, biases ``(B,)`` and lengths ``(B,)``, 0 where there is no direction."""
    local, b = K, np.zeros(len(K))
    if solver not in FROM_ORIGIN:
        # The clips' own mean as origin: free, as weights sum to zero, and better conditioned.
        local = K - K.mean(1, keepdims=True)
        local -= local.mean(2, keepdims=True)
    if solver == "mean":
        a = np.where(y > 0, 1 / (y > 0).sum(), -1 / (y < 0).sum()) + np.zeros((len(K), 1))
        f = _times(local, a)
        b[:] = -(f[:, y > 0].mean(1) + f[:, y < 0].mean(1)) / 2
    elif solver == "sgd":
        a, b = _descend(local, y, seed)
    else:
        a, b = _newton(local, y, _LOSSES[solver], C, free=solver not in FROM_ORIGIN)
    square = np.einsum("bi,bij,bj->b", a, local, a)
    reach = np.abs(a).sum(1) ** 2 * np.einsum("bii->bi", local).max(1)
    norm = np.sqrt(np.where(square > 1e-9 * reach, square, 0))
    if solver not in FROM_ORIGIN:
        b -= _times(K, a).mean(1)
    return a, b, norm


def _logistic(f: Matrix, y: Matrix, C: float) -> tuple[Matrix, Matrix, Matrix]:
    miss = np.exp(-np.logaddexp(0, y * f))  # the probability of the other side
    return C * np.logaddexp(0, -y * f), C * y * miss, C * miss * (1 - miss)


def _squared(f: Matrix, y: Matrix, C: float) -> tuple[Matrix, Matrix, Matrix]:
    return C * (y - f) ** 2 / 2, C * (y - f), np.full_like(f, C)


def _squared_hinge(f: Matrix, y: Matrix, C: float) -> tuple[Matrix, Matrix, Matrix]:
    slack = np.maximum(1 - y * f, 0)
    return C * slack**2, 2 * C * y * slack, 2 * C * (slack > 0)


# Of decisions f (B, n): the loss of each clip, its slope downhill and its curvature.
_Loss = Callable[[Matrix, Matrix, float], tuple[Matrix, Matrix, Matrix]]
_LOSSES: Mapping[str, _Loss] = {
    "logistic": _logistic,
    "ridge": _squared,
    "svm": _squared_hinge,
    "linear_svc": _squared_hinge,
}


def _newton(K: Matrix, y: Matrix, loss: _Loss, C: float, *, free: bool) -> tuple[Matrix, Matrix]:
    r"""Minimise :math:`\frac12 a^\top K a + \sum \mathrm{loss}(y, Ka + b)`, problem by problem.

    Newton's method on the conditions :math:`a = g(Ka + b)`, g the loss's slope downhill, and
    :math:`\sum a = 0` for a free bias; steps are halved until the objective falls. A bias that is
    not free is the weight of one more feature, of value 1. Solved problems leave the batch.
    """
    count, n = K.shape[:2]
    K = K if free else K + 1
    a, b, f = np.zeros((count, n)), np.zeros(count), np.zeros((count, n))
    left = np.arange(count)  # still to be solved
    for _ in range(_STEPS):
        kernel, a0, b0, f0 = K[left], a[left], b[left], f[left]
        cost, slope, curve = loss(f0, y, C)
        # (1 + curve K) da + curve db = slope - a, with a db that makes a sum to zero.
        system = curve[:, :, None] * kernel
        system[:, range(n), range(n)] += 1
        u, v = np.moveaxis(np.linalg.solve(system, np.stack([slope - a0, curve], 2)), 2, 0)
        db = np.zeros(len(left))
        if free:
            np.divide((u + a0).sum(1), v.sum(1), out=db, where=v.sum(1) > 0)
        da = u - db[:, None] * v
        df = _times(kernel, da) + db[:, None]

        start = (a0 * (f0 - b0[:, None])).sum(1) / 2 + cost.sum(1)
        fall = (da * (f0 - b0[:, None])).sum(1) - (slope * df).sum(1)  # negative
        t = np.ones(len(left))
        for _ in range(40):
            a1, b1, f1 = a0 + t[:, None] * da, b0 + t * db, f0 + t[:, None] * df
            reached = (a1 * (f1 - b1[:, None])).sum(1) / 2 + loss(f1, y, C)[0].sum(1)
            high = reached > start + 1e-4 * t * fall + 1e-12 * np.abs(start)
            if not high.any():
                break
            t[high] /= 2
        a[left], b[left], f[left] = a1, b1, f1
        moved = np.abs(df).max(1) > 1e-10 * np.abs(f1).max(1)
        left = left[moved | (t < 1)]
        if not len(left):
            return (a - a.mean(1, keepdims=True), b) if free else (a, a.sum(1))
    raise InputError(
        f"{len(left)} of {count} problems are not solved after {_STEPS} steps: the activations are "
        f"too large or too small for C={C}; try solver='mean', or another C"
    )


def _times(K: Matrix, a: Matrix) -> Matrix:
    return (K @ a[:, :, None])[:, :, 0]


def _descend(K: Matrix, y: Matrix, seed: int) -> tuple[Matrix, Matrix]:
    """Run scikit-learn's SGD on coordinates that have these scalar products.

    Its path is the same in any rotation of the features, so n coordinates stand for millions.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import SGDClassifier

    a, b = np.zeros(K.shape[:2]), np.zeros(len(K))
    for index, (values, axes) in enumerate(zip(*np.linalg.eigh(K), strict=True)):
        real = values > 1e-10 * values.max()
        roots, axes = np.sqrt(values[real]), axes[:, real]
        model = SGDClassifier(alpha=0.01, max_iter=1000, tol=1e-3, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(axes * roots, y)
        a[index], b[index] = axes @ (model.coef_[0] / roots), model.intercept_[0]
    return a, b
