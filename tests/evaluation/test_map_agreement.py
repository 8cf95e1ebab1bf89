"""How far maps of different clips agree, and maps moved onto each other."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.evaluation.map_agreement import agreement, aligned


def maps(n: int, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).standard_normal((n, 3, 6, 7)).astype(np.float32)
    return np.round(values, 1)  # with ties


def test_each_map_is_compared_with_all_others_as_scipy_does() -> None:
    given = maps(4)
    pairs = [[spearmanr(a.ravel(), b.ravel()).statistic for b in given] for a in given]
    expected = [np.delete(row, k).mean() for k, row in enumerate(pairs)]
    np.testing.assert_allclose(agreement(given), expected, atol=1e-12)
    np.testing.assert_allclose(agreement(given * 100 + 5), expected, atol=1e-12)


def test_maps_of_another_set_are_all_compared() -> None:
    given, others = maps(2), maps(3, seed=1)
    pairs = [[spearmanr(a.ravel(), b.ravel()).statistic for b in others] for a in given]
    np.testing.assert_allclose(agreement(given, others), np.mean(pairs, 1), atol=1e-12)


def test_equal_maps_agree_and_a_flat_one_with_none() -> None:
    given = np.repeat(maps(1), 3, axis=0)
    np.testing.assert_allclose(agreement(given), 1)
    given[2] = 7
    np.testing.assert_allclose(agreement(given), [0.5, 0.5, 0])


def test_a_blob_that_moves_in_another_place_is_brought_to_the_middle() -> None:
    """Two clips of one blob that moves right: apart they share little, aligned they are equal."""
    masks = np.zeros((2, 3, 9, 9), bool)
    for t in range(3):
        masks[0, t, 1, t] = True
        masks[1, t, 6, 5 + t] = True
    moved = aligned(masks, masks)
    np.testing.assert_array_equal(moved[0], moved[1])
    assert [tuple(np.argwhere(frame)[0]) for frame in moved[0]] == [(4, 3), (4, 4), (4, 5)]
    assert agreement(masks)[0] < 0.1 and agreement(moved)[0] == pytest.approx(1)


def test_what_leaves_the_frame_comes_in_again_and_no_mask_means_no_move() -> None:
    given = maps(2)
    masks = np.zeros(given.shape, bool)
    masks[0, :, 0, 0] = True
    found = aligned(given, masks)
    np.testing.assert_array_equal(np.sort(found[0], axis=None), np.sort(given[0], axis=None))
    assert not np.array_equal(found[0], given[0])
    np.testing.assert_array_equal(found[1], given[1])


def test_what_cannot_be_compared_is_said() -> None:
    with pytest.raises(InputError, match="one map alone"):
        agreement(maps(1))
    with pytest.raises(InputError, match="cannot be compared"):
        agreement(maps(2), maps(2)[:, :2])
    with pytest.raises(InputError, match=r"\(N, T, H, W\)"):
        aligned(maps(2), np.zeros((2, 3, 6, 6), bool))
    bad = maps(2)
    bad[1, 0, 0, 0] = np.nan
    with pytest.raises(NotFiniteError, match="clip 1"):
        agreement(bad)
