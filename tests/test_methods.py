import numpy as np
import pytest
import torch

from vxhelpers import stage, zoo
from vxhelpers.errors import InputError, UnknownNameError
from vxhelpers.evidence import attribute
from vxhelpers.methods import METHODS, WRONG, hiding, named, pixels
from vxhelpers.sampling import view


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


@pytest.mark.parametrize("method", named(*[m.name for m in METHODS if m.family == WRONG]))
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
    assert len({m.name for m in METHODS if m.family != WRONG}) >= 12
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
