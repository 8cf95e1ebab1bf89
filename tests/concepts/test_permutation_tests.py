import numpy as np
import pytest
from reference import tcav as slow

from vxhelpers.concepts import cav
from vxhelpers.concepts.permutation_tests import (
    CENTRES,
    PermutationTest,
    all_pairs,
    permuted,
    ranked,
    redrawn,
    swapped,
)
from vxhelpers.concepts.sensitivity import clip_scores
from vxhelpers.errors import InputError

SETS = 4  # random sets in the toy
SIZE = 6


@pytest.fixture
def layer():
    """Activations (N, 12), gradients (5, 12), and a concept shifted along the gradients."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal(((SETS + 1) * SIZE + 2, 12))
    gradients = rng.standard_normal((5, 12)) + 0.5
    rows = rng.permutation(len(x))[: (SETS + 1) * SIZE].reshape(SETS + 1, SIZE)
    x[rows[0]] += 0.6 * gradients.mean(0)
    return x, gradients, rows[0], [*rows[1:]]


def dual(layer):
    x, gradients, concept, randoms = layer
    return x @ x.T, gradients @ x.T, concept, randoms


# permutations


def test_a_permutation_is_the_explicit_score_of_the_same_permutation(layer) -> None:
    x, gradients, concept, randoms = layer
    found = permuted(*dual(layer), rng=np.random.default_rng(0), permutations=20)
    rows = np.concatenate([concept, *randoms])
    permutations = np.random.default_rng(0).permuted(np.tile(rows, (20, 1)), axis=1)
    expected = np.array(
        [
            slow.scores(x, gradients, row[0], [*row[1:]])
            for row in permutations.reshape(20, SETS + 1, SIZE)
        ]
    )
    observed = slow.scores(x, gradients, concept, randoms)
    for place, (statistic, centre) in enumerate(CENTRES.items()):
        test = found[statistic]
        np.testing.assert_allclose(test.draws, expected[:, place], atol=1e-12)
        assert test.observed == pytest.approx(observed[place], abs=1e-12)
        assert test.p == slow.two_sided(observed[place], expected[:, place], centre)


def test_random_concepts_are_drawn_from_the_random_clips_alone(layer) -> None:
    x, gradients, concept, randoms = layer
    found = redrawn(*dual(layer), rng=np.random.default_rng(0), draws=10)
    pool = np.concatenate(randoms)
    permutations = np.random.default_rng(0).permuted(np.tile(pool, (10, 1)), axis=1)
    cuts = [SIZE, 2 * SIZE, 3 * SIZE]
    expected = []
    for row in permutations:
        drawn, *others = np.split(row, cuts)
        expected.append(slow.scores(x, gradients, drawn, others)[1])
    np.testing.assert_allclose(found["magnitude"].draws, expected, atol=1e-12)
    observed = slow.scores(x, gradients, concept, randoms)[1]
    assert found["magnitude"].observed == pytest.approx(observed)


def test_every_solver_can_be_permuted_and_mean_difference_is_the_default(layer) -> None:
    K, products, concept, randoms = dual(layer)

    def solve(solver):
        def weights(positive, negative):
            pairs = zip(positive, negative, strict=True)
            return cav.fit(
                K, [cav.Problem("permutation", *pair) for pair in pairs], solver=solver, folds=None
            ).weights

        return weights

    options = {"permutations": 5, "rng": np.random.default_rng(1)}
    default = permuted(K, products, concept, randoms, **options)
    mean, logistic = (
        permuted(
            K,
            products,
            concept,
            randoms,
            permutations=5,
            rng=np.random.default_rng(1),
            solve=solve(name),
        )
        for name in ("mean", "logistic")
    )
    np.testing.assert_allclose(mean["magnitude"].draws, default["magnitude"].draws, atol=1e-10)
    assert not np.allclose(logistic["magnitude"].draws, default["magnitude"].draws, atol=1e-3)


def test_batches_make_no_difference(layer, monkeypatch) -> None:
    whole = permuted(*dual(layer), rng=np.random.default_rng(0), permutations=30)
    monkeypatch.setattr("vxhelpers.concepts.permutation_tests._CHUNK", 1000)
    parts = permuted(*dual(layer), rng=np.random.default_rng(0), permutations=30)
    np.testing.assert_allclose(whole["magnitude"].draws, parts["magnitude"].draws, atol=1e-12)


def test_clips_that_are_not_permuted_make_no_difference(layer) -> None:
    x, gradients, concept, randoms = layer
    rows = np.sort(np.concatenate([concept, *randoms]))
    concept, *randoms = (np.searchsorted(rows, part) for part in (concept, *randoms))
    few = dual((x[rows], gradients, concept, randoms))
    for test in (permuted, redrawn):
        found, alone = (test(*of, rng=np.random.default_rng(0)) for of in (dual(layer), few))
        for statistic in CENTRES:
            np.testing.assert_allclose(
                found[statistic].draws, alone[statistic].draws, rtol=0, atol=1e-12
            )


def test_scale_and_origin_of_the_activations_do_not_matter(layer) -> None:
    x, gradients, concept, randoms = layer
    first = permuted(*dual(layer), rng=np.random.default_rng(0), permutations=50)
    y = 7 * x + 3
    again = permuted(y @ y.T, gradients @ y.T, concept, randoms, rng=np.random.default_rng(0),
                     permutations=50)  # fmt: skip
    np.testing.assert_allclose(first["magnitude"].draws, again["magnitude"].draws, atol=1e-9)
    assert first["sign_count"].p == again["sign_count"].p


def test_a_concept_along_the_gradients_is_found_and_a_random_one_is_not(layer) -> None:
    K, products, concept, randoms = dual(layer)
    rng = np.random.default_rng(0)
    assert permuted(K, products, concept, randoms, rng=rng)["magnitude"].p < 0.02
    first, *others = randoms
    assert permuted(K, products, first, others, rng=rng)["magnitude"].p > 0.2


def test_a_concept_far_from_the_pool_is_found_among_random_ones_only() -> None:
    """Every permutation then lies along the concept: the permutation test sees nothing."""
    rng = np.random.default_rng(0)
    x, gradients = rng.standard_normal((60, 40)), np.eye(40)[:1] + np.zeros((5, 1))
    x[:10, :2] += 300.0  # far off, halfway between the gradient and nothing
    options = {"K": x @ x.T, "products": gradients @ x.T}
    sets = {"concept": np.arange(10), "randoms": [*np.arange(10, 60).reshape(5, 10)]}
    shuffled = permuted(**options, **sets, rng=rng)["magnitude"]
    drawn = redrawn(**options, **sets, rng=rng)["magnitude"]
    assert shuffled.observed == drawn.observed
    assert drawn.p < 0.01 < 0.05 < shuffled.p


def test_two_sets_far_apart_are_told_by_swapping_their_clips() -> None:
    """Far apart, with little else: every unit vector is the same line, up to its sign."""
    rng = np.random.default_rng(0)
    x = 0.01 * rng.standard_normal((20, 8))
    x[:10, 0] += 1
    gradients = np.eye(8)[:1] + 0.01 * rng.standard_normal((4, 8))
    K, products, a, b = x @ x.T, gradients @ x.T, np.arange(10), np.arange(10, 20)
    assert swapped(products, a, b, rng=np.random.default_rng(0)).p < 0.002
    assert swapped(products, b, a, rng=np.random.default_rng(0)).observed < 0
    divided = permuted(K, products, a, [b], rng=np.random.default_rng(0))["magnitude"]
    assert divided.p > 0.02 and divided.observed > 0


def test_swapping_is_the_explicit_difference_of_every_permutation(layer) -> None:
    x, gradients, concept, randoms = layer
    products = gradients @ x.T
    found = swapped(products, concept, randoms[0], rng=np.random.default_rng(1), permutations=7)
    along = (x @ gradients.mean(0))[np.concatenate([concept, randoms[0]])]
    permutations = np.random.default_rng(1).permuted(np.tile(along, (7, 1)), axis=1)
    expected = [row[:SIZE].mean() - row[SIZE:].mean() for row in permutations]
    np.testing.assert_allclose(found.draws, expected, atol=1e-12)
    gap = x[concept].mean(0) - x[randoms[0]].mean(0)
    assert found.observed == pytest.approx(gap @ gradients.mean(0))
    whole = permuted(x @ x.T, products, concept, randoms[:1], rng=np.random.default_rng(1))
    assert found.observed == pytest.approx(
        whole["magnitude"].observed * np.linalg.norm(gap), rel=1e-9
    )


def test_swapping_clips_of_one_kind_keeps_to_its_level() -> None:
    rng = np.random.default_rng(5)
    p = [
        swapped(rng.standard_normal((3, 16)), np.arange(8), np.arange(8, 16), rng=rng,
                permutations=99).p
        for _ in range(300)
    ]  # fmt: skip
    assert 0.02 < np.mean(np.array(p) <= 0.05) < 0.08


def test_clips_in_two_sets_are_refused(layer) -> None:
    K, products, concept, randoms = dual(layer)
    randoms[0][0] = concept[2]
    with pytest.raises(InputError, match=rf"two sets cannot be permuted: rows \[{concept[2]}\]"):
        permuted(K, products, concept, randoms, rng=np.random.default_rng(0))


def test_swapping_refuses_clips_in_two_sets(layer) -> None:
    _, products, concept, _ = dual(layer)
    with pytest.raises(InputError, match="in two sets"):
        swapped(products, concept, concept, rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="0 draws"):
        swapped(products, concept[:3], concept[3:], rng=np.random.default_rng(0), permutations=0)


def test_bad_shapes_counts_and_small_pools_are_refused(layer) -> None:
    K, products, concept, randoms = dual(layer)
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="do not fit a Gram matrix"):
        permuted(K, products[:, 1:], concept, randoms, rng=rng)
    with pytest.raises(InputError, match="0 draws"):
        permuted(K, products, concept, randoms, rng=rng, permutations=0)
    with pytest.raises(InputError, match=r"6 random clips are too few .* concepts of 6"):
        redrawn(K, products, concept, randoms[:1], rng=rng)


def test_sets_with_the_same_mean_have_no_direction_and_no_nan() -> None:
    x = np.ones((20, 3))
    found = permuted(x @ x.T, np.ones((2, 20)), np.arange(5), [np.arange(5, 10), np.arange(10, 15)],
                     rng=np.random.default_rng(0), permutations=9)  # fmt: skip
    assert found["magnitude"].observed == 0 and found["magnitude"].p == 1
    assert found["magnitude"].effect == 0


# ranks and scores


def test_all_pairs_are_the_explicit_derivatives(layer) -> None:
    x, gradients, concept, randoms = layer
    K, products, *_ = dual(layer)
    sets = [concept, *randoms]
    table = all_pairs(K, products, sets)
    for i, j in np.ndindex(SETS + 1, SETS + 1):
        vector = slow.mean_difference(x, sets[i], sets[j])
        np.testing.assert_allclose(table[i, j], gradients @ vector, atol=1e-10)
    np.testing.assert_allclose(table, -table.transpose(1, 0, 2), atol=1e-12)


def test_the_rank_counts_sets_as_far_from_the_centre() -> None:
    table = np.array([[0, 9, 7], [-9, 0, 1], [-7, -1, 0]], float)  # means 8, -4, -4
    test = ranked(table, "magnitude")
    assert test.observed == 8 and test.draws.tolist() == [-4, -4]
    assert test.p == 1 / 3
    assert ranked(table[::-1, ::-1], "magnitude").p == 1


def test_signs_count_above_zero_only() -> None:
    assert clip_scores([[0.5, 0.0, -0.5]], "sign_count").tolist() == [[1, 0, 0]]
    assert clip_scores([0.5, -0.5], "magnitude").tolist() == [0.5, -0.5]
    with pytest.raises(InputError, match="one of sign_count, magnitude"):
        clip_scores([1.0], "median")


def test_chance_by_hand() -> None:
    test = PermutationTest(0.9, np.array([0.5, 0.1, 0.4, 0.6]), 0.5)
    assert test.p == 2 / 5  # 0.1 is as far out
    assert test.effect == pytest.approx(0.4 / np.sqrt((0.16 + 0.01 + 0.01) / 4))
    assert test.band(1.0) == (0.1, 0.6)
    assert PermutationTest(0.7, np.full(3, 0.5), 0.5).effect == np.inf
    assert PermutationTest(0.5, np.full(3, 0.5), 0.5).effect == 0.0
    assert PermutationTest(0.5, np.full(3, 0.5), 0.5).p == 1.0
