import blocks
import numpy as np
import pytest
from blocks import RECIPE

from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.stce.coverage import agreement, best_fit, coverage
from vxhelpers.stce.discovery import discover


@pytest.fixture
def discovery(monkeypatch):
    monkeypatch.setattr("vxhelpers.stce.features.segment", blocks.segment)
    return discover(
        blocks.model(), None, blocks.clips(4, 1), rng=np.random.default_rng(0), recipe=RECIPE
    )


def test_shares_equal_a_count_voxel_by_voxel(discovery) -> None:
    rng = np.random.default_rng(3)
    masks = {name: rng.random((4, 4, 8, 8)) < share for name, share in (("a", 0.2), ("b", 0.7))}
    found = coverage(discovery, masks)
    for name, mask in masks.items():
        assert found.areas[name] == mask.sum() / mask.size
        for concept, rows in enumerate(discovery.members):
            inside = total = 0
            for row in rows:
                for place in zip(*np.nonzero(discovery.pieces.mask(row)), strict=True):
                    total += 1
                    inside += int(mask[discovery.pieces.owner[row]][place])
            assert found.shares[name][concept] == pytest.approx(inside / total)


def test_everything_and_nothing_are_covered_wholly_and_not(discovery) -> None:
    masks = {"all": np.ones((4, 4, 8, 8), bool), "none": np.zeros((4, 4, 8, 8), bool)}
    found = coverage(discovery, masks)
    assert (found.shares["all"] == 1).all() and (found.shares["none"] == 0).all()
    assert found.areas == {"all": 1.0, "none": 0.0}


def test_the_best_supervoxel_is_found_by_hand() -> None:
    cut = blocks.by_hand()
    assert best_fit(cut, cut.mask(2)) == 1
    half = cut.mask(0) & (np.arange(4) < 1)[:, None, None]  # a quarter of a quadrant: 16 voxels
    fits = [(m & half).sum() / (m | half).sum() for m in cut.masks()]
    assert best_fit(cut, half) == pytest.approx(max(fits)) and 0 < max(fits) < 1
    with pytest.raises(InputError, match="an empty mask"):
        best_fit(cut, np.zeros((4, 8, 8), bool))
    with pytest.raises(InputError, match=r"bool of shape \(4, 8, 8\)"):
        best_fit(cut, np.ones((4, 8, 9), bool))


def test_agreement_is_that_of_ranks() -> None:
    x = np.array([0.1, 0.4, 0.2, 0.9, 0.3, 0.8])
    up = agreement(x, np.exp(3 * x))
    assert up is not None and up.rho == pytest.approx(1) and up.low <= up.rho <= up.high
    rank = lambda v: np.argsort(np.argsort(v))  # noqa: E731
    y = np.array([0.3, 0.1, 0.5, 0.6, 0.2, 0.7])
    found = agreement(x, y)
    assert found is not None and found.n == 6
    assert found.rho == pytest.approx(np.corrcoef(rank(x), rank(y))[0, 1])
    assert -1 <= found.low < found.rho < found.high <= 1
    many = agreement(np.tile(x, 20), np.tile(y, 20))
    assert many is not None and many.high - many.low < found.high - found.low
    assert agreement(x, np.zeros(6)) is None


def test_bad_input(discovery) -> None:
    with pytest.raises(InputError, match=r"mask 'a' must be bool of shape \(4, 4, 8, 8\)"):
        coverage(discovery, {"a": np.ones((3, 4, 8, 8), bool)})
    with pytest.raises(InputError, match="4 concepts or more"):
        agreement([1, 2, 3], [1, 2, 3])
    with pytest.raises(NotFiniteError):
        agreement([1, 2, 3, np.nan], [1, 2, 3, 4])
