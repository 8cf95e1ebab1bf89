"""The cascade of random weights, and what clips played backwards or frozen do to maps."""

import copy
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn
from toys import Deep3d, toy_model

from vxhelpers.attribution.gradcam import gradcam
from vxhelpers.data.stage import render
from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.evaluation.sanity_checks import cascade, frozen_response, reversal_response, top_down
from vxhelpers.models import zoo

LAYERS = [("conv1", "NCTHW"), ("conv2", "NCTHW"), ("conv3", "NCTHW")]


def deep() -> zoo.Model:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = toy_model(Deep3d(), LAYERS)
    return replace(model, entry=replace(model.entry, build=lambda classes: Deep3d()))


def clips(n: int = 3, seed: int = 1) -> Tensor:
    return torch.randn(n, 3, 4, 8, 8, generator=torch.Generator().manual_seed(seed))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def pixels(model: zoo.Model, x: Tensor, *, target: Tensor) -> Tensor:
    """Blind to the network: the brightness."""
    return x.sum(1)


def evidence(model: zoo.Model, x: Tensor, *, target: Tensor) -> Tensor:
    return gradcam(model, x, layer="conv1", target=target)


# cascade


def test_stages_go_from_the_top_down_each_with_those_above_it():
    model, seen = deep(), []

    def spy(model: zoo.Model, x: Tensor, *, target: Tensor) -> Tensor:
        seen.append({k: v.clone() for k, v in model.net.state_dict().items()})
        return evidence(model, x, target=target)

    before = copy.deepcopy(model.net.state_dict())
    out = cascade(model, spy, clips(), rng=rng())
    assert out.stages == ("trained", "head", "conv3", "conv2", "conv1")
    changed = set()
    for stage, state in zip(out.stages, seen[1:], strict=True):
        if stage != "trained":
            changed |= {f"{stage}.weight", f"{stage}.bias"}
        for name, value in state.items():
            assert torch.equal(value, before[name]) != (name in changed), (stage, name)
    for first, second in pairwise(seen[1:]):
        same = [name for name in first if torch.equal(first[name], second[name])]
        assert len(same) == len(before) - 2, "one layer more, and no other, is drawn"
    assert all(torch.equal(v, before[k]) for k, v in model.net.state_dict().items())


def test_similarities_are_those_of_the_maps_and_the_class_stays():
    model, x, kept = deep(), clips(), []

    def spy(model: zoo.Model, x: Tensor, *, target: Tensor) -> Tensor:
        kept.append((target.clone(), evidence(model, x, target=target)))
        return kept[-1][1]

    out = cascade(model, spy, x, rng=rng())
    predicted = model.net(x).argmax(1)
    assert all(torch.equal(target, predicted) for target, _ in kept)
    assert (out.targets == predicted.numpy()).all() and (out.predicted[0] == out.targets).all()
    first, *maps = [one.flatten(1).numpy() for _, one in kept]
    for stage, later in enumerate(maps):
        for n in range(3):
            rho = spearmanr(first[n], later[n]).statistic
            assert out.similarity["rank"][stage, n] == pytest.approx(rho, abs=1e-9)
    np.testing.assert_allclose(out.similarity["ssim"][0], 1)
    rho = spearmanr(first[0], first[1]).statistic
    assert out.baseline["rank"][0] == pytest.approx(rho, abs=1e-9)
    assert out.better == "lower" and out.flat.shape == (5, 3) and not out.flat.any()


def test_a_blind_method_fails_and_one_that_reads_the_network_does_not():
    blind, reads = (cascade(deep(), m, clips(6), rng=rng()) for m in (pixels, evidence))
    np.testing.assert_allclose(blind.similarity["rank"], 1)
    assert (reads.similarity["rank"][0] == 1).all()
    assert abs(reads.similarity["rank"][-1]).mean() < 0.6


def test_a_random_method_is_seen_in_the_first_stage():
    generator = torch.Generator().manual_seed(0)

    def noise(model: zoo.Model, x: Tensor, *, target: Tensor) -> Tensor:
        return torch.randn(x[:, 0].shape, generator=generator)

    out = cascade(deep(), noise, clips(), rng=rng())
    assert (abs(out.similarity["rank"]) < 0.25).all()


def test_draws_are_seeded_and_leave_the_global_generator_alone():
    torch.manual_seed(11)
    before = torch.random.get_rng_state()
    runs = [cascade(deep(), evidence, clips(), rng=rng(seed)) for seed in (0, 0, 1)]
    assert torch.equal(before, torch.random.get_rng_state())
    first, again, other = [run.similarity["rank"] for run in runs]
    assert (first == again).all() and (first[0] == other[0]).all() and (first != other).any()


def test_stages_of_the_callers_own_and_one_clip_alone():
    out = cascade(
        deep(), evidence, clips(1), stages={"top half": ["head", "conv3"]},
        similarities=["rank"], target="still", rng=rng(),
    )  # fmt: skip
    assert out.stages == ("trained", "top half") and out.baseline is None
    assert list(out.similarity) == ["rank"] and out.targets.tolist() == [2]
    with pytest.raises(InputError, match="model 'toy' has no module 'conv9'"):
        cascade(deep(), evidence, clips(1), stages={"x": ["conv9"]}, rng=rng())


def test_maps_that_die_are_flagged():
    def dead(model: zoo.Model, x: Tensor, *, target: Tensor) -> Tensor:
        trained = torch.equal(model.net.head.weight, deep().net.head.weight)
        return x[:, 0] if trained else torch.zeros_like(x[:, 0])

    out = cascade(deep(), dead, clips(), rng=rng())
    assert out.flat.all(1).tolist() == [False, True, True, True, True]
    assert (out.similarity["rank"][1:] == 0).all()


@pytest.mark.parametrize("name", ["stage_c3d", "stage_r3d", "stage_i3d", "stage_swin3d"])
def test_the_last_stage_leaves_nothing_learned(name: str) -> None:
    model, states = zoo.load(name, weights="motion"), []
    assert next(iter(top_down(model))) == "head"

    def spy(model: zoo.Model, x: Tensor, *, target: Tensor) -> Tensor:
        states.append({k: v.clone() for k, v in model.net.state_dict().items()})
        return x[:, 0]

    x = torch.randn(1, 3, 16, 64, 64, generator=torch.Generator().manual_seed(0))
    cascade(model, spy, x, similarities=["rank"], rng=rng())
    trained = model.net.state_dict()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng().integers(2**31)))
        fresh = model.entry.build(3).state_dict()
    for key, value in states[-1].items():
        assert torch.equal(value, fresh[key]), key
        assert torch.equal(trained[key], states[0][key]), key


def test_cascade_on_a_trained_network():
    model = zoo.load("stage_r3d", weights="motion")
    x = model.prepare([render("motion", "test", index).clip for index in range(3)])
    out = cascade(model, partial(gradcam, layer="layer2"), x, rng=rng())
    assert out.stages == ("trained", "head", "layer4", "layer3", "layer2", "layer1", "stem")
    assert (out.similarity["rank"][0] == 1).all()
    assert (out.similarity["rank"][-1] < 0.9).all()


def test_bad_networks_and_methods_are_named():
    model = toy_model(Deep3d(), LAYERS)
    with pytest.raises(InputError, match="builds another architecture"):
        cascade(model, evidence, clips(), rng=rng())
    with pytest.raises(InputError, match="training mode"):
        cascade(replace(model, net=Deep3d().train()), evidence, clips(), rng=rng())
    with pytest.raises(InputError, match="method '<lambda>': maps of shape"):
        cascade(deep(), lambda m, x, *, target: x, clips(), rng=rng())
    with pytest.raises(NotFiniteError, match="map of clip 0"):
        cascade(deep(), lambda m, x, *, target: x[:, 0] / 0, clips(), rng=rng())


# time


class FirstHalf(nn.Module):
    """Says "left" where the first half of the frames is brighter, else "right"."""

    def forward(self, x: Tensor) -> Tensor:
        early, late = x.chunk(2, 2)
        difference = early.mean((1, 2, 3, 4)) - late.mean((1, 2, 3, 4))
        return torch.stack([difference, -difference, difference - 9], 1)


class Order(FirstHalf):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Identity()


def early_minus_late(model: zoo.Model, x: Tensor, *, target: Tensor) -> Tensor:
    """The true contributions to "left" or "right"."""
    sign = torch.ones(x.shape[2])
    sign[x.shape[2] // 2 :] = -1
    sign = sign.view(1, -1, 1, 1) * torch.where(target == 0, 1.0, -1.0).view(-1, 1, 1, 1)
    return x.mean(1) * sign


def order() -> zoo.Model:
    return toy_model(Order(), [("layer", "NCTHW")])


def test_played_backwards_by_hand():
    x, seen = clips(4), []

    def spy(model: zoo.Model, x: Tensor, *, target: Tensor) -> Tensor:
        seen.append((x.clone(), target.clone()))
        return early_minus_late(model, x, target=target)

    out = reversal_response(parameters(order()), spy, x)
    assert torch.equal(seen[0][0], x) and torch.equal(seen[1][0], x.flip(2))
    assert torch.equal(seen[0][1], seen[1][1])
    assert out.flipped.all() and out.better == ("lower",) * 4
    # Of the same class, in the clip's own order, every contribution has the other sign.
    np.testing.assert_allclose(out.similarity["rank"], -1)
    np.testing.assert_allclose(out.similarity["absolute_rank"], 1)
    np.testing.assert_allclose(out.strength[0], out.strength[1], rtol=1e-6)
    assert (out.probability[0] > out.probability[1]).all()
    follow = reversal_response(parameters(order()), early_minus_late, x, follow=True)
    np.testing.assert_allclose(follow.similarity["rank"], 1)
    assert (follow.targets[0] == follow.predicted[0]).all()
    assert (follow.targets[1] == follow.predicted[1]).all()


def parameters(model: zoo.Model) -> zoo.Model:
    """The toy with a parameter, which tells its device."""
    model.net.register_parameter("unused", nn.Parameter(torch.zeros(1)))
    return model


def test_a_method_that_knows_no_time_stays_the_same_backwards():
    out = reversal_response(parameters(order()), pixels, clips(2), target="still")
    np.testing.assert_allclose(out.similarity["rank"], 1)
    assert out.targets.tolist() == [[2, 2], [2, 2]]
    assert out.edit == "played backwards" and list(out.similarity) == [
        "rank", "absolute_rank", "ssim",
    ]  # fmt: skip


@pytest.mark.parametrize(("frame", "index"), [(None, 2), (0, 0), (-1, 3)])
def test_frozen_by_hand(frame: int | None, index: int) -> None:
    x, seen = clips(3), []
    kept = x.clone()

    def spy(model: zoo.Model, x: Tensor, *, target: Tensor) -> Tensor:
        seen.append(x.clone())
        return pixels(model, x, target=target)

    out = frozen_response(parameters(order()), spy, x, frame=frame)
    assert torch.equal(seen[1], x[:, :, index : index + 1].expand_as(x))
    assert torch.equal(x, kept)
    np.testing.assert_allclose(out.probability[1], 1 / (2 + np.exp(-9)), rtol=1e-5)
    bright = x.sum(1)
    still = bright[:, index : index + 1].expand_as(bright)
    expected = [
        spearmanr(a.flatten(), b.flatten()).statistic for a, b in zip(bright, still, strict=True)
    ]
    np.testing.assert_allclose(out.similarity["rank"], expected, atol=1e-9)
    np.testing.assert_allclose(out.strength[1], still.abs().mean((1, 2, 3)), rtol=1e-5)
    with pytest.raises(InputError, match="frame=4 of clips of 4 frames"):
        frozen_response(parameters(order()), pixels, x, frame=4)


def test_the_direction_that_is_better_follows_each_clips_prediction():
    x = clips(3)
    x[1] = x[1, :, :1]  # stands still: what is predicted backwards is what is predicted
    out = reversal_response(parameters(order()), pixels, x)
    assert out.flipped.tolist() == [True, False, True]
    assert out.better == ("lower", "higher", "lower")
