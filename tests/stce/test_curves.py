import numpy as np
import pytest

from vxhelpers.errors import InputError, UnknownNameError
from vxhelpers.stce.curves import OPERATIONS, ORDERS, AddRemove, Curve

STEPS = np.array([0, 1, 2, 4])


def curve(correct, visible=0.5) -> Curve:
    right = np.array(correct, bool)
    return Curve(right, np.where(right, 0.9, 0.2), np.full(right.shape, visible))


def result(**special) -> AddRemove:
    """Two clips; all curves rise at once but those given."""
    rising = [[[0, 1, 1, 1], [0, 1, 1, 1]]]
    curves = {(op, order): curve(rising) for op in OPERATIONS for order in ORDERS}
    curves |= {("add", order): value for order, value in special.items()}
    return AddRemove(("a", "b"), ("x", "x"), STEPS, curves, "true", ("y", 0.5), ())


RANDOM = curve([[[0, 0, 1, 1], [0, 0, 0, 1]], [[0, 1, 1, 1], [0, 0, 0, 0]]])


def test_areas_are_trapezoids_over_the_share_of_concepts() -> None:
    found = result(random=RANDOM)
    np.testing.assert_allclose(found.areas("add", "top"), [0.875, 0.875])
    first = [(0.125 + 0.5 + 0.0 + 0.0) + 0.0, 0.25]  # run 1: clip a rises at 2, clip b at 4
    second = [0.875, 0.0]
    np.testing.assert_allclose(found.areas("add", "random"), np.mean([first, second], 0))
    np.testing.assert_allclose(found.areas("add", "top", upto=2), [0.75, 0.75])
    np.testing.assert_allclose(found.areas("add", "top", "probability"), [0.875 * 0.7 + 0.2] * 2)


def test_differences_are_paired() -> None:
    """A constant gap between clips that differ widely has an interval of no width."""
    low = curve([[[0, 0, 0, 0], [0, 0, 1, 1]]])
    high = curve([[[0, 0, 0, 1], [0, 1, 1, 1]]])
    found = result(top=high, least=low)
    gap = found.areas("add", "top") - found.areas("add", "least")
    np.testing.assert_allclose(gap, 0.25)
    mean = found.difference("add", "top", "least", rng=np.random.default_rng(0))
    assert mean.low == mean.high == mean.value == pytest.approx(0.25) and mean.n == 2


def test_tables_have_the_papers_layout() -> None:
    line = result(random=RANDOM).table("add", upto=2)[2]
    assert line.order == "random" and line.operation == "add"
    assert line.accuracy == (0.25, 0.5) and line.baseline == 1.0 and line.visible == (0.5, 0.5)
    np.testing.assert_allclose(line.spread, [np.std([0, 0.5], ddof=1), 0])
    assert [one.order for one in result().table("remove")] == list(ORDERS)
    assert result().table("remove")[0].spread == (0, 0, 0)


def test_bad_input() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'add top'"):
        result()["add", "tops"]
    with pytest.raises(InputError, match="upto=0: no curve from 0 to there"):
        result().areas("add", "top", upto=0)
    with pytest.raises(InputError, match="quantity='logit'"):
        result().areas("add", "top", "logit")
