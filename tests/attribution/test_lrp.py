import numpy as np
import pytest
import torch
import torch.nn.functional as F
from reference.relevance import relevance_map as reference_map
from torch import Tensor, nn
from toys import Cells, toy_model

from vxhelpers.attribution.lrp import lrp, relevance
from vxhelpers.errors import InputError, NotFiniteError, UnknownNameError
from vxhelpers.models import zoo

COMPOSITES = ("epsilon", "epsilon_plus", "deep_taylor")
NETS = ("stage_c3d", "stage_r3d", "stage_i3d")
LOW, HIGH = -0.45 / 0.225, 0.55 / 0.225


def clips(*shape: int, seed: int = 1) -> Tensor:
    """Prepared clips with pixels anywhere between black and white."""
    return LOW + (HIGH - LOW) * torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def seeded(make, seed: int = 3) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = make()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm3d):
                for values in (module.weight, module.running_var):
                    nn.init.uniform_(values, 0.5, 1.5)
                for values in (module.bias, module.running_mean):
                    nn.init.uniform_(values, -0.3, 0.3)
    return net


def model_of(make, seed: int = 3) -> zoo.Model:
    return toy_model(seeded(make, seed), [("", "NCTHW")])


class Weighted(nn.Module):
    """One filter over time without bias, ReLU, mean, one logit: every share by hand."""

    def __init__(self, filter_: list[float], head: float, channels: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv3d(channels, 1, (len(filter_), 1, 1), bias=False)
        self.head = nn.Linear(1, 1, bias=False)
        with torch.no_grad():
            self.conv.weight.zero_()
            self.conv.weight[0, 0, :, 0, 0] = torch.tensor(filter_)
            self.head.weight.fill_(head)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x).relu().mean((2, 3, 4)))


class Residual(nn.Module):
    """Two convolutions with batch norms, the first block's output added to the second in place."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(3, 4, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm3d(4) if bias else nn.Identity()
        self.conv2 = nn.Conv3d(4, 4, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm3d(4) if bias else nn.Identity()
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool3d((1, 2, 2))
        self.average = nn.AdaptiveAvgPool3d(1)
        self.head = nn.Linear(4, 3, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        first = self.relu(self.norm1(self.conv1(x)))
        out = self.norm2(self.conv2(first))
        out += first
        return self.head(self.average(self.pool(self.relu(out))).flatten(1))


# by hand


def test_shares_of_a_filter_over_time_by_hand() -> None:
    model = toy_model(Weighted([2, -1, 3], head=2), [("conv", "NCTHW")], labels=("one",))
    x = torch.tensor([1.0, 2.0, 1.0]).view(1, 1, 3, 1, 1)
    # 2 - 2 + 3 = 3, so the logit is 6; the positive part of the evidence is 2 + 3.
    signed = lrp(model, x, target=0, composite="epsilon").flatten()
    torch.testing.assert_close(signed, torch.tensor([4.0, -4.0, 6.0]), atol=1e-4, rtol=0)
    plus = lrp(model, x, target=0, composite="epsilon_plus").flatten()
    torch.testing.assert_close(plus, torch.tensor([2.4, 0.0, 3.6]), atol=1e-4, rtol=0)


def test_deep_taylor_s_box_by_hand() -> None:
    model = toy_model(Weighted([1, -1], head=4, channels=3), [("conv", "NCTHW")], labels=("one",))
    x = torch.zeros(1, 3, 2, 1, 1)
    x[0, 0, :, 0, 0] = torch.tensor([1.0, 0.5])
    # The logit is 4 * (1 - 0.5); the shares are 1 - LOW and -0.5 + HIGH.
    total = (1 - LOW) + (HIGH - 0.5)
    expected = 2 * torch.tensor([1 - LOW, HIGH - 0.5]) / total
    found = lrp(model, x, target=0, composite="deep_taylor").flatten()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


# conservation


@pytest.mark.parametrize("composite", COMPOSITES)
def test_without_biases_the_map_adds_up_to_the_logit(composite: str) -> None:
    model = model_of(lambda: Residual(bias=False))
    found = relevance(model, clips(3, 3, 4, 8, 8), target=[0, 1, 2], composite=composite)
    assert found.scores.abs().min() > 1e-3
    torch.testing.assert_close(found.maps.sum((1, 2, 3)), found.scores, atol=0, rtol=1e-3)
    assert found.absorbed.abs().max() <= 1e-3 * found.scores.abs().max()


def test_biases_absorb_what_is_theirs() -> None:
    model = toy_model(Weighted([1.0], head=1), [("conv", "NCTHW")], labels=("one",))
    model.net.conv.bias = nn.Parameter(torch.tensor([3.0]))
    x = torch.ones(1, 1, 2, 1, 1)
    for composite in ("epsilon", "epsilon_plus"):
        found = relevance(model, x, composite=composite)
        torch.testing.assert_close(found.absorbed, torch.tensor([3.0]), atol=1e-4, rtol=0)
        torch.testing.assert_close(found.scores, torch.tensor([4.0]))


class Padded(nn.Module):
    """Pads before the convolution, as I3D does; padding is black of no pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 4, 3, bias=False)
        self.head = nn.Linear(4, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(F.pad(x, (1, 1, 1, 1, 1, 1))).relu().mean((2, 3, 4)))


def test_padding_takes_no_relevance_under_deep_taylor() -> None:
    found = relevance(model_of(Padded), clips(2, 3, 3, 5, 5), composite="deep_taylor")
    torch.testing.assert_close(found.maps.sum((1, 2, 3)), found.scores, atol=0, rtol=1e-3)


# oracles


@pytest.mark.parametrize("composite", COMPOSITES)
def test_agrees_with_dense_matrices_in_numpy(composite: str) -> None:
    model, x = model_of(Residual), clips(2, 3, 3, 4, 4)
    state = {name: v.detach().double().numpy() for name, v in model.net.state_dict().items()}
    targets = (0, 2)
    maps = lrp(model, x, target=targets, composite=composite)
    for clip, found, target in zip(x, maps, targets, strict=True):
        box = ([LOW] * 3, [HIGH] * 3)
        expected, logits = reference_map(state, clip.double().numpy(), target, composite, *box)
        np.testing.assert_allclose(model.net(clip[None])[0].detach(), logits, atol=1e-5)
        assert np.abs(expected).max() > 1e-3
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("name", NETS)
def test_epsilon_is_the_gradient_times_the_input_in_shipped_networks(name: str) -> None:
    model, x = zoo.load(name, weights="motion"), clips(1, 3, 8, 32, 32).requires_grad_()
    (slope,) = torch.autograd.grad(model.net(x)[:, 1].sum(), x)
    expected = (slope * x).detach().sum(1)
    found = lrp(model, x.detach(), target=1, composite="epsilon")
    torch.testing.assert_close(found, expected, atol=2e-3 * float(expected.abs().max()), rtol=0)


@pytest.mark.parametrize("name", NETS)
def test_deep_taylor_keeps_nearly_the_whole_logit_in_shipped_networks(name: str) -> None:
    model, x = zoo.load(name, weights="motion"), clips(2, 3, 8, 32, 32)
    found = relevance(model, x, target=1, composite="deep_taylor")
    assert (found.absorbed / found.scores).abs().max() < 0.05
    # All relevance has the sign of its logit, also through the residual sums.
    assert (found.maps * found.scores.sign()[:, None, None, None]).min() >= -1e-6
    assert found.maps.std() > 0


# invariances


@pytest.mark.parametrize("composite", COMPOSITES)
def test_batches_and_their_order_do_not_matter(composite: str) -> None:
    model, x = model_of(Residual), clips(5, 3, 3, 4, 4)
    targets = [0, 1, "still", 1, 0]
    whole = lrp(model, x, target=targets, composite=composite)
    assert whole.shape == (5, 3, 4, 4) and whole.dtype == torch.float32
    in_twos = lrp(model, x, target=targets, composite=composite, batch_size=2)
    torch.testing.assert_close(in_twos, whole)
    order = [4, 2, 0, 1, 3]
    turned = lrp(model, x[order], target=[targets[i] for i in order], composite=composite)
    torch.testing.assert_close(turned, whole[order])


def test_predicted_class_is_the_default_and_repeats_are_equal() -> None:
    model, x = model_of(Residual), clips(4, 3, 3, 4, 4)
    found = relevance(model, x)
    assert found.targets.tolist() == model.net(x).argmax(1).tolist()
    assert torch.equal(found.maps, lrp(model, x, target=found.targets))
    assert torch.equal(found.maps, lrp(model, x)) and not found.maps.requires_grad
    with torch.inference_mode():
        torch.testing.assert_close(lrp(model, x.clone()), found.maps)


class Breaks(Residual):
    """Fails in the middle of a forward pass that records a graph."""

    def forward(self, x: Tensor) -> Tensor:
        if x.requires_grad:
            self.conv1(x)
            raise RuntimeError("on purpose")
        return super().forward(x)


def hooks(net: nn.Module) -> int:
    return sum(
        len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks)
        for m in net.modules()
    )


@pytest.mark.parametrize("make", [Residual, Breaks])
def test_network_and_clips_are_left_as_they_were(make) -> None:
    model, x = model_of(make), clips(1, 3, 3, 4, 4)
    kept = x.clone()
    before = {name: (id(v), v.clone()) for name, v in model.net.named_parameters()}
    digest = zoo.digest(model.net)
    for composite in COMPOSITES:
        if make is Breaks:
            with pytest.raises(RuntimeError, match="on purpose"):
                lrp(model, x, composite=composite)
        else:
            lrp(model, x, composite=composite)
        assert hooks(model.net) == 0 and zoo.digest(model.net) == digest
        for name, value in model.net.named_parameters():
            assert id(value) == before[name][0] and torch.equal(value, before[name][1])
            assert value.requires_grad and value.grad is None
        assert torch.equal(x, kept) and not x.requires_grad


# refusals


def test_attention_is_refused_with_what_fits_it() -> None:
    model = zoo.load("stage_swin3d", weights="random")
    with pytest.raises(InputError, match=r"no rule for layer_norm.*gradients, perturbation and Gr"):
        lrp(model, clips(1, 3, 16, 64, 64))
    assert hooks(model.net) == 0


class Step(nn.Module):
    """A convolution, something in between, a linear head."""

    def __init__(self, step) -> None:
        super().__init__()
        self.conv, self.step = nn.Conv3d(3, 3, 1), step
        self.norm = nn.BatchNorm3d(3)
        self.head = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.step(self, self.conv(x)).relu().mean((2, 3, 4)))


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (lambda net, x: net.norm(x) * x.sigmoid(), "no rule for sigmoid"),
        (lambda net, x: net.norm(x).mul(2), "no rule for mul"),
        (lambda net, x: net.norm(x) + 1, "no rule for add"),
        (lambda net, x: net.norm(net.conv(x)), "no rule for conv3d outside a layer.*or twice"),
        (lambda net, x: F.conv3d(net.norm(x), x.new_ones(3, 3, 1, 1, 1)), "no rule for conv3d"),
        (lambda net, x: net.norm(x.relu()), "other logits once its batch norms are merged"),
    ],
)
def test_steps_without_a_rule_are_refused_by_name(step, message: str) -> None:
    with pytest.raises(InputError, match=message):
        lrp(model_of(lambda: Step(step)), clips(1, 3, 2, 4, 4), target=0)


def test_batch_norm_without_a_convolution_is_refused() -> None:
    model = model_of(lambda: nn.Sequential(nn.BatchNorm3d(3), Padded()))
    with pytest.raises(InputError, match="no rule for batch_norm"):
        lrp(model, clips(1, 3, 4, 4, 4), target=0)


def test_bad_requests_are_refused_with_the_fix() -> None:
    model, x = model_of(Residual), clips(2, 3, 3, 4, 4)
    with pytest.raises(InputError, match="choose one of epsilon, epsilon_plus, deep_taylor"):
        lrp(model, x, composite="alpha")
    with pytest.raises(UnknownNameError, match="did you mean 'still'"):
        lrp(model, x, target="stil")
    with pytest.raises(InputError, match=r"from -2.00 \(black\) to 2.44 \(white\) in 3 channels"):
        lrp(model, 2 * x, composite="deep_taylor")
    cells = toy_model(Cells(), [("flat", "NC")])
    with pytest.raises(InputError, match="no convolution reads the pixels"):
        lrp(cells, x, composite="deep_taylor")
    bad = x.clone()
    bad[1, 0, 0, 0, 0] = torch.nan
    for size in (None, 1):
        with pytest.raises(NotFiniteError, match="in the input of clip 1"):
            lrp(model, bad, batch_size=size)
    model.net.train()
    with pytest.raises(InputError, match=r"training mode: call model\.net\.eval"):
        lrp(model, x)
