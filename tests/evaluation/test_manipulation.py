"""Clips changed until Grad-CAM shows a chosen map: how far, at what price, and what stays."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from toys import Deep3d, toy_model

from vxhelpers.attribution.gradcam import gradcam
from vxhelpers.errors import InputError, NotFiniteError, UnknownNameError
from vxhelpers.evaluation.manipulation import manipulate
from vxhelpers.evaluation.map_similarity import grey_level
from vxhelpers.models import zoo

SIZE = (4, 8, 8)


class Colours(nn.Module):
    """Each channel is a class: the map of a class is that colour over the number of voxels."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.copy = nn.Conv3d(3, 3, 1, bias=False)
        self.head = nn.Linear(3, 3, bias=False)
        with torch.no_grad():
            self.copy.weight.copy_(scale * torch.eye(3).view(3, 3, 1, 1, 1))
            self.head.weight.copy_(torch.eye(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.copy(x).mean((2, 3, 4)))


class Squares(Colours):
    """Squares in place, all colours in class 1: its map weights colours by their means."""

    def __init__(self) -> None:
        super().__init__()
        with torch.no_grad():
            self.head.weight[1] = 1.0

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.copy(x).pow_(2).mean((2, 3, 4)))


def colours(scale: float = 1.0) -> zoo.Model:
    return toy_model(Colours(scale), [("copy", "NCTHW")])


def deep() -> zoo.Model:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return toy_model(Deep3d(), [("conv2", "NCTHW"), ("relu2", "NCTHW"), ("conv3", "NCTHW")])


def prepared(model: zoo.Model, levels: np.ndarray) -> Tensor:
    """Grey levels ``(N, T, H, W, 3)`` as network input."""
    mean, std = (torch.tensor(v).view(3, 1, 1, 1) for v in (model.entry.mean, model.entry.std))
    pixels = torch.from_numpy(levels).float().permute(0, 4, 1, 2, 3).contiguous()
    return (pixels / 255 - mean) / std


def levels_of(model: zoo.Model, x: Tensor) -> Tensor:
    mean = torch.tensor(model.entry.mean).view(1, 3, 1, 1, 1)
    return x / grey_level(model, x) + 255 * mean


def clips(model: zoo.Model, n: int = 3, *, seed: int = 1, low: int = 0, high: int = 256) -> Tensor:
    return prepared(model, np.random.default_rng(seed).integers(low, high, (n, *SIZE, 3)))


def corner() -> np.ndarray:
    chosen = np.zeros(SIZE, np.float32)
    chosen[:, :4, :4] = 1
    return chosen


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def correlation(a: Tensor, b: Tensor) -> float:
    return float(np.corrcoef(a.flatten().double(), b.flatten().double())[0, 1])


def test_a_map_that_is_the_clip_is_moved_to_the_corner_and_noise_moves_it_nowhere() -> None:
    """Nearly flat clips: eight levels up or down make any map, and the mean can stay."""
    model = colours()
    x = clips(model, low=126, high=131)
    found = manipulate(model, x, corner(), target=0, epsilon=8, steps=30, rng=rng())
    assert (abs(found.nearness[0]) < 0.2).all()
    assert (found.nearness[1] > 0.9).all()
    assert (found.nearness[2] < 0.3).all()
    assert found.kept[1].all()
    assert np.abs(found.probability[1] - found.probability[0]).max() <= 0.05
    assert (found.largest == 8).all()
    assert (found.targets == 0).all()


def test_maps_predictions_and_nearness_are_those_of_the_clips_returned() -> None:
    model = deep()
    x = clips(model)
    found = manipulate(model, x, corner(), layer="conv2", epsilon=6, rng=rng())
    assert (found.nearness[1] > found.nearness[0] + 0.2).all()
    with torch.no_grad():
        assert (found.targets == model.logits(x).argmax(1).numpy()).all()
    for k, version in enumerate((x, found.changed, found.noisy)):
        maps = gradcam(model, version, layer="conv2", target=found.targets.tolist())
        np.testing.assert_allclose(found.maps[k], maps, rtol=1e-5, atol=1e-7)
        near = [correlation(m, torch.from_numpy(corner())) for m in maps]
        np.testing.assert_allclose(found.nearness[k], near, atol=1e-5)
        with torch.no_grad():
            logits = model.logits(version)
        assert (found.predicted[k] == logits.argmax(1).numpy()).all()
        share = logits.softmax(1)[range(len(x)), found.targets.tolist()]
        np.testing.assert_allclose(found.probability[k], share, atol=1e-5)


@pytest.mark.parametrize("epsilon", [1, 2.5, 6])
def test_changes_stay_small_and_pixels_stay_pixels(epsilon: float) -> None:
    model = deep()
    x = clips(model, low=0, high=2)
    x[1] = clips(model, 1, low=254, high=256)[0]
    found = manipulate(model, x, corner(), layer="conv2", epsilon=epsilon, rng=rng())
    before = levels_of(model, x)
    for version in (found.changed, found.noisy):
        now = levels_of(model, version)
        assert now.min() > -1e-3 and now.max() < 255 + 1e-3
        assert (now - before).abs().max() < epsilon + 1e-3
    moved = (levels_of(model, found.changed) - before).abs().amax((1, 2, 3, 4))
    np.testing.assert_allclose(found.largest, moved, atol=2e-3)
    assert (found.largest > 0).all()
    if epsilon == int(epsilon):
        now = levels_of(model, found.changed)
        torch.testing.assert_close(now, now.round(), atol=1e-3, rtol=0)


def test_the_noise_is_the_change_with_other_signs() -> None:
    model = deep()
    x = clips(model, low=20, high=230)
    found = manipulate(model, x, corner(), layer="conv2", rng=rng())
    change, noise = found.changed - x, found.noisy - x
    torch.testing.assert_close(change.abs(), noise.abs(), atol=1e-5, rtol=0)
    same = (change.sign() == noise.sign())[change != 0].float().mean()
    assert 0.45 < same < 0.55
    other = manipulate(model, x, corner(), layer="conv2", rng=rng(1))
    assert torch.equal(found.changed, other.changed)
    assert not torch.equal(found.noisy, other.noisy)


@pytest.mark.parametrize(
    ("model", "layer"),
    [(deep(), "conv2"), (deep(), "conv3"), (toy_model(Squares(), [("copy", "NCTHW")]), "copy")],
    ids=["ReLU", "tanh", "squares"],
)
def test_the_first_step_goes_against_the_slope_measured_by_differences(
    model: zoo.Model, layer: str
) -> None:
    """Grad-CAM's weights depend on the clip too; of squared colours around 0, all does."""
    x = clips(model, 1, seed=4, low=90, high=140)
    chosen = torch.from_numpy(corner())
    found = manipulate(
        model, x, chosen, layer=layer, target=1, epsilon=1, steps=1, tolerance=1, weight=0,
        rng=rng(),
    )  # fmt: skip
    step = levels_of(model, found.changed) - levels_of(model, x)

    def near(clip: Tensor) -> float:
        return correlation(gradcam(model, clip, layer=layer, target=1), chosen)

    grey = grey_level(model, x)[0, 0].item()
    slopes, steps = [], []
    for place in rng(2).choice(x.numel(), 60, replace=False):
        ends = [x.clone(), x.clone()]
        for end, way in zip(ends, (2 * grey, -2 * grey), strict=True):
            end.view(-1)[int(place)] += way
        slopes.append(near(ends[0]) - near(ends[1]))
        steps.append(step.flatten()[int(place)].item())
    clear = np.abs(slopes) > max(1e-6, np.quantile(np.abs(slopes), 0.3))
    # A few values stand where a ReLU bends between the two ends of a difference.
    assert clear.sum() >= 10
    assert (np.sign(slopes)[clear] == np.rint(steps)[clear]).mean() > 0.9


def test_of_all_steps_the_nearest_is_returned() -> None:
    model = deep()
    x = clips(model)
    run = partial(manipulate, model, x, corner(), layer="conv2", epsilon=1, tolerance=1)
    near = [run(steps=steps, weight=3e3, rng=rng()).nearness[1] for steps in range(1, 9)]
    assert (np.diff(near, axis=0) >= 0).all() and near[-1].min() > near[0].min()


def test_a_prediction_that_may_not_move_keeps_the_clip_as_it_is() -> None:
    model = deep()
    x = clips(model)
    found = manipulate(model, x, corner(), layer="conv2", tolerance=0, rng=rng())
    assert torch.equal(found.changed, x) and torch.equal(found.noisy, x)
    assert (found.largest == 0).all() and (found.nearness[1] == found.nearness[0]).all()


def test_a_wider_tolerance_comes_nearer_and_is_kept() -> None:
    model = deep()
    x = clips(model)
    run = partial(manipulate, model, x, corner(), layer="conv2", epsilon=8, weight=0)
    tight, wide = (run(tolerance=t, rng=rng()) for t in (0.001, 0.5))
    assert (wide.nearness[1] >= tight.nearness[1]).all()
    assert (wide.nearness[1] > tight.nearness[1]).any()
    assert np.abs(tight.probability[1] - tight.probability[0]).max() <= 0.001 + 1e-6


def test_a_map_that_nothing_moves_stays_flat() -> None:
    model = colours(0.0)
    found = manipulate(model, clips(model), corner(), target=0, rng=rng())
    assert (found.nearness == 0).all() and (found.largest == 0).all()


def test_clips_do_not_mix_and_each_may_have_a_map_of_its_own() -> None:
    model, x = deep(), clips(deep())
    chosen = np.stack([corner(), corner()[:, ::-1], corner()[:, :, ::-1]])
    run = partial(manipulate, model, layer="conv2", target=[0, 1, 2])
    all_in_one = run(x, chosen, rng=rng())
    in_turn = run(x, chosen, batch_size=1, rng=rng())
    torch.testing.assert_close(all_in_one.changed, in_turn.changed, atol=1e-5, rtol=0)
    torch.testing.assert_close(all_in_one.noisy, in_turn.noisy, atol=1e-5, rtol=0)
    alone = manipulate(model, x[1:2], chosen[1], layer="conv2", target=1, rng=rng())
    torch.testing.assert_close(all_in_one.changed[1:2], alone.changed, atol=1e-5, rtol=0)


def test_the_network_and_the_clips_are_left_as_they_were() -> None:
    model, x = deep(), clips(deep())
    model.net.conv1.weight.requires_grad_(False)
    flags = [p.requires_grad for p in model.net.parameters()]
    state, kept = copy.deepcopy(model.net.state_dict()), x.clone()
    seed = torch.random.get_rng_state()
    with torch.inference_mode():
        manipulate(model, x.clone(), corner(), layer="relu2", steps=2, rng=rng())
    found = manipulate(model, x, corner(), layer="conv2", steps=2, rng=rng())
    assert not found.changed.requires_grad and not found.noisy.requires_grad
    assert torch.equal(torch.random.get_rng_state(), seed)
    assert torch.equal(x, kept)
    assert [p.requires_grad for p in model.net.parameters()] == flags
    assert all(p.grad is None for p in model.net.parameters())
    assert all(torch.equal(v, state[k]) for k, v in model.net.state_dict().items())
    assert not any(m._forward_hooks or m._backward_hooks for m in model.net.modules())


class Cut(Colours):
    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.copy(x).detach().mean((2, 3, 4)))


class Twice(Colours):
    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.copy(self.copy(x)).mean((2, 3, 4)))


@pytest.mark.parametrize(
    ("net", "message"), [(Cut(), "no gradient passes"), (Twice(), "runs 2 times")]
)
def test_no_hook_outlives_a_failure(net: nn.Module, message: str) -> None:
    model = toy_model(net, [("copy", "NCTHW")])
    with pytest.raises(InputError, match=message):
        manipulate(model, clips(model), corner(), rng=rng())
    assert not any(m._forward_hooks for m in model.net.modules())


def test_channels_last_layers_are_manipulated_too() -> None:
    model = zoo.load("stage_swin3d", weights="random")
    x = prepared(model, rng(4).integers(0, 256, (1, 16, 64, 64, 3)))
    chosen = np.zeros((16, 64, 64))
    chosen[:, :20, :20] = 1
    found = manipulate(model, x, chosen, steps=4, rng=rng())
    assert found.nearness[1] > found.nearness[0] + 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epsilon": 0}, "epsilon=0"),
        ({"epsilon": 256}, "epsilon=256"),
        ({"steps": 0}, "steps=0"),
        ({"tolerance": 2}, "tolerance=2"),
        ({"weight": -1}, "weight=-1"),
        ({"chosen": np.ones(SIZE)}, "not the same everywhere"),
        ({"chosen": np.full(SIZE, np.nan)}, "finite"),
        ({"chosen": corner()[:2]}, r"\(2, 8, 8\): it must be \(T, H, W\) = \(4, 8, 8\)"),
        ({"target": [0, 1]}, "2 targets for 3 clips"),
        ({"batch_size": 0}, "batch_size=0"),
    ],
)
def test_what_cannot_be_used_is_said(options: dict, message: str) -> None:
    model = deep()
    given = {"chosen": corner()} | options
    chosen = given.pop("chosen")
    with pytest.raises(InputError, match=message):
        manipulate(model, clips(model), chosen, layer="conv2", rng=rng(), **given)


def test_values_that_are_no_pixels_names_and_training_are_refused() -> None:
    model = deep()
    x = clips(model)
    with pytest.raises(InputError, match="no pixels"):
        manipulate(model, x * 3, corner(), layer="conv2", rng=rng())
    with pytest.raises(UnknownNameError, match="conv2"):
        manipulate(model, x, corner(), layer="conv4", rng=rng())
    bad = x.clone()
    bad[2, 0, 0, 0, 0] = torch.nan
    with pytest.raises(NotFiniteError, match="clip 2"):
        manipulate(model, bad, corner(), layer="conv2", rng=rng())
    model.net.train()
    with pytest.raises(InputError, match="training mode"):
        manipulate(model, x, corner(), layer="conv2", rng=rng())
