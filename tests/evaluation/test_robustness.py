"""Flicker against all orders of frames; maps under noise and after encoding, by hand."""

from dataclasses import replace
from functools import partial
from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor
from toys import Cells, Deep3d, toy_model

from vxhelpers.attribution.gradcam import gradcam
from vxhelpers.data.clip import Clip
from vxhelpers.data.stage import render
from vxhelpers.errors import InputError, NotFiniteError, UnknownNameError
from vxhelpers.evaluation.robustness import (
    reencoded,
    temporal_smoothness,
    under_noise,
    under_reencoding,
)
from vxhelpers.models import zoo
from vxhelpers.stats import mean_interval


def cells() -> zoo.Model:
    return toy_model(Cells(), [("flat", "NC")])


def deep() -> zoo.Model:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return toy_model(Deep3d(), [("conv1", "NCTHW"), ("conv3", "NCTHW")])


def clips(n: int = 3, seed: int = 1) -> Tensor:
    return torch.randn(n, 3, 4, 8, 8, generator=torch.Generator().manual_seed(seed))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def red(model: zoo.Model, x: Tensor, *, target: Tensor) -> Tensor:
    return x[:, 0]


# flicker


def test_flicker_by_hand():
    maps = np.zeros((3, 4, 2, 2))
    maps[0] = np.array([1, -1, 1, -1]).reshape(4, 1, 1)  # changes by 2 at each step, size 1
    maps[1] = np.array([0, 1, 2, 3]).reshape(4, 1, 1)  # changes by 1, size 1.5
    out = temporal_smoothness(maps)
    assert out.values == pytest.approx([2, 1 / 1.5, 0])
    assert out.flat.tolist() == [False, False, True] and out.better == "lower"
    still = np.repeat(rng().normal(size=(1, 1, 5, 5)), 6, axis=1)
    still = temporal_smoothness(still)
    assert still.values == pytest.approx([0]) and still.baseline == pytest.approx([0])


def test_its_baseline_is_the_mean_over_all_orders_of_the_frames():
    maps = rng().normal(size=(2, 5, 3, 3)).cumsum(1)
    every = [temporal_smoothness(maps[:, list(order)]).values for order in permutations(range(5))]
    out = temporal_smoothness(torch.from_numpy(maps))
    assert out.baseline == pytest.approx(np.mean(every, axis=0), rel=1e-5)
    assert (out.values < out.baseline).all(), "a walk's neighbours are near each other"
    assert temporal_smoothness(-3 * maps).values == pytest.approx(out.values, rel=1e-5)


def test_flicker_of_bad_maps():
    with pytest.raises(InputError, match="two frames or more"):
        temporal_smoothness(np.zeros((2, 1, 4, 4)))
    with pytest.raises(InputError, match="N, T, H, W"):
        temporal_smoothness(np.zeros((1, 4, 4)))
    with pytest.raises(NotFiniteError, match="map of clip 0"):
        temporal_smoothness(np.full((1, 2, 4, 4), np.nan))


# noise


@pytest.mark.parametrize(("noise", "spread"), [("gaussian", 1.0), ("uniform", 1 / np.sqrt(3))])
def test_noise_has_the_level_asked_for_and_the_maps_are_compared(noise: str, spread: float) -> None:
    model, x, seen = cells(), clips(), []
    kept = x.clone()

    def spy(model: zoo.Model, x: Tensor, *, target: Tensor) -> Tensor:
        seen.append((x.clone(), target.clone()))
        return x[:, 0]

    out = under_noise(model, spy, x, noise=noise, level=20.0, repeats=4, rng=rng())
    assert torch.equal(seen[0][0], x) and torch.equal(x, kept)
    added = torch.stack([version - x for version, _ in seen[1:]])
    assert added.std().item() == pytest.approx(spread * 20 / 255 / 0.225, rel=0.05)
    assert abs(added.mean().item()) < 0.02
    if noise == "uniform":
        assert added.abs().max() <= 20 / 255 / 0.225 + 1e-6
    assert all(torch.equal(target, model.net(x).argmax(1)) for _, target in seen)
    for r, (version, _) in enumerate(seen[1:]):
        predicted = model.net(version).argmax(1) == model.net(x).argmax(1)
        assert (out.kept[r] == predicted.numpy()).all()
        for n in range(3):
            rho = spearmanr(x[n, 0].flatten(), version[n, 0].flatten()).statistic
            assert out.similarity["rank"][r, n] == pytest.approx(rho, abs=1e-9)
    assert out.better == "higher" and out.flat.shape == (5, 3)
    assert out.change == f"{noise} noise of 20 grey levels"


def test_clips_whose_prediction_changes_are_counted_not_left_out():
    model, x = cells(), torch.zeros(3, 3, 4, 8, 8)
    # Mean red against mean green: "left" by a wide margin, none, and a wide margin for "right".
    x[0, 0], x[1, 0], x[1, 1], x[2, 1] = 2.0, 0.05, 0.05, 2.0
    x += 0.1 * clips(3, seed=5)
    out = under_noise(model, red, x, level=60.0, repeats=12, rng=rng())
    assert out.kept.shape == out.similarity["rank"].shape == (12, 3)
    assert out.kept[:, [0, 2]].all() and 0 < out.kept[:, 1].sum() < 12
    expected = [
        np.mean([s for s, k in zip(out.similarity["rank"][:, n], out.kept[:, n], strict=True) if k])
        for n in range(3)
    ]
    np.testing.assert_allclose(out.values(), expected)
    lost = replace(out, kept=out.kept & np.array([True, False, True]))
    assert lost.lost.tolist() == [False, True, False]
    np.testing.assert_allclose(lost.values(), [expected[0], expected[2]])
    assert mean_interval(out.values("ssim"), rng=rng()).n == 3
    with pytest.raises(UnknownNameError, match="unknown similarity 'rnk'; did you mean 'rank'"):
        out.values("rnk")


def test_no_noise_changes_nothing_and_seeds_decide():
    model, x = deep(), clips()
    method = partial(gradcam, layer="conv1")
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    still = under_noise(model, method, x, level=0.0, repeats=2, rng=rng())
    assert still.kept.all() and (still.similarity["rank"] == 1).all()
    runs = [under_noise(model, method, x, level=8.0, repeats=2, rng=rng(s)) for s in (0, 0, 1)]
    first, again, other = [run.similarity["rank"] for run in runs]
    assert (first == again).all() and (first != other).any() and (first < 1).all()
    weak = under_noise(model, method, x, level=1.0, repeats=2, rng=rng()).similarity["rank"]
    assert weak.mean() > first.mean()
    assert torch.equal(before, torch.random.get_rng_state())
    assert not any(module._forward_hooks for module in model.net.modules())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": "salt"}, "noise='salt' is one of gaussian, uniform"),
        ({"level": -1}, "level=-1"),
        ({"repeats": 0}, "repeats=0"),
        ({"target": "lfet"}, "did you mean 'left'"),
        ({"similarities": ["rnk"]}, "did you mean 'rank'"),
    ],
)
def test_bad_options(options: dict, message: str) -> None:
    with pytest.raises((InputError, UnknownNameError), match=message):
        under_noise(cells(), red, clips(), **options, rng=rng())


# encoding


def test_an_encoded_clip_is_the_clip_with_little_lost(moving_blob: Clip) -> None:
    errors = []
    for crf in (0, 23, 51):
        again = reencoded(moving_blob, crf=crf)
        assert again.frames.shape == moving_blob.frames.shape
        assert (again.fps, again.source) == (moving_blob.fps, moving_blob.source)
        errors.append(np.abs(again.frames.astype(int) - moving_blob.frames).mean())
    assert errors[0] < errors[1] < errors[2] and errors[0] < 1.5 and errors[1] < 4


def test_encoding_does_not_depend_on_what_was_in_memory():
    clip, generator = render("motion", "test", 2).clip, rng()
    first = reencoded(clip, crf=18).frames
    for _ in range(5):
        junk = [generator.integers(0, 255, 200_000, np.uint8) for _ in range(40)]
        del junk
        assert (reencoded(clip, crf=18).frames == first).all()


@pytest.mark.parametrize("size", [(1, 33, 47), (9, 48, 47), (2, 33, 64)])
def test_odd_sides_and_few_frames_stay(size: tuple[int, int, int]) -> None:
    ramp = np.linspace(0, 255, size[2]).astype(np.uint8)
    clip = Clip(np.broadcast_to(ramp[:, None], (*size, 3)).copy(), 12.5, "ramp")
    again = reencoded(clip, crf=10)
    assert again.frames.shape == clip.frames.shape
    assert np.abs(again.frames.astype(int) - clip.frames).mean() < 2
    with pytest.raises(InputError, match="crf=52"):
        reencoded(clip, crf=52)


def test_maps_after_encoding():
    model = zoo.load("stage_r3d", weights="motion")
    shown = [render("motion", "test", index).clip for index in range(3)]
    method, seen = partial(gradcam, layer="layer2"), []

    def spy(model: zoo.Model, x: Tensor, *, target: Tensor) -> Tensor:
        seen.append((x.clone(), target))
        return method(model, x, target=target)

    mild, harsh = (under_reencoding(model, spy, shown, crf=crf) for crf in (18, 48))
    assert torch.equal(seen[0][0], model.prepare(shown))
    assert torch.equal(seen[1][0], model.prepare([reencoded(c, crf=18) for c in shown]))
    assert torch.equal(seen[0][1], seen[3][1])
    assert mild.similarity["rank"].shape == mild.kept.shape == (1, 3)
    assert mild.kept.all() and (mild.similarity["rank"] > harsh.similarity["rank"]).all()
    assert mild.change == "encoded again, H.264 at CRF 18"
