import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage.color import rgb2lab

from vxhelpers.data.segmentation.cielab import lab, smooth

RNG = np.random.default_rng(0)


def test_lab_is_that_of_scikit_image_at_full_contrast():
    frames = RNG.integers(40, 181, (2, 3, 8, 9, 3), dtype=np.uint8)
    found = lab(torch.tensor(frames)).numpy()
    for clip, planes in zip(frames.astype(float), found, strict=True):
        expected = rgb2lab((clip - clip.min()) / (clip.max() - clip.min()))
        np.testing.assert_allclose(np.moveaxis(planes, 0, -1), expected, atol=1e-3)


def test_every_clip_has_its_own_contrast():
    dark = RNG.integers(0, 50, (1, 2, 6, 6, 3), dtype=np.uint8)
    both = lab(torch.tensor(np.concatenate([dark, dark * 5])))
    np.testing.assert_allclose(both[0], both[1], atol=1e-3)


def test_a_clip_of_one_colour_is_black():
    planes = lab(torch.full((1, 2, 4, 4, 3), 137, dtype=torch.uint8))
    np.testing.assert_allclose(planes, 0, atol=1e-3)


@pytest.mark.parametrize("sigma", [(1, 1, 1), (0, 1.5, 0.7), (3, 0, 0)])
def test_smoothing_is_that_of_scipy(sigma: tuple[float, float, float]):
    planes = RNG.normal(size=(2, 3, 5, 12, 7)).astype(np.float32)
    expected = gaussian_filter(planes, (0, 0, *sigma), mode="reflect")
    np.testing.assert_allclose(smooth(torch.tensor(planes), sigma).numpy(), expected, atol=1e-5)


def test_no_smoothing_changes_nothing():
    planes = torch.rand(1, 3, 4, 5, 6)
    assert torch.equal(smooth(planes, (0, 0, 0)), planes)
