import pytest
import torch
from torch import Tensor, nn
from toys import Deep3d, Linear3d, moving_blob, toy_model

from vxhelpers.errors import InputError, NotFiniteError, UnknownNameError
from vxhelpers.models.probe import (
    _check_finite,
    class_indices,
    explain_memory,
    in_batches,
    layer_output,
    probe,
)

DEEP = [("conv1", "NCTHW"), ("conv2", "NCTHW"), ("conv3", "NCTHW")]


def deep(seed: int = 0, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return toy_model(Deep3d(**options), DEEP)


def clips(count: int = 3, seed: int = 1) -> Tensor:
    return torch.randn(count, 3, 4, 8, 8, generator=torch.Generator().manual_seed(seed))


def hooks(net: nn.Module) -> int:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(module, kind)) for module in net.modules() for kind in kinds)


class Counted(torch.autograd.Function):
    """Identity that notes each forward and each backward that goes through it."""

    @staticmethod
    def forward(ctx, x, log, name):
        ctx.log, ctx.name = log, name
        log.append(("forward", name))
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        ctx.log.append(("backward", ctx.name))
        return gradient, None, None


class CountedNet(nn.Module):
    """Deep3d's convolutions, with a counter before each."""

    def __init__(self, log):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv3d(3, 4, 1), nn.Conv3d(4, 4, 1)
        self.conv3, self.head = nn.Conv3d(4, 4, 1), nn.Linear(4, 3)
        self.log = log

    def forward(self, x):
        for name in ("conv1", "conv2", "conv3"):
            x = getattr(self, name)(Counted.apply(x, self.log, name))
        return self.head(x.square().mean((2, 3, 4)))


# values


def test_hand_solved_activations_and_gradients() -> None:
    model = toy_model(Linear3d(), [("conv", "NCTHW"), ("flat", "NC")])
    x = moving_blob()
    seen = probe(model, x, layers=["conv", "flat"], target=2)
    mean = 1 / 64  # one of 8x8 pixels in every frame
    torch.testing.assert_close(seen.logits, torch.tensor([[2.0, -1.0, 2.0]]) * mean)
    torch.testing.assert_close(seen.activations["conv"], torch.cat([2 * x, -x], 1))
    torch.testing.assert_close(seen.activations["flat"], torch.tensor([[2.0, -1.0]]) * mean)
    slopes = torch.tensor([3.0, 4.0])
    torch.testing.assert_close(seen.gradients["flat"], slopes[None])
    expected = (slopes / 512).view(1, 2, 1, 1, 1).expand(1, 2, 8, 8, 8)
    torch.testing.assert_close(seen.gradients["conv"], expected)


def test_log_probability_gradient_is_the_logit_gradient_less_its_mean_over_classes() -> None:
    model = toy_model(Linear3d(), [("flat", "NC")])
    x = moving_blob() * 20
    seen = probe(model, x, layers=["flat"], target="still", of="log_probability")
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 4.0]])
    expected = rows[2] - seen.logits.softmax(1) @ rows
    torch.testing.assert_close(seen.gradients["flat"], expected)


def test_log_probability_gradient_keeps_its_direction_where_the_network_is_certain() -> None:
    model = toy_model(Linear3d(), [("flat", "NC")])
    x = moving_blob() * -640  # mean -10: logits (-20, 10, -20)
    seen = probe(model, x, layers=["flat"], target=1, of="log_probability")
    q = torch.tensor(-30.0).exp()  # of each other class; their rows are (1, 0) and (3, 4)
    torch.testing.assert_close(
        seen.gradients["flat"] / q, torch.tensor([[-4.0, -2.0]]), rtol=0.01, atol=0
    )


def test_agrees_with_plain_autograd_on_a_net_with_in_place_layers() -> None:
    model, x = deep(), clips()
    seen = probe(model, x, layers=["conv2", "conv1", "conv3"], target=[0, 1, 2])
    assert list(seen.activations) == list(seen.gradients) == ["conv2", "conv1", "conv3"]
    net = model.net
    a1 = net.conv1(x)
    a2 = net.conv2(a1.relu())
    a3 = net.conv3(a2.relu())
    logits = net.tail(a3)
    slopes = torch.autograd.grad(logits[[0, 1, 2], [0, 1, 2]].sum(), (a1, a2, a3))
    torch.testing.assert_close(seen.logits, logits.detach())
    for name, value, slope in zip(("conv1", "conv2", "conv3"), (a1, a2, a3), slopes, strict=True):
        torch.testing.assert_close(seen.activations[name], value.detach())
        torch.testing.assert_close(seen.gradients[name], slope)
    assert (seen.activations["conv1"] < 0).any(), "the ReLU that follows reached the activation"


class Unusual(nn.Module):
    """A channels-last block, then a token block that returns a tuple."""

    def __init__(self, last: nn.Module | None = None) -> None:
        super().__init__()
        self.mix = nn.Linear(3, 4)
        self.block = last or nn.Identity()
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mix(x.permute(0, 2, 3, 4, 1))
        return self.head(self.block(x).square().mean((1, 2, 3)))


def test_channels_last_layer_reads_channels_first() -> None:
    model = toy_model(Unusual(), [("mix", "NTHWC")])
    x = clips()
    seen = probe(model, x, layers=["mix"], target=1)
    assert seen.activations["mix"].shape == seen.gradients["mix"].shape == (3, 4, 4, 8, 8)
    expected = torch.einsum("kc,ncthw->nkthw", model.net.mix.weight, x)
    expected = expected + model.net.mix.bias.view(4, 1, 1, 1)
    torch.testing.assert_close(seen.activations["mix"], expected.detach())
    slope = 2 * expected * model.net.head.weight[1].view(4, 1, 1, 1) / (4 * 8 * 8)
    torch.testing.assert_close(seen.gradients["mix"], slope.detach())


def test_nested_layers_and_an_in_place_layer_itself_can_be_probed() -> None:
    model = toy_model(Deep3d(), [("conv1", "NCTHW"), ("relu1", "NCTHW"), ("conv3", "NCTHW")])
    seen = probe(model, clips(), layers=["relu1", "conv1"], target=0)
    torch.testing.assert_close(seen.activations["relu1"], seen.activations["conv1"].relu())
    passed = seen.gradients["relu1"] * (seen.activations["conv1"] > 0)
    torch.testing.assert_close(seen.gradients["conv1"], passed)


def test_clips_of_a_batch_do_not_mix() -> None:
    model, x = deep(), clips(4)
    whole = probe(model, x, layers=["conv1"], target=[0, 1, 2, 0])
    order = torch.tensor([2, 0, 3, 1])
    turned = probe(model, x[order], layers=["conv1"], target=[2, 0, 0, 1])
    torch.testing.assert_close(turned.gradients["conv1"], whole.gradients["conv1"][order])
    alone = probe(model, x[2:3], layers=["conv1"], target=2)
    torch.testing.assert_close(alone.gradients["conv1"][0], whole.gradients["conv1"][2])


# passes


def test_one_forward_and_one_backward_whatever_the_number_of_layers() -> None:
    log = []
    model = toy_model(CountedNet(log), DEEP)
    probe(model, clips(), layers=["conv1", "conv2", "conv3"])
    assert log == [("forward", n) for n in ("conv1", "conv2", "conv3")] + [
        ("backward", n) for n in ("conv3", "conv2")
    ]


def test_backward_stops_at_the_first_probed_layer_and_without_gradients_there_is_none() -> None:
    log = []
    model = toy_model(CountedNet(log), DEEP)
    probe(model, clips(), layers=["conv2"])
    assert [name for kind, name in log if kind == "backward"] == ["conv3"]
    log.clear()
    seen = probe(model, clips(), layers=["conv1"], gradients=False)
    assert seen.gradients == {} and set(seen.activations) == {"conv1"}
    assert all(kind == "forward" for kind, _ in log)


def test_layers_before_the_first_probed_one_keep_no_graph() -> None:
    model = deep()
    modes = {}
    for name in ("conv1", "conv2", "conv3"):
        module = model.net.get_submodule(name)
        module.register_forward_hook(
            lambda m, i, o, name=name: modes.update({name: o.requires_grad})
        )
    probe(model, clips(), layers=["conv2"])
    assert modes == {"conv1": False, "conv2": False, "conv3": True}


# what is left behind


@pytest.mark.parametrize("trainable", [True, False])
def test_nothing_is_left_behind(trainable: bool) -> None:
    model, x = deep(), clips()
    model.net.requires_grad_(trainable)
    before = [p.clone() for p in model.net.parameters()]
    kept = x.clone()
    seen = probe(model, x, layers=["conv1", "conv3"])
    assert seen.gradients["conv1"].abs().max() > 0
    assert torch.equal(x, kept) and not x.requires_grad and x.grad is None
    for parameter, old in zip(model.net.parameters(), before, strict=True):
        assert parameter.grad is None and parameter.requires_grad is trainable
        assert torch.equal(parameter, old)
    held = (seen.logits, *seen.activations.values(), *seen.gradients.values())
    assert not any(value.requires_grad for value in held)
    assert hooks(model.net) == 0 and torch.is_grad_enabled()


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_works_where_gradients_are_switched_off(context) -> None:
    model, x = deep(), clips()
    expected = probe(model, x, layers=["conv2"], target=1).gradients["conv2"]
    with context():
        x = x * 1  # made here: an inference tensor in inference mode
        torch.testing.assert_close(
            probe(model, x, layers=["conv2"], target=1).gradients["conv2"], expected
        )
        assert not torch.is_grad_enabled()


class Fails(torch.autograd.Function):
    """Identity whose backward raises."""

    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        raise ZeroDivisionError("backward")


class Broken(nn.Module):
    def __init__(self, when: str) -> None:
        super().__init__()
        self.when = when

    def forward(self, x: Tensor) -> Tensor:
        if self.when == "forward":
            raise ZeroDivisionError("forward")
        return Fails.apply(x)


@pytest.mark.parametrize("when", ["forward", "backward"])
def test_hooks_and_gradient_mode_are_restored_after_an_error(when: str) -> None:
    model = toy_model(Unusual(Broken(when)), [("mix", "NTHWC")])
    with torch.no_grad():
        with pytest.raises(ZeroDivisionError, match=when):
            probe(model, clips(), layers=["mix"])
        assert not torch.is_grad_enabled()
    assert torch.is_grad_enabled() and hooks(model.net) == 0


# targets


def test_targets_in_every_form_are_the_same_classes() -> None:
    model, x = deep(), clips()
    for target in ([2, "left", 1], ["still", "left", "right"], torch.tensor([2, 0, 1])):
        assert class_indices(model, target, clips=3).tolist() == [2, 0, 1]
    assert class_indices(model, "right", clips=2).tolist() == [1, 1]
    assert class_indices(model, None, clips=2) is None
    seen = probe(model, x, layers=["conv3"])
    assert torch.equal(seen.targets, seen.logits.argmax(1))
    named = probe(model, x, layers=["conv3"], target=seen.targets.tolist())
    torch.testing.assert_close(named.gradients["conv3"], seen.gradients["conv3"])


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"layers": ["conv4"]}, UnknownNameError, "layer 'conv4'.*did you mean 'conv"),
        ({"target": "rihgt"}, UnknownNameError, "label 'rihgt' in model 'toy'.*'right'"),
        ({"target": 3}, InputError, "class 3 of model 'toy': it has 3 classes"),
        ({"target": -1}, InputError, "class -1"),
        ({"target": [0, 1]}, InputError, "2 targets for 3 clips"),
        ({"of": "softmax"}, InputError, "of='softmax'"),
        ({"layers": []}, InputError, "at least one layer"),
        ({"layers": ["conv1", "conv1"]}, InputError, "each only once"),
        ({"x": torch.zeros(3, 4, 8, 8)}, InputError, r"\(N, C, T, H, W\).*\(3, 4, 8, 8\)"),
        ({"x": torch.zeros(0, 3, 4, 8, 8)}, InputError, r"\(N, C, T, H, W\).*\(0, 3, 4, 8, 8\)"),
    ],
)
def test_bad_requests_are_explained(options, error, match) -> None:
    model = deep()
    with pytest.raises(error, match=match):
        probe(model, **{"x": clips(), "layers": ["conv1"], **options})
    assert hooks(model.net) == 0


def test_training_mode_is_refused() -> None:
    model = deep()
    model.net.relu1.train()
    with pytest.raises(InputError, match=r"'toy' is in training mode: call model.net.eval\(\)"):
        probe(model, clips(), layers=["conv1"])


# layers that cannot be probed


class Cut(nn.Module):
    def __init__(self, mode: str) -> None:
        super().__init__()
        self.conv, self.side, self.head = nn.Conv3d(3, 2, 1), nn.Conv3d(3, 2, 1), nn.Linear(2, 3)
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        if self.mode == "detached":
            y = y.detach()
        if self.mode == "unused":
            self.side(x)
        if self.mode == "twice":
            y = y + self.conv(x)
        return self.head(y.mean((2, 3, 4)))


@pytest.mark.parametrize(
    ("mode", "layers", "match"),
    [
        ("detached", ["conv"], "no gradient reaches layer 'conv'"),
        ("unused", ["conv", "side"], "no gradient reaches layer 'side'"),
        ("twice", ["conv"], "layer 'conv' of model 'toy' runs more than once"),
        ("idle", ["conv", "side"], "layer 'side' of model 'toy' does not run"),
    ],
)
def test_a_layer_without_a_gradient_is_named(mode, layers, match) -> None:
    model = toy_model(Cut(mode), [("conv", "NCTHW"), ("side", "NCTHW")])
    model.net.requires_grad_(False)
    with pytest.raises(InputError, match=match):
        probe(model, clips(), layers=layers)
    assert hooks(model.net) == 0


# numbers that are none


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_bad_number_names_clip_and_first_layer(value: float) -> None:
    model, x = deep(), clips()
    x[1, 0, 0, 0, 0] = value
    with pytest.raises(NotFiniteError, match="layer 'conv1' for clip 1 of the batch"):
        probe(model, x, layers=["conv3", "conv1"])


def test_bad_numbers_after_the_layer_are_caught_too() -> None:
    model = toy_model(Deep3d(), [("conv1", "NCTHW")])
    with torch.no_grad():
        model.net.head.bias[2] = float("nan")
    with pytest.raises(NotFiniteError, match="the logits for clip 0"):
        probe(model, clips(), layers=["conv1"])


class Root(nn.Module):
    """A square root at zero: finite value, infinite slope."""

    def forward(self, x: Tensor) -> Tensor:
        return x.abs().sqrt()


def test_an_infinite_gradient_is_caught() -> None:
    model = toy_model(Unusual(Root()), [("mix", "NTHWC")])
    with torch.no_grad():
        model.net.mix.weight.zero_(), model.net.mix.bias.zero_()
    with pytest.raises(NotFiniteError, match="gradient at layer 'mix' for clip 0"):
        probe(model, clips(), layers=["mix"], target=0)


def test_large_but_finite_numbers_pass() -> None:
    large = torch.full((2, 8), 3e38)
    assert large.sum().isinf()
    _check_finite({"layer 'conv'": large})


# memory


def test_batches_cover_every_clip_once() -> None:
    rows = list(in_batches(lambda rows: (rows.start, rows.stop), clips=5, batch_size=2))
    assert rows == [(0, 2), (2, 4), (4, 5)]
    assert list(in_batches(lambda rows: rows, clips=5, batch_size=None)) == [slice(0, 5)]
    with pytest.raises(InputError, match="batch_size=0"):
        list(in_batches(lambda rows: rows, clips=5, batch_size=0))


class Hungry(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if len(x) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return x


def test_out_of_memory_says_which_batch_size_to_try() -> None:
    model = toy_model(Unusual(Hungry()), [("mix", "NTHWC")])
    with pytest.raises(InputError, match="a batch of 4 does not fit in memory: try batch_size=2"):
        probe(model, clips(4), layers=["mix"])
    assert hooks(model.net) == 0
    with pytest.raises(InputError, match=r"a batch of 1 .* smaller clips"), explain_memory(1):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 1 TB")
    size = r"try batch_size=1 \(a clip has 3 channels, 600 frames of 480x640 pixels\)"
    with pytest.raises(InputError, match=size), explain_memory(2, (3, 600, 480, 640)):
        raise MemoryError
    with pytest.raises(RuntimeError, match="something else"), explain_memory(4):
        raise RuntimeError("something else")


def test_a_layers_output_reaches_back_to_the_pixels() -> None:
    model = deep()
    x = clips().requires_grad_()
    found = layer_output(model, x, layer="conv2")
    (slope,) = torch.autograd.grad(found.sum(), x)
    assert slope.abs().sum() > 0 and not hooks(model.net)
    seen = probe(model, x.detach(), layers=["conv2"], gradients=False)
    torch.testing.assert_close(found.detach(), seen.activations["conv2"])
