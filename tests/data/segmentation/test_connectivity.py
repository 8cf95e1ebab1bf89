import numpy as np
import pytest
import torch
from reference import slic as slow
from scipy import ndimage

from vxhelpers.data.segmentation.connectivity import components, connect, consecutive, spread


def random_labels(seed: int, shape: tuple[int, ...], values: int) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(seed).integers(0, values, shape))


def renamed(labels: torch.Tensor) -> list[int]:
    """Labels in the order in which they first occur: equal for equal partitions."""
    names: dict[int, int] = {}
    return [names.setdefault(value, len(names)) for value in labels.flatten().tolist()]


@pytest.mark.parametrize("find", [components, spread])
@pytest.mark.parametrize("values", [1, 2, 3])
def test_components_are_those_of_a_flood_fill(find, values: int):
    labels = random_labels(values, (3, 4, 7, 6), values)
    found = find(labels)
    assert found.unique().tolist() == list(range(int(found.max()) + 1))
    pieces, offset = [], 0
    for volume in labels.numpy():
        pieces.append(slow.regions(volume) + offset)
        offset = pieces[-1].max() + 1
    assert renamed(found) == renamed(torch.tensor(np.stack(pieces)))


def test_spread_follows_a_long_winding_path():
    plane = torch.zeros(1, 1, 31, 31, dtype=torch.int64)
    plane[0, 0, 1::2] = 1  # walls ...
    plane[0, 0, 1::4, -1] = plane[0, 0, 3::4, 0] = 0  # ... each with a gap, left and right in turn
    assert renamed(spread(plane)) == renamed(components(plane))
    assert len(spread(plane)[plane == 0].unique()) == 1


@pytest.mark.parametrize("smallest", [1, 3, 8, 1000])
@pytest.mark.parametrize("values", [2, 4])
def test_connect_is_its_slow_reference(smallest: int, values: int):
    blocky = random_labels(7 * values, (3, 3, 4, 4), values).repeat_interleave(2, 2)
    blocky = blocky.repeat_interleave(2, 3)
    noise = random_labels(8, blocky.shape, 12)
    labels = torch.where(noise == 0, noise + 9, blocky)
    found = connect(labels, smallest)
    for volume, mine in zip(labels, found, strict=True):
        assert renamed(mine) == renamed(torch.tensor(slow.connect(volume.numpy(), smallest)))


@pytest.mark.parametrize("smallest", [1, 5, 40])
def test_every_label_is_one_region_and_large_enough(smallest: int):
    labels = random_labels(1, (2, 6, 12, 12), 3)
    found = connect(labels, smallest)
    for volume in found.numpy():
        sizes = np.bincount(volume.ravel())
        assert all(ndimage.label(volume == k)[1] == 1 for k in range(len(sizes)))
        assert (sizes > 0).all() and (len(sizes) == 1 or sizes.min() >= min(smallest, 2))


def test_a_fragment_goes_where_it_touches_most():
    plane = torch.zeros(1, 1, 4, 8, dtype=torch.int64)
    plane[..., 4:] = 1
    plane[0, 0, 1, 3] = 2  # three faces to 0, one to 1
    plane[0, 0, 0, 5] = 0  # cut off from its own label, in 1
    found = connect(plane, 3)
    assert found[0, 0, 1, 3] == found[0, 0, 0, 0]
    assert found[0, 0, 0, 5] == found[0, 0, 3, 7]
    assert len(found.unique()) == 2


def test_where_all_is_small_the_largest_region_takes_it():
    assert connect(random_labels(3, (2, 2, 5, 5), 50), 20).max() == 0


def test_a_batch_is_its_clips():
    labels = random_labels(5, (4, 3, 9, 9), 3)
    together = connect(labels, 4)
    for clip, found in zip(labels, together, strict=True):
        assert torch.equal(connect(clip[None], 4)[0], found)


def test_consecutive_closes_gaps_clip_by_clip():
    labels = torch.tensor([[[[5, 2, 5]]], [[[0, 7, 9]]]])
    assert consecutive(labels).flatten().tolist() == [1, 0, 1, 0, 1, 2]
