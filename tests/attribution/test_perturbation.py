import copy
from collections.abc import Callable
from functools import cache
from itertools import combinations, product
from math import factorial

import numpy as np
import numpy.typing as npt
import pytest
import torch
from captum._utils.models.linear_model import SkLearnRidge
from captum.attr import KernelShap, Lime, Occlusion
from torch import Tensor, nn
from toys import Deep3d, Linear3d, assert_same, clips, toy_model

from vxhelpers.attribution.base import seeded
from vxhelpers.attribution.perturbation import occlusion, rise, rise_map
from vxhelpers.attribution.surrogate import kernel_shap, lime
from vxhelpers.data import sampling, stage
from vxhelpers.data.segmentation.supervoxels import segment
from vxhelpers.errors import InputError, NotFiniteError, UnknownNameError
from vxhelpers.models import zoo

Map = Callable[..., Tensor]
NETS = ["stage_r3d", "stage_swin3d"]


def rng(seed: int = 7) -> np.random.Generator:
    return np.random.default_rng(seed)


def deep() -> zoo.Model:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return toy_model(Deep3d(), [("conv1", "NCTHW")])


def blocks(count: int = 1, size: tuple[int, int, int] = (4, 8, 8)) -> npt.NDArray[np.int64]:
    """Eight segments a clip, named with gaps and from below zero: halves along each axis."""
    t, i, j = np.meshgrid(*(np.arange(n) * 2 // n for n in size), indexing="ij")
    return np.repeat((10 * (4 * t + 2 * i + j) - 5)[None], count, 0)


class Planted(nn.Module):
    """Logits linear in the voxels, with weights of one's own and an offset."""

    def __init__(self, weights: Tensor, offset: float = 3.0) -> None:
        super().__init__()
        self.register_buffer("weights", weights)
        self.offset = nn.Parameter(torch.tensor(offset))

    def forward(self, x: Tensor) -> Tensor:
        score = (x * self.weights).sum((1, 2, 3, 4)) + self.offset
        return torch.stack([score, -score, 0 * score], 1)


def planted(shape: tuple[int, ...] = (3, 4, 8, 8)) -> tuple[zoo.Model, Tensor, Tensor]:
    """A linear model, two clips, and what each voxel adds to the score."""
    weights, x = clips(*shape, seed=2), clips(2, *shape)
    return toy_model(Planted(weights), [("", "NC")]), x, (x * weights).sum(1)


def by_block(worth: Tensor, segments: npt.NDArray[np.int64]) -> Tensor:
    """The sum of each segment, at all its voxels."""
    found = torch.empty_like(worth)
    for values, labels, to in zip(worth, segments, found, strict=True):
        for label in np.unique(labels):
            mask = torch.from_numpy(labels == label)
            to[mask] = values[mask].sum()
    return found


MAPS: dict[str, Map] = {
    "occlusion": lambda *args, **options: occlusion(*args, window=(2, 4, 4), **options),
    "rise": lambda *args, **options: rise(
        *args, **{"rng": rng(), "samples": 20, "cells": (2, 3, 3), **options}
    ),
    "lime": lambda model, x, **options: lime(
        model, x, **{"rng": rng(), "samples": 20, "segments": blocks(len(x)), **options}
    ),
    "kernel_shap": lambda model, x, **options: kernel_shap(
        model, x, **{"rng": rng(), "samples": 20, "segments": blocks(len(x)), **options}
    ),
}
every = pytest.mark.parametrize("method", MAPS.values(), ids=MAPS.keys())
drawn_ones = pytest.mark.parametrize("method", [*MAPS.values()][1:], ids=[*MAPS][1:])


# occlusion


def slow_occlusion(
    model: zoo.Model, x: Tensor, window: tuple[int, ...], strides: tuple[int, ...], target: int
) -> Tensor:
    size = x.shape[2:]
    full = float(model.net(x)[0, target].detach())
    total, times = torch.zeros(*size).double(), torch.zeros(*size)
    starts = []
    for n, box, step in zip(size, window, strides, strict=True):
        along = [0]
        while along[-1] + box < n:
            along.append(along[-1] + step)
        starts.append(along)
    for corner in product(*starts):
        place = tuple(slice(c, c + w) for c, w in zip(corner, window, strict=True))
        hidden = x.clone()
        hidden[0, :, *place] = 0
        total[place] += full - float(model.net(hidden)[0, target].detach())
        times[place] += 1
    return (total / times)[None]


def test_occlusion_of_a_linear_score_by_hand() -> None:
    model, x, worth = planted()
    found = occlusion(model, x, window=(1, 1, 1), target=0)
    torch.testing.assert_close(found, worth, atol=2e-4, rtol=0)
    found = occlusion(model, x, window=(2, 4, 4), strides=(2, 4, 4), target=[1, 0])
    expected = by_block(worth, blocks(2)) * torch.tensor([-1, 1]).view(2, 1, 1, 1)
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=0)


@pytest.mark.parametrize("strides", [(1, 2, 2), (2, 3, 1)])
def test_occlusion_agrees_with_the_slow_reference(strides: tuple[int, int, int]) -> None:
    model, x = deep(), clips(2, 3, 4, 7, 6)
    found = occlusion(model, x, window=(2, 3, 2), strides=strides, target=[1, 2])
    for clip, target in ((0, 1), (1, 2)):
        expected = slow_occlusion(model, x[[clip]], (2, 3, 2), strides, target)
        assert_same(found[[clip]], expected, 1e-4)


@pytest.mark.parametrize("batch_size", [1, 5, None])
def test_occlusion_costs_what_its_docstring_says(batch_size: int | None) -> None:
    model, x = deep(), clips(1, 3, 8, 16, 16)
    seen = []
    with model.net.register_forward_pre_hook(lambda _m, args: seen.append(len(args[0]))):
        occlusion(model, x, target=0, batch_size=batch_size)
    assert sum(seen) == 1 + 7**3
    assert max(seen) == (batch_size or 16)


# RISE


def slow_rise(model: zoo.Model, x: Tensor, source: np.random.Generator, target: int) -> Tensor:
    """As the paper's code: resize a grid of 0 and 1, cut a window out at random."""
    size, cells, samples = (4, 8, 8), (2, 3, 3), 20
    grids = source.random((samples, *cells)) < 0.5
    shares = source.random((samples, 3))
    steps = [-(-n // c) for n, c in zip(size, cells, strict=True)]
    masks, scores = [], []
    for grid, share in zip(grids, shares, strict=True):
        mask = np.zeros(size)
        start = [int(s * step) for s, step in zip(share, steps, strict=True)]
        for voxel in product(*map(range, size)):
            # Cell middles in place, linear between them, even beyond the outer ones.
            corners = []
            for v, at, c, step in zip(voxel, start, cells, steps, strict=True):
                place = (v + at + 0.5) * c / ((c + 1) * step) - 0.5
                place = min(max(place, 0), c - 1)
                low = min(int(place), c - 2)
                corners.append([(low, 1 - (place - low)), (low + 1, place - low)])
            mask[voxel] = sum(
                grid[a, b, d] * p * q * r for (a, p), (b, q), (d, r) in product(*corners)
            )
        masks.append(mask)
        seen = x * torch.from_numpy(mask).float()
        scores.append(float(model.net(seen)[0, target].detach()))
    weighted = sum(m * s for m, s in zip(masks, scores, strict=True)) / sum(masks)
    return torch.from_numpy(weighted - np.mean(scores))[None]


def test_rise_agrees_with_the_slow_reference() -> None:
    model, x = deep(), clips(2, 3, 4, 8, 8)
    found = MAPS["rise"](model, x, target=[2, 0])
    for clip, target in ((0, 2), (1, 0)):
        assert_same(found[[clip]], slow_rise(model, x[[clip]], rng(), target), 1e-4)


def test_rise_finds_planted_evidence_in_time_and_place_with_its_sign() -> None:
    weights = torch.zeros(1, 8, 16, 16)
    weights[:, :4, :8, :8], weights[:, 4:, 8:, 8:] = 1.0, -1.0
    model = toy_model(Planted(weights), [("", "NC")])
    found = rise(
        model, torch.ones(1, 1, 8, 16, 16), target=0, rng=rng(), samples=4000, cells=(4, 4, 4)
    )[0]
    for_it, against = found[:3, :6, :6].mean(), found[5:, 10:, 10:].mean()
    elsewhere = torch.cat([found[:2, 12:, :4].flatten(), found[6:, :4, 12:].flatten()])
    assert for_it > 5 * elsewhere.abs().mean() and against < -5 * elsewhere.abs().mean()


def test_an_offset_of_the_score_changes_nothing_in_rise() -> None:
    model, x, _ = planted()
    before = MAPS["rise"](model, x, target=0)
    with torch.no_grad():
        model.net.offset.add_(10)
    torch.testing.assert_close(MAPS["rise"](model, x, target=0), before, atol=1e-4, rtol=1e-4)


def test_one_cell_along_time_hides_all_frames_alike() -> None:
    model, x = deep(), clips(1, 3, 4, 8, 8)
    found = MAPS["rise"](model, x, cells=(1, 3, 3), target=0)
    torch.testing.assert_close(found, found[:, :1].expand_as(found))
    assert found[0, 0].std() > 0


# LIME and kernel SHAP


def test_kernel_shap_of_a_linear_score_is_exact() -> None:
    model, x, worth = planted()
    found = kernel_shap(model, x, segments=blocks(2), rng=rng(), samples=40, target=0)
    assert_same(found, by_block(worth, blocks(2)), 1e-4)


class Interacts(nn.Module):
    """A score of three stripes that is not linear: a b + max(b, c) + 2 c."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        a, b, c = x.mean((1, 3, 4)).T * self.one
        return torch.stack([a * b + torch.maximum(b, c) + 2 * c, a, b], 1)


def shapley(value: Callable[[set[int]], float], players: int) -> list[float]:
    """The definition: what each adds to every coalition, weighed by how many orders lead to it."""
    found = []
    for player in range(players):
        others = [p for p in range(players) if p != player]
        total = 0.0
        for size in range(players):
            weight = factorial(size) * factorial(players - size - 1) / factorial(players)
            for group in combinations(others, size):
                total += weight * (value({*group, player}) - value({*group}))
        found.append(total)
    return found


def test_kernel_shap_nears_shapley_s_values_where_parts_interact() -> None:
    model = toy_model(Interacts(), [("", "NC")])
    x = torch.tensor([2.0, 3.0, 4.0]).view(1, 1, 3, 1, 1).expand(1, 1, 3, 2, 2)
    segments = np.arange(3)[None, :, None, None].repeat(2, 2).repeat(2, 3)

    def value(shown: set[int]) -> float:
        mask = torch.tensor([t in shown for t in range(3)]).float().view(1, 1, 3, 1, 1)
        return float(model.net(x * mask)[0, 0].detach())

    expected = shapley(value, 3)
    found = kernel_shap(
        model, x, segments=segments, rng=rng(), samples=3000, target=0, batch_size=500
    )
    np.testing.assert_allclose(found[0, :, 0, 0], expected, atol=0.15)
    alone = [value({t}) for t in range(3)]
    assert np.abs(np.subtract(alone, expected)).max() > 1, "the toy must interact"


@pytest.mark.parametrize("of", ["logit", "log_probability"])
def test_shapley_values_add_up_to_the_score(of: str) -> None:
    model, x = deep(), clips(2, 3, 4, 8, 8)
    found = kernel_shap(model, x, segments=blocks(2), rng=rng(), samples=60, target=[0, 2], of=of)
    values = np.stack(
        [[found[n][blocks()[0] == s][0] for s in np.unique(blocks())] for n in (0, 1)]
    )
    score = model.net if of == "logit" else lambda clip: model.net(clip).log_softmax(1)
    change = (score(x) - score(0 * x))[[0, 1], [0, 2]].detach().numpy()
    np.testing.assert_allclose(values.sum(1), change, rtol=1e-3, atol=1e-4)


def test_lime_of_a_linear_score_has_the_right_signs_and_order() -> None:
    model, x, worth = planted()
    found = lime(model, x, segments=blocks(2), rng=rng(), samples=400, target=0)
    expected = by_block(worth, blocks(2))
    assert torch.equal(found.sign(), expected.sign())
    for values, truth in zip(found, expected, strict=True):
        assert torch.equal(
            values.flatten().argsort(stable=True), truth.flatten().argsort(stable=True)
        )
    # Without the penalty the regression of a linear score is the score.
    exact = lime(model, x, segments=blocks(2), rng=rng(), samples=400, target=0, ridge=0)
    assert_same(exact, expected, 1e-3)


def test_lime_s_penalty_leaves_the_map_s_scale_to_the_score() -> None:
    model, x = deep(), clips(2, 3, 4, 8, 8)
    before = MAPS["lime"](model, x, target=1)
    with torch.no_grad():
        model.net.head.weight.mul_(-3)
        model.net.head.bias.mul_(-3)
    torch.testing.assert_close(MAPS["lime"](model, x, target=1), -3 * before, atol=1e-5, rtol=1e-3)


def test_lime_weighs_views_by_how_much_they_show() -> None:
    model, x = deep(), clips(1, 3, 4, 8, 8)
    near, far = (MAPS["lime"](model, x, target=1, kernel_width=w) for w in (0.05, 100.0))
    assert not torch.allclose(near, far, atol=1e-3 * float(far.abs().max()))
    with seeded(rng(), x.device):
        plain = Lime(model.net, SkLearnRidge(alpha=1.0), similarity_func=lambda *_, **__: 1.0)
        labels = torch.from_numpy(blocks() // 10 + 1)[None]
        expected = plain.attribute(x, target=1, feature_mask=labels, n_samples=20)
    assert_same(far, expected[:, 0], 1e-3)


def test_names_of_segments_do_not_matter() -> None:
    model, x = deep(), clips(2, 3, 4, 8, 8)
    renamed = (blocks(2).astype(np.int16) + 5) // 10
    for name in ("lime", "kernel_shap"):
        expected = MAPS[name](model, x, target=0)
        assert torch.equal(MAPS[name](model, x, target=0, segments=[*renamed]), expected)


# captum by hand, and the shipped networks


@cache
def shipped(name: str) -> tuple[zoo.Model, Tensor, npt.NDArray[np.int16]]:
    model = zoo.load(name, weights="motion")
    clip = stage.render("motion", "test", 0, size=64).clip
    entry = model.entry
    seen = sampling.view(
        clip, frames=entry.frames, stride=entry.stride, resize=entry.resize, crop=entry.crop
    )
    return model, model.prepare(clip), segment(seen, (8,)).labels


@pytest.mark.parametrize("name", NETS)
def test_equals_captum_by_hand_on_the_shipped_networks(name: str) -> None:
    model, x, segments = shipped(name)
    with torch.no_grad():
        hidden = Occlusion(model.net).attribute(
            x, (3, 8, 32, 32), strides=(3, 8, 16, 32), baselines=0, target=1
        )
    found = occlusion(model, x, window=(8, 32, 32), strides=(8, 16, 32), target=1)
    assert found.shape == (1, 16, 64, 64)
    assert_same(found, hidden[:, 0], 1e-5)
    volume = torch.from_numpy(segments.astype(np.int64))[None]
    with seeded(rng(), x.device):
        values = KernelShap(model.net).attribute(
            x, target=1, feature_mask=volume, n_samples=20, perturbations_per_eval=8
        )
    options = {"segments": segments, "rng": rng(), "samples": 20, "target": 1}
    assert_same(kernel_shap(model, x, batch_size=8, **options), values[:, 0], 1e-4)
    views = lime(model, x, **options)
    assert len(np.unique(views)) == len(np.unique(segments)) and views.shape == (1, 16, 64, 64)
    seen = rise(model, x, rng=rng(), samples=6, cells=(2, 2, 2), target=1)
    assert seen.shape == (1, 16, 64, 64) and float(seen.abs().max()) > 0


# invariances


@every
def test_batches_do_not_matter_and_nothing_is_touched(method: Map) -> None:
    model, x = deep(), clips(3, 3, 4, 8, 8)
    kept, weights = x.clone(), copy.deepcopy(model.net.state_dict())
    state, drawn = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    whole = method(model, x, target=[0, "still", 1])
    assert whole.shape == (3, 4, 8, 8) and whole.dtype == torch.float32 and not whole.requires_grad
    assert torch.equal(method(model, x, target=[0, 2, 1]), whole)
    assert_same(method(model, x, target=[0, 2, 1], batch_size=3), whole, 1e-3)
    assert_same(method(model, x[:1], target=0), whole[:1], 1e-3)
    assert torch.equal(x, kept)
    assert all(torch.equal(value, weights[key]) for key, value in model.net.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.net.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], drawn)  # noqa: NPY002


@every
def test_predicted_class_is_the_default(method: Map) -> None:
    model, x = deep(), clips(3, 3, 4, 8, 8)
    predicted = model.net(x).argmax(1)
    assert torch.equal(method(model, x), method(model, x, target=predicted))
    other = method(model, x, target=predicted, of="log_probability")
    assert not torch.allclose(other, method(model, x), atol=1e-4)


@drawn_ones
def test_draws_follow_the_generator(method: Map) -> None:
    model, x = deep(), clips(1, 3, 4, 8, 8)
    first = method(model, x, target=0)
    torch.manual_seed(99)
    assert torch.equal(method(model, x, target=0, rng=rng(7)), first)
    assert not torch.equal(method(model, x, target=0, rng=rng(8)), first)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
@every
def test_works_within_no_grad_and_on_inference_tensors(method: Map, context: type) -> None:
    model, x = deep(), clips(2, 3, 4, 8, 8)
    expected = method(model, x, target=0)
    with context():
        assert torch.equal(method(model, x * 1, target=0), expected)


@every
def test_runs_cost_no_graph(method: Map) -> None:
    model, x = deep(), clips(1, 3, 4, 8, 8)
    graphs = []
    with model.net.register_forward_hook(lambda _m, _i, out: graphs.append(out.requires_grad)):
        method(model, x, target=0)
    assert graphs and not any(graphs)


@pytest.mark.parametrize("name", ["rise", "lime", "kernel_shap"])
def test_costs_what_the_docstrings_say(name: str) -> None:
    model, x = deep(), clips(1, 3, 4, 8, 8)
    seen = []
    with model.net.register_forward_pre_hook(lambda _m, args: seen.append(len(args[0]))):
        MAPS[name](model, x, target=0, samples=21)
    assert sum(seen) == 21 and max(seen) == 16


# errors


@every
def test_bad_input_is_named(method: Map) -> None:
    model, x = deep(), clips(3, 3, 4, 8, 8)
    with pytest.raises(UnknownNameError, match=r"label 'lefft'.*did you mean 'left'"):
        method(model, x, target="lefft")
    with pytest.raises(InputError, match="2 targets for 3 clips"):
        method(model, x, target=[0, 1])
    with pytest.raises(InputError, match="of='odds'"):
        method(model, x, of="odds")
    with pytest.raises(InputError, match="batch_size=0"):
        method(model, x, batch_size=0)
    x[1, 0, 0, 0, 0] = torch.nan
    with pytest.raises(NotFiniteError, match="the pixels for clip 1:"):
        method(model, x)
    with pytest.raises(InputError, match=r"training mode: call model.net.eval\(\)"):
        model.net.train()
        method(model, x)


@every
def test_scores_that_are_not_finite_name_the_clip_and_leave_nothing_behind(method: Map) -> None:
    model, x, _ = planted()
    state = torch.get_rng_state()
    x[1] = 3e38 * x[1].sign()
    with pytest.raises(NotFiniteError, match="the logits for clip 1:"):
        method(model, x, target=0)
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    assert not any(len(getattr(m, kind)) for m in model.net.modules() for kind in kinds)
    assert torch.equal(torch.get_rng_state(), state) and torch.is_grad_enabled()


@pytest.mark.parametrize("method", [lime, kernel_shap])
def test_segments_that_do_not_fit_are_named(method: Map) -> None:
    model, x = deep(), clips(2, 3, 4, 8, 8)

    def cut(segments: object, samples: int = 20) -> None:
        method(model, x, segments=segments, rng=rng(), samples=samples)

    with pytest.raises(InputError, match="1 label volumes for 2 clips"):
        cut(blocks())
    with pytest.raises(InputError, match=r"clip 0 are int64 \(4, 8, 7\), not whole.*\(4, 8, 8\)"):
        cut(blocks(2)[..., 1:])
    with pytest.raises(InputError, match=r"clip 0 are float64"):
        cut(blocks(2) / 2)
    with pytest.raises(InputError, match="clip 1 is one segment"):
        cut([blocks()[0], 0 * blocks()[0]])
    with pytest.raises(InputError, match="samples=9 are too few for the 8 segments of clip 0"):
        cut(blocks(2), samples=9)


def test_options_out_of_range() -> None:
    model, x = deep(), clips(1, 3, 4, 8, 8)
    for options in (
        {"window": (5, 4, 4)},
        {"window": (0, 4, 4)},
        {"window": (2, 4, 4), "strides": (1, 5, 1)},
        {"window": (2, 4, 4), "strides": (0, 1, 1)},
        {"window": (2, 4)},
    ):
        with pytest.raises(InputError, match=r"the window within the clip's \(4, 8, 8\)"):
            occlusion(model, x, **options)
    for options in ({"keep": 1.0}, {"samples": 1}):
        with pytest.raises(InputError, match="between 0 and 1, and at least 2"):
            rise(model, x, rng=rng(), **options)
    with pytest.raises(InputError, match=r"cells=\(5, 3, 3\) are from 1 to .* \[4, 8, 8\]"):
        rise(model, x, rng=rng(), cells=(5, 3, 3))
    with pytest.raises(InputError, match="never show some voxels: draw more samples"):
        rise(model, x, rng=rng(), cells=(4, 8, 8), samples=2, keep=0.01)
    for options in ({"kernel_width": 0}, {"ridge": -1}):
        with pytest.raises(InputError, match="above 0, and 0 or more"):
            lime(model, x, rng=rng(), segments=blocks(), **options)


def test_memory_advice_counts_the_inputs_of_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = toy_model(Linear3d(), [("conv", "NCTHW")]), clips(1, 1, 4, 8, 8)

    def full(*_: object) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(model.net, "forward", full)
    with pytest.raises(InputError, match="a batch of 12 does not fit in memory: try batch_size=6"):
        occlusion(model, x, target=0, batch_size=12)


def test_rise_by_hand() -> None:
    masks = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    scores = torch.tensor([3.0, 1.0])
    found = rise_map((scores[:, None] * masks).sum(0), masks.sum(0), 2.0)
    assert found.tolist() == [0.0, -1.0]
