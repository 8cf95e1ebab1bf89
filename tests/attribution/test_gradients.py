import copy
import types
import warnings
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from captum.attr import (
    Deconvolution,
    GradientShap,
    GuidedBackprop,
    InputXGradient,
    IntegratedGradients,
    Saliency,
)
from reference.guided import residual_block
from torch import Tensor, nn
from toys import Cells, Deep3d, Linear3d, assert_same, clips, moving_blob, toy_model

from vxhelpers.attribution.base import explain, seeded
from vxhelpers.attribution.gradients import (
    completeness_gap,
    gradient_shap,
    input_x_gradient,
    integrated_gradients,
    saliency,
)
from vxhelpers.attribution.guided_backpropagation import deconvolution, guided_backprop
from vxhelpers.data import stage
from vxhelpers.errors import InputError, NotFiniteError, UnknownNameError
from vxhelpers.models import zoo
from vxhelpers.models.nets.i3d import Unit3D, _pad_same

NETS = ["stage_r3d", "stage_c3d", "stage_i3d", "stage_swin3d"]
Map = Callable[..., Tensor]


def rng(seed: int = 7) -> np.random.Generator:
    return np.random.default_rng(seed)


def deep() -> zoo.Model:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = Deep3d()
        net.tail = types.MethodType(lambda self, x: self.head(x.mean((2, 3, 4))), net)
        return toy_model(net, [("conv1", "NCTHW")])


@cache
def shipped(name: str) -> tuple[zoo.Model, Tensor]:
    model = zoo.load(name, weights="motion")
    return model, model.prepare([stage.render("motion", "test", i, size=64).clip for i in (0, 1)])


def shap(model: zoo.Model, x: Tensor, **options: object) -> Tensor:
    options = {"baselines": torch.zeros_like(x[:1]), "rng": rng(), "samples": 4, **options}
    return gradient_shap(model, x, **options)


MAPS: dict[str, Map] = {
    "saliency": saliency,
    "input_x_gradient": input_x_gradient,
    "integrated_gradients": lambda *args, **options: integrated_gradients(
        *args, steps=5, **options
    ),
    "gradient_shap": shap,
    "guided_backprop": guided_backprop,
    "deconvolution": deconvolution,
}
every = pytest.mark.parametrize("method", MAPS.values(), ids=MAPS.keys())


# by hand


def test_maps_of_a_linear_net_by_hand() -> None:
    model, x = toy_model(Linear3d(), [("conv", "NCTHW")]), moving_blob()
    # Class "right" is minus the mean of 512 cells.
    expected = -x[:, 0] / 512
    torch.testing.assert_close(
        saliency(model, x, target="right"), torch.full((1, 8, 8, 8), -1 / 512)
    )
    for method in ("input_x_gradient", "integrated_gradients", "gradient_shap"):
        torch.testing.assert_close(MAPS[method](model, x, target="right"), expected)


def test_channels_are_summed_with_their_signs_or_lose_them() -> None:
    model, x = toy_model(Cells(), [("pool", "NCTHW")]), clips(1, 3, 2, 4, 4)
    # Mean red plus half of mean blue, over 32 voxels.
    for reduce, value in (("sum", 1.5), ("l2", 1.25**0.5), ("max", 1.0)):
        found = saliency(model, x, target=0, reduce=reduce)
        torch.testing.assert_close(found, torch.full((1, 2, 4, 4), value / 32))
    against = {r: saliency(model, x, target=2, reduce=r).mean() * 32 for r in ("sum", "max")}
    assert against["sum"] == pytest.approx(-3) and against["max"] == pytest.approx(3)


class Square(nn.Module):
    """The logits are the sums of squares, of cubes, and nothing."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack(
            [x.pow(n).sum((1, 2, 3, 4)) for n in (2, 3)] + [0 * x.sum((1, 2, 3, 4))]
        ).T


class Powers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.powers = Square()

    def forward(self, x: Tensor) -> Tensor:
        return self.powers(self.scale * x)


def test_integral_of_powers_by_hand() -> None:
    model, x = toy_model(Powers(), [("powers", "NC")]), clips(2, 2, 3, 4, 4)
    # From 0 to x, the integral of the derivative of x ** n is x ** n itself, pixel by pixel.
    maps = integrated_gradients(model, x, target=[0, 1], steps=4)
    torch.testing.assert_close(maps, torch.stack([x[0].pow(2), x[1].pow(3)]).sum(1))
    base = clips(2, 3, 4, 4, seed=2)
    from_base = integrated_gradients(model, x, target=1, baseline=base, steps=4)
    # Of the cube along a line from b to x: (x - b) (x2 + xb + b2) = x3 - b3.
    torch.testing.assert_close(from_base, (x.pow(3) - base.pow(3)).sum(1))


def test_completeness_within_a_thousandth_on_the_toys() -> None:
    cubes, x = toy_model(Powers(), [("powers", "NC")]), clips(2, 2, 3, 4, 4)
    maps = integrated_gradients(cubes, x, target=1, steps=4, tolerance=1e-3)
    assert completeness_gap(cubes, x, maps, target=1).max() < 1e-5
    relus, x = deep(), clips(3, 3, 4, 8, 8)
    maps = integrated_gradients(relus, x, steps=400, tolerance=1e-3, batch_size=100)
    assert completeness_gap(relus, x, maps).max() < 1e-3


def test_gap_is_reported_relative_and_too_large_a_one_is_refused() -> None:
    model, x = toy_model(Powers(), [("powers", "NC")]), clips(2, 2, 3, 4, 4)
    maps = torch.stack([x[0].pow(3).sum(0) * 1.25, x[1].pow(3).sum(0)])
    torch.testing.assert_close(
        completeness_gap(model, x, maps, target=1).float(),
        torch.tensor([0.25, 0]),
        atol=1e-5,
        rtol=0,
    )
    assert completeness_gap(model, x, 0 * maps, target=2).tolist() == [0, 0]
    assert completeness_gap(model, x, maps.abs(), target=2).tolist() == [np.inf, np.inf]
    # One point in the middle: 3 x (x/2)^2 is three quarters of the cube.
    with pytest.raises(InputError, match=r"clip \d miss .* by 2\.5e-01 of it.*try steps=4"):
        integrated_gradients(model, x, target=1, steps=1, tolerance=1e-3)


def test_gradient_shap_adds_up_in_expectation_over_its_baselines() -> None:
    model, x = toy_model(Powers(), [("powers", "NC")]), clips(1, 1, 1, 2, 2)
    bases = clips(3, 1, 1, 2, 2, seed=4)
    maps = gradient_shap(
        model, x, target=0, baselines=bases, rng=rng(), samples=10_000, batch_size=10_000
    )
    torch.testing.assert_close(maps, (x.square() - bases.square().mean(0))[:, 0], atol=0.07, rtol=0)


# captum by hand


def by_hand(name: str, model: zoo.Model, x: Tensor, target: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU")
        if name == "saliency":
            return Saliency(model.net).attribute(x, target, abs=False)
        if name == "input_x_gradient":
            return InputXGradient(model.net).attribute(x, target)
        if name == "integrated_gradients":
            return IntegratedGradients(model.net).attribute(x, target=target, n_steps=5)
        if name == "guided_backprop":
            return GuidedBackprop(model.net).attribute(x, target)
        if name == "deconvolution":
            return Deconvolution(model.net).attribute(x, target)
    found, source = [], rng()
    for clip, index in zip(x, target, strict=True):
        with seeded(source, x.device):
            method = GradientShap(model.net)
            found.append(
                method.attribute(clip[None], 0 * x[:1], n_samples=4, target=int(index)).detach()
            )
    return torch.cat(found)


@pytest.mark.parametrize("name", ["saliency", "integrated_gradients", "gradient_shap"])
@pytest.mark.parametrize("net", NETS)
def test_equals_captum_by_hand_on_the_shipped_networks(net: str, name: str) -> None:
    model, x = shipped(net)
    x, target = x[:1], torch.tensor([2])
    expected = by_hand(name, model, x, target).sum(1)
    assert_same(MAPS[name](model, x, target=target), expected)


@every
def test_equals_captum_by_hand_on_the_toy(method: Map, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.id
    model, x = deep(), clips(3, 3, 4, 8, 8)
    expected = by_hand(name, model, x, torch.tensor([2, 0, 1]))
    assert_same(method(model, x, target=[2, 0, 1]), expected.sum(1))
    assert_same(method(model, x, target=[2, 0, 1], reduce="l2"), expected.norm(dim=1))
    assert_same(method(model, x, target=[2, 0, 1], reduce="max"), expected.abs().amax(1))


@pytest.mark.parametrize("net", ["stage_r3d", "stage_c3d"])
@pytest.mark.parametrize("name", ["guided_backprop", "deconvolution"])
def test_relus_of_the_shipped_networks_equal_captum_s(net: str, name: str) -> None:
    # torchvision's BasicBlock has ReLUs in place; C3D's are modules of their own.
    model, x = shipped(net)
    target = torch.tensor([0, 2])
    found = MAPS[name](model, x, target=target)
    assert_same(found, by_hand(name, model, x, target).sum(1))
    assert float((found - saliency(model, x, target=target)).abs().max()) > 0.1 * found.abs().max()


@pytest.mark.parametrize("name", ["guided_backprop", "deconvolution"])
def test_relus_that_are_functions_equal_captum_s_once_they_are_modules(name: str) -> None:
    model, x = shipped("stage_i3d")
    net = copy.deepcopy(model.net)
    for unit in net.modules():
        if isinstance(unit, Unit3D):
            unit.activation = nn.ReLU()
            unit.forward = types.MethodType(with_a_module, unit)
    target = torch.tensor([0, 2])
    modules = toy_model(net, [("head", "NC")], model.labels)
    torch.testing.assert_close(modules.net(x), model.net(x))
    assert_same(MAPS[name](model, x, target=target), by_hand(name, modules, x, target).sum(1))


def with_a_module(unit: Unit3D, x: Tensor) -> Tensor:
    return unit.activation(unit.bn(unit.conv3d(_pad_same(x, unit.kernel, unit.stride))))


# a slow reference


class Block(nn.Module):
    """``relu(second(relu(first x)) + x)`` with one ReLU for both, and a head that sums it up."""

    def __init__(self, call: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first = nn.Conv3d(2, 2, 3, padding=1, bias=False)
        self.second = nn.Conv3d(2, 2, 3, padding=1, bias=False)
        self.head = nn.Linear(2 * 3 * 2 * 2, 3, bias=False)
        self.call = call

    def forward(self, x: Tensor) -> Tensor:
        out = self.call(self.first(x))
        out = self.second(out)
        out += x
        return self.head(self.call(out).flatten(1))


def ignoring_what_is_returned(x: Tensor) -> Tensor:
    x.relu_()
    return x


RELUS = {
    "module": nn.ReLU(),
    "module in place": nn.ReLU(inplace=True),
    "function": F.relu,
    "function in place": lambda x: F.relu(x, inplace=True),
    "positional in place": lambda x: F.relu(x, True),
    "torch": torch.relu,
    "torch in place": torch.relu_,
    "method": lambda x: x.relu(),
    "method in place": ignoring_what_is_returned,
}


def dense(layer: nn.Module) -> np.ndarray:
    """A linear layer as a matrix: what it makes of each unit vector."""
    units = torch.eye(24, dtype=torch.float64).view(24, 2, 3, 2, 2)
    with torch.no_grad():
        return copy.deepcopy(layer).double()(units).reshape(24, 24).T.numpy()


@pytest.mark.parametrize("relu", RELUS)
def test_relus_in_place_reused_or_called_as_functions_by_the_slow_reference(relu: str) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = Block(RELUS[relu])
    model, x = toy_model(net, [("first", "NCTHW")]), clips(1, 2, 3, 2, 2)
    maps = {"gradient": saliency, "guided": guided_backprop, "deconvolution": deconvolution}
    found = {}
    for rule, method in maps.items():
        for target in range(3):
            head = net.head.weight[target].detach().double().numpy()
            score, expected = residual_block(
                x.double().flatten().numpy(), dense(net.first), dense(net.second), head, rule
            )
            assert score == pytest.approx(float(net(x)[0, target].detach()), abs=1e-5)
            volume = torch.from_numpy(expected.reshape(1, 2, 3, 2, 2)).sum(1)
            found[rule, target] = method(model, x, target=target)
            assert_same(found[rule, target], volume)
    assert not torch.allclose(found["guided", 0], found["gradient", 0], atol=1e-3)
    assert not torch.allclose(found["guided", 0], found["deconvolution", 0], atol=1e-3)


class Skip(nn.Module):
    """``relu(z) + z`` of ``z = scale * x``, weighed voxel by voxel."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights, self.scale, self.relu = weights, nn.Parameter(torch.ones(1)), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        z = self.scale * x
        score = (self.weights * (self.relu(z) + z)).sum((1, 2, 3, 4))
        return torch.stack([score, -score, 0 * score], 1)


def test_what_goes_past_a_relu_is_left_alone() -> None:
    w, x = clips(1, 1, 3, 4, 4, seed=5), clips(1, 1, 3, 4, 4)
    model = toy_model(Skip(w), [("relu", "NCTHW")])
    expected = w + w * (w > 0) * (x > 0)
    assert_same(guided_backprop(model, x, target=0), expected[:, 0])
    assert_same(deconvolution(model, x, target=0), (w + w * (w > 0))[:, 0])
    assert_same(deconvolution(model, x, target=1), (-w - w * (w < 0))[:, 0])
    captum_s = by_hand("guided_backprop", model, x, torch.tensor([0]))
    assert float((captum_s - expected).abs().max()) > 0.1, "the reason why captum is not called"


@pytest.mark.parametrize("method", [guided_backprop, deconvolution])
def test_networks_that_are_not_of_relus_are_told_what_fits(method: Map) -> None:
    swin, x = shipped("stage_swin3d")
    with pytest.raises(InputError, match=r"'stage_swin3d' has gelu: saliency,.* fit any network"):
        method(swin, x)
    with pytest.raises(InputError, match=r"model 'toy' has no ReLU: saliency, input_x_gradient"):
        method(toy_model(Linear3d(), [("conv", "NCTHW")]), moving_blob())
    assert_same(
        saliency(swin, x, target=0), by_hand("saliency", swin, x, torch.zeros(2).long()).sum(1)
    )


# invariances


@every
def test_batches_do_not_matter_and_nothing_is_touched(method: Map) -> None:
    model, x = deep(), clips(5, 3, 4, 8, 8)
    kept, weights = x.clone(), copy.deepcopy(model.net.state_dict())
    state, drawn = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    targets = [0, 1, "still", 1, 0]
    whole = method(model, x, target=targets)
    assert whole.shape == (5, 4, 8, 8) and whole.dtype == torch.float32 and not whole.requires_grad
    assert torch.equal(method(model, x, target=targets), whole)
    if method is not shap:
        assert_same(method(model, x, target=targets, batch_size=2), whole)
        assert_same(method(model, x[[3, 0]], target=[1, 0]), whole[[3, 0]])
    assert torch.equal(x, kept) and not x.requires_grad and x.grad is None
    assert all(torch.equal(value, weights[key]) for key, value in model.net.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.net.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], drawn)  # noqa: NPY002


@every
def test_predicted_class_is_the_default_and_the_score_may_be_a_log_probability(method: Map) -> None:
    model, x = deep(), clips(3, 3, 4, 8, 8)
    predicted = model.net(x).argmax(1)
    assert torch.equal(method(model, x), method(model, x, target=predicted))
    with torch.no_grad():
        model.net.head.weight[1:] = 0
        model.net.head.bias.zero_()
    # log p of the first of three classes, where the others stay at 0: its slope is 1 - p a logit's.
    if method in (saliency, input_x_gradient):
        p = model.net(x).softmax(1)[:, 0].detach().view(3, 1, 1, 1)
        expected = (1 - p) * method(model, x, target=0)
        assert_same(method(model, x, target=0, of="log_probability"), expected)
    else:
        assert method(model, x, target=0, of="log_probability").isfinite().all()


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
@every
def test_works_within_no_grad_and_on_inference_tensors(method: Map, context: type) -> None:
    model, x = deep(), clips(2, 3, 4, 8, 8)
    expected = method(model, x, target=0)
    with context():
        torch.testing.assert_close(method(model, x * 1, target=0), expected)


def test_draws_follow_the_generator_and_not_the_batches_of_clips() -> None:
    model, x = deep(), clips(3, 3, 4, 8, 8)
    bases = clips(4, 3, 4, 8, 8, seed=9)
    first = shap(model, x, baselines=bases, target=0, noise=0.1)
    assert torch.equal(shap(model, x, baselines=bases, target=0, noise=0.1), first)
    assert not torch.equal(shap(model, x, baselines=bases, target=0, rng=rng(8), noise=0.1), first)
    torch.testing.assert_close(shap(model, x[:1], baselines=bases, target=0, noise=0.1), first[:1])
    few = shap(model, x, baselines=bases[:1], target=0, samples=4, batch_size=3)
    assert few.shape == first.shape


# errors


def hooks(net: nn.Module) -> int:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(module, kind)) for module in net.modules() for kind in kinds)


@every
def test_bad_input_is_named(method: Map) -> None:
    model, x = deep(), clips(3, 3, 4, 8, 8)
    with pytest.raises(InputError, match=r"\(N?B?, C, T, H, W\) clips"):
        method(model, x[0])
    with pytest.raises(UnknownNameError, match=r"label 'lefft'.*did you mean 'left'"):
        method(model, x, target="lefft")
    with pytest.raises(InputError, match="2 targets for 3 clips"):
        method(model, x, target=[0, 1])
    with pytest.raises(InputError, match="of='odds'"):
        method(model, x, of="odds")
    with pytest.raises(InputError, match=r"reduce='mean': one of 'sum', 'l2', 'max'"):
        method(model, x, reduce="mean")
    with pytest.raises(InputError, match="batch_size=0"):
        method(model, x, batch_size=0)
    x[1, 0, 0, 0, 0] = torch.nan
    for size in (1, 2, None):
        with pytest.raises(NotFiniteError, match="the pixels for clip 1:"):
            method(model, x, batch_size=size)
    with pytest.raises(InputError, match=r"training mode: call model.net.eval\(\)"):
        model.net.train()
        method(model, x)


class Fails(Deep3d):
    """Overflows, or fails, for clips with a large pixel."""

    def tail(self, x: Tensor) -> Tensor:
        out = super().tail(x)
        if bool((self.seen > 5000).any()):
            raise OSError("broken")
        return out + torch.where(self.seen > 10, torch.inf, 0.0)[:, None]

    def forward(self, x: Tensor) -> Tensor:
        self.seen = x.detach().abs().amax((1, 2, 3, 4))
        return super().forward(x)


@every
def test_after_failures_nothing_is_left_behind(method: Map) -> None:
    model, x = toy_model(Fails(), [("conv1", "NCTHW")]), clips(3, 3, 4, 8, 8)
    state, drawn = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    x[2, 0, 0, 0, 0] = 1e6
    with pytest.raises(OSError, match="broken"):
        method(model, x, target=0)
    x[2, 0, 0, 0, 0] = 1000
    with pytest.raises(NotFiniteError, match="the logits for clip 2:"):
        method(model, x, target=0)
    assert hooks(model.net) == 0 and torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], drawn)  # noqa: NPY002
    assert torch.equal(F.relu(torch.tensor([-1.0])), torch.zeros(1))


def test_options_out_of_range() -> None:
    model, x = deep(), clips(2, 3, 4, 8, 8)
    with pytest.raises(InputError, match="steps=0"):
        integrated_gradients(model, x, steps=0)
    with pytest.raises(InputError, match="tolerance needs reduce='sum': 'l2'"):
        integrated_gradients(model, x, tolerance=1, reduce="l2")
    with pytest.raises(InputError, match=r"baseline \(3, 4, 8, 7\) is neither one clip nor"):
        integrated_gradients(model, x, baseline=x[0, ..., :-1])
    with pytest.raises(InputError, match=r"baselines \(2, 3, 3, 8, 8\) are not"):
        shap(model, x, baselines=x[:, :, :3])
    with pytest.raises(InputError, match=r"samples=0, noise=0"):
        shap(model, x, samples=0)
    with pytest.raises(InputError, match=r"maps \(2, 3, 8, 8\) are not \(N, T, H, W\)"):
        completeness_gap(model, x, x[:, 0, :3])


def test_memory_advice_counts_the_inputs_of_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = deep(), clips(1, 3, 4, 8, 8)

    def full(*_: object) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(model.net, "tail", full)
    with pytest.raises(InputError, match="a batch of 8 does not fit in memory: try batch_size=4"):
        integrated_gradients(model, x, target=0, batch_size=8)


def test_explain_gives_each_clip_its_own_question() -> None:
    model, x = deep(), clips(3, 3, 4, 8, 8)
    asked = []
    values = explain(
        model,
        x,
        lambda q: (asked.append((q.rows, q.targets.tolist())), q.x.sum((1, 2, 3, 4)))[1],
        target=[2, 0, 1],
        one_by_one=True,
    )
    assert [targets for _, targets in asked] == [[2], [0], [1]]
    torch.testing.assert_close(values, x.sum((1, 2, 3, 4)))
