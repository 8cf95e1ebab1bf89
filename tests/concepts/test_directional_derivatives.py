from dataclasses import replace

import numpy as np
import pytest
import torch
from reference import tcav as slow
from torch import Tensor, nn
from toys import Deep3d, toy_model

from vxhelpers.concepts.activations import Activations, collect
from vxhelpers.concepts.directional_derivatives import _products, derivatives
from vxhelpers.data.clip import Clip
from vxhelpers.errors import InputError, NotFiniteError, UnknownNameError
from vxhelpers.models.probe import probe

LAYERS = ["conv1", "conv2", "conv3"]


class Double(nn.Module):
    """Deep3d in double precision, with its pooled features as a layer of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.body = Deep3d()
        self.pooled = nn.Identity()
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        body = self.body
        x = body.conv3(body.relu2(body.conv2(body.relu1(body.conv1(x.double())))))
        return body.head(self.pooled(torch.tanh(x).mean((2, 3, 4)) ** 2))


def exact():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [(f"body.{name}", "NCTHW") for name in LAYERS]
        return toy_model(Double(), [*layers, ("pooled", "NC")])


def noise(count: int, seed: int) -> list[Clip]:
    rng = np.random.default_rng(seed)
    return [
        Clip(rng.integers(0, 256, (16, 64, 64, 3), np.uint8), 25.0, f"clip {seed}.{i}")
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def setting():
    """A net in double precision, 5 scoring clips, 8 concept clips and their activations."""
    model, scoring, clips = exact(), noise(5, 1), noise(8, 2)
    layers = [layer.name for layer in model.entry.layers]
    seen = probe(model, model.prepare(clips), layers=layers, gradients=False)
    rows = {"a": np.arange(4), "b": np.arange(4, 8)}
    digests = tuple(clip.digest() for clip in clips)
    held = Activations(rows, seen.activations, tuple(clip.source for clip in clips), digests)
    gradients = probe(model, model.prepare(scoring), layers=layers, target=1).gradients
    return model, scoring, held, gradients


def close(a, b) -> None:
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-10 * np.abs(b).max())


# values


def test_products_split_by_step_and_place_and_add_up_in_float64(setting) -> None:
    model, scoring, held, gradients = setting
    rng = np.random.default_rng(0)
    masks = {
        "left": np.broadcast_to(np.arange(64) < 32, (5, 16, 64, 64)),
        "dots": rng.random((5, 16, 64, 64)) < 0.3,
    }
    found = derivatives(model, scoring, held, target=1, places=masks, batch_size=2)
    for name, x in held.layers.items():
        g, slopes = gradients[name], found[name]
        mean = x.mean(0)
        whole = torch.einsum("sd,nd->sn", g.flatten(1), (x - mean).flatten(1)).numpy()
        close(slopes.products, whole)
        close(slopes.lengths, g.flatten(1).norm(dim=1).numpy())
        if name == "pooled":
            assert slopes.steps.shape[1] == 1 and not slopes.inside
            continue
        for t in range(g.shape[2]):
            part = torch.einsum("schw,nchw->sn", g[:, :, t], (x - mean)[:, :, t]).numpy()
            np.testing.assert_allclose(slopes.steps[:, t], part, atol=1e-10 * np.abs(whole).max())
        for place, mask in masks.items():
            # Cells are 1x2x2 pixels at the first layer, 2x4x4 at the others.
            t, h, w = g.shape[2:]
            split = mask.reshape(5, t, 16 // t, h, 64 // h, w, 64 // w)
            share = torch.from_numpy(split.mean((2, 4, 6)))[:, None]
            inside, outside = (
                torch.einsum("scthw,ncthw->stn", g * part, x - mean).numpy()
                for part in (share, 1 - share)
            )
            close(slopes.inside[place], inside)
            close(slopes.steps - slopes.inside[place], outside)
            total = slopes.inside[place].sum(1) + outside.sum(1)
            np.testing.assert_allclose(total, whole, rtol=0, atol=1e-10 * np.abs(whole).max())


def test_products_are_what_moving_the_activations_does(setting) -> None:
    """Finite differences through the rest of the network, along an explicit direction."""
    model, scoring, held, _ = setting
    found = derivatives(model, scoring, held, target=2)
    weights = np.random.default_rng(0).normal(size=8)
    weights -= weights.mean()
    body = model.net.body
    x = held.layers["body.conv3"]
    direction = torch.einsum("n,n...->...", torch.from_numpy(weights), x).numpy()
    at = probe(model, model.prepare(scoring), layers=["body.conv3"], gradients=False)

    def score(activations) -> float:
        pooled = torch.tanh(torch.from_numpy(activations)).mean((1, 2, 3)) ** 2
        return float(body.head(pooled)[2].detach())

    for row, start in enumerate(at.activations["body.conv3"].numpy()):
        expected = slow.moved(score, start, direction)
        assert found["body.conv3"].products[row] @ weights == pytest.approx(expected, rel=1e-6)


def test_blocks_of_channels_and_precision(monkeypatch) -> None:
    generator = torch.Generator().manual_seed(0)
    g, x = (torch.randn(n, 12, 2, 3, 3, generator=generator) for n in (3, 7))
    x = x + 30  # far from the origin, where products of raw activations lose digits
    exact = torch.einsum("scthw,ncthw->stn", g.double(), (x.double() - x.double().mean(0)))
    for block in (1, 7 * 18 * 5, 10**6):
        monkeypatch.setattr("vxhelpers.concepts.directional_derivatives._BLOCK", block)
        (steps,) = _products(g, x)
        assert steps.dtype == np.float64  # what the mean is rounded by is common to all clips
        gap = steps - exact.numpy()
        np.testing.assert_allclose(gap - gap.mean(2, keepdims=True), 0, atol=5e-6)
    half = _products(g, x.half())[0]
    exact = torch.einsum("scthw,ncthw->stn", g, x.half().float() - x.half().float().mean(0))
    np.testing.assert_allclose(half, exact.numpy(), atol=2e-5)


def test_batches_and_order_of_clips_do_not_matter_and_a_rerun_is_bitwise_equal(setting) -> None:
    model, scoring, held, _ = setting
    first = derivatives(model, scoring, held, target=0, batch_size=2)
    again = derivatives(model, scoring, held, target=0, batch_size=2)
    other = derivatives(model, scoring[::-1], held, target=0, batch_size=5)
    for name in held.layers:
        assert first[name].steps.tobytes() == again[name].steps.tobytes()
        close(other[name].steps[::-1], first[name].steps)
    assert first.clips[::-1] == other.clips
    assert first.targets.tolist() == [0] * 5 and first.logits.shape == (5, 3)


def test_masks_of_everything_and_of_nothing(setting) -> None:
    model, scoring, held, _ = setting
    masks = {"all": np.ones((5, 16, 64, 64), bool), "none": np.zeros((5, 16, 64, 64), bool)}
    slopes = derivatives(model, scoring, held, target=0, places=masks)["body.conv2"]
    close(slopes.inside["all"], slopes.steps)
    assert not slopes.inside["none"].any()


# one pass for all


class Counter(torch.autograd.Function):
    """Identity that notes how many clips go forward and backward."""

    @staticmethod
    def forward(ctx, x, log):
        ctx.log = log
        log["forward"] += len(x)
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        ctx.log["backward"] += len(gradient)
        return gradient, None


class Counting(nn.Module):
    def __init__(self, log: dict[str, int]) -> None:
        super().__init__()
        self.body, self.log = Deep3d(), log

    def forward(self, x: Tensor) -> Tensor:
        body = self.body
        x = body.relu2(body.conv2(body.relu1(body.conv1(x))))
        return body.tail(Counter.apply(body.conv3(x), self.log))


@pytest.mark.parametrize("layers", [["conv1"], LAYERS], ids=["one layer", "three layers"])
@pytest.mark.parametrize("sets", [2, 5])
def test_a_clip_costs_one_pass_whatever_the_number_of_layers_and_sets(layers, sets) -> None:
    log = {"forward": 0, "backward": 0}
    model = toy_model(Counting(log), [(f"body.{name}", "NCTHW") for name in layers])
    clips = {f"set {i}": noise(4, i) for i in range(sets)}
    held = collect(model, clips, layers=[f"body.{name}" for name in layers])
    assert log == {"forward": 4 * sets, "backward": 0}
    derivatives(model, noise(7, 99), held, target=0, batch_size=3)
    assert log == {"forward": 4 * sets + 7, "backward": 7}


# heads that leave the sign count nothing to say


class Headed(nn.Module):
    """Channels' means through a linear head, bent or not."""

    def __init__(self, classes: int, *, bent: bool = False) -> None:
        super().__init__()
        self.conv, self.bent = nn.Conv3d(3, 4, 1), bent
        self.head = nn.Linear(4, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).mean((2, 3, 4))
        return self.head(x.sigmoid() if self.bent else x)


def headed(classes: int = 3, *, of: str = "logit", target=0, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        labels = tuple(f"class {i}" for i in range(classes))
        model = toy_model(Headed(classes, **options), [("conv", "NCTHW")], labels)
    held = collect(model, {"a": noise(4, 0)}, layers=["conv"])
    clips = [replace(clip, frames=clip.frames // (i + 1)) for i, clip in enumerate(noise(4, 1))]
    return derivatives(model, clips, held, target=target, of=of)["conv"]


def test_a_linear_head_is_noticed_at_a_layer_with_space_and_time_too() -> None:
    slopes = headed()
    assert slopes.constant and slopes.degenerate.startswith("only linear operations follow")
    assert "exactly 0 or 1" in slopes.degenerate


def test_log_probabilities_of_two_classes_have_parallel_gradients_and_of_three_have_not() -> None:
    two = headed(2, of="log_probability")
    assert not two.constant and two.degenerate.startswith("the gradients of all clips are parallel")
    assert not headed(3, of="log_probability").degenerate
    mixed = headed(3, target=[0, 1, 0, 1])
    assert not mixed.constant and not mixed.degenerate


def test_a_bent_head_is_not_degenerate() -> None:
    slopes = headed(bent=True)
    assert not slopes.constant and not slopes.degenerate
    assert slopes.spread[0] == 0 and slopes.spread.max() > 1e-3


class Dead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv3d(3, 2, 1), nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head((self.conv(x).mean((2, 3, 4)) - 100).relu())


def test_gradients_that_are_all_zero_are_said() -> None:
    model = toy_model(Dead(), [("conv", "NCTHW")])
    held = collect(model, {"a": noise(4, 0)}, layers=["conv"])
    slopes = derivatives(model, noise(3, 1), held, target=0)["conv"]
    assert not slopes.constant and not slopes.products.any()
    assert "every gradient is zero" in slopes.degenerate


# bad input


@pytest.fixture(scope="module")
def plain():
    model = toy_model(Deep3d(), [(name, "NCTHW") for name in LAYERS])
    sets = {"racket": noise(4, 0), "random 1": noise(4, 1)}
    return model, sets, collect(model, sets, layers=["conv2"])


def test_scoring_clips_among_concept_clips_are_refused_and_listed(plain) -> None:
    model, sets, held = plain
    clips = [*noise(3, 5), replace(sets["racket"][2], source="other name"), sets["random 1"][0]]
    with pytest.raises(InputError, match="2 scoring clips are also concept or random") as error:
        derivatives(model, clips, held, target=0)
    assert "other name [0, 0.64) s (in racket)" in str(error.value)
    assert "clip 1.0 [0, 0.64) s (in random 1)" in str(error.value)
    twice = noise(2, 5) + noise(1, 5)
    with pytest.raises(InputError, match=r"the same scoring clip twice: clip 5\.0 "):
        derivatives(model, twice, held, target=0)


def test_unknown_classes_are_refused_before_anything_runs(plain) -> None:
    model, _, held = plain
    with pytest.raises(UnknownNameError, match="did you mean 'left'"):
        derivatives(model, noise(2, 5), held, target="lef")
    with pytest.raises(InputError, match=r"class 3 .* 3 classes"):
        derivatives(model, noise(2, 5), held, target=3)
    with pytest.raises(InputError, match="no scoring clips"):
        derivatives(model, [], held, target=0)


class Aside(nn.Module):
    """A layer that runs, but that the score does not depend on."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.aside = nn.Conv3d(3, 2, 1), nn.Conv3d(3, 2, 1)
        self.head = nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        self.aside(x)
        return self.head(self.conv(x).mean((2, 3, 4)))


def test_a_layer_without_gradient_is_named() -> None:
    model = toy_model(Aside(), [("conv", "NCTHW"), ("aside", "NCTHW")])
    held = collect(model, {"a": noise(4, 0)}, layers=["conv", "aside"])
    with pytest.raises(InputError, match="no gradient reaches layer 'aside'"):
        derivatives(model, noise(2, 5), held, target=0)


def test_activations_of_another_size_are_refused(plain) -> None:
    model, _, held = plain
    small = replace(held, layers={"conv2": held.layers["conv2"][..., :8]})
    with pytest.raises(InputError, match=r"layer 'conv2': gradients .*16, 16\) .*16, 8\)"):
        derivatives(model, noise(2, 5), small, target=0)


def test_masks_that_do_not_fit_are_refused(plain) -> None:
    model, _, held = plain
    with pytest.raises(InputError, match="place 'racket'"):
        derivatives(
            model, noise(2, 5), held, target=0, places={"racket": np.ones((1, 16, 64, 64), bool)}
        )


def test_a_clip_that_breaks_the_network_is_named(plain) -> None:
    _, sets, _ = plain

    class Fragile(Deep3d):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(torch.where(x > 2.4, torch.nan, x))

    dim = [replace(clip, frames=clip.frames // 2) for clip in [*sets["racket"], *noise(3, 5)]]
    fragile = toy_model(Fragile(), [("conv2", "NCTHW")])
    held = collect(fragile, {"racket": dim[:4]}, layers=["conv2"])
    bad = dim[4].frames.copy()
    bad[3, 4, 5] = 255
    clips = [dim[5], replace(dim[4], frames=bad, source="the bright one"), dim[6]]
    with pytest.raises(NotFiniteError, match=r"the bright one .*layer 'conv2'"):
        derivatives(fragile, clips, held, target=0)


def test_running_out_of_memory_says_what_to_try(plain, monkeypatch) -> None:
    model, _, held = plain

    def full(*_args, **_options):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")

    monkeypatch.setattr(model.net.conv3, "forward", full)
    with pytest.raises(InputError, match="try batch_size=2"):
        derivatives(model, noise(6, 5), held, target=0, batch_size=4)


def test_an_unknown_layer_suggests_the_nearest(plain) -> None:
    model, _, held = plain
    found = derivatives(model, noise(2, 5), held, target=None)
    assert found.targets.tolist() == found.logits.argmax(1).tolist()
    with pytest.raises(UnknownNameError, match="did you mean 'conv2'"):
        found["conv3"]
