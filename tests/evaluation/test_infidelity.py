"""captum's infidelity and sensitivity: equal to captum by hand, analytic, seeded."""

from functools import partial

import numpy as np
import pytest
import torch
from captum.attr import Saliency
from captum.metrics import infidelity as captum_infidelity
from captum.metrics import sensitivity_max as captum_sensitivity
from torch import Tensor, nn
from toys import Deep3d, toy_model

from vxhelpers.attribution.gradcam import gradcam
from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.evaluation.infidelity import infidelity, sensitivity_max
from vxhelpers.evaluation.map_similarity import blocks
from vxhelpers.models import zoo

GREY = 1 / (255 * 0.225)  # of the toy's entry


class Linear(nn.Module):
    """Logits (w x, 0, 0), all of them linear."""

    def __init__(self) -> None:
        super().__init__()
        weight = torch.randn(3, 4, 6, 6, generator=torch.Generator().manual_seed(0))
        self.weight = nn.Parameter(weight)

    def forward(self, x: Tensor) -> Tensor:
        total = (x * self.weight).sum((1, 2, 3, 4))
        return torch.stack([total, torch.zeros_like(total), torch.zeros_like(total)], 1)


def linear() -> zoo.Model:
    return toy_model(Linear(), [("", "NC")])


def deep() -> zoo.Model:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return toy_model(Deep3d(), [("conv1", "NCTHW"), ("conv3", "NCTHW")])


def clips(n: int = 2, seed: int = 1) -> Tensor:
    return torch.randn(n, 3, 4, 6, 6, generator=torch.Generator().manual_seed(seed))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


CELL = (2, 2, 3)


# infidelity


def test_true_contributions_and_gradients_have_none():
    model, x = linear(), clips()
    weight = model.net.weight.detach()
    scale = float((x * weight).sum((1, 2, 3, 4)).var())
    for maps, perturb in (((x * weight).sum(1), "blank"), (weight.sum(0).expand(2, -1, -1, -1), "noise")):  # fmt: skip  # noqa: E501
        options = {"target": 0, "perturb": perturb, "cell": CELL, "rng": rng()}
        for normalize in (True, False):
            out = infidelity(model, x, maps, **options, normalize=normalize)
            assert (out.values >= 0).all() and (out.values < 1e-5 * scale).all()
            assert (out.baseline > 1e-2 * out.values.max()).all() and out.better == "lower"
        wrong = infidelity(model, x, 5 * maps, **options, normalize=False)
        assert (wrong.values > 10 * wrong.baseline).all(), "without a scale of its own, 5 is wrong"
        right = infidelity(model, x, 5 * maps, **options)
        assert (right.values < 1e-5 * scale).all()


@pytest.mark.parametrize("perturb", ["blank", "noise"])
@pytest.mark.parametrize("normalize", [True, False])
def test_equals_captum_and_the_definition(perturb: str, normalize: bool) -> None:
    model, x = deep(), clips()
    maps = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(2))
    out = infidelity(
        model, x, maps, target=[2, 1], perturb=perturb, cell=CELL, share=0.3, level=30.0,
        samples=6, normalize=normalize, rng=rng(), batch_size=4,
    )  # fmt: skip
    labels, draws = blocks((4, 6, 6), CELL), rng()
    for n, target in enumerate([2, 1]):
        drawn = []
        for count in (4, 2):
            if perturb == "blank":
                step = (draws.random((count, labels.max() + 1)) < 0.3)[:, labels]
            else:
                step = draws.standard_normal((count, 4, 6, 6)) * 30 * GREY
            drawn.append(
                torch.from_numpy(step.astype(np.float32))[:, None].expand(-1, 3, -1, -1, -1)
            )
        step = torch.cat(drawn)
        changed = x[n] - step * (x[n] if perturb == "blank" else 1)
        spread = (maps[n] / 3).expand(3, -1, -1, -1)
        captum = captum_infidelity(
            model.net,
            lambda _, step=step, changed=changed: (step, changed),
            x[n : n + 1],
            spread[None],
            target=target,
            n_perturb_samples=6,
            normalize=normalize,
        )
        assert out.values[n] == pytest.approx(float(captum[0]), rel=1e-4)
        with torch.no_grad():
            cost = model.net(x[n : n + 1])[0, target] - model.net(changed)[:, target]
        said = (step[:, 0] * maps[n]).sum((1, 2, 3))
        beta = float((said * cost).sum() / said.square().sum()) if normalize else 1.0
        by_hand = float((beta * said - cost).square().mean())
        assert out.values[n] == pytest.approx(by_hand, rel=1e-3)
        even = step[:, 0].sum((1, 2, 3)) if normalize else torch.zeros(6)
        beta = float((even * cost).sum() / even.square().sum()) if normalize else 1.0
        by_hand = float((beta * even - cost).square().mean())
        assert out.baseline[n] == pytest.approx(by_hand, rel=1e-3)


def test_log_probabilities_are_their_own_score():
    model, x = deep(), clips()
    options = {"cell": CELL, "normalize": False, "target": 0}
    logit = infidelity(model, x, torch.zeros(2, 4, 6, 6), **options, rng=rng())
    other = infidelity(
        model, x, torch.zeros(2, 4, 6, 6), **options, of="log_probability", rng=rng()
    )
    assert logit.flat.all() and (logit.values == logit.baseline).all()
    assert (logit.values != other.values).all()


def test_seeds_batches_and_the_global_generator():
    model, x, maps = deep(), clips(), clips()[:, 0]
    torch.manual_seed(4)
    before, kept = torch.random.get_rng_state(), x.clone()
    runs = [infidelity(model, x, maps, cell=CELL, rng=rng(s), batch_size=b) for s, b in ((0, 16), (0, 16), (0, 7), (1, 16))]  # fmt: skip  # noqa: E501
    first, again, pieces, other = [run.values for run in runs]
    assert (first == again).all() and (first != other).all()
    np.testing.assert_allclose(pieces, first, rtol=1e-4)
    assert torch.equal(before, torch.random.get_rng_state()) and torch.equal(x, kept)
    assert all(parameter.grad is None for parameter in model.net.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"perturb": "cut"}, "perturb='cut'"),
        ({"of": "probability"}, "of='probability'"),
        ({"share": 1.0}, r"share=1\.0"),
        ({"samples": 0}, "samples=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"cell": (0, 1, 1)}, "cell="),
    ],
)
def test_bad_options(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        infidelity(deep(), clips(), clips()[:, 0], **options, rng=rng())


def test_bad_maps_and_values():
    with pytest.raises(InputError, match="infidelity: maps of shape"):
        infidelity(deep(), clips(), clips(), rng=rng())
    maps = clips()[:, 0]
    maps[1, 0, 0, 0] = torch.nan
    with pytest.raises(NotFiniteError, match="map of clip 1"):
        infidelity(deep(), clips(), maps, rng=rng())

    class Fragile(Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) / (x[:, :1].abs().amin((1, 2, 3, 4), keepdim=False)[:, None])

    with pytest.raises(NotFiniteError, match="changed version of clip 0"):
        infidelity(toy_model(Fragile(), [("", "NC")]), clips(), clips()[:, 0], cell=CELL, rng=rng())


# sensitivity


def saliency(model: zoo.Model, x: Tensor, *, target: Tensor) -> Tensor:
    x = x.detach().clone().requires_grad_()
    return Saliency(model.net).attribute(x, target=target, abs=False).sum(1)


@pytest.mark.parametrize("method", [saliency, partial(gradcam, layer="conv1")])
def test_sensitivity_equals_captum(method) -> None:
    model, x = deep(), clips()
    out = sensitivity_max(model, method, x, level=5.0, samples=5, target=1, rng=rng(), batch_size=2)
    draws = rng()
    for n in range(2):

        def near(clips: Tensor) -> Tensor:
            drawn = draws.uniform(-1, 1, tuple(clips.shape)).astype(np.float32)
            return clips + torch.from_numpy(drawn) * 5 * GREY

        def maps(clips) -> tuple[Tensor]:
            batch = clips[0] if isinstance(clips, tuple) else clips
            with torch.enable_grad():
                target = torch.ones(len(batch), dtype=torch.long)
                return (method(model, batch, target=target),)

        captum = captum_sensitivity(
            maps, x[n : n + 1], near, n_perturb_samples=5, max_examples_per_batch=2
        )
        assert out.values[n] == pytest.approx(float(captum[0]), rel=1e-4)
    own = method(model, x, target=torch.tensor([1, 1])).flatten(1)
    expected = (own[0] - own[1]).norm() / own.norm(dim=1)
    np.testing.assert_allclose(out.baseline, expected, rtol=1e-5)
    assert (out.values > 0).all() and out.better == "lower"


def test_a_map_that_is_the_input_by_hand():
    model, x = linear(), clips()

    def red(model: zoo.Model, x: Tensor, *, target: Tensor) -> Tensor:
        return x[:, 0]

    out = sensitivity_max(model, red, x, level=2.0, samples=3, rng=rng())
    draws = rng()
    for n in range(2):
        drawn = draws.uniform(-1, 1, (3, 3, 4, 6, 6))[:, 0] * 2 * GREY
        size = np.linalg.norm(drawn.reshape(3, -1), axis=1).max()
        assert out.values[n] == pytest.approx(size / float(x[n, 0].norm()), rel=1e-5)


def test_a_map_that_ignores_the_clip_does_not_move():
    model, x = linear(), clips(1)

    def even(model: zoo.Model, x: Tensor, *, target: Tensor) -> Tensor:
        return torch.ones(6).expand(len(x), 4, 6, 6)  # not contiguous: captum could not view it

    out = sensitivity_max(model, even, x, rng=rng())
    assert out.values.tolist() == [0.0] and out.baseline is None and out.flat.all()
    with pytest.raises(InputError, match="samples=0"):
        sensitivity_max(model, even, x, samples=0, rng=rng())
    with pytest.raises(InputError, match="level=-1"):
        sensitivity_max(model, even, x, level=-1, rng=rng())
