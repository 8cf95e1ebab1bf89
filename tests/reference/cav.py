"""Logistic regression from its definition: explicit features, primal objective, one problem."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def separate(X: Array, y: Array, C: float) -> tuple[Array, float]:
    """Vector ``(d,)`` and free bias that minimise ``|w|^2 / 2 + C * loss``: damped Newton."""
    ones = np.column_stack([X, np.ones(len(X))])
    length = np.diag([1.0] * X.shape[1] + [0.0])  # the bias is free
    w = np.zeros(X.shape[1] + 1)

    def objective(w: Array) -> float:
        return float(w @ length @ w / 2 + C * np.logaddexp(0, -y * (ones @ w)).sum())

    for _ in range(200):
        p = 1 / (1 + np.exp(y * (ones @ w)))
        gradient = length @ w - C * ones.T @ (p * y)
        hessian = length + C * ones.T @ ((p * (1 - p))[:, None] * ones)
        step = -np.linalg.lstsq(hessian, gradient, rcond=None)[0]
        t = 1.0
        while objective(w + t * step) > objective(w) + 1e-13 * abs(objective(w)) and t > 1e-9:
            t /= 2
        w = w + t * step
        if np.abs(t * step).max() < 1e-13 * np.abs(w).max():
            break
    return w[:-1], float(w[-1])
