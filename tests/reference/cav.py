"""Linear classifiers from their definition: explicit features, primal objective, one problem."""

from typing import Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def separate(
    X: Array, y: Array, loss: Literal["logistic", "ridge", "svm"], C: float
) -> tuple[Array, float]:
    """Vector ``(d,)`` and bias that minimise ``|w|^2 / 2 + C * loss``: damped Newton in w and b."""
    ones = np.column_stack([X, np.ones(len(X))])
    length = np.diag([1.0] * X.shape[1] + [0.0])  # the bias is free
    w = np.zeros(X.shape[1] + 1)

    def objective(w: Array) -> float:
        m = y * (ones @ w)
        losses = {
            "logistic": np.logaddexp(0, -m),
            "ridge": (1 - m) ** 2 / 2,
            "svm": np.maximum(1 - m, 0) ** 2,
        }
        return float(w @ length @ w / 2 + C * losses[loss].sum())

    for _ in range(200):
        m = y * (ones @ w)
        if loss == "logistic":
            p = 1 / (1 + np.exp(m))
            slope, curve = -p * y, p * (1 - p)
        elif loss == "ridge":
            slope, curve = (m - 1) * y, np.ones_like(m)
        else:
            slope, curve = -2 * np.maximum(1 - m, 0) * y, 2.0 * (m < 1)
        gradient = length @ w + C * ones.T @ slope
        hessian = length + C * ones.T @ (curve[:, None] * ones)
        step = -np.linalg.lstsq(hessian, gradient, rcond=None)[0]
        t = 1.0
        while objective(w + t * step) > objective(w) + 1e-13 * abs(objective(w)) and t > 1e-9:
            t /= 2
        w = w + t * step
        if np.abs(t * step).max() < 1e-13 * np.abs(w).max():
            break
    return w[:-1], float(w[-1])
