import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from vxhelpers.concepts.cav import (
    SOLVERS,
    Problem,
    against,
    cav_by_mean_difference,
    cosine,
    fit,
    vectors,
)
from vxhelpers.errors import InputError, NotFiniteError, UnknownNameError
from vxhelpers.stats import wilson

CLIPS = 10
SETS = {
    name: np.arange(CLIPS * k, CLIPS * (k + 1)) for k, name in enumerate(["racket", "a", "b", "c"])
}
PAIRS = [against(SETS, first, second) for first, second in combinations(SETS, 2)]


def activations(seed: int = 0, *, signal: float = 2.0) -> torch.Tensor:
    """Of 40 clips at a layer ``(3, 2, 4, 4)`` away from the origin; the first ten are shifted."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(4 * CLIPS, 3, 2, 4, 4, generator=generator, dtype=torch.float64) + 3
    x[:CLIPS, 0] += signal
    return x


def gram(x: torch.Tensor) -> np.ndarray:
    flat = x.flatten(1).numpy()
    return flat @ flat.T


X = activations()
K = gram(X)


# values


def test_mean_difference_is_the_difference_of_the_means() -> None:
    found = fit(K, PAIRS)
    for problem, vector in zip(PAIRS, vectors(X, found), strict=True):
        sides = X[problem.positive], X[problem.negative]
        wanted = sides[0].mean(0) - sides[1].mean(0)
        torch.testing.assert_close(vector, wanted / wanted.norm(), rtol=0, atol=1e-12)
        named = torch.from_numpy(cav_by_mean_difference(*sides))
        torch.testing.assert_close(vector, named, rtol=0, atol=1e-12)
    with pytest.raises(InputError, match="no direction"):
        cav_by_mean_difference(X[:2], X[:2])


@pytest.mark.parametrize(
    ("solver", "oracle"),
    [
        ("logistic", LogisticRegression(tol=1e-13, solver="newton-cholesky")),
    ],
)
def test_directional_derivatives_have_the_signs_of_scikit_learn(solver: str, oracle) -> None:
    gradients = np.random.default_rng(1).normal(size=(30, 96))
    flat = X.flatten(1).numpy()
    ours = fit(K, PAIRS, solver=solver, folds=None).weights @ (flat @ gradients.T)
    y = np.repeat([1, -1], CLIPS)
    for problem, derivatives in zip(PAIRS, ours, strict=True):
        oracle.fit(flat[np.concatenate([problem.positive, problem.negative])], y)
        theirs = gradients @ oracle.coef_[0] / np.linalg.norm(oracle.coef_)
        np.testing.assert_allclose(derivatives, theirs, rtol=0, atol=1e-8)
        assert np.array_equal(derivatives > 0, theirs > 0)


@pytest.mark.parametrize("solver", SOLVERS)
def test_vectors_have_unit_length_and_decisions_are_distances(solver: str) -> None:
    found = fit(K, PAIRS, solver=solver, folds=None)
    explicit = vectors(X, found).flatten(1)
    torch.testing.assert_close(explicit.norm(dim=1), torch.ones(len(PAIRS)).double())
    distances = found.weights @ K + found.bias[:, None]
    wanted = explicit.numpy() @ X.flatten(1).numpy().T + found.bias[:, None]
    np.testing.assert_allclose(distances, wanted, atol=1e-9)
    racket = distances[0]
    assert (racket[SETS["racket"]] > 0).all() and (racket[SETS["a"]] < 0).all()


def test_by_hand_with_unequal_sides() -> None:
    # Four clips at 1 and eight at 0: the boundary is halfway between the means.
    x = np.repeat([1.0, 0.0], [4, 8])
    found = fit(np.outer(x, x), [Problem("toy", np.arange(4), np.arange(4, 12))])
    distances = found.weights @ np.outer(x, x) + found.bias[:, None]
    np.testing.assert_allclose(distances[0], x - 1 / 2, atol=1e-12)


def test_several_sets_pooled_are_one_side() -> None:
    pooled = against(SETS, "racket", ["b", "a", "c"])
    assert np.array_equal(pooled.negative, np.arange(10, 40))
    assert pooled.name == "racket against b, a, c"


def test_mean_difference_is_not_moved_by_the_size_of_a_side() -> None:
    rest = np.r_[SETS["a"], SETS["b"]]
    twice = torch.cat([X, X[rest]])  # the rest a second time, as clips of its own
    once = fit(K, [Problem("p", SETS["racket"], rest)], folds=None)
    more = fit(gram(twice), [Problem("p", SETS["racket"], np.r_[rest, 40:60])], folds=None)
    torch.testing.assert_close(vectors(twice, more), vectors(X, once), rtol=0, atol=1e-12)
    np.testing.assert_allclose(more.bias, once.bias, atol=1e-10)


def test_cosine_between_two_estimators() -> None:
    mean, logistic = (fit(K, PAIRS, solver=s, folds=None) for s in ("mean", "logistic"))
    wanted = (vectors(X, mean).flatten(1) * vectors(X, logistic).flatten(1)).sum(1)
    np.testing.assert_allclose(cosine(K, mean, logistic), wanted, atol=1e-10)
    np.testing.assert_allclose(cosine(K, mean, mean), 1, atol=1e-12)
    with pytest.raises(InputError, match="6 concept vectors cannot be paired with 1"):
        cosine(K, mean, fit(K, PAIRS[:1], folds=None))


# invariances


@pytest.mark.parametrize("solver", SOLVERS)
def test_again_is_bitwise_equal(solver: str) -> None:
    first, second = (fit(K, PAIRS, solver=solver) for _ in range(2))
    assert np.array_equal(first.weights, second.weights)
    assert np.array_equal(first.bias, second.bias)
    assert np.array_equal(first.held_out.accuracy, second.held_out.accuracy)


def test_another_process_gets_the_same_bits() -> None:
    script = (
        "import numpy as np; from vxhelpers.concepts.cav import fit, Problem\n"
        "x = np.random.default_rng(0).normal(size=(12, 30))\n"
        "p = Problem('p', np.arange(6), np.arange(6, 12))\n"
        "print(fit(x @ x.T, [p], solver='logistic').weights.tobytes().hex())"
    )
    other = subprocess.check_output([sys.executable, "-c", script], text=True)
    x = np.random.default_rng(0).normal(size=(12, 30))
    here = fit(x @ x.T, [Problem("p", np.arange(6), np.arange(6, 12))], solver="logistic")
    assert bytes.fromhex(other.strip()) == here.weights.tobytes()


@pytest.mark.parametrize("solver", SOLVERS)
def test_order_of_clips_and_of_problems_does_not_matter(solver: str) -> None:
    order = np.random.default_rng(3).permutation(len(K))
    place = np.argsort(order)  # clip i is in row place[i]
    moved = {name: place[rows][::-1] for name, rows in SETS.items()}
    problems = [against(moved, a, b) for a, b in combinations(SETS, 2)][::-1]
    plain = fit(K, PAIRS, solver=solver, folds=None).weights
    shuffled = fit(K[np.ix_(order, order)], problems, solver=solver, folds=None).weights
    np.testing.assert_allclose(shuffled[::-1][:, place], plain, atol=1e-10)


def test_scaling_a_layer_is_scaling_c() -> None:
    s = 0.2
    scaled = fit(s**2 * K, PAIRS, solver="logistic", C=1.0, folds=None)
    weaker = fit(K, PAIRS, solver="logistic", C=s**2, folds=None)
    plain = fit(K, PAIRS, solver="logistic", C=1.0, folds=None)
    np.testing.assert_allclose(s * scaled.weights, weaker.weights, atol=1e-9)
    assert cosine(K, weaker, plain).min() < 0.9999
    scaled, plain = fit(s**2 * K, PAIRS), fit(K, PAIRS)
    np.testing.assert_allclose(s * scaled.weights, plain.weights, atol=1e-12)


def test_scaling_single_features_changes_the_mean_difference() -> None:
    single = X.clone()
    single[:, 1] *= 20
    plain, scaled = (vectors(x, fit(gram(x), PAIRS[:1])).flatten(1) for x in (X, single))
    assert (plain * scaled).sum() < 0.9


# held-out accuracy


@pytest.mark.parametrize("solver", ["mean", "logistic"])
def test_held_out_accuracy_is_that_of_refitting_on_explicit_features(solver: str) -> None:
    problem = against(SETS, "a", ["b", "c"])
    x = activations(signal=0.0)
    x[problem.positive, 1] += 0.4
    found = fit(gram(x), [problem], solver=solver, folds=5, seed=7).held_out

    rng, flat = np.random.default_rng(7), x.flatten(1).numpy()
    fold = np.concatenate([rng.permutation(10) % 5, rng.permutation(20) % 5])
    rows, y = np.r_[problem.positive, problem.negative], np.repeat([1, -1], [10, 20])
    right = np.zeros(2)
    for k in range(5):
        train, test, labels = rows[fold != k], rows[fold == k], y[fold != k]
        if solver == "mean":
            above, below = (flat[train[labels == side]].mean(0) for side in (1, -1))
            decisions = (flat[test] - (above + below) / 2) @ (above - below)
        else:
            model = LogisticRegression(tol=1e-12, solver="newton-cholesky")
            decisions = model.fit(flat[train], labels).decision_function(flat[test])
        hits = decisions * y[fold == k] > 0
        right += [hits[y[fold == k] == side].sum() for side in (1, -1)]
    balanced = (right / [10, 20]).mean()
    assert 0.25 < balanced < 1 and balanced != right.sum() / 30
    assert found.accuracy[0] == pytest.approx(balanced, rel=1e-15)
    n = 2 * 2 / (1 / 10 + 1 / 20) / 2.25  # five folds: 1 + 5 / 4
    np.testing.assert_allclose([found.low[0], found.high[0]], wilson(balanced * n, n))


def test_naming_the_larger_side_is_no_accuracy() -> None:
    """One against five: a classifier with a bias towards the rest is right five times in six."""
    x, pool = torch.randn(60, 30, generator=torch.Generator().manual_seed(1)), np.arange(60)
    found = fit(
        gram(x), [Problem("noise", pool[:10], pool[10:])], solver="logistic", C=1e-4
    ).held_out
    assert found.accuracy[0] == pytest.approx(0.5, abs=0.05) and not found.separates[0]
    x[:10] += 1
    sure = fit(gram(x), [Problem("one of six", pool[:10], pool[10:])]).held_out
    assert sure.separates[0] and sure.accuracy[0] > 0.8


def test_what_separates_is_told_from_what_does_not() -> None:
    found = fit(gram(activations(signal=3)), PAIRS).held_out
    assert found.separates.tolist() == [True] * 3 + [False] * 3
    noise = [fit(gram(activations(s, signal=0)), PAIRS[::5]).held_out for s in range(100)]
    assert 0.45 < np.mean([h.accuracy for h in noise]) < 0.55
    assert np.mean([h.separates for h in noise]) <= 0.025
    assert not found.separates[3:].any() and (found.low <= found.accuracy).all()


def test_folds_are_seeded_and_never_more_than_clips() -> None:
    x = gram(activations(signal=0.3))
    first, same, other = (fit(x, PAIRS, seed=seed).held_out.accuracy for seed in (0, 0, 1))
    assert np.array_equal(first, same) and not np.array_equal(first, other)
    small = Problem("small", np.arange(4), np.arange(10, 14))
    assert 0 <= fit(K, [small], folds=50).held_out.accuracy[0] <= 1
    assert fit(K, [small], folds=None).held_out is None


# cost


def test_a_thousand_permutations_take_a_dozen_calls_of_the_solver(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []
    solve = np.linalg.solve

    def counted(a, b):
        calls.append(len(a))
        return solve(a, b)

    monkeypatch.setattr(np.linalg, "solve", counted)
    rows = np.concatenate([PAIRS[0].positive, PAIRS[0].negative])
    rng = np.random.default_rng(0)
    permuted = [np.split(rng.permutation(rows), 2) for _ in range(1000)]
    found = fit(
        K, [Problem("permuted", *sides) for sides in permuted], solver="logistic", folds=None
    )
    assert calls[0] == 1000 and len(calls) <= 12
    assert np.isfinite(found.weights).all()


# bad input


def test_clips_on_both_sides_are_listed() -> None:
    sets = {**SETS, "near": np.array([2, 5, 30, 31, 32])}
    names = [f"video{row}.mp4" for row in range(40)]
    with pytest.raises(
        InputError, match=r"racket against a, near: .* video2\.mp4, video5\.mp4; take"
    ):
        against(sets, "racket", ["a", "near"], names=names)
    with pytest.raises(UnknownNameError, match=r"'rackett'.*did you mean 'racket'"):
        against(sets, "rackett", "a")


@pytest.mark.parametrize(
    ("positive", "negative", "message"),
    [
        (range(3), range(10, 20), "p: 3 clips on the concept's side"),
        (range(10), range(10, 13), "p: 3 clips on the counterpart's side"),
        (range(10), range(9, 20), "p: a clip is there twice"),
        ([0, 0, 1, 2, 3], range(10, 20), "p: a clip is there twice"),
        (range(10), range(35, 45), "rows 0 to 44 of 40 clips"),
    ],
)
def test_problems_that_make_no_sense(positive, negative, message: str) -> None:
    problem = Problem("p", np.array(positive), np.array(negative))
    with pytest.raises(InputError, match=message):
        fit(K, [problem])


@pytest.mark.parametrize("solver", ["mean", "logistic"])
def test_sides_with_the_same_activations_have_no_direction(solver: str) -> None:
    same = Problem("racket against itself", np.arange(10), np.arange(10, 20))
    doubled = torch.cat([X[:10], X[:10]])
    with pytest.raises(InputError, match=r"racket against itself: .* no direction"):
        fit(gram(doubled), [same], solver=solver)
    with pytest.raises(InputError, match="no direction"):
        fit(np.zeros((20, 20)), [same], solver=solver)


def test_options_and_matrices_that_do_not_fit() -> None:
    for options, message in (
        ({"C": 0.0}, "C=0.0"),
        ({"C": float("nan")}, "C=nan"),
        ({"folds": 1}, "folds=1"),
    ):
        with pytest.raises(InputError, match=message):
            fit(K, PAIRS, **options)
    with pytest.raises(UnknownNameError, match=r"'logistics'.*did you mean 'logistic'"):
        fit(K, PAIRS, solver="logistics")
    with pytest.raises(InputError, match=r"\(N, N\), not \(40, 39\)"):
        fit(K[:, 1:], PAIRS)
    with pytest.raises(InputError, match="no problems"):
        fit(K, [])
    with pytest.raises(NotFiniteError, match="clip 7"):
        fit(np.where(np.arange(40) == 7, np.nan, K)[:, :].T, PAIRS)
    with pytest.raises(InputError, match="activations of 39 clips for weights of 40"):
        vectors(X[1:], fit(K, PAIRS, folds=None))
