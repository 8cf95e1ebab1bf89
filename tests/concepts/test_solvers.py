import numpy as np
import pytest
from reference.cav import separate
from sklearn.linear_model import LogisticRegression

from vxhelpers.concepts.solvers import SOLVERS, solve
from vxhelpers.errors import InputError

PLUS, MINUS = 8, 12
Y = np.repeat([1.0, -1.0], [PLUS, MINUS])


def features(seed: int = 0, *, dimensions: int = 6, scale: float = 1.0) -> np.ndarray:
    """Two clouds that overlap (few dimensions) or are told apart (many), far from the origin."""
    X = np.random.default_rng(seed).normal(2, 1, (PLUS + MINUS, dimensions))
    X[:PLUS, 0] += 1
    return scale * X


def solved(X: np.ndarray, solver: str, C: float = 1.0) -> tuple[np.ndarray, float]:
    """The vector and the bias at their own length, from scalar products alone."""
    a, b, _ = solve((X @ X.T)[None], Y, solver, C)
    return a[0] @ X, b[0]


@pytest.mark.parametrize(("dimensions", "scale", "C"), [(6, 1, 1), (40, 1, 1), (40, 3, 0.1)])
def test_vector_and_bias_are_those_of_scikit_learn(dimensions: int, scale: float, C: float) -> None:
    X = features(dimensions=dimensions, scale=scale)
    oracle = LogisticRegression(C=C, tol=1e-13, solver="newton-cholesky").fit(X, Y)
    w, b = solved(X, "logistic", C)
    length = np.linalg.norm(oracle.coef_)
    np.testing.assert_allclose(w, oracle.coef_.ravel(), rtol=0, atol=1e-9 * length)
    np.testing.assert_allclose(b, oracle.intercept_, rtol=0, atol=1e-8 * length)


@pytest.mark.parametrize(("dimensions", "C"), [(4, 1), (4, 0.01), (30, 10)])
def test_vector_and_bias_are_those_of_the_objective_itself(dimensions: int, C: float) -> None:
    X = features(3, dimensions=dimensions)
    w, b = separate(X, Y, C)
    vector, bias = solved(X, "logistic", C)
    np.testing.assert_allclose(vector, w, rtol=0, atol=1e-9 * np.linalg.norm(w))
    np.testing.assert_allclose(bias, b, rtol=0, atol=1e-8 * np.linalg.norm(w))


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_problem_is_solved_alone_as_in_a_batch(solver: str) -> None:
    grams = np.stack([x @ x.T for x in (features(s, scale=1 + 9 * s) for s in range(4))])
    together = solve(grams, Y, solver, 1.0)
    for index, gram in enumerate(grams):
        for batch, alone in zip(together, solve(gram[None], Y, solver, 1.0), strict=True):
            np.testing.assert_allclose(batch[index], alone[0], rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_origin_does_not_matter_where_the_bias_is_free(solver: str) -> None:
    X = features()
    (w, b), (moved, bias) = solved(X, solver), solved(X + 5, solver)
    np.testing.assert_allclose(moved, w, atol=1e-9)
    np.testing.assert_allclose(bias, b - 5 * w.sum(), atol=1e-8)


@pytest.mark.parametrize("scale", [1e-4, 1e-2, 1, 1e2, 1e4])
def test_optimality_holds_over_the_scales_of_layers(scale: float) -> None:
    X = features(1, dimensions=25, scale=scale)
    a, b, _ = solve((X @ X.T)[None], Y, "logistic", 1.0)
    slope = Y / (1 + np.exp(Y * (a[0] @ X @ X.T + b[0])))
    np.testing.assert_allclose(a[0], slope, rtol=0, atol=1e-8 * np.abs(slope).max() + 1e-12)
    assert abs(a.sum()) <= 1e-12 * np.abs(a).max()


@pytest.mark.parametrize("solver", ["mean", "logistic"])
def test_sides_that_are_the_same_have_no_direction(solver: str) -> None:
    y = np.repeat([1.0, -1.0], 5)
    half = np.random.default_rng(0).normal(3, 1, (5, 7))
    X = np.concatenate([half, half])
    assert solve((X @ X.T)[None], y, solver, 1.0)[2][0] == 0
    assert solve(np.full((1, 10, 10), 9.0), y, solver, 1.0)[2][0] == 0


def test_problems_that_newton_does_not_solve_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vxhelpers.concepts.solvers._STEPS", 1)
    X = features()
    with pytest.raises(InputError, match=r"1 of 1 problems .* C=1.0; try solver='mean'"):
        solve((X @ X.T)[None], Y, "logistic", 1.0)
