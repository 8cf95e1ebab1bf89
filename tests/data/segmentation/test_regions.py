from dataclasses import replace

import blocks
import numpy as np
import pytest
from reference import stce as slow

from vxhelpers.data.segmentation.regions import growing, matched, regions
from vxhelpers.data.segmentation.supervoxels import Supervoxels
from vxhelpers.errors import InputError

CUT = blocks.by_hand()
PARTS = regions(CUT, name="clip")


def random_cut(seed: int) -> Supervoxels:
    rng = np.random.default_rng(seed)
    labels = np.stack([rng.integers(0, n, (6, 10, 10)) for n in (5, 12, 30)]).astype(np.int16)
    kept = [
        (s, i) for s, n in enumerate((5, 12, 30)) for i in range(n) if s == 0 or rng.random() < 0.6
    ]
    return Supervoxels(labels, tuple(kept), (5, 12, 30))


@pytest.mark.parametrize("cut", [CUT, random_cut(0)])
def test_regions_put_every_supervoxel_together_again(cut) -> None:
    parts = regions(cut, name="clip")
    np.testing.assert_array_equal(parts.members[:, parts.index], cut.masks())
    assert parts.sizes.sum() == cut.labels[0].size
    assert np.array_equal(np.bincount(parts.index.ravel()), parts.sizes)
    np.testing.assert_allclose(parts.share(parts.members), cut.masks().mean((1, 2, 3)))


@pytest.mark.parametrize("cut", [CUT, random_cut(1)])
def test_growing_sets_are_unions_of_masks(cut) -> None:
    rng = np.random.default_rng(3)
    parts, concept = regions(cut, name="clip"), rng.integers(0, 4, len(cut))
    orders = np.stack([rng.permutation(5) for _ in range(3)])  # concept 4 is not in this clip
    found = growing(parts, concept, orders)
    for order, sets in zip(orders, found, strict=True):
        for q, shown in enumerate(sets):
            expected = slow.union([*cut.masks()], concept.tolist(), order[:q].tolist())
            np.testing.assert_array_equal(shown[parts.index], expected)
    assert not found[:, 0].any() and found[:, -1].all()


def test_the_control_shows_as_much_and_grows() -> None:
    """Many small supervoxels: the visible share comes within the smallest of them."""
    cut = random_cut(2)
    parts, rng = regions(cut, name="clip"), np.random.default_rng(0)
    like = growing(parts, rng.integers(0, 6, len(cut)), np.arange(6)[None])[0]
    found = matched(parts, like, rng)
    assert (np.diff(found.astype(int), axis=0) >= 0).all()
    assert not found[0].any() and found[-1].all()
    gap = np.abs(parts.share(found) - parts.share(like))
    assert gap.max() < 0.02 < parts.share(parts.members).min() + 0.02
    assert any((found[q] != like[q]).any() for q in range(1, 6))
    again = matched(parts, like, np.random.default_rng(9))
    assert (again != found).any()


def test_voxels_of_no_kept_supervoxel_are_refused() -> None:
    """Only what deduplication never does: a coarsest supervoxel left out."""
    with pytest.raises(InputError, match=r"video: \d+ voxels are in no kept supervoxel"):
        regions(replace(CUT, kept=CUT.kept[1:4]), name="video")
