import numpy as np
import pytest
import torch
from torch import nn
from toys import Deep3d, Linear3d, clips, toy_model

from vxhelpers.attribution.unit_selectivity import movement, responses
from vxhelpers.errors import InputError, NotFiniteError, UnknownNameError
from vxhelpers.models import zoo


def hooks(net: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in net.modules())


def linear() -> zoo.Model:
    return toy_model(Linear3d(), [("conv", "NCTHW"), ("flat", "NC")])


def brighter(frames: int = 4) -> zoo.Model:
    """One unit: how much brighter each frame is than the one before, never below 0."""
    conv = nn.Conv3d(1, 1, (2, 1, 1), bias=False)
    conv.weight.data = torch.tensor([-1.0, 1.0]).view(1, 1, 2, 1, 1)
    net = nn.Sequential(conv, nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(1, 3))
    return toy_model(net, [("1", "NCTHW")])


def test_a_units_answer_is_the_mean_of_its_channel() -> None:
    model, x = linear(), clips(3, 1, 2, 4, 4)
    means = x.mean((1, 2, 3, 4)).double().numpy()
    found = responses(model, x, 0, layer="conv")
    np.testing.assert_allclose(found.activations, 2 * means, rtol=1e-5)
    torch.testing.assert_close(found.cells, 2 * x[:, 0])
    np.testing.assert_allclose(responses(model, x, 1, layer="flat").activations, -means, rtol=1e-5)
    # The logits of "left", "right", "still" are 2, -1 and 2 times the mean.
    for unit in (1, "right"):
        np.testing.assert_allclose(responses(model, x, unit).activations, -means, rtol=1e-5)
    one = responses(model, x, 0, layer="conv", batch_size=1)
    np.testing.assert_allclose(one.activations, found.activations, rtol=1e-6)
    assert found.top(2) == [int(i) for i in np.argsort(-means)[:2]] and len(found.top(9)) == 3


def test_channels_last_layers_are_read_in_their_layout() -> None:
    model = zoo.load("stage_swin3d", weights="random", labels=["a", "b"])
    x = clips(1, 3, 16, 64, 64)
    seen: list[torch.Tensor] = []
    module = model.net.get_submodule("features.0")
    with torch.no_grad(), module.register_forward_hook(lambda _m, _i, out: seen.append(out)):
        model.net(x)
    found = responses(model, x, 5, layer="features.0")
    torch.testing.assert_close(found.cells, seen[0][..., 5])


def test_the_peak_is_where_the_clip_is_brightest() -> None:
    net = nn.Sequential(nn.AvgPool3d(2), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(1, 3))
    model = toy_model(net, [("0", "NCTHW"), ("2", "NC")])
    x = torch.zeros(2, 1, 4, 6, 8)
    x[1, 0, 3, 0, 5] = 1
    assert responses(model, x, 0, layer="0").peak(1) == ((2, 4), (0, 2), (4, 6))
    for layer, unit in (("2", 0), (None, 1)):
        with pytest.raises(InputError, match="has no place in a clip"):
            responses(model, x, unit, layer=layer).peak(0)


def test_movement_is_told_from_stills() -> None:
    model = brighter()
    ramp = torch.arange(4.0).view(1, 1, 4, 1, 1).expand(1, 1, 4, 2, 2).clone()
    x = torch.cat([ramp, torch.ones_like(ramp)])
    found = movement(model, x, 0, layer="1", rng=np.random.default_rng(0), shuffles=40)
    np.testing.assert_allclose(found.played, [1, 0])
    np.testing.assert_allclose(found.reversed, [0, 0])
    assert found.frozen.shape == (2, 4) and not found.frozen.any() and not found.still.any()
    # In random order steps are +-d; over the 24 orders, upward ones add up to 2.5 of 3 on average.
    assert found.shuffled.shape == (2, 40) and not found.shuffled[1].any()
    assert abs(found.shuffled[0].mean() - 2.5 / 3) < 0.15
    # A mean needs no movement: every order gives the same, and so does the brightest still.
    same = movement(linear(), ramp, 0, layer="conv", rng=np.random.default_rng(0), stills=2)
    np.testing.assert_allclose(same.shuffled, 3, rtol=1e-6)
    np.testing.assert_allclose(same.frozen, [[2, 6]])
    np.testing.assert_allclose(same.still, [6])


def test_layer_unit_and_label_are_named() -> None:
    model, x = linear(), clips(2, 1, 2, 4, 4)
    with pytest.raises(InputError, match="unit 2 of layer 'conv': it has 2 units, from 0"):
        responses(model, x, 2, layer="conv")
    with pytest.raises(InputError, match="unit -1 of layer 'conv': it has 2 units"):
        responses(model, x, -1, layer="conv")
    with pytest.raises(InputError, match="unit 'left' of layer 'conv': a number"):
        responses(model, x, "left", layer="conv")
    with pytest.raises(UnknownNameError, match="did you mean 'conv'"):
        responses(model, x, 0, layer="convs")
    with pytest.raises(UnknownNameError, match="did you mean 'right'"):
        responses(model, x, "rigth")
    with pytest.raises(InputError, match="class 3 of model 'toy': it has 3 classes"):
        responses(model, x, 3)
    for stills, shuffles in ((0, 1), (3, 1), (1, 0)):
        with pytest.raises(InputError, match="1 to the clip's 2 frames"):
            movement(model, x, 0, rng=np.random.default_rng(0), stills=stills, shuffles=shuffles)
    x[1, 0, 0, 0, 0] = float("nan")
    with pytest.raises(NotFiniteError, match="clip 1: NaN or infinity at unit 0 of layer 'conv'"):
        responses(model, x, 0, layer="conv")
    assert not hooks(model.net)
    model.net.train()
    with pytest.raises(InputError, match="training mode"):
        responses(model, x, 0)


def test_a_layer_that_runs_twice_is_refused_and_hooks_are_gone() -> None:
    act = nn.ReLU()
    net = nn.Sequential(act, nn.AdaptiveAvgPool3d(1), act, nn.Flatten(), nn.Linear(1, 3))
    model = toy_model(net, [("0", "NCTHW")])
    with pytest.raises(InputError, match="layer '0' of model 'toy' runs 2 times"):
        responses(model, clips(1, 1, 2, 4, 4), 0, layer="0")
    assert not hooks(net)


def test_work_in_place_does_not_reach_what_is_read() -> None:
    model = toy_model(Deep3d(), [("conv1", "NCTHW")])  # an in-place ReLU follows
    found = responses(model, clips(1, 3, 4, 8, 8), 0, layer="conv1")
    assert found.cells is not None and float(found.cells.min()) < 0
