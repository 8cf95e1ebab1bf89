"""Similarities against scipy and scikit-image, and the checks on methods and networks."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity as skimage_ssim
from torch import Tensor
from toys import Cells, Deep3d, toy_model

from vxhelpers.attribution.gradcam import gradcam
from vxhelpers.errors import InputError, NotFiniteError, UnknownNameError
from vxhelpers.evaluation import map_similarity


def maps(n: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 4, 8, 9)).astype(np.float32)


def test_rank_correlation_is_scipys_with_ties_too():
    a, b = maps(), maps(seed=1)
    b[0] += a[0]
    a[1], b[1] = a[1].round(), np.maximum(a[1] + b[1], 0)  # many ties
    b[2] = -np.exp(a[2])
    expected = [spearmanr(x.ravel(), y.ravel()).statistic for x, y in zip(a, b, strict=True)]
    found = map_similarity.rank_correlation(a, b)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert found[2] == -1
    alike = map_similarity.alike(a, b)
    np.testing.assert_allclose(alike["rank"], expected, atol=1e-12)
    absolute = [spearmanr(*(np.abs(m[0]).ravel() for m in (a, b))).statistic]
    np.testing.assert_allclose(alike["absolute_rank"][:1], absolute, atol=1e-12)


def test_a_map_that_ranks_nothing_correlates_with_nothing():
    a, even = maps(), np.full((3, 4, 8, 9), 2.0, np.float32)
    assert (map_similarity.rank_correlation(a, even) == 0).all()
    assert (map_similarity.rank_correlation(even, even) == 0).all()
    even[1, 0, 0, 0] = 3
    assert map_similarity.flat(even).tolist() == [True, False, True]


def test_structural_similarity_is_scikit_images_frame_by_frame():
    a, b = maps(), maps(seed=1)
    b[0] += 3 * a[0]

    def scaled(one: np.ndarray) -> np.ndarray:
        return one.astype(float) / np.abs(one).max()

    expected = [
        np.mean([skimage_ssim(s, t, data_range=2) for s, t in zip(scaled(x), scaled(y))])  # noqa: B905
        for x, y in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(map_similarity.structural_similarity(a, b), expected, atol=1e-12)
    zero = np.zeros_like(a)
    np.testing.assert_allclose(map_similarity.structural_similarity(zero, zero), 1)
    small = map_similarity.structural_similarity(a[:, :, :4, :3], a[:, :, :4, :3])
    np.testing.assert_allclose(small, 1)
    with pytest.raises(InputError, match="frames of 3x3 or more"):
        map_similarity.structural_similarity(a[..., :2], b[..., :2])


def test_all_similarities_are_one_for_the_same_map_at_any_scale():
    a = maps()
    for values in map_similarity.alike(a, 1e-3 * a).values():
        np.testing.assert_allclose(values, 1, atol=1e-5)
    with pytest.raises(UnknownNameError, match=r"similarity 'rnak'.*did you mean 'rank'"):
        map_similarity.alike(a, a, similarities=["rnak"])
    with pytest.raises(InputError, match="no similarity"):
        map_similarity.alike(a, a, similarities=[])
    with pytest.raises(InputError, match="cannot be compared"):
        map_similarity.rank_correlation(a, a[:, 1:])


def test_unlike_compares_each_clip_with_the_next():
    a = maps()
    found = map_similarity.unlike(a, similarities=["rank"])
    expected = [spearmanr(a[n].ravel(), a[(n + 1) % 3].ravel()).statistic for n in range(3)]
    np.testing.assert_allclose(found["rank"], expected, atol=1e-12)
    assert map_similarity.unlike(a[:1]) is None


def test_blocks_fill_the_volume_in_reading_order():
    labels = map_similarity.blocks((3, 4, 5), (2, 4, 2))
    for t, y, x in np.ndindex(3, 4, 5):
        assert labels[t, y, x] == (t // 2) * 3 + x // 2
    with pytest.raises(InputError, match=r"cell=\(1, 0, 2\)"):
        map_similarity.blocks((3, 4, 5), (1, 0, 2))


# networks and methods


def cells():
    return toy_model(Cells(), [("flat", "NC")])


def clips(n: int = 3) -> Tensor:
    return torch.randn(n, 3, 2, 8, 8, generator=torch.Generator().manual_seed(0))


def test_logits_are_the_networks_in_any_batches():
    model, x = cells(), clips()
    found = map_similarity.logits(model, x, batch_size=2)
    torch.testing.assert_close(found, model.net(x).detach())
    assert not found.requires_grad
    predicted = found.argmax(1)
    assert torch.equal(map_similarity.explained_classes(model, None, found), predicted)
    assert map_similarity.explained_classes(model, "right", found).tolist() == [1, 1, 1]
    # One grey level of 255 in prepared input, whatever the mean.
    one = map_similarity.grey_level(model, x)
    assert one.shape == (1, 3, 1, 1, 1)
    np.testing.assert_allclose(
        one.flatten().numpy() * np.array(model.entry.std) * 255, 1, rtol=1e-6
    )


def test_networks_and_clips_that_cannot_be_used_are_named():
    model, x = cells(), clips()
    x[2, 0, 0, 0, 0] = torch.nan
    with pytest.raises(NotFiniteError, match="logits of clip 2"):
        map_similarity.logits(model, x, batch_size=2)
    with pytest.raises(InputError, match="no clips"):
        map_similarity.logits(model, x[:0])
    with pytest.raises(InputError, match="model 'toy' is in training mode"):
        map_similarity.logits(replace(model, net=Cells().train()), x)
    with pytest.raises(InputError, match=r"takes \(N, 3, T, H, W\) clips"):
        map_similarity.grey_level(model, x[:, :1])


def test_maps_of_a_method_are_checked():
    model = toy_model(Deep3d(), [("conv1", "NCTHW"), ("conv3", "NCTHW")])
    x, target = clips(), torch.tensor([0, 1, 2])
    method = partial(gradcam, layer="conv1")
    found = map_similarity.explain(method, model, x, target)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, method(model, x, target=target))
    with pytest.raises(InputError, match=r"method 'gradcam'.*\(3, 2, 4, 4\).*\(3, 2, 8, 8\)"):
        map_similarity.explain(partial(method, upsample=False), model, x, target)

    def bad(model, x, *, target):
        values = x[:, 0].clone()
        values[1, 0, 0, 0] = torch.inf
        return values

    with pytest.raises(NotFiniteError, match=r"method 'bad'.*map of clip 1"):
        map_similarity.explain(bad, model, x, target)
