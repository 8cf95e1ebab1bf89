import numpy as np
import pytest
import torch

from vxhelpers.attribution.base import INPUTS
from vxhelpers.attribution.gradients import integrated_gradients
from vxhelpers.attribution.registry import BASELINES, METHODS, attribute, hiding, named, pixels
from vxhelpers.data import stage
from vxhelpers.data.sampling import view
from vxhelpers.errors import InputError, UnknownNameError
from vxhelpers.models import zoo


@pytest.fixture(scope="module")
def clip():
    model = zoo.load("stage_r3d", weights="motion")
    scene = stage.render("motion", "test", 3)
    return model, scene.clip, model.prepare(scene.clip)


@pytest.mark.parametrize("method", METHODS, ids=[method.name for method in METHODS])
def test_every_method_explains_a_clip_the_same_way_twice(method, clip) -> None:
    model, _, x = clip
    target = torch.tensor([1])
    maps = attribute(method, model, x, target=target, rng=np.random.default_rng(0))
    assert maps.shape == (1, 16, 64, 64)
    if method.name not in ("RISE", "LIME", "kernel SHAP"):  # seeded where they are tested
        again = attribute(method, model, x, target=target, rng=np.random.default_rng(0))
        np.testing.assert_allclose(maps, again, rtol=1e-4, atol=1e-5 * np.abs(maps).max())


@pytest.mark.parametrize("method", named(*[m.name for m in METHODS if m.family == BASELINES]))
def test_wrong_methods_do_not_see_the_network(method, clip) -> None:
    model, _, x = clip
    other = zoo.load("stage_r3d", weights="random", labels=model.labels, seed=1)
    maps = [
        attribute(method, net, x, target=torch.tensor([k]), rng=np.random.default_rng(0))
        for k, net in enumerate((model, other))
    ]
    np.testing.assert_array_equal(*maps)


def test_names_are_unique_and_looked_up() -> None:
    assert len({method.name for method in METHODS}) == len(METHODS)
    assert len({m.name for m in METHODS if m.family != BASELINES}) >= 12
    assert named() == METHODS and [m.name for m in named("RISE", "Grad-CAM")] == [
        "RISE",
        "Grad-CAM",
    ]
    with pytest.raises(UnknownNameError, match="did you mean 'Grad-CAM"):
        named("GradCAM")


def test_prepared_clips_come_back_as_the_frames_that_the_network_sees(clip) -> None:
    model, frames, x = clip
    entry = model.entry
    seen = view(frames, frames=entry.frames, stride=entry.stride, resize=entry.resize,
                crop=entry.crop)  # fmt: skip
    assert np.abs(pixels(model, x)[0].astype(int) - seen).max() <= 1


def test_methods_that_do_not_fit_a_network_say_which_do(clip) -> None:
    swin, x = zoo.load("stage_swin3d", weights="motion"), clip[2]
    for method in named("guided backpropagation", "deep Taylor", "saliency tubes"):
        with pytest.raises(InputError, match=f"^{method.name}: .*(Grad-CAM|gradient)"):
            attribute(method, swin, x, target=torch.tensor([0]), rng=np.random.default_rng(0))


OURS = [method for method in METHODS if method.family != BASELINES]
FULL = {
    "the accelerator": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 40.00 GiB"),
    "the CPU": RuntimeError(
        "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you "
        "tried to allocate 99999999999 bytes. Error code 12 (Cannot allocate memory)"
    ),
    "the CPU of Windows": RuntimeError("DefaultCPUAllocator: not enough memory: you tried"),
}


TOO_LONG = (
    r"does not fit in memory: (give the network fewer frames|try batch_size=\d).*"
    r"\(a clip has 3 channels, 16 frames of 64x64 pixels\)$"
)


@pytest.mark.parametrize("full", FULL.values(), ids=FULL)
@pytest.mark.parametrize("method", OURS, ids=[method.name for method in OURS])
def test_a_clip_too_long_for_memory_is_an_error_that_says_what_to_do(
    method, full, clip, monkeypatch
) -> None:
    model, x = zoo.load("stage_r3d", weights="motion"), clip[2]

    def hungry(_inputs):
        raise full

    monkeypatch.setattr(model.net, "forward", hungry)
    with pytest.raises(InputError, match=TOO_LONG) as error:
        attribute(method, model, x, target=torch.tensor([1]), rng=np.random.default_rng(0))
    assert str(error.value).startswith(f"{method.name}: ")


@pytest.mark.parametrize("name", ["Score-CAM", "integrated gradients", "occlusion", "RISE", "LIME",
                                  "kernel SHAP", "LRP, epsilon", "deep Taylor"])  # fmt: skip
def test_memory_that_runs_out_on_the_way_is_an_error_too(name, clip) -> None:
    model, x = zoo.load("stage_r3d", weights="motion"), clip[2]
    calls = []

    def hungry(_layer, inputs) -> None:  # copies of the network take it along
        calls.append(len(inputs))
        if len(calls) == 2:
            raise FULL["the accelerator"]

    model.net.get_submodule("layer4").register_forward_pre_hook(hungry)
    (method,) = named(name)
    with pytest.raises(InputError, match=TOO_LONG):
        attribute(method, model, x, target=torch.tensor([1]), rng=np.random.default_rng(0))
    assert len(calls) == 2


@pytest.mark.parametrize("method", OURS, ids=[method.name for method in OURS])
def test_what_goes_through_the_network_at_once_does_not_grow_with_the_views(method, clip) -> None:
    model, x = zoo.load("stage_r3d", weights="motion"), clip[2]
    seen = []
    with model.net.register_forward_pre_hook(lambda _net, inputs: seen.append(len(inputs[0]))):
        attribute(method, model, x, target=torch.tensor([1]), rng=np.random.default_rng(0))
    assert seen and max(seen) <= INPUTS


@pytest.mark.parametrize("steps", [20, 60])
def test_integrated_gradients_hold_as_many_points_at_once_as_told(steps, clip) -> None:
    model, x = zoo.load("stage_r3d", weights="motion"), clip[2]
    seen = []
    with model.net.register_forward_pre_hook(lambda _net, inputs: seen.append(len(inputs[0]))):
        integrated_gradients(model, x, target=1, steps=steps, batch_size=4)
    assert max(seen) == 4 and sum(seen) >= steps


def test_hiding_takes_as_many_views_as_asked(clip) -> None:
    model, _, x = clip
    seen = []
    handle = model.net.register_forward_hook(lambda _net, inputs, _out: seen.append(len(inputs[0])))
    counts = {}
    for method in hiding(views=12, segments=4):
        seen.clear()
        rng = np.random.default_rng(0)
        attribute(method, model, x[:1], target=torch.tensor([0]), rng=rng)
        counts[method.name] = sum(seen)
    handle.remove()
    assert counts == {"occlusion": 65, "RISE": 12, "LIME": 12, "kernel SHAP": 12}
