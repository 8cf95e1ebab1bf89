"""Relative scores and pairs of sets: the decisions, and the sentences that depend on them."""

from types import SimpleNamespace

import numpy as np
import pytest
from reference import tcav as slow
from toys import Cells, toy_model

from vxhelpers.concepts.activations import collect
from vxhelpers.concepts.cav import cav_by_mean_difference
from vxhelpers.concepts.directional_derivatives import directional_derivative
from vxhelpers.concepts.relative import (
    PairScore,
    PairScores,
    RelativeScores,
    beside,
    compare_pairs,
)
from vxhelpers.concepts.sensitivity import tcav_score
from vxhelpers.concepts.significance import Verdict
from vxhelpers.concepts.tcav import TcavSettings, tcav
from vxhelpers.data.clip import Clip
from vxhelpers.errors import UnknownNameError
from vxhelpers.figures.report import Metric


def along(*rows: list[float], separates: list[bool]):
    """What is read of a sensitivity."""
    held_out = SimpleNamespace(separates=np.array(separates))
    return SimpleNamespace(
        derivatives=np.array(rows), cavs=SimpleNamespace(held_out=held_out)
    )  # fmt: skip


UP, DOWN = [1.0, 2.0, 3.0, 4.0], [-1.0, -2.0, -3.0, 1.0]
GROUP = ("<b>racket|", "ball", "random 00")
RELATIVE = RelativeScores(
    GROUP,
    ("random 00",),
    {
        "early": along(UP, UP, DOWN, separates=[True, True, True]),
        "late": along(UP, DOWN, DOWN, separates=[True, True, False]),
    },
)


def test_relative_scores_are_read() -> None:
    assert RELATIVE.intervals["ball"]["late"][0] == 0.25
    assert RELATIVE.doubtful == [("random 00", "late")]
    assert RELATIVE.summary() == (
        r"In the last layer, late, the highest score is 1.00 (\<b\>racket\|); that of random 00 is "
        "0.25, and it does not separate."
    )
    assert "<b>" not in RELATIVE._repr_html_() and "1.00" in str(RELATIVE.table())
    unsure = along(UP, DOWN, DOWN, separates=[False] * 3)
    nothing = RelativeScores(GROUP, (), {"late": unsure})
    assert nothing.summary() == "Nothing separates in the last layer, late."
    assert "does not separate" in RELATIVE.figure().alt
    assert "untrained" in beside({"trained": RELATIVE, "untrained": nothing}, "late").alt
    with pytest.raises(UnknownNameError, match="did you mean 'late'"):
        RELATIVE["latest"]


def pair(name: str, layer: str, outcome: str, value: float) -> PairScore:
    verdict = Verdict(outcome, 0.01, 0.04, 4, 0.05, 0.01)
    return PairScore(name, layer, (value, value - 0.1, value + 0.1), verdict)


PAIRS = PairScores(
    (
        pair("*a*", "early", "not separated", 0.6), pair("*a*", "late", "towards", 0.9),
        pair("b", "early", "chance", 0.5), pair("b", "late", "away", 0.1),
    ),
    "sign_count",
)  # fmt: skip


def test_pairs_are_read() -> None:
    assert PAIRS.not_separated == [("*a*", "early")]
    assert PAIRS.not_significant == [("*a*", "early"), ("b", "early")]
    assert PAIRS.metrics("mean", n=7) == [Metric("mean", 0.5, n=7)]
    assert r"for: \*a\*; away from it for: b." in PAIRS.summary()
    assert "0.60, does not separate" in str(PAIRS.table())
    assert "0.90, p = 0.04: towards" in str(PAIRS.table())
    assert "no preference: 0.50" in PAIRS.figure().alt
    cosines = PairScores(PAIRS.scores, "alignment").figure(limits=(-1, 1))
    assert "not significant" in cosines.alt
    with pytest.raises(UnknownNameError, match="pair and layer"):
        PAIRS["c", "late"]


def test_without_pairs_there_is_nothing_to_say() -> None:
    empty = PairScores((), "sign_count")
    assert empty.table() is None and str(empty) == "There is no pair to compare."
    doubtful = PairScores((pair("a", "late", "not separated", 0.9),), "sign_count")
    assert doubtful.metrics("mean", n=7) == [] and "for: none; away" in doubtful.summary()


def cells(seed: int, shift: int) -> list[Clip]:
    rng = np.random.default_rng(seed)
    grids = rng.integers(40, 120, (8, 4, 4, 3)) + np.array([shift, 0, 0])
    return [
        Clip(np.tile(grid.repeat(16, 0).repeat(16, 1).astype(np.uint8), (16, 1, 1, 1)), 16.0,
             f"{seed}.{k}")
        for k, grid in enumerate(grids)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def scores():
    sets = {"red": cells(0, 40), "grey": cells(1, 0), "a": cells(2, 0), "b": cells(3, 0)}
    model = toy_model(Cells(), [("flat", "NC")])
    held = collect(model, sets, layers=["flat"])
    found = tcav(
        model, held, cells(4, 0), concepts=["red"], randoms=["a", "b"], target=0,
        settings=TcavSettings(solvers=("mean",), folds=None),
    )  # fmt: skip
    return model, held, found


def test_a_pair_that_differs_and_one_that_does_not(scores) -> None:
    pairs = {"red, grey": ("red", "grey"), "a, b": ("a", "b"), "grey, red": ("grey", "red")}
    found = compare_pairs(scores[2], pairs, rng=np.random.default_rng(0), permutations=499)
    outcomes = [f.verdict.outcome for f in found.scores]
    assert outcomes == ["towards", "not separated", "away"]
    assert found["red, grey", "flat"].score[0] == 1 and found.scores[0].verdict.m == 3
    cosine = compare_pairs(
        scores[2], pairs, rng=np.random.default_rng(0), permutations=499, statistic="alignment"
    )
    assert [f.verdict.outcome for f in cosine.scores] == outcomes
    assert cosine.scores[0].score[0] == pytest.approx(-cosine.scores[2].score[0])


def test_the_equations_are_what_tcav_computes_in_the_dual(scores) -> None:
    model, held, found = scores
    x = held.layers["flat"].double().numpy()
    v = np.stack([cav_by_mean_difference(x[held.rows("red")], x[held.rows(r)]) for r in "ab"])
    np.testing.assert_allclose(v[0], slow.mean_difference(x, held.rows("red"), held.rows("a")))
    gradient = model.net.head.weight[0].detach().double().numpy()
    S = directional_derivative(np.tile(gradient, (8, 1)), v)
    layer = found["flat"]
    np.testing.assert_allclose(layer.derivatives("red"), S, rtol=1e-5)
    for statistic in ("sign_count", "magnitude"):
        expected = tcav_score(S, statistic)
        np.testing.assert_allclose(layer.scores("red", statistic), expected, rtol=1e-5)
    assert tcav_score([0.5, 0.0, -0.5, 2.0]) == 0.5  # above 0 only
