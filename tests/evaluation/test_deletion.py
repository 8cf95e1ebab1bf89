"""Deletion and insertion: by hand, against a slow reference, ends, baselines, errors."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from reference.deletion import curve as slow
from torch import Tensor, nn
from toys import Deep3d, toy_model

from vxhelpers.data.sampling import prepare_mask
from vxhelpers.data.stage import render
from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.evaluation.deletion import area, blurred, curves, ranks
from vxhelpers.models import zoo


class Additive(nn.Module):
    """Logits (sum of w x, 0): the first class's probability is the sum's sigmoid."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x: Tensor) -> Tensor:
        total = (x * self.weight).sum((1, 2, 3, 4))
        return torch.stack([total, torch.zeros_like(total)], 1)


VOXEL = (1, 1, 1)
WEIGHT = torch.tensor([2.0, -1.0, 0.5, 1.0]).view(1, 1, 4, 1, 1)


def additive() -> zoo.Model:
    return toy_model(Additive(WEIGHT), [("", "NC")], ("yes", "no"))


def deep() -> zoo.Model:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return toy_model(Deep3d(), [("conv1", "NCTHW"), ("conv2", "NCTHW"), ("conv3", "NCTHW")])


def normal(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# by hand


def test_frames_of_an_additive_network_by_hand():
    x, maps = torch.ones(1, 1, 4, 1, 1), WEIGHT[:, 0]
    options = {"target": "yes", "parts": "frame", "fill": "zero", "repeats": 24, "rng": rng()}
    out = curves(additive(), x, maps, **options)
    # 2.5 in all; gone, in this order: 2, 1, 0.5, -1.
    by_hand = 1 / (1 + np.exp(-np.array([2.5, 0.5, -0.5, -1.0, 0.0])))
    np.testing.assert_allclose(out.probability, by_hand[None], rtol=1e-6)
    np.testing.assert_allclose(out.fractions, [[0, 0.25, 0.5, 0.75, 1]])
    by_hand = (by_hand[0] / 2 + by_hand[1:4].sum() + by_hand[4] / 2) / 4
    np.testing.assert_allclose(out.areas, [by_hand], rtol=1e-6)
    back = curves(additive(), x, maps, operation="insertion", **options)
    by_hand = 1 / (1 + np.exp(-np.array([0.0, 2.0, 3.0, 3.5, 2.5])))
    np.testing.assert_allclose(back.probability, by_hand[None], rtol=1e-6)
    assert (out.better, back.better) == ("lower", "higher")
    assert (out.gain > 0).all() and (back.gain > 0).all()


def test_the_true_contributions_beat_every_other_order():
    x, true = torch.ones(1, 1, 4, 1, 1), WEIGHT[0, 0, :, 0, 0].tolist()
    areas = {}
    for order in permutations(true):
        maps = torch.tensor(order).view(1, 4, 1, 1)
        found = [
            curves(
                additive(), x, maps, operation=name, target=0, parts="frame", fill="zero",
                repeats=0, rng=rng(),
            ).areas[0]
            for name in ("deletion", "insertion")
        ]  # fmt: skip
        areas[order] = found
    best = areas.pop(tuple(true))
    assert all(best[0] < other[0] and best[1] > other[1] for other in areas.values())


def test_random_orders_are_the_mean_over_all_orders():
    x, maps = torch.ones(1, 1, 4, 1, 1), WEIGHT[:, 0]
    out = curves(
        additive(), x, maps, target=0, parts="frame", repeats=2000, batch_size=500, rng=rng()
    )
    expected = []
    for order in permutations(WEIGHT.flatten().tolist()):
        left = 2.5 - np.concatenate([[0], np.cumsum(order)])
        expected.append(area(np.linspace(0, 1, 5), 1 / (1 + np.exp(-left))))
    assert out.random_areas.shape == (2000, 1)
    spread = out.random_areas.std() / np.sqrt(2000)
    assert out.random_areas.mean() == pytest.approx(np.mean(expected), abs=4 * spread)
    assert out.gain[0] == pytest.approx(out.random_areas.mean() - out.areas[0])


def test_parts_of_other_size_are_ranked_by_their_mean_and_counted_by_voxels():
    x = torch.ones(1, 1, 4, 1, 1)
    maps = torch.tensor([1.0, 1.0, 1.0, 2.0]).view(1, 4, 1, 1)
    labels = np.array([7, 7, 7, 3]).reshape(4, 1, 1)  # the sum is larger on 7, the mean on 3
    out = curves(additive(), x, maps, target=0, parts=labels, repeats=0, rng=rng())
    np.testing.assert_allclose(out.fractions, [[0, 0.25, 1]])
    np.testing.assert_allclose(out.probability[0, 1], 1 / (1 + np.exp(-1.5)), rtol=1e-6)


# against the slow reference


@pytest.mark.parametrize("operation", ["deletion", "insertion"])
@pytest.mark.parametrize("parts", ["cell", "frame", "column", "labels"])
def test_agrees_with_the_slow_reference(operation: str, parts: str) -> None:
    model, x, maps = deep(), normal(2, 3, 4, 6, 5), normal(2, 4, 6, 5, seed=2)
    cell, blank = (2, 3, 2), normal(2, 3, 4, 6, 5, seed=3)
    t, y, c = np.indices((4, 6, 5))
    labels = {
        "cell": 100 * (t // 2) + 10 * (y // 3) + c // 2,
        "frame": t // 2,
        "column": 10 * (y // 3) + c // 2,
        "labels": np.stack([(t + 2 * y) // 3, (c + y) // 2]),
    }[parts]
    given = labels if parts == "labels" else parts
    steps = 2 if parts == "frame" else 4
    out = curves(
        model, x, maps, operation=operation, target=[0, 2], parts=given, cell=cell, fill=blank,
        steps=steps, repeats=2, rng=rng(),
    )  # fmt: skip
    for n, wanted in enumerate([0, 2]):

        def score(clip: np.ndarray, wanted: int = wanted) -> float:
            with torch.no_grad():
                return float(model.net(torch.tensor(clip[None])).softmax(1)[0, wanted])

        pair = (x[n].numpy(), blank[n].numpy())
        own = labels[n] if labels.ndim == 4 else labels
        start, end = pair if operation == "deletion" else pair[::-1]
        shares, scores = slow(start, end, maps[n].numpy().astype(float), own, score, steps)
        np.testing.assert_allclose(out.fractions[n], shares)
        np.testing.assert_allclose(out.probability[n], scores, atol=1e-6)
    assert np.ptp(out.probability, axis=1).min() > 1e-4, "the curve must move"


# invariances


def test_ends_are_the_clip_and_the_blank_exactly():
    model, x, seen = deep(), normal(2, 3, 4, 6, 6), []
    model.net.register_forward_pre_hook(lambda _m, args: seen.append(args[0].clone()))
    kept = x.clone()
    out = curves(model, x, normal(2, 4, 6, 6, seed=2), target=1, cell=VOXEL, repeats=3, rng=rng())
    assert torch.equal(seen[0], x) and torch.equal(seen[1], torch.zeros_like(x))
    assert torch.equal(x, kept)
    with torch.no_grad():
        for place, clip in ((0, x), (-1, torch.zeros_like(x))):
            exact = model.net(clip).double().softmax(1)[:, 1].numpy()
            assert (out.probability[:, place] == exact).all()
            assert (out.random_probability[..., place] == exact).all()
    for n, clip in enumerate(x):
        versions = torch.cat(seen[2 + 4 * n : 6 + 4 * n])
        assert len(versions) == 4 * 15
        assert ((versions == 0).all(1) | (versions == clip).all(1)).all(), "voxels stay whole"
    for side in (out.fractions, out.random_fractions):
        assert (side[..., 0] == 0).all() and (side[..., -1] == 1).all()


def test_insertion_against_the_order_is_deletion_backwards():
    model, x, maps = deep(), normal(2, 3, 4, 6, 6), normal(2, 4, 6, 6, seed=2)
    options = {"target": 1, "fill": "zero", "cell": VOXEL, "steps": 8, "repeats": 0}
    out = curves(model, x, maps, **options, rng=rng())
    back = curves(model, x, -maps, operation="insertion", **options, rng=rng())
    np.testing.assert_allclose(back.probability[:, ::-1], out.probability, atol=1e-6)
    np.testing.assert_allclose(1 - back.fractions[:, ::-1], out.fractions)


def test_batches_scale_and_seeds():
    model, x, maps = deep(), normal(3, 3, 4, 6, 6), normal(3, 4, 6, 6, seed=2)
    whole = curves(model, x, maps, cell=VOXEL, steps=6, rng=rng())
    pieces = curves(model, x, 7 * maps.numpy(), cell=VOXEL, steps=6, batch_size=3, rng=rng())
    np.testing.assert_allclose(pieces.probability, whole.probability, atol=1e-6)
    np.testing.assert_allclose(pieces.random_probability, whole.random_probability, atol=1e-6)
    assert (whole.targets == model.net(x).argmax(1).numpy()).all()
    other = curves(model, x, maps, cell=VOXEL, steps=6, rng=rng(1))
    assert (other.probability == whole.probability).all()
    assert (other.random_probability != whole.random_probability).any()
    assert whole.random_probability.shape == (5, 3, 7)
    assert not whole.flat.any()


def test_a_map_that_is_the_same_everywhere_is_one_more_random_order():
    values, places = np.array([1.0, 2.0, 2.0, 0.0, 2.0]), []
    generator = rng()
    for _ in range(600):
        places.append(ranks(values, rng=generator))
    places = np.array(places)
    assert (places[:, 0] == 3).all() and (places[:, 3] == 4).all()
    for tied in (1, 2, 4):
        assert np.bincount(places[:, tied], minlength=3) == pytest.approx([200] * 3, abs=50)
    x, maps = normal(1, 3, 4, 6, 6), np.zeros((1, 4, 6, 6))
    out = curves(deep(), x, maps, cell=VOXEL, repeats=40, rng=rng())
    assert out.flat.all()
    assert out.random_areas.min() <= out.areas[0] <= out.random_areas.max()


def test_blur_keeps_the_mean_and_takes_the_detail_frame_by_frame():
    x = normal(2, 3, 4, 32, 48)
    soft = blurred(x, sigma=2.0)
    assert soft.std() < 0.3 * x.std()
    assert blurred(torch.full_like(x, 0.3)) == pytest.approx(0.3, abs=1e-5)
    spike = torch.zeros(1, 1, 3, 33, 33)
    spike[0, 0, 1, 16, 16] = 1.0
    soft = blurred(spike, sigma=2.0)
    assert soft[0, 0, [0, 2]].abs().max() == 0
    assert soft[0, 0, 1, 16, 18] / soft[0, 0, 1, 16, 16] == pytest.approx(np.exp(-0.5), rel=1e-4)
    assert torch.equal(blurred(spike), blurred(spike, sigma=33 / 16))
    stated = curves(
        deep(), x, np.zeros(x[:, 0].shape), operation="insertion", steps=1, repeats=0, rng=rng()
    )
    assert stated.fill == "blurred by 2 pixels" and stated.parts == "cells of 4x8x8 voxels"


def test_planted_evidence_beats_chance_and_its_own_opposite_on_a_trained_network():
    model = zoo.load("stage_r3d", weights="motion")
    scenes = [render("motion", "test", index) for index in range(4)]
    x, entry = model.prepare([scene.clip for scene in scenes]), model.entry
    seen = {"stride": entry.stride, "resize": entry.resize, "crop": entry.crop}
    masks = [scene.mask("racket") | scene.mask("arms") for scene in scenes]
    maps = np.stack([prepare_mask(mask, frames=entry.frames, **seen) for mask in masks])
    options = {"parts": "column", "fill": "zero", "steps": 6, "batch_size": 32}
    options["operation"] = "insertion"
    out = curves(model, x, maps, **options, repeats=3, rng=rng())
    back = curves(model, x, 1 - maps.astype(float), **options, repeats=0, rng=rng())
    assert (out.gain > 0.05).all() and (out.areas > back.areas + 0.1).all()


# bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps=0"),
        ({"repeats": -1}, "repeats=-1"),
        ({"operation": "erase"}, "operation='erase'.*deletion, insertion"),
        ({"parts": "pixel"}, "parts='pixel': cell, frame, column or a label volume"),
        ({"parts": np.zeros((4, 6, 5), int)}, r"parts of shape \(4, 6, 5\)"),
        ({"parts": np.zeros((4, 6, 6))}, "float64.*labels are integers"),
        ({"cell": (0, 1, 1)}, r"cell=\(0, 1, 1\)"),
        ({"fill": "grey"}, "fill='grey': 'zero', 'blur'"),
        ({"fill": torch.zeros(1, 3, 4, 6, 6)}, "fill of"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"target": [0]}, "1 targets for 2 clips"),
    ],
)
def test_bad_options_say_what_fits(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        curves(deep(), normal(2, 3, 4, 6, 6), np.zeros((2, 4, 6, 6)), **options, rng=rng())


def test_bad_maps_networks_and_values_are_named():
    model, x, maps = deep(), normal(2, 3, 4, 6, 6), np.zeros((2, 4, 6, 6))
    with pytest.raises(InputError, match=r"deletion: maps of shape \(2, 2, 3, 3\).*\(2, 4, 6, 6\)"):
        curves(model, x, np.zeros((2, 2, 3, 3)), rng=rng())
    maps[1, 0, 0, 0] = np.nan
    with pytest.raises(NotFiniteError, match="map of clip 1"):
        curves(model, x, maps, rng=rng())
    with pytest.raises(InputError, match="no random orders"):
        _ = curves(model, x, x[:, 0], repeats=0, rng=rng()).gain
    with pytest.raises(InputError, match="sigma=0"):
        blurred(x, sigma=0.0)
    broken = normal(2, 3, 4, 6, 6)
    broken[1, 0, 2] = torch.inf
    with pytest.raises(NotFiniteError, match="logits of clip 1"):
        curves(model, broken, x[:, 0], rng=rng())
    training = replace(model, net=Deep3d().train())
    with pytest.raises(InputError, match="training mode"):
        curves(training, x, x[:, 0], rng=rng())
