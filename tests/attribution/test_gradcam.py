import numpy as np
import pytest
import torch
from reference.gradcam import gradcam as reference_gradcam
from torch import Tensor, nn
from toys import Deep3d, Linear3d, clips, moving_blob, toy_model

from vxhelpers.attribution.gradcam import (
    default_layer,
    gradcam,
    gradcam_layers,
    upsample_map,
    volume_layers,
)
from vxhelpers.errors import InputError, UnknownNameError
from vxhelpers.models import zoo

DEEP = [("conv1", "NCTHW"), ("conv2", "NCTHW"), ("conv3", "NCTHW")]


def deep() -> zoo.Model:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return toy_model(Deep3d(), DEEP)


# by hand


def test_map_of_a_moving_blob_by_hand() -> None:
    model = toy_model(Linear3d(), [("conv", "NCTHW"), ("flat", "NC")])
    x = moving_blob()
    # Row (3, 4) of the head over 512 cells weighs the channels (2x, -x): 3 * 2 - 4 * 1 = 2.
    torch.testing.assert_close(gradcam(model, x, target="still"), 2 * x[:, 0] / 512)
    against = gradcam(model, x, target="right")
    torch.testing.assert_close(against, -x[:, 0] / 512)
    assert against.min() < 0, "evidence against the class keeps its sign"


def test_map_adds_up_to_the_logit_where_pooling_and_a_linear_head_follow() -> None:
    model = toy_model(Linear3d(), [("conv", "NCTHW")])
    x = clips(2, 1, 4, 6, 6)
    maps = gradcam(model, x, target=[0, 2])
    torch.testing.assert_close(maps.sum((1, 2, 3)), model.net(x)[[0, 1], [0, 2]].detach())


def test_upsampling_keeps_cell_middles_in_place_in_time_and_space() -> None:
    maps = torch.tensor([0.0, 4.0]).view(1, 2, 1, 1)
    frames = upsample_map(maps, (8, 2, 2))
    expected = torch.tensor([0.0, 0.0, 0.5, 1.5, 2.5, 3.5, 4.0, 4.0])
    torch.testing.assert_close(frames, expected.view(1, 8, 1, 1).expand(1, 8, 2, 2))
    spatial = upsample_map(maps.permute(0, 2, 1, 3), (3, 8, 1))
    torch.testing.assert_close(spatial, expected.view(1, 1, 8, 1).expand(1, 3, 8, 1))


@pytest.mark.parametrize("size", [(16, 14, 21), (4, 5, 6), (3, 4, 6)])
def test_upsampling_is_torch_s_trilinear(size: tuple[int, int, int]) -> None:
    maps = clips(2, 4, 5, 6)
    expected = nn.functional.interpolate(maps[:, None], size=size, mode="trilinear")[:, 0]
    torch.testing.assert_close(upsample_map(maps, size), expected)


# oracles


@pytest.mark.parametrize("layer", ["conv1", "conv2", "conv3"])
def test_agrees_with_the_definition_in_numpy(layer: str) -> None:
    model, x = deep(), clips(2, 3, 4, 8, 8)
    net = Deep3d().double().eval()
    net.load_state_dict(model.net.state_dict())
    rest = {
        "conv1": lambda a: net.conv3(net.conv2(a.relu()).relu()),
        "conv2": lambda a: net.conv3(a.relu()),
        "conv3": lambda a: a,
    }[layer]
    maps = gradcam(model, x, layer=layer, target=1)
    for clip, result in zip(x, maps, strict=True):
        with torch.no_grad():
            a = clip[None].double()
            for name in ("conv1", "conv2", "conv3")[: int(layer[-1])]:
                a = getattr(net, name)(a if name == "conv1" else a.relu())

            def score(values):
                return float(net.tail(rest(torch.from_numpy(values)[None]))[0, 1])

            expected = reference_gradcam(a[0].numpy().copy(), score, (4, 8, 8))
        np.testing.assert_allclose(result, expected, atol=1e-5 * np.abs(expected).max())


def captum_map(model: zoo.Model, x: Tensor, layer: str, target: int) -> Tensor:
    from captum.attr import LayerAttribution, LayerGradCam

    module = model.net.get_submodule(model.layer(layer).name)
    with torch.enable_grad():
        raw = LayerGradCam(model.net, module).attribute(x, target, relu_attributions=False)
    sized = LayerAttribution.interpolate(raw, tuple(x.shape[2:]), interpolate_mode="trilinear")
    return sized[:, 0].detach()


def assert_equal_to_captum(model: zoo.Model, x: Tensor, layers: list[str]) -> None:
    maps = gradcam_layers(model, x, layers=layers, target=1)
    for layer in layers:
        expected = captum_map(model, x, layer, 1)
        scale = expected.abs().max()
        assert scale > 0
        assert (maps[layer] - expected).abs().max() <= 1e-5 * scale, layer


# Frames and size: small, with a grid left to look at.
CONV_NETS = {
    "stage_c3d": (16, 64),
    "stage_r3d": (16, 64),
    "stage_i3d": (16, 64),
    "r3d_18": (8, 32),
    "mc3_18": (8, 32),
    "r2plus1d_18": (8, 32),
    "slowfast_r50": (32, 64),
    "x3d_s": (8, 64),
}


def small(name: str, frames: int, size: int, clips_: int = 1) -> tuple[zoo.Model, Tensor]:
    """A zoo model with random weights and clips below its usual size."""
    model = zoo.load(name, weights="random", seed=5, labels=("a", "b", "c"))
    for module in list(model.net.modules()):
        for child_name, child in module.named_children():
            if isinstance(child, nn.AvgPool3d):  # made for the full-size grid
                setattr(module, child_name, nn.AdaptiveAvgPool3d(1))
    model.net.eval()
    return model, clips(clips_, 3, frames, size, size)


@pytest.mark.parametrize("name", CONV_NETS)
def test_equals_captum_on_conv_nets(name: str) -> None:
    model, x = small(name, *CONV_NETS[name], clips_=2 if name.startswith("stage") else 1)
    grids = volume_layers(model)
    assert_equal_to_captum(model, x, [grids[-2], grids[-1]])


def test_pathways_have_a_map_each_at_the_clip_s_size() -> None:
    model, x = small("slowfast_r50", 32, 64)
    fast, slow = (f"blocks.4.multipathway_blocks.{pathway}" for pathway in (1, 0))
    assert default_layer(model) == slow
    raw = gradcam_layers(model, x, layers=[slow, fast], target=0, upsample=False)
    assert (raw[slow].shape[1], raw[fast].shape[1]) == (8, 32)
    maps = gradcam_layers(model, x, layers=[slow, fast], target=0)
    assert maps[slow].shape == maps[fast].shape == (1, 32, 64, 64)


def test_token_net_maps_the_grid_without_its_class_token() -> None:
    model, x = small("mvit_v2_s", 16, 224)
    name = default_layer(model)
    kept = []
    module = model.net.get_submodule(name)
    with module.register_forward_hook(lambda _m, _i, output: kept.append(output)):
        score = model.net(x)[:, 1].sum()
    tokens, (t, h, w) = kept[0]
    (slope,) = torch.autograd.grad(score, [tokens])
    expected = (tokens * slope[:, 1:].mean(1, keepdim=True))[:, 1:].sum(-1).view(1, t, h, w)
    maps = gradcam(model, x, target=1, upsample=False)
    scale = float(expected.detach().abs().max())
    torch.testing.assert_close(maps, expected.detach(), atol=1e-5 * scale, rtol=0)


def test_equals_captum_on_the_toy() -> None:
    assert_equal_to_captum(deep(), clips(2, 3, 4, 8, 8), ["conv1", "conv2", "conv3"])


def test_channels_last_net_by_plain_autograd() -> None:
    model = zoo.load("stage_swin3d", weights="random", seed=5)
    x = clips(2, 3, 16, 64, 64)
    name = default_layer(model)
    kept = []
    module = model.net.get_submodule(name)
    with module.register_forward_hook(lambda _m, _i, output: kept.append(output)):
        score = model.net(x)[:, 2].sum()
    (a,), (g,) = kept, torch.autograd.grad(score, kept)
    assert a.shape[-1] > a.shape[1], "channels are last"
    expected = (a * g.mean((1, 2, 3), keepdim=True)).sum(-1).detach()
    maps = gradcam(model, x, target=2, upsample=False)
    torch.testing.assert_close(maps, expected, atol=1e-5 * float(expected.abs().max()), rtol=0)


# invariances


def test_several_layers_in_one_pass_are_the_maps_of_one_each() -> None:
    model, x = deep(), clips(2, 3, 4, 8, 8)
    together = gradcam_layers(model, x, layers=["conv3", "conv1"], target=2)
    assert list(together) == ["conv3", "conv1"]
    for layer, maps in together.items():
        torch.testing.assert_close(maps, gradcam(model, x, layer=layer, target=2))


def test_batches_and_their_order_do_not_matter() -> None:
    model, x = deep(), clips(5, 3, 4, 8, 8)
    targets = [0, 1, "still", 1, 0]
    whole = gradcam(model, x, target=targets)
    torch.testing.assert_close(gradcam(model, x, target=targets, batch_size=2), whole)
    order = [4, 2, 0, 1, 3]
    turned = gradcam(model, x[order], target=[targets[i] for i in order])
    torch.testing.assert_close(turned, whole[order])


class Circular(nn.Module):
    """Convolutions that wrap around in time and space: shifting the clip shifts everything."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(1, 4, 3, padding=1, padding_mode="circular")
        self.conv2 = nn.Conv3d(4, 4, 3, padding=1, padding_mode="circular")
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv2(self.conv1(x).relu()).relu()
        return self.head(x.square().mean((2, 3, 4)))


@pytest.mark.parametrize("shift", [(1, 0, 0), (3, 2, -1)])
def test_shifting_the_clip_shifts_the_map(shift: tuple[int, int, int]) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = toy_model(Circular(), [("conv1", "NCTHW"), ("conv2", "NCTHW")])
    x = clips(1, 1, 6, 5, 5)
    for layer in ("conv1", "conv2"):
        moved = gradcam(model, x.roll(shift, (2, 3, 4)), layer=layer, target=0)
        expected = gradcam(model, x, layer=layer, target=0).roll(shift, (1, 2, 3))
        torch.testing.assert_close(moved, expected)
        assert not torch.allclose(moved, moved.roll(1, 1)), "the map must vary in time"


def test_the_head_s_scale_is_the_map_s_scale() -> None:
    model, x = deep(), clips(2, 3, 4, 8, 8)
    before = gradcam(model, x, target=1)
    with torch.no_grad():
        model.net.head.weight.mul_(-3)
        model.net.head.bias.mul_(-3)
    torch.testing.assert_close(gradcam(model, x, target=1), -3 * before)


def test_predicted_class_is_the_default_and_inputs_are_untouched() -> None:
    model, x = deep(), clips(4, 3, 4, 8, 8)
    kept = x.clone()
    predicted = model.net(x).argmax(1).tolist()
    torch.testing.assert_close(gradcam(model, x), gradcam(model, x, target=predicted))
    assert torch.equal(x, kept)
    first, second = gradcam(model, x), gradcam(model, x)
    assert torch.equal(first, second) and not first.requires_grad


# shapes, layouts and errors


def test_resolution_is_the_clip_s_or_the_layer_s() -> None:
    model, x = deep(), clips(2, 3, 4, 9, 11)
    assert gradcam(model, x).shape == (2, 4, 9, 11)
    assert gradcam(model, x, upsample=False).shape == (2, 2, 3, 3)


def test_layers_without_space_and_time_are_refused_and_never_the_default() -> None:
    model = toy_model(Linear3d(), [("conv", "NCTHW"), ("act", "NCTHW"), ("flat", "NC")])
    assert volume_layers(model) == ["conv", "act"] and default_layer(model) == "act"
    with pytest.raises(InputError, match=r"layer 'flat' of model 'toy'.*choose one of conv, act"):
        gradcam(model, moving_blob(), layer="flat")
    with pytest.raises(UnknownNameError, match=r"layer 'cnov'.*did you mean 'conv'"):
        gradcam(model, moving_blob(), layer="cnov")
