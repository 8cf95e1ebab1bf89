from math import comb

import numpy as np
import pytest
from scipy import stats

from vxhelpers.concepts.permutation_tests import PermutationTest
from vxhelpers.concepts.significance import (
    RECOMMENDED,
    false_positives,
    interval,
    judge,
    p_values,
    single_case,
    welch,
)
from vxhelpers.errors import InputError
from vxhelpers.stats import bonferroni


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


# Welch


def test_welch_is_scipys(rng) -> None:
    for n, k, shift in ((10, 45, 0.0), (10, 10, 1.0), (3, 7, -2.0)):
        a, b = rng.normal(shift, 2, n), rng.normal(0, 1, k)
        assert welch(a, b) == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue)


def test_pairs_entered_both_ways_round_count_once(rng) -> None:
    a, b = rng.normal(0.3, 0.1, 10), rng.normal(0.5, 0.1, 40)
    expected = stats.ttest_ind_from_stats(
        a.mean(), a.std(ddof=1), 10, b.mean(), b.std(ddof=1), 20, equal_var=False
    )
    assert welch(a, b, pairs=20) == pytest.approx(expected.pvalue)


def test_one_constant_sample_is_still_a_t_test() -> None:
    a, b = np.ones(5), np.array([0.2, 0.4, 0.9])
    assert welch(a, b) == pytest.approx(stats.ttest_1samp(b, 1.0).pvalue)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1e-9, 1e9])
def test_equal_constants_give_one(value) -> None:
    assert welch(np.full(10, value), np.full(45, value)) == 1.0
    # Sums of the same decimals in another order are the same constant.
    wobble = value * (1 + np.array([0, 1e-16, -1e-16, 0]))
    assert welch(wobble, np.full(9, value)) == 1.0


def test_different_constants_give_the_p_of_the_only_permutations_that_part_them() -> None:
    assert welch(np.ones(3), np.zeros(4)) == 1 / comb(7, 3)
    assert welch(np.ones(4), np.zeros(4)) == 2 / comb(8, 4)
    assert welch(np.ones(10), np.full(90, 0.5), pairs=45) == 1 / comb(55, 10)


def test_welch_needs_two_scores_a_side() -> None:
    with pytest.raises(InputError, match="not 1 and 3"):
        welch([0.4], [0.1, 0.2, 0.3])


# the rest


def test_bonferroni() -> None:
    assert bonferroni(0.01, 3) == pytest.approx(0.03) and bonferroni(0.5, 3) == 1.0
    with pytest.raises(InputError, match="m=0"):
        bonferroni(0.5, 0)


def test_single_case_is_a_t_of_the_known_centre(rng) -> None:
    draws = rng.normal(0.5, 0.1, 12)
    spread = np.sqrt(((draws - 0.5) ** 2).mean())
    expected = 2 * stats.t.sf(0.2 / spread, 12)
    assert single_case(PermutationTest(0.7, draws, 0.5)) == pytest.approx(expected)
    assert single_case(PermutationTest(0.7, np.full(4, 0.5), 0.5)) == 1 / 5
    assert single_case(PermutationTest(0.5, np.full(4, 0.5), 0.5)) == 1


def test_interval_of_one_row_is_the_standard_error(rng) -> None:
    values = rng.normal(2, 1, (1, 400))
    low, high = interval(values, statistic="magnitude", rng=rng, resamples=4000)
    error = 1.96 * values.std() / np.sqrt(400)
    assert (low, high) == pytest.approx(
        (values.mean() - error, values.mean() + error), abs=0.1 * error
    )


def test_interval_sees_the_spread_over_random_sets_as_well(rng) -> None:
    rows = np.tile(np.array([[-1.0], [1.0]] * 5), (1, 50))  # all scoring clips alike
    low, high = interval(rows, statistic="sign_count", rng=rng)
    assert low == pytest.approx(0.2, abs=0.05) and high == pytest.approx(0.8, abs=0.05)
    assert interval(np.ones((3, 4)), statistic="sign_count", rng=rng) == pytest.approx((1, 1))
    with pytest.raises(InputError, match="random sets, scoring clips"):
        interval([1.0, 2.0], statistic="magnitude", rng=rng)


def test_verdicts(rng) -> None:
    far = PermutationTest(3.0, rng.normal(0, 1, 999).clip(-2.5, 2.5), 0.0)
    towards = judge(far, m=12, separates=True)
    assert towards.outcome == "towards" and towards.interpreted
    assert str(towards) == "pushes towards the class (p = 0.001, corrected 0.012, m = 12)".replace(
        "0.012, m", "0.012 for m"
    )
    away = judge(PermutationTest(-3.0, far.draws, 0.0), m=1, separates=True)
    assert away.outcome == "away" and "away from" in str(away)
    vague = judge(far, m=60, separates=True)
    assert vague.outcome == "chance" and vague.p == 0.001 and not vague.interpreted
    assert "no permutation could give less than 0.06: draw more" in str(vague)
    apart = judge(far, m=1, separates=False)
    assert apart.outcome == "not separated" and "not interpreted" in str(apart)
    near = judge(PermutationTest(0.5, far.draws, 0.0), m=1, separates=True)
    assert near.outcome == "chance" and "draw more" not in str(near)
    with pytest.raises(InputError, match="alpha"):
        judge(far, m=1, separates=True, alpha=1.5)


# calibration


def pool(seed: int, clips: int, *, heavy: bool = False):
    """Gram matrix and products of clips without any concept; gradients that partly agree."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((clips, 30)) * np.arange(1, 31) ** -0.5
    if heavy:
        x *= rng.standard_gamma(0.5, (clips, 1))
    gradients = 0.9 * rng.standard_normal(30) + 0.4 * rng.standard_normal((8, 30))
    return x @ x.T, gradients @ x.T


@pytest.mark.parametrize("heavy", [False, True], ids=["normal", "heavy tails"])
def test_calibration_of_the_tests(rng, heavy) -> None:
    """Concepts drawn from the pool: the recommended test is nominal, the paper's t is not."""
    hits: dict[str, list[bool]] = {}
    for seed in range(250):
        K, products = pool(seed, 42, heavy=heavy)
        sets = [*rng.permutation(42).reshape(6, 7)]
        found = p_values(K, products, sets[0], sets[1:], rng=rng, permutations=59)
        for name, p in found.items():
            hits.setdefault(name, []).append(p <= 0.05)
    share = {name: np.mean(values) for name, values in hits.items()}
    assert RECOMMENDED in share and len(share) == 10
    bound = stats.binom.ppf(0.999, 250, 0.05) / 250
    for name in share:
        if name.startswith(("permutation", "rank")):
            assert share[name] <= bound, (name, share[name])
    assert share[RECOMMENDED] > 0.01, "a test that never rejects is no test"
    assert min(share["welch, magnitude"], share["welch, sign count"]) > 0.15


def test_false_positives_counts_and_bounds_the_shares(rng) -> None:
    K, products = pool(0, 40)
    found = false_positives(
        K, products, np.arange(40), clips=6, sets=4, rng=rng, repeats=20, permutations=19
    )
    assert set(found.shares) >= {RECOMMENDED, "welch, magnitude", "rank, sign count"}
    for share in found.shares.values():
        assert share.n == 20 and share.low <= share.value <= share.high
    assert found.shares["rank, magnitude"].value == 0  # four sets cannot give less than 1/5
    assert str(found.shares["rank, magnitude"]).startswith("0.000 [0.000, 0.16")
    with pytest.raises(InputError, match="need 42 clips, not 40"):
        false_positives(K, products, np.arange(40), clips=6, sets=6, rng=rng)
