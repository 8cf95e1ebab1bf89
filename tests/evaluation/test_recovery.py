import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from vxhelpers.errors import InputError
from vxhelpers.evaluation.localisation import gone, half_still, what, when, where


def test_where_is_the_area_under_the_roc_curve() -> None:
    rng = np.random.default_rng(0)
    maps = rng.standard_normal((4, 3, 5, 5)).round(1)  # with ties
    evidence = rng.random((4, 3, 5, 5)) < 0.2
    maps[0] += evidence[0]
    slow = [roc_auc_score(e.ravel(), m.ravel()) for m, e in zip(maps, evidence, strict=True)]
    np.testing.assert_allclose(where(maps, evidence), slow)
    np.testing.assert_allclose(where(7 * maps - 3, evidence), slow)
    assert where(np.ones((1, 3, 5, 5)), evidence[:1]) == 0.5
    with pytest.raises(InputError, match="clip 1: none or all"):
        where(maps, np.stack([evidence[0], np.zeros_like(evidence[0]), *evidence[2:]]))


def test_half_of_a_clip_is_held_at_the_middle() -> None:
    x = torch.arange(6.0).view(1, 1, 6, 1, 1)
    assert half_still(x, first=True).flatten().tolist() == [3, 3, 3, 3, 4, 5]
    assert half_still(x, first=False).flatten().tolist() == [0, 1, 2, 2, 2, 2]
    assert x.flatten().tolist() == [0, 1, 2, 3, 4, 5]


def test_when_by_hand() -> None:
    first = np.array([0.0, 1, 3, -9]).reshape(1, 4, 1, 1)  # first half still: 3 of 4
    second = np.array([1.0, 0, 1, 0]).reshape(1, 4, 1, 1)  # second half still: 1 of 2
    assert when(first, second) == pytest.approx(0.625)
    assert when(np.zeros_like(first), -np.ones_like(first)) == 0.5
    odd = np.ones((1, 5, 2, 2))
    assert when(odd, odd) == pytest.approx(0.5)


def test_what_goes_when_nothing_moves() -> None:
    evidence = np.zeros((3, 2, 1, 2), bool)
    evidence[:, 0, 0, 0] = evidence[:, 1, 0, 1] = True  # the middle frame is the second
    maps = np.where(evidence, 2.0, 5.0)
    still = np.zeros_like(maps)
    still[1, :, 0, 1] = 2.0  # the evidence as it lies in the middle frame
    still[2, :, 0, 1] = -2.0
    np.testing.assert_allclose(gone(maps, still, evidence), [1, 0, 1])
    assert not gone(0 * maps, 0 * maps, evidence).any()


def test_what_is_an_area_under_the_curve_with_an_interval_over_both() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(40) + 0.5, rng.standard_normal(30)
    found = what(a, b)
    truth = np.repeat([1, 0], [40, 30])
    assert found.value == pytest.approx(roc_auc_score(truth, np.concatenate([a, b])))
    assert found.n == 30 and found.low < found.value < found.high
    assert 0.15 < found.high - found.low < 0.35  # Hanley and McNeil: 0.26
    assert what(np.ones(5), np.ones(5)).value == 0.5
