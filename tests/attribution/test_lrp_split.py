import pytest
import torch
from torch import Tensor, nn
from toys import toy_model

from vxhelpers.attribution.lrp import lrp, relevance
from vxhelpers.attribution.lrp_split import over_time, split
from vxhelpers.data.datasets import open_data
from vxhelpers.errors import InputError
from vxhelpers.models import zoo

LOW, HIGH = -0.45 / 0.225, 0.55 / 0.225


def clips(*shape: int, seed: int = 1) -> Tensor:
    return LOW + (HIGH - LOW) * torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def same(found: Tensor, expected: Tensor, tolerance: float = 1e-4) -> None:
    scale = float(expected.abs().max())
    torch.testing.assert_close(found, expected, atol=tolerance * max(scale, 1e-3), rtol=0)


class Seen(nn.Module):
    """One convolution over ``frames`` frames, ReLU, mean, and a head with evidence for only."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 4, (frames, 3, 3), padding=(0, 1, 1), bias=False)
        self.head = nn.Linear(4, 3, bias=False)
        with torch.no_grad():
            self.head.weight.abs_()
            if frames == 2:  # what the second frame brings is taken off the first
                self.conv.weight[:, :, 1] = -self.conv.weight[:, :, 0]

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x).relu().mean((2, 3, 4)))


def seen(frames: int) -> zoo.Model:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return toy_model(Seen(frames), [("conv", "NCTHW")])


@pytest.mark.parametrize("composite", ["epsilon", "epsilon_plus", "deep_taylor"])
def test_a_network_of_stills_has_no_temporal_relevance(composite: str) -> None:
    model, x = seen(frames=1), clips(2, 3, 4, 6, 6)
    found = split(model, x, target=[0, 2], composite=composite)
    assert found.whole.abs().max() > 1e-3
    same(found.spatial, found.whole)
    same(found.temporal, torch.zeros_like(found.whole))
    # A logit is the mean over frames, so the stills' logits have the clip's as their mean.
    torch.testing.assert_close(found.still_scores.mean(1), found.scores)


@pytest.mark.parametrize("composite", ["epsilon", "epsilon_plus", "deep_taylor"])
def test_a_network_of_differences_has_no_spatial_relevance(composite: str) -> None:
    model, x = seen(frames=2), clips(2, 3, 4, 6, 6)
    found = split(model, x, target=1, composite=composite)
    assert found.whole.abs().max() > 1e-3
    same(found.temporal, found.whole)
    assert found.spatial.abs().max() < 1e-4 * found.whole.abs().max()
    assert found.scores.min() > 0.01 and found.still_scores.abs().max() < 1e-5


class Places(nn.Module):
    """Looks at each frame alone, and counts each place in time differently."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 2, 1, bias=False)
        self.pool = nn.AdaptiveAvgPool3d((frames, 1, 1))
        self.head = nn.Linear(2 * frames, 3, bias=False)
        with torch.no_grad():
            self.head.weight.copy_(torch.arange(6.0 * frames).view(3, -1))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.conv(x).relu()).flatten(1))


def test_a_still_is_read_at_its_own_place_in_time() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        model = toy_model(Places(4), [("conv", "NCTHW")])
    x = clips(1, 3, 4, 5, 5)
    found = split(model, x, target=1)
    same(found.temporal, torch.zeros_like(found.whole))
    still = x[:, :, 2:3].expand(-1, -1, 4, -1, -1)
    maps = lrp(model, still, target=1, composite="deep_taylor")
    same(found.spatial[:, 2], maps[:, 2])
    assert not torch.allclose(maps[:, 0], maps[:, 2], rtol=0.1)


def test_parts_are_those_of_a_loop_over_frames_in_a_shipped_network() -> None:
    model = zoo.load("stage_c3d", weights="motion")
    x = clips(2, 3, 4, 32, 32)
    kept = x.clone()
    found = split(model, x, batch_size=3)
    predicted = model.net(x).argmax(1)
    for i, t in ((0, 0), (0, 3), (1, 2)):
        still = x[i : i + 1, :, [t] * 4]
        alone = relevance(model, still, target=int(predicted[i]), composite="deep_taylor")
        same(found.spatial[i, t], alone.maps[0, t])
        torch.testing.assert_close(found.still_scores[i, t], alone.scores[0])
    assert torch.equal(found.whole, lrp(model, x, composite="deep_taylor", batch_size=3))
    torch.testing.assert_close(found.spatial + found.temporal, found.whole)
    assert found.whole.shape == (2, 4, 32, 32) and found.still_scores.shape == (2, 4)
    assert torch.equal(x, kept)
    same(split(model, x).spatial, found.spatial)


def test_a_clip_that_stands_still_has_no_temporal_relevance() -> None:
    model = zoo.load("stage_r3d", weights="motion")
    x = clips(1, 3, 1, 32, 32).expand(-1, -1, 4, -1, -1)
    found = split(model, x, target=1)
    assert found.spatial.abs().max() > 1e-6
    same(found.temporal, torch.zeros_like(found.whole))


def test_relevance_of_a_frame_is_the_sum_over_its_pixels() -> None:
    maps = torch.tensor([[[[1.0, -2.0]], [[3.0, 4.0]]]])
    torch.testing.assert_close(over_time(maps), torch.tensor([[-1.0, 7.0]]))


def test_what_lrp_refuses_is_refused() -> None:
    with pytest.raises(InputError, match="gradients, perturbation and Grad-CAM"):
        split(
            zoo.load("stage_swin3d", weights="random"), clips(1, 3, 16, 64, 64), composite="epsilon"
        )


def test_movement_has_more_of_the_relevance_where_movement_decides() -> None:
    shares = {}
    for task in ("static", "motion"):
        model, data = zoo.load("stage_r3d", weights=task), open_data(f"stage:{task}")
        found = split(model, model.prepare(data.clip(data.rows("test")[0])))
        spatial, temporal = (float(v.abs().sum()) for v in (found.spatial, found.temporal))
        shares[task] = temporal / (spatial + temporal)
    # Measured 0.04 and 0.70.
    assert shares["static"] < 0.2 and shares["motion"] > 0.5
