import numpy as np
import pytest
import torch
from torch import Tensor, nn
from toys import Deep3d, clips, toy_model

from vxhelpers.attribution.activation_maximisation import _per_frequency, _roughness, maximise
from vxhelpers.attribution.unit_selectivity import movement
from vxhelpers.errors import InputError, NotFiniteError, UnknownNameError
from vxhelpers.models import zoo

SIZE = (1, 3, 6, 8, 8)


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def head(*layers: nn.Module) -> zoo.Model:
    """The layers, the last of which is probed as ``unit``, and a classifier of its one channel."""
    net = nn.Sequential()
    for i, layer in enumerate(layers[:-1]):
        net.add_module(f"before{i}", layer)
    net.add_module("unit", layers[-1])
    net.add_module("pool", nn.AdaptiveAvgPool3d(1))
    net.add_module("flat", nn.Flatten())
    net.add_module("fc", nn.Linear(1, 3))
    return toy_model(net, [("unit", "NCTHW"), ("flat", "NC")])


def conv(weight: Tensor, bias: float = 0.0) -> nn.Conv3d:
    layer = nn.Conv3d(weight.shape[1], weight.shape[0], tuple(weight.shape[2:]))  # type: ignore[arg-type]
    layer.weight.data, layer.bias.data = weight, torch.full((len(weight),), bias)
    return layer


def red() -> zoo.Model:
    return head(conv(torch.tensor([1.0, -1.0, -1.0]).view(1, 3, 1, 1, 1)))


def brighter(bias: float = 0.0) -> zoo.Model:
    """How much brighter a frame is than the one before, in all colours, never below 0."""
    weight = torch.tensor([-1.0, 1.0]).view(1, 1, 2, 1, 1).repeat(1, 3, 1, 1, 1)
    return head(conv(weight, bias), nn.ReLU())


def pixel(entry: zoo.Entry, value: float) -> float:
    """Prepared input of a grey pixel; the toys' colours share mean and spread."""
    return (value - entry.mean[0]) / entry.std[0]


def test_a_unit_for_a_colour_gets_a_clip_of_that_colour() -> None:
    model = red()
    found = maximise(model, 0, layer="unit", against=clips(*SIZE), rng=rng(), steps=150, rate=0.3)
    assert found.frames.shape == (6, 8, 8, 3) and found.frames.dtype == np.uint8
    assert found.frames.std((0, 1, 2)).max() < 1
    np.testing.assert_allclose(found.frames.mean((0, 1, 2)), [255, 0, 0], atol=10)
    best = pixel(model.entry, 1) - 2 * pixel(model.entry, 0)
    assert found.activation == pytest.approx(best, rel=0.1)
    assert found.activation > max(found.real.max(), found.noise.max(), found.curve[0])
    assert len(found.curve) == 150 and found.curve[-1] == pytest.approx(found.activation, rel=0.02)
    still = movement(model, found.x[None], 0, layer="unit", rng=rng()).still
    assert still[0] == pytest.approx(found.activation, rel=0.01)


def test_a_unit_for_change_gets_a_clip_that_flickers_and_no_still_excites_it() -> None:
    model = brighter()
    found = maximise(
        model, 0, layer="unit", against=clips(*SIZE), rng=rng(), steps=200, rate=0.3, space=0,
        time=0,
    )  # fmt: skip
    # Six frames go up three times at most, in five steps, by all of the range in three colours; a
    # pixel that begins white goes up twice, and no small step makes that better.
    best = 3 * 3 * (pixel(model.entry, 1) - pixel(model.entry, 0)) / 5
    assert 0.5 * best < found.activation <= best
    assert found.activation > 3 * found.noise.max()
    taken = movement(model, found.x[None], 0, layer="unit", rng=rng())
    assert taken.still[0] == 0 and taken.played[0] == pytest.approx(found.activation)


def test_roughness_in_time_asks_for_slower_movement_and_in_space_for_smoother_frames() -> None:
    def steps(axis: int, **weights: float) -> float:
        found = maximise(
            brighter(), 0, layer="unit", against=clips(*SIZE), rng=rng(), steps=60, rate=0.3,
            **weights,
        )  # fmt: skip
        return float(np.abs(np.diff(found.frames.astype(float), axis=axis)).mean())

    assert steps(0, time=300.0) < 0.5 * steps(0, time=0.0)
    assert steps(1, space=1000.0, jitter=0) < 0.7 * steps(1, space=0.0, jitter=0)


def test_roughness_and_frequencies_by_hand() -> None:
    clip = torch.zeros(1, 1, 2, 2, 3)
    clip[0, 0, 1] = 0.5  # in time by 0.5 everywhere
    clip[0, 0, :, 1] += 0.1  # along rows by 0.1
    assert float(_roughness(clip, (1, 0, 0))) == pytest.approx(0.25)
    assert float(_roughness(clip, (0, 1, 0))) == pytest.approx(0.01)
    assert float(_roughness(clip, (0, 0, 1))) == 0
    assert float(_roughness(clip, (2, 3, 5))) == pytest.approx(0.53)
    assert float(_roughness(clip[:, :, :1], (7, 0, 0))) == 0  # one frame has no neighbours
    weight = _per_frequency((4, 8, 8))
    assert weight.shape == (4, 8, 5) and float(weight.square().mean()) == pytest.approx(1)
    # 1 in 8 along columns against 2 in 8, and against the same along rows.
    assert float(weight[0, 0, 1] / weight[0, 0, 2]) == pytest.approx(2)
    assert float(weight[0, 0, 1]) == pytest.approx(float(weight[0, 1, 0]))
    assert float(weight[0, 0, 0]) == pytest.approx(float(weight[0, 0, 1]))  # kept from infinity


def test_a_logit_and_a_pooled_layer_can_be_maximised() -> None:
    model = red()
    fc = model.net.get_submodule("fc")
    assert isinstance(fc, nn.Linear)
    fc.weight.data, fc.bias.data = torch.tensor([[1.0], [-1.0], [0.0]]), torch.zeros(3)
    options = {"against": clips(*SIZE), "steps": 60, "rate": 0.3}
    logit = maximise(model, "left", rng=rng(), **options)
    pooled = maximise(model, 0, layer="flat", rng=rng(), **options)
    assert (logit.layer, logit.unit) == (None, 0) and (pooled.layer, pooled.unit) == ("flat", 0)
    np.testing.assert_array_equal(logit.frames, pooled.frames)  # the same function of the clip
    away = maximise(model, "right", rng=rng(), **options).frames.reshape(-1, 3).mean(0)
    assert away[0] < 40 and away[1] > 215 and away[2] > 215


def test_the_clip_is_the_prepared_frames_and_reproducible() -> None:
    model = toy_model(Deep3d(), [("conv2", "NCTHW")])
    options = {"layer": "conv2", "against": clips(2, 3, 4, 8, 8), "steps": 5}
    first, second = (maximise(model, 1, rng=rng(), **options) for _ in range(2))
    np.testing.assert_array_equal(first.frames, second.frames)
    np.testing.assert_array_equal(first.curve, second.curve)
    other = maximise(model, 1, rng=np.random.default_rng(4), **options)
    assert (other.frames != first.frames).any()
    mean, std = (torch.tensor(v).view(3, 1, 1, 1) for v in (model.entry.mean, model.entry.std))
    pixels = torch.from_numpy(first.frames).permute(3, 0, 1, 2) / 255
    torch.testing.assert_close(first.x, (pixels - mean) / std)
    assert first.real.shape == (2,) and first.noise.shape == (8,)


def test_the_network_is_left_as_it_was() -> None:
    model = zoo.load("stage_swin3d", weights="motion")
    before = zoo.digest(model.net)
    x = clips(1, 3, 16, 64, 64)
    with torch.inference_mode():
        found = maximise(model, 3, layer="features.0", against=x, rng=rng(), steps=3, noise=1)
    assert found.activation > found.curve[0]
    assert zoo.digest(model.net) == before and not model.net.training
    assert all(p.grad is None and p.requires_grad for p in model.net.parameters())
    assert not any(len(m._forward_hooks) for m in model.net.modules())


def test_a_unit_that_faint_noise_leaves_silent_is_tried_with_more_contrast() -> None:
    quiet = brighter(bias=-6.0)
    found = maximise(
        quiet, 0, layer="unit", against=clips(*SIZE), rng=rng(), steps=20, space=0, time=0
    )
    assert found.curve[0] > 0 and found.activation > found.curve[0]
    # White after black is worth 13.3, so that a bias of -14 is never passed.
    with pytest.raises(InputError, match="unit 0 of layer 'unit' of model 'toy' is silent"):
        maximise(brighter(bias=-14.0), 0, layer="unit", against=clips(*SIZE), rng=rng(), steps=2)


def test_options_layers_and_units_are_named() -> None:
    model, x = red(), clips(*SIZE)
    for bad in (
        {"steps": 0},
        {"rate": 0},
        {"space": -1},
        {"time": -1},
        {"jitter": -1},
        {"noise": 0},
    ):
        with pytest.raises(InputError, match=f"{next(iter(bad))}={next(iter(bad.values()))}"):
            maximise(model, 0, layer="unit", against=x, rng=rng(), **bad)
    for wrong in (x[0], x[:0], x[:, :1]):
        with pytest.raises(InputError, match=r"against is .*give \(N, 3, T, H, W\)"):
            maximise(model, 0, layer="unit", against=wrong, rng=rng())
    with pytest.raises(InputError, match="unit 1 of layer 'unit': it has 1 units, from 0"):
        maximise(model, 1, layer="unit", against=x, rng=rng())
    with pytest.raises(UnknownNameError, match="did you mean 'unit'"):
        maximise(model, 0, layer="units", against=x, rng=rng())
    with pytest.raises(UnknownNameError, match="did you mean 'left'"):
        maximise(model, "lefd", against=x, rng=rng())
    with pytest.raises(NotFiniteError, match="clip 0"):
        maximise(model, 0, layer="unit", against=torch.full_like(x, float("inf")), rng=rng())


def test_running_out_of_memory_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    model = red()
    calls = []

    def forward(x: Tensor) -> Tensor:
        calls.append(len(x))
        if x.requires_grad:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        return x.mean((2, 3, 4))

    monkeypatch.setattr(model.net, "forward", forward)
    with pytest.raises(InputError, match="does not fit in memory"):
        maximise(model, "left", against=clips(*SIZE), rng=rng(), steps=2)
    assert calls
