import numpy as np
import pytest
import torch
from reference.cam_maps import gradcam_plus_plus as slow_plus_plus
from reference.cam_maps import score_cam as slow_score_cam
from toys import Deep3d, Linear3d, clips, moving_blob, toy_model

from vxhelpers.attribution.cam import gradcam_plus_plus, saliency_tubes, score_cam
from vxhelpers.attribution.gradcam import gradcam, upsample_map
from vxhelpers.errors import InputError, UnknownNameError
from vxhelpers.models import zoo
from vxhelpers.models.probe import probe

DEEP = [("conv1", "NCTHW"), ("conv2", "NCTHW"), ("conv3", "NCTHW")]
ALL = pytest.mark.parametrize("method", [gradcam_plus_plus, score_cam, saliency_tubes])


def deep() -> zoo.Model:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return toy_model(Deep3d(), DEEP)


# Grad-CAM++


@pytest.mark.parametrize("layer", ["conv1", "conv3"])
def test_plus_plus_is_the_papers_cell_by_cell(layer: str) -> None:
    model, x = deep(), clips(2, 3, 4, 12, 12)
    seen = probe(model, x, layers=[layer], target=[0, 2])
    maps = gradcam_plus_plus(model, x, layer=layer, target=[0, 2], upsample=False)
    for i in range(2):
        slow = slow_plus_plus(seen.activations[layer][i].numpy(), seen.gradients[layer][i].numpy())
        np.testing.assert_allclose(maps[i].numpy(), slow, rtol=1e-5, atol=1e-9)


def test_plus_plus_of_a_constant_gradient_by_hand() -> None:
    # Row 0 of the head reads channel 0, 2x, alone: g = 1/512 there and 0 in the other channel.
    model, x = toy_model(Linear3d(), [("conv", "NCTHW"), ("flat", "NC")]), moving_blob()
    g, total, cells = 1 / 512, float(2 * x.sum()), x[0].numel()
    weight = cells * g * g**2 / (2 * g**2 + total * g**3)
    expected = weight * 2 * x[:, 0]
    torch.testing.assert_close(gradcam_plus_plus(model, x, target=0), expected)


def test_plus_plus_counts_no_gradient_against_the_class() -> None:
    model, x = toy_model(Linear3d(), [("conv", "NCTHW"), ("flat", "NC")]), moving_blob()
    with torch.no_grad():
        model.net.head.weight[0] = torch.tensor([-1.0, 0.0])
    assert not gradcam_plus_plus(model, x, target=0).any()


# Score-CAM


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_score_cam_is_the_papers_channel_by_channel(batch_size: int) -> None:
    model, x = deep(), clips(2, 3, 4, 12, 12)
    found = score_cam(
        model, x, layer="conv2", target="right", upsample=False, batch_size=batch_size
    )
    raw = score_cam(model, x, layer="conv2", target="right", weights="increase", upsample=False)
    activations = probe(model, x, layers=["conv2"], gradients=False).activations["conv2"]
    for i in range(2):
        with torch.inference_mode():
            increases, slow = slow_score_cam(
                lambda clip: float(model.net(clip[None])[0, 1]), x[i], activations[i]
            )
        np.testing.assert_allclose(found[i].numpy(), slow, rtol=1e-4, atol=1e-6)
        by_hand = sum(w * c.numpy() for w, c in zip(increases, activations[i], strict=True))
        np.testing.assert_allclose(raw[i].numpy(), by_hand, rtol=1e-3, atol=1e-5)


def test_score_cam_explains_the_predicted_class_and_log_probabilities() -> None:
    model, x = deep(), clips(2, 3, 4, 12, 12)
    predicted = model.net(x).argmax(1).tolist()
    same = score_cam(model, x, target=predicted)
    torch.testing.assert_close(score_cam(model, x), same)
    assert not torch.allclose(score_cam(model, x, of="log_probability"), same)


def test_a_channel_that_is_the_same_everywhere_counts_nothing() -> None:
    model, x = toy_model(Linear3d(), [("conv", "NCTHW"), ("flat", "NC")]), moving_blob()
    with torch.no_grad():
        model.net.conv.weight[1] = 0
    torch.testing.assert_close(score_cam(model, x, target=0), 2 * x[:, 0])
    with pytest.raises(InputError, match=r"clip 1: every channel .*'conv'.* another layer"):
        score_cam(model, torch.cat([x, torch.zeros_like(x)]), target=0)


# Saliency tubes


@pytest.mark.parametrize("entry", ["stage_r3d", "stage_i3d"])
def test_tubes_average_to_the_logit_and_are_gradcam_times_cells(entry: str) -> None:
    model = zoo.load(entry, weights="motion")
    x = clips(2, 3, 16, 64, 64)
    tubes = saliency_tubes(model, x, target=[0, 1], upsample=False)
    bias = model.net.get_submodule(model.entry.head).bias
    logits = model.logits(x)[[0, 1], [0, 1]]
    means = tubes.mean((1, 2, 3)) + bias[[0, 1]].detach()
    torch.testing.assert_close(means, logits.detach(), rtol=1e-3, atol=1e-3)
    small = gradcam(model, x, target=[0, 1], upsample=False)
    torch.testing.assert_close(tubes, small * small[0].numel(), rtol=1e-3, atol=1e-3)
    whole = saliency_tubes(model, x, target=[0, 1], batch_size=1)
    torch.testing.assert_close(whole, upsample_map(tubes, (16, 64, 64)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("entry", ["stage_c3d", "stage_swin3d"])
def test_tubes_need_a_linear_classifier_after_the_pooling(entry: str) -> None:
    model = zoo.load(entry, weights="motion")
    with pytest.raises(InputError, match=r"more than pooling lies between .* use Grad-CAM"):
        saliency_tubes(model, clips(1, 3, 16, 64, 64))


# all of them


@pytest.mark.parametrize(
    ("method", "entry"),
    [
        (gradcam_plus_plus, "stage_r3d"),
        (gradcam_plus_plus, "stage_swin3d"),
        (score_cam, "stage_r3d"),
        (saliency_tubes, "stage_r3d"),
    ],
)
def test_maps_have_the_clips_size_and_do_not_mix_clips(method, entry: str) -> None:
    model = zoo.load(entry, weights="motion")
    x = clips(2, 3, 16, 64, 64)
    before = x.clone()
    maps = method(model, x, target="forehand")
    assert maps.shape == (2, 16, 64, 64) and maps.dtype == torch.float32
    assert maps.isfinite().all() and maps.std() > 0 and not maps.requires_grad
    turned = method(model, x.flip(0), target="forehand").flip(0)
    torch.testing.assert_close(maps, turned, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(x, before, rtol=0, atol=0)
    assert not any(len(module._forward_hooks) for module in model.net.modules())


@ALL
def test_a_layer_without_space_and_time_is_refused(method) -> None:
    model = toy_model(Linear3d(), [("conv", "NCTHW"), ("flat", "NC")])
    with pytest.raises(InputError, match="no space and time left; choose one of conv"):
        method(model, moving_blob(), layer="flat")
    with pytest.raises(UnknownNameError, match="conv"):
        method(model, moving_blob(), layer="cov")
    with pytest.raises(InputError, match="training mode"):
        method(_training(), moving_blob())


def _training() -> zoo.Model:
    model = toy_model(Linear3d(), [("conv", "NCTHW"), ("flat", "NC")])
    model.net.train()
    return model


def test_bad_options_are_named() -> None:
    model = toy_model(Linear3d(), [("conv", "NCTHW"), ("flat", "NC")])
    with pytest.raises(InputError, match="'softmax' or 'increase'"):
        score_cam(model, moving_blob(), weights="relu")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="at least one clip"):
        score_cam(model, moving_blob(), batch_size=0)
